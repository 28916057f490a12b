"""Teachers that another study has trained the same way: taken over, not trained again.

A trajectory depends on the teacher's training data and settings, and on nothing about students: a
study of another student, or of another share of the transfer set, has the same teachers. With
``teachers_of``, or where several students are searched, it takes the other's weights, epoch by
epoch, and records its own responses to them; where these are the same, too, it takes them as well.
A run that is to be longer than the other's goes on where that ended: at a constant learning rate,
or where probe students stopped it. Every number is what training again would have given, the
teacher's seconds included.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import takewhile

from goodteacher.config import Run, StudyConfig, TeacherConfig
from goodteacher.errors import ConfigError
from goodteacher.studies import Context, Place, Store, is_done, place_of
from goodteacher.teachers.plan import (
    AverageTask,
    CooldownTask,
    Reused,
    TrajectoryTask,
    plan_teachers,
)
from goodteacher.teachers.recording import recorded, resume_file, take_recorded, write_recorded


def reusing(
    config: StudyConfig,
    context: Context,
    tasks: Sequence[TrajectoryTask],
    siblings: Sequence[Place] = (),
) -> tuple[TrajectoryTask, ...]:
    """Return the trajectories, each with the study that has most of its run, if any has some.

    Args:
        config: The study's settings; ``teachers_of`` names a study.
        context: Its data, folder and machine.
        tasks: Its trajectories.
        siblings: Studies of the other students that are searched with the same settings.

    Raises:
        ConfigError: ``teachers_of`` has none of these teachers, trained to the end.
        StudyError: ``teachers_of`` is not a study.
    """
    named = () if config.teachers_of is None else (place_of(config.teachers_of),)
    folders = [*named, *siblings]
    if not folders or all(is_done(task, context.store) for task in tasks):
        return tuple(tasks)
    offers = [_Offers.of(Store.open(folder), context) for folder in folders]
    found = [[each.best(task, config) for each in offers] for task in tasks]
    if named and not any(of_task[0] for of_task in found):
        theirs = offers[0].lender.config(StudyConfig)
        raise ConfigError(
            f"teachers_of = {config.teachers_of!r} has no finished teacher that can be used here: "
            f"{_what_differs(config, theirs)}. Leave teachers_of out to train them here."
        )
    best = [_best(offer for offer in of_task if offer) for of_task in found]
    return tuple(
        task.model_copy(update={"reused": offer and offer.reused})
        for task, offer in zip(tasks, best, strict=True)
    )


def take_branches(
    store: Store, siblings: Sequence[Place], tasks: Sequence[AverageTask | CooldownTask]
) -> None:
    """Take over the moving averages and cooldowns that a study of the same settings has made.

    Args:
        store: The study's.
        siblings: Studies of the other students that are searched with the same settings.
        tasks: The study's own branches.
    """
    lenders = [Store.open(folder) for folder in siblings]
    for task in tasks:
        lender = next((each for each in lenders if recorded(each, task.key)), None)
        if lender is None or is_done(task, store):
            continue
        trunk = task.trunk
        (record,) = recorded(lender, task.key)
        take_recorded(store, lender, task.key, record, views=trunk.data.views)
        own = {"run": trunk.run.name, "attributes": trunk.run.attributes}
        write_recorded(store, task.key, [record.model_copy(update=own)])


@dataclass(frozen=True)
class _Offer:
    """How far a study has recorded a run: compared by what it spares."""

    reused: Reused
    reach: int
    """Epochs wanted here that it has, from the first on."""
    as_it_is: bool
    """Whether the responses are the same, too."""
    goes_on: bool
    """Whether it has kept what the run goes on from."""

    @property
    def worth(self) -> tuple[int, bool, bool]:
        return self.reach, self.as_it_is, self.goes_on


@dataclass(frozen=True)
class _Offers:
    """The runs that a study has."""

    lender: Store
    tasks: tuple[TrajectoryTask, ...]

    @classmethod
    def of(cls, lender: Store, context: Context) -> _Offers:
        # Of a lender of other data the keys differ, so it has recorded nothing of these.
        return cls(lender, plan_teachers(lender.config(StudyConfig), context)[1])

    def best(self, wanted: TrajectoryTask, config: StudyConfig) -> _Offer | None:
        """Return the offer of a run that is worth most, if there is one."""
        return _best(self._all(wanted, partial=config.stops_teachers))

    def _all(self, wanted: TrajectoryTask, *, partial: bool) -> Iterator[_Offer]:
        points = [(point.epoch, point.step) for point in wanted.points]
        for task in self.tasks:
            records = recorded(self.lender, task.key)
            if not records or not _same_run(task, wanted):
                continue
            reached = {(r.epoch, r.steps) for r in records if r.status == "ok"}
            reach = len(list(takewhile(reached.__contains__, points)))
            same = task.key == wanted.key
            if same and records[-1].status == "diverged":
                reach = len(points)  # nothing comes after it
            goes_on = self._goes_on(task, set(points))
            # A run that starts over is of use only to whom an early part of it may suffice.
            if reach == len(points) or goes_on or (partial and reach):
                reused = Reused(folder=str(self.lender.root.absolute()), key=task.key)
                yield _Offer(reused, reach, same, goes_on)

    def _goes_on(self, task: TrajectoryTask, points: Set[tuple[int, int]]) -> bool:
        """Say whether a run is the beginning of a longer one, and has kept what that needs."""
        records = recorded(self.lender, task.key)
        last = records[-1]
        beginning = {point for point in points if point[0] <= last.epoch}
        has_all = beginning == {(record.epoch, record.steps) for record in records}
        kept = self.lender.exists(resume_file(task.key, last.epoch))
        return last.status == "ok" and has_all and kept


def _best(offers: Iterable[_Offer]) -> _Offer | None:
    return max(offers, key=lambda offer: offer.worth, default=None)


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
        "it has other data, is not finished, or probe students stopped its teachers early (its "
        f"patience is {theirs.patience}; with 0, every teacher is trained to the end)"
    )


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) and value else repr(value)


_OF_THE_RECORD = frozenset(
    {"teachers_of", "views", "variants", "ema_epochs", "cooldown_epochs"} | {"trajectories"}
)
"""Settings of teachers that do not change how they train."""
