"""What a grid costs that is searched naively, and what its parts cost here: seconds of an epoch.

The naive grid trains a teacher from scratch for every batch size and number of epochs, then every
student alone. Timed, in turns:

- a **teacher's** epoch at each batch size, *here* (this library) and in a *loop* of one's own, and
  what this library takes to *record* a teacher: responses, measurements and files;
- a **student's** epoch: *stacked* (this library, a stack of 64), *alone* (this library, one student
  from a stored response: generous, since few do so) and in a *loop*, where the teacher runs on
  every batch.

A loop is a DataLoader over inputs that are normalised already, float32; of small networks it costs
more than their arithmetic, as it does in practice. Of a long epoch some steps are timed and the
rest is taken to be like them.

    python benchmarks/naive_grid.py DATA --teacher mlp:800,800 --student mlp:64 \
      --batch-sizes 32 128 512 2048 [--transfer-fraction 1] [--student-batch-size 256] \
      [--steps 200] [--repeats 3] [--out benchmarks/results/naive_grid.json]

With `--out`, the pair's line is put beside those of other pairs; `experiments/regret.py` reads it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from goodteacher.config import Optimization, RuntimeConfig, StudyConfig, parse
from goodteacher.data import Split, StudyData, load_dataset, prepare
from goodteacher.networks import Examples, Preparations
from goodteacher.studies.environment import environment_here
from goodteacher.studies.progress import Silent
from goodteacher.studies.store import Store
from goodteacher.studies.tasks import Context, DataKey
from goodteacher.teachers.recording import record_teacher
from goodteacher.training.loop import Trainer, steps_per_epoch
from goodteacher.training.machine import choose_machine, tuned_cpu
from student_epoch import adam, hand_over, loop_epoch, spread, trainer_of

KEY = ("data", "teacher", "student", "student_batch_size", "examples")
"""What tells the lines of the result apart."""
STACK = 64
"""Students of a stack: about as many as a default search has."""

_WARM_UP = 2  # steps


class Timer:
    """Times epochs of one pair.

    Args:
        data: Its data.
        given: Networks, batch sizes, and the most steps to time.
    """

    def __init__(self, data: StudyData, given: argparse.Namespace) -> None:
        self.data, self.given, self.networks = data, given, Preparations(data)
        self.machine = choose_machine(RuntimeConfig())
        self.training = self._examples(given.teacher, data.training)
        self.transfer = self._examples(given.student, data.transfer)

    def teacher(self, batch_size: int) -> float:
        """Return the seconds of a teacher's epoch by this library."""
        labels = self.data.training.labels
        trainer = Trainer(
            network_of(self.networks, self.given.teacher),
            lambda logits, positions, view: F.cross_entropy(logits, labels[positions]),
            self.training,
            plan=Optimization(optimizer="adam", learning_rate=1e-3, batch_size=batch_size),
            total_steps=10**6,
            order_seed=0,
            machine=self.machine,
        )
        return self._epoch(trainer)

    def teacher_loop(self, batch_size: int) -> float:
        """Return the same in a loop of one's own."""
        network = network_of(self.networks, self.given.teacher)
        optimizer = adam(network)
        return self._loop(
            self.training,
            self.data.training,
            batch_size,
            lambda examples: teacher_loop_epoch(examples, network, optimizer, batch_size),
        )

    def record(self) -> float:
        """Return the seconds that this library takes to record a teacher at one epoch."""
        names = ("data", "teacher", "student", "transfer_fraction")
        config = parse(StudyConfig, **{name: getattr(self.given, name) for name in names})
        with tempfile.TemporaryDirectory() as folder:
            store = Store.create(Path(folder) / "study", config)
            return record_teacher(
                Context(self.data, self.networks, store, self.machine, Silent()),
                network_of(self.networks, self.given.teacher).to(self.machine.device),
                key="made",
                epoch=1,
                teacher=self.given.teacher,
                data=DataKey.of(config, self.data),
                temperatures=config.temperatures,
            ).recording_seconds

    def student(self, width: int) -> float:
        """Return the seconds of a student's epoch in a stack of some width, by this library."""
        generator = torch.Generator().manual_seed(0)
        shape = (1, len(self.transfer), self.data.num_classes)
        response = torch.randn(shape, generator=generator)
        network, size = network_of(self.networks, self.given.student), self.given.student_batch_size
        trainer = trainer_of(network, self.transfer, response, width=width, batch_size=size)
        return self._epoch(trainer) / width

    def student_loop(self) -> float:
        """Return the same in a loop of one's own."""
        teacher, student = (
            network_of(self.networks, x) for x in (self.given.teacher, self.given.student)
        )
        size = self.given.student_batch_size
        return self._loop(
            self.transfer,
            self.data.transfer,
            size,
            lambda examples: loop_epoch(examples, teacher, student, batch_size=size),
        )

    def _epoch(self, trainer: Trainer) -> float:
        timed = min(trainer.steps_per_epoch, self.given.steps)
        trainer.run_until(_WARM_UP)
        seconds = trainer.run_until(_WARM_UP + timed).seconds
        return seconds * trainer.steps_per_epoch / timed

    def _loop(
        self,
        examples: Examples,
        split: Split,
        batch_size: int,
        run: Callable[[TensorDataset], float],
    ) -> float:
        steps = steps_per_epoch(len(examples), batch_size)
        timed = min(steps, self.given.steps)
        some = torch.arange(min(len(examples), timed * batch_size))
        whole = TensorDataset(examples.inputs(some).cpu(), split.labels[some])
        run(TensorDataset(*whole[: _WARM_UP * batch_size]))
        return run(whole) * steps / timed

    def _examples(self, spec: str, split: Split) -> Examples:
        return self.networks.examples(spec, split, device=self.machine.device)


