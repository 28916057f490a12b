"""Probe students: a short look at what a teacher's response is worth.

With ``patience``, while teachers train: after each recorded epoch but the last a small stack of
students learns from each new response. A trajectory stops

- once its probe students have not done better for ``patience`` recorded epochs: teaching past the
  sweet spot is money lost;
- once, after ``lead_after`` recorded epochs, those of a trajectory of the same learning rate and
  seed that costs less have done as well: a costly teacher must lead. Only the best response counts
  in the end, and most of the cost of training is that of the smallest batches.

*Ours*: both rules, and what a probe is - the search's first rung, one seed of its own, the two
middle temperatures, the largest alpha.

With ``shortlist_by = "probe"``, once a run is recorded: every teacher that competes for the
shortlist has probe students of one epoch, and their accuracy ranks it. Probes decide nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from goodteacher.config import Recipe, StudyConfig, Training
from goodteacher.records import Arm, Checkpoint, TeacherSource
from goodteacher.students import StudentTask, mean_accuracies
from goodteacher.studies import DataKey, Store

PROBE_SEED = 4_000_000
"""The seed of probe students, which no other student has."""

SHORTLIST_EPOCHS = 1
"""Epochs of the probe students that rank teachers for the shortlist."""


def probe_recipes(config: StudyConfig) -> tuple[Recipe, ...]:
    """Return how probe students learn: the middle temperatures at the largest alpha.

    Args:
        config: The study's settings.

    Example:
        >>> from goodteacher.config import parse
        >>> study = parse(StudyConfig, data="digits", teacher="mlp:8", student="mlp:8")
        >>> [str(recipe) for recipe in probe_recipes(study)]
        ['kl T=2 alpha=1', 'kl T=4 alpha=1']
    """
    first = [recipe for recipe in config.recipes if recipe.loss == config.losses[0]]
    alpha = max(recipe.alpha for recipe in first)
    strong = sorted((r for r in first if r.alpha == alpha), key=lambda r: r.temperature)
    middle = {(len(strong) - 1) // 2, len(strong) // 2}
    return tuple(strong[number] for number in sorted(middle))


def probe_task(
    config: StudyConfig,
    data: DataKey,
    sources: Sequence[TeacherSource],
    *,
    number: int,
    training: Training,
    teachers: tuple[tuple[str, str], ...],
) -> StudentTask:
    """Return the probe students of some responses.

    Args:
        config: The study's settings.
        data: The data and their split.
        sources: Whose: the latest checkpoint of each trajectory that is going on, or all teachers.
        number: Which recorded epoch this is, from 0; past the last one for all teachers.
        training: How probe students train.
        teachers: Trajectories, as (run, task key).
    """
    recipes = probe_recipes(config)
    return StudentTask(
        data=data,
        student=config.student,
        optimization=config.student_optimization(training),
        student_epochs=training.epochs,
        seed=PROBE_SEED,
        arms=tuple(Arm(source=each, recipe=recipe) for each in sources for recipe in recipes),
        teachers=teachers,
        stage="probe",
        rung=number,
        keep_state=False,
        memory_gib=config.memory_gib,
        stack_width=config.stack_width,
    )


def probed(store: Store, task: StudentTask) -> Mapping[Checkpoint, float]:
    """Return the selection accuracy of each checkpoint's best probe students."""
    found: dict[Checkpoint, float] = {}
    for arm, accuracy in mean_accuracies(store, [task]).items():
        if isinstance(arm.source, Checkpoint):
            found[arm.source] = max(accuracy, found.get(arm.source, 0.0))
    return found


def has_declined(accuracies: Sequence[float], patience: int) -> bool:
    """Say whether the last ``patience`` values all fall short of the best one before them.

    A value equal to the best so far counts as no decline.

    Args:
        accuracies: Of a trajectory's probe students, in the order recorded.
        patience: At least 1.

    Example:
        >>> has_declined([0.80, 0.85, 0.84], 1), has_declined([0.80, 0.85, 0.84], 2)
        (True, False)
    """
    earlier, last = accuracies[:-patience], accuracies[-patience:]
    return bool(earlier) and max(last) < max(earlier)


def outdone_by(
    accuracies: Sequence[float], cheaper: Mapping[str, Sequence[float]], after: int
) -> str | None:
    """Return the cheaper trajectory whose best probe students are best, if they do as well.

    Args:
        accuracies: Of a trajectory's probe students, in the order recorded.
        cheaper: The same of those that cost less, by run; of equal ones the first counts.
        after: Recorded epochs that a trajectory has before it must lead; 0 never asks.

    Example:
        >>> cheaper = {"batch 512": [0.82, 0.84], "batch 2048": [0.70, 0.86]}
        >>> outdone_by([0.80, 0.85], cheaper, after=2)
        'batch 2048'
        >>> outdone_by([0.80, 0.85], cheaper, after=3)
    """
    if not 0 < after <= len(accuracies):
        return None
    best = {run: max(each) for run, each in cheaper.items() if each}
    rival = max(best, key=best.__getitem__, default=None)
    return rival if rival is not None and best[rival] >= max(accuracies) else None
