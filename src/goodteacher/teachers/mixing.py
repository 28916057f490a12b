"""Teachers made of recorded responses: averages along a trajectory, and blends over all of them.

They need no training and no student: a :class:`BlendTask` reads what trajectories have written,
chooses on the selection split, and measures each mean as any response is measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import torch

from goodteacher.config import Frozen
from goodteacher.maths.blends import choose_blend
from goodteacher.records import Blend, BlendMember, BlendRecord, Checkpoint, TeacherSource
from goodteacher.responses import Logits, in_memory
from goodteacher.responses.measurement import measure_splits
from goodteacher.studies import BLENDS_FILE, Context, DataKey, Store
from goodteacher.teachers.port import RecordedTeachers
from goodteacher.teachers.recording import RESPONSE_SPLITS, split_of


class BlendTask(Frozen):
    """Means of recorded responses, to be chosen and measured."""

    runner: ClassVar[str] = "goodteacher.teachers.mixing:BlendRunner"

    data: DataKey
    teachers: tuple[tuple[str, str], ...]
    checkpoints: tuple[Checkpoint, ...]
    variants: tuple[str, ...]
    temperatures: tuple[float, ...]

    @property
    def key(self) -> str:
        """Name of the task and of its folder below ``teachers/``."""
        return f"blends-{self.digest()}"

    @property
    def work(self) -> float:
        """Size of the task, in responses."""
        return float(len(self.checkpoints))


def blends_of(store: Store, task: BlendTask) -> list[BlendRecord]:
    """Return what was measured: averages by run and epoch, then the blend."""
    return store.read_records(_file(task), BlendRecord)


def write_blends(store: Store, task: BlendTask, records: Sequence[BlendRecord]) -> None:
    """Keep what was measured of a task's means."""
    store.write_records(_file(task), records)


def equal_means(task: BlendTask) -> list[Blend]:
    """Return as many means as a task measures, those of a blend weighted alike."""
    found = averages(task.checkpoints) if "average" in task.variants else []
    if "blend" in task.variants:
        share = 1 / len(task.checkpoints)
        found.append(blend_of(task.checkpoints, [share] * len(task.checkpoints)))
    return found


def _file(task: BlendTask) -> str:
    return f"teachers/{task.key}/{BLENDS_FILE}"


class BlendRunner:
    """Chooses and measures means of recorded responses."""

    def done(self, task: BlendTask, store: Store) -> bool:
        """Say whether the means have been measured."""
        return store.exists(_file(task))

    def run(self, task: BlendTask, context: Context) -> None:
        """Choose the blend on the selection split, and measure it and the averages."""
        records = [r for variant in task.variants for r in _records_of(task, context, variant)]
        write_blends(context.store, task, records)
        context.progress.advance(task.work)


def _response(task: BlendTask, context: Context, source: TeacherSource, name: str) -> Logits:
    """Return a teacher's response on the transfer set or the selection split, [N, C]."""
    split = split_of(context, name)
    teachers = RecordedTeachers(context.store, dict(task.teachers))
    return teachers.response(source, split, name=name)


def _records_of(task: BlendTask, context: Context, variant: str) -> list[BlendRecord]:
    started = time.perf_counter()
    sources = MEANS.get(variant, _no_means)(task, context)
    records = [_record(task, context, source) for source in sources]
    share = (time.perf_counter() - started) / max(1, len(records))
    return [r.model_copy(update={"recording_seconds": share}) for r in records]


def _record(task: BlendTask, context: Context, source: Blend) -> BlendRecord:
    responses = {name: _response(task, context, source, name) for name in RESPONSE_SPLITS}
    labels = {name: split_of(context, name).labels for name in RESPONSE_SPLITS}
    best, measurements = measure_splits(responses, labels, temperatures=task.temperatures)
    return BlendRecord(
        source=source,
        optimal_temperature=best.value,
        optimal_temperature_limit=best.limit,
        measurements=measurements,
    )


def averages(checkpoints: Sequence[Checkpoint]) -> list[Blend]:
    """Return the running means along each run, from its second recorded epoch on.

    Args:
        checkpoints: Recorded epochs, in order within each run.
    """
    found, earlier = [], dict[str, list[Checkpoint]]()
    for checkpoint in checkpoints:
        own = earlier.setdefault(checkpoint.run, [])
        own.append(checkpoint)
        if len(own) > 1:
            share = round(1 / len(own), 4)
            members = tuple(_member(each, share) for each in own)
            found.append(Blend(variant="average", members=members))
    return found


def _average(task: BlendTask, context: Context) -> list[Blend]:
    return averages(task.checkpoints)


def _blend(task: BlendTask, context: Context) -> list[Blend]:
    held_out = [_response(task, context, each, "selection") for each in task.checkpoints]
    weights = choose_blend(
        torch.stack([in_memory(each) for each in held_out]), context.data.selection.labels
    )
    return [blend_of(task.checkpoints, weights)]


def blend_of(checkpoints: Sequence[Checkpoint], weights: Sequence[float]) -> Blend:
    """Return the blend of checkpoints; those of no weight are left out.

    Args:
        checkpoints: One or more.
        weights: One for each, at least 0, one of them above.
    """
    members = (
        _member(each, weight)
        for each, weight in zip(checkpoints, weights, strict=True)
        if weight > 0
    )
    return Blend(variant="blend", members=tuple(members))


def _no_means(task: BlendTask, context: Context) -> list[Blend]:
    return []


MEANS: Mapping[str, Callable[[BlendTask, Context], list[Blend]]] = {
    "average": _average,
    "blend": _blend,
}
"""How each variant that is a mean of responses is made."""


def _member(checkpoint: Checkpoint, weight: float) -> BlendMember:
    return BlendMember(run=checkpoint.run, epoch=checkpoint.epoch, weight=weight)
