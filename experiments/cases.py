"""A pair as the score table sees it: scores of its teachers beside what their students reached."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from goodteacher.maths.statistics import spearman
from goodteacher.records.results import TrajectoryRecord
from goodteacher.sweet_spot.scores import SCORES, goodness, probe_accuracies, student_accuracies
from pairs import Pair

FEWEST_TEACHERS = 4
"""Teachers that a rank correlation needs."""


@dataclass(frozen=True, eq=False)
class Case:
    """The teachers of one pair.

    Attributes:
        name: The pair.
        data: Its data set.
        accuracies: Selection accuracy of each teacher's students: best recipe, mean over search
            seeds.
        scores: Every score that is known of all of them, signed so that more is better.
        probe_seconds: What their probe students took.
    """

    name: str
    data: str
    accuracies: Sequence[float]
    scores: Mapping[str, Sequence[float]]
    probe_seconds: float = 0.0

    def cost(self, score: str) -> float:
        """Return the seconds that a score takes beyond recording the teachers."""
        return self.probe_seconds if SCORES[score].needs_probes else 0.0


def case_of(pair: Pair, since: int) -> Case | None:
    """Return a pair's teachers, or None where too few of them had students.

    Args:
        pair: A pair of the study.
        since: The epoch from which on teachers count.
    """
    found = student_accuracies(pair.students)
    teachers = [t for t in pair.teachers if t.epoch >= since and str(t.source) in found]
    if len(teachers) < FEWEST_TEACHERS:
        return None
    return Case(
        name=pair.name,
        data=pair.pair.data,
        accuracies=[found[str(teacher.source)] for teacher in teachers],
        scores=_scores(pair, teachers),
        probe_seconds=math.fsum(row.student_seconds for row in pair.probes),
    )


def _scores(pair: Pair, teachers: Sequence[TrajectoryRecord]) -> dict[str, list[float]]:
    probes = probe_accuracies(pair.probes)
    probed = all(str(teacher.source) in probes for teacher in teachers)
    names = [name for name, score in SCORES.items() if probed or not score.needs_probes]
    return {name: goodness(teachers, name, probes) for name in names}


def partial_correlation(
    one: Sequence[float], other: Sequence[float], fixed: Sequence[float]
) -> float | None:
    """Return Spearman's correlation of two values with a third one held fixed.

        (r_12 - r_13 r_23) / sqrt((1 - r_13^2) (1 - r_23^2)),  r: Spearman's

    Args:
        one: ``[n]``, n at least 4.
        other: ``[n]``.
        fixed: ``[n]``.

    Returns:
        None where a value is constant, or ordered just as the fixed one is.
    """
    if any(len(set(values)) == 1 for values in (one, other, fixed)):
        return None
    r12, r13, r23 = (
        spearman(a, b, num_permutations=1).rho
        for a, b in ((one, other), (one, fixed), (other, fixed))
    )
    rest = (1 - r13**2) * (1 - r23**2)
    return (r12 - r13 * r23) / math.sqrt(rest) if rest > 1e-9 else None
