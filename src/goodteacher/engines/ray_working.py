"""The other side of the Ray engine: a task is done on some node of a cluster.

Small objects of the study's context travel through Ray. Its arrays lie in a file of the study's
folder, which each process maps; they never pass through Ray's object store. A process keeps the
context for its next task.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, cast

import ray

from goodteacher.engines.failures import Failure
from goodteacher.engines.working import Outcome, Reporting, outcome_of
from goodteacher.errors import GoodteacherError, StudyError
from goodteacher.studies import (
    CONFIG_FILE,
    Context,
    Environment,
    Packed,
    Recruiter,
    Store,
    Task,
    environment_here,
    is_done,
    runner_of,
    unpack,
)
from goodteacher.training import Share

_OUTAGES = 5
"""How often a task is done again because the study's folder was out of reach at its end."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
"""Seconds between two looks whether a folder is there again; each pause is twice the one before."""


@dataclass(frozen=True)
class SharedStudy:
    """A study's context as every node of a cluster finds it.

    Attributes:
        token: Names it; a process reads it once.
        packed: Ray's reference to its small objects.
        arrays: Name of the file of its arrays, in the study.
        size: Bytes of that file.
        began_in: The folder that relative paths of data start from.
        modules: Folders in which the process that began the study finds modules.
        store: The study's.
    """

    token: str
    packed: Any
    arrays: str
    size: int
    began_in: Path
    modules: tuple[str, ...]
    store: Store


@dataclass(frozen=True)
class Errand:
    """A task for a node of a cluster.

    Attributes:
        key: The task's.
        task: The task, pickled, so that what goes wrong in reading it is told in plain words.
        attempt: 0 at first; one more whenever a process or a node was lost with it.
        study: What it works with.
        share: What of the node it may take.
        home: The node that the study was begun on.
        teller: Ray's handle of who is told how far the task is; None tells nobody.
        patience: Seconds for which the study's folder may be out of reach at a time.
        recruiter: Starts the other processes of a task that wants several; None if it wants one.
    """

    key: str
    task: bytes
    attempt: int
    study: SharedStudy
    share: Share
    home: str
    teller: Any
    patience: float
    recruiter: Recruiter | None = None


@dataclass(frozen=True)
class Told:
    """How far one attempt at a task is: all of it so far, so that the last word is enough.

    Attributes:
        key: Of the task.
        attempt: See :class:`Errand`.
        units: Units of its progress.
        said: What it noted and logged, as (text, level).
    """

    key: str
    attempt: int
    units: float = 0.0
    said: tuple[tuple[str, int], ...] = ()

    @property
    def plain(self) -> tuple[str, int, float, tuple[tuple[str, int], ...]]:
        """The fields, in their order."""
        return self.key, self.attempt, self.units, self.said


@dataclass(frozen=True)
class Returned:
    """What comes back from a node.

    Attributes:
        outcome: How the task ended.
        told: The last word on its progress.
        seconds: How long it took.
        environment: Where it ran; None where it did not, or its output was there already.
        node: The node's name.
        interrupted: Whether the task was interrupted, as by Ctrl-C.
    """

    outcome: Outcome
    told: Told
    seconds: float
    environment: Environment | None
    node: str
    interrupted: bool = False


@dataclass
class Telling(Reporting):
    """A progress that tells who began the study, through Ray, a few times a second.

    Attributes:
        teller: Ray's handle; None tells nobody.
        told: All so far.
    """

    teller: Any = None
    told: Told = field(default_factory=lambda: Told("", 0))

    def begin_again(self) -> None:
        """Count from nothing, since the task is done once more."""
        self.told, self._units = replace(self.told, units=0.0), 0.0

    def _write(self, **line: Any) -> None:
        match line:
            case {"units": float(units)}:
                self.told = replace(self.told, units=self.told.units + units)
            case {"said": str(text), "level": int(level)}:
                self.told = replace(self.told, said=(*self.told.said, (text, level)))
        if self.teller is not None:
            self.teller.tell.remote(self.told.key, self.told.plain)


def teller_class() -> type:
    """Return the class of an actor that keeps the last word on every task until somebody asks.

    It goes to its process as it is, and knows numbers and texts alone, so that this process need
    not load what goodteacher needs.
    """

    class Teller:
        def __init__(self) -> None:
            self._last: dict[str, Any] = {}

        def tell(self, key: str, told: Any) -> None:
            self._last[key] = told

        def news(self) -> list[Any]:
            news, self._last = list(self._last.values()), {}
            return news

    return Teller


def carry_out(errand: Errand) -> Returned:
    """Do a task's work in this process."""
    began = time.perf_counter()
    watcher = Telling(Path(), teller=errand.teller, told=Told(errand.key, errand.attempt))
    found: list[Environment] = []
    interrupted = False
    outcome = Outcome()
    try:
        outcome = outcome_of(
            partial(_run, errand, found),
            context_of=partial(context_of, errand.study),
            share=errand.share,
            watcher=watcher,
        )
    except KeyboardInterrupt:  # which Ray would take for a task that somebody cancelled
        interrupted = True
    seconds = time.perf_counter() - began
    ran = found[0] if found else None
    return Returned(
        _placed(outcome, errand), watcher.told, seconds, ran, name_of_node(), interrupted
    )


