"""What an epoch of one student costs who trains alone: the price of a grid searched naively.

*Alone*: this library, one student at a time, from a stored response - generous, since few do so.
*Loop*: a DataLoader over inputs that are normalised already, float32, the teacher run for every
batch - the least that a loop of one's own costs. Both take turns.

    python benchmarks/naive_student.py DATA --teacher mlp:800,800 --student mlp:64 \
      [--transfer-fraction 1] [--student-batch-size 256] [--epochs 2] [--repeats 3] \
      [--out benchmarks/results/naive_student.json]

With `--out`, the pair's line is put beside those of other pairs; `experiments/regret.py` reads it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import TensorDataset

from goodteacher.config import RuntimeConfig
from goodteacher.data import Examples, StudyData, load_dataset, prepare
from goodteacher.models import build_model
from goodteacher.store import environment
from goodteacher.training.machine import choose_machine
from student_epoch import hand_over, loop_epoch, spread, trainer_of

KEY = ("data", "teacher", "student", "student_batch_size", "examples")
"""What tells the lines of the result apart."""

_WARM_UP = 2  # steps


def measured(given: argparse.Namespace) -> dict[str, Any]:
    """Time both ways, taking turns."""
    data = prepare(
        load_dataset(given.data),
        selection_fraction=0.1,
        transfer_fraction=given.transfer_fraction,
        seed=0,
        normalization="auto",
    )
    machine = choose_machine(RuntimeConfig())
    examples = Examples(data.transfer, data.normalization, device=machine.device)
    alone, loop = [], []
    for _ in range(given.repeats):
        alone.append(alone_seconds(data, examples, given))
        loop.append(loop_seconds(data, examples, given))
    return {
        "data": Path(given.data).name,
        "teacher": given.teacher,
        "student": given.student,
        "student_batch_size": given.student_batch_size,
        "examples": len(examples),
        "n": given.repeats,
        "alone_seconds": spread(alone),
        "loop_seconds": spread(loop),
        "environment": environment(str(machine)),
    }


def alone_seconds(data: StudyData, examples: Examples, given: argparse.Namespace) -> float:
    """Return the seconds of an epoch of one student, from a stored response."""
    generator = torch.Generator().manual_seed(0)
    response = torch.randn(1, len(examples), data.num_classes, generator=generator)
    student, size = _network(given.student, data), given.student_batch_size
    trainer = trainer_of(student, examples, response, width=1, batch_size=size)
    trainer.run_until(_WARM_UP)
    until = _WARM_UP + given.epochs * trainer.steps_per_epoch
    return trainer.run_until(until).seconds / given.epochs


def loop_seconds(data: StudyData, examples: Examples, given: argparse.Namespace) -> float:
    """Return the seconds of an epoch of one student in a loop of one's own."""
    inputs = examples.inputs(torch.arange(len(examples)))
    teacher, student = (_network(spec, data) for spec in (given.teacher, given.student))
    whole = TensorDataset(inputs, data.transfer.labels)
    size = given.student_batch_size
    loop_epoch(TensorDataset(*whole[: _WARM_UP * size]), teacher, student, batch_size=size)
    epochs = (loop_epoch(whole, teacher, student, batch_size=size) for _ in range(given.epochs))
    return sum(epochs) / given.epochs


def _network(spec: str, data: StudyData) -> torch.nn.Module:
    return build_model(spec, num_classes=data.num_classes, input_shape=data.input_shape, seed=0)


def beside_others(line: dict[str, Any], out: Path) -> dict[str, Any]:
    """Return the lines of a file with this one among them, in place of an earlier one like it."""
    earlier = json.loads(out.read_text())["pairs"] if out.exists() else []
    others = [each for each in earlier if any(each[name] != line[name] for name in KEY)]
    return {"pairs": [*others, line]}


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--student", required=True)
    parser.add_argument("--transfer-fraction", type=float, default=1.0)
    parser.add_argument("--student-batch-size", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=None)
    return parser.parse_args(arguments)


def main() -> None:
    given = parsed()
    line = measured(given)
    hand_over(beside_others(line, given.out) if given.out else line, given.out)


if __name__ == "__main__":
    main()
