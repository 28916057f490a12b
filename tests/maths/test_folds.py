"""Intervals of repeated cross-validation."""

import numpy as np
import pytest

from goodteacher.errors import InputError
from goodteacher.maths.statistics import folds_interval, folds_mean_interval, paired_interval


def numbered(repeats, examples, folds, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(examples) % folds for _ in range(repeats)])


def test_one_repetition_is_the_interval_of_the_examples_widened_for_shared_training_rows():
    a, b = np.tile([1, 1, 1, 0], 50)[None], np.tile([1, 0, 1, 1], 50)[None]
    for folds in (2, 5):
        found, alone = folds_interval(a, b, numbered(1, 200, folds)), paired_interval(a, b)
        assert found.mean == alone.mean
        assert found.high == pytest.approx(alone.high * np.sqrt(folds / (folds - 1)))


def test_it_is_nadeau_and_bengios_in_the_limit_of_many_repetitions():
    """Their variance, 1/J + 1/(K-1) times that between folds, which is K/N times an example's."""
    values = np.random.default_rng(0).normal(size=(1, 400))
    found = folds_mean_interval(values, numbered(1, 400, 5))
    between_folds = 5 / 400 * values.var(ddof=1)
    assert found.standard_error**2 == pytest.approx((0 + 1 / 4) * between_folds)


def test_where_nothing_differs_the_interval_is_no_point():
    same = np.ones((3, 60))
    found = folds_interval(same, same, numbered(3, 60, 5))
    assert found.low < -0.02
    assert found.high > 0.02


def test_repeating_the_same_folds_tells_nothing_new():
    rng = np.random.default_rng(0)
    a, b, folds = rng.random((1, 200)) < 0.8, rng.random((1, 200)) < 0.7, numbered(1, 200, 5)
    once = folds_interval(a, b, folds)
    many = folds_interval(*(np.repeat(each, 10, axis=0) for each in (a, b, folds)))
    assert (many.low, many.high) == pytest.approx((once.low, once.high))
    assert many.n_seeds == 10


def test_repetitions_that_differ_average_out_what_folds_do():
    rng = np.random.default_rng(0)
    a, b, folds = rng.random((10, 200)) < 0.8, rng.random((10, 200)) < 0.8, numbered(10, 200, 5)
    once = folds_interval(a[:1], b[:1], folds[:1])
    many = folds_interval(a, b, folds)
    assert many.high - many.low < 0.5 * (once.high - once.low)


def test_it_covers_what_it_should_where_nothing_is_gained():
    """Of 200 experiments in which nothing is gained, at least 180 intervals of 95 % hold 0."""
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
