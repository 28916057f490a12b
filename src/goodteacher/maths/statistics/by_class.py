"""Differences of two arms class by class, with intervals that hold for all classes together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from goodteacher.maths.statistics.decisions import simultaneous
from goodteacher.maths.statistics.intervals import Interval, paired_interval


class ClassDifference(NamedTuple):
    """How much more often one arm is right about the examples of a class than another.

    Attributes:
        number: Of the class.
        single: The difference with its own interval.
        joint: The same with the interval that holds for all classes together.
    """

    number: int
    single: Interval
    joint: Interval


def rows_by_class(
    labels: npt.NDArray[np.int64], num_classes: int
) -> dict[int, npt.NDArray[np.int64]]:
    """Return which examples each class has, ascending, of every class that has any.

    Args:
        labels: Classes of the examples, ``[num_examples]``.
        num_classes: C; other labels are left out.

    Example:
        >>> {n: rows.tolist() for n, rows in rows_by_class(np.array([2, 0, 2]), 3).items()}
        {0: [1], 2: [0, 2]}
    """
    if not len(labels):
        return {}
    order = np.argsort(labels, kind="stable")
    numbers, starts = np.unique(labels[order], return_index=True)
    rows = np.split(order, starts[1:])
    return {int(n): r for n, r in zip(numbers, rows, strict=True) if 0 <= n < num_classes}


def differences_by_class(
    correct_a: npt.NDArray[np.bool_],
    correct_b: npt.NDArray[np.bool_],
    labels: npt.NDArray[np.int64],
    *,
    num_classes: int,
    level: float = 0.05,
) -> tuple[ClassDifference, ...]:
    """Give the difference in accuracy of two arms, a minus b, for each class.

    Args:
        correct_a: ``[num_seeds, num_examples]``, true where that seed's student is right.
        correct_b: The same for arm b: see :func:`paired_interval`.
        labels: Classes of the examples, ``[num_examples]``.
        num_classes: C.
        level: Error level of each interval, and of the joint ones together.

    Returns:
        In the order of the classes; those with fewer than two examples are left out.

    Example:
        >>> labels = np.arange(300) % 3
        >>> right = np.ones((1, 300), dtype=bool)
        >>> (first, *_) = differences_by_class(right & (labels > 0), right, labels, num_classes=3)
        >>> first.number, first.single.mean
        (0, -1.0)
    """
    measured = {n: rows for n, rows in rows_by_class(labels, num_classes).items() if len(rows) > 1}
    single = [
        paired_interval(correct_a[:, member], correct_b[:, member], level=level)
        for member in measured.values()
    ]
    joint = simultaneous(single, level=level) if single else []
    return tuple(map(ClassDifference, measured, single, joint))
