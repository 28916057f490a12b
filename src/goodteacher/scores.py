"""Scores of a teacher that need no student, and how well each one foretells its students.

A score ranks teachers for the shortlist (setting ``shortlist_by``). Each is an entry of
:data:`SCORES`; a test holds its names equal to those of the setting. Values come from what every
record holds, so a score costs nothing once a teacher is recorded. *Measured at T = 1* unless the
name begins with ``best``: then at the temperature that minimises the teacher's NLL on the selection
split. Which direction is good is the literature's or, where nothing is known, *our* guess from
claim C1 (more similarity information is better); Spearman's sign in :func:`score_table` says
whether it was right.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from goodteacher.errors import StudyError
from goodteacher.results import Measurement, StudentRow, TeacherRecord
from goodteacher.statistics import regret, spearman

Values = Callable[[Sequence[TeacherRecord]], list[float]]
TOP = (1, 3, 5)
"""Sizes of the shortlists whose regret is reported."""


@dataclass(frozen=True)
class TeacherScore:
    """A score of teachers.

    Attributes:
        meaning: What it measures, with its unit.
        values: Its value for each of the teachers of a study.
        sign: 1 where more is better, -1 where less is.
    """

    meaning: str
    values: Values
    sign: int


@dataclass(frozen=True)
class ScoreRow:
    """How well a score foretold the students of one study.

    Attributes:
        score: Its name.
        num_teachers: Teachers ranked.
        rho: Spearman's correlation of the score, signed so that good is high, with the accuracy of
            each teacher's students; None where the score or the accuracy is the same for all.
        regret: For shortlists of 1, 3 and 5: the best accuracy of all students minus the best on
            the shortlist, at least 0.
    """

    score: str
    num_teachers: int
    rho: float | None
    regret: Mapping[int, float]


def ranked(records: Sequence[TeacherRecord], by: str) -> list[TeacherRecord]:
    """Return teachers, best score first; ties keep their order.

    Args:
        records: Healthy records of one study.
        by: A name in :data:`SCORES`.

    Raises:
        StudyError: The records are of an earlier version, which did not measure this.
    """
    found = goodness(records, by)
    order = sorted(range(len(records)), key=lambda number: -found[number])
    return [records[number] for number in order]


def goodness(records: Sequence[TeacherRecord], name: str) -> list[float]:
    """Return a score of each teacher, signed so that more is better."""
    score = SCORES[name]
    return [score.sign * value for value in score.values(records)]


def score_table(
    records: Sequence[TeacherRecord], rows: Iterable[StudentRow]
) -> tuple[ScoreRow, ...]:
    """Compare every score with what students of an exhaustive search reached.

    A teacher counts with its best recipe's students: selection accuracy, mean over seeds.

    Args:
        records: Healthy records of the study, 4 at least.
        rows: Its students; those of the search are taken.

    Raises:
        StudyError: A teacher had no students, or students trained for different numbers of epochs:
            the search was not exhaustive.
        InputError: Fewer than 4 teachers.
    """
    found = _student_accuracies(rows)
    missing = [str(record.source) for record in records if str(record.source) not in found]
    if missing:
        raise StudyError(
            f"{len(missing)} of {len(records)} teachers had no students, such as {missing[0]}. "
            "Scores are compared with every teacher's students: search with --exhaustive."
        )
    accuracies = [found[str(record.source)] for record in records]
    return tuple(_row(name, records, accuracies) for name in SCORES)


def _student_accuracies(rows: Iterable[StudentRow]) -> dict[str, float]:
    """Return the accuracy of each teacher's best recipe, by the teacher's name."""
    arms: dict[str, list[float]] = defaultdict(list)
    lengths = set()
    for row in rows:
        if row.stage == "search":
            arms[row.arm].append(row.selection_accuracy)
            lengths.add(row.student_epochs)
    if len(lengths) > 1:
        raise StudyError(
            f"Students of this search trained for {sorted(lengths)} epochs, so they cannot be "
            "compared. Search with --exhaustive."
        )
    best: dict[str, float] = {}
    for arm, seeds in arms.items():
        teacher = arm.partition(" | ")[0]
        best[teacher] = max(best.get(teacher, 0.0), math.fsum(seeds) / len(seeds))
    return best


def _row(name: str, records: Sequence[TeacherRecord], accuracies: list[float]) -> ScoreRow:
    found = goodness(records, name)
    varied = len(set(found)) > 1 and len(set(accuracies)) > 1
    rho = spearman(found, accuracies, num_permutations=1).rho if varied else None
    losses = {k: regret(found, accuracies, top_k=min(k, len(records))) for k in TOP}
    return ScoreRow(name, len(records), rho, losses)


def _measured(
    field: str, split: str = "selection", *, best: bool = False
) -> Callable[[Sequence[TeacherRecord]], list[float]]:
    def values(records: Sequence[TeacherRecord]) -> list[float]:
        return [_value(record, field, split, best) for record in records]

    return values


def _value(record: TeacherRecord, field: str, split: str, best: bool) -> float:
    temperature = record.optimal_temperature if best else 1.0
    measurement: Measurement = record.at(split, temperature or 1.0)
    value = getattr(measurement, field)
    if value is None:
        raise StudyError(
            f"{field} was not measured of {record.source}: the study is of an earlier version of "
            "goodteacher. Search again in a new folder, or shortlist by another score."
        )
    return float(value)


def _saturation_gap(records: Sequence[TeacherRecord]) -> list[float]:
    return [r.at("selection").nll - r.at("transfer").nll for r in records]


def _distance_from_half_way(records: Sequence[TeacherRecord]) -> list[float]:
    """Return how far each epoch is from half of its trajectory's last one, as a share of it."""
    last: dict[int, int] = {}
    for record in records:
        last[record.batch_size] = max(record.epoch, last.get(record.batch_size, 0))
    return [abs(r.epoch / last[r.batch_size] - 0.5) for r in records]


