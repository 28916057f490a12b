"""Which test examples flip between rung 2 and the full response.

For each test example: with how many seeds is the student of the full response right and that of
rung 2 wrong, and the reverse? The extremes of many examples look striking by chance too, so beside
the ones that flip most stand two counts of all that flip *beyond chance*: an exact sign test over
the seeds, corrected by Holm over the examples. With few seeds there can be none: k seeds reach
p = 2^(1-k) at best.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from scipy import stats
from torch import Tensor

from goodteacher.data import on_one_line, picture
from goodteacher.maths.statistics import holm
from goodteacher.records import Flip, Flips
from goodteacher.students import Correct, Predicted
from goodteacher.studies import excerpt
from goodteacher.verdicts.evidence.case import CONFIDENT, FULL, Case

SHOWN = 12
"""Examples kept in each direction."""

EXCERPT = 160
"""Characters kept of a text, a mark of what is cut included."""

Counts = npt.NDArray[np.int64]


def flips(case: Case) -> Flips:
    """Return which test examples flip, and pictures or texts of those that flip most.

    Args:
        case: The verification.
    """
    counted = count_flips(case.correct(FULL), case.correct(CONFIDENT))
    beyond = counted.p_values() <= case.config.level
    balance = counted.gained - counted.lost
    return Flips(
        num_examples=len(case.labels),
        num_seeds=case.num_seeds,
        gained=int((balance > 0).sum()),
        lost=int((balance < 0).sum()),
        resolved_gained=int((beyond & (balance > 0)).sum()),
        resolved_lost=int((beyond & (balance < 0)).sum()),
        most_gained=tuple(_flip(case, row) for row in most(balance)),
        most_lost=tuple(_flip(case, row) for row in most(-balance)),
    )


@dataclass(frozen=True)
class FlipCounts:
    """Over the seeds, how often each example flips: ``gained`` and ``lost``, each int64 [N]."""

    gained: Counts
    lost: Counts

    def p_values(self) -> npt.NDArray[np.float64]:
        """Return the exact two-sided sign test of each example, adjusted by Holm, [N]."""
        parted = self.gained + self.lost
        tail = stats.binom.cdf(np.minimum(self.gained, self.lost), parted, 0.5)
        return holm(np.minimum(2 * tail, 1.0))


def count_flips(full: Correct, confident: Correct) -> FlipCounts:
    """Count for each example the seeds on which the two arms part.

    Args:
        full: Who is right with the full response, bool [S, N].
        confident: Who is right with rung 2, bool [S, N].

    Example:
        >>> counted = count_flips(np.array([[True, False]] * 6), np.array([[False, False]] * 6))
        >>> counted.gained.tolist(), counted.p_values().tolist()
        ([6, 0], [0.0625, 1.0])
    """
    return FlipCounts((full & ~confident).sum(0), (confident & ~full).sum(0))


def most(balance: Counts) -> list[int]:
    """Return the examples with the largest positive balance, the first of equals first."""
    order = np.argsort(-balance, kind="stable")[:SHOWN]
    return [int(row) for row in order if balance[row] > 0]


def _flip(case: Case, row: int) -> Flip:
    return Flip(
        id=int(case.test.ids[row]),
        label=int(case.labels[row]),
        confidence_smoothing_right=int(case.correct(CONFIDENT)[:, row].sum()),
        full_response_right=int(case.correct(FULL)[:, row].sum()),
        confidence_smoothing_says=_mode(case.predicted[CONFIDENT], row),
        full_response_says=_mode(case.predicted[FULL], row),
        picture=_picture(case, row),
        text=_text(case, row),
    )


def _mode(predicted: Predicted, row: int) -> int:
    return int(np.bincount(predicted[:, row]).argmax())


def _picture(case: Case, row: int) -> str | None:
    if not case.config.keep_examples or case.test.stored.spec.kind != "images":
        return None
    (example,) = cast("Tensor", case.test.stored.rows(torch.tensor([row])))
    return picture(example)


def _text(case: Case, row: int) -> str | None:
    if not case.config.keep_examples or case.test.texts is None:
        return None
    return excerpt(on_one_line(case.test.texts[row]), EXCERPT)
