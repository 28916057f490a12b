import itertools

import pytest

from goodteacher.report.theme import cell_colors, decade_ticks, round_ticks


def luminance(color):
    channels = [int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("diverging", [False, True])
def test_text_is_readable_on_every_cell(diverging):
    for number in range(101):
        fill, ink = cell_colors(number / 100, diverging=diverging)
        light, dark = sorted((luminance(fill), luminance(ink)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, number


def test_cells_grow_lighter_with_their_value():
    values = [luminance(cell_colors(n / 20, diverging=False)[0]) for n in range(21)]
    assert values == sorted(values)


def test_colours_end_at_the_ends_of_the_scale():
    assert cell_colors(-3, diverging=False) == cell_colors(0, diverging=False)
    assert cell_colors(3, diverging=True) == cell_colors(1, diverging=True)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3, 7), (0.011, 0.019), (1e3, 9e5), (-1, -0.5)])
def test_round_ticks_lie_inside_at_equal_distances(low, high):
    ticks = round_ticks(low, high)
    assert 2 <= len(ticks) <= 7
    assert low - 1e-9 <= ticks[0] < ticks[-1] <= high + 1e-9
    steps = [b - a for a, b in itertools.pairwise(ticks)]
    assert steps == pytest.approx([steps[0]] * len(steps))


def test_decades_over_a_wide_range_are_powers_of_ten():
    assert decade_ticks(3, 5e6) == (10, 100, 1e3, 1e4, 1e5, 1e6)
