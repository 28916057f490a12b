"""What `planted_truth.py` plants: data divided anew, a teacher, what is made of its response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from goodteacher.config import Optimization, Recipe, RuntimeConfig, Training
from goodteacher.data import Dataset, Split, load_dataset, prepare
from goodteacher.maths.targets import (
    class_map_targets,
    confidence_smoothing,
    full_response,
    permuted_targets,
)
from goodteacher.records import CROSS_ENTROPY
from goodteacher.training import (
    StackObjective,
    Trainer,
    choose_machine,
    compute_logits,
    steps_per_epoch,
)
from run import where
from student_tuning import examples_of, stack_of

TEACHERS_BATCH = 128
NULL, SIMILAR = ("confidence", "permuted", "other_map"), ("less", "more", "whole")
FAINT, FAINTLY = ("faintly_permuted", "faint_other_map"), 0.1
"""Nulls that harm students little, and their share of what is permuted or of the other map."""
WRONG = (*NULL, *FAINT)
"""On these `knowledge` is false."""
KINDS = (*NULL, *SIMILAR, *FAINT)


@dataclass(frozen=True)
class Case:
    """A data set, and who teaches whom on it.

    Attributes:
        teacher: Architecture.
        taught: Examples that the teacher learns from.
        epochs: Of the teacher.
        student: Architecture.
        training: Of students.
        temperature: Of students, and at which responses are planted.
        transfer: Examples that students learn from.
        selection: Examples of the selection split.
        block: Test examples of a verdict: about those of the data set's own test split.
        blocks: Of a draw.
        shares: Of similarity that `less` and `more` keep.
    """

    teacher: str
    taught: int
    epochs: int
    student: str
    training: Training
    temperature: float
    transfer: int
    selection: int
    block: int
    blocks: int
    shares: tuple[float, float]

    @property
    def recipe(self) -> Recipe:
        """How students learn: from the response alone."""
        return Recipe(temperature=self.temperature, alpha=1.0)

    def block_of(self, group: int) -> slice:
        """Return the test examples of a group of seeds; blocks are taken in turn."""
        first = (group % self.blocks) * self.block
        return slice(first, first + self.block)


CASES: Mapping[str, Case] = {
    "fashion_mnist": Case(
        teacher="mlp:256",
        taught=10_000,
        epochs=10,
        student="mlp:16",
        training=Training(epochs=72, batch_size=64, learning_rate=0.016),
        temperature=4.0,
        transfer=500,
        selection=2000,
        block=10_000,
        blocks=5,
        shares=(0.1, 0.2),
    ),
    "banking77": Case(
        teacher="mlp:256",
        taught=4000,
        epochs=10,
        student="mlp:16@tfidf:512",
        training=Training(epochs=24, batch_size=64, learning_rate=0.004),
        temperature=1.0,
        transfer=1001,
        selection=1500,
        block=3280,
        blocks=2,
        shares=(0.3, 0.4),
    ),
}


def targets_of(case: Case, logits: Tensor, labels: Tensor, seed: int) -> dict[str, Tensor]:
    """Return the planted targets by name, probabilities [N, C], all of the same confidence.

    Args:
        case: Temperature, and shares of similarity.
        logits: The teacher's, [N, C].
        labels: Of the examples.
        seed: Of what is permuted.
    """
    at = {"temperature": case.temperature}
    flat, full = confidence_smoothing(logits, labels, **at), full_response(logits, labels, **at)
    less, more = ((1 - share) * flat + share * full for share in case.shares)
    permuted = permuted_targets(logits, labels, seed=seed, **at)
    other_map = class_map_targets(logits, labels, seed=seed, **at)
    return {
        "confidence": flat,
        "permuted": permuted,
        "other_map": other_map,
        "less": less,
        "more": more,
        "whole": full,
        "faintly_permuted": (1 - FAINTLY) * flat + FAINTLY * permuted,
        "faint_other_map": (1 - FAINTLY) * flat + FAINTLY * other_map,
    }


# --- data and teacher ----------------------------------------------------------------------------


def every_example(name: str) -> tuple[Split, tuple[str, ...]]:
    """Return all examples of a data set, shuffled once, images at half their size; and classes."""
    data = load_dataset(where(name))
    labels = torch.cat([data.train.labels, data.test.labels])
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    if data.is_text:
        texts = [*(data.train.texts or ()), *(data.test.texts or ())]
        shuffled = [texts[i] for i in order.tolist()]
        return Split.from_texts(shuffled, labels[order]), data.class_names
    images = torch.cat([data.train.inputs, data.test.inputs])[order]
    small = F.avg_pool2d(images.float(), 2).round().to(torch.uint8)
    return Split.from_arrays(small, labels[order]), data.class_names


@dataclass(frozen=True)
class Rest:
    """What the teacher has not seen, and what it says of it.

    Attributes:
        split: The examples.
        logits: The response, [N, C].
        class_names: Of the classes.
    """

    split: Split
    logits: Tensor
    class_names: tuple[str, ...]

    @property
    def accuracy(self) -> float:
        """The teacher's accuracy on them."""
        return float((self.logits.argmax(-1) == self.split.labels).double().mean())

    def logits_of(self, split: Split) -> Tensor:
        """Return the response to some of the examples, which are numbered on from the first."""
        return self.logits[split.ids - self.split.ids[0]]


def response_of(case: Case, every: Split, names: tuple[str, ...]) -> Tensor:
    """Train the teacher on the first examples, and return its logits for all others, [N, C]."""
    first = every.subset(torch.arange(case.taught))
    rest = every.subset(torch.arange(case.taught, len(every)))
    few = rest.subset(torch.arange(len(rest) // 4))
    parts = prepare(Dataset("taught", first, rest, names, validation=few))
    machine = choose_machine(RuntimeConfig(device="cpu", threads=1))
    training = examples_of(parts, parts.training, machine)
    plain = torch.zeros(1, len(first), len(names))
    steps = case.epochs * steps_per_epoch(len(first), TEACHERS_BATCH)
    trainer = Trainer(
        stack_of(case.teacher, parts, 1, 0, training),
        StackObjective([plain], [0], [CROSS_ENTROPY.recipe], training, device=machine.device),
        training,
        plan=Optimization(optimizer="adam", learning_rate=1e-3, batch_size=TEACHERS_BATCH),
        total_steps=steps,
        order_seed=0,
        machine=machine,
    )
    trainer.run_until(steps)
    return compute_logits(trainer.network, examples_of(parts, rest, machine))[0]


def taught(name: str, out: Path) -> Rest:
    """Return what the teacher of a data set says; it is trained once, and kept."""
    kept, (every, names) = out / f"{name}-teacher.npy", every_example(name)
    rest = every.subset(torch.arange(CASES[name].taught, len(every)))
    if not kept.exists():
        out.mkdir(parents=True, exist_ok=True)
        new = kept.with_name(f"new-{kept.name}")
        np.save(new, response_of(CASES[name], every, names).numpy())
        new.replace(kept)
    return Rest(rest, torch.from_numpy(np.load(kept)), names)


def draw_of(case: Case, rest: Rest, draw: int) -> Dataset:
    """Return the data of a draw."""
    order = torch.randperm(len(rest.split), generator=torch.Generator().manual_seed(1 + draw))
    order = order[: case.transfer + case.selection + case.blocks * case.block]
    cuts = [case.transfer, case.selection, len(order) - case.transfer - case.selection]
    train, selection, test = (rest.split.subset(part) for part in order.split(cuts))
    return Dataset(f"draw {draw}", train, test, rest.class_names, validation=selection)
