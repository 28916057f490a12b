"""Which files are opened: regular ones alone, whose names are text."""

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


def check_name(name: str | Path, what: str, error: type[InputError]) -> None:
    r"""Refuse a name that is not text: it could be put into no settings and no report.

    Args:
        name: As Python has it: bytes of a file's name that are no UTF-8 are surrogates in it.
        what: Has this name.
        error: What to raise.

    Raises:
        InputError: It is not.

    Example:
        >>> check_name("caf\udce9", "The data set", InputError)
        Traceback (most recent call last):
        ...
        goodteacher.errors.InputError: The data set is called 'caf\udce9', which is not UTF-8 ...
    """
    if "\0" in str(name):
        raise error(f"{str(name)!r} has a zero byte, which no path can have. Leave it out.")
    try:
        str(name).encode()
    except UnicodeEncodeError:
        raise error(
            f"{what} is called {str(name)!a}, which is not UTF-8 text. Rename it."
        ) from None


_KINDS = {
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a pipe",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
    stat.S_ISSOCK: "a socket",
}
