"""What students learn from: raw logits on the transfer set, for each kind of source.

A source (`records.arms.Source`) is a description; here it becomes numbers. A new kind of source is
a function and a line of :data:`TARGETS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from goodteacher.maths.targets import FALSIFICATION, LADDER, logits_of, smoothing_targets
from goodteacher.networks import Examples
from goodteacher.records import (
    FileSource,
    OneHotSource,
    SmoothingSource,
    TargetSource,
    TeacherSource,
)
from goodteacher.studies import Context, DataKey
from goodteacher.teachers import GivenTeacher, Teachers


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


def target_of(request: TargetRequest, source: Any) -> Tensor:
    """Return what students learn from a source.

    Args:
        request: Whose target it is.
        source: A :data:`~goodteacher.records.arms.Source`.

    Returns:
        Raw logits on the transfer set, float32: [V, N, C], one for each view, or [1, N, C] for all
        of them.
    """
    return TARGETS[source.kind](request, source)


def _one_hot_target(request: TargetRequest, source: Any) -> Tensor:
    # alpha is 0 for this arm: the teacher term has no weight, any finite response will do.
    return torch.zeros(1, len(request.context.data.transfer), request.context.data.num_classes)


def _smoothing_target(request: TargetRequest, source: SmoothingSource) -> Tensor:
    data = request.context.data
    labels = data.transfer.labels
    smoothed = smoothing_targets(labels, data.num_classes, smoothing=source.smoothing)
    if not request.data.augmentation.mixup:
        # Rows without a label have no weight in the loss; any probabilities will do.
        filled = torch.where(smoothed.any(1, keepdim=True), smoothed, 1 / smoothed.shape[1])
        return logits_of(filled, temperature=1.0).float()[None]
    examples = request.examples
    everyone = torch.arange(len(examples))
    mixed = [examples.mixed(smoothed, everyone, view) for view in range(request.data.views)]
    return torch.stack([logits_of(targets, temperature=1.0).float() for targets in mixed])


def _teacher_target(request: TargetRequest, source: TeacherSource) -> Tensor:
    transfer = request.context.data.transfer
    views = [
        request.teachers.response(source, transfer, view=view) for view in range(request.data.views)
    ]
    return torch.stack(views)


def _file_target(request: TargetRequest, source: FileSource) -> Tensor:
    # By id, since students that miss a class see fewer examples than the response has.
    given = GivenTeacher(request.context.store)
    return given.response(source, request.context.data.transfer)[None]


def _made_target(request: TargetRequest, source: TargetSource) -> Tensor:
    """Make a rung of the ladder, or a falsification arm drawn anew for each student seed.

    Each view of a response is treated alone, and with the same seed: a map of classes that is wrong
    is wrong in the same way in every view.
    """
    views = target_of(request, source.base)
    labels, temperature = request.context.data.transfer.labels, source.temperature
    made = [_made_of(logits, labels, source, seed=request.seed) for logits in views]
    return torch.stack([logits_of(target, temperature=temperature).float() for target in made])


def _made_of(logits: Tensor, labels: Tensor, source: TargetSource, *, seed: int) -> Tensor:
    if source.target in LADDER:
        return LADDER[source.target](logits, labels, temperature=source.temperature)
    make = FALSIFICATION[source.target]
    return make(logits, labels, temperature=source.temperature, seed=seed)


TARGETS: Mapping[str, Callable[[TargetRequest, Any], Tensor]] = {
    OneHotSource().kind: _one_hot_target,
    "smoothing": _smoothing_target,
    "checkpoint": _teacher_target,
    "blend": _teacher_target,
    "file": _file_target,
    "target": _made_target,
}
"""What each kind of source gives; see :func:`target_of`."""
