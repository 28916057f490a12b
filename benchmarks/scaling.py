"""How the cost of students grows: with their number, and with the number of examples.

For 1 to 512 students at 8,192 examples, and for 1,000 to 1,000,000 examples at 8 students, the
seconds of an epoch of all of them, timed in turn. Data are random, in the shape of Fashion-MNIST
(`mlp:64`) and of CIFAR-10 (`cnn:8,16`, up to 64 students and 100,000 examples). A candidate of the
search is a student, so cost over candidates is cost over students.

    python benchmarks/scaling.py [--repeats 3] [--out FILE.json] [--plot FILE.svg]

Target: at most linear. `growth` is the slope of log seconds over log size, between the two ends:
1 is linear. `steepest` is the largest slope between neighbours, where noise shows most.
"""

from __future__ import annotations

import argparse
import itertools
import math
from pathlib import Path

import torch

from goodteacher.config import RuntimeConfig
from goodteacher.studies.environment import environment_here
from goodteacher.training.machine import choose_machine, tuned_cpu
from student_epoch import hand_over, make_data, spread, student_trainer

CURVES = {
    "mlp:64 over students": ("mlp:64", (1, 28, 28), [4**k for k in range(5)] + [512], [8192]),
    "mlp:64 over examples": ("mlp:64", (1, 28, 28), [8], [1000, 10_000, 100_000, 1_000_000]),
    "cnn:8,16 over students": ("cnn:8,16", (3, 32, 32), [1, 4, 16, 64], [2048]),
    "cnn:8,16 over examples": ("cnn:8,16", (3, 32, 32), [8], [1000, 10_000, 100_000]),
}
"""Student, shape of an image, numbers of students, numbers of examples."""

_MOST_STEPS = 400
"""Longer epochs are timed for so many steps and computed for the rest: steps cost the same."""


def epoch_seconds(student: str, shape: tuple[int, ...], width: int, examples: int) -> float:
    """Return the seconds that an epoch of ``width`` students takes."""
    trainer = student_trainer(student, *make_data(examples, shape), width=width)
    steps = trainer.steps_per_epoch
    trainer.run_until(2)
    timed = min(steps, _MOST_STEPS)
    return trainer.run_until(2 + timed).seconds * steps / timed


def slope(a: tuple[int, float], b: tuple[int, float]) -> float:
    return math.log(b[1] / a[1]) / math.log(b[0] / a[0])


def curve_of(name: str, repeats: int) -> dict[str, object]:
    student, shape, widths, counts = CURVES[name]
    sizes = [(width, count) for width in widths for count in counts]
    seconds: dict[tuple[int, int], list[float]] = {size: [] for size in sizes}
    for _ in range(repeats):
        for size in sizes:
            seconds[size].append(epoch_seconds(student, shape, *size))
    varied = 0 if len(widths) > 1 else 1
    points = [{"size": size[varied], "seconds": spread(seconds[size])} for size in sizes]
    medians = [(point["size"], point["seconds"]["median"]) for point in points]
    return {
        "points": points,
        "growth": slope(medians[0], medians[-1]),
        "steepest": max(slope(a, b) for a, b in itertools.pairwise(medians)),
    }


def plot(result: dict[str, object], path: Path) -> None:
    """Draw all curves, with a line of slope 1 to compare them with."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "goodteacher"  # the same file for the same numbers
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for panel, axis in zip(panels, ("students", "examples"), strict=True):
        for name, curve in result["curves"].items():
            if name.endswith(axis):
                sizes = [point["size"] for point in curve["points"]]
                bounds = [[p["seconds"][key] for p in curve["points"]] for key in ("low", "high")]
                medians = [point["seconds"]["median"] for point in curve["points"]]
                panel.plot(sizes, medians, marker="o", label=name.split(" over")[0])
                panel.fill_between(sizes, *bounds, alpha=0.25)
                linear = [medians[-1] * size / sizes[-1] for size in sizes]
                panel.plot(sizes, linear, color="grey", linestyle=":", linewidth=1)
        panel.set(xscale="log", yscale="log", xlabel=axis, ylabel="seconds an epoch, all students")
        panel.legend()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--plot", type=Path, default=None)
    parser.add_argument("--curves", nargs="*", choices=list(CURVES), default=list(CURVES))
    options = parser.parse_args()
    result = {
        "n": options.repeats,
        "environment": environment_here(str(choose_machine(RuntimeConfig()))).model_dump(
            mode="json"
        ),
        "curves": {name: curve_of(name, options.repeats) for name in options.curves},
    }
    hand_over(result, options.out)
    if options.plot:
        plot(result, options.plot)


if __name__ == "__main__":
    torch.manual_seed(0)
    with tuned_cpu():
        main()
