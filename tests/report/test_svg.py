"""Figures as SVG: where things stand, what they say, and that data bring no markup."""

import itertools
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from goodteacher.report.chart import (
    Axis,
    Cell,
    Interval,
    Intervals,
    Lines,
    Matrix,
    Point,
    Series,
    Step,
    Waterfall,
)
from goodteacher.report.scales import number_on, scale_of
from goodteacher.report.standalone import palettes
from goodteacher.report.svg import NUM_STYLES, draw

EVIL = "<script>alert(1)</script>\"'&"


def parsed(figure):
    """The drawing as a tree; raises where it is no well-formed XML."""
    return ElementTree.fromstring(str(draw(figure).svg))


def texts(tree, kind=None):
    found = [e for e in tree.iter("text") if kind is None or e.get("class") == kind]
    return [element.text for element in found]


def of_kind(tree, kind):
    return [element for element in tree.iter() if element.get("class") == kind]


def share(value):
    return float(value.removesuffix("%"))


def line(*pairs, **changes):
    return Series("one", tuple(Point(x, y) for x, y in pairs), **changes)


def lines(*series, **changes):
    values = {"x": Axis("epoch"), "y": Axis("accuracy, %"), "series": series}
    return Lines(**{**values, **changes})


def matrix(values, **changes):
    cells = tuple(
        tuple(Cell(v, "" if v is None else f"{v:g}", f"note {v}") for v in row) for row in values
    )
    names = tuple(f"row {n}" for n in range(len(cells)))
    columns = tuple(f"c{n}" for n in range(len(cells[0])))
    return Matrix(
        **{
            **{"across": "across", "down": "down", "columns": columns, "rows": names},
            "cells": cells,
            **changes,
        }
    )


def test_points_stand_where_their_numbers_say():
    tree = parsed(lines(line((0, 0), (5, 5), (10, 10))))
    places = [(share(e.get("x")), float(e.get("y"))) for e in tree.iter("svg") if e.get("x")]
    (left, low), (middle, between), (right, high) = places
    assert left < middle < right
    assert low > between > high  # up is less on a screen
    assert middle == pytest.approx((left + right) / 2, abs=0.02)
    assert between == pytest.approx((low + high) / 2, abs=0.2)
    assert left > 0
    assert right < 100


def test_equal_ratios_are_equal_distances_on_a_logarithmic_axis():
    scale = scale_of(Axis("T", (1, 4, 16), log=True), [1, 4, 16])
    one, four, sixteen = (scale.share(value) for value in (1, 4, 16))
    assert four - one == pytest.approx(sixteen - four)
    assert (scale.low < 1, scale.high > 16) == (True, True)


@pytest.mark.parametrize("span", [(1210, 2410), (0.0671, 0.0675), (90, 100), (5000, 9900)])
def test_short_logarithmic_axes_have_at_least_two_numbers(span):
    series = Series("one", tuple(Point(x, 1.0) for x in span))
    figure = Lines(Axis("parameters", log=True), Axis("accuracy"), (series,))
    across = [
        tick for tick in of_kind(parsed(figure), "tick") if tick.get("text-anchor") == "middle"
    ]
    assert len(across) >= 2


@pytest.mark.parametrize("values", [[], [3.0], [0.0], [-2.0, -2.0]])
def test_axis_of_few_or_equal_values_has_an_extent(values):
    scale = scale_of(Axis("x"), values)
    assert scale.low < scale.high
    assert len(scale.ticks) >= 1


def test_whiskers_are_inside_the_plot():
    point = Point(1, 90, interval=(60, 99))
    tree = parsed(lines(Series("one", (point,))))
    (whisker,) = [e for e in of_kind(tree, "whisker") if e.tag == "line"]
    ends = sorted((float(whisker.get("y1")), float(whisker.get("y2"))))
    assert 0 < ends[0] < ends[1] < 250


def test_legend_names_series_that_have_names_if_there_are_several():
    drawing = draw(lines(line((1, 1)), line((1, 2), style=1), legend="batch size"))
    assert [key.name for key in drawing.legend] == ["one", "one"]
    assert drawing.legend_title == "batch size"
    assert draw(lines(line((1, 1)))).legend == ()


def test_styles_begin_again_but_are_all_drawn():
    series = [line((1, n), (2, n), style=n) for n in range(NUM_STYLES + 2)]
    tree = parsed(lines(*series))
    groups = [e.get("class") for e in tree.iter("g")]
    assert groups[0] == groups[NUM_STYLES] == "s0"
    assert len(groups) == NUM_STYLES + 2


def test_styles_differ_in_symbol_and_not_only_in_colour():
    series = [line((1, n), style=n) for n in range(NUM_STYLES)]
    tree = parsed(lines(*series))
    assert len({e.get("d") for e in of_kind(tree, "point")}) == NUM_STYLES


def test_quiet_series_is_dashed_where_told():
    tree = parsed(lines(line((1, 1), (2, 1), style=None, marked=False, dashed=True)))
    assert len(of_kind(tree, "line dashed")) == 1
    assert not of_kind(tree, "point")
    assert len(of_kind(tree, "quiet")) == 1


