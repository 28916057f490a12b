"""Is the verdict right where the truth is known?

    python benchmarks/verdicts.py --task mixture --runs 200 --processes 2 --out FILE.jsonl
    python benchmarks/verdicts.py --table FILE.jsonl [FILE.jsonl ...]    tables of docs/verdict.md

Each run draws a new task (`planted.py`: Gaussian mixtures, or images of templates and noise), new
data and new student seeds, and gives students teachers whose similarity structure is known:

- none:     label smoothing; the posterior's confidence alone; the posterior, off-class permuted
- planted:  part of the posterior's structure, at several effect sizes
- half:     a gain that is about half smoothing by example, half similarity
- harmful:  the posterior with its off-class entries sent through one wrong map for each class

`knowledge` is wrong for none and harmful, right for planted and half. The verdict is the library's
rule with --until-decided (20, 40, 60 seeds). The truth of a run is measured apart: by 20 other
seeds on another test split, of the same classes and training data. The naive procedure people use
today - one seed, distillation against cross-entropy, better is better - is judged on the same
students.

A run is a line of the file as soon as it is done; the same command again does what is missing.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from goodteacher.maths.statistics import PlannedLook, plan_looks
from goodteacher.maths.targets import (
    confidence_smoothing,
    logits_of,
    mean_smoothing,
    smoothing_targets,
)
from goodteacher.studies.environment import environment_here
from goodteacher.verdicts.rule import REGULARIZERS, RUNGS, TUNED, Weighed, weigh
from planted import (
    TASKS,
    Problem,
    Students,
    Teacher,
    draw,
    harmful_map,
    mixed,
    none_permuted,
    none_smoothing,
)

SMOOTHINGS = (0.05, 0.1, 0.2, 0.3)
LEVEL, MARGIN = 0.05, 0.002
FIRST_LOOK, LAST_LOOK = 20, 60
TRUTH_SEEDS, TEST = range(500, 520), 40_000
PLAIN, FULL = RUNGS[0], RUNGS[4]
KINDS = ("knowledge", "regularization", "no_gain", "inconclusive")

_COMMON: dict[str, Teacher] = {
    "none: label smoothing": none_smoothing,
    "none: confidence only": mixed(share=1.0, structure=0.0),
    "none: permuted": none_permuted,
    "harmful: wrong map": harmful_map,
}
TEACHERS: dict[str, dict[str, Teacher]] = {
    "mixture": {
        **_COMMON,
        "planted: least": mixed(share=0.5, structure=0.5),
        "planted: small": mixed(share=0.5, structure=0.8),
        "planted: middle": mixed(share=0.5, structure=1.0),
        "planted: posterior": mixed(share=1.0, structure=1.0),
    },
    "images": {
        **_COMMON,
        "planted: least": mixed(share=0.25, structure=0.25),
        "planted: small": mixed(share=0.25, structure=0.4),
        "planted: middle": mixed(share=0.25, structure=1.0),
        "planted: posterior": mixed(share=1.0, structure=1.0),
        "half: smoothing, half: similarity": mixed(share=0.5, structure=0.5),
    },
}

Correct = Mapping[str, np.ndarray]


class Arms:
    """The distinct targets of some teachers' arms, and which of them each arm is.

    Many arms coincide (a teacher without structure is its own rung 2): they are trained once.
    """

    def __init__(self, problem: Problem, teachers: Mapping[str, Teacher]) -> None:
        labels, classes = problem.train[1], problem.task.classes
        self.plans: dict[str, dict[str, int]] = {}
        self._targets: dict[bytes, tuple[int, Tensor]] = {}
        shared = {PLAIN: self._add(torch.nn.functional.one_hot(labels, classes).double())}
        for value in SMOOTHINGS:
            made = smoothing_targets(labels, classes, smoothing=value, dtype=torch.float64)
            shared[f"label_smoothing_{value:g}"] = self._add(made)
        for name, make in teachers.items():
            target = make(problem.posterior, labels, problem.run)
            response = logits_of(target)
            rungs = {RUNGS[1]: mean_smoothing, RUNGS[2]: confidence_smoothing}
            own = {rung: self._add(made(response, labels)) for rung, made in rungs.items()}
            self.plans[name] = {**shared, **own, FULL: self._add(target)}

    def _add(self, target: Tensor) -> int:
        key = target.mul(1e6).round().int().numpy().tobytes()
        return self._targets.setdefault(key, (len(self._targets), target))[0]

    def keep(self, names: Sequence[str]) -> tuple[list[int], Tensor]:
        """Return which targets some teachers need, and the targets [num_targets, N, C]."""
        numbers = sorted({number for name in names for number in self.plans[name].values()})
        every = [target for _, target in self._targets.values()]
        return numbers, torch.stack([every[number] for number in numbers])


class Evidence:
    """Who is right so far, by target and seed; seeds are added for the targets still needed."""

    def __init__(self, problem: Problem, arms: Arms, split: int) -> None:
        self.problem, self.arms = problem, arms
        self.test = problem.tests[split]
        self.seeds: dict[int, int] = {}
        self.correct: dict[int, list[np.ndarray]] = {}
        self.selection: dict[int, list[np.ndarray]] = {}

    def add(self, names: Sequence[str], seeds: Sequence[int]) -> None:
        """Train further seeds of some teachers' arms."""
        numbers, targets = self.arms.keep(names)
        run = self.problem.run
        students = Students(self.problem, targets, [1000 * run + seed for seed in seeds])
        students.train()
        parts = (students.correct(self.test), students.correct(self.problem.selection))
        for number, right, chosen in zip(numbers, *parts, strict=True):
            self.correct.setdefault(number, []).append(right)
            self.selection.setdefault(number, []).append(chosen)

    def of(self, name: str) -> tuple[Correct, dict[str, float]]:
        """Return a teacher's arms as the rule wants them, label smoothing tuned."""
        plan = self.arms.plans[name]
        scores = {arm: float(np.mean(self.selection[number])) for arm, number in plan.items()}
        tuned = max((f"label_smoothing_{value:g}" for value in SMOOTHINGS), key=scores.__getitem__)
        plan, scores = {**plan, TUNED: plan[tuned]}, {**scores, TUNED: scores[tuned]}
        used = (*REGULARIZERS, FULL)
        return {arm: np.concatenate(self.correct[plan[arm]]) for arm in used}, scores


