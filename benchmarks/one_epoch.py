"""One epoch of a network over examples that do not lie in memory, and what memory that takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch.nn import functional as F

from goodteacher.config import Optimization
from goodteacher.data import Split
from goodteacher.networks import Examples, build_model, fit_preparation
from goodteacher.training.loop import Trainer
from goodteacher.training.machine import Machine


def own_mib() -> float:
    """Return the memory that this process owns, in MiB (``RssAnon``)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1024


def one_epoch(
    split: Split, spec: str, *, num_classes: int, batch_size: int, every: int
) -> Iterator[int]:
    """Fit a preparation and train a network for one epoch.

    Args:
        split: The examples.
        spec: The network's specification.
        num_classes: Classes of the examples.
        batch_size: Examples of a step.
        every: Steps after which the number of steps so far is yielded, as after the last.
    """
    examples = Examples(split, fit_preparation(spec, split))
    network = build_model(spec, num_classes=num_classes, inputs=split.stored.spec.shape, seed=0)

    def cross_entropy(logits, positions, view):
        return F.cross_entropy(logits, examples.labels(positions, num_classes=num_classes))

    trainer = Trainer(
        network,
        cross_entropy,
        examples,
        plan=Optimization(optimizer="adam", learning_rate=0.001, batch_size=batch_size),
        total_steps=-(-len(split) // batch_size),
        order_seed=0,
        machine=Machine(torch.device("cpu")),
    )
    while trainer.step < trainer.total_steps:
        trainer.run_until(min(trainer.step + every, trainer.total_steps))
        yield trainer.step
