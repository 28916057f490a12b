"""What recorded responses say of classes, aggregated for the figures.

No labels are needed: an example's class is the one that the last teacher of the run finds most
probable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform
from torch import Tensor

from goodteacher.records import Checkpoint, StudentRow, SweetSpot, TrajectoryRecord
from goodteacher.studies import Store

MOST_CLASSES = 60
"""Classes of a matrix that can still be read."""
MOST_EXAMPLES = 20_000
"""Transfer examples that are looked at: the first ones."""
EARLY = "early in training"


@dataclass(frozen=True)
class Alike:
    """Which classes a teacher calls alike.

    Attributes:
        role: Of the teacher, as the end of a title.
        teacher: Its name.
        rows: Mean probability ``[C, C]`` of each class, for the examples of each class.
    """

    role: str
    teacher: str
    rows: tuple[tuple[float, ...], ...]

    @property
    def off_class(self) -> float:
        """Mean probability of all classes but the example's own, mean over classes."""
        return sum(1 - row[place] for place, row in enumerate(self.rows)) / len(self.rows)


@dataclass(frozen=True)
class Said:
    """What the responses on the transfer set say.

    Attributes:
        temperature: Of the matrices, the recipe's.
        num_examples: Looked at.
        alike: One matrix for each role, the sweet spot's among them.
        order: The classes so that similar ones stand together.
    """

    temperature: float
    num_examples: int
    alike: tuple[Alike, ...]
    order: tuple[int, ...]


def read_said(
    store: Store,
    found: SweetSpot,
    folders: Mapping[str, str],
    records: Sequence[TrajectoryRecord],
    students: Sequence[StudentRow],
) -> Said | None:
    """Read what the sweet spot's run and the converged teacher say.

    Args:
        store: The study.
        found: Its answer.
        folders: Folder of each run below the study.
        records: Every recorded epoch.
        students: A row for each student.

    Returns:
        None where the responses are not there, or are of two or of very many classes.
    """
    source = found.teacher.source
    if not isinstance(source, Checkpoint) or source.run not in folders:
        return None
    last = max(r.epoch for r in records if r.run == source.run and r.status == "ok")
    logits = _read(store, folders, [(source.run, last)])
    if not logits or not 2 < logits[0].shape[1] <= MOST_CLASSES or source.variant != "raw":
        return None
    wanted = _roles(records, found, students)
    others = _read(store, folders, list(wanted.values()))
    if not others:
        return None
    temperature = found.recipe.temperature
    own = logits[0].argmax(1)
    alike = tuple(
        Alike(role, f"{run} epoch {epoch}", _class_means(found_logits, own, temperature))
        for (role, (run, epoch)), found_logits in zip(wanted.items(), others, strict=True)
    )
    return Said(
        temperature=temperature,
        num_examples=len(own),
        alike=alike,
        order=class_order(next(each for each in alike if each.role != EARLY).rows),
    )


def class_order(rows: Sequence[Sequence[float]]) -> tuple[int, ...]:
    """Return classes so that similar ones stand together, by average linkage.

    Args:
        rows: Mean probabilities ``[C, C]``, at least three classes.

    Example:
        >>> order = class_order([[0.7, 0.0, 0.3], [0.1, 0.8, 0.1], [0.3, 0.0, 0.7]])
        >>> abs(order.index(0) - order.index(2))
        1
    """
    matrix = torch.tensor(rows, dtype=torch.float64)
    off = matrix.fill_diagonal_(0)
    near = off / off.sum(1, keepdim=True).clamp_min(1e-12)
    distances = (1 - (near + near.T) / 2).fill_diagonal_(0)
    tree = linkage(squareform(distances.numpy(), checks=False), "average", optimal_ordering=True)
    return tuple(int(place) for place in leaves_list(tree))


def _roles(
    records: Sequence[TrajectoryRecord], found: SweetSpot, students: Sequence[StudentRow]
) -> dict[str, tuple[str, int]]:
    """Return which teachers are compared: an early one, the sweet spot and the converged one."""
    spot = (found.teacher.run, found.teacher.epoch)
    last = next(
        (
            (row.run, row.epoch)
            for row in students
            if row.arm == found.references.converged_teacher.arm and row.run and row.epoch
        ),
        spot,
    )
    half = max(r.selection_accuracy for r in records if r.run == spot[0]) / 2
    early = next(r.epoch for r in records if r.run == spot[0] and r.selection_accuracy >= half)
    roles = {EARLY: (spot[0], early), "at the sweet spot": spot, "for the converged teacher": last}
    if spot == last:
        roles = {EARLY: roles[EARLY], "at the sweet spot, the converged teacher": spot}
    return {role: each for role, each in roles.items() if role != EARLY or each != spot}


def _class_means(logits: Tensor, own: Tensor, temperature: float) -> tuple[tuple[float, ...], ...]:
    probs = (logits / temperature).softmax(1)
    count = probs.shape[1]
    sums = torch.zeros(count, count).index_add_(0, own, probs)
    members = own.bincount(minlength=count)[:, None].clamp_min(1)
    return tuple(map(tuple, (sums / members).tolist()))


def _read(
    store: Store, folders: Mapping[str, str], wanted: Sequence[tuple[str, int]]
) -> list[Tensor]:
    """Return logits of recorded epochs; none at all where one of them was not kept whole."""
    if any(run not in folders for run, _ in wanted):
        return []
    names = [_name(folders, run, epoch) for run, epoch in wanted]
    if not all(store.exists(name) for name in names):
        return []
    found = [store.read_tensors(name).get("logits") for name in names]
    whole = [each[:MOST_EXAMPLES].float() for each in found if each is not None]
    return whole if len(whole) == len(names) else []


def _name(folders: Mapping[str, str], run: str, epoch: int) -> str:
    return f"{folders[run]}/responses/epoch-{epoch:05d}.transfer.view-0.safetensors"