def one_run(task: str, run: int, looks: Sequence[PlannedLook]) -> dict[str, Any]:
    """Judge every teacher of a run; a teacher that is decided trains no further seeds."""
    started = time.perf_counter()
    problem = draw(TASKS[task], run, test_size=TEST)
    teachers = TEACHERS[task]
    arms = Arms(problem, teachers)
    evidence, alive, found = Evidence(problem, arms, 0), list(teachers), {}
    trained = 0
    for look in looks:
        evidence.add(alive, range(trained, look.seeds))
        trained = look.seeds
        for name in list(alive):
            correct, selection = evidence.of(name)
            weighed = weigh(correct, selection, level=look.level)
            verdict = weighed.decide(MARGIN)
            if verdict != "inconclusive" or look is looks[-1]:
                found[name] = _row(verdict, look, weighed, correct)
                alive.remove(name)
        if not alive:
            break
    planted = [name for name in teachers if name.startswith(("planted", "half"))]
    truth = Evidence(problem, arms, 1)
    truth.add(planted, TRUTH_SEEDS)
    for name in planted:
        found[name]["truth"] = _truth(*truth.of(name))
    return {
        "task": task,
        "run": run,
        "seconds": round(time.perf_counter() - started, 1),
        "teachers": {name: found[name] for name in teachers},
    }


def _row(verdict: str, look: PlannedLook, weighed: Weighed, correct: Correct) -> dict[str, Any]:
    naive = correct[FULL][0].mean() > correct[PLAIN][0].mean()
    effects = _effects(weighed.gain.mean, weighed.knowledge.mean, weighed.over_best.mean)
    return {"verdict": verdict, "seeds": look.seeds, "naive_better": bool(naive), **effects}


def _truth(correct: Correct, selection: Mapping[str, float]) -> dict[str, float]:
    means = {arm: float(right.mean()) for arm, right in correct.items()}
    best = max(means[arm] for arm in REGULARIZERS)
    full = means[FULL]
    return _effects(full - means[PLAIN], full - means[RUNGS[2]], full - best)


def _effects(gain: float, knowledge: float, over_best: float) -> dict[str, float]:
    """Name effects, in points."""
    return {
        "gain": round(100 * gain, 4),
        "knowledge": round(100 * knowledge, 4),
        "over_best_regularizer": round(100 * over_best, 4),
    }


# --- the table ------------------------------------------------------------------------------------


