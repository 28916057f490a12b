"""Teachers that another study has trained the same way: taken over, not trained again.

A trajectory depends on the teacher's training data and settings, and on nothing about students: a
study of another student, or of another share of the transfer set, has the same teachers. With
``teachers_of`` it takes the other's weights, epoch by epoch, and records its own responses to them.
A run at a constant learning rate that is to be longer than the other's goes on where that ended.
Every number is what training again would have given, the teacher's seconds included.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from pathlib import Path

from goodteacher.config import Run, StudyConfig, TeacherConfig
from goodteacher.errors import ConfigError
from goodteacher.studies import Context, Store, is_done
from goodteacher.teachers.plan import Reused, TrajectoryTask, plan_teachers
from goodteacher.teachers.recording import recorded, resume_file


def reusing(
    config: StudyConfig, context: Context, tasks: Sequence[TrajectoryTask]
) -> tuple[TrajectoryTask, ...]:
    """Return the trajectories, each with the run that ``teachers_of`` has of it, if any.

    Args:
        config: The study's settings.
        context: Its data, folder and machine.
        tasks: Its trajectories.

    Raises:
        ConfigError: The other study has none of these teachers, trained to the end.
        StudyError: ``teachers_of`` is not a study.
    """
    if config.teachers_of is None or all(is_done(task, context.store) for task in tasks):
        return tuple(tasks)
    lender = Store.open(config.teachers_of)
    # Of a lender of other data the keys differ, so it has recorded nothing of these.
    _, offered = plan_teachers(lender.config(StudyConfig), context)
    lent = tuple(
        task.model_copy(update={"reused": next(_same_runs(lender, offered, task), None)})
        for task in tasks
    )
    if not any(task.reused for task in lent):
        raise ConfigError(
            f"teachers_of = {config.teachers_of!r} has none of the teachers wanted here, finished: "
            f"{_what_differs(config, lender.config(StudyConfig))}. Leave teachers_of out to train "
            "them anew."
        )
    return lent


def _same_runs(
    lender: Store, offered: Sequence[TrajectoryTask], wanted: TrajectoryTask
) -> Iterator[Reused]:
    for task in offered:
        records = recorded(lender, task.key)
        reached = {(r.epoch, r.steps) for r in records if r.status == "ok"}
        points = {(point.epoch, point.step) for point in wanted.points}
        if (points <= reached or _goes_on(lender, task, points)) and _same_run(task, wanted):
            yield Reused(folder=str(Path(lender.root).absolute()), key=task.key)


def _goes_on(lender: Store, task: TrajectoryTask, points: Set[tuple[int, int]]) -> bool:
    """Say whether a run is the beginning of a longer one, and has kept what that goes on from."""
    records = recorded(lender, task.key)
    if not records or records[-1].status != "ok" or records[-1].stopped:
        return False
    last = records[-1]
    beginning = {point for point in points if point[0] <= last.epoch}
    has_all = beginning == {(record.epoch, record.steps) for record in records}
    return has_all and lender.exists(resume_file(task.key, last.epoch))


def _same_run(lent: TrajectoryTask, wanted: TrajectoryTask) -> bool:
    """Say whether one task trains the networks that the other wants, whatever they record."""
    decays = lent.optimization.schedule != "constant"
    if decays and lent.total_steps != wanted.total_steps:
        return False
    averaged = wanted.ema_epochs in (None, lent.ema_epochs)
    return averaged and _training(lent) == _training(wanted)


def _training(task: TrajectoryTask) -> TrajectoryTask:
    """Return the task without what only its records depend on."""
    data = task.data.model_copy(update={"transfer_fraction": 1.0, "views": 1})
    # What a study calls a run depends on its other runs, not on what is trained.
    record = {"points": (), "temperatures": (), "ema_epochs": None, "reused": None}
    return task.model_copy(update={"data": data, "run": Run(name=""), **record})


def _what_differs(ours: StudyConfig, theirs: StudyConfig) -> str:
    names = [
        *("selection_fraction", "split_seed", "normalization", "tfidf_features"),
        *(name for name in TeacherConfig.model_fields if name not in _OF_THE_RECORD),
    ]
    if "ema" in ours.variants:
        names.append("ema_epochs" if "ema" in theirs.variants else "variants")
    for name in ("batch_sizes", "learning_rates", "teacher_seeds"):
        if set(getattr(ours, name)) <= set(getattr(theirs, name)):
            names.remove(name)  # fewer are wanted, which is no reason
    pairs = {name: (getattr(theirs, name), getattr(ours, name)) for name in names}
    lines = [
        f"{name} is {_shown(a)} there, {_shown(b)} here" for name, (a, b) in pairs.items() if a != b
    ]
    return "; ".join(lines) or (
        "it has other data, has not finished, or probe students stopped "
        f"its teachers early (patience is {theirs.patience} there; 0 teaches to the end)"
    )


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) and value else repr(value)


_OF_THE_RECORD = frozenset(
    {"teachers_of", "views", "variants", "ema_epochs", "cooldown_epochs"} | {"trajectories"}
)
"""Settings of teachers that do not change how they train."""
