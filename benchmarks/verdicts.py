"""Is the verdict right where the truth is known?

Gaussian mixtures of 12 classes in 4 groups of 3: classes of a group are alike, and the Bayes
posterior says how much. Each run draws a new mixture, new data and 20 new student seeds, and gives
students teachers whose similarity structure is known:

- none:     label smoothing; the posterior's confidence alone; the posterior, off-class permuted
- planted:  the posterior's confidence, off-class `beta` of the way from uniform to the posterior
- harmful:  the posterior with its off-class entries sent through one wrong map for each class

A verdict of `knowledge` is wrong for none and harmful, right for planted (where the mean gain of
similarity is above the margin). The naive procedure people use today - one seed, distillation
against cross-entropy, better is better - is judged on the same students.

    python benchmarks/verdicts.py --runs 200 --out verdicts.json [--first 0] [--threads 1]

Runs are independent and named by number, so several processes can share them by --first.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from goodteacher.config import Optimization, Recipe, RuntimeConfig
from goodteacher.data import Normalization
from goodteacher.models import build_model
from goodteacher.results import CROSS_ENTROPY, FileSource
from goodteacher.store import environment
from goodteacher.targets import (
    FALSIFICATION,
    LADDER,
    class_map_targets,
    confidence_smoothing,
    logits_of,
    permuted_targets,
    smoothing_targets,
)
from goodteacher.training.evaluate import compute_predictions
from goodteacher.training.loop import Trainer, steps_per_epoch
from goodteacher.training.machine import choose_machine
from goodteacher.training.objective import StackObjective
from goodteacher.training.stacking import stack_networks
from goodteacher.verdict import judge, plan_arms

CLASSES, GROUPS, DIMENSIONS = 12, 4, 8
TRAIN, SELECTION, TEST = 1_500, 1_000, 4_000
SEEDS, EPOCHS, BATCH = 20, 20, 64
RECIPE = Recipe(temperature=1.0, alpha=1.0)
SMOOTHINGS = (0.05, 0.1, 0.2, 0.3)
LEVEL, MARGIN = 0.05, 0.002

Teacher = Callable[[Tensor, Tensor, int], Tensor]


def partly(beta: float) -> Teacher:
    def make(posterior: Tensor, labels: Tensor, seed: int) -> Tensor:
        flat = confidence_smoothing(posterior, labels)
        return logits_of((1 - beta) * flat + beta * torch.softmax(posterior, 1))

    return make


TEACHERS: dict[str, Teacher] = {
    "none: label smoothing": lambda z, y, s: logits_of(
        smoothing_targets(y, CLASSES, smoothing=0.2)
    ),
    "none: confidence only": lambda z, y, s: logits_of(confidence_smoothing(z, y)),
    "none: permuted": lambda z, y, s: logits_of(permuted_targets(z, y, seed=s)),
    "planted: beta 0.25": partly(0.25),
    "planted: beta 0.5": partly(0.5),
    "planted: beta 1": partly(1.0),
    "harmful: wrong map": lambda z, y, s: logits_of(class_map_targets(z, y, seed=s)),
}


def mixture(run: int) -> tuple[dict[str, tuple[Tensor, Tensor]], Tensor]:
    """Draw a mixture; return its splits and the posterior's logits on the training split."""
    rng = np.random.default_rng(run)
    groups = rng.normal(scale=1.6, size=(GROUPS, 1, DIMENSIONS))
    offsets = rng.normal(scale=0.7, size=(GROUPS, CLASSES // GROUPS, DIMENSIONS))
    means = (groups + offsets).reshape(CLASSES, DIMENSIONS)
    splits = {}
    for name, size in (("train", TRAIN), ("selection", SELECTION), ("test", TEST)):
        labels = rng.integers(CLASSES, size=size)
        inputs = means[labels] + rng.normal(size=(size, DIMENSIONS))
        splits[name] = (torch.from_numpy(inputs).float(), torch.from_numpy(labels))
    inputs = splits["train"][0].double().numpy()
    logits = inputs @ means.T - 0.5 * (means**2).sum(1)
    return splits, torch.from_numpy(logits).float()


def one_run(run: int) -> dict[str, dict[str, object]]:
    """Return the verdict on each teacher; all teachers' students train in one stack a seed."""
    machine = choose_machine(RuntimeConfig(device="cpu", precision="float32"))
    splits, posterior = mixture(run)
    inputs, labels = splits["train"]
    normalization = Normalization(inputs.mean(0), inputs.std(0))
    plans = {name: plan_arms(FileSource(content=name), RECIPE, SMOOTHINGS) for name in TEACHERS}
    arms = list(dict.fromkeys(arm for plan in plans.values() for arm in plan.values()))
    responses = {name: make(posterior, labels, run) for name, make in TEACHERS.items()}
    hits: dict[str, list[Tensor]] = {"selection": [], "test": []}
    for seed in range(SEEDS):
        targets = [_target(arm, responses, labels, seed) for arm in arms]
        network = build_model(
            "mlp:24", num_classes=CLASSES, input_shape=(DIMENSIONS,), seed=1000 * run + seed
        )
        steps = EPOCHS * steps_per_epoch(TRAIN, BATCH)
        stack = stack_networks([network] * len(arms), example_input=normalization(inputs[:4]))
        trainer = Trainer(
            stack,
            StackObjective(
                torch.stack(targets),
                range(len(arms)),
                [arm.recipe for arm in arms],
                labels,
                device=machine.device,
            ),
            inputs,
            normalization=normalization,
            plan=Optimization(
                optimizer="adam", learning_rate=5e-3, schedule="cosine", batch_size=BATCH
            ),
            total_steps=steps,
            order_seed=1000 * run + seed,
            machine=machine,
        )
        trainer.run_until(steps)
        for name, found in hits.items():
            x, y = splits[name]
            found.append(
                compute_predictions(stack, x, normalization=normalization, machine=machine) == y
            )
    correct = dict(zip(arms, torch.stack(hits["test"], 1).numpy(), strict=True))
    chosen = torch.stack(hits["selection"], 1).double().mean((1, 2)).tolist()
    selection = dict(zip(arms, chosen, strict=True))
    return {name: _judged(plan, correct, selection) for name, plan in plans.items()}


def _target(arm: object, responses: dict[str, Tensor], labels: Tensor, seed: int) -> Tensor:
    source = arm.source
    if source.kind == "one_hot":
        return torch.zeros(len(labels), CLASSES)
    if source.kind == "smoothing":
        return logits_of(smoothing_targets(labels, CLASSES, smoothing=source.smoothing))
    if source.kind == "file":
        return responses[source.content]
    response = responses[source.base.content]
    if source.target in LADDER:
        made = LADDER[source.target](response, labels, temperature=RECIPE.temperature)
    else:
        make = FALSIFICATION[source.target]
        made = make(response, labels, temperature=RECIPE.temperature, seed=seed)
    return logits_of(made, temperature=RECIPE.temperature)


def _judged(plan: dict, correct: dict, selection: dict) -> dict[str, object]:
    found = judge(
        {name: correct[arm] for name, arm in plan.items()},
        {name: selection[arm] for name, arm in plan.items()},
        teacher="planted",
        recipe=RECIPE,
        level=LEVEL,
        margin=MARGIN,
    )
    first_full = correct[plan["full_response"]][0].mean()
    return {
        "verdict": found.verdict,
        "knowledge": found.knowledge.mean,
        "gain": found.gain.mean,
        "over_best_regularizer": found.over_best_regularizer.mean,
        "naive_better": bool(first_full > correct[CROSS_ENTROPY][0].mean()),
    }


def table(runs: list[dict[str, dict[str, object]]]) -> dict[str, dict[str, float]]:
    """Summarise: for each teacher, how often each verdict was given, and the mean effects."""
    rows = {}
    for name in TEACHERS:
        found = [run[name] for run in runs]
        verdicts = [entry["verdict"] for entry in found]
        effect = np.array([[e["gain"], e["knowledge"], e["over_best_regularizer"]] for e in found])
        rows[name] = {
            "n": len(found),
            **{
                kind: verdicts.count(kind) / len(found)
                for kind in ("knowledge", "regularization", "no_gain", "inconclusive")
            },
            "naive_better": float(np.mean([e["naive_better"] for e in found])),
            "gain_points": float(100 * effect[:, 0].mean()),
            "knowledge_points": float(100 * effect[:, 1].mean()),
            "knowledge_points_sd": float(100 * effect[:, 1].std(ddof=1)) if len(found) > 1 else 0.0,
            "over_best_regularizer_points": float(100 * effect[:, 2].mean()),
        }
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--join", type=Path, nargs="*", default=[], help="files to add to the table"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    kept = json.loads(options.out.read_text())["runs"] if options.out.exists() else {}
    for path in options.join:
        kept |= json.loads(path.read_text())["runs"]
    started = time.perf_counter()
    for run in range(options.first, options.first + options.runs):
        if str(run) in kept:
            continue
        kept[str(run)] = one_run(run)
        result = {
            "environment": environment("cpu float32"),
            "seeds": SEEDS,
            "margin": MARGIN,
            "level": LEVEL,
            "table": table(list(kept.values())),
            "runs": kept,
        }
        options.out.write_text(json.dumps(result, indent=1) + "\n")
        print(f"run {run} done, {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