def table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the table of one task as Markdown lines, and what it says in a few more."""
    yield (
        '| teacher | knowledge | regularization | no gain | inconclusive | naive "helps" | '
        "similarity adds | over best regularizer | seeds |"
    )
    yield "|---" * 9 + "|"
    for name in rows[0]["teachers"]:
        entries = [row["teachers"][name] for row in rows]
        verdicts = [entry["verdict"] for entry in entries]
        shares = [f"{100 * verdicts.count(kind) / len(entries):.0f} %" for kind in KINDS]
        naive = f"{100 * np.mean([entry['naive_better'] for entry in entries]):.0f} %"
        effects = [_spread([e[key] for e in entries]) for key in EFFECTS]
        seeds = f"{np.mean([entry['seeds'] for entry in entries]):.0f}"
        yield "| " + " | ".join([name, *shares, naive, *effects, seeds]) + " |"
    yield ""
    yield f"n = {len(rows)} runs; effects in points, mean and standard deviation over runs.\n"
    yield from _power(rows)
    yield "\n| teacher | share of the gain called knowledge | true share | bias, % of the truth |"
    yield "|---" * 4 + "|"
    for name, entry in rows[0]["teachers"].items():
        if "truth" in entry:
            yield _shares(name, [row["teachers"][name] for row in rows])


EFFECTS = ("knowledge", "over_best_regularizer")


def _spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):+.2f} ({np.std(values, ddof=1) if len(values) > 1 else 0:.2f})"


def _power(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Say how often knowledge was found, by the true gain of similarity of the single run."""
    entries = [e for row in rows for e in row["teachers"].values() if "truth" in e]
    gains = np.array([min(entry["truth"][key] for key in EFFECTS) for entry in entries])
    found = np.array([entry["verdict"] == "knowledge" for entry in entries])
    for low, high in ((0.5, np.inf), (0.4, 0.6), (0.6, 0.8), (0.8, np.inf)):
        inside = (gains >= low) & (gains < high)
        if inside.any():
            upper = "" if high == np.inf else f" and below {high:g}"
            yield (
                f"- true gain of at least {low:g}{upper} points: knowledge in "
                f"{100 * found[inside].mean():.1f} % of {inside.sum()} runs."
            )


def _shares(name: str, entries: Sequence[Mapping[str, Any]]) -> str:
    """Compare the share of the gain that is called knowledge with the true one: ratios of means."""
    parts = [
        [e["knowledge"], e["gain"], e["truth"]["knowledge"], e["truth"]["gain"]] for e in entries
    ]
    values = np.array(parts)

    def bias(rows: np.ndarray) -> tuple[float, float, float]:
        knowledge, gain, true_knowledge, true_gain = rows.mean(0)
        said, true = knowledge / gain, true_knowledge / true_gain
        return said, true, 100 * (said / true - 1)

    draws = np.random.default_rng(0).integers(len(values), size=(2000, len(values)))
    low, high = np.quantile([bias(values[draw])[2] for draw in draws], (0.025, 0.975))
    said, true, off = bias(values)
    return f"| {name} | {said:.3f} | {true:.3f} | {off:+.1f} [{low:+.1f}, {high:+.1f}] |"


# --- running --------------------------------------------------------------------------------------


def _work(arguments: tuple[str, int, int]) -> dict[str, Any]:
    task, run, last = arguments
    torch.set_num_threads(1)
    return one_run(task, run, plan_looks(FIRST_LOOK, last, level=LEVEL))


def run_missing(task: str, runs: int, last: int, processes: int, out: Path) -> None:
    """Append a line for each run that the file lacks; its first line says how it was made."""
    settings = {"seeds": [FIRST_LOOK, last], "test": TEST, "level": LEVEL, "margin": MARGIN}
    header = {
        "task": task,
        **settings,
        "environment": environment_here("cpu float32").model_dump(mode="json"),
    }
    if not out.exists():
        out.write_text(json.dumps(header) + "\n")
    kept, done = read(out)
    if {name: kept[name] for name in ("task", *settings)} != {"task": task, **settings}:
        raise SystemExit(f"{out} holds runs of other settings. Name another file.")
    # Written anew, so that no line is appended to one that a kill cut off.
    out.write_text("".join(json.dumps(line) + "\n" for line in (kept, *done)))
    missing = [(task, run, last) for run in sorted(set(range(runs)) - {d["run"] for d in done})]
    # Spawned: a fork would inherit PyTorch's threads in an unknown state.
    with multiprocessing.get_context("spawn").Pool(processes) as pool, out.open("a") as file:
        for number, row in enumerate(pool.imap_unordered(_work, missing), 1):
            file.write(json.dumps(row) + "\n")
            file.flush()
            print(f"{number}/{len(missing)}: run {row['run']}, {row['seconds']} s", flush=True)


def read(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Read a file's header and its runs in order; a last line that was cut off is left out."""
    header, *lines = path.read_text().splitlines()
    rows = [json.loads(line) for line in lines if line.endswith("}")]
    return json.loads(header), sorted(rows, key=lambda row: row["run"])


def main() -> None:
    """Run what is missing, or print the tables of files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=list(TASKS), default="mixture")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--until-decided", type=int, default=LAST_LOOK, help="20 for one look")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", type=Path, nargs="*", default=[], help="files to print")
    options = parser.parse_args()
    if options.out:
        run_missing(
            options.task, options.runs, options.until_decided, options.processes, options.out
        )
    for path in [*options.table, *([options.out] if options.out else [])]:
        header, rows = read(path)
        print(f"\n{header['task']}\n\n" + "\n".join(table(rows)))


if __name__ == "__main__":
    main()
