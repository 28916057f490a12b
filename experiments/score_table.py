"""Which score of a teacher foretells its students? On every pair of the study.

    python experiments/score_table.py

For each score: Spearman's correlation with the selection accuracy of each teacher's students (best
recipe, mean over search seeds), the same with the teacher's own accuracy held fixed (partial, of
ranks), the regret of trying only its top 1, 3 or 5, in points of selection accuracy, and what it
costs beyond recording. Once over all teachers and once from epoch 4 on, since any score tells an
untrained teacher from a trained one. Then the scores that are fitted: see `combined_score.py`.
Writes `results/score_table.json`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from combined_score import Case, Fold, folds_of, in_words, leaving_out, render_folds
from pairs import RESULTS, Pair, all_pairs
from summaries import shown, table

from goodteacher.scores import (
    SCORES,
    TOP,
    ScoreRow,
    goodness,
    probe_accuracies,
    score_row,
    student_accuracies,
)
from goodteacher.statistics import spearman

SINCE = {"all recorded epochs": 1, "from epoch 4 on": 4}
"""The tables: from which epoch on teachers count."""


@dataclass(frozen=True)
class Row:
    """A score on one pair.

    Attributes:
        found: Its correlation and regret.
        partial: Correlation of ranks with the teacher's accuracy held fixed; None where either is
            constant, or is the teacher's accuracy.
        cost: Seconds beyond recording.
    """

    found: ScoreRow
    partial: float | None
    cost: float


def case_of(pair: Pair, since: int) -> Case | None:
    """Return the scores of a pair's teachers beside their students' accuracy.

    Args:
        pair: A pair.
        since: The epoch from which on teachers count.

    Returns:
        None where there was no exhaustive search or fewer than 4 teachers are left.
    """
    teachers = [teacher for teacher in pair.teachers if teacher.epoch >= since]
    if not pair.students or len(teachers) < 4:
        return None
    found, probes = student_accuracies(pair.students), probe_accuracies(pair.probes)
    probed = all(str(teacher.source) in probes for teacher in teachers)
    names = [name for name, score in SCORES.items() if probed or not score.needs_probes]
    return Case(
        name=pair.name,
        data=pair.pair.data,
        accuracies=tuple(found[str(teacher.source)] for teacher in teachers),
        scores={name: tuple(goodness(teachers, name, probes)) for name in names},
    )


def rows_of(case: Case, probe_seconds: float) -> dict[str, Row]:
    """Return every score of a pair, by name."""
    return {
        name: Row(
            found=score_row(name, values, case.accuracies),
            partial=partial_correlation(values, case.accuracies, case.scores["accuracy"]),
            cost=probe_seconds if SCORES[name].needs_probes else 0.0,
        )
        for name, values in case.scores.items()
    }


def partial_correlation(
    one: Sequence[float], other: Sequence[float], fixed: Sequence[float]
) -> float | None:
    """Return the correlation of ranks with a third one held fixed.

        (r_12 - r_13 r_23) / sqrt((1 - r_13^2) (1 - r_23^2)),  r: Spearman's

    Args:
        one: A score of each teacher.
        other: The accuracy of its students.
        fixed: Its own accuracy.

    Returns:
        None where one of them is constant, or ordered as the fixed one is.
    """
    if any(len(set(values)) == 1 for values in (one, other, fixed)):
        return None
    r12, r13, r23 = (
        spearman(a, b, num_permutations=1).rho
        for a, b in ((one, other), (one, fixed), (other, fixed))
    )
    rest = (1 - r13**2) * (1 - r23**2)
    return (r12 - r13 * r23) / math.sqrt(rest) if rest > 1e-9 else None


def probe_seconds(pair: Pair) -> float:
    """Return what a pair's probe students took."""
    return math.fsum(row.student_seconds for row in pair.probes)


def result_of(pairs: Sequence[Pair], since: int) -> dict[str, Any]:
    """Return one table's numbers: every pair's rows, and what was fitted."""
    cases = {pair: case for pair in pairs if (case := case_of(pair, since))}
    rows = {case.name: rows_of(case, probe_seconds(pair)) for pair, case in cases.items()}
    folds = {by: folds_of([*cases.values()], by) for by in ("pair", "data set")}
    return {
        "since_epoch": since,
        "left_out": [pair.name for pair in pairs if pair not in cases],
        "pairs": {name: {k: plain(v) for k, v in found.items()} for name, found in rows.items()},
        "leaving_out": {by: [f.plain() for f in found] for by, found in folds.items()},
        "combined": in_words(leaving_out([*cases.values()], None)),
    }
