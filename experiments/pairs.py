"""What the study left of each teacher-student pair, read back from `experiments/results`.

A pair's folder is `results/DATA/TEACHER--STUDENT--TRANSFER[--VARIATION][--seedN]`; `collect.py`
writes it. Without a variation, `--seedN` is the same pair with teachers of another seed: a
*replicate* of it.

    from pairs import all_pairs
    for pair in all_pairs():
        print(pair.name, len(pair.teachers), pair.verdict and pair.verdict.verdict)

What could not be run is missing: then `students` is empty, and a sweet spot, a verdict or the
evidence is None.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, field_validator

from goodteacher.config import RUNTIME_SETTINGS, Frozen, StudyConfig, Training
from goodteacher.records.arms import TeacherVariant
from goodteacher.records.evidence import Evidence
from goodteacher.records.results import (
    Measurement,
    StudentRow,
    SweetSpot,
    TrajectoryRecord,
    Verdict,
)
from goodteacher.studies.files import EVIDENCE_FILE, VERDICT_FILE

RESULTS = Path(__file__).resolve().parent / "results"

NAMES_OF_DATA = ("data", "target", "text_column", "test_split")
"""Settings that say which data are meant; no default of theirs can change a search."""

PAIR_FILE = "pair.json"
MEASUREMENTS_FILE = "measurements.csv"
STUDENTS_FILE = "students.csv"
DEFAULT_STUDENTS_FILE = "students_default.csv"
PROBES_FILE = "probes.csv"
WATCHING_PROBES_FILE = "probes_watching.csv"
MIXTURES_FILE = "mixtures.json"
MIXTURES_STUDENTS_FILE = "mixtures.csv"
NAMES = {
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "banking77": "Banking77",
    "cifar10": "CIFAR-10",
}
"""What a reader calls the data sets, in the order of tables and figures."""

SINGLE, BLEND = "best single", "blend"
"""The kinds of mixture that others are compared with."""
EXHAUSTIVE_FILE = "exhaustive.json"
SEARCH_FILE = "search.json"

NOT_KEPT: Mapping[str, Any] = {
    "task": "",
    "training_loss": None,
    "curve": (),
    "teacher": None,
}
"""What `students.csv` leaves out of a row, and what stands for it."""

AFTER_THE_STUDY = frozenset({"extend", "until_converged"})
"""Settings that came when students began to be tuned."""

RowT = TypeVar("RowT", bound=Frozen)


class PairKey(Frozen):
    """Which pair of the study: what its folder is named after."""

    data: str
    teacher_role: Literal["large", "small"]
    student_role: Literal["wide", "narrow"]
    transfer: Literal["full", "tenth"]
    variation: str | None = None
    teacher_seed: int = 0

    @property
    def folder(self) -> str:
        """Its folder below the results, such as `mnist/large--narrow--tenth`."""
        seed = f"seed{self.teacher_seed}" if self.teacher_seed else None
        parts = (self.teacher_role, self.student_role, self.transfer, self.variation, seed)
        return f"{self.data}/{'--'.join(part for part in parts if part)}"

    @property
    def is_replicate(self) -> bool:
        """Whether it is a pair of the study once more, with teachers of another seed."""
        return self.variation is None and self.teacher_seed != 0

    @property
    def first(self) -> PairKey:
        """The same with teachers of the first seed."""
        return PairKey(**self.model_dump(include=set(PairKey.model_fields)) | {"teacher_seed": 0})


class PairInfo(PairKey):
    """Content of `pair.json`.

    `taught` is the last epoch of each trajectory in the default search, by batch size; empty where
    there was none.
    """

    teacher: str
    student: str
    num_classes: int
    transfer_examples: int
    settings: dict[str, Any]
    environment: dict[str, Any]
    minutes: dict[str, float] = Field(default_factory=dict)
    taught: dict[int, int] = Field(default_factory=dict)

    @field_validator("settings")
    @classmethod
    def _of_one_run_each(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """Read settings from before learning rates and seeds were lists."""
        return {
            f"{name}s" if name in ("learning_rate", "teacher_seed") else name: [value]
            if name in ("learning_rate", "teacher_seed")
            else value
            for name, value in settings.items()
        }


class MeasurementRow(Measurement):
    """A line of `measurements.csv`: a checkpoint measured on one split at one temperature."""

    batch_size: int
    epoch: int
    variant: TeacherVariant
    steps: int
    passes: float
    seconds: float
    learning_rate: float
    optimal_temperature: float | None = None


class Mixture(Frozen):
    """A mean of responses, and how good it is on the selection split.

    Attributes:
        same_as: The first kind that came to the same mean, often its own.
        members: Weight of each checkpoint.
        nll: Negative log-likelihood at T = 1, nats.
        best_nll: The same at its best temperature.
        accuracy: In [0, 1].
        optimal_temperature: That temperature.
    """

    same_as: str
    members: dict[str, float]
    nll: float
    best_nll: float
    accuracy: float
    optimal_temperature: float


class Mixtures(Frozen):
    """Content of `mixtures.json`: each kind of mixture, in the order of `mixtures.py`."""

    kinds: dict[str, Mixture] = Field(default_factory=dict)


class Pair:
    """One pair of the study, read when asked for.

    Args:
        folder: Its folder below the results.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def name(self) -> str:
        """Such as `mnist/large--narrow--tenth`."""
        return self.pair.folder

    @cached_property
    def pair(self) -> PairInfo:
        """Who it is, its settings and its machine."""
        return PairInfo.model_validate_json((self.folder / PAIR_FILE).read_text())

    @property
    def of_today(self) -> bool:
        """Whether its searches knew every setting that the study's last ones knew.

        Since then students are tuned (`tuned` says of which pairs).
        """
        known = StudyConfig.model_fields.keys() - {
            *NAMES_OF_DATA,
            *RUNTIME_SETTINGS,
            *AFTER_THE_STUDY,
        }
        return known <= self.pair.settings.keys()

    @property
    def tuned(self) -> bool:
        """Whether its students were tuned: nobody named how many epochs they train for."""
        return self.pair.settings.get("student_epochs") is None

    @property
    def called(self) -> str:
        """What a reader calls its data set."""
        return NAMES.get(self.pair.data, self.pair.data)

    @property
    def kind_of_students(self) -> str:
        """What the tables call its students."""
        return "tuned" if self.tuned else "untuned"

    @cached_property
    def measurements(self) -> tuple[MeasurementRow, ...]:
        """Every checkpoint, split and temperature, one row each."""
        return read_rows(self.folder / MEASUREMENTS_FILE, MeasurementRow)

    @cached_property
    def teachers(self) -> tuple[TrajectoryRecord, ...]:
        """The same measurements as records, one for each checkpoint; ones that diverged miss."""
        return records_of(self.measurements)

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """The batch size of each run."""
        return {record.run: record.batch_size for record in self.teachers if record.batch_size}

    @cached_property
    def students(self) -> tuple[StudentRow, ...]:
        """Students of the exhaustive search; empty where there was none."""
        return self._students(STUDENTS_FILE)

    @cached_property
    def default_students(self) -> tuple[StudentRow, ...]:
        """Students of the default search, with its rungs and probes; empty where there was none."""
        return self._students(DEFAULT_STUDENTS_FILE)

    @cached_property
    def probes(self) -> tuple[StudentRow, ...]:
        """Students of one epoch, of every teacher; empty where none were trained.

        They are kept by `probe.py`, or are those of a default search that ranked by them: the last
        ones that it probed.
        """
        kept = self._students(PROBES_FILE)
        others = [row for row in self.default_students if row.stage == "probe"]
        last = max((row.rung for row in others), default=0)
        return kept or tuple(row for row in others if row.rung == last)

    @cached_property
    def watching_probes(self) -> tuple[StudentRow, ...]:
        """Probe students of every teacher as `patience` trains them; empty where none were."""
        return self._students(WATCHING_PROBES_FILE)

    @cached_property
    def mixtures(self) -> Mapping[str, Mixture]:
        """Mixtures of responses by kind; empty where none were tried."""
        found = self._read(MIXTURES_FILE, Mixtures)
        return found.kinds if found else {}

    @cached_property
    def mixture_students(self) -> tuple[StudentRow, ...]:
        """Students of the mixtures: by every recipe, and the best ones with fresh seeds."""
        return self._students(MIXTURES_STUDENTS_FILE)

    @cached_property
    def exhaustive(self) -> SweetSpot | None:
        """What the exhaustive search found."""
        return self._read(EXHAUSTIVE_FILE, SweetSpot)

    @cached_property
    def search(self) -> SweetSpot | None:
        """What the default search found, confirmed with the same seeds."""
        return self._read(SEARCH_FILE, SweetSpot)

    @cached_property
    def verdict(self) -> Verdict | None:
        """The verdict on the default search's sweet spot."""
        return self._read(VERDICT_FILE, Verdict)

    @cached_property
    def evidence(self) -> Evidence | None:
        """The evidence beside the verdict."""
        return self._read(EVIDENCE_FILE, Evidence)

    def _students(self, name: str) -> tuple[StudentRow, ...]:
        """Read a table of students; tables from before students were tuned name no training."""
        named = ("student_batch_size", "student_learning_rate")
        return read_students(
            self.folder / name, **{field: self.pair.settings.get(field) for field in named}
        )

    def _read(self, name: str, kind: type[RowT]) -> RowT | None:
        path = self.folder / name
        if not path.exists():
            return None
        return kind.model_validate(named_by_run(json.loads(path.read_text())))