def _run(errand: Errand, found: list[Environment], context: Context) -> None:
    """Run a task, again if the study's folder was out of reach when its output was written."""
    with _having_modules():
        task = cast("Task", pickle.loads(errand.task))
    await_store(context.store, errand.patience)
    if is_done(task, context.store):  # by a process that was given up too early
        return
    context = replace(context, recruiter=errand.recruiter)
    for again in reversed(range(_OUTAGES + 1)):
        try:
            runner_of(task).run(task, context)
            break
        except (StudyError, OSError) as error:
            if not again or disk_is_full(error) or reachable(context.store, to_write=True):
                raise
            await_store(context.store, errand.patience)
            cast("Telling", context.progress).begin_again()
    found.append(environment_here(str(context.machine)))


def reachable(store: Store, *, to_write: bool = False) -> bool:
    """Say whether a study can be read from here.

    Args:
        store: The study.
        to_write: Whether to see if it can be written, too.
    """
    probe = f".reachable.{socket.gethostname()}.{os.getpid()}"
    try:
        if not store.exists(CONFIG_FILE):
            return False
        if to_write:
            store.write_text(probe, "")
            store.remove(probe)
    except (StudyError, OSError):
        return False
    return True


def await_store(store: Store, seconds: float) -> None:
    """Wait until a study's folder is within reach, but no longer than so many seconds.

    Raises:
        StudyError: It is not, after that time.
    """
    deadline, pause = time.monotonic() + seconds, _FIRST_PAUSE
    while not reachable(store):
        if time.monotonic() >= deadline:
            raise StudyError(
                f"{store.root} could not be reached for {seconds:.0f} seconds on the node "
                f"{name_of_node()}. Does every node have access to it, and permission to write "
                "there? What was finished before is kept: the same command continues from there."
            )
        time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
        pause = min(2 * pause, _LONGEST_PAUSE)


def disk_is_full(error: BaseException) -> bool:
    """Say whether an error, or what it came from, is that of a disk without room."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in _FULL:
            return True
        seen = seen.__cause__
    return False


def context_of(study: SharedStudy) -> Context:
    """Return the context of the study that this process works for, read once."""
    sys.path += [each for each in study.modules if each not in sys.path]
    with contextlib.suppress(OSError):  # a node need not have it: most data lie in arrays
        os.chdir(study.began_in)
    return _contexts(_Known(study.token, study))


@dataclass(frozen=True)
class _Known:
    """A study, compared by its token alone."""

    token: str
    study: SharedStudy = field(compare=False)


@lru_cache(maxsize=1)
def _contexts(known: _Known) -> Context:
    study = known.study
    with _seeing(study) as arrays, _having_modules():
        return cast("Context", unpack(cast("Packed", ray.get(study.packed)), arrays))


@contextlib.contextmanager
def _seeing(study: SharedStudy) -> Iterator[Path]:
    """Give the file of arrays; say so where this node does not see it or the files of the data."""
    try:
        arrays = study.store.files.local(study.arrays)  # which has no checksum
        size = arrays.stat().st_size
        if size != study.size:
            raise StudyError(
                f"The node {name_of_node()} sees {size} of the {study.size} bytes of "
                f"{arrays}. Does it mount the same folder as the others?"
            )
        yield arrays
    except OSError as error:
        raise StudyError(
            f"The node {name_of_node()} does not have the data: {error.filename or study.arrays} "
            f"cannot be read there ({error.strerror or error}). Every node of the cluster needs "
            f"the study, {study.store.root}, and the files of its data, under the same paths. "
            "Choose an --out on a disk that all nodes mount, or a URL."
        ) from error


@contextlib.contextmanager
def _having_modules() -> Iterator[None]:
    """Say so where this node lacks a module of the user's."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise StudyError(
            f"The node {name_of_node()} does not have the module {error.name}, which a network or "
            "function given in Python comes from. Install it on every node, or put its file next "
            "to the script on a disk that all nodes mount."
        ) from error


def name_of_node() -> str:
    """Return what this node is called in messages: its host, and how its id in Ray begins."""
    return named(socket.gethostname(), ray.get_runtime_context().get_node_id())


def named(host: str, node: str) -> str:
    """Return what a node is called in messages."""
    return f"{host} ({node[:8]})"


def _placed(outcome: Outcome, errand: Errand) -> Outcome:
    """Name the node in what went wrong, where it is not the one that the study was begun on."""
    if ray.get_runtime_context().get_node_id() == errand.home:
        return outcome
    where = name_of_node()
    error, failure = outcome.error, outcome.failure
    if isinstance(error, GoodteacherError) and where not in str(error):
        error = type(error)(f"{error} This happened on the node {where}.")
    if failure is not None:
        failure = Failure(f"{failure.reason} (on the node {where})", failure.trace)
    return replace(outcome, error=error, failure=failure)
