"""Scores of a teacher, and how well each one foretells its students.

A score ranks teachers for the shortlist (setting ``shortlist_by``). Each is an entry of
:data:`SCORES`; a test holds its names equal to those of the setting. Values come from what every
record holds, so a score costs nothing once a teacher is recorded; only ``probe`` needs students, of
one epoch (see `probing`). *Measured at T = 1* unless the name begins with ``best``: then at the
temperature that minimises the teacher's NLL on the selection split. Which direction is good is the
literature's or, where nothing is known, *our* guess from claim C1 (more similarity information is
better); Spearman's sign in :func:`score_table` says whether it was right.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.stats import rankdata

from goodteacher.errors import StudyError
from goodteacher.maths.statistics import regret, spearman
from goodteacher.records import Measurement, StudentRow, TeacherRecord

Probes = Mapping[str, float]
"""Selection accuracy of each teacher's best probe student, by the teacher's name."""

Values = Callable[[Sequence[TeacherRecord], Probes], list[float]]
TOP = (1, 3, 5, 8)
"""Sizes of the shortlists whose regret is reported; the last is the default one."""


@dataclass(frozen=True)
class TeacherScore:
    """A score of teachers.

    Attributes:
        meaning: What it measures, with its unit.
        values: Its value for each of the teachers of a study.
        sign: 1 where more is better, -1 where less is.
        needs_probes: Whether it is made of probe students, which have to be trained.
    """

    meaning: str
    values: Values
    sign: int
    needs_probes: bool = False


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


NO_PROBES: Probes = MappingProxyType({})


def ranked(
    records: Sequence[TeacherRecord], by: str, probes: Probes = NO_PROBES
) -> list[TeacherRecord]:
    """Return teachers, best score first; ties keep their order.

    Args:
        records: Healthy records of one study.
        by: A name in :data:`SCORES`.
        probes: Accuracies of probe students, for a score that needs them.

    Raises:
        StudyError: The records are of an earlier version, which did not measure this, or there are
            no probe students.
    """
    found = goodness(records, by, probes)
    order = sorted(range(len(records)), key=lambda number: -found[number])
    return [records[number] for number in order]


def goodness(
    records: Sequence[TeacherRecord], name: str, probes: Probes = NO_PROBES
) -> list[float]:
    """Return a score of each teacher, signed so that more is better."""
    score = SCORES[name]
    return [score.sign * value for value in score.values(records, probes)]


def probe_accuracies(rows: Iterable[StudentRow]) -> Probes:
    """Return the accuracy of each teacher's best probe student, of the last time it was probed.

    Args:
        rows: Students of a study; those of stage ``probe`` are taken.
    """
    last: dict[str, int] = {}
    best: dict[str, float] = {}
    for row in rows:
        if row.stage != "probe":
            continue
        teacher = _teacher_of(row)
        if row.rung > last.get(teacher, -1):
            last[teacher], best[teacher] = row.rung, 0.0
        if row.rung == last[teacher]:
            best[teacher] = max(best[teacher], row.selection_accuracy)
    return best


def mean_ranks(scores: Sequence[Sequence[float]]) -> list[float]:
    """Combine scores of the same teachers: the mean of each teacher's ranks, from 0 to 1.

        mean over scores of (rank - 1) / (n - 1),  ties share the mean of their ranks

    *Ours*: ranks within a study have no unit, so scores of any scale may meet, and nothing is
    fitted but which scores take part.

    Args:
        scores: ``[num_scores, n]``, each signed so that more is better; n at least 2.

    Example:
        >>> mean_ranks([[0.1, 0.2, 0.9], [5, 7, 6]])
        [0.0, 0.75, 0.75]
    """
    ranks = (rankdata(np.asarray(scores, dtype=np.float64), axis=1) - 1) / (len(scores[0]) - 1)
    return [float(value) for value in ranks.mean(0)]


def score_table(
    records: Sequence[TeacherRecord], rows: Iterable[StudentRow]
) -> tuple[ScoreRow, ...]:
    """Compare every score with what students of an exhaustive search reached.

    A teacher counts with its best recipe's students: selection accuracy, mean over seeds. Scores
    made of probe students are left out where not every teacher was probed.

    Args:
        records: Healthy records of the study, 4 at least.
        rows: Its students; those of the search are taken, and probe students.

    Raises:
        StudyError: A teacher had no students, or students trained for different numbers of epochs:
            the search was not exhaustive.
        InputError: Fewer than 4 teachers.
    """
    rows = list(rows)
    found, probes = student_accuracies(rows), probe_accuracies(rows)
    missing = [str(record.source) for record in records if str(record.source) not in found]
    if missing:
        raise StudyError(
            f"{len(missing)} of {len(records)} teachers had no students, such as {missing[0]}. "
            "Scores are compared with every teacher's students: search with --exhaustive."
        )
    accuracies = [found[str(record.source)] for record in records]
    probed = all(str(record.source) in probes for record in records)
    names = [name for name, score in SCORES.items() if probed or not score.needs_probes]
    return tuple(score_row(name, goodness(records, name, probes), accuracies) for name in names)


def student_accuracies(rows: Iterable[StudentRow]) -> dict[str, float]:
    """Return the selection accuracy of each teacher's best recipe, by the teacher's name.

    Args:
        rows: Students of an exhaustive search; of each recipe the mean over search seeds counts.

    Raises:
        StudyError: Students trained for different numbers of epochs.
    """
    arms: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in trained_alike(rows):
        arms[_teacher_of(row), row.arm].append(row.selection_accuracy)
    best: dict[str, float] = {}
    for (teacher, _), seeds in arms.items():
        best[teacher] = max(best.get(teacher, 0.0), math.fsum(seeds) / len(seeds))
    return best


def trained_alike(rows: Iterable[StudentRow]) -> Sequence[StudentRow]:
    """Return the students of the last round of a search that every arm went through.

    Args:
        rows: Students of an exhaustive search; those of other stages are left out.

    Raises:
        StudyError: Some arms trained longer in the round after it.
    """
    rounds: dict[int, list[StudentRow]] = defaultdict(list)
    for row in rows:
        if row.stage == "search":
            rounds[row.rung].append(row)
    whole = [rounds[number] for number in sorted(rounds)]
    if not whole:
        return ()
    every = {row.arm for row in whole[0]}
    found = whole[0]
    for later in whole[1:]:
        arms = {row.arm for row in later}
        if arms == every:
            found = later
            continue
        if arms < every and found is whole[0] and _epochs(later) > _epochs(found):
            raise StudyError(
                f"Students of this search trained for {_epochs(found)} or {_epochs(later)} epochs, "
                "so they cannot be compared. Search with --exhaustive."
            )
        break
    return found


def _epochs(rows: Sequence[StudentRow]) -> int:
    return rows[0].student_epochs


def _teacher_of(row: StudentRow) -> str:
    return row.teacher or row.source


def score_row(name: str, found: Sequence[float], accuracies: Sequence[float]) -> ScoreRow:
    """Compare one score with the students.

    Args:
        name: Its name.
        found: Its value for each teacher, signed so that more is better; 4 at least.
        accuracies: Accuracy of each teacher's students.
    """
    varied = len(set(found)) > 1 and len(set(accuracies)) > 1
    rho = spearman(found, accuracies, num_permutations=1).rho if varied else None
    losses = {k: regret(found, accuracies, top_k=k) for k in TOP}
    return ScoreRow(name, len(found), rho, losses)


def _measured(field: str, split: str = "selection", *, best: bool = False) -> Values:
    def values(records: Sequence[TeacherRecord], _: Probes) -> list[float]:
        return [_value(record, field, split, best) for record in records]

    return values


def _value(record: TeacherRecord, field: str, split: str, best: bool) -> float:
    temperature = record.optimal_temperature if best else 1.0
    measurement: Measurement = record.at(split, temperature or 1.0)
    value = getattr(measurement, field)
    if value is None:
        raise StudyError(
            f"{field} was not measured for {record.source}: the study was made by an earlier "
            "version of goodteacher. Search again in a new folder, or use another score for the "
            "shortlist."
        )
    return float(value)


def _saturation_gap(records: Sequence[TeacherRecord], _: Probes) -> list[float]:
    return [r.at("selection").nll - r.at("transfer").nll for r in records]


def _probed(records: Sequence[TeacherRecord], probes: Probes) -> list[float]:
    missing = [str(record.source) for record in records if str(record.source) not in probes]
    if missing:
        raise StudyError(
            f"{len(missing)} of {len(records)} teachers have no probe students, such as "
            f"{missing[0]}. Search with --shortlist-by probe, which trains them."
        )
    return [probes[str(record.source)] for record in records]


def _distance_from_half_way(records: Sequence[TeacherRecord], _: Probes) -> list[float]:
    """Return how far each epoch is from half of its trajectory's last one, as a share of it."""
    last: dict[str, int] = {}
    for record in records:
        last[record.run] = max(record.epoch, last.get(record.run, 0))
    return [abs(r.epoch / last[r.run] - 0.5) for r in records]


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
    "probe": TeacherScore(
        "selection accuracy of students of one epoch", _probed, 1, needs_probes=True
    ),
}
"""Every score, by name."""
