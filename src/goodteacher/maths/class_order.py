"""Do predictions fit the labels far better with their classes in another order?

The order is the assignment of predicted classes to labels with the highest mean recall (Hungarian
method). An order that is fitted to noise always looks better on what it was fitted to, so (*ours*)
it is fitted to one half of each class and judged on the other half, both ways round. It is reported
where the classes that it moves gain at least 15 points of recall there, and at least four standard
errors: noise, and poor predictions that confuse classes without exchanging them, do not.

Classes that are neither a label nor predicted stay where they are, so what is compared has a cell
for each pair of the others. Where these are more than 2,000, no order is sought: among 5,700
classes of which nothing is known, it took minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from torch import Tensor

MIN_GAIN = 0.15
"""Recall that the moved classes gain at least, on examples that the order was not fitted to."""

MIN_STANDARD_ERRORS = 4.0
"""How many standard errors that gain is at least."""

MOST_CLASSES = 2000
"""Classes that are a label or predicted, beyond which no order is sought."""

_MIN_EXAMPLES = 10  # of moved classes that judge an order

_Classes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ClassOrder:
    """An order of the predicted classes that fits the labels far better.

    Attributes:
        column_of: For each class, the predicted class that fits it, [C], a permutation.
        agreement: Share of the examples whose prediction is the label, as things are.
        agreement_in_order: The same in that order.
    """

    column_of: tuple[int, ...]
    agreement: float
    agreement_in_order: float

    @property
    def moved(self) -> tuple[int, ...]:
        """The classes that another column fits."""
        return tuple(c for c, column in enumerate(self.column_of) if c != column)


def find_class_order(predicted: Tensor, labels: Tensor, num_classes: int) -> ClassOrder | None:
    """Find an order of classes in which predictions fit the labels far better.

    Args:
        predicted: The predicted class of each example, int64 [N] in 0..C-1.
        labels: int64 [N] in 0..C-1; -1 is unlabelled and left out.
        num_classes: C.

    Returns:
        The order, or None where none is far better than the given one, or none was sought (see the
        module).

    Example:
        >>> import torch
        >>> labels = torch.arange(60) % 3
        >>> find_class_order(labels.remainder(3).add(1).remainder(3), labels, 3).column_of
        (1, 2, 0)
        >>> find_class_order(labels, labels, 3) is None
        True
    """
    known = labels.numpy() >= 0
    truth, guess = labels.numpy()[known], predicted.numpy()[known]
    if not len(truth):
        return None
    used = np.union1d(truth, guess)
    if len(used) > MOST_CLASSES:
        return None
    truth, guess = np.searchsorted(used, truth), np.searchsorted(used, guess)
    half = _halves(truth)
    gains = []
    for judge in (0, 1):
        order = _order(guess[half != judge], truth[half != judge], len(used))
        gains.append(_gains(guess, truth, half == judge, order))
    gain = np.concatenate(gains)
    if len(gain) < _MIN_EXAMPLES or min(map(len, gains)) == 0:
        return None
    # The last term keeps the error of a handful of unanimous examples above 0.
    error = np.sqrt(gain.var() / len(gain) + 1 / len(gain) ** 2)
    if gain.mean() < max(MIN_GAIN, MIN_STANDARD_ERRORS * error):
        return None
    order, columns = _order(guess, truth, len(used)), np.arange(num_classes)
    columns[used] = used[order]
    return ClassOrder(
        tuple(columns.tolist()),
        agreement=float((guess == truth).mean()),
        agreement_in_order=float((guess == order[truth]).mean()),
    )


def _halves(truth: _Classes) -> _Classes:
    """Deal the examples of each class to two halves in turn."""
    half = np.empty(len(truth), dtype=np.int64)
    for c in np.unique(truth):
        rows = np.flatnonzero(truth == c)
        half[rows] = np.arange(len(rows)) % 2
    return half


def _order(guess: _Classes, truth: _Classes, num_classes: int) -> _Classes:
    """Return the best column of each class; cycles that gain little stay as they are."""
    recall = np.zeros((num_classes, num_classes))
    np.add.at(recall, (truth, guess), 1.0)
    recall /= np.maximum(recall.sum(1, keepdims=True), 1)
    # A hair for the given order: where nothing is known, nothing moves.
    order = linear_sum_assignment(recall + 1e-9 * np.eye(num_classes), maximize=True)[1]
    own = np.arange(num_classes)
    for cycle in _cycles(order):
        if (recall[cycle, order[cycle]] - recall[cycle, cycle]).mean() < MIN_GAIN:
            order[cycle] = own[cycle]
    return np.asarray(order, dtype=np.int64)


def _cycles(order: npt.NDArray[np.intp]) -> Iterator[list[int]]:
    seen: set[int] = set()
    for start in range(len(order)):
        cycle, place = [], start
        while place not in seen:
            seen.add(place)
            cycle.append(place)
            place = int(order[place])
        if len(cycle) > 1:
            yield cycle


def _gains(
    guess: _Classes, truth: _Classes, judge: npt.NDArray[np.bool_], order: _Classes
) -> npt.NDArray[np.float64]:
    """Return by how much each judging example of a moved class gains: -1, 0 or 1."""
    guess, truth = guess[judge], truth[judge]
    moved = order[truth] != truth
    right = (guess == order[truth]).astype(np.float64)
    return np.asarray((right - (guess == truth))[moved])
