"""A study: one teacher-student pair on one data set, in one folder.

:func:`search` makes or resumes one; :class:`Study` reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from goodteacher.conclude import conclude, confirmed_rows, correct_by_arm
from goodteacher.config import StudyConfig
from goodteacher.data import UNLABELLED, Dataset, StudyData, load_for, prepare, selection_note
from goodteacher.door import (
    BATCH_SETTINGS,
    Settings,
    checked_settings,
    fitted_to_data,
    rehearse,
)
from goodteacher.engines import ENGINES
from goodteacher.errors import DataError, StudyError
from goodteacher.evidence import EVIDENCE_FILE, Evidence
from goodteacher.export import Classifier, load_student
from goodteacher.progress import Progress, Silent
from goodteacher.report import write_report
from goodteacher.results import (
    DataSummary,
    StudentRow,
    SweetSpot,
    TeacherRecord,
    TrajectoryRecord,
    Verdict,
)
from goodteacher.shipping import deliver_best, doubts_of
from goodteacher.store import Store, environment
from goodteacher.students import StudentTask
from goodteacher.sweet_spot import Found, Search, all_rows
from goodteacher.tasks import Context
from goodteacher.training.machine import choose_machine
from goodteacher.tuning import tuning_rows

SWEET_SPOT_FILE = "sweet_spot.json"
VERDICT_FILE = "verdict.json"

DataLike = str | Path | Dataset | Mapping[str, Any]
"""What names data, or is them."""


class Study:
    """A finished or unfinished study, read from its folder.

    Args:
        folder: The study's folder.

    Raises:
        StudyError: There is no study there.
    """

    def __init__(self, folder: Path | str) -> None:
        self.store = Store.open(folder)

    @property
    def folder(self) -> Path:
        """Where the study is."""
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
    def report(self) -> Path:
        """Where the report is."""
        return self.store.path("report.html")

    def trajectories(self) -> list[TrajectoryRecord]:
        """Return every recorded epoch of every teacher, by batch size and epoch."""
        files = sorted(self.folder.glob("teachers/*/trajectory.jsonl"))
        names = [str(path.relative_to(self.folder)) for path in files]
        return [r for name in names for r in self.store.read_records(name, TrajectoryRecord)]

    def students(self) -> list[StudentRow]:
        """Return a row for every trained student."""
        return self.store.read_table("students.parquet", StudentRow)

    def student(self) -> Classifier:
        """Return the delivered student, ready to classify: the best on the selection split."""
        return load_student(self.folder / "student")

    def baseline(self) -> Classifier:
        """Return the best student of hard labels, ready to classify."""
        return load_student(self.folder / "baseline")


def search(
    data: DataLike,
    *,
    teacher: str,
    student: str,
    out: str | Path,
    progress: Progress | None = None,
    **settings: Any,
) -> Study:
    """Find the sweet spot of a teacher-student pair, or go on with a search that was stopped.

    Args:
        data: A data set, or what :func:`~goodteacher.data.load_dataset` understands.
        teacher: Teacher architecture, such as ``"mlp:800,800"``.
        student: Student architecture, such as ``"mlp:64"``.
        out: The study's folder. An existing study with the same settings is resumed.
        progress: Told how far the search is.
        **settings: Any field of :class:`~goodteacher.config.StudyConfig`.

    Returns:
        The finished study.

    Raises:
        InputError: Something given cannot work; raised before any training.
        RunError: The work itself failed.

    Example:
        >>> study = search("digits", teacher="mlp:32", student="mlp:4", out=getfixture("tmp_path"),
        ...                batch_sizes=[64], epochs=2, student_epochs=2, seeds=2)
        >>> study.sweet_spot.teacher.batch_size
        64
    """
    networks = {"teacher": teacher, "student": student}
    config = checked_settings(StudyConfig, networks=networks, data=name_of(data), **settings)
    context = prepare_context(config, out, data=data, progress=progress or Silent())
    config = context.store.config(StudyConfig)
    plan = Search(config, context, ENGINES[config.engine](context))
    with context.store.lock():
        _run(plan)
    return Study(context.store.root)


def prepare_context(
    config: Settings, out: str | Path, *, data: DataLike, progress: Progress
) -> Context:
    """Check data, networks and folder, then set the folder up; nothing is trained.

    The folder's settings are those to work with: batch sizes that the user has not named are
    lowered there where the data are few.

    Args:
        config: Settings of a study or of a single distillation.
        out: The folder.
        data: The data, or where they are.
        progress: Told how far the work is.

    Raises:
        InputError: Something cannot work; the folder has not been touched.
    """
    folder = Path(out)
    Store.check(folder, config, but=BATCH_SETTINGS - config.model_fields_set)
    if isinstance(config, StudyConfig) and config.teachers_of is not None and not folder.exists():
        Store.open(config.teachers_of)
    machine = choose_machine(config)
    loaded = load_for(config, data)
    store = Store(folder)
    parts = prepare(
        loaded,
        selection_fraction=config.selection_fraction,
        transfer_fraction=config.transfer_fraction,
        seed=config.split_seed,
        normalization=config.normalization,
        tfidf_features=config.tfidf_features,
        on_open=lambda opening: store.log("test_split_opened", reason=opening.reason),
    )
    if isinstance(config, StudyConfig):
        _check_labelled(parts)
    _note_selection(config, loaded, progress)
    needs_two, told = rehearse(config, parts, machine)
    config, lowered = fitted_to_data(config, parts, needs_two)
    _check_same_data(store, parts)
    store = Store.create(folder, config)
    store.write_json("data.json", summary_of(parts, given=not isinstance(data, str | Path)))
    store.write_json("environment.json", environment(str(machine)))
    for note in (*told, *lowered):
        progress.note(note)
    return Context(parts, store, machine, progress)


def resume_context(
    folder: Path, config: StudyConfig, progress: Progress, *, data: DataLike | None = None
) -> Context:
    """Load a study's data again, to go on working in its folder.

    Args:
        folder: The study's folder.
        config: Its settings; how it runs (threads, memory) may differ from before.
        progress: Told how far the work is.
        data: The data, where they were given in Python; else they are found by their name.

    Raises:
        InputError: The data are not found, are others, or something else cannot work.
    """
    if data is not None:
        return prepare_context(config, folder, data=data, progress=progress)
    given = Store.open(folder).read_json("data.json", DataSummary).given_in_python
    try:
        return prepare_context(config, folder, data=config.data, progress=progress)
    except (DataError, StudyError) as error:
        if not given:
            raise
        raise StudyError(
            f"The data of {folder} were given in Python, as {config.data!r}, and cannot be loaded "
            f"by that name. Give them again, in Python: goodteacher.verify({str(folder)!r}, "
            "data=...), with the data set or the arrays."
        ) from error


def name_of(data: DataLike) -> str:
    """Return what a study calls its data: their name or path, or ``arrays``."""
    if isinstance(data, Dataset):
        return data.name
    return "arrays" if isinstance(data, Mapping) else str(data)


def summary_of(data: StudyData, *, given: bool) -> DataSummary:
    """Return what ``data.json`` says.

    Args:
        data: The data.
        given: Whether they were given in Python, rather than named.
    """
    return DataSummary(
        fingerprint=data.fingerprint,
        class_names=data.class_names,
        input_shape=data.input_shape,
        training=len(data.training),
        transfer=len(data.transfer),
        selection=len(data.selection),
        test=len(data.test),
        is_text=data.tfidf is not None,
        given_in_python=given,
    )


def _check_labelled(data: StudyData) -> None:
    if bool((data.training.labels == UNLABELLED).all()):
        raise DataError(
            "A search trains teachers on labels, but no training example has one. Label some of "
            "them; or give the response of a teacher that you have to goodteacher distill."
        )


def _note_selection(config: Settings, dataset: Dataset, progress: Progress) -> None:
    """Say so if a share to carve is set and nothing is carved."""
    default = type(config).model_fields["selection_fraction"].default
    if dataset.validation is not None and config.selection_fraction != default:
        progress.note(
            f"selection_fraction = {config.selection_fraction:g} is not used: these data have a "
            f"validation split of {len(dataset.validation):,} examples, and choices are made on it."
        )


def _check_same_data(store: Store, data: StudyData) -> None:
    if not store.exists("data.json"):
        return
    before = store.read_json("data.json", DataSummary).fingerprint
    if before != data.fingerprint:
        raise StudyError(
            f"{store.root} holds a study of other data (fingerprint {before[:12]}, now "
            f"{data.fingerprint[:12]}). Were the files changed? Name a new folder with --out."
        )


def _run(plan: Search) -> None:
    store = plan.context.store
    if coarse := selection_note(len(plan.context.data.selection)):
        plan.context.progress.note(coarse)
    store.log("search_resumed" if store.exists(SWEET_SPOT_FILE) else "search_started")
    records = plan.teach()
    others: list[TeacherRecord] = [*plan.branch(), *plan.mix(records)]
    found = plan.explore(records, others)
    confirmed = plan.confirm(found.winners.values())
    if _unanswered(store, plan.config):
        _finish(plan, [*records, *others], found, confirmed)
    write_report(store)
    store.log("search_finished")


def _unanswered(store: Store, config: StudyConfig) -> bool:
    """Say whether there is no answer yet, or one that training longer was asked to replace."""
    if not store.exists(SWEET_SPOT_FILE):
        return True
    return config.until_converged and bool(store.read_json(SWEET_SPOT_FILE, SweetSpot).improving)


def _finish(
    plan: Search,
    records: Sequence[TeacherRecord],
    found: Found,
    confirmed: Sequence[StudentTask],
) -> None:
    """Open the test split, write the students' table, deliver the best student, then the answer."""
    context = plan.context
    doubts = doubts_of(
        plan, found, confirmed
    )  # may train students, so the test split is sealed yet
    correct = correct_by_arm(context, confirmed)
    answer = conclude(plan, records, found, confirmed, correct, doubts)
    confirmations = confirmed_rows(context.store, confirmed, correct)
    probes = [*plan.probes, *found.probes]
    explored = all_rows(context.store, [*probes, *found.tasks])
    rows = [*tuning_rows(context.store, plan.plan), *explored, *confirmations]
    context.store.write_table("students.parquet", rows, StudentRow)
    for folder, family in (("student", answer.delivered), ("baseline", "cross_entropy")):
        deliver_best(context, found.winners[family], confirmed, correct, folder)
    context.store.write_json(SWEET_SPOT_FILE, answer)
