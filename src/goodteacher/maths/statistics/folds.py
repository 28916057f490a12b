"""Intervals where each example is tested in one fold of a cross-validation, repeated or not.

A difference of two arms has two sources of chance here: the examples that happen to be in the
table, and how training sets fall. For the first, each repetition is one row of the crossed model
(:mod:`~goodteacher.maths.statistics.intervals`, examples only); the half-widths of repetitions are
averaged, so that repeating narrows nothing: it brings no new examples. For the second, Nadeau and
Bengio's corrected resampled t-test knows that students of different folds share most of their
training examples: over the J = R K differences d_j of R repetitions of K folds,

    Var(mean) = (1/J + n_test / n_train) * var(d_j),      Student's t with J - 1 degrees of freedom

It in turn knows nothing of examples that a small table did not happen to show, and is a point where
no prediction differs. The interval here holds both, which is *ours*.

Source: C. Nadeau and Y. Bengio, "Inference for the Generalization Error", Machine Learning 52
(2003); for repeated folds R. Bouckaert and E. Frank (PAKDD 2004).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from goodteacher.errors import InputError
from goodteacher.maths.statistics._checks import FloatArray, check_correct, check_matrix
from goodteacher.maths.statistics.intervals import Interval, crossed_interval, paired_interval


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
        The wider end of two intervals on each side: that of the examples, and Nadeau and Bengio's.

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
    pairs = zip(first, second, strict=True)
    rows = [paired_interval(a[None], b[None], level=level) for a, b in pairs]
    return _widened(rows, first - second, folds)


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
    matrix = check_matrix(values, "values")
    rows = [crossed_interval(row[None], level=level) for row in matrix]
    return _widened(rows, matrix, folds)


def _widened(rows: Sequence[Interval], values: FloatArray, folds: npt.ArrayLike) -> Interval:
    """Return an interval that holds that of the examples, and Nadeau and Bengio's."""
    numbers = np.asarray(folds)
    if numbers.shape != values.shape:
        raise InputError(
            f"folds must have the shape {list(values.shape)} of what was measured, but have "
            f"{list(numbers.shape)}. Give the fold of each example, for each repetition."
        )
    parts = [
        float(row[fold == number].mean())
        for row, fold in zip(values, numbers, strict=True)
        for number in np.unique(fold)
    ]
    per_repeat = len(parts) / len(numbers)
    if per_repeat < 2:
        raise InputError("There must be at least two folds: with one, nothing is held out.")
    one, mean = rows[0], float(values.mean())
    of_examples = math.fsum(row.standard_error for row in rows) / len(rows)
    factor = 1 / len(parts) + 1 / (per_repeat - 1)
    of_folds = math.sqrt(factor * float(np.var(parts, ddof=1)))
    choices = {one.degrees_of_freedom: of_examples, len(parts) - 1.0: of_folds}
    quantile = {freedom: float(stats.t.ppf(1 - one.level / 2, freedom)) for freedom in choices}
    freedom = max(choices, key=lambda each: quantile[each] * choices[each])
    reach = quantile[freedom] * choices[freedom]
    return dataclasses.replace(
        one,
        mean=mean,
        low=max(mean - reach, one.bounds[0]),
        high=min(mean + reach, one.bounds[1]),
        n_seeds=len(rows),
        standard_error=choices[freedom],
        degrees_of_freedom=freedom,
    )
