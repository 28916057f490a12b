"""What students learn from: raw logits on the transfer set, for each kind of source.

A source (`records.arms.Source`) is a description; here it becomes numbers. A new kind of source is
a function and a line of :data:`TARGETS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from goodteacher.maths.targets import (
    FALSIFICATION,
    LADDER,
    ROW_BY_ROW,
    logits_of,
    smoothing_targets,
)
from goodteacher.networks import Examples
from goodteacher.records import (
    FileSource,
    OneHotSource,
    SmoothingSource,
    TargetSource,
    TeacherSource,
)
from goodteacher.responses import LazyRows, Logits, in_memory, is_large
from goodteacher.studies import Context, DataKey
from goodteacher.teachers import GivenTeacher, Teachers

Views = Sequence[Logits]
"""What students learn in each view of the transfer set, V times [N, C]."""


@dataclass(frozen=True)
class TargetRequest:
    """Whose targets are asked for.

    Attributes:
        context: The study; its transfer set is the one that the students see.
        student: The students' specification, which says how they want their inputs.
        data: How the data are seen: views, augmentation.
        teachers: The study's teachers.
        seed: The students' seed: falsification arms are drawn anew for each.
    """

    context: Context
    student: str
    data: DataKey
    teachers: Teachers
    seed: int

    @property
    def examples(self) -> Examples:
        """The transfer set as the students see it."""
        transfer, augmentation = self.context.data.transfer, self.data.augmentation
        return self.context.examples(self.student, transfer, augmentation)


def target_of(request: TargetRequest, source: Any) -> Views:
    """Return what students learn from a source.

    Args:
        request: Whose target it is.
        source: A :data:`~goodteacher.records.arms.Source`.

    Returns:
        Raw logits on the transfer set, float32: V times [N, C], one for each view, or one for all
        of them. Those of a large response stay in its file.
    """
    return TARGETS[source.kind](request, source)


def _one_hot_target(request: TargetRequest, source: Any) -> Views:
    # alpha is 0 for this arm: the teacher term has no weight, any finite response will do.
    data = request.context.data
    return [torch.zeros(()).expand(len(data.transfer), data.num_classes)]


def _smoothing_target(request: TargetRequest, source: SmoothingSource) -> Views:
    data = request.context.data
    labels, num_classes = data.transfer.labels, data.num_classes

    def smoothed(rows: slice | Tensor) -> Tensor:
        return smoothing_targets(labels[rows], num_classes, smoothing=source.smoothing)

    def logits(rows: slice | Tensor) -> Tensor:
        # Rows without a label have no weight in the loss; any probabilities will do.
        known = smoothed(rows)
        filled = torch.where(known.any(1, keepdim=True), known, 1 / num_classes)
        return logits_of(filled, temperature=1.0).float()

    if not request.data.augmentation.mixup:
        return [_whole_if_small(LazyRows((len(labels), num_classes), logits))]
    examples, whole = request.examples, smoothed(slice(None))
    everyone = torch.arange(len(examples))
    mixed = [examples.mixed(whole, everyone, view) for view in range(request.data.views)]
    return [logits_of(targets, temperature=1.0).float() for targets in mixed]


def _whole_if_small(rows: LazyRows) -> Logits:
    return rows if is_large(*rows.shape) else rows.whole()


def _teacher_target(request: TargetRequest, source: TeacherSource) -> Views:
    transfer = request.context.data.transfer
    asked, views = request.teachers, range(request.data.views)
    return [asked.response(source, transfer, view=view) for view in views]


def _file_target(request: TargetRequest, source: FileSource) -> Views:
    # By id, since students that miss a class see fewer examples than the response has.
    given = GivenTeacher(request.context.store)
    return [given.response(source, request.context.data.transfer)]


def _made_target(request: TargetRequest, source: TargetSource) -> Views:
    """Make a rung of the ladder, or a falsification arm drawn anew for each student seed.

    Each view of a response is treated alone, and with the same seed: a map of classes that is wrong
    is wrong in the same way in every view.
    """
    labels = request.context.data.transfer.labels
    return [
        _made_rows(logits, labels, source, seed=request.seed)
        for logits in target_of(request, source.base)
    ]


def _made_rows(logits: Logits, labels: Tensor, source: TargetSource, *, seed: int) -> Logits:
    """Make a target of a response; of a large one each row where it is wanted, if that can be."""

    def made(some: Tensor, of: Tensor) -> Tensor:
        target = _made_of(some, of, source, seed=seed)
        return logits_of(target, temperature=source.temperature).float()

    if isinstance(logits, LazyRows) and source.target in ROW_BY_ROW:
        take = logits.take
        return LazyRows(logits.shape, lambda rows: made(take(rows), labels[rows]))
    return made(in_memory(logits), labels)


def _made_of(logits: Tensor, labels: Tensor, source: TargetSource, *, seed: int) -> Tensor:
    if source.target in LADDER:
        return LADDER[source.target](logits, labels, temperature=source.temperature)
    make = FALSIFICATION[source.target]
    return make(logits, labels, temperature=source.temperature, seed=seed)


TARGETS: Mapping[str, Callable[[TargetRequest, Any], Views]] = {
    OneHotSource().kind: _one_hot_target,
    "smoothing": _smoothing_target,
    "checkpoint": _teacher_target,
    "blend": _teacher_target,
    "file": _file_target,
    "target": _made_target,
}
"""What each kind of source gives; see :func:`target_of`."""
