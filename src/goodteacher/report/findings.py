"""Reading a study folder: everything that the report says comes from here and `recorded`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from goodteacher.config import StudyConfig, VerifyConfig, run_order
from goodteacher.records import (
    BlendRecord,
    Checkpoint,
    DataSummary,
    Decision,
    Evidence,
    Examples,
    Export,
    StudentRow,
    SweetSpot,
    TrajectoryRecord,
    Verdict,
)
from goodteacher.report.recorded import Said, read_said
from goodteacher.report.rungs import longest_training
from goodteacher.report.runs import RunAxis, axis_of
from goodteacher.studies import (
    BLENDS_FILE,
    DECISIONS_FILE,
    EVIDENCE_FILE,
    EXAMPLES_FILE,
    EXPORT_FILE,
    RESPONSE_FILE,
    Environment,
    Store,
    environments,
)

Tables = dict[str, list[StudentRow]]
"""Students of tasks that are done, by the name of their file."""


@dataclass(frozen=True)
class Judgement:
    """What ``goodteacher verify`` found.

    Attributes:
        verdict: Knowledge or regularization.
        evidence: What else tells them apart; None in folders of earlier versions.
    """

    verdict: Verdict
    evidence: Evidence | None


@dataclass(frozen=True)
class Verified:
    """The result files of a verification of the user's own teacher.

    Attributes:
        name: Name of the folder.
        config: Its settings.
        data: Its data.
        environments: The machines and versions it ran on, first one first.
        judgement: The verdict; None while it has not been reached.
        given: Name of the file that held the response; empty where it was given in Python.
    """

    name: str
    config: VerifyConfig
    data: DataSummary
    environments: tuple[Environment, ...]
    judgement: Judgement | None
    given: str = ""


@dataclass(frozen=True)
class Findings:
    """The result files of a study, finished or not.

    Attributes:
        name: Name of the folder.
        config: Its settings.
        data: Its data.
        environments: The machines and versions it ran on, first one first.
        records: Every recorded epoch, by run and epoch, diverged ones included.
        students: A row for each trained student.
        sweet_spot: The answer; None while the search has not finished.
        judgement: The verdict; None while the study has not been verified.
        blends: Means of recorded responses that were measured.
        branches: Moving averages and cooldowns of checkpoints that did not diverge, by variant,
            run and epoch.
        decisions: What the search decided.
        export: What the last export found; None while there was none.
        said: What the recorded responses say; None before the search ends, or without them.
        examples: The most telling examples; None before the search ends, or without their file.
    """

    name: str
    config: StudyConfig
    data: DataSummary
    environments: tuple[Environment, ...]
    records: tuple[TrajectoryRecord, ...]
    students: tuple[StudentRow, ...]
    sweet_spot: SweetSpot | None
    judgement: Judgement | None = None
    blends: tuple[BlendRecord, ...] = ()
    branches: tuple[TrajectoryRecord, ...] = ()
    decisions: tuple[Decision, ...] = ()
    export: Export | None = None
    said: Said | None = None
    examples: Examples | None = None

    @cached_property
    def axis(self) -> RunAxis:
        """Every run, those that have not begun and those recorded elsewhere included."""
        planned = (each.run for each in self.config.runs)
        return axis_of((*planned, *(record.made_by for record in self.records)))

    @property
    def epochs(self) -> tuple[int, ...]:
        """Every epoch that is planned or recorded."""
        return tuple(sorted({*self.config.recorded_epochs, *(r.epoch for r in self.records)}))

    @cached_property
    def trained(self) -> Mapping[Checkpoint, int]:
        """Up to which epoch any student of each checkpoint trained in the search."""
        return longest_training(self.students)

    @property
    def healthy(self) -> tuple[TrajectoryRecord, ...]:
        """Records of teachers that did not diverge."""
        return tuple(record for record in self.records if record.status == "ok")

    @property
    def chosen(self) -> Checkpoint | None:
        """The sweet spot's checkpoint; None before the search ends, or for another variant."""
        if self.sweet_spot is None:
            return None
        source = self.sweet_spot.teacher.source
        return source if isinstance(source, Checkpoint) and source.variant == "raw" else None

    @property
    def shortlisted(self) -> frozenset[Checkpoint]:
        """Checkpoints that compete for the sweet spot; none before that was decided."""
        listed = (d.teachers for d in self.decisions if d.what == "shortlist")
        return frozenset(t for each in listed for t in each if isinstance(t, Checkpoint))

    def record_of(self, checkpoint: Checkpoint) -> TrajectoryRecord | None:
        """Return what was recorded at a checkpoint, if anything was."""
        found = (record for record in self.records if record.checkpoint == checkpoint)
        return next(found, None)


