"""A folder of temporary files that this process shares with those that it starts.

Only its user may look into it (mode 0700). It goes with the process, and a lock of the system says
whether that is still at work: what a killed process has left goes when the next one begins.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path

from filelock import FileLock, Timeout

_PREFIX, _USED = "goodteacher-shared-", ".used"

_NEW = 60.0
"""Seconds for which a folder is left alone in any case: its process may be about to lock it."""


class SharedFolder:
    """A folder for what other processes of this machine read while this one is at work.

    Attributes:
        path: The folder.
    """

    def __init__(self) -> None:
        remove_left_over()
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock = FileLock(self.path / _USED, thread_local=False)
        self._lock.acquire()

    def remove(self) -> None:
        """Remove it."""
        self._lock.release()
        shutil.rmtree(self.path, ignore_errors=True)


def remove_left_over() -> None:
    """Remove the folders of this user whose processes were killed."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError, Timeout):  # of others, in use, or gone meanwhile
            if not _is_own(path) or time.time() - path.lstat().st_mtime < _NEW:
                continue
            lock = FileLock(path / _USED)
            lock.acquire(blocking=False)
            shutil.rmtree(path, ignore_errors=True)
            lock.release()


def _is_own(path: Path) -> bool:
    status = path.lstat()
    ours = not hasattr(os, "getuid") or status.st_uid == os.getuid()
    return ours and stat.S_ISDIR(status.st_mode)