def all_pairs(results: Path = RESULTS, *, variations: bool = False) -> list[Pair]:
    """Return every pair below the results, by name.

    Args:
        results: Where they are.
        variations: Also those of other settings, such as `--steps`, and replicates: pairs that were
            run again with teachers of other seeds. The study's tables leave them out, since they
            are alike to a pair that is in.
    """
    pairs = [Pair(path.parent) for path in sorted(results.glob(f"*/*/{PAIR_FILE}"))]
    return pairs if variations else parts_of(pairs).study


@dataclass(frozen=True)
class Parts:
    """All pairs, by what they are to the study.

    Attributes:
        study: The pairs that it is about, each once, with teachers of the first seed.
        replicates: The same pairs with teachers of other seeds.
        variations: Pairs under other settings.
    """

    study: list[Pair]
    replicates: list[Pair]
    variations: list[Pair]


def parts_of(pairs: Iterable[Pair]) -> Parts:
    """Tell the pairs of a study, their replicates and its variations apart."""
    parts = Parts([], [], [])
    for pair in pairs:
        if pair.pair.variation is not None:
            parts.variations.append(pair)
        elif pair.pair.is_replicate:
            parts.replicates.append(pair)
        else:
            parts.study.append(pair)
    return parts


def confirmed(
    rows: Iterable[StudentRow], arm: str, field: str, training: Training | None = None
) -> dict[int, float]:
    """Return an accuracy of an arm's confirmed students, by seed.

    Args:
        rows: Students of a search.
        arm: What they learned from, and by which recipe.
        field: Which accuracy.
        training: How they trained; two families may have tuned the same arm apart.
    """
    ours = (
        row
        for row in rows
        if row.stage == "confirm" and row.arm == arm and training in (None, row.training)
    )
    return {row.seed: getattr(row, field) for row in ours if getattr(row, field) is not None}