SCORES: Mapping[str, TeacherScore] = {
    "nll": TeacherScore("held-out NLL at T = 1, nats", _measured("nll"), -1),
    "best_nll": TeacherScore("held-out NLL at its best T, nats", _measured("nll", best=True), -1),
    "brier": TeacherScore("held-out Brier score at T = 1", _measured("brier"), -1),
    "best_brier": TeacherScore("held-out Brier score at best T", _measured("brier", best=True), -1),
    "ace": TeacherScore("held-out calibration error at T = 1", _measured("ace"), -1),
    "best_ace": TeacherScore(
        "held-out calibration error at best T", _measured("ace", best=True), -1
    ),
    "similarity": TeacherScore(
        "similarity information, transfer set, nats", _measured("similarity", "transfer"), 1
    ),
    "best_similarity": TeacherScore(
        "the same at best T", _measured("similarity", "transfer", best=True), 1
    ),
    "class_part": TeacherScore("its class part", _measured("class_part", "transfer"), 1),
    "instance_part": TeacherScore("its instance part", _measured("instance_part", "transfer"), 1),
    "selection_similarity": TeacherScore(
        "similarity information, selection split, nats", _measured("similarity"), 1
    ),
    "selection_class_part": TeacherScore("its class part", _measured("class_part"), 1),
    "selection_instance_part": TeacherScore("its instance part", _measured("instance_part"), 1),
    "accuracy": TeacherScore("teacher's held-out accuracy", _measured("accuracy"), 1),
    "entropy": TeacherScore(
        "mean entropy, transfer set, nats", _measured("entropy", "transfer"), 1
    ),
    "saturation_gap": TeacherScore(
        "NLL on the selection split minus NLL on the transfer set, nats", _saturation_gap, -1
    ),
    "wrong_class_variance": TeacherScore(
        "variance among wrong classes, transfer set",
        _measured("wrong_class_variance", "transfer"),
        1,
    ),
    "cmi": TeacherScore(
        "conditional mutual information of input and response given the label, transfer set, nats",
        _measured("cmi", "transfer"),
        1,
    ),
    "half_way": TeacherScore(
        "distance from half of the trajectory's epochs, as a share", _distance_from_half_way, -1
    ),
}
"""Every score, by name."""
