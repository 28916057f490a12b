"""Means over repetitions and slopes, on numbers whose answer is known."""

import numpy as np
import pytest
from scipy import stats

from repeated import Estimate, over_repetitions, slope


def test_one_repetition_is_taken_as_it_is():
    assert over_repetitions([Estimate(0.1, 0.0, 0.3)]) == Estimate(0.1, 0.0, 0.3)


def test_two_repetitions_have_the_interval_of_their_own_errors():
    found = over_repetitions([Estimate(0.0, -0.2, 0.2), Estimate(0.2, 0.0, 0.4)])
    assert found.mean == pytest.approx(0.1)
    assert found.high - found.mean == pytest.approx(0.2 / np.sqrt(2))
    assert found.repetitions == 2


def test_three_repetitions_have_the_interval_of_their_spread():
    means = [0.01, 0.02, 0.06]
    found = over_repetitions([Estimate(m, m - 1.0, m + 1.0) for m in means])
    low, high = stats.t.interval(0.95, 2, np.mean(means), stats.sem(means))
    assert (found.low, found.high) == pytest.approx((low, high))


def test_several_comparisons_make_the_interval_wider():
    each = [Estimate(m, m, m) for m in (0.01, 0.02, 0.06)]
    one, four = (over_repetitions(each, comparisons=k) for k in (1, 4))
    assert four.low < one.low < one.high < four.high


def test_the_interval_of_three_repetitions_covers_the_truth():
    rng = np.random.default_rng(0)
    drawn = rng.normal(0.5, 0.1, (2000, 3))
    intervals = [over_repetitions([Estimate(m, m, m) for m in each]) for each in drawn]
    covered = np.mean([one.low < 0.5 < one.high for one in intervals])
    assert 0.93 < covered < 0.97


def test_a_slope_is_that_of_least_squares():
    x, y = [2.0, 3.0, 3.5, 4.0], [0.05, 0.02, 0.02, 0.0]
    found = slope(x, [Estimate(v, v - 0.01, v + 0.01) for v in y])
    assert found.mean == pytest.approx(np.polyfit(x, y, 1)[0])
    assert found.low < found.mean < found.high


def test_the_interval_of_a_slope_covers_the_truth():
    rng = np.random.default_rng(0)
    x, error = np.array([2.0, 2.3, 2.7, 3.0]), 0.01
    half = 1.96 * error
    found = [
        slope(x, [Estimate(v, v - half, v + half) for v in -0.02 * x + rng.normal(0, error, 4)])
        for _ in range(2000)
    ]
    assert 0.93 < np.mean([one.low < -0.02 < one.high for one in found]) < 0.97
