"""The studies of several students over shared teachers, and the front that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from goodteacher.data import Dataset
from goodteacher.delivery import Classifier, batches_of, measure_latencies
from goodteacher.errors import StudyError
from goodteacher.networks import parameter_count, weight_bytes
from goodteacher.public.study import Study
from goodteacher.records import (
    Front,
    FrontRow,
    Latency,
    Pair,
    Reference,
    SweetSpot,
    summarize_front,
    with_fronts,
)
from goodteacher.report import Plot, front_plot
from goodteacher.studies import (
    FRONT_FILE,
    STUDENTS_FILE,
    Place,
    Store,
    described_machine,
    holds_several,
    place_of,
    study_folders,
)

BATCH_SIZES = (1, 128)
"""Latencies are measured for one example at a time, and for a batch."""


class SeveralStudies:
    """One study for each of several students, over shared teachers, read from their folder.

    Args:
        folder: The folder of all.

    Raises:
        StudyError: There are no such studies there.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = place_of(folder)
        if not holds_several(self.folder):
            raise StudyError(
                f"{self.folder} is not a search for several students: it has no {STUDENTS_FILE}. "
                "Make one with goodteacher search --student A,B."
            )

    @property
    def studies(self) -> Mapping[str, Study]:
        """The study of each student, by its specification.

        Raises:
            StudyError: The study of a student has not begun.
        """
        return {spec: Study(path) for spec, path in study_folders(self.folder).items()}

    @property
    def front(self) -> Front:
        """A row for each student, and who is on the front of accuracy over size and latency.

        Raises:
            StudyError: The search has not finished.
        """
        return Store(self.folder).read_json(FRONT_FILE, Front)

    @property
    def report(self) -> Place:
        """Where the report of all students is; each study has its own beside it."""
        return self.folder / "report.html"

    def plot_front(self) -> Plot:
        """Draw the students' accuracy over their parameters, and over each latency in a view.

        Raises:
            StudyError: The search has not finished.
        """
        return front_plot(Store(self.folder))


def make_front(several: SeveralStudies, dataset: Dataset) -> Front:
    """Put the finished studies of several students beside one another.

    Latencies that were measured on this machine before are kept; if there are others, all are
    measured anew, since only those of one machine can be compared.

    Args:
        several: The studies, all of them finished.
        dataset: Their data; latencies are measured on training examples.
    """
    studies, machine = several.studies, described_machine("cpu float32")
    students = {spec: study.student() for spec, study in studies.items()}
    known = _known_latencies(several, machine)
    if not students.keys() <= known.keys():
        sizes = dict.fromkeys(min(size, len(dataset.train)) for size in BATCH_SIZES)
        batches = {size: batches_of(dataset.train, size) for size in sizes}
        measured = measure_latencies(list(students.values()), batches)
        known = dict(zip(students, measured, strict=True))
    rows = with_fronts(
        [_row(spec, studies[spec], student, known[spec]) for spec, student in students.items()]
    )
    level = next(iter(studies.values())).config.level
    together, apart = _teacher_seconds(list(studies.values()))
    return Front(
        rows=rows,
        level=level,
        machine=machine,
        teacher_seconds=together,
        teacher_seconds_apart=apart,
        summary=summarize_front(rows, level=level),
    )


def _known_latencies(several: SeveralStudies, machine: str) -> Mapping[str, tuple[Latency, ...]]:
    """Return what was measured on this machine before, by student."""
    if not Store(several.folder).exists(FRONT_FILE) or several.front.machine != machine:
        return {}
    return {row.student: row.latencies for row in several.front.rows}


def _row(spec: str, study: Study, student: Classifier, latencies: tuple[Latency, ...]) -> FrontRow:
    found = study.sweet_spot
    labels = found.references.cross_entropy
    accuracy, interval = _confirmed(found, found.delivered)
    return FrontRow(
        student=spec,
        folder=study.folder.name,
        parameters=parameter_count(student.network.module),
        weight_bytes=weight_bytes(student.network.module),
        answer=found.answer,
        delivered=found.delivered,
        test_accuracy=accuracy,
        interval=interval,
        hard_labels_accuracy=labels.test_accuracy,
        hard_labels_interval=_confirmed(found, "cross_entropy")[1],
        gain=labels.difference,
        gain_interval=labels.interval,
        num_seeds=found.student.num_seeds,
        num_test=study.data.test,
        latencies=latencies,
    )


def _confirmed(found: SweetSpot, family: str) -> tuple[float, Pair]:
    """Return the test accuracy of the confirmed students of a family, and its interval."""
    if family == "sweet_spot":
        return found.student.test_accuracy, found.student.interval
    reference: Reference = getattr(found.references, family)
    if reference.accuracy_interval is None:
        raise ValueError(f"the students of {family} were confirmed without an interval")
    return reference.test_accuracy, reference.accuracy_interval


def _teacher_seconds(studies: Sequence[Study]) -> tuple[float, float]:
    """Return how long the teachers trained here: each run once, and once for each student."""
    each = [
        {
            record.run: record.seconds or 0.0
            for record in study.trajectories()
            if record.run in {run.name for run in study.config.runs}
        }
        for study in studies
    ]
    together: dict[str, float] = {}
    for runs in each:
        together |= {run: max(seconds, together.get(run, 0.0)) for run, seconds in runs.items()}
    return sum(together.values()), sum(sum(runs.values()) for runs in each)