def network_of(networks: Preparations, spec: str) -> nn.Module:
    """Return an untrained network for some data, to be given prepared inputs."""
    return networks.network(spec, seed=0).module


def teacher_loop_epoch(
    examples: TensorDataset, network: nn.Module, optimizer: torch.optim.Optimizer, batch_size: int
) -> float:
    """Return the seconds of a teacher's epoch in a loop of one's own."""
    started = time.perf_counter()
    for inputs, labels in DataLoader(examples, batch_size=batch_size, shuffle=True):
        loss = F.cross_entropy(network(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return time.perf_counter() - started


def measured(given: argparse.Namespace) -> dict[str, Any]:
    """Time every part, taking turns."""
    data = prepare(
        load_dataset(given.data),
        selection_fraction=0.1,
        transfer_fraction=given.transfer_fraction,
        seed=0,
    )
    timer = Timer(data, given)
    parts: dict[tuple[str, ...], Callable[[], float]] = {
        ("teacher", "record"): timer.record,
        ("student", "stacked"): lambda: timer.student(STACK),
        ("student", "alone"): lambda: timer.student(1),
        ("student", "loop"): timer.student_loop,
    }
    for size in given.batch_sizes:
        parts["teacher", str(size), "here"] = lambda size=size: timer.teacher(size)
        parts["teacher", str(size), "loop"] = lambda size=size: timer.teacher_loop(size)
    seconds: dict[tuple[str, ...], list[float]] = {name: [] for name in parts}
    for _ in range(given.repeats):
        for name, run in parts.items():
            seconds[name].append(run())
    timed = {name: spread(values) for name, values in seconds.items()}
    return {
        "data": Path(given.data).name,
        "teacher": given.teacher,
        "student": given.student,
        "student_batch_size": given.student_batch_size,
        "examples": len(data.transfer),
        "n": given.repeats,
        "teacher_epoch": {
            str(size): {way: timed["teacher", str(size), way] for way in ("here", "loop")}
            for size in given.batch_sizes
        },
        "teacher_record": timed["teacher", "record"],
        "student_epoch": {way: timed["student", way] for way in ("stacked", "alone", "loop")},
        "environment": environment_here(str(timer.machine)).model_dump(mode="json"),
    }


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
    parser.add_argument("--batch-sizes", type=int, nargs="+", required=True)
    parser.add_argument("--transfer-fraction", type=float, default=1.0)
    parser.add_argument("--student-batch-size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=200, help="the most steps timed of an epoch")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=None)
    return parser.parse_args(arguments)


def main() -> None:
    given = parsed()
    line = measured(given)
    hand_over(beside_others(line, given.out) if given.out else line, given.out)


if __name__ == "__main__":
    with tuned_cpu():
        main()
