"""The engine of Ray: tasks beside one another on the machines of a cluster.

Ray places tasks: each says what it needs, and Ray starts it where that is free. What a task
computes is a function of its description and of the study's data, so the numbers are those of one
process. A task whose process or node is lost runs again; its output is one whole file, so whatever
was finished is not done twice.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import sys
import threading
import time
import uuid
import weakref
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cloudpickle
import ray
from ray.exceptions import (
    LocalRayletDiedError,
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayError,
    RayTaskError,
    TaskCancelledError,
    WorkerCrashedError,
)
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from goodteacher.engines.pooled import PooledEngine, Report
from goodteacher.engines.ray_cluster import Resources, check_nodes, join, leave, nodes
from goodteacher.engines.ray_helpers import Places, RayRecruiter, options_for
from goodteacher.engines.ray_working import (
    Errand,
    Returned,
    SharedStudy,
    Told,
    await_store,
    carry_out,
    teller_class,
)
from goodteacher.engines.working import Outcome
from goodteacher.errors import RunError, StudyError
from goodteacher.studies import (
    Context,
    LostHelperError,
    Silent,
    Store,
    Task,
    environment_number,
    environments,
    is_done,
    pack,
    processes_of,
    sending,
)
from goodteacher.training import Share

_PAUSE = 0.2
"""Seconds between two looks at how far tasks are."""

RETRIES = 3
"""How often a task runs again whose process or node was lost with it."""

PATIENCE = 120.0
"""Seconds for which the study's folder may be out of reach."""

_SEEN_WITHIN = 30.0
"""Seconds in which a file that one machine has written must be seen by another."""

_FRESH = 2.0
"""Seconds for which what is known of the nodes is believed."""

_SHARED = ".shared"
"""Folder of a study with arrays that processes of a cluster map."""

_LOST = (
    WorkerCrashedError,
    NodeDiedError,
    LocalRayletDiedError,
    OutOfMemoryError,
    ObjectLostError,
)


@dataclass(frozen=True)
class Where:
    """What is asked of a cluster.

    Attributes:
        address: Of a running one; None starts one on this machine.
        workers: Tasks at the same time, at most; None is as many as there is room for.
        wanted: What each task needs; where a task wants several processes, each of them.
        together: Processes that train one teacher together.
    """

    address: str | None
    workers: int | None
    wanted: Resources
    together: int = 1

    def join(self) -> None:
        """Connect with the cluster; see :func:`~goodteacher.engines.ray_cluster.join`."""
        join(self.address, cpus=max(self.workers or 1, self.together) * self.wanted.cpus)
        if self.address is not None:
            check_nodes(self.wanted, self.together)

    def rooms(self) -> tuple[int, int]:
        """Return how many tasks can be at work now, in all and on one node."""
        rooms = [self.wanted.fit_on(resources) for resources in nodes().values()]
        most = self.workers or max(1, sum(rooms))
        return most, max(1, min(most, max(rooms, default=1)))


@dataclass
class _Run:
    """A task that is under way.

    Attributes:
        stage: What a watcher calls its stage.
        task: The task.
        future: Where its outcome goes.
        attempt: 0 at first; one more whenever a process or a node was lost with it.
        short_of_memory: Whether one of those ran out of memory.
        reference: Ray's, of the present attempt.
        places: What the processes of an attempt have reserved, if there are several.
        told: All that it has said.
        stopped: Whether nobody waits for it any more.
    """

    stage: str
    task: Task
    future: Future[Outcome]
    told: Told
    attempt: int = 0
    short_of_memory: bool = False
    reference: Any = None
    places: Places | None = None
    stopped: bool = False


class RayEngine(PooledEngine):
    """Run tasks on the machines of a Ray cluster.

    Without an address, a task that is alone runs in this process.

    Args:
        context: The study's data, folder, machine and watcher.
        where: What is asked of the cluster. It is joined, or started, when a task needs it.
        patience: Seconds for which the study's folder may be out of reach.
    """

    def __init__(self, context: Context, where: Where, *, patience: float = PATIENCE) -> None:
        super().__init__(context, RayPool(context, where, patience=patience))


