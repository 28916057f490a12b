"""The other processes of a group, on this machine.

They are started for one task and end with it: by loky, so that a script needs no
``if __name__ == "__main__"``. Each reads the same work from a folder. If this process ends, so do
the others.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing.connection
import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, cast

import torch

from goodteacher.studies.handing_over import HandedOver, hand_over, take
from goodteacher.studies.helpers import READY, GroupWork, Told
from goodteacher.studies.progress import Silent
from goodteacher.studies.shared_folder import SharedFolder
from goodteacher.training import Group, Share, joined, meeting_in, take_share, threads_of

if TYPE_CHECKING:
    from goodteacher.studies.tasks import Context

_MEETING = "meeting"
"""The file through which the processes find each other."""


class LocalRecruiter:
    """Starts processes on this machine; see :class:`~goodteacher.studies.helpers.Recruiter`."""

    @contextlib.contextmanager
    def recruited(self, work: GroupWork, context: Context) -> Iterator[LocalHelpers]:
        """Start them; the threads of this process are divided among all of them.

        Raises:
            ConfigError: A network or function that was given in Python cannot be pickled.
        """
        machine = context.machine
        size = machine.teacher_workers
        folder = SharedFolder()
        threads = max(1, torch.get_num_threads() // size)
        share = Share.of_host(processes=size, threads=threads)
        processes: list[_Process] = []
        try:
            given = partial(work, context.watched_by(Silent()))  # nobody sees it there
            handed = hand_over(given, folder.path)
            for rank in range(1, size):
                processes.append(_Process.begun(_Orders(handed, rank, size, machine.device, share)))
            yield LocalHelpers(processes, _Orders(handed, 0, size, machine.device, share))
        finally:
            for process in processes:
                process.end()
            folder.remove()


@dataclass(frozen=True)
class _Orders:
    handed: HandedOver
    rank: int
    size: int
    device: torch.device
    share: Share

    def joined(self) -> contextlib.AbstractContextManager[Group]:
        meeting = meeting_in(self.handed.folder / _MEETING, self.size)
        return joined(meeting, rank=self.rank, size=self.size, device=self.device, gpu=self.rank)


@dataclass
class _Process:
    """Another process of the group, and the line to it."""

    process: Any
    line: Connection

    @classmethod
    def begun(cls, orders: _Orders) -> _Process:
        # Here, since loky takes as long to import as all engines.
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


class LocalHelpers:
    """The other processes of a group; see :class:`~goodteacher.studies.helpers.Helpers`."""

    def __init__(self, processes: list[_Process], own: _Orders) -> None:
        self._processes, self._own = processes, own

    def first_words(self) -> Iterator[object]:
        """Return what each says first, as soon as it does."""
        return (process.says() for process in self._processes)

    @contextlib.contextmanager
    def joined(self) -> Iterator[Group]:
        """Make this process the first of the group, with its share of the threads."""
        with threads_of(self._own.share.threads), self._own.joined() as group:
            yield group

    def last_words(self, seconds: float, pause: float) -> list[object]:
        """Return how those failed that did."""
        lines = {process.line: process for process in self._processes}
        if not multiprocessing.connection.wait(list(lines), timeout=seconds):
            return []
        time.sleep(pause)  # others may have lost their connection to that one, too
        spoken = multiprocessing.connection.wait(list(lines), timeout=0)
        return [lines[cast("Connection", line)].says() for line in spoken]


def help_out(orders: _Orders, line: Connection) -> None:
    """Do the work that lies in a folder, as one of the processes of a group."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever began it ends it
    threading.Thread(target=_end_with, args=(line,), daemon=True).start()
    logging.disable()  # the first process says the same
    warnings.simplefilter("ignore")
    take_share(orders.share)
    with _telling(line):
        work = cast("partial[object]", take(orders.handed))
        line.send(READY)
        with orders.joined() as group, _telling(line):
            work(group)
    os._exit(0)  # it has nothing to finish, and gloo's threads may fail to


@contextlib.contextmanager
def _telling(line: Connection) -> Iterator[None]:
    """Say what fails, before others lose their connection, and end with it."""
    try:
        yield
    except Exception as error:
        line.send(Told.of(error))
        os._exit(1)


def _end_with(line: Connection) -> None:
    """End this process when the one that began it has ended, which closes the line."""
    with contextlib.suppress(EOFError, OSError):
        line.recv()
    os._exit(1)
