"""Rows of which only the k largest classes were kept.

Such a response looks whole: the rest is 0, or some very low logit. What it says about the rest is
false, and at a high temperature that is most of what it says. It is told from a whole response by
its *pattern*: at least half of the rows keep exactly the largest number k of classes that any row
keeps, 2 <= k < C, and which they are differs from row to row. None of the following does that:

* a confident teacher whose small probabilities round to 0 (float16, three decimals): the number of
  classes that are left varies;
* votes of k trees or neighbours, which give at most k classes: all values are multiples of 1/k;
* classes that a teacher excludes by its structure: the same ones in every row, or groups of classes
  that exclude one another.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

MIN_ROWS = 10
"""Fewer rows show no pattern."""

_SHARE = 0.5  # of the rows that keep exactly k classes
_EXAMINED = 20_000  # rows
_MOST_VOTERS = 64
_NO_MASS = 1e-6  # probability of all fillers of a row together

Floats = npt.NDArray[np.floating]


def kept_classes(kept: npt.NDArray[np.bool_]) -> int | None:
    """Return k if rows keep their k largest classes only, else None.

    Args:
        kept: Which classes each row keeps, bool [N, C].

    Example:
        >>> rng = np.random.default_rng(0)
        >>> kept_classes(rng.random((50, 10)).argsort(1) < 3)
        3
        >>> kept_classes(rng.random((50, 10)) < 0.3) is None
        True
    """
    if len(kept) < MIN_ROWS:
        return None
    counts = kept.sum(axis=1)
    k = int(counts.max())
    full = kept[counts == k]
    if not 2 <= k < kept.shape[1] or len(full) < _SHARE * len(kept):
        return None
    supports = np.unique(full, axis=0)
    apart = int(supports.sum()) == int(supports.any(axis=0).sum())
    return None if apart else k


def kept_of_probabilities(values: Floats) -> int | None:
    """Return k if probabilities are those of the k largest classes, with zeros elsewhere.

    Args:
        values: [N, C], at least 0.

    Example:
        >>> values = np.random.default_rng(0).dirichlet(np.ones(9), 40)
        >>> kept_of_probabilities(values) is None
        True
        >>> kept_of_probabilities(np.where(values.argsort(1).argsort(1) > 5, values, 0.0))
        3
    """
    rows = values[:: _step(len(values))]
    k = kept_classes(rows > 0)
    return None if k is None or _are_votes(rows, k) else k


def kept_of_logits(values: Floats) -> int | None:
    """Return k if logits are those of the k largest classes, with a filler elsewhere.

    The filler is one value in all rows (0, -100, ``-inf``), or each row's lowest, shared by at
    least two classes that together have a probability below 1e-6. A shared lowest value that has
    more is a tail that someone spread on purpose.

    Args:
        values: [N, C].

    Example:
        >>> values = np.random.default_rng(0).normal(size=(40, 9))
        >>> kept_of_logits(values) is None
        True
        >>> kept_of_logits(np.where(values.argsort(1).argsort(1) > 5, values, -100.0))
        3
    """
    rows = values[:: _step(len(values))]
    filler = _commonest(rows)
    if filler == -np.inf:
        return kept_of_probabilities(softmax(rows.astype(np.float64), axis=1))
    filled = rows == filler
    if filled.any(axis=1).mean() >= _SHARE:
        k = kept_classes(~filled)
        if k is not None:
            return k
    lowest = rows == rows.min(axis=1, keepdims=True)
    mass = np.where(lowest, softmax(rows.astype(np.float64), axis=1), 0.0).sum(axis=1)
    empty = (lowest.sum(axis=1) >= 2) & (mass < _NO_MASS)
    return kept_classes(~(lowest & empty[:, None]))


def _commonest(rows: Floats) -> float:
    some = rows[:: max(1, len(rows) // 2000)]
    values, counts = np.unique(some, return_counts=True)
    return float(values[counts.argmax()])


def _step(num_rows: int) -> int:
    return max(1, num_rows // _EXAMINED)


def _are_votes(values: Floats, k: int) -> bool:
    """Tell whether a vote of few voters explains that no row has more than k classes."""
    smallest = float(values[values > 0].min())
    voters = round(1 / smallest)
    if not k <= voters <= _MOST_VOTERS:
        return False
    votes = values.astype(np.float64) * voters
    # Three decimals of a share, times the voters, may miss a whole number by this much.
    return bool((np.abs(votes - np.round(votes)) <= 6e-4 * voters).all())
