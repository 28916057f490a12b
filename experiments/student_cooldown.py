"""One long training with short cooldowns, or a whole training for every number of epochs?

A training at a constant learning rate can give every budget at little more than the longest one's
cost: at 80 % of each budget a branch leaves it, whose learning rate falls to zero in the budget's
last fifth. `student_tuning.py` trained each budget whole, under a cosine of its own. This compares
the two at the same learning rates, batch size, budgets and seeds.

    python experiments/student_cooldown.py DATA [DATA ...] --out cooldown
    python experiments/student_cooldown.py --collect cooldown --whole tuning    # keeps the means
    python experiments/student_cooldown.py                                      # shows the table

Run again, it goes on where it stopped. Means over seeds are in `results/student_cooldown.json`.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from goodteacher.config import RuntimeConfig
from goodteacher.data import StudyData, prepare
from goodteacher.training.loop import Trainer, steps_per_epoch
from goodteacher.training.machine import Machine, choose_machine, tuned_cpu
from student_tuning import (
    CASES,
    LEARNING_RATES,
    Case,
    add_rows,
    arms_of,
    dataset_of,
    measured,
    plan_of,
    response_of,
    rows_of,
    trainer_of,
)

FILE = Path(__file__).parent / "results/student_cooldown.json"

COOLDOWN = 0.2
"""The share of a budget in which the learning rate falls to zero, as is usual."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="DATA", help=", ".join(CASES))
    parser.add_argument("--out", type=Path, default=Path("cooldown"))
    parser.add_argument("--collect", type=Path, help="keep the means of this folder's rows")
    parser.add_argument("--whole", type=Path, help="with --collect: rows of student_tuning.py")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if options.collect:
        rows = collected(options.collect, options.whole)
        FILE.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
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
    response = response_of(case, parts, machine)
    done = {row["seed"] for row in rows_of(file)}
    for seed in set(range(seeds)) - done:
        found = _train(case, parts, response, seed, machine)
        add_rows(file, name, found)
        print(name, "seed", seed, "done", flush=True)


def _train(
    case: Case, parts: StudyData, response: torch.Tensor, seed: int, machine: Machine
) -> list[dict[str, Any]]:
    """Train the trunk, and a branch for each budget."""
    students = [(arm, rate) for arm in arms_of(middle=True) for rate in LEARNING_RATES]
    batch_size = case.batch_sizes[1]
    per_epoch = steps_per_epoch(len(parts.transfer), batch_size)
    trunk_plan = plan_of(batch_size).model_copy(update={"schedule": "constant"})
    cooling_plan = plan_of(batch_size).model_copy(update={"schedule": "linear"})
    longest = max(case.epochs) * per_epoch
    trunk = trainer_of(case, parts, response, students, trunk_plan, longest, seed, machine)
    rows = []
    for epochs in case.epochs:
        last = round(COOLDOWN * epochs * per_epoch)
        trunk.run_until(epochs * per_epoch - last)
        branch = trainer_of(case, parts, response, students, cooling_plan, last, seed, machine)
        branch.load(trunk.state(), 0)
        # Other orders than the trunk's first epochs: these it has seen.
        branch.order_seed = 1000 + seed
        branch.run_until(last)
        rows += _rows(branch, parts, students, batch_size, epochs, seed, machine)
    return rows


def _rows(
    trainer: Trainer,
    parts: StudyData,
    students: Sequence[tuple[str, float]],
    batch_size: int,
    epochs: int,
    seed: int,
    machine: Machine,
) -> list[dict[str, Any]]:
    selection = measured(trainer.network, parts, parts.selection, machine)[0]
    test = measured(trainer.network, parts, parts.test.open("a table, no choice"), machine)[0]
    return [
        {
            "arm": arm,
            "learning_rate": rate,
            "batch_size": batch_size,
            "epochs": epochs,
            "seed": seed,
            "selection": round(chosen_on, 5),
            "test": round(accuracy, 5),
        }
        for (arm, rate), chosen_on, accuracy in zip(students, selection, test, strict=True)
    ]


def collected(cooled: Path, whole: Path) -> list[dict[str, Any]]:
    """Return what each setting reached by a branch and by a whole training, means over seeds."""
    found = []
    for file in sorted(cooled.glob("*.jsonl")):
        branches = list(rows_of(file))
        size = branches[0]["batch_size"]
        wholes = [
            {**row, "selection": row["curve"][-1][1]}
            for row in rows_of(whole / file.name)
            if row["batch_size"] == size
        ]
        here, there = _means(branches), _means(wholes)
        for arm, rate, epochs in sorted(here.keys() & there.keys()):
            setting = {"case": file.stem, "arm": arm, "learning_rate": rate, "epochs": epochs}
            means = {"branch": here[arm, rate, epochs], "whole": there[arm, rate, epochs]}
            found.append({**setting, **means})
    return found


def _means(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, float, int], dict[str, float]]:
    groups: dict[tuple[str, float, int], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["arm"], row["learning_rate"], row["epochs"]), []).append(row)
    return {
        key: {
            "n": len(group),
            "selection": round(statistics.fmean(row["selection"] for row in group), 5),
            "test": round(statistics.fmean(row["test"] for row in group), 5),
        }
        for key, group in groups.items()
    }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Compare what each family's best setting reaches, and all settings one by one."""
    lines = [
        "| data | learned from | whole: best | it, % | cooldowns: best | it, % | difference "
        "| all settings: mean, SD |",
        "|---|---|---|---|---|---|---|---|",
    ]
    families: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        families.setdefault((row["case"], row["arm"]), []).append(row)
    for (case, arm), settings in families.items():
        gaps = [100 * (row["branch"]["test"] - row["whole"]["test"]) for row in settings]
        whole, branch = (
            # Of equals the one that trains for the fewest epochs.
            max(settings, key=lambda row: (row[way]["selection"], -row["epochs"]))
            for way in ("whole", "branch")
        )
        difference = 100 * (branch["branch"]["test"] - whole["whole"]["test"])
        lines.append(
            f"| `{case}` | {arm} | {_shown(whole, 'whole')} | {_shown(branch, 'branch')} | "
            f"{difference:+.2f} | "
            f"{statistics.fmean(gaps):+.2f}, {statistics.stdev(gaps):.2f} (n = {len(gaps)}) |"
        )
    return "\n".join(lines)


def _shown(row: Mapping[str, Any], way: str) -> str:
    how = f"{row['epochs']} epochs at {row['learning_rate']:g}"
    return f"{how} | {100 * row[way]['test']:.2f}"


if __name__ == "__main__":
    with tuned_cpu():
        main()
