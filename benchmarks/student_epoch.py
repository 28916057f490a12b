"""What one epoch of one student costs: a plain loop against a stack.

Plain: one `mlp:64` student, a DataLoader over a Dataset, float32, the `mlp:800,800` teacher run for
every batch - what a tutorial does; the Dataset normalises an image when it is asked for it. Lean:
the same loop over a TensorDataset, normalising whole batches - the least that a plain loop costs.
Stack: goodteacher's students from stored responses, at several widths. Same data (random, in the
shape of Fashion-MNIST), same batch size, same optimizer, one run; all are timed in turn, so that a
noisy machine disturbs them alike.

    python benchmarks/student_epoch.py [--repeats 5] [--examples 54000] [--out FILE.json]

Target: at least 40 times cheaper in a stack of 200 or more.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

from goodteacher.config import Optimization, Recipe, RuntimeConfig
from goodteacher.data import Split
from goodteacher.networks import Examples, Normalization, build_model
from goodteacher.studies.environment import environment_here
from goodteacher.training.loop import Trainer
from goodteacher.training.machine import choose_machine, tuned_cpu
from goodteacher.training.objective import StackObjective
from goodteacher.training.stacking import stack_networks

SHAPE, CLASSES, BATCH = (1, 28, 28), 10, 256
Prepare = Callable[[torch.Tensor], torch.Tensor]
RECIPES = [Recipe(temperature=t, alpha=a) for t in (1, 2, 4, 8) for a in (0.5, 1.0)]


def make_data(
    examples: int, shape: tuple[int, ...] = SHAPE
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (examples, *shape), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, CLASSES, (examples,), generator=generator)
    responses = torch.randn(8, examples, CLASSES, generator=generator)
    return images, labels, responses


class ImageDataset(Dataset):
    """Images as a tutorial serves them: one at a time, made floats when asked for."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return (self.images[index].float() / 255 - 0.5) / 0.5, self.labels[index]


def plain_epoch(images: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the seconds of one epoch of one student in a plain loop."""
    return _epoch(ImageDataset(images, labels))


def lean_epoch(images: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the same for a plain loop without work for single images."""
    return _epoch(TensorDataset(images, labels), lambda batch: (batch.float() / 255 - 0.5) / 0.5)


def _epoch(data: Dataset, prepare: Prepare = lambda batch: batch) -> float:
    teacher = build_model("mlp:800,800", num_classes=CLASSES, inputs=SHAPE, seed=0)
    student = build_model("mlp:64", num_classes=CLASSES, inputs=SHAPE, seed=1)
    return loop_epoch(data, teacher, student, batch_size=BATCH, prepare=prepare)


def adam(network: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer of a plain loop."""
    return torch.optim.Adam(network.parameters(), lr=1e-3)


def loop_epoch(
    data: Dataset,
    teacher: nn.Module,
    student: nn.Module,
    *,
    batch_size: int,
    prepare: Prepare = lambda batch: batch,
    optimizer: torch.optim.Optimizer | None = None,
) -> float:
    """Return the seconds of an epoch in a plain loop that runs the teacher on every batch.

    Without an optimizer it starts with a new one, so a later epoch needs that of the first.
    """
    teacher.eval()
    optimizer = optimizer or adam(student)
    loader = DataLoader(data, batch_size=batch_size, shuffle=True)
    started = time.perf_counter()
    for batch, target in loader:
        inputs = prepare(batch)
        with torch.no_grad():
            response = F.softmax(teacher(inputs) / 4, dim=1)
        logits = student(inputs)
        term = F.kl_div(F.log_softmax(logits / 4, dim=1), response, reduction="batchmean") * 16
        loss = 0.5 * F.cross_entropy(logits, target) + 0.5 * term
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return time.perf_counter() - started


def student_trainer(
    student: str,
    images: torch.Tensor,
    labels: torch.Tensor,
    responses: torch.Tensor,
    *,
    width: int,
    batch_size: int = BATCH,
) -> Trainer:
    """Return the trainer of a stack of students, each with a response and a recipe in turn."""
    normalization = Normalization(torch.tensor(0.5), torch.tensor(0.5), unit=255.0)
    split = Split(images, labels, torch.arange(len(labels)))
    examples = Examples(split, normalization, device=choose_machine(RuntimeConfig()).device)
    shape = tuple(images.shape[1:])
    network = build_model(student, num_classes=CLASSES, inputs=shape, seed=1)
    return trainer_of(network, examples, responses, width=width, batch_size=batch_size)


def trainer_of(
    network: nn.Module,
    examples: Examples,
    responses: torch.Tensor,
    *,
    width: int,
    batch_size: int,
) -> Trainer:
    """Return the same for any network and examples; responses are [K, N, C]."""
    machine = choose_machine(RuntimeConfig())
    objective = StackObjective(
        responses[:, None],
        [i % len(responses) for i in range(width)],
        [RECIPES[i % len(RECIPES)] for i in range(width)],
        examples,
        device=machine.device,
    )
    sample = examples.inputs(torch.arange(2)).cpu()
    return Trainer(
        stack_networks([network] * width, example_input=sample).to(machine.device),
        objective,
        examples,
        plan=Optimization(optimizer="adam", learning_rate=1e-3, batch_size=batch_size),
        total_steps=10**6,
        order_seed=0,
        machine=machine,
    )


def stacked_epoch(
    images: torch.Tensor, labels: torch.Tensor, responses: torch.Tensor, width: int
) -> float:
    """Return the seconds of one epoch of one student in a stack of ``width``."""
    trainer = student_trainer("mlp:64", images, labels, responses, width=width)
    trainer.run_until(2)
    return trainer.run_until(2 + trainer.steps_per_epoch).seconds / width


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def hand_over(result: dict[str, object], out: Path | None) -> None:
    """Print a result, and write it where it is wanted."""
    text = json.dumps(result, indent=2) + "\n"
    if out:
        out.write_text(text)
    print(text, end="")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--examples", type=int, default=54_000)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--widths", type=int, nargs="*", default=[1, 8, 64, 256])
    options = parser.parse_args()
    images, labels, responses = make_data(options.examples)
    plain_epoch(images[:2048], labels[:2048])  # warm up
    plain: list[float] = []
    lean: list[float] = []
    stacked: dict[int, list[float]] = {width: [] for width in options.widths}
    for _ in range(options.repeats):
        plain.append(plain_epoch(images, labels))
        lean.append(lean_epoch(images, labels))
        for width in options.widths:
            stacked[width].append(stacked_epoch(images, labels, responses, width))

    def cheaper(loop: list[float]) -> dict[int, dict[str, float]]:
        pairs = {w: zip(loop, stacked[w], strict=True) for w in options.widths}
        return {w: spread([slow / fast for slow, fast in found]) for w, found in pairs.items()}

    result = {
        "n": options.repeats,
        "examples": options.examples,
        "environment": environment_here(
            str(choose_machine(RuntimeConfig(device="cpu")))
        ).model_dump(mode="json"),
        "plain_seconds": spread(plain),
        "lean_seconds": spread(lean),
        "stacked_seconds": {w: spread(values) for w, values in stacked.items()},
        "times_cheaper_than_plain": cheaper(plain),
        "times_cheaper_than_lean": cheaper(lean),
    }
    hand_over(result, options.out)


if __name__ == "__main__":
    with tuned_cpu():
        main()
