"""Were students trained enough to be compared?

Two answers, each where it can be given:

- A student that was *tuned* trained with several numbers of epochs, each a whole run under its own
  learning-rate schedule, so the answer is measured: more epochs made it better or did not
  (:mod:`goodteacher.families`).
- Where the user *named* the number of epochs there is one run, and its curve has to tell. Under a
  decaying learning rate every curve flattens at its end, so the end says little. What tells is how
  much the second half brought: the held-out negative log-likelihood, each time at its best
  temperature, of a half-trained student still falls steeply then, that of one that is done hardly
  moves, or rises.

*Ours*, and calibrated on {calibration}.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from goodteacher.results import LearningPoint, StudentRow

STEEP = 0.02
"""Nats by which the second half of a training lowers held-out NLL where it ended too early."""


def second_half(curve: Sequence[LearningPoint]) -> float:
    """Return by how much the second half of a training lowered the held-out NLL, in nats.

    Args:
        curve: Points along the training, the last at its end.

    Returns:
        Infinite where there is no point by half of the training: too few epochs to tell.
    """
    end = curve[-1]
    halves = [point for point in curve if point.epoch <= end.epoch / 2]
    if not halves or halves[-1].nll is None or end.nll is None:
        return math.inf
    return halves[-1].nll - end.nll


def still_learning(rows: Iterable[StudentRow]) -> bool:
    """Say whether students of one arm were still learning when their training ended.

    Args:
        rows: One for each seed; those that diverged do not count.

    Returns:
        Whether the second half brought more than `STEEP`, on average over the seeds.
    """
    gains = [second_half(row.curve) for row in rows if row.status == "ok"]
    return bool(gains) and math.fsum(gains) / len(gains) > STEEP
