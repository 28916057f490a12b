"""Copies of files at URLs, in a folder of this machine: fetched once for each version of a file."""

from __future__ import annotations

import atexit
import contextlib
import getpass
import hashlib
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path

ROOM = 20 * 2**30
"""Bytes that copies may take; beyond that, those go that were not used for longest."""

_LOOKED_AFTER = ROOM // 40
"""Bytes that a process fetches before it looks again at how many there are."""

_fetched = [_LOOKED_AFTER]
"""Bytes that this process has fetched since it looked."""


@cache
def cache_folder() -> Path:
    """Return the folder of all copies, below that for temporary files (``TMPDIR``).

    It is the user's own; where somebody else has made one of its name, it is this process's.
    """
    with contextlib.suppress(OSError, KeyError):  # of a user without a name
        shared = Path(tempfile.gettempdir()) / f"goodteacher-copies-{getpass.getuser()}"
        shared.mkdir(mode=0o700, exist_ok=True)
        if not shared.is_symlink() and shared.owner() == getpass.getuser():
            return shared
    own = Path(tempfile.mkdtemp(prefix="goodteacher-"))
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    return own


def fetched(version: str, name: str, fetch: Callable[[Path], None]) -> Path:
    """Return a copy of a file, which is fetched where there is none of this version.

    Args:
        version: Where the file is, and which version of it.
        name: What the copy is called.
        fetch: Writes the file's content to a path.
    """
    folder = cache_folder() / hashlib.sha256(version.encode()).hexdigest()[:32]
    path = folder / name
    if path.exists():
        with contextlib.suppress(OSError):
            os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
        return path
    folder.mkdir(exist_ok=True)
    temporary = folder / f".{uuid.uuid4().hex}.part"
    try:
        fetch(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _fetched[0] += path.stat().st_size
    if _fetched[0] >= _LOOKED_AFTER:
        _fetched[0] = 0
        _make_room(path)
    return path


def _make_room(but: Path) -> None:
    """Remove the copies that were not used for longest; whoever has one open keeps it."""
    found = []
    for path in cache_folder().glob("*/*"):
        with contextlib.suppress(OSError):
            status = path.stat()
            found.append((status.st_atime, status.st_size, path))
    room = ROOM - sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if room >= 0:
            return
        if path != but:
            with contextlib.suppress(OSError):
                path.unlink()
                room += size
