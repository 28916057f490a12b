"""The processes that train a teacher together with this one.

They are started for one task and end with it, on this machine: by loky, so that a script needs no
``if __name__ == "__main__"``. Each reads the same work from a folder. This process is the first of
the group, and the only one that writes to the study; if it ends, however, so do the others.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing.connection
import os
import shutil
import signal
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import torch

from goodteacher.errors import GoodteacherError, RunError
from goodteacher.studies import hand_over, take
from goodteacher.training import Group, Share, is_out_of_memory, joined, take_share, threads_of

_READY, _MEETING = "ready", "meeting"

_LAST_WORDS = 5.0
"""Seconds for which an error waits for another process to say that it was the cause."""

_PAUSE = 0.3
"""Seconds after the first that has failed in which others may say so as well."""


class HelperError(RuntimeError):
    """What nobody foresaw in another process; the lines after the first say where it happened."""


@contextlib.contextmanager
def helped(work: Callable[[Group], object], *, size: int, device: torch.device) -> Iterator[Group]:
    """Start processes that do some work, and be the first of their group while the block runs.

    The threads of this process are divided among all of them.

    Args:
        work: What each of the others does, with the group as it sees it: as many steps together as
            the block takes.
        size: Processes in all, this one among them.
        device: Where they compute.

    Raises:
        RunError: One of them died.
        HelperError: One of them failed in a way that goodteacher did not foresee.
        MemoryError: One of them had too little memory.
        GoodteacherError: One of them raised it.
    """
    folder = Path(tempfile.mkdtemp(prefix="goodteacher-"))
    threads = max(1, torch.get_num_threads() // size)
    share = Share.of_host(processes=size, threads=threads)
    helpers: list[_Helper] = []
    try:
        hand_over(work, folder)
        for rank in range(1, size):
            helpers.append(_Helper.begun(_Orders(folder, rank, size, device, share)))
        _wait_until_ready(helpers)
        meeting = folder / _MEETING
        with (
            threads_of(threads),
            joined(meeting, rank=0, size=size, device=device) as group,
            _blaming(helpers),  # while the others still are connected
        ):
            yield group
    finally:
        for helper in helpers:
            helper.end()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class _Orders:
    folder: Path
    rank: int
    size: int
    device: torch.device
    share: Share


@dataclass(frozen=True)
class _Told:
    """How the work of another process failed.

    Attributes:
        when: Time of the machine's clock, in seconds.
        error: What goodteacher foresaw.
        out_of_memory: Whether it had too little memory.
        trace: What else happened; its type and message, and where.
    """

    when: float
    error: GoodteacherError | None
    out_of_memory: bool
    trace: str

    @classmethod
    def of(cls, error: Exception) -> _Told:
        foreseen = error if isinstance(error, GoodteacherError) else None
        first = str(error).strip().partition("\n")[0]
        trace = f"{type(error).__name__}: {first}\n{traceback.format_exc()}"
        return cls(time.time(), foreseen, is_out_of_memory(error), trace)


@dataclass
class _Helper:
    """Another process of the group, and the line to it."""

    process: Any
    line: Connection

    @classmethod
    def begun(cls, orders: _Orders) -> _Helper:
        # Here, since loky takes as long to import as all engines, and few teachers need it.
        from loky.backend.process import LokyProcess

        ours, theirs = multiprocessing.Pipe()
        process = LokyProcess(target=help_out, args=(orders, theirs), daemon=True)
        process.start()
        theirs.close()
        return cls(process, ours)

    def says(self) -> object:
        """Return what it says next; None if it has died without a word."""
        with contextlib.suppress(EOFError, OSError):
            return cast("object", self.line.recv())
        return None

    def end(self) -> None:
        """Make sure that it has ended; it has nothing to finish."""
        self.process.terminate()
        self.process.join()
        self.line.close()


def _wait_until_ready(helpers: list[_Helper]) -> None:
    for helper in helpers:
        if (said := helper.says()) != _READY:
            raise _as_error(said, len(helpers) + 1)


@contextlib.contextmanager
def _blaming(helpers: list[_Helper]) -> Iterator[None]:
    """Raise why another process failed, if one did: this one then loses its connection to it."""
    try:
        yield
    except GoodteacherError:
        raise
    except Exception as error:
        if (cause := _cause(helpers)) is not None:
            raise cause from error
        raise


def _cause(helpers: list[_Helper]) -> Exception | None:
    """Return why one of the processes failed, within a few seconds; None if none did."""
    lines = {helper.line: helper for helper in helpers}
    if not multiprocessing.connection.wait(list(lines), timeout=_LAST_WORDS):
        return None
    time.sleep(_PAUSE)  # others may have lost their connection to that one, too
    spoken = multiprocessing.connection.wait(list(lines), timeout=0)
    said = [lines[cast("Connection", line)].says() for line in spoken]
    told = [each for each in said if isinstance(each, _Told)]
    first = min(told, key=lambda each: each.when) if len(told) == len(said) else None
    return _as_error(first, len(helpers) + 1)


def _as_error(said: object, size: int) -> Exception:
    if not isinstance(said, _Told):
        return RunError(
            f"One of the {size} processes that trained a teacher together died, perhaps for want "
            "of memory. What was finished before is kept: the same command goes on from the last "
            "recorded epoch, with fewer --teacher-workers if memory was short."
        )
    if said.error is not None:
        return said.error
    if said.out_of_memory:
        return MemoryError(f"not enough memory in one of {size} processes")
    return HelperError(said.trace)


def help_out(orders: _Orders, line: Connection) -> None:
    """Do the work that lies in a folder, as one of the processes of a group."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever began it ends it
    threading.Thread(target=_end_with, args=(line,), daemon=True).start()
    logging.disable()  # the first process says the same
    warnings.simplefilter("ignore")
    take_share(orders.share)
    meeting, rank, size = orders.folder / _MEETING, orders.rank, orders.size
    with _telling(line):
        work = cast("Callable[[Group], object]", take(orders.folder))
        line.send(_READY)
        with joined(meeting, rank=rank, size=size, device=orders.device) as group, _telling(line):
            work(group)
    os._exit(0)  # it has nothing to finish, and gloo's threads may fail to


@contextlib.contextmanager
def _telling(line: Connection) -> Iterator[None]:
    """Say what fails, before others lose their connection, and end with it."""
    try:
        yield
    except Exception as error:
        line.send(_Told.of(error))
        os._exit(1)


def _end_with(line: Connection) -> None:
    """End this process when the one that began it has ended, which closes the line."""
    with contextlib.suppress(EOFError, OSError):
        line.recv()
    os._exit(1)
