"""Recorded runs: the folder that a run of anybody's trainer leaves.

::

    run.json           what it is called, what its owner noted of it, of which data and classes
    splits.json        the ids of every part of the data, and how they were drawn
    trajectory.jsonl   a record for each recorded epoch, as a study's own runs have it
    responses/         epoch-00001.transfer.view-0.safetensors, ...selection..., perhaps ...test...

It is what a study keeps of a run below ``teachers/``, without weights. Every file is written whole
or not at all, the record of an epoch after its responses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from goodteacher.config import Attribute, DataConfig, Frozen, shown_attribute
from goodteacher.data import Split, StudyData, shorten
from goodteacher.errors import StudyError
from goodteacher.records import Predictor, TrajectoryRecord
from goodteacher.responses import Logits, TopK, difference, read_recorded, same_logits, save_arrays
from goodteacher.responses.measurement import measure_splits
from goodteacher.studies import CONFIG_FILE, Place, Store
from goodteacher.teachers.recording import RESPONSE_SPLITS, TRAJECTORY_FILE, response_name

RUN_FILE, SPLITS_FILE = "run.json", "splits.json"


class RunNotes(Frozen):
    """Content of ``run.json``."""

    schema_version: Literal[1] = 1
    name: str
    attributes: dict[str, Attribute] = Field(
        default={}, description="batch_size, learning_rate, seed, or anything else that was noted"
    )
    class_names: tuple[str, ...]
    fingerprint: str
    predictor: Predictor | None = Field(
        default=None, description="a teacher that predicts and was asked once, without epochs"
    )


class SplitIds(Frozen):
    """Content of ``splits.json``: which examples are in which part of the data."""

    schema_version: Literal[1] = 1
    fingerprint: str
    class_names: tuple[str, ...]
    selection_fraction: float
    transfer_fraction: float
    split_seed: int
    training: tuple[int, ...]
    transfer: tuple[int, ...]
    selection: tuple[int, ...]
    test: tuple[int, ...]

    @classmethod
    def of(cls, config: DataConfig, data: StudyData) -> Self:
        """Return the ids of data that were divided under some settings."""
        parts = {name: getattr(data, name).ids.tolist() for name in (*_PARTS, "test")}
        return cls(
            fingerprint=data.fingerprint,
            class_names=data.class_names,
            selection_fraction=config.selection_fraction,
            transfer_fraction=config.transfer_fraction,
            split_seed=config.split_seed,
            **parts,
        )

    def write(self, store: Store) -> None:
        """Write the file."""
        store.write_text(SPLITS_FILE, self.model_dump_json() + "\n")


_PARTS = ("training", "transfer", "selection")
_CALLED = {"training": "training part", "transfer": "transfer set", "selection": "selection split"}


def why_other_data(known: SplitIds, ours: SplitIds) -> str | None:
    """Say how data differ from those that a run was recorded on; None where they do not.

    Args:
        known: Of the run.
        ours: Of the data.
    """
    if known.class_names != ours.class_names:
        found = difference(known.class_names, ours.class_names)
        told = found.replace("the response has", "the run has")
        return f"its classes differ ({told})"
    if known.fingerprint != ours.fingerprint:
        return (
            "it was recorded on other data or on another version of them (fingerprint "
            f"{known.fingerprint[:12]}, now {ours.fingerprint[:12]}): were examples, labels or "
            "ids changed, or is the data set read with other settings?"
        )
    return None


def why_lacking(known: SplitIds, ours: SplitIds) -> str | None:
    """Say which examples that are needed a run was not recorded on; None where it has them all.

    Args:
        known: Of the run, on the same data.
        ours: What is needed.
    """
    lacking = []
    for name in RESPONSE_SPLITS:
        missing = sorted(set(getattr(ours, name)) - set(getattr(known, name)))
        if missing:
            lacking.append(
                f"{len(missing):,} of {len(getattr(ours, name)):,} examples of the "
                f"{_CALLED[name]} are missing (ids {shorten(missing)})"
            )
    if not lacking:
        return None
    return f"it was recorded on another split: {'; '.join(lacking)}{_how_drawn(known, ours)}"


def why_other_split(known: SplitIds, ours: SplitIds) -> str | None:
    """Say how a split differs from the one that a run was started with; None where it does not."""
    for name in _PARTS:
        theirs, here = set(getattr(known, name)), set(getattr(ours, name))
        if theirs != here:
            return (
                f"the {_CALLED[name]} is different: {len(theirs - here):,} of its {len(theirs):,} "
                f"examples are not in it now{_how_drawn(known, ours)}"
            )
    return None


def _how_drawn(known: SplitIds, ours: SplitIds) -> str:
    names = ("selection_fraction", "transfer_fraction", "split_seed")
    pairs = {name: (getattr(known, name), getattr(ours, name)) for name in names}
    told = [f"{name} was {a:g}, is {b:g} here" for name, (a, b) in pairs.items() if a != b]
    return f" ({', '.join(told)})" if told else ""


@dataclass(frozen=True)
class RecordedRun:
    """A recorded run that exists.

    Attributes:
        store: Its folder.
        notes: What it is.
        splits: Which examples it was recorded on.
    """

    store: Store
    notes: RunNotes
    splits: SplitIds

    @classmethod
    def open(cls, folder: Path | str) -> Self:
        """Read what a folder says of its run.

        Raises:
            StudyError: There is no recorded run, or its files are damaged.
        """
        store = Store(folder)
        if not store.exists(RUN_FILE):
            raise StudyError(f"{folder} is not a recorded run: {_instead_of_a_run(store)}")
        notes = store.read_json(RUN_FILE, RunNotes)
        return cls(store, notes, store.read_json(SPLITS_FILE, SplitIds))

    def records(self) -> list[TrajectoryRecord]:
        """Return its recorded epochs, in order.

        Raises:
            StudyError: The file is damaged, or it holds an epoch twice.
        """
        found = self.store.read_records(TRAJECTORY_FILE, TrajectoryRecord)
        epochs = [record.epoch for record in found]
        twice = sorted({epoch for epoch in epochs if epochs.count(epoch) > 1})
        if twice:
            raise StudyError(
                f"{self.store.root / TRAJECTORY_FILE} holds epoch {shorten(twice)} more than "
                "once. A run has one teacher for each epoch: remove the other line."
            )
        return sorted(found, key=lambda record: record.epoch)

    def response(self, epoch: int, name: str, split: Split) -> Logits:
        """Return what was recorded of an epoch, aligned with a split by id, [len(split), C]."""
        return read_recorded(self.store.local(response_name(epoch, name))).aligned_to(split.ids)

    def has_response(self, epoch: int, name: str) -> bool:
        """Say whether a split's response was recorded at an epoch."""
        return self.store.exists(response_name(epoch, name))

    def files(self) -> list[str]:
        """Return its responses that a record speaks of, by name.

        Raises:
            StudyError: One that must be there is missing.
        """
        healthy = [record.epoch for record in self.records() if record.status == "ok"]
        for epoch in healthy:
            for name in RESPONSE_SPLITS:
                if not self.has_response(epoch, name):
                    raise StudyError(
                        f"{self.store.root / response_name(epoch, name)} is missing, but "
                        f"{TRAJECTORY_FILE} has a record of epoch {epoch}. Copy the whole folder, "
                        "or record this epoch again."
                    )
        names = (*RESPONSE_SPLITS, "test")
        return [response_name(e, n) for e in healthy for n in names if self.has_response(e, n)]

    def content(self) -> str:
        """Return 16 digits that name what the run says: its records and its responses."""
        digest = hashlib.sha256()
        for record in self.records():
            # What a run is called is no part of what its teachers say.
            digest.update(record.model_dump_json(exclude={"run", "attributes"}).encode())
        for name in self.files():
            with self.store.local(name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()[:16]


def _instead_of_a_run(store: Store) -> str:
    if isinstance(store.root, Path) and not store.root.exists():
        return "there is no such folder. Is the path right?"
    if store.exists(CONFIG_FILE):
        return "it is a study. To reuse the teachers of a study, give --teachers-of."
    if store.exists(SPLITS_FILE):
        return f"it has {SPLITS_FILE}, but nothing was recorded in it yet (no {RUN_FILE})."
    return f"it has no {RUN_FILE}. goodteacher.Recorder makes one."


def why_other_notes(known: RunNotes, ours: RunNotes) -> str | None:
    """Say what is noted of a run otherwise than when it was begun; None where all is the same."""
    if known.name != ours.name:
        return f"its name was {known.name!r} and is {ours.name!r} here"
    names = sorted({*known.attributes, *ours.attributes})
    pairs = {n: (known.attributes.get(n), ours.attributes.get(n)) for n in names}
    told = [f"{n} was {_shown(a)}, is {_shown(b)} here" for n, (a, b) in pairs.items() if a != b]
    return "; ".join(told) or None


def check_kind(folder: Place, *, asked_once: bool) -> None:
    """Refuse to record a teacher without epochs among those of a training, or the reverse.

    Args:
        folder: Of a run, which may not have begun.
        asked_once: Whether a teacher without epochs is to be recorded.

    Raises:
        StudyError: The folder holds a run of the other kind.
    """
    if not Store(folder).exists(RUN_FILE):
        return
    predictor = RecordedRun.open(folder).notes.predictor
    if asked_once and predictor is None:
        raise StudyError(
            f"{folder} contains epochs of a training, but this teacher has no epochs. Choose "
            "another folder, or pass epoch= if the teacher is one epoch of that training."
        )
    if predictor is not None and not asked_once:
        raise StudyError(f"{folder} contains a teacher without epochs. Choose another folder.")


def _shown(value: Attribute | None) -> str:
    return "not noted" if value is None else shown_attribute(value)


def write_epoch(
    run: RecordedRun,
    records: Sequence[TrajectoryRecord],
    responses: Mapping[str, tuple[Logits, Tensor]],
    *,
    epoch: int,
    kept: Mapping[str, TopK] = MappingProxyType({}),
) -> None:
    """Write an epoch's responses, and last the run's records.

    Args:
        run: The run; its folder and files are made where they are missing.
        records: All of its records, that of the epoch included.
        responses: Logits [N, C] and ids [N] by split; none where the teacher diverged.
        epoch: The epoch.
        kept: Of which splits the largest classes alone are stored.
    """
    store = run.store
    if not store.exists(SPLITS_FILE):
        run.splits.write(store)
    if not store.exists(RUN_FILE):
        store.write_json(RUN_FILE, run.notes)
    for name, (logits, ids) in responses.items():
        top = kept.get(name)
        notes = {"format": "pt", "split": name, "view": "0", **(top.notes if top else {})}
        with store.writing(response_name(epoch, name)) as path:
            save_arrays(path, {**(top.arrays if top else {"logits": logits}), "ids": ids}, notes)
    for name in {*RESPONSE_SPLITS, "test"} - responses.keys():
        store.remove(response_name(epoch, name))  # of what was recorded of this epoch before
    by_epoch = {record.epoch: record for record in records}
    store.write_records(TRAJECTORY_FILE, [by_epoch[number] for number in sorted(by_epoch)])


def measured_run(
    said: Mapping[str, Logits],
    labels: Mapping[str, Tensor],
    *,
    healthy: bool,
    temperatures: Sequence[float] = (),
) -> dict[str, object]:
    """Measure what a teacher said; what needs labels is left out where there are none.

    Args:
        said: Logits [N, C] by split.
        labels: int64 [N] by split; -1 where unknown. No other split is looked at.
        healthy: Whether it did not diverge; else nothing is measured.
        temperatures: Where to measure, beside 1 and the best one.

    Returns:
        Fields of a :class:`~goodteacher.records.TrajectoryRecord`.
    """
    if not healthy:
        return {"optimal_temperature": None}
    known = {name: said[name] for name in labels if bool((labels[name] >= 0).any())}
    best, measurements = measure_splits(known, labels, temperatures=temperatures)
    return {
        "optimal_temperature": best.value,
        "optimal_temperature_limit": best.limit,
        "measurements": measurements,
    }


def same_responses(
    run: RecordedRun, epoch: int, responses: Mapping[str, tuple[Logits, Tensor]]
) -> bool:
    """Say whether an epoch was recorded before with the same numbers."""
    for name, (logits, ids) in responses.items():
        if not run.has_response(epoch, name):
            return False
        known = read_recorded(run.store.local(response_name(epoch, name)))
        if not torch.equal(known.ids, ids) or not same_logits(known.logits, logits):
            return False
    return True
