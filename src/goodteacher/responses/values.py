"""From numbers to logits: what files, arrays and tensors hold is examined in one place.

Decisions, all *ours*:

* Probabilities become log-probabilities, which are logits up to a constant per row. A probability
  of exactly 0 becomes ``-inf``: it stays 0 at every temperature.
* Rows of probabilities may miss a sum of 1 by what rounding does: 0.004 (float16, bfloat16), or
  half a unit of the last decimal for each class where all values have at most four decimals. They
  are then divided by their sum, and a note says how far off they were.
* Values said to be logits of which every row is non-negative and sums to 1, as well as those of
  which every row holds votes or per cent, are refused: taken as logits they would mean another
  thing.
* Rows of which only the k largest classes were kept (:mod:`~goodteacher.responses.truncated`) are
  read where it is known how much is missing: probabilities (or log-probabilities) whose rows sum to
  less than 1. The missing rest is spread evenly over the other classes. Otherwise they are refused.
* What numbers look like is judged by all of them up to 4 million, and by as many rows of a larger
  response, evenly spread. Whether they can be used is judged by every row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from goodteacher.errors import ResponseError
from goodteacher.maths.rows import Logits, row_chunks
from goodteacher.responses.stored import is_large, made_rows, rows_of
from goodteacher.responses.truncated import MIN_ROWS, kept_of_logits, kept_of_probabilities

Array = npt.NDArray[Any]
Change = Callable[[Array], Array]
"""From numbers as they were given, float64 [n, C], to logits."""

SUM_TOLERANCE = 4e-3
"""How far the sum of a row of probabilities may lie from 1, whatever their precision."""

_MOST_DECIMALS = 4
_SAID_FROM = 1e-4  # a sum that misses 1 by more is told
_MIN_ROWS = 5  # fewer rows share a sum by chance
_ZEROS_SAID = 0.01  # share of zeros that is told


def logits_of(values: Array, what: str, *, probabilities: bool) -> tuple[Logits, tuple[str, ...]]:
    """Turn a response's numbers into logits, or refuse them.

    Args:
        values: ``[num_examples, num_classes]``, any numeric type.
        what: What is being read, for messages, such as a file's name.
        probabilities: The numbers are said to be probabilities.

    Returns:
        float32 ``[num_examples, num_classes]``, made where they are asked for if the response is
        large, and notes that the user should read.

    Raises:
        ResponseError: Shape or type do not fit, or the numbers do not look like what they are said
            to be.

    Example:
        >>> logits, notes = logits_of(np.array([[0.9, 0.1], [0.5, 0.5]]), "it", probabilities=True)
        >>> logits.exp().round(decimals=3), notes
        (tensor([[0.9000, 0.1000],
                [0.5000, 0.5000]]), ())
    """
    _check_form(values, what)
    read = _from_probabilities if probabilities else _from_logits
    change, notes = read(values, _wide(values[:: _step(values)]), what)
    if change is None:
        return rows_of(values), notes
    count, width = values.shape
    rows = made_rows(count, width, lambda index: change(_wide(values[index])))
    return (rows if is_large(count, width) else rows.whole()), notes


_EXAMINED = 2**22
"""Numbers by which it is judged what a response looks like."""


def _step(values: Array) -> int:
    """Return which of the rows are looked at: each, or every so many of a large response."""
    return max(1, min(values.size // _EXAMINED, len(values) // MIN_ROWS))


def _wide(values: Array) -> Array:
    return values.astype(np.float64)


def look_like_probabilities(values: Array) -> bool:
    """Tell whether every row is non-negative and sums to 1, up to rounding."""
    if not len(values) or not bool((values >= 0).all()):
        return False
    wide = values.astype(np.float64)
    return bool((np.abs(wide.sum(axis=1) - 1) <= _tolerance(wide)).all())


# --- form ----------------------------------------------------------------------------------------


def _check_form(values: Array, what: str) -> None:
    shape = list(values.shape)
    if values.dtype.kind in "fiu" and (values.ndim == 1 or shape[1:] == [1]):
        raise ResponseError(
            f"{what} holds one number for each of {len(values)} examples (shape {shape}), but one "
            "for each class is needed. With two classes, give two columns: 1 - p and p for a "
            "probability p of the second class, or 0 and z for its logit z. Class numbers (an "
            "argmax) are not a response."
        )
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        hint = " Lists of different length, or text?" * (values.dtype.kind in "OUS")
        raise ResponseError(
            f"{what} must be numbers of shape [num_examples, num_classes], but is {values.dtype} "
            f"of shape {shape}.{hint or ' Is an axis missing or too many?'}"
        )
    if not values.size:
        raise ResponseError(
            f"{what} holds nothing: its shape is {shape}. Give a number for each class of each "
            "example."
        )
    if values.dtype.itemsize == 1:
        raise ResponseError(
            f"{what} holds {values.dtype}, as a quantised network's output does. Without its scale "
            "no temperature means anything: give scale * (value - zero_point) as float32."
        )


# --- probabilities -------------------------------------------------------------------------------


def _tolerance(wide: Array) -> float:
    """Return how far rounding may take the sum of a row from 1."""
    for decimals in range(2, _MOST_DECIMALS + 1):
        unit = 10.0**-decimals
        in_units = wide / unit
        # float16 holds three decimals to 2.4e-4 only, hence a tenth of a unit.
        if bool((np.abs(in_units - np.round(in_units)) <= 1e-3).all()):
            return float(max(SUM_TOLERANCE, min(0.5 * unit * wide.shape[1], 0.5)))
    return SUM_TOLERANCE


@dataclass(frozen=True)
class _Facts:
    """What every row of probabilities shows.

    Attributes:
        sums: Sum of each row, [N].
        lowest: Smallest value of each row, [N].
        zeros: Share of the values that are 0.
        several: Whether a row has more than one class.
    """

    sums: Array
    lowest: Array
    zeros: float
    several: bool


def _facts(values: Array) -> _Facts:
    sums, lowest = np.empty((2, len(values)))
    zeros, several = 0, False
    for rows in row_chunks(*values.shape):
        wide = _wide(values[rows])
        sums[rows], lowest[rows] = wide.sum(axis=1), wide.min(axis=1)
        zeros += int((wide == 0).sum())
        several = several or bool(((wide > 0).sum(axis=1) > 1).any())
    return _Facts(sums, lowest, zeros / values.size, several)


def _from_probabilities(
    values: Array, some: Array, what: str
) -> tuple[Change | None, tuple[str, ...]]:
    """Return how probabilities become logits, and notes.

    Args:
        values: All of them.
        some: Those that are looked at, float64.
        what: For messages.
    """
    facts = _facts(values)
    if not bool(np.isfinite(facts.sums).all()):
        return None, ()  # Response says what is wrong with that
    _check_range(facts, what)
    k = kept_of_probabilities(some)
    if k is not None:
        return _with_tail(facts.sums, k, some.shape[1], what)
    tolerance = _tolerance(some)
    wrong = np.flatnonzero(np.abs(facts.sums - 1) > tolerance)
    if len(wrong):
        row = int(wrong[0])
        raise ResponseError(
            f"Probabilities in {what} must be at least 0 and sum to 1 (within {tolerance:g}) in "
            f"each row, but {len(wrong)} of {len(values)} rows do not; the first is row {row}, "
            f"which sums to {facts.sums[row]:g} with smallest value {facts.lowest[row]:g}. Are "
            "classes missing, or are these separate yes/no (sigmoid) outputs? Give one "
            "distribution over all classes."
        )
    return _log_of_shares, (*_note_sums(facts.sums, what), *_note_zeros(facts, what))


def _log_of_shares(wide: Array) -> Array:
    return _log(wide / wide.sum(axis=1, keepdims=True))


def _check_range(facts: _Facts, what: str) -> None:
    sums = facts.sums
    wrong = np.flatnonzero(~(facts.lowest >= 0))
    if len(wrong):
        row = int(wrong[0])
        raise ResponseError(
            f"Probabilities in {what} must be at least 0 and sum to 1 in each row, but "
            f"{len(wrong)} of {len(sums)} rows do not; the first is row {row}, which sums to "
            f"{sums[row]:g} with smallest value {facts.lowest[row]:g}. If they are logits, leave "
            "out probabilities=True (--probabilities)."
        )
    if bool((np.abs(sums - 100) <= 100 * SUM_TOLERANCE).all()):
        raise ResponseError(
            f"Every row of {what} sums to 100, so these are percentages. Divide them by 100."
        )


def _note_sums(sums: Array, what: str) -> tuple[str, ...]:
    off = float(np.abs(sums - 1).max())
    if off <= _SAID_FROM:
        return ()
    return (
        f"rows of probabilities in {what} do not sum to exactly 1 (off by up to {off:.2g}), as is "
        "usual for rounded numbers. They were divided by their sum.",
    )


def _note_zeros(facts: _Facts, what: str) -> tuple[str, ...]:
    share = facts.zeros
    if share < _ZEROS_SAID or not facts.several:
        return ()
    return (
        f"{100 * share:.1f} % of the probabilities in {what} are exactly 0 and stay 0 at every "
        "temperature. If they are 0 because of rounding, save float32 or raw logits instead.",
    )


def _log(probabilities: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(probabilities))


def _with_tail(sums: Array, k: int, num_classes: int, what: str) -> tuple[Change, tuple[str, ...]]:
    """Spread what rows of the k largest classes lack of 1 evenly over the other classes."""
    missing = 1 - sums
    if float(missing.min()) < -SUM_TOLERANCE or float(missing.max()) <= SUM_TOLERANCE:
        raise _truncated(
            what,
            k,
            num_classes,
            f"rows sum to {sums.min():.4g}..{sums.max():.4g}, which is 1 up to rounding",
        )
    note = (
        f"{what} contains the {k} largest of {num_classes} classes of each row; the others are 0. "
        f"The rest of the probability ({100 * missing.mean():.2g} % on average) was spread evenly "
        "over the other classes, so the response contains no information about which of them are "
        "similar."
    )
    return _spread, (note,)


def _spread(wide: Array) -> Array:
    empty = wide == 0
    missing = np.maximum(1 - wide.sum(axis=1), 0)
    tail = missing / np.maximum(empty.sum(axis=1), 1)
    return _log_of_shares(np.where(empty, tail[:, None], wide))


def _truncated(what: str, k: int, num_classes: int, why: str) -> ResponseError:
    return ResponseError(
        f"{what} holds only the {k} largest of {num_classes} classes of each row, and the others "
        f"have the same fill value. How much probability they had is not known ({why}), and at a "
        "higher temperature they are most of the response. Save all classes. Or save the "
        "probabilities of the largest classes, not renormalised, with 0 elsewhere, and pass "
        "probabilities=True (--probabilities): the rest of the probability is then spread evenly."
    )


# --- logits --------------------------------------------------------------------------------------


def _from_logits(values: Array, wide: Array, what: str) -> tuple[Change | None, tuple[str, ...]]:
    """Return how numbers that are said to be logits become logits, and notes.

    Args:
        values: All of them.
        wide: Those that are looked at, float64.
        what: For messages.
    """
    if look_like_probabilities(wide):
        raise ResponseError(
            f"Logits are expected in {what}, but every row is non-negative and sums to one: they "
            "look like probabilities. Pass probabilities=True (--probabilities), or save the "
            "teacher's raw logits."
        )
    if not bool(np.isfinite(wide.max(axis=1)).all()):
        return None, ()  # Response says what is wrong with that
    _check_counts(wide, what)
    in_unit = bool(((wide >= 0) & (wide <= 1)).all())
    if in_unit and bool((wide.sum(axis=1) <= 1 + SUM_TOLERANCE).all()):
        k = kept_of_probabilities(wide)
        if k is not None:
            raise ResponseError(
                f"Logits are expected in {what}, but its rows look like probabilities of their {k} "
                "largest classes, with 0 elsewhere. Pass probabilities=True (--probabilities), or "
                "save the teacher's raw logits of all classes."
            )
    k = kept_of_logits(wide)
    if k is not None:
        return _from_log_probabilities(values, wide, k, what)
    return None, _note_unit(wide, what) if in_unit else ()


def _check_counts(wide: Array, what: str) -> None:
    """Refuse votes and per cent: non-negative rows of one sum."""
    several = (wide > 0).sum(axis=1) > 1
    if len(wide) < _MIN_ROWS or not bool((wide >= 0).all() and several.any()):
        return
    sums = wide.sum(axis=1)
    total = float(np.median(sums))
    whole = bool((wide == np.round(wide)).all()) and total >= 2
    equal = bool((np.abs(sums - total) <= SUM_TOLERANCE * total).all())
    varied = bool((wide != wide[:1]).any())
    if equal and varied and (whole or abs(total - 100) <= 100 * SUM_TOLERANCE):
        kind = "percentages" if abs(total - 100) <= 1 else "votes"
        raise ResponseError(
            f"Logits are expected in {what}, but every row is non-negative and sums to {total:g}: "
            f"these look like {kind}. Divide them by {total:g} and pass probabilities=True "
            "(--probabilities)."
        )


def _from_log_probabilities(
    values: Array, some: Array, k: int, what: str
) -> tuple[Change, tuple[str, ...]]:
    """Read logits of the k largest classes where they are log-probabilities that lack a rest."""
    sums = np.empty(len(values))
    for rows in row_chunks(*values.shape):
        sums[rows] = _shares(_wide(values[rows]), k).sum(axis=1)
    kept = some[some > _next_lower(some, k)]
    lacks = bool((sums <= 1 + SUM_TOLERANCE).all()) and np.median(sums) >= 0.5
    if bool((kept <= 0).all()) and lacks:
        spread, notes = _with_tail(sums, k, values.shape[1], what)
        return (lambda wide: spread(_shares(wide, k))), notes
    raise _truncated(what, k, values.shape[1], "logits do not have a fixed sum")


def _shares(wide: Array, k: int) -> Array:
    """Return the probabilities of the k largest classes of each row, 0 elsewhere."""
    return np.where(wide > _next_lower(wide, k), np.exp(np.minimum(wide, 1.0)), 0.0)


def _next_lower(wide: Array, k: int) -> Array:
    return np.partition(wide, -k - 1, axis=1)[:, [-k - 1]]


def _note_unit(wide: Array, what: str) -> tuple[str, ...]:
    if float(np.ptp(wide)) < 0.5 or wide.shape[1] < 2:
        return ()
    return (
        f"all values of {what} are between 0 and 1. As logits, they give a nearly uniform "
        "response at T = 1. If they are separate yes/no (sigmoid) outputs p, give their logits "
        "log(p / (1 - p)).",
    )