def paired(ours: Mapping[int, float], theirs: Mapping[int, float]) -> tuple[float, ...]:
    """Return the differences, ours minus theirs, at the seeds that both have."""
    return tuple(ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys()))


def read_students(path: Path, **others: Any) -> tuple[StudentRow, ...]:
    """Read a table of students; what is not kept of them is empty.

    Args:
        path: A CSV file.
        **others: Fields for which an old table has no column, and their values.
    """
    rows = read_rows(path, StudentRow, named_by_run, **NOT_KEPT, **others)
    return tuple(
        # The arm's name begins with its teacher's, so that needs no column.
        row.model_copy(update={"teacher": row.arm.partition(" | ")[0]})
        if row.source in ("checkpoint", "blend")
        else row
        for row in rows
    )


def named_by_run(value: Any) -> Any:
    """Read what is from before teachers were named by their run: batch size and epoch were all.

    Args:
        value: A row, or the content of a JSON file.
    """
    if isinstance(value, list):
        return [named_by_run(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {name: named_by_run(each) for name, each in value.items()}
    if not {"batch_size", "epoch"} <= found.keys():
        return found
    size = found.pop("batch_size")
    found["run"] = None if size is None else run_name(size)
    if not {"weight", "arm"} & found.keys():  # the sweet spot's teacher, no member and no row
        found["attributes"] = {"batch_size": size}
    return found


def run_name(batch_size: int | str) -> str:
    """Return what the study calls the run of a batch size: each has one."""
    return f"batch {batch_size}"


def read_rows(
    path: Path, kind: type[RowT], prepared: Callable[[Any], Any] = dict, **others: Any
) -> tuple[RowT, ...]:
    """Read a table; empty cells are None, and a missing file holds no rows.

    Args:
        path: A CSV file.
        kind: What a row is.
        prepared: Makes of a row's cells what its fields want.
        **others: Fields that have no column, and their values.
    """
    if not path.exists():
        return ()
    with path.open(encoding="utf-8", newline="") as file:
        plain = [{name: text or None for name, text in row.items()} for row in csv.DictReader(file)]
    return tuple(kind.model_validate({**others, **prepared(row)}) for row in plain)


def records_of(rows: Iterable[MeasurementRow]) -> tuple[TrajectoryRecord, ...]:
    """Return one record for each checkpoint, in the order of the rows."""
    grouped: dict[tuple[int, int, str], list[MeasurementRow]] = {}
    for row in rows:
        grouped.setdefault((row.batch_size, row.epoch, row.variant), []).append(row)
    return tuple(_record(group) for group in grouped.values())


def _record(rows: list[MeasurementRow]) -> TrajectoryRecord:
    of_teacher = set(MeasurementRow.model_fields) - set(Measurement.model_fields)
    measured = (Measurement(**row.model_dump(exclude=of_teacher)) for row in rows)
    own = rows[0].model_dump(include=of_teacher)
    size = own.pop("batch_size")
    who = {"run": run_name(size), "attributes": {"batch_size": size}}
    return TrajectoryRecord(**who, **own, training_loss=None, measurements=tuple(measured))
