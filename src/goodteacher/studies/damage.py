"""Reading and writing files: what can go wrong is said in words that name the file."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
from pydantic import ValidationError
from safetensors import SafetensorError

from goodteacher.config import Frozen
from goodteacher.errors import StorageError, StudyError
from goodteacher.studies.places import Place

ModelT = TypeVar("ModelT", bound=Frozen)


@contextlib.contextmanager
def reading(path: Place, what: str) -> Iterator[None]:
    """Turn all that can go wrong while a file is read into a :class:`StudyError` that names it.

    Args:
        path: The file.
        what: What it should hold.
    """
    try:
        yield
    except FileNotFoundError:
        raise StudyError(
            f"{path} cannot be read: No such file or directory. Has the study finished?"
        ) from None
    except (OSError, ValueError, TypeError, SafetensorError, pa.ArrowException) as error:
        if isinstance(error, StudyError):
            raise
        seen = damage(path) if isinstance(path, Path) else None
        raise StudyError(f"{path} does not hold {what}: {seen or _reason(error)}") from error


def parsed(path: Place, kind: type[ModelT], text: str) -> ModelT:
    """Read a value from the JSON text of a file.

    Raises:
        StudyError: It is not JSON, or not that of such a value; the message names the file.
    """
    with reading(path, f"a {kind.__name__}"):
        return kind.model_validate_json(text)


_LFS, _CONFLICT, _PAGES = b"version https://git-lfs", b"<<<<<<< ", (b"<!doctype html", b"<html")


def damage(path: Path) -> str | None:
    """Say what a file that cannot be read is instead, where that can be seen."""
    if path.is_dir():
        return "it is a folder, not a file. Put the file itself there."
    try:
        content = path.read_bytes()
    except OSError as error:
        return f"{error.strerror}. May you read it?"
    if not content:
        return "it is empty. Copy it again."
    if content.startswith(_LFS):
        return "it is a pointer of Git LFS to the file. Fetch the file itself with: git lfs pull"
    if content.lstrip()[:20].lower().startswith(_PAGES):
        return "it is a web page, perhaps of a failed download. Download the file itself."
    if content.startswith(_CONFLICT) or b"\n" + _CONFLICT in content:
        return "it holds the marks of a merge conflict (<<<<<<<). Resolve it, or copy it again."
    return None


def not_written(where: Place, error: Exception, *, at_the_door: bool = False) -> StudyError:
    """Return what says why a file cannot be written, and what to do about it.

    Args:
        where: The file.
        error: What happened: of the system, or of a library that tells its number in its text.
        at_the_door: Nothing has begun: another folder could have been named.
    """
    number = getattr(error, "errno", None)
    if number is None and (told := _OS_ERROR.search(str(error))):
        number = int(told[1])
    reason = os.strerror(number) if number else str(error).rstrip(".")
    text = f"{where} cannot be written: {reason}. {_ADVICE.get(number or 0, _UNKNOWN)}"
    return StudyError(text) if at_the_door or number == errno.ENAMETOOLONG else StorageError(text)


_OS_ERROR = re.compile(r"os error (\d+)")
_KEPT = "then give the same command again. The work done so far is kept."
_FULL = f"The disk is full, or your share of it. Free some space, {_KEPT}"
_NOT_YOURS = f"Make the folder writable for you, or copy it to where you may write, {_KEPT}"
_UNKNOWN = f"Is the disk full, or the folder yours? Fix this, {_KEPT}"
_ADVICE = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _FULL,
    errno.EROFS: _NOT_YOURS,
    errno.EACCES: _NOT_YOURS,
    errno.EPERM: _NOT_YOURS,
    errno.ENAMETOOLONG: "The name is too long. Name another folder with --out.",
}


def _reason(error: Exception) -> str:
    """Say what is wrong with a file's content, and what to do about it."""
    if isinstance(error, ValidationError):
        items = error.errors(include_url=False)
        later = next((item["input"] for item in items if item["loc"] == ("schema_version",)), None)
        if isinstance(later, int):
            return (
                f"it has schema version {later}, which this version of goodteacher does not know. "
                "It was written by a later version of goodteacher: use that one."
            )
        reason = "; ".join(
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}".removeprefix(": ")
            for item in items[:3]
        ).replace("Value error, ", "")
        reason += f" and {len(items) - 3} more" if len(items) > 3 else ""
        return f"{reason}. Was it edited, cut short, or written by another version of goodteacher?"
    text = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(". ")
    return f"{text}. Was it cut short, edited or replaced? Copy it again."