def read_findings(store: Store, tables: Tables | None = None) -> Findings:
    """Read the result files of a study.

    Args:
        store: The study folder. ``students.parquet`` and ``sweet_spot.json`` may be missing; then
            the students are those of the tasks that are done.
        tables: What was read before of tasks that are done, and do not change; what is new is
            added.

    Raises:
        StudyError: A file is missing that every study has, or holds something else.
        ConfigError: ``study.toml`` cannot be read.
    """
    records, students = _records(store, "teachers/*/trajectory.jsonl"), _students(store, tables)
    found = None
    if store.exists("sweet_spot.json"):
        found = store.read_json("sweet_spot.json", SweetSpot)
    return Findings(
        name=store.name,
        config=store.config(StudyConfig),
        data=store.read_json("data.json", DataSummary),
        environments=environments(store),
        records=records,
        students=students,
        sweet_spot=found,
        said=None if found is None else read_said(store, found, _folders(store), records, students),
        judgement=_judgement(store),
        blends=_blends(store),
        export=store.read_json(EXPORT_FILE, Export) if store.exists(EXPORT_FILE) else None,
        examples=store.read_json(EXAMPLES_FILE, Examples) if store.exists(EXAMPLES_FILE) else None,
        decisions=tuple(store.read_records(DECISIONS_FILE, Decision)),
        branches=tuple(
            record
            for variant in ("ema", "cooldown")
            for record in _records(store, f"teachers/*/{variant}-*/trajectory.jsonl")
            if record.status == "ok"
        ),
    )


def read_verified(store: Store) -> Verified:
    """Read the result files of a verification.

    Args:
        store: The folder. ``verdict.json`` may be missing.

    Raises:
        StudyError: A file is missing that every verification has, or holds something else.
        ConfigError: ``study.toml`` cannot be read.
    """
    return Verified(
        name=store.name,
        config=store.config(VerifyConfig),
        data=store.read_json("data.json", DataSummary),
        environments=environments(store),
        judgement=_judgement(store),
        given=_given(store),
    )


def _given(store: Store) -> str:
    known = store.exists(RESPONSE_FILE)
    return store.read_notes(RESPONSE_FILE).get("name", "") if known else ""


def _judgement(store: Store) -> Judgement | None:
    if not store.exists("verdict.json"):
        return None
    known = store.exists(EVIDENCE_FILE)
    evidence = store.read_json(EVIDENCE_FILE, Evidence) if known else None
    return Judgement(store.read_json("verdict.json", Verdict), evidence)


def _records(store: Store, pattern: str) -> tuple[TrajectoryRecord, ...]:
    names = _names(store, pattern)
    records = [r for name in names for r in store.read_records(name, TrajectoryRecord)]
    return tuple(sorted(records, key=lambda record: (run_order(record.made_by), record.epoch)))


def _folders(store: Store) -> dict[str, str]:
    """Return the folder of each run below the study."""
    return {
        record.run: name.removesuffix("/trajectory.jsonl")
        for name in _names(store, "teachers/*/trajectory.jsonl")
        for record in store.read_records(name, TrajectoryRecord)
    }


def _blends(store: Store) -> tuple[BlendRecord, ...]:
    names = _names(store, f"teachers/*/{BLENDS_FILE}")
    return tuple(record for name in names for record in store.read_records(name, BlendRecord))


def _students(store: Store, tables: Tables | None) -> tuple[StudentRow, ...]:
    if store.exists("students.parquet"):
        return tuple(store.read_table("students.parquet", StudentRow))
    known, names = {} if tables is None else tables, _names(store, "students/*/rows.parquet")
    known |= {n: store.read_table(n, StudentRow) for n in names if n not in known}
    return tuple(row for name in names for row in known[name])


def _names(store: Store, pattern: str) -> Iterable[str]:
    return store.matching(pattern)
