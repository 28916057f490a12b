"""One teacher over several processes: seconds of an epoch, beside as many threads in one process.

The ways take turns in each round; made-up images of CIFAR-10's size. Seconds are those of the
steps, by the record; what the start of the processes and the responses take is told apart. How far
the ways' losses are from each other is told, too.

    python benchmarks/divided_teacher.py --teachers resnet:20 mlp:2000,2000 --rounds 3
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import torch

from goodteacher.config import StudyConfig, parse
from goodteacher.data import Dataset, Split
from goodteacher.engines import LocalEngine
from goodteacher.studies import Silent, prepare_context
from goodteacher.studies.environment import environment_here
from goodteacher.teachers import plan_teachers
from goodteacher.teachers.recording import recorded
from goodteacher.training import threads_of

WAYS = {"1 process, 1 thread": (1, 1), "1 process, 2 threads": (1, 2), "2 processes": (2, 2)}
"""Processes, and threads in all, by the name of the way."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--teachers", nargs="+", default=["resnet:20", "mlp:2000,2000"])
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = {
        "environment": environment_here("cpu").model_dump(mode="json"),
        "load": os.getloadavg()[0],
        "examples": options.examples,
        "batch_size": options.batch_size,
        "teachers": {
            teacher: compare(teacher, options, images(options.examples))
            for teacher in options.teachers
        },
    }
    print(json.dumps(found, indent=1))
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")


def images(count: int) -> Dataset:
    """Return made-up images, whose class is a patch that is brighter than the rest."""
    generator = torch.Generator().manual_seed(0)

    def split(size: int) -> Split:
        labels = torch.arange(size) % 10
        pixels = torch.randint(0, 200, (size, 3, 32, 32), generator=generator)
        for image, label in zip(pixels, labels.tolist(), strict=True):
            row, column = divmod(label, 5)
            image[:, row * 16 : row * 16 + 6, column * 6 : column * 6 + 6] += 55
        return Split.from_arrays(pixels.to(torch.uint8), labels)

    return Dataset("made up", split(count * 10 // 9), split(100), tuple("0123456789"))


def compare(teacher: str, options: argparse.Namespace, data: Dataset) -> dict[str, object]:
    """Return seconds of an epoch and of all else by way, and the ratios of the rounds."""
    epochs: dict[str, list[float]] = {way: [] for way in WAYS}
    beside: dict[str, list[float]] = {way: [] for way in WAYS}
    losses: dict[str, float] = {}
    for _ in range(options.rounds):
        for way, (processes, threads) in WAYS.items():
            with threads_of(threads):
                seconds, wall, losses[way] = trained(teacher, processes, options, data)
            epochs[way].append(seconds / options.epochs)
            beside[way].append(wall - seconds)
    first, *others = WAYS
    return {
        "seconds_of_an_epoch": {w: [round(s, 3) for s in found] for w, found in epochs.items()},
        "seconds_beside": {way: round(statistics.median(s), 2) for way, s in beside.items()},
        "speedup": {way: _speedup(epochs[first], epochs[way]) for way in others},
        "loss_apart": {way: abs(losses[way] / losses[first] - 1) for way in others},
    }


def _speedup(alone: list[float], other: list[float]) -> list[float]:
    """Return the median, the least and the largest ratio of the rounds."""
    ratios = [one / two for one, two in zip(alone, other, strict=True)]
    return [round(ratio, 2) for ratio in (statistics.median(ratios), min(ratios), max(ratios))]


def trained(
    teacher: str, processes: int, options: argparse.Namespace, data: Dataset
) -> tuple[float, float, float]:
    """Train a teacher; return the seconds of its steps, those of the whole, and its loss."""
    config = parse(
        StudyConfig,
        data="made up",
        teacher=teacher,
        student="mlp:2",
        batch_sizes=(options.batch_size,),
        epochs=options.epochs,
        record_epochs=(options.epochs,),
        optimizer="sgd",
        learning_rates=(0.02,),
        device="cpu",
        precision="float32",
        teacher_workers=processes,
    )
    with tempfile.TemporaryDirectory() as place:
        context = prepare_context(config, Path(place) / "s", data=data, progress=Silent())
        _, tasks = plan_teachers(config, context)
        began = time.perf_counter()
        LocalEngine(context).run("teachers", tasks)
        wall = time.perf_counter() - began
        (record,) = recorded(context.store, tasks[0].key)
    return record.seconds or 0.0, wall, record.training_loss or 0.0


if __name__ == "__main__":
    main()
