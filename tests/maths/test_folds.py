"""Intervals of repeated cross-validation."""

import numpy as np
import pytest
from scipy import stats

from goodteacher.errors import InputError
from goodteacher.maths.statistics import folds_interval, folds_mean_interval, paired_interval


def numbered(repeats, examples, folds, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(examples) % folds for _ in range(repeats)])


def test_it_is_nadeau_and_bengios_where_folds_differ_more_than_examples_say():
    folds = np.array([np.arange(50) // 10])
    by_fold = np.array([0.5, 0.1, -0.2, 0.3, 0.0])
    values = by_fold[folds]
    found = folds_mean_interval(values, folds, level=0.05)
    error = np.sqrt((1 / 5 + 1 / 4) * by_fold.var(ddof=1))
    reach = stats.t.ppf(0.975, 4) * error
    assert (found.low, found.high) == pytest.approx((by_fold.mean() - reach, 0.14 + reach))
    assert found.degrees_of_freedom == 4


def test_it_is_that_of_the_examples_where_all_folds_are_alike():
    a, b = np.tile([1, 1, 1, 0], 50)[None], np.tile([1, 0, 1, 1], 50)[None]
    folds = (np.arange(200) // 4 % 5)[None]
    found, alone = folds_interval(a, b, folds), paired_interval(a, b)
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high))


def test_where_nothing_differs_the_interval_is_no_point():
    same = np.ones((3, 60))
    found = folds_interval(same, same, numbered(3, 60, 5))
    assert found.low < -0.02
    assert found.high > 0.02


def test_repeating_the_same_folds_does_not_make_examples_surer():
    rng = np.random.default_rng(0)
    a, b = rng.random((1, 200)) < 0.8, rng.random((1, 200)) < 0.7
    folds = numbered(1, 200, 5)
    once = paired_interval(a, b)
    many = folds_interval(*(np.repeat(each, 10, axis=0) for each in (a, b, folds)))
    assert many.high - many.low >= once.high - once.low - 1e-9
    assert many.n_seeds == 10


def test_it_covers_what_it_should_where_nothing_is_gained():
    """95 % intervals of 5 folds: of 200 null experiments, at least 180 hold the truth, 0."""
    rng = np.random.default_rng(1)
    held = 0
    for experiment in range(200):
        a, b = rng.random((2, 120)) < 0.8, rng.random((2, 120)) < 0.8
        found = folds_interval(a, b, numbered(2, 120, 5, seed=experiment))
        held += found.low <= 0 <= found.high
    assert held >= 180


def test_the_ends_stay_within_what_is_possible():
    a, b = np.ones((1, 10)), np.zeros((1, 10))
    folds = (np.arange(10) % 2)[None]
    assert folds_interval(a, b, folds).high == 1


def test_folds_of_another_shape_are_refused():
    with pytest.raises(InputError, match=r"folds must have the shape \[1, 4\]"):
        folds_interval([[1, 0, 1, 0]], [[1, 1, 1, 0]], [[0, 1]])


def test_one_fold_is_refused():
    with pytest.raises(InputError, match="at least two folds"):
        folds_interval([[1, 0, 1, 0]], [[1, 1, 1, 0]], [[0, 0, 0, 0]])


def test_arms_of_other_folds_are_refused():
    with pytest.raises(InputError, match="must have equal shape"):
        folds_interval(np.ones((1, 4)), np.ones((2, 4)), np.zeros((1, 4)))
