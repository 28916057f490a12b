"""What a teacher's step costs at each batch size, and what bounds it.

For each teacher and batch size: milliseconds of a training step (the trainer's, median of repeats
timed in turn), of its optimizer alone, of its forward and backward pass alone, and two floors: the
time of the step's multiplications at the rate of a large matrix product measured in the same run,
and the time to move the optimizer's bytes (weights, gradients and moments, read and written) at the
bandwidth of a large copy measured in the same run.

    python benchmarks/teacher_step.py [--repeats 5] [--steps 20] [--out FILE.json]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from goodteacher.config import Optimization, RuntimeConfig
from goodteacher.data import Split
from goodteacher.networks import Examples, Normalization, build_model
from goodteacher.studies.environment import environment_here
from goodteacher.training.loop import Trainer
from goodteacher.training.machine import Machine, choose_machine, tuned_cpu
from student_epoch import CLASSES, hand_over, make_data, spread

TEACHERS = {
    "mlp:800,800": ("adam", (1, 28, 28), [32, 128, 512, 2048]),
    "resnet:20": ("sgd", (3, 32, 32), [32, 128, 512]),
}
MOVES = {"adam": 7, "sgd": 5}
"""Times that a parameter's four bytes cross the memory bus in the optimizer: gradient read; weight
and each moment read and written."""


def trainer_of(teacher: str, optimizer: str, shape: tuple[int, ...], batch: int) -> Trainer:
    images, labels, _ = make_data(max(4 * batch, 1024), shape)
    machine = choose_machine(RuntimeConfig())
    normalization = Normalization(torch.tensor(0.5), torch.tensor(0.5), unit=255.0)
    split = Split(images, labels, torch.arange(len(labels)))
    examples = Examples(split, normalization, device=machine.device)

    def objective(logits: torch.Tensor, positions: torch.Tensor, view: int) -> torch.Tensor:
        return F.cross_entropy(logits, examples.labels(positions, view, num_classes=CLASSES))

    return Trainer(
        build_model(teacher, num_classes=CLASSES, inputs=shape, seed=0),
        objective,
        examples,
        plan=Optimization(optimizer=optimizer, learning_rate=1e-3, batch_size=batch),
        total_steps=10**6,
        order_seed=0,
        machine=machine,
    )


def timed(work: Callable[[], object], machine: Machine, times: int) -> float:
    """Return the milliseconds of one piece of work."""
    work()
    machine.wait()
    started = time.perf_counter()
    for _ in range(times):
        work()
    machine.wait()
    return 1e3 * (time.perf_counter() - started) / times


def parts_of(trainer: Trainer, batch: int, steps: int) -> dict[str, float]:
    """Return milliseconds of the whole step, its passes and its optimizer."""
    machine = trainer.machine
    positions = torch.arange(batch, device=machine.device)
    inputs = trainer.examples.inputs(positions)
    trainer.network.train()
    trainer.run_until(trainer.step + 2)
    started = trainer.step
    seconds = trainer.run_until(started + steps).seconds
    passes = timed(lambda: trainer._backward(inputs, positions, 0, 1.0), machine, steps)
    return {
        "step": 1e3 * seconds / steps,
        "passes": passes,
        "optimizer": timed(trainer.optimizer.step, machine, steps),
    }


def gflop_of(trainer: Trainer, batch: int) -> float:
    """Return the billions of floating-point operations of a step's passes."""
    inputs = trainer.examples.inputs(torch.arange(batch, device=trainer.machine.device))
    with FlopCounterMode(display=False) as counter:
        trainer.network(inputs).sum().backward()
    return counter.get_total_flops() / 1e9


def product_rate(machine: Machine, size: int = 2048) -> float:
    """Return the GFLOP/s of a large matrix product in the training precision."""
    a = torch.randn(size, size, device=machine.device, dtype=machine.autocast or torch.float32)
    return 2 * size**3 / 1e6 / min(timed(lambda: a @ a, machine, 5) for _ in range(3))


def bandwidth(machine: Machine, count: int = 2**25) -> float:
    """Return the GB/s, read and written, of a large copy."""
    a = torch.zeros(count, device=machine.device)
    b = torch.ones(count, device=machine.device)
    return 2 * 4 * count / 1e6 / min(timed(lambda: a.copy_(b), machine, 5) for _ in range(3))


def measured(teacher: str, repeats: int, steps: int, rate: float, speed: float) -> list[dict]:
    optimizer, shape, batches = TEACHERS[teacher]
    trainers = {batch: trainer_of(teacher, optimizer, shape, batch) for batch in batches}
    found: dict[int, list[dict[str, float]]] = {batch: [] for batch in batches}
    for _ in range(repeats):
        for batch, trainer in trainers.items():
            found[batch].append(parts_of(trainer, batch, steps))
    rows = []
    for batch, trainer in trainers.items():
        parameters = sum(p.numel() for p in trainer.network.parameters())
        gflop = gflop_of(trainer, batch)
        rows.append(
            {
                "teacher": teacher,
                "batch_size": batch,
                "milliseconds": {k: spread([f[k] for f in found[batch]]) for k in found[batch][0]},
                "gflop": gflop,
                "floor_products": 1e3 * gflop / rate,
                "floor_optimizer": 4 * MOVES[optimizer] * parameters / 1e6 / speed,
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    machine = choose_machine(RuntimeConfig())
    rate, speed = product_rate(machine), bandwidth(machine)
    result = {
        "n": options.repeats,
        "environment": environment_here(str(machine)).model_dump(mode="json"),
        "product_gflops": rate,
        "copy_gb_per_second": speed,
        "teachers": [
            row
            for teacher in TEACHERS
            for row in measured(teacher, options.repeats, options.steps, rate, speed)
        ],
    }
    hand_over(result, options.out)


if __name__ == "__main__":
    with tuned_cpu():
        main()
