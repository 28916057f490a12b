"""When is a teacher still getting better? Long trainings, and what a shorter one would have shown.

Teachers of eight data sets train at a constant learning rate, as in a search, and are measured at
doublings of the epoch. Each doubling but the last is then looked at as if training had ended there:
it was too soon if four times the epochs add more than a point of test accuracy, and late enough if
neither two nor four times add 0.3.

    python experiments/teacher_curves.py DATA [DATA ...] --out curves
    python experiments/teacher_curves.py --collect curves    # keeps the rows
    python experiments/teacher_curves.py                     # shows the table

Run again, it goes on where it stopped. The rows are in `results/teacher_curves.json`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from goodteacher.config import RuntimeConfig
from goodteacher.data import StudyData, prepare
from goodteacher.records.arms import CROSS_ENTROPY
from goodteacher.training.loop import Trainer, steps_per_epoch
from goodteacher.training.machine import Machine, choose_machine, tuned_cpu
from goodteacher.training.objective import StackObjective
from student_tuning import (
    CASES,
    Case,
    add_rows,
    dataset_of,
    examples_of,
    measured,
    plan_of,
    rows_of,
    stack_of,
)

FILE = Path(__file__).parent / "results/teacher_curves.json"

EPOCHS = (1, 2, 4, 8, 16, 32, 64, 128)
BATCH_SIZES = (32, 512)
LEARNING_RATES = (1e-4, 1e-3)
"""A teacher's default, and one so low that training takes long."""

MORE, ENOUGH = 0.01, 0.003
"""Test accuracy that four times the epochs add to a training that ended too soon, and that neither
two nor four times add to one that did not."""

Look = tuple[Mapping[str, Any], Mapping[str, Any]]
"""What was measured at half of the epochs, and at their end."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="DATA", help=", ".join(CASES))
    parser.add_argument("--out", type=Path, default=Path("curves"))
    parser.add_argument("--collect", type=Path, help="keep this folder's rows")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if options.collect:
        files = sorted(options.collect.glob("*.jsonl"))
        lines = [line for file in files for line in file.read_text().splitlines()]
        FILE.write_text("[\n" + ",\n".join(lines) + "\n]\n")
    if not options.cases:
        print(table(json.loads(FILE.read_text())))
        return
    torch.set_num_threads(options.threads)
    machine = choose_machine(RuntimeConfig())
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.cases:
        _run_case(name, options.out / f"{name}.jsonl", options.seeds, machine)


def _run_case(name: str, file: Path, seeds: int, machine: Machine) -> None:
    case = CASES[name]
    parts = prepare(dataset_of(case.data), transfer_fraction=case.transfer_fraction)
    done = {_run_key(row) for row in rows_of(file)}
    for run in itertools.product(BATCH_SIZES, LEARNING_RATES, range(seeds)):
        if run not in done:
            found = _train(case, parts, *run, machine)
            add_rows(file, name, found)
    print(name, "done", flush=True)


def _run_key(row: Mapping[str, Any]) -> tuple[int, float, int]:
    return row["batch_size"], row["learning_rate"], row["seed"]


def _train(
    case: Case,
    parts: StudyData,
    batch_size: int,
    learning_rate: float,
    seed: int,
    machine: Machine,
) -> list[dict[str, Any]]:
    """Train a teacher on the transfer set: a tenth of the larger data sets, for their cost."""
    examples = examples_of(parts, parts.transfer, machine)
    per_epoch = steps_per_epoch(len(examples), batch_size)
    plan = plan_of(batch_size).model_copy(
        update={"schedule": "constant", "learning_rate": learning_rate}
    )
    unused = torch.zeros(1, len(examples), parts.num_classes)
    trainer = Trainer(
        stack_of(case.teacher, parts, 1, seed, examples),
        StackObjective([unused], [0], [CROSS_ENTROPY.recipe], examples, device=machine.device),
        examples,
        plan=plan,
        total_steps=EPOCHS[-1] * per_epoch,
        order_seed=seed,
        machine=machine,
    )
    rows = []
    for epoch in EPOCHS:
        trainer.run_until(epoch * per_epoch)
        (accuracy,), (nll,), (best_nll,) = measured(
            trainer.network, parts, parts.selection, machine
        )
        test = parts.test.open("a table, no choice")
        rows.append(
            {
                "batch_size": batch_size,
                "learning_rate": learning_rate,
                "seed": seed,
                "epoch": epoch,
                "selection": round(accuracy, 5),
                "selection_examples": len(parts.selection),
                "nll": round(nll, 5),
                "best_nll": round(best_nll, 5),
                "test": round(measured(trainer.network, parts, test, machine)[0][0], 5),
            }
        )
    return rows


def _gain(look: Look, name: str) -> float:
    before, last = look
    return float(last[name] - before[name])


RULES: Mapping[str, Callable[[Look], bool]] = {
    f"accuracy gained more than {100 * points:g} points": (
        lambda look, points=points: _gain(look, "selection") > points
    )
    for points in (0.005, 0.01, 0.02, 0.03)
} | {
    f"best NLL fell by more than {100 * share:g} %": (
        lambda look, share=share: _gain(look, "best_nll") < -share * look[0]["best_nll"]
    )
    for share in (0.01, 0.05, 0.2)
}
"""Each looks at the last doubling alone."""


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Say how many trainings that ended too soon, and that did not, each rule names."""
    soon, late = [], []
    for look, twice, four in _looks(rows):
        gain = four["test"] - look[1]["test"]
        if gain > MORE:
            soon.append(look)
        elif max(gain, twice["test"] - look[1]["test"]) < ENOUGH:
            late.append(look)
    lines = [
        f"| rule | too soon, found (of {len(soon)}) | late enough, accused (of {len(late)}) |",
        "|---|---|---|",
    ]
    for name, rule in RULES.items():
        found, accused = (100 * statistics.fmean(map(rule, each)) for each in (soon, late))
        lines.append(f"| {name} | {found:.1f} % | {accused:.1f} % |")
    return "\n".join(lines)


def _looks(
    rows: Sequence[Mapping[str, Any]],
) -> list[tuple[Look, Mapping[str, Any], Mapping[str, Any]]]:
    """Return each end that training might have had, and what twice and four times brought."""
    runs: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        runs.setdefault((row["case"], *_run_key(row)), []).append(row)
    return [
        ((before, last), twice, four)
        for run in runs.values()
        for before, last, twice, four in zip(run, run[1:], run[2:], run[3:], strict=False)
    ]


if __name__ == "__main__":
    with tuned_cpu():
        main()
