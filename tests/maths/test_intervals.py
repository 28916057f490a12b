"""Intervals by hand: small tables whose every number can be checked with a pencil, and edges."""

import math

import numpy as np
import pytest
from scipy import stats

from goodteacher.errors import ConfigError, InputError
from goodteacher.maths.statistics import (
    Interval,
    accuracy_interval,
    crossed_interval,
    folds_interval,
    folds_mean_interval,
    paired_interval,
    pigeonhole_resamples,
)

HALVES = [[0.0, 2.0, 4.0], [2.0, 6.0, 10.0]]
"""Mean 4; means of rows 2 and 6, of columns 1, 4 and 7; what is left over is +-1, 0, +-1."""
SEED, EXAMPLE, REST = 3 * 8 / 1, 2 * 18 / 2, 4 / 2
"""Mean squares: 24 with 1 degree of freedom, 18 with 2, and 2 with 2."""


def test_a_table_of_two_seeds_and_three_examples_by_hand():
    found = crossed_interval(HALVES, level=0.1)
    variance = (SEED + EXAMPLE - REST) / 6
    freedom = (SEED + EXAMPLE - REST) ** 2 / (SEED**2 + EXAMPLE**2 / 2 + REST**2 / 2)
    reach = stats.t.isf(0.05, freedom) * math.sqrt(variance)
    assert found.mean == 4
    assert found.standard_error**2 == pytest.approx(variance)
    assert found.degrees_of_freedom == pytest.approx(freedom)
    assert (found.low, found.high) == pytest.approx((4 - reach, 4 + reach))
    assert found.seed_variance == pytest.approx(SEED / 6)
    assert found.example_variance == pytest.approx((EXAMPLE - REST) / 6)
    assert (found.n_seeds, found.n_examples, found.level) == (2, 3, 0.1)
    assert found.bounds == (-math.inf, math.inf)


@pytest.mark.parametrize(
    ("table", "seed", "example", "rest"),
    [
        ([[0.0, 3.0], [3.0, 2.0]], 1.0, 1.0, 4.0),  # the difference would be negative
        ([[0.0, 4.0], [4.0, 4.0]], 4.0, 4.0, 4.0),
        ([[0.0, 2.0], [6.0, 4.0]], 16.0, 0.0, 4.0),
        ([[0.0, 6.0], [2.0, 4.0]], 0.0, 16.0, 4.0),
    ],
)
def test_the_variance_is_the_largest_of_three_estimates(table, seed, example, rest):
    found = crossed_interval(table)
    assert found.standard_error**2 * 4 == pytest.approx(max(seed, example, seed + example - rest))
    assert found.example_variance * 4 == pytest.approx(max(0.0, example - rest))
    total = found.standard_error**2 * 4
    assert found.degrees_of_freedom == pytest.approx(total**2 / (seed**2 + example**2 + rest**2))


def test_where_only_the_rest_varies_it_is_the_variance():
    found = crossed_interval([[1.0, -1.0], [-1.0, 1.0]])
    assert found.standard_error**2 == pytest.approx(4 / 4)
    assert found.degrees_of_freedom == pytest.approx(1)


def test_a_table_without_any_spread_is_a_point():
    found = crossed_interval(np.full((3, 5), 0.25))
    assert (found.low, found.high, found.degrees_of_freedom) == (0.25, 0.25, 4)
    assert (found.seed_variance, found.example_variance) == (0, 0)


def test_one_seed_is_the_interval_of_its_examples():
    found = crossed_interval([[1.0, 2.0, 3.0, 6.0]])
    low, high = stats.t.interval(0.95, 3, loc=3, scale=stats.sem([1.0, 2.0, 3.0, 6.0]))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (found.covers_seeds, crossed_interval(HALVES).covers_seeds) == (False, True)
    assert math.isnan(found.seed_variance)
    assert math.isnan(found.example_variance)


def test_only_what_is_counted_has_assumed_examples_and_ends():
    wide = Interval(0.5, 0.4, 0.6, 0.05, 1, 10, 1.0, 9.0).with_level(0.05)
    assert (wide.low, wide.high) == pytest.approx((0.5 - 2.262157, 0.5 + 2.262157))
    few = [[1.0, 0.0, 1.0, 1.0]]
    assert (accuracy_interval(few).low, accuracy_interval(few).high) == (0.0, 1.0)
    assert crossed_interval(few).high > 1.0
    three_alike, assumed = np.var([1, 0, 1, 1], ddof=1) / 4, (4 - 1) / 16
    assert accuracy_interval(few).standard_error ** 2 == pytest.approx(three_alike + assumed)
    assert crossed_interval(few).standard_error ** 2 == pytest.approx(three_alike)
    ends = paired_interval([[1, 1, 1, 0]], [[0, 0, 1, 1]])
    assert (ends.low, ends.high, ends.bounds) == (-1.0, 1.0, (-1.0, 1.0))


def test_assumed_examples_count_with_the_examples_and_not_with_the_seeds():
    same = np.ones((3, 10))
    found = accuracy_interval(same)
    assert found.standard_error**2 == pytest.approx(4 / 100)
    assert found.example_variance == pytest.approx(4 / 100)
    assert found.seed_variance == 0


