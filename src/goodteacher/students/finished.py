"""Were students trained enough to be compared?

Two answers, each where it can be given:

- A student that was *tuned* trained with several numbers of epochs, each a whole run under its own
  learning-rate schedule, so the answer is measured: more epochs made it better or did not
  (:mod:`goodteacher.students.families`).
- Where the user *named* the number of epochs there is one run, and its curve is looked at first. A
  decaying learning rate flattens every curve at its end, so the end says nothing; but the second
  half of a training that was long enough hardly lowers the held-out negative log-likelihood (taken
  at its best temperature, so that a student of softened targets is not called worse). Where it
  lowers it by more than `STEEP`, students are trained again with `LONGER` times the epochs, and
  not trained enough if that makes them better by more than `MUCH`.

*Ours*. Calibrated on 8 data sets (``experiments/student_tuning_page.py``, figures there): the
curve alone finds nearly all trainings that were too short and suspects a quarter of the others;
with the second look about 97 % are found and 4 % accused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from goodteacher.maths.statistics import paired_interval
from goodteacher.records import Arm, LearningPoint, StudentRow
from goodteacher.students.families import LONGER, MUCH
from goodteacher.students.kept import Shelf, rows_by_arm
from goodteacher.students.plan import Students, StudentTask, by_arm

STEEP = 0.006
"""Nats by which the second half of a training lowers held-out NLL where it may have been short."""
NUM_SEEDS = 2
"""Seeds that train longer, to see."""


def second_half(curve: Sequence[LearningPoint]) -> float:
    """Return by how much the second half of a training lowered the held-out NLL, in nats.

    Args:
        curve: Points along the training, the last at its end.

    Returns:
        Infinite where there is no point by half of the training: too few epochs to tell.
    """
    end = curve[-1]
    halves = [point for point in curve if point.epoch <= end.epoch / 2]
    if not halves or halves[-1].nll is None or end.nll is None:
        return math.inf
    return halves[-1].nll - end.nll


def may_be_short(rows: Iterable[StudentRow]) -> bool:
    """Say whether the curves of one arm's students look as if their training had ended too early.

    Args:
        rows: One for each seed; those that diverged do not count.
    """
    gains = [second_half(row.curve) for row in rows if row.status == "ok"]
    return bool(gains) and math.fsum(gains) / len(gains) > STEEP


def unfinished(
    students: Students, arms: Mapping[str, Arm], tasks: Sequence[StudentTask]
) -> tuple[str, ...]:
    """Return the names of those whose students get much better when they train longer.

    Args:
        students: How they are made; those whose curves look short are trained again, longer.
        arms: What they learn from, by name.
        tasks: Their finished tasks.
    """
    store, labels = students.context.store, students.context.data.selection.labels.numpy()
    rows, places = rows_by_arm(store, tasks), by_arm(tasks)
    suspects = {name: arm for name, arm in arms.items() if may_be_short(rows[arm])}
    if not suspects:
        return ()
    some = tasks[0].training_of(tasks[0].arms[0])
    seeds = sorted({task.seed for task in tasks})[:NUM_SEEDS]
    longer = {name: _longer(arm, places[arm][0][0]) for name, arm in suspects.items()}
    checks = students.train(
        "are students trained enough?",
        students.tasks(longer.values(), some, stage="check", seeds=seeds, keep_state=False),
    )
    found = by_arm(checks)

    def right(where: Sequence[tuple[StudentTask, int]]) -> np.ndarray:
        """Say who is right on the selection split, bool [seeds, N]."""
        each = [
            Shelf(store, task.key).predictions("selection")[n]
            for task, n in where
            if task.seed in seeds
        ]
        return np.stack([classes.numpy() == labels for classes in each])

    gains = {
        name: paired_interval(right(found[longer[name]]), right(places[arm]))
        for name, arm in suspects.items()
    }
    return tuple(n for n, gain in gains.items() if gain.mean > max(MUCH, gain.standard_error))


def _longer(arm: Arm, task: StudentTask) -> Arm:
    training = task.training_of(arm)
    return arm.trained(training.model_copy(update={"epochs": LONGER * training.epochs}))
