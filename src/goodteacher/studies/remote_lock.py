"""Holding a study at a URL alone: an object ``.lock`` that says who holds it, and is renewed.

Who begins makes the object with ``If-None-Match: *``, renews it every `RENEWED` seconds with
``If-Match`` and removes it at the end. A holder that was killed renews no more: who sees an object
unchanged for `STALE` seconds takes it over, with ``If-Match`` again, so that of several one does.
Times are those that one process waits, and no two clocks are compared. A holder that was
overtaken, since it could not reach the service for so long, writes nothing any more.

A service without conditional writes is read again after a while, which is no strict lock.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, Protocol, Self, TypeVar, cast

from goodteacher.errors import StudyError
from goodteacher.studies.places import Url
from goodteacher.studies.progress import Progress, say
from goodteacher.studies.remote_errors import OvertakenError, missing_bucket, persistently

T = TypeVar("T")

LOCK_FILE = ".lock"

RENEWED = 4.0
"""Seconds between two renewals."""

STALE = 30.0
"""Seconds without a renewal after which a holder counts as ended."""


class Objects(Protocol):
    """What a lock needs of files."""

    place: Url

    @property
    def fs(self) -> Any:
        """What fsspec has for the URL."""

    def at(self, name: str) -> str:
        """Return a file as its file system names it."""


class RemoteLock:
    """The lock of one study, held inside a ``with``.

    Args:
        files: Of the study.
        progress: Told where another holder may have ended.
    """

    def __init__(self, files: Objects, progress: Progress) -> None:
        self._files, self._progress = files, progress
        self._id = uuid.uuid4().hex
        self._count = 0
        self._ended = threading.Event()
        self._overtaken_by: str | None = None
        self._patience: float | None = None
        self._thread = threading.Thread(target=self._renew, daemon=True, name="goodteacher lock")

    def check(self) -> None:
        """Say whether the study is held still.

        Raises:
            StudyError: Another process has taken it over.
        """
        if self._overtaken_by is not None:
            raise StudyError(
                f"{self._files.place} was taken over by {self._overtaken_by}, since this process "
                f"could not renew its lock for {STALE:.0f} seconds. The study goes on there."
            )

    def __enter__(self) -> Self:
        """Take the lock, over from a holder that has ended if need be."""
        while not self._create(self._content()):
            with contextlib.suppress(FileNotFoundError, OvertakenError):
                before = self._read()
                self._wait_for_its_end(before)
                self._replace(before)
                break
        self._patience = 0.0  # from here on the lock is renewed anyway
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Give the lock back."""
        self._ended.set()
        self._thread.join()
        with contextlib.suppress(StudyError, FileNotFoundError):
            if self._is_ours(self._read()):
                self._asked(lambda: self._files.fs.rm_file(self._path))

    @property
    def _path(self) -> str:
        return self._files.at(LOCK_FILE)

    def _asked(self, call: Callable[[], T]) -> T:
        return persistently(self._files.place, call, patience=self._patience)

    def _read(self) -> bytes:
        return self._asked(lambda: cast("bytes", self._files.fs.cat_file(self._path)))

    def _create(self, content: bytes) -> bool:
        """Make the object unless there is one."""
        try:
            self._asked(lambda: self._files.fs.pipe_file(self._path, content, mode="create"))
        except FileExistsError:
            # Perhaps ours was put, and the answer was lost on its way.
            return self._read() == content
        except FileNotFoundError as error:
            raise missing_bucket(self._files.place, error) from error
        return True

    def _content(self) -> bytes:
        self._count += 1
        holder = {"host": socket.gethostname(), "pid": os.getpid(), "id": self._id}
        return json.dumps({**holder, "renewed": self._count, "time": time.time()}).encode()

    def _is_ours(self, content: bytes) -> bool:
        return bool(_field(content, "id") == self._id)

    def _wait_for_its_end(self, before: bytes) -> None:
        """Wait until a holder counts as ended.

        Raises:
            StudyError: It has not: it renewed its lock meanwhile.
            FileNotFoundError: It has given the lock back.
        """
        begun = time.monotonic()
        say(
            self._progress,
            f"{self._files.place} is held by {_holder(before)}. If that has ended, this goes on in "
            f"{STALE:.0f} seconds.",
        )
        while time.monotonic() - begun < STALE:
            time.sleep(min(1.0, STALE / 10))
            if self._read() != before:
                raise StudyError(
                    f"{self._files.place} is in use by another goodteacher process: "
                    f"{_holder(before)}. Wait for it, end it, or name another place with --out."
                )

    def _replace(self, before: bytes) -> None:
        """Put our content in the place of what was read.

        Raises:
            OvertakenError: Somebody else has put something there meanwhile.
        """
        tag = self._asked(lambda: self._files.fs.info(self._path)).get("ETag")
        now = self._read()
        if now != before:
            raise OvertakenError(_holder(now))
        content, condition = self._content(), {"IfMatch": tag} if tag else {}
        try:
            self._asked(lambda: self._files.fs.pipe_file(self._path, content, **condition))
        except OvertakenError:
            # Perhaps ours was put, and the answer was lost on its way.
            if self._read() != content:
                raise

    def _renew(self) -> None:
        while not self._ended.wait(RENEWED):
            # A service that cannot be reached is asked again soon: who writes will tell of it.
            with contextlib.suppress(StudyError):
                try:
                    before = self._read()
                    if not self._is_ours(before):
                        raise OvertakenError(_holder(before))
                    self._replace(before)
                except FileNotFoundError:
                    if not self._create(self._content()):
                        continue
                except OvertakenError as error:
                    self._overtaken_by = str(error)
                    return


def _field(content: bytes, name: str) -> Any:
    with contextlib.suppress(ValueError, AttributeError):
        return json.loads(content).get(name)
    return None


def _holder(content: bytes) -> str:
    """Say who holds a lock."""
    return f"process {_field(content, 'pid')} on {_field(content, 'host')}"