def test_an_example_on_which_seeds_differ_tells_the_arms_apart():
    """Two of ten examples differ between seeds and one between arms: one more is assumed."""
    a, b = np.ones((2, 10)), np.ones((2, 10))
    a[0, 0] = a[1, 1] = a[:, 2] = 0
    values = a - b
    bare = crossed_interval(values).standard_error ** 2
    assert paired_interval(a, b).standard_error ** 2 == pytest.approx(bare + 1 / 100)


@pytest.mark.parametrize("number", [2, 63, 64, 65, 128, 150])
def test_every_draw_is_drawn(number):
    values = np.arange(6.0).reshape(2, 3)
    draws = pigeonhole_resamples(values, num_resamples=number)
    for each in draws:
        assert each.shape == (number,)
    assert {round(2 * each, 9) for each in draws.seeds} <= {2.0, 5.0, 8.0}
    assert ((draws.both >= 0) & (draws.both <= 5)).all()
    assert draws.seeds.size == draws.examples.size == number
    means = {round(float(each), 9) for each in draws.examples}
    assert means <= {round(1.5 + thirds / 3, 9) for thirds in range(7)}


def test_the_bootstrap_counts_the_rest_once():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3, 1)) + rng.normal(size=(1, 5)) + rng.normal(size=(3, 5))
    exact = crossed_interval(values)
    drawn = crossed_interval(values, method="bootstrap", num_resamples=20_000)
    assert drawn.standard_error == pytest.approx(exact.standard_error, rel=0.03)
    assert drawn.example_variance == pytest.approx(exact.example_variance, rel=0.06)
    assert drawn.degrees_of_freedom == pytest.approx(exact.degrees_of_freedom, rel=0.06)


def test_two_draws_and_two_examples_are_the_fewest():
    assert pigeonhole_resamples([[1.0, 2.0]], num_resamples=2).both.shape == (2,)
    with pytest.raises(ConfigError, match="at least 2, but is 1"):
        pigeonhole_resamples([[1.0, 2.0]], num_resamples=1)
    for shape in ((1, 1), (0, 3), (3,), (1, 2, 2)):
        with pytest.raises(InputError, match="at least 1 seed and 2 examples"):
            crossed_interval(np.zeros(shape))


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 1.1])
def test_a_level_of_nothing_or_everything_is_refused(level):
    with pytest.raises(ConfigError, match="level must be above 0 and below 1"):
        crossed_interval(HALVES, level=level)


# --- folds ---------------------------------------------------------------------------------------

TWICE = [[1.0, 3.0, 2.0, 4.0], [1.0, 1.0, 4.0, 4.0]]
"""Means of examples 1, 2, 3 and 4, with variance 5/3; between repetitions 0, 2, 2 and 0."""
FOLDS = [[0, 1, 0, 1], [0, 0, 1, 1]]


def test_repeated_folds_by_hand():
    """Two folds double the variance 5/3 / 4; luck is that of repetitions: 1 / (2 * 4), doubled."""
    found = folds_mean_interval(TWICE, FOLDS, level=0.1)
    reach = stats.t.isf(0.05, 3) * math.sqrt(5 / 6)
    assert found.mean == 2.5
    assert (found.low, found.high) == pytest.approx((2.5 - reach, 2.5 + reach))
    assert found.standard_error**2 == pytest.approx(5 / 6)
    assert (found.degrees_of_freedom, found.n_seeds, found.n_examples) == (3, 2, 4)
    assert (found.seed_variance, found.example_variance) == pytest.approx((1 / 4, 5 / 6 - 1 / 4))
    assert found.level == 0.1


def test_the_fewest_folds_of_a_repetition_widen():
    folds = [[0, 1, 2, 3], [0, 0, 1, 1]]
    assert folds_mean_interval(TWICE, folds).standard_error ** 2 == pytest.approx(5 / 6)
    found = folds_mean_interval(TWICE, [[0, 1, 2, 3], [0, 3, 2, 1]])
    assert found.standard_error**2 == pytest.approx(5 / 12 * 4 / 3)
    assert found.seed_variance == pytest.approx(1 / 8 * 4 / 3)


def test_the_luck_of_repetitions_is_never_more_than_all_chance():
    found = folds_mean_interval([[1.0, -1.0, 1.0], [-1.0, 1.1, -1.0]], [[0, 1, 0]] * 2)
    assert found.seed_variance == found.standard_error**2
    assert found.example_variance == 0


def test_one_repetition_cannot_tell_the_parts_apart():
    found = folds_mean_interval([[1.0, 2.0]], [[0, 1]])
    assert math.isnan(found.seed_variance)
    assert math.isnan(found.example_variance)


def test_differences_of_folds_end_where_differences_do():
    first, second = np.array([[1, 1, 1, 0]]), np.array([[0, 0, 1, 1]])
    folds = np.array([[0, 1, 0, 1]])
    found = folds_interval(first, second, folds)
    assert (found.low, found.high, found.bounds) == (-1.0, 1.0, (-1.0, 1.0))
    values = first[0] - second[0]
    assumed = 2 / 16  # two examples differ from the others, of four that are wanted
    variance = (values.var(ddof=1) / 4 + assumed) * 2 / 1
    assert found.standard_error**2 == pytest.approx(variance)
    assert found.with_level(0.999).high < 1


def test_where_no_example_is_alike_the_missing_ones_are_assumed_too():
    """Two examples on which seeds differ are two of the four that are wanted."""
    found = accuracy_interval([[1, 0], [0, 1]])
    assert found.standard_error**2 == pytest.approx(1 / 4 + 2 / 4)
