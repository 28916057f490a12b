"""What stacked students learn: each its own target, temperature and alpha, in one call.

Students of smoothed labels have no target for an unlabelled example. It must then weigh nothing:
their teacher term is the mean over the labelled examples of the batch, as the cross-entropy is.

Targets are held on the device where they fit; otherwise each batch takes its rows of them, from
memory or from the file of a response, which are the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from goodteacher.config import Recipe
from goodteacher.data import UNLABELLED
from goodteacher.maths.losses import TeacherTerm, mixture, teacher_term
from goodteacher.networks import Examples

_FLOAT = 4  # bytes


class Rows(Protocol):
    """A response [N, C], in memory or in a file."""

    @property
    def shape(self) -> Sequence[int]:
        """(N, C)."""

    def __getitem__(self, rows: slice | Tensor, /) -> Tensor:
        """Return some rows, float32 [n, C]."""


@dataclass(frozen=True)
class _Group:
    """Students whose teacher term is the same function of the same examples."""

    term: TeacherTerm
    standardize: bool
    labelled_only: bool
    students: Tensor
    targets: Tensor
    temperature: Tensor
    alpha: Tensor


class StackObjective:
    """The distillation losses of S students that share their batches.

    Args:
        targets: K responses on the transfer set, each raw logits, V times [N, C], one for each
            view, or one for all of them: a tensor, or rows of tensors.
        target_of: For each student, which of the K it learns from, S numbers.
        recipes: For each student, its loss, temperature and alpha, S recipes.
        examples: The transfer set, for its labels.
        labelled_only: For each student, whether its target is made of the labels, so that only the
            labelled examples count; such a recipe is ``kl`` with alpha = 1. None: for no student.
        device: Where the losses are computed; all tensors move there.
        room: Bytes that the targets of a view may take on the device; by default they may take all.
    """

    def __init__(
        self,
        targets: Sequence[Tensor | Sequence[Tensor | Rows]],
        target_of: Sequence[int],
        recipes: Sequence[Recipe],
        examples: Examples,
        *,
        labelled_only: Sequence[bool] | None = None,
        device: torch.device,
        room: float = math.inf,
    ) -> None:
        count, num_classes = targets[0][0].shape
        self._targets, self._device = targets, device
        self._held = len(targets) * count * num_classes * _FLOAT <= room
        self._examples = examples
        self._num_students = len(recipes)
        labels = examples.labels(torch.arange(len(examples)), num_classes=num_classes)
        some_unlabelled = bool((labels == UNLABELLED).any())
        flags = labelled_only if labelled_only and some_unlabelled else [False] * len(recipes)
        kinds = [(r.loss, r.standardize, f) for r, f in zip(recipes, flags, strict=True)]
        self._groups = [
            _group(kind, [i for i, k in enumerate(kinds) if k == kind], target_of, recipes, device)
            for kind in dict.fromkeys(kinds)
        ]
        self._view, self._seen = 0, self._targets_of(0) if self._held else None

    def __call__(self, logits: Tensor, positions: Tensor, view: int) -> Tensor:
        """Return each student's mean loss over the batch.

        Args:
            logits: The students' logits [S, B, C].
            positions: Positions of the batch's examples in the transfer set, int64 [B].
            view: The view of them that the students saw.

        Returns:
            Losses in nats [S].
        """
        labels = self._examples.labels(positions, view, num_classes=logits.shape[-1])
        batch = self._batch(positions, view)
        if len(self._groups) == 1:
            return _losses(self._groups[0], logits, batch, labels)
        losses = logits.new_empty(self._num_students)
        for group in self._groups:
            losses[group.students] = _losses(group, logits[group.students], batch, labels)
        return losses

    def _batch(self, positions: Tensor, view: int) -> Tensor:
        """Return the targets of a batch, [K, B, C]."""
        if self._seen is None:
            rows = positions.cpu()
            return self._stacked(view, rows).to(self._device)
        if view != self._view:
            self._view, self._seen = view, self._targets_of(view)
        return self._seen[:, positions]

    def _targets_of(self, view: int) -> Tensor:
        """Return all targets for one view, [K, N, C]; once an epoch, so that steps only index."""
        return self._stacked(view, slice(None)).to(self._device)

    def _stacked(self, view: int, rows: slice | Tensor) -> Tensor:
        found = [target[view % len(target)][rows] for target in self._targets]
        return (
            torch.stack(found) if len(found) > 1 else found[0][None]
        )  # a view, where there is one


def _losses(group: _Group, logits: Tensor, batch: Tensor, labels: Tensor) -> Tensor:
    targets = batch[group.targets]
    if group.labelled_only:
        # An example that equals its target adds nothing to the loss, and nothing to the gradient.
        logits = torch.where((labels != UNLABELLED).unsqueeze(-1), logits, targets)
    losses = mixture(
        logits,
        targets,
        labels,
        temperature=group.temperature,
        alpha=group.alpha,
        term=group.term,
        standardize=group.standardize,
    )
    if not group.labelled_only:
        return losses
    return losses * (len(labels) / (labels != UNLABELLED).sum().clamp_min(1))


def _group(
    kind: tuple[str, bool, bool],
    members: list[int],
    target_of: Sequence[int],
    recipes: Sequence[Recipe],
    device: torch.device,
) -> _Group:
    return _Group(
        term=teacher_term(kind[0]),
        standardize=kind[1],
        labelled_only=kind[2],
        students=torch.tensor(members, device=device),
        targets=torch.tensor([target_of[i] for i in members], device=device),
        temperature=torch.tensor([recipes[i].temperature for i in members], device=device),
        alpha=torch.tensor([recipes[i].alpha for i in members], device=device),
    )
