"""``plan``: what a search will take, before it begins, or what remains of one that has begun."""

from __future__ import annotations

import dataclasses
import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any

from torch import nn

from goodteacher.config import StudyConfig
from goodteacher.engines import Simulated, SimulatedEngine, longest_chain, threads_for
from goodteacher.errors import ConfigError, StudyError
from goodteacher.networks import NetworkLike, check_code, is_estimator
from goodteacher.records import Amount, Amounts, DataSummary, Link, OnWorkers, SearchPlan
from goodteacher.studies import (
    CONFIG_FILE,
    SWEET_SPOT_FILE,
    Context,
    DataLike,
    Place,
    Progress,
    Silent,
    Store,
    Task,
    checked_settings,
    described_machine,
    environments,
    holds_several,
    is_done,
    name_of_data,
    place_of,
    prepare_context,
)
from goodteacher.sweet_spot.rehearsing import (
    AT_LEAST,
    AT_MOST,
    LIKELY,
    Clock,
    Costs,
    Pretending,
    Rehearsal,
    measure_costs,
    no_time,
    noted_times,
    size_of,
)
from goodteacher.sweet_spot.run import rehearse_search
from goodteacher.sweet_spot.search import Search
from goodteacher.teachers import check_recorded_runs
from goodteacher.training import borrowed, steps_per_epoch, threads_of

ASSUMPTIONS = {"at_least": AT_LEAST, "likely": LIKELY, "at_most": AT_MOST}
"""What is assumed of results, by what the amounts are then called."""

_ENOUGH = 1.02
"""A number of workers is enough if no other is faster by more than this factor."""