class RayPool:
    """Does tasks on a cluster; see :class:`~goodteacher.engines.pooled.Pool`.

    Args:
        context: Of the study.
        where: What is asked of the cluster.
        patience: Seconds for which the study's folder may be out of reach.
    """

    def __init__(self, context: Context, where: Where, *, patience: float) -> None:
        self.context, self.where, self.patience = context, where, patience
        self.threads, self.stays_here = where.wanted.cpus, where.address is None
        self._rooms: tuple[float, int, int] = (float("-inf"), 1, 1)
        self._runs: dict[str, _Run] = {}
        self._at = ""
        self._asked: Any = None
        self._hearing = threading.Lock()
        self._news: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[tuple[_Run, Any] | None] = queue.SimpleQueue()

    def ready_for(self, tasks: int) -> int:
        """Join the cluster; return how many tasks it has room for: more, once a node is added.

        Raises:
            InputError: There is no such cluster, or one of its nodes cannot work for this study.
        """
        if not self._joined:  # or no longer: it may have ended, or another was started since
            self._join()
        if time.monotonic() - self._rooms[0] > _FRESH:
            self._rooms = (time.monotonic(), *self.where.rooms())
        return self._rooms[1]

    def _join(self) -> None:
        self.where.join()
        self._home = ray.get_runtime_context().get_node_id()
        self._study = shared(self.context)
        weakref.finalize(self, _forget, self._study)
        here = NodeAffinitySchedulingStrategy(node_id=self._home, soft=True)
        actor = ray.remote(num_cpus=0, max_restarts=-1)(teller_class())
        self._teller = actor.options(scheduling_strategy=here).remote()
        self._send = ray.remote(max_retries=0)(carry_out)
        threading.Thread(target=_attend, args=(weakref.ref(self), self._ended), daemon=True).start()
        weakref.finalize(self, self._ended.put, None)
        self._asked, self._at = None, ray.get_runtime_context().gcs_address

    @property
    def _joined(self) -> bool:
        return bool(ray.is_initialized() and ray.get_runtime_context().gcs_address == self._at)

    def submit(self, stage: str, task: Task) -> Future[Outcome]:
        """Begin a task; its outcome comes in time, whatever is lost on the way."""
        future: Future[Outcome] = Future()
        future.set_running_or_notify_cancel()
        run = self._runs[task.key] = _Run(stage, task, future, Told(task.key, 0))
        self._log("task_started", stage=stage, task=task.key)
        self._begin(run)
        return future

    def _log(self, event: str, **details: Any) -> None:
        """Log an event, in time if the study's folder is out of reach now."""
        try:
            self.context.store.log(event, **details)
        except (StudyError, OSError):
            await_store(self.context.store, self.patience)
            self.context.store.log(event, **details)

    def _begin(self, run: _Run) -> None:
        wanted = self.where.wanted
        if run.short_of_memory:
            wanted = replace(wanted, cpus=whole_node(wanted))
        share = Share.of_host(processes=self._rooms[2], threads=self.where.wanted.cpus)
        size = processes_of(run.task, self.context.machine)
        run.places = Places.reserved(wanted, size, name=run.task.key) if size > 1 else None
        errand = Errand(
            key=run.task.key,
            task=cloudpickle.dumps(run.task),
            attempt=run.attempt,
            study=self._study,
            share=share,
            home=self._home,
            teller=self._teller,
            patience=self.patience,
            recruiter=RayRecruiter(self._study, share, run.places) if run.places else None,
        )
        options = run.places.options(0) if run.places else options_for(wanted)
        ended = self._ended
        run.reference = self._send.options(**options, name=run.task.key).remote(errand)
        run.reference.future().add_done_callback(lambda future: ended.put((run, future)))

    def outcome(self, future: Future[Outcome], stage: str, task: Task) -> Outcome:
        """Return how a task has ended.

        Raises:
            RunError: Its process died too often, or a node cannot do it.
        """
        return future.result()

    def attend(self, run: _Run, ended: Any) -> None:
        """Take in how an attempt ended: pass its outcome on, or begin another."""
        if run.places is not None:
            run.places.leave()
        try:
            outcome = self._outcome(run, ended)
        except BaseException as error:
            run.future.set_exception(error)
        else:
            if outcome is not None:
                run.future.set_result(outcome)

    def _outcome(self, run: _Run, ended: Any) -> Outcome | None:
        """Return the outcome of an attempt; None where another was begun."""
        try:
            returned: Returned = ended.result()
        except _LOST as error:
            if run.stopped:
                raise CancelledError from None
            return self._again(run, error)
        except (TaskCancelledError, CancelledError):
            raise CancelledError from None
        except (RayTaskError, RayError) as error:
            raise RunError(
                f"{run.stage} ended because a node of the Ray cluster could not do the task "
                f"{run.task.key}: {_first_line(error)}. Does every node have the same environment "
                "as this process? What was finished before is kept: the same command continues "
                "from there."
            ) from error
        self._hear(run, returned.told)
        if returned.interrupted:
            raise KeyboardInterrupt
        outcome = returned.outcome
        if isinstance(outcome.error, LostHelperError):
            return self._again(run, outcome.error)
        if outcome.error is None and outcome.failure is None:
            self._finish(run, returned)
        return outcome

    def _finish(self, run: _Run, returned: Returned) -> None:
        """Log that a task is done, once its output is seen from here."""
        store = self.context.store
        await_store(store, self.patience)
        deadline = time.monotonic() + _SEEN_WITHIN
        while not is_done(run.task, store):
            if time.monotonic() > deadline:
                raise RunError(
                    f"The node {returned.node} has finished the task {run.task.key}, but its "
                    f"output is not in {store.root} on this machine. Does every node mount the "
                    "same disk there?"
                )
            time.sleep(_PAUSE)
        if returned.environment is not None:
            self._log(
                "task_done",
                stage=run.stage,
                task=run.task.key,
                seconds=round(returned.seconds, 3),
                environment=self._number(returned),
                node=returned.node,
            )

    def _number(self, returned: Returned) -> int:
        """Return which of the study's environments a task ran in: this one, or one of its own."""
        here, found = self.context.environment, returned.environment
        known = environments(self.context.store)
        if found is None or len(known) <= here:
            return here
        # The threads of a task are those that were asked for, wherever it runs.
        found = found.model_copy(update={"threads": known[here].threads})
        return environment_number(self.context.store, found)

    def _again(self, run: _Run, error: Exception) -> Outcome | None:
        """Begin a task again with which a process or a node was lost."""
        store, key = self.context.store, run.task.key
        await_store(store, self.patience)
        if is_done(run.task, store):
            return Outcome()
        short = isinstance(error, OutOfMemoryError)
        why = (
            "because memory ran out"
            if short
            else "perhaps because memory ran out or its node was lost"
        )
        if run.attempt >= RETRIES:
            raise RunError(
                f"{run.stage} ended because the process of the task {key} died {RETRIES + 1} "
                f"times, {why}. What was finished before is kept: the same command continues from "
                "there. If there was not enough memory, give fewer --workers, or --memory-gib."
            ) from error
        run.attempt += 1
        run.short_of_memory |= short
        self._log("task_lost", stage=run.stage, task=key, error=type(error).__name__)
        text = (
            f"The process of the task {key} died, {why}. It runs again, attempt {run.attempt + 1} "
            f"of {RETRIES + 1}."
        )
        self._news.put(Report(key, said=(text, logging.INFO)))
        self._begin(run)
        return None

    def reports(self) -> Iterator[Report]:
        """Return what tasks have said since this was asked last."""
        for plain in self._answer():
            told = Told(*plain)
            if (run := self._runs.get(told.key)) is not None and not run.future.done():
                self._hear(run, told)
        while not self._news.empty():
            yield self._news.get()

    def _answer(self) -> list[Any]:
        """Return what the last question found, if there is an answer yet, and ask the next one."""
        found: list[Any] = []
        if not self._joined:
            return found
        if self._asked is not None:
            if not ray.wait([self._asked], timeout=0)[0]:
                return found
            with contextlib.suppress(RayError):  # all of it comes again with the outcome
                found = ray.get(self._asked)
        self._asked = self._teller.news.remote()
        return found

    def _hear(self, run: _Run, told: Told) -> None:
        """Report what is new; units of an attempt that was lost are not counted twice."""
        with self._hearing:
            before = run.told
            if told.attempt < before.attempt:
                return
            heard = 0 if told.attempt > before.attempt else len(before.said)
            units = max(told.units, before.units)
            said = told.said if len(told.said) >= heard else before.said
            run.told = replace(told, units=units, said=said)
            for text in told.said[heard:]:
                self._news.put(Report(told.key, said=text))
            if units > before.units:
                self._news.put(Report(told.key, units=units - before.units))

    def stop(self, futures: Iterable[Future[Outcome]]) -> None:
        """End tasks, and the cluster if this process has started it."""
        asked = set(futures)
        going = [run for run in self._runs.values() if run.future in asked]
        for run in going:
            run.stopped = True
        if not going or leave():
            return
        for run in going:
            if not run.future.done():
                with contextlib.suppress(Exception):  # whatever is lost is ended
                    ray.cancel(run.reference, force=True)
            if run.places is not None:
                run.places.leave()


