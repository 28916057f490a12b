"""What recorded responses say of classes and of single examples, aggregated for the figures.

No labels are needed: an example's class is the one that the last teacher of the run finds most
probable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
MOST_EPOCHS = 12
NUM_SHOWN = 4
"""Examples shown."""
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
class Fading:
    """What each recorded epoch's teacher says about one example.

    Attributes:
        id: The example's.
        number: Of its class.
        epochs: The recorded epochs, ascending.
        rows: Probabilities ``[E, C]`` at T = 1.
    """

    id: int
    number: int
    epochs: tuple[int, ...]
    rows: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Said:
    """What the responses on the transfer set say.

    Attributes:
        temperature: Of the matrices, the recipe's.
        num_examples: Looked at.
        alike: One matrix for each role, the sweet spot's among them.
        order: The classes so that similar ones stand together.
        run: Of the sweet spot's teacher.
        fading: The examples that the run's teachers came to see as one class alone.
    """

    temperature: float
    num_examples: int
    alike: tuple[Alike, ...]
    order: tuple[int, ...]
    run: str
    fading: tuple[Fading, ...]


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
    epochs = _thinned([r.epoch for r in records if r.run == source.run and r.status == "ok"])
    logits = _read(store, folders, [(source.run, epoch) for epoch in epochs])
    if not logits or not 2 < logits[-1].shape[1] <= MOST_CLASSES or source.variant != "raw":
        return None
    ids = _ids(store, _name(folders, source.run, epochs[-1]))
    wanted = _roles(records, found, students)
    others = _read(store, folders, list(wanted.values()))
    temperature = found.recipe.temperature
    own = logits[-1].argmax(1)
    alike = tuple(
        Alike(role, f"{run} epoch {epoch}", _class_means(found_logits, own, temperature))
        for (role, (run, epoch)), found_logits in zip(wanted.items(), others, strict=True)
    )
    return Said(
        temperature=temperature,
        num_examples=len(own),
        alike=alike,
        order=class_order(next(each for each in alike if each.role != EARLY).rows),
        run=source.run,
        fading=tuple(most_fading(logits, ids, epochs)),
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


def most_fading(
    logits: Sequence[Tensor], ids: Sequence[int], epochs: Sequence[int]
) -> Iterator[Fading]:
    """Yield the examples whose response loses most of its other classes, each of another class.

    An epoch counts only where its teacher agrees with the last one on the most probable class.

    Args:
        logits: Of each epoch, ``[N, C]``.
        ids: Of the examples.
        epochs: As many as ``logits``.
    """
    log_probs = torch.stack([each.log_softmax(1) for each in logits])
    entropies = -(log_probs.exp() * log_probs).sum(2)
    own = logits[-1].argmax(1)
    agreed = torch.stack([each.argmax(1) == own for each in logits])
    # An entropy near that of chance is ignorance, not similarity.
    known = entropies < 0.8 * torch.tensor(float(logits[-1].shape[1])).log()
    lost = entropies.where(agreed & known, torch.zeros(())).amax(0) - entropies[-1]
    seen: set[int] = set()
    for row in lost.argsort(descending=True, stable=True).tolist():
        number = int(own[row])
        if number in seen or len(seen) == NUM_SHOWN or lost[row] <= 0:
            continue
        seen.add(number)
        shown = log_probs[:, row].exp().tolist()
        yield Fading(int(ids[row]), number, tuple(epochs), tuple(map(tuple, shown)))


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


def _ids(store: Store, name: str) -> list[int]:
    tensors = store.read_tensors(name)
    count = len(tensors["logits"])
    return [int(each) for each in tensors.get("ids", torch.arange(count))[:MOST_EXAMPLES]]


def _name(folders: Mapping[str, str], run: str, epoch: int) -> str:
    return f"{folders[run]}/responses/epoch-{epoch:05d}.transfer.view-0.safetensors"


def _thinned(epochs: Sequence[int]) -> list[int]:
    """Return at most so many epochs as can be read, the first and the last among them."""
    if len(epochs) <= MOST_EPOCHS:
        return list(epochs)
    places = torch.linspace(0, len(epochs) - 1, MOST_EPOCHS).round().int().tolist()
    return [epochs[place] for place in places]