def test_star_and_zero_line_are_drawn_where_asked():
    plain = parsed(lines(line((1, 1), (2, 2))))
    assert not of_kind(plain, "star")
    assert not of_kind(plain, "zero")
    tree = parsed(lines(line((1, 1), (2, 2)), star=(2, 2), zero=True))
    assert len(of_kind(tree, "star")) == 1
    assert len(of_kind(tree, "zero")) == 1


def test_axes_say_their_titles_and_round_numbers():
    tree = parsed(lines(line((0, 88.1), (10, 88.9))))
    assert {"epoch", "accuracy, %"} <= set(texts(tree, "title"))
    assert {"88.2", "88.4", "88.6", "88.8"} <= set(texts(tree, "tick"))


def test_numbers_that_would_run_into_each_other_are_left_out():
    ticks = tuple(range(1, 60))
    tree = parsed(lines(line((1, 1), (59, 2)), x=Axis("T", ticks)))
    across = [e for e in of_kind(tree, "tick") if e.get("text-anchor") == "middle"]
    places = sorted(share(e.get("x")) for e in across)
    assert len(places) > 5
    assert min(b - a for a, b in itertools.pairwise(places)) >= 7


def interval(**changes):
    values = {"name": "hard labels", "mean": 2.0, "inner": (1.0, 3.0), "outer": (0.0, 4.0)}
    return Interval(**{**values, "shown": "+2.00", **changes})


def test_intervals_stand_beside_a_line_at_zero():
    tree = parsed(Intervals("points", (interval(), interval(mean=-1.0, inner=None, outer=None))))
    zero, _ = of_kind(tree, "zero")
    (thick,) = of_kind(tree, "thick")
    assert share(zero.get("x1")) < share(thick.get("x1")) < share(thick.get("x2"))
    assert texts(tree, "name") == ["hard labels"] * 2
    assert texts(tree, "value") == ["+2.00"] * 2


@pytest.mark.parametrize("mean", [-3.0, 0.0, 3.0])
def test_no_line_of_a_plot_of_intervals_crosses_words(mean):
    rows = [interval(mean=mean, inner=(mean - 1, mean + 1), outer=(mean - 2, mean + 2))] * 3
    tree = parsed(Intervals("points", tuple(rows)))
    words = [float(each.get("y")) for each in tree.iter("text") if each.get("class") == "name"]
    assert len(words) == 3
    drawn = [each for kind in ("zero", "grid", "whisker", "thick") for each in of_kind(tree, kind)]
    spans = [(float(each.get("y1")), float(each.get("y2"))) for each in drawn if each.get("y1")]
    assert len(spans) > 12
    for base in words:  # a line of text reaches from 12 above its base to 4 below it
        assert not [(top, bottom) for top, bottom in spans if top < base + 4 and bottom > base - 12]


def test_a_long_name_leaves_room_for_its_numbers_and_is_whole_where_a_pointer_rests():
    name = "transfer_not_received_by_the_recipient"
    shown = "+12.86 [-12.20, +17.92]"
    tree = parsed(Intervals("points", (interval(name=name, shown=shown),)))
    (text,) = [each for each in tree.iter("text") if each.get("class") == "name"]
    assert text.text.endswith("…")
    assert name.startswith(text.text[:-1])
    assert len(text.text) + len(shown) <= 46
    assert text.find("title").text == name


def step(name, start, end, style=0):
    return Step(name, start, end, (end - 1, end + 1), style, f"{end - start:+.2f}", "note")


def test_each_step_of_a_waterfall_is_linked_to_the_next():
    steps = (step("mean smoothing", 0, 2), step("full response", 2, 5, 1), step("all", 0, 5, 2))
    drawing = draw(Waterfall("points", steps, ("regularization", "knowledge", "in all")))
    tree = ElementTree.fromstring(str(drawing.svg))
    bars = of_kind(tree, "bar")
    links = of_kind(tree, "link")
    assert (len(bars), len(links)) == (3, 2)
    top_of_first, bottom_of_second = (
        float(bars[0].get("y")),
        float(bars[1].get("y")) + float(bars[1].get("height")),
    )
    assert top_of_first == pytest.approx(bottom_of_second, abs=0.2)
    assert float(links[0].get("y1")) == pytest.approx(top_of_first, abs=0.2)
    assert [key.name for key in drawing.legend] == ["regularization", "knowledge", "in all"]
    assert texts(tree, "bar-name") == ["mean", "smoothing", "full", "response", "all"]


def test_short_words_of_a_bars_name_share_a_line():
    steps = (step("gain in all", 0, 2), step("uninterruptedly", 2, 3))
    tree = parsed(Waterfall("points", steps, ("regularization",)))
    assert texts(tree, "bar-name") == ["gain in all", "uninterruptedly"]


