"""From what each process measured to medians with their spread; pure functions."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

BASELINE = "plain"
"""The tool that all are compared with, repeat by repeat."""

MEASURED = (
    "train_seconds",
    "setup_seconds",
    "teacher_pass_seconds",
    "peak_rss_mib",
    "peak_gpu_mib",
    "test_accuracy",
)
FACTS = ("precision", "teacher_parameters", "student_parameters", "versions")

Run = Mapping[str, Any]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, lowest and highest.

    >>> spread([3.0, 1.0, 2.0])
    {'median': 2.0, 'low': 1.0, 'high': 3.0}
    """
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def derived(run: Run, *, examples: int, epochs: int, students: int) -> dict[str, float]:
    """Return what follows from one run's seconds.

    A student-epoch is one student's pass over all examples; the teacher's pass over them, where it
    is done once and ahead, is shown both left out and spread over the run's student-epochs.

    Args:
        run: What one process measured.
        examples: Examples of the transfer set.
        epochs: Epochs of the run.
        students: Students trained together.
    """
    student_epochs = epochs * students
    return {
        "images_per_second": examples * student_epochs / _training(run),
        "seconds_per_student_epoch": _training(run) / student_epochs,
        "seconds_per_student_epoch_with_teacher_pass": _all(run) / student_epochs,
    }


def summarise(
    runs: Sequence[Run], *, examples: int, epochs: int, students: int
) -> dict[str, Any] | None:
    """Return median and spread of every quantity over one tool's repeats; None without any.

    Args:
        runs: The repeats that succeeded.
        examples: Examples of the transfer set.
        epochs: Epochs of a run.
        students: Students trained together.
    """
    if not runs:
        return None
    rows = [
        {
            **{name: run[name] for name in MEASURED},
            **derived(run, examples=examples, epochs=epochs, students=students),
        }
        for run in runs
    ]
    spreads = {name: _spread_or_none([row[name] for row in rows]) for name in rows[0]}
    return {"n": len(runs), **{name: runs[0][name] for name in FACTS}, **spreads}


def _spread_or_none(values: Sequence[float | None]) -> dict[str, float] | None:
    known = [value for value in values if value is not None]
    return spread(known) if known else None


def times_cheaper(
    baseline: Mapping[int, Run], runs: Mapping[int, Run], *, students: int
) -> dict[str, dict[str, float] | None]:
    """Return how many times less a student costs than in the plain loop.

    Once for the training alone, once with the teacher's pass. Ratios are of runs of the same
    repeat, which a noisy machine disturbs alike.

    Args:
        baseline: The plain loop's runs by repeat.
        runs: The tool's runs by repeat.
        students: Students that the tool trains together.
    """
    shared = [repeat for repeat in runs if repeat in baseline]

    def ratios(seconds: Callable[[Run], float]) -> dict[str, float] | None:
        return _spread_or_none(
            [seconds(baseline[repeat]) * students / seconds(runs[repeat]) for repeat in shared]
        )

    return {"training": ratios(_training), "with_teacher_pass": ratios(_all)}


def _training(run: Run) -> float:
    return float(run["train_seconds"])


def _all(run: Run) -> float:
    return float(run["train_seconds"] + run["teacher_pass_seconds"])


def other_networks(runs: Mapping[str, Run]) -> dict[str, str]:
    """Return, for each tool whose networks are not those of the others, what differs.

    Args:
        runs: One run of each tool that has any, the first of which is taken as right.
    """
    wrong: dict[str, str] = {}
    expected: Run | None = None
    for tool, run in runs.items():
        expected = expected or run
        for name in ("teacher_parameters", "student_parameters"):
            if run[name] != expected[name]:
                wrong[tool] = f"{name} is {run[name]}, elsewhere {expected[name]}"
    return wrong