def plan(
    data: DataLike,
    *,
    teacher: NetworkLike | None = None,
    student: NetworkLike | None = None,
    workers_up_to: int = 16,
    price_per_hour: float | None = None,
    trust_code: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> SearchPlan:
    """Say what a search will take: tasks, epochs, bytes, time on workers, money.

    The search's own rules go through all of it in a folder that goes again, and no network is
    trained but for short copies of tasks, which are timed. What depends on results - how long
    students gain by training, when teachers stop - is assumed: at least, likely, at most.

    Args:
        data: As for :func:`~goodteacher.search`; or the folder of a study, of which is said what
            remains, or how it would have run on other numbers of workers if it is finished.
        teacher: As for :func:`~goodteacher.search`; a classifier has to be recorded before.
        student: The same; one.
        workers_up_to: Numbers of workers are 1, 2, 4 and so on up to this one.
        price_per_hour: Of one worker.
        trust_code: Of a study's folder, import the factories ``python:module:factory`` that it
            names. They are code of whoever wrote it.
        progress: Told how far the plan is.
        **settings: Any setting of a search.

    Returns:
        The plan.

    Raises:
        InputError: Something given cannot work.

    Example:
        >>> found = plan("digits", teacher="mlp:16", student="mlp:4", epochs=2, student_epochs=2)
        >>> found.amounts.likely.teacher_epochs
        6.0
    """
    _check(workers_up_to, price_per_hour, teacher, student)
    watcher = progress or Silent()
    folder = study_folder(data)
    if folder is not None:
        known = Store.open(folder)
        config, data = _settings_of(folder, settings, teacher, student)
        check_code([config.teacher, config.student], where=folder, trust_code=trust_code)
    else:
        given = {"teacher": teacher, "student": student}
        networks = {name: network for name, network in given.items() if network is not None}
        config = checked_settings(
            StudyConfig, networks=networks, data=name_of_data(data), **settings
        )
        known = None
    with borrowed(config), _begun(config, data, known) as begun:
        return _Planner(begun, watcher).plan(workers_up_to, price_per_hour)


def _check(workers: int, price: float | None, teacher: Any, student: Any) -> None:
    """Refuse what no plan can be made of.

    Raises:
        ConfigError: It cannot.
    """
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ConfigError(
            f"workers_up_to must be a whole number of at least 1, but got {workers!r}."
        )
    if price is not None and not (math.isfinite(price) and price >= 0):
        raise ConfigError(f"price_per_hour must be a number of at least 0, but got {price!r}.")
    if is_estimator(teacher):
        raise ConfigError(
            "A plan cannot estimate how long a classifier takes to train. Search with it "
            "directly, or record its runs and give them with trajectories."
        )
    if isinstance(student, Sequence) and not isinstance(student, str | nn.Module):
        raise ConfigError(
            "A plan is for one student. Make a plan for each student; a search for several "
            "students trains the teachers only once."
        )


def study_folder(data: DataLike) -> Place | None:
    """Return the folder of a study, or of several, if that stands in the place of data."""
    if not isinstance(data, str | Path):
        return None
    folder = place_of(data)
    return folder if Store(folder).exists(CONFIG_FILE) or holds_several(folder) else None


def _settings_of(
    folder: Place, settings: dict[str, Any], teacher: Any, student: Any
) -> tuple[StudyConfig, DataLike]:
    """Return the settings of a study, and its data.

    Raises:
        ConfigError: Settings are given that the study has already.
    """
    named = sorted(
        {*settings, *(["teacher"] if teacher else []), *(["student"] if student else [])}
    )
    if named:
        raise ConfigError(
            f"{folder} is a study, which already has settings: leave out {', '.join(named)}. For "
            "other settings, give the data instead of the study."
        )
    store = Store.open(folder)
    config = store.config(StudyConfig)
    if store.read_json("data.json", DataSummary).given_in_python:
        raise ConfigError(
            f"The data of {folder} were given in Python, as {config.data!r}. Give the data and "
            "the settings of the study instead of the folder."
        )
    return config, config.data


@dataclass(frozen=True)
class _Begun:
    """A study that is set up in a folder that goes again.

    Attributes:
        config: Its settings.
        context: Its context, in that folder.
        folder: Where further folders go.
        known: The study that there is; None if it has not begun.
    """

    config: StudyConfig
    context: Context
    folder: Path
    known: Store | None

    @property
    def examples(self) -> int:
        """Those that teachers train on."""
        return len(self.context.data.training)

    @property
    def is_finished(self) -> bool:
        """Whether there is an answer."""
        return self.known is not None and self.known.exists(SWEET_SPOT_FILE)

    def rehearsed(
        self,
        name: str,
        assumption: str,
        clock: Clock,
        known: Store | None,
        workers: int | None = None,
    ) -> SimulatedEngine:
        """Let the search's rules go through all of it, in a folder of its own."""
        root = self.folder / name
        root.mkdir()
        context = dataclasses.replace(self.context, store=Store(root), progress=Silent())
        pretending = Pretending(self.config, context, ASSUMPTIONS[assumption], known)
        engine = SimulatedEngine(context, Rehearsal(pretending, clock), workers=workers)
        rehearse_search(Search(self.config, context, engine))
        return engine


@contextmanager
def _begun(config: StudyConfig, data: DataLike, known: Store | None) -> Iterator[_Begun]:
    """Set a study up in a folder that goes when the block ends."""
    with tempfile.TemporaryDirectory(prefix="goodteacher-plan-") as name:
        folder = Path(name)
        check = partial(check_recorded_runs, config, folder=known.root if known else folder)
        context = prepare_context(
            config, folder / "study", data=data, progress=Silent(), check=check
        )
        if known and known.read_json("data.json", DataSummary).fingerprint != (
            context.data.fingerprint
        ):
            raise StudyError(
                f"{known.root} contains a study of other data than {config.data} contains now. "
                "Were the files changed?"
            )
        yield _Begun(context.store.config(StudyConfig), context, folder, known)


@dataclass
class _Counting:
    """A clock that also counts what there is to do.

    Attributes:
        clock: Says what tasks take.
        costs: Say what they write; None where nobody asks.
        done: A study that has done some of them, which then take no time and do not count.
        tasks: What was counted.
        passes: Those of teachers over their examples.
        student_epochs: Each student's counted.
        num_bytes: What is written.
    """

    clock: Clock
    examples: int
    costs: Costs | None = None
    done: Store | None = None
    tasks: list[Task] = field(default_factory=list)
    passes: float = 0.0
    student_epochs: float = 0.0
    num_bytes: float = 0.0

    def __call__(self, stage: str, task: Task, store: Store) -> float:
        """Return what a task takes."""
        if self.done is not None and is_done(task, self.done):
            return 0.0
        size = size_of(task, store)
        self.tasks.append(task)
        self.student_epochs += size.student_epochs
        if size.teacher_steps:
            run: Any = getattr(task, "trunk", task)
            self.passes += size.teacher_steps / steps_per_epoch(self.examples, run.batch_size)
        if self.costs is not None:
            self.num_bytes += self.costs.num_bytes(task, store)
        return self.clock(stage, task, store)


@dataclass(frozen=True)
class _Timed:
    """How long tasks take.

    Attributes:
        clock: Says so.
        threads: CPU threads that they compute with.
        folders: Where what all tasks leave is found, by assumption.
        costs: What they write; None if that is on the disk already.
        done: A study of which only what remains is planned.
    """

    clock: Clock
    threads: int
    folders: Mapping[str, Store]
    costs: Costs | None = None
    done: Store | None = None


@dataclass(frozen=True)
class _Planner:
    """Plans one study.

    Attributes:
        begun: The study.
        progress: Told how far the plan is.
    """

    begun: _Begun
    progress: Progress

    def plan(self, workers_up_to: int, price: float | None) -> SearchPlan:
        """Return the plan."""
        began, counts = time.perf_counter(), worker_counts(workers_up_to)
        self.progress.begin("plan", 2.0 + len(ASSUMPTIONS) + len(counts))
        timed = self._noted() if self.begun.is_finished else self._measured()
        amounts, engines = {}, {}
        for name in ASSUMPTIONS:
            amounts[name], engines[name] = self._amount(name, timed)
            self.progress.advance(1.0)
        likely, config = engines["likely"].simulated, self.begun.config
        on_workers = self._on_each(counts, most_at_once(likely), timed, price)
        return SearchPlan(
            data=config.data,
            teacher=config.teacher,
            student=config.student,
            machine=described_machine(str(self.begun.context.machine)),
            threads=timed.threads,
            times="noted" if self.begun.is_finished else "measured",
            done=sum(not each.seconds and timed.done is not None for each in likely),
            amounts=Amounts.model_validate(amounts),
            on_workers=tuple(on_workers),
            chain=links(longest_chain(likely)),
            enough_workers=enough(on_workers),
            at_once=most_at_once(likely),
            price_per_hour=price,
            planning_seconds=time.perf_counter() - began,
        )

    def _noted(self) -> _Timed:
        """Return the times that a finished study has noted."""
        known = self.begun.known
        assert known is not None
        threads = environments(known)[-1].threads
        self.progress.advance(2.0)
        return _Timed(noted_times(known), threads, dict.fromkeys(ASSUMPTIONS, known))

    def _measured(self) -> _Timed:
        """Rehearse the search under each assumption, and time short copies of what is to do."""
        begun, tasks, folders = self.begun, list[Task](), dict[str, Store]()
        threads = threads_for(begun.config, begun.context)
        for name in ASSUMPTIONS:
            counting = _Counting(no_time, begun.examples, done=begun.known)
            engine = begun.rehearsed(f"first {name}", name, counting, begun.known)
            tasks += counting.tasks
            folders[name] = engine.context.store
        self.progress.advance(1.0)
        with threads_of(threads):
            costs = measure_costs(tasks, begun.context, begun.folder / "copies")
        self.progress.advance(1.0)
        return _Timed(costs.seconds, threads, folders, costs, begun.known)

    def _amount(self, name: str, timed: _Timed) -> tuple[Amount, SimulatedEngine]:
        """Return how much there is to do, and the search with a worker for each task."""
        counting = _Counting(timed.clock, self.begun.examples, timed.costs, timed.done)
        engine = self.begun.rehearsed(f"all {name}", name, counting, timed.folders[name])
        known = self.begun.known
        on_disk = bytes_of(known) if timed.costs is None and known is not None else 0.0
        amount = Amount(
            tasks=len(counting.tasks),
            teacher_epochs=counting.passes,
            student_epochs=counting.student_epochs,
            bytes=counting.num_bytes or on_disk,
            seconds=sum(each.seconds for each in engine.simulated),
            least_seconds=engine.seconds,
        )
        return amount, engine

    def _on_each(
        self, counts: Sequence[int], at_once: int, timed: _Timed, price: float | None
    ) -> list[OnWorkers]:
        """Return what the likely search takes on some numbers of workers."""
        found: list[OnWorkers] = []
        busy, seconds = 0.0, 0.0
        for number, workers in enumerate(counts):
            # Where each task has a worker, more of them only wait.
            if number == 0 or counts[number - 1] < max(2, at_once):
                counting = _Counting(timed.clock, self.begun.examples, done=timed.done)
                engine = self.begun.rehearsed(
                    f"on {workers}", "likely", counting, timed.folders["likely"], workers
                )
                busy, seconds = sum(each.seconds for each in engine.simulated), engine.seconds
            row = OnWorkers(
                workers=workers,
                seconds=seconds,
                utilisation=busy / (workers * seconds) if seconds else 0.0,
                money=None if price is None else cost(workers, seconds, price),
            )
            found.append(row)
            self.progress.advance(1.0)
        return found


def cost(workers: int, seconds: float, price_per_hour: float) -> float:
    """Return what workers cost that are all held until the last one has ended.

    Example:
        >>> cost(4, 1800.0, 2.5)
        5.0
    """
    return workers * seconds / 3600 * price_per_hour


def worker_counts(most: int) -> tuple[int, ...]:
    """Return 1, 2, 4 and so on, and the most.

    Example:
        >>> worker_counts(12)
        (1, 2, 4, 8, 12)
    """
    powers = [2**k for k in range(most.bit_length()) if 2**k <= most]
    return tuple(sorted({*powers, most}))


def enough(tried: Sequence[OnWorkers]) -> int:
    """Return the fewest workers with which a search takes hardly longer than with any others."""
    best = min(each.seconds for each in tried)
    return next(each.workers for each in tried if each.seconds <= _ENOUGH * best)


def links(chain: Sequence[Simulated]) -> tuple[Link, ...]:
    """Return the longest chain stage by stage; tasks that take no time are left out."""
    found = []
    for stage, group in groupby((each for each in chain if each.seconds), lambda each: each.stage):
        own = list(group)
        longest = max(own, key=lambda each: each.seconds)
        link = Link(
            stage=stage,
            tasks=len(own),
            seconds=sum(each.seconds for each in own),
            longest=longest.task.key,
            longest_seconds=longest.seconds,
        )
        found.append(link)
    return tuple(found)


def most_at_once(simulated: Sequence[Simulated]) -> int:
    """Return how many tasks are at work at the same time, at most."""
    timed = [each for each in simulated if each.seconds]
    changes = sorted([(each.ended, -1) for each in timed] + [(each.begun, 1) for each in timed])
    return max(accumulate(change for _, change in changes), default=0)


def bytes_of(store: Store) -> float:
    """Return what the teachers and students of a study take on the disk."""
    return float(sum(map(store.num_bytes, ("teachers", "students"))))


def lengths_of(folder: str | Path) -> float:
    """Return the seconds that the tasks of a finished study take by short copies run now.

    Beside the seconds that the study has noted, it says how good a plan's times are.

    Args:
        folder: The study.
    """
    known = Store.open(folder)
    config, data = _settings_of(known.root, {}, None, None)
    with borrowed(config), _begun(config, data, known) as begun:
        engine = begun.rehearsed("tasks", "likely", no_time, known)
        tasks = [each.task for each in engine.simulated]
        with threads_of(environments(known)[-1].threads):
            costs = measure_costs(tasks, begun.context, begun.folder / "copies")
        timed = begun.rehearsed("timed", "likely", costs.seconds, known)
        return sum(each.seconds for each in timed.simulated)