def test_matrix_has_a_cell_for_each_value_and_says_it():
    tree = parsed(matrix([[1, 2], [3, None]]))
    assert len(of_kind(tree, "cell")) == 3
    assert len(of_kind(tree, "cell empty")) == 1
    assert texts(tree, "inside") == ["1", "2", "3"]
    assert {"row 0", "row 1", "c0", "c1"} <= set(texts(tree, "tick"))


def test_matrix_of_many_columns_leaves_numbers_to_its_notes():
    tree = parsed(matrix([range(30)]))
    assert texts(tree, "inside") == []
    assert len(of_kind(tree, "cell dense")) == 30
    assert "note 29" in [element.text for element in tree.iter("title")]
    assert len(texts(tree, "tick")) < 20  # of 30 columns and a row


def test_matrix_outlines_a_cell_and_separates_rows():
    tree = parsed(matrix([[1, 2], [3, 4]], outlined=(1, 0), breaks=(1,)))
    (box,) = of_kind(tree, "outline")
    assert (share(box.get("x")), float(box.get("y"))) == (0.0, 44.0)
    (rule,) = of_kind(tree, "break")
    assert float(rule.get("y1")) == 44.0


def test_diverging_cells_are_turned_dark_on_the_dark_theme_and_others_are_not():
    tree = parsed(matrix([[-1, 0, 4]], diverging=True))
    (turned,) = of_kind(tree, "diverging")
    assert len([e for e in turned.iter() if e.get("class") == "cell"]) == 3
    assert not of_kind(parsed(matrix([[-1, 0, 4]])), "diverging")
    light, dark = palettes()
    assert (light["--cells"], dark["--cells"][:6]) == ("none", "invert")


def test_zero_is_the_middle_of_diverging_colours():
    fills = [e.get("fill") for e in of_kind(parsed(matrix([[-1, 0, 4]], diverging=True)), "cell")]
    assert fills[1] == "#f7f7f7"
    assert len(set(fills)) == 3


@pytest.mark.parametrize("values", [[[None, None]], [[2.0, 2.0]]])
def test_matrix_without_numbers_or_of_equal_ones_is_drawn(values):
    tree = parsed(matrix(values))
    assert len(list(tree.iter("rect"))) == 2


@pytest.mark.parametrize(
    "figure",
    [
        lines(
            Series(EVIL, (Point(1, 1, EVIL, EVIL), Point(2, 2))),
            x=Axis(EVIL),
            y=Axis(EVIL),
        ),
        Intervals(EVIL, (interval(name=EVIL, shown=EVIL),)),
        Waterfall(EVIL, (Step(EVIL, 0, 1, (0, 2), 0, EVIL, EVIL),), (EVIL,)),
        Matrix(EVIL, EVIL, (EVIL,), (EVIL,), ((Cell(1.0, EVIL, EVIL),),)),
    ],
    ids=["lines", "intervals", "waterfall", "matrix"],
)
def test_names_from_data_bring_no_markup(figure):
    drawing = draw(figure)
    tree = ElementTree.fromstring(str(drawing.svg))
    assert not list(tree.iter("script"))
    assert "<script" not in str(drawing.svg)
    assert "<script" not in "".join(str(key.symbol) for key in drawing.legend)


def test_long_names_are_shortened_and_whole_in_a_note():
    name = "a class with a very long name indeed"
    tree = parsed(Matrix("x", "y", ("a",), (name,), ((Cell(1.0, "1", ""),),)))
    (short,) = [text for text in texts(tree, "tick") if text.startswith("a class")]
    assert len(short) == 18
    assert name in [element.text for element in tree.iter("title")]


def test_column_names_stand_upright_where_they_would_run_into_each_other():
    short = parsed(matrix([range(10)]))
    assert not [e for e in short.iter("text") if e.get("transform")]
    names = tuple(f"a long class {n}" for n in range(10))
    long = parsed(matrix([range(10)], columns=names))
    upright = [e for e in long.iter("text") if e.get("transform") == "rotate(-90)"]
    assert [element.text for element in upright] == list(names)
    margins = [tree.get("style").split("px")[2] for tree in (short, long)]
    assert int(margins[1]) > int(margins[0]) + 50


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=5))
@example([28.47222222222222, 28.472222222222225])
@example([0.0, 5e-324])
@example([-1e12, -1e12])
def test_ticks_can_be_told_apart_whatever_the_values(values):
    scale = scale_of(Axis("x"), values)
    assert scale.low < min(values) <= max(values) < scale.high or max(map(abs, values)) < 1e-300
    names = [number_on(tick, scale) for tick in scale.ticks]
    assert len(set(names)) == len(names) >= 1
    assert parsed(lines(line(*enumerate(values)))) is not None


def test_a_short_logarithmic_axis_has_more_than_onenumber_on():
    tree = parsed(lines(line((310, 1.0), (610, 2.0)), x=Axis("parameters", log=True)))
    numbers = [each for each in texts(tree, "tick") if len(each) == 3 and each.isdigit()]
    assert numbers == ["300", "400", "500", "600"]