def _attend(pool: weakref.ref[RayPool], ended: queue.SimpleQueue[Any]) -> None:
    """Attend to what ends, in a thread: Ray calls back from one in which it must not be asked."""
    while (item := ended.get()) is not None:
        attending = pool()
        if attending is None:
            return
        attending.attend(*item)
        del attending, item


def whole_node(wanted: Resources) -> int:
    """Return the CPUs of the smallest node on which a task can run."""
    cpus = [int(each.get("CPU", 0)) for each in nodes().values() if wanted.fit_on(each)]
    return max(wanted.cpus, min(cpus, default=wanted.cpus))


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return (lines[-1] if isinstance(error, RayTaskError) and lines else "".join(lines[:1])).rstrip(
        ". "
    ) or type(error).__name__


def shared(context: Context) -> SharedStudy:
    """Put a study where every node finds it.

    Raises:
        ConfigError: A network or function that was given in Python cannot be pickled.
        StudyError: The folder cannot be written.
    """
    store, token = Store(context.store.root.absolute()), uuid.uuid4().hex[:12]
    # Who works in a study holds its lock: others of these were left by a process that was killed.
    for left in store.matching(f"{_SHARED}/*.arrays"):
        store.remove(left)
    sent, name = replace(context, store=store, progress=Silent()), f"{_SHARED}/{token}.arrays"
    with sending(instead="engine=local"), store.writing(name) as path:
        packed = pack(sent, path)
        size = path.stat().st_size
    modules = tuple(filter(None, sys.path))
    return SharedStudy(token, ray.put(packed), name, size, Path.cwd(), modules, store)


def _forget(study: SharedStudy) -> None:
    """Remove the file of a study's arrays."""
    with contextlib.suppress(StudyError, OSError):  # the next search in the study removes it
        study.store.remove(study.arrays)
