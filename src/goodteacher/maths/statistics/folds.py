"""Intervals where each example is tested in one fold of a cross-validation, repeated or not.

With R repetitions of K folds each example is tested R times; its differences d are averaged. The
examples are then the sample, but their differences are not independent: students of different folds
share most of their training examples. Nadeau and Bengio's corrected resampled t-test widens the
variance between folds for that, by 1/J + n_test / n_train for J folds in all. In the limit of many
repetitions, and with the variance taken from N examples in place of a few folds, that is

    Var(mean) = K / (K - 1) * var(d) / N,      Student's t with N - 1 degrees of freedom

which is what is used here, and *ours*. As elsewhere, where fewer than four examples tell the arms
apart, the missing ones are assumed (:mod:`~goodteacher.maths.statistics.intervals`).

Measured coverage of 95 % intervals in percent, and mean half-width in points
(``benchmarks/fold_coverage.py``, 5 folds, 1,000 tables a cell, binomial standard error 0.7; linear
discriminants of two bootstrap samples, or of two strengths of shrinkage; beside it the crossed
model with repetitions as seeds, and Nadeau and Bengio's over the folds themselves)::

    ===  =======  =============  ============  =============  =============
    n    repeats  students       ours          crossed model  Nadeau-Bengio
    ===  =======  =============  ============  =============  =============
    60   1        no difference  97.0 +-12.19  94.8 +-10.90   98.9 +-22.93
    60   1        shrinkage      95.6 +-11.43  92.9 +-10.23   98.2 +-20.09
    60   5        no difference  94.9 +-5.43   98.3 +-7.32    100.0 +-14.30
    60   5        shrinkage      96.5 +-9.17   95.3 +-8.54    99.3 +-12.47
    150  1        no difference  96.0 +-5.78   93.4 +-5.17    98.9 +-11.17
    150  1        shrinkage      96.8 +-5.99   95.0 +-5.36    98.9 +-10.89
    150  5        no difference  96.9 +-2.56   98.0 +-3.29    100.0 +-6.72
    150  5        shrinkage      97.7 +-5.17   95.7 +-4.72    99.5 +-6.49
    600  1        no difference  96.5 +-1.92   93.9 +-1.72    98.7 +-3.60
    600  1        shrinkage      97.3 +-2.73   94.6 +-2.45    98.7 +-4.85
    600  5        no difference  96.6 +-0.86   98.1 +-1.10    100.0 +-2.20
    600  5        shrinkage      98.4 +-2.54   96.8 +-2.29    98.6 +-2.90
    ===  =======  =============  ============  =============  =============

Ours lies between 94.9 and 98.4.

Source: C. Nadeau and Y. Bengio, "Inference for the Generalization Error", Machine Learning 52
(2003); for repeated folds R. Bouckaert and E. Frank (PAKDD 2004).
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt
from scipy import stats

from goodteacher.errors import InputError
from goodteacher.maths.statistics._checks import (
    FloatArray,
    check_correct,
    check_level,
    check_matrix,
)
from goodteacher.maths.statistics.intervals import Interval, assumed_variance


def folds_interval(
    correct_a: npt.ArrayLike,
    correct_b: npt.ArrayLike,
    folds: npt.ArrayLike,
    *,
    level: float = 0.05,
) -> Interval:
    """Give the difference in accuracy of two arms, a minus b, from repeated cross-validation.

    Args:
        correct_a: ``[num_repeats, num_examples]``, true where the student of arm a that did not
            see the example is right.
        correct_b: The same for arm b, from the same folds.
        folds: ``[num_repeats, num_examples]``, number of the fold that each example was tested in.
        level: Error level in (0, 1); 0.05 is a 95 % interval.

    Returns:
        The interval, in fractions, within [-1, 1].

    Raises:
        InputError: The shapes differ, or there are fewer than two folds.

    Example:
        >>> a, b = [[1, 1, 1, 0] * 50], [[1, 1, 0, 0] * 50]
        >>> interval = folds_interval(a, b, [[0, 1, 2, 3, 4] * 40])
        >>> interval.mean, interval.low > 0
        (0.25, True)
    """
    first, second = check_correct(correct_a, "correct_a"), check_correct(correct_b, "correct_b")
    if first.shape != second.shape:
        raise InputError(
            f"correct_a and correct_b must have equal shape [num_repeats, num_examples], but got "
            f"{list(first.shape)} and {list(second.shape)}. Compare the same folds."
        )
    difference = first - second
    found = _interval(difference, folds, level, assumed=assumed_variance(difference))
    low, high = max(found.low, -1.0), min(found.high, 1.0)
    return dataclasses.replace(found, low=low, high=high, bounds=(-1.0, 1.0))


def folds_mean_interval(
    values: npt.ArrayLike, folds: npt.ArrayLike, *, level: float = 0.05
) -> Interval:
    """Give the mean of any real values from repeated cross-validation, such as loss differences.

    Args:
        values: ``[num_repeats, num_examples]``, finite.
        folds: ``[num_repeats, num_examples]``, number of the fold that each example was tested in.
        level: Error level in (0, 1); 0.05 is a 95 % interval.

    Returns:
        As :func:`folds_interval`, in the units of ``values``.

    Raises:
        InputError: The shapes differ, values are not finite, or there are fewer than two folds.

    Example:
        >>> folds_mean_interval([[0.5, 0.5, 0.5, 0.5]], [[0, 0, 1, 1]]).low
        0.5
    """
    return _interval(check_matrix(values, "values"), folds, level)


def _interval(
    values: FloatArray, folds: npt.ArrayLike, level: float, *, assumed: float = 0.0
) -> Interval:
    """Return the mean with its interval over examples, widened for training sets that overlap."""
    numbers = np.asarray(folds)
    if numbers.shape != values.shape:
        raise InputError(
            f"folds must have the shape {list(values.shape)} of what was measured, but have "
            f"{list(numbers.shape)}. Give the fold of each example, for each repetition."
        )
    fewest = min(len(np.unique(row)) for row in numbers)
    if fewest < 2:
        raise InputError("There must be at least two folds: with one, nothing is held out.")
    by_example = values.mean(axis=0)
    freedom = len(by_example) - 1
    variance = float(by_example.var(ddof=1)) / len(by_example) + assumed
    error = math.sqrt(variance * fewest / (fewest - 1))
    mean = float(by_example.mean())
    reach = float(stats.t.ppf(1 - check_level(level) / 2, freedom)) * error
    falling, staying = _parts(values, error**2, fewest / (fewest - 1))
    return Interval(
        mean,
        mean - reach,
        mean + reach,
        level,
        len(values),
        freedom + 1,
        error,
        float(freedom),
        falling,
        staying,
    )


def _parts(values: FloatArray, variance: float, widened: float) -> tuple[float, float]:
    """Return the part of a variance that falls with more repetitions, and the part that stays.

    An example's answers differ between repetitions by the luck of folds and seeds; the mean of R
    has 1/R of that variance. One repetition cannot tell the parts apart: NaN.
    """
    repeats, examples = values.shape
    if repeats == 1:
        return math.nan, math.nan
    luck = float(values.var(axis=0, ddof=1).mean()) / (repeats * examples)
    falling = min(widened * luck, variance)
    return falling, variance - falling
