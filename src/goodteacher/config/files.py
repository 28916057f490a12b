"""Which files are opened: regular ones alone."""

from __future__ import annotations

import stat
from pathlib import Path

from goodteacher.errors import InputError


def check_regular(path: Path, error: type[InputError]) -> None:
    """Refuse what exists and is no regular file, before it is opened.

    Opening a pipe waits for whoever writes to it, and a device has no end. A path that does not
    exist is left to whoever opens it.

    Args:
        path: What is about to be opened; a link stands for what it leads to.
        error: What to raise.

    Raises:
        InputError: It is a folder, a pipe, a device or a socket.

    Example:
        >>> check_regular(Path("/dev/null"), InputError)
        Traceback (most recent call last):
        ...
        goodteacher.errors.InputError: /dev/null is a device, but only regular files are read. ...
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if stat.S_ISREG(mode):
        return
    kind = next((name for test, name in _KINDS.items() if test(mode)), "no file")
    raise error(
        f"{path} is {kind}, but only regular files are read. "
        + ("Name a file in it." if kind == "a folder" else "Copy what it gives into a file.")
    )


_KINDS = {
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a pipe",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
    stat.S_ISSOCK: "a socket",
}
