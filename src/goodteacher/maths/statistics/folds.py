"""Intervals where each example is tested in one fold of a cross-validation, repeated or not.

With R repetitions of K folds each example is tested R times, so repetitions stand for the seeds of
the crossed model (:mod:`~goodteacher.maths.statistics.intervals`). That model does not know that
the students of different folds share most of their training examples. Nadeau and Bengio's corrected
resampled t-test does: over the J = R K differences d_j of the folds,

    Var(mean) = (1/J + n_test / n_train) * var(d_j),      Student's t with J - 1 degrees of freedom

It in turn knows nothing of examples that a small table did not happen to show, and is a point
where no prediction differs. The interval here holds both, which is *ours*.

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
from goodteacher.maths.statistics._checks import check_correct
from goodteacher.maths.statistics.intervals import Interval, paired_interval


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
        The wider end of two intervals on each side: the crossed model's, and Nadeau and Bengio's.

    Raises:
        InputError: The shapes differ, or there are fewer than two folds.

    Example:
        >>> a, b = [[1, 1, 1, 0] * 50], [[1, 1, 0, 0] * 50]
        >>> interval = folds_interval(a, b, [[0, 1, 2, 3, 4] * 40])
        >>> interval.mean, interval.low > 0
        (0.25, True)
    """
    crossed = paired_interval(correct_a, correct_b, level=level)
    difference = check_correct(correct_a, "correct_a") - check_correct(correct_b, "correct_b")
    numbers = np.asarray(folds)
    if numbers.shape != difference.shape:
        raise InputError(
            f"folds must have the shape {list(difference.shape)} of correct_a, but have "
            f"{list(numbers.shape)}. Give the fold of each example, for each repetition."
        )
    parts = [
        float(row[fold == number].mean())
        for row, fold in zip(difference, numbers, strict=True)
        for number in np.unique(fold)
    ]
    per_repeat = len(parts) / len(numbers)
    if per_repeat < 2:
        raise InputError("There must be at least two folds; with one nothing is held out.")
    factor = 1 / len(parts) + 1 / (per_repeat - 1)
    error = math.sqrt(factor * float(np.var(parts, ddof=1)))
    reach = float(stats.t.ppf(1 - level / 2, len(parts) - 1)) * error
    return dataclasses.replace(
        crossed,
        low=max(min(crossed.low, crossed.mean - reach), -1.0),
        high=min(max(crossed.high, crossed.mean + reach), 1.0),
    )
