"""A study: one teacher-student pair on one data set, in one folder."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

from goodteacher.config import StudyConfig
from goodteacher.delivery import Classifier, load_student
from goodteacher.networks import NetworkLike
from goodteacher.public.exporting import Exporting, export
from goodteacher.records import (
    DataSummary,
    Evidence,
    Export,
    StudentRow,
    SweetSpot,
    TrajectoryRecord,
    Verdict,
)
from goodteacher.report import (
    Plot,
    curves_plot,
    gains_plot,
    ladder_plot,
    map_plot,
    students_plot,
    teachers_plot,
    temperatures_plot,
)
from goodteacher.studies import (
    EVIDENCE_FILE,
    SWEET_SPOT_FILE,
    TABLE_FILE,
    VERDICT_FILE,
    Health,
    Place,
    Store,
    health_of,
    require_whole,
)
from goodteacher.teachers import recorded_teachers


class Study:
    """A finished or unfinished study, read from its folder or URL.

    Args:
        folder: The study's folder, or a URL such as ``s3://bucket/study``.

    Raises:
        StudyError: There is no study there.
    """

    def __init__(self, folder: Path | str) -> None:
        self.store = Store.open(folder)

    @property
    def folder(self) -> Place:
        """Where the study is: a path, or a URL."""
        return self.store.root

    @property
    def config(self) -> StudyConfig:
        """The settings it was made with."""
        return self.store.config(StudyConfig)

    @property
    def data(self) -> DataSummary:
        """What its data are."""
        return self.store.read_json("data.json", DataSummary)

    @property
    def finished(self) -> bool:
        """Whether the sweet spot has been found."""
        return self.store.exists(SWEET_SPOT_FILE)

    @property
    def sweet_spot(self) -> SweetSpot:
        """The answer.

        Raises:
            StudyError: The search has not finished.
        """
        return self.store.read_json(SWEET_SPOT_FILE, SweetSpot)

    @property
    def verdict(self) -> Verdict:
        """Knowledge or regularization, as ``goodteacher verify`` found.

        Raises:
            StudyError: The study has not been verified.
        """
        return self.store.read_json(VERDICT_FILE, Verdict)

    @property
    def evidence(self) -> Evidence:
        """What ``goodteacher verify`` found beside the verdict.

        Raises:
            StudyError: The study has not been verified.
        """
        return self.store.read_json(EVIDENCE_FILE, Evidence)

    @property
    def report(self) -> Place:
        """Where the report is; of a study at a URL, ``store.local("report.html")`` fetches it."""
        return self.folder / "report.html"

    def check(self) -> Health:
        """Compare every file with its checksum, as ``goodteacher doctor`` does.

        Returns:
            What is damaged, missing or not accounted for, and what making it again costs.
        """
        return health_of(self.folder)

    def trajectories(self) -> list[TrajectoryRecord]:
        """Return every recorded epoch of every teacher, by run and epoch.

        Raises:
            StudyError: A file of the study is missing or damaged.
        """
        require_whole(self.store)
        return recorded_teachers(self.store)

    def students(self) -> list[StudentRow]:
        """Return a row for every trained student."""
        return self.store.read_table(TABLE_FILE, StudentRow)

    def student(
        self, *, network: NetworkLike | None = None, trust_code: bool = False
    ) -> Classifier:
        """Return the delivered student, ready to classify: the best on the selection split.

        Args:
            network: The student's network, where it was given in Python by another process.
            trust_code: See :func:`goodteacher.load_student`.
        """
        return load_student(self.folder / "student", network=network, trust_code=trust_code)

    def export(self, out: str | Path, **how: Unpack[Exporting]) -> Export:
        """Write the delivered student for other runtimes; see :func:`goodteacher.export`."""
        return export(self, out=out, **how)

    def baseline(
        self, *, network: NetworkLike | None = None, trust_code: bool = False
    ) -> Classifier:
        """Return the best student of hard labels, ready to classify.

        Args:
            network: The student's network, where it was given in Python by another process.
            trust_code: See :func:`goodteacher.load_student`.
        """
        return load_student(self.folder / "baseline", network=network, trust_code=trust_code)

    # Figures of the report, for notebooks.

    def plot_gains(self) -> Plot:
        """Draw how much better the sweet spot's students are than those of each reference.

        Raises:
            StudyError: The search has not finished.
        """
        return gains_plot(self.store)

    def plot_map(self) -> Plot:
        """Draw the students' accuracy over the teachers' runs and epochs, a view for each recipe.

        Raises:
            StudyError: No student has been trained yet.
        """
        return map_plot(self.store)

    def plot_teachers(self) -> Plot:
        """Draw what the teachers' responses hold over runs and epochs, a view for each quantity.

        Raises:
            StudyError: No teacher has been recorded yet.
        """
        return teachers_plot(self.store)

    def plot_curves(self) -> Plot:
        """Draw what the teachers' responses hold over epochs, a line for each run.

        Raises:
            StudyError: No teacher has been recorded yet.
        """
        return curves_plot(self.store)

    def plot_students(self) -> Plot:
        """Draw students against their teachers: is the best model the best teacher?

        Raises:
            StudyError: No student has been trained yet.
        """
        return students_plot(self.store)

    def plot_temperatures(self) -> Plot:
        """Draw the accuracy of the students of the sweet spot's teacher over temperature.

        Raises:
            StudyError: No student has been trained yet.
        """
        return temperatures_plot(self.store)

    def plot_ladder(self) -> Plot:
        """Draw the ladder: what each part of the teacher's response adds to the students.

        Raises:
            StudyError: The study has not been verified.
        """
        return ladder_plot(self.store)
