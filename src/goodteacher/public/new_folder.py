"""A folder that is written whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from goodteacher.errors import StudyError
from goodteacher.studies import Url, not_written, place_of


def check_new(path: Path) -> None:
    """Refuse a folder that holds something.

    Raises:
        StudyError: It does, or it is a file, or a URL.
    """
    place = place_of(path)
    if isinstance(place, Url):
        raise StudyError(
            f"{place} is a URL, but files are exported only to a folder on this machine. Choose "
            "one with --out, and copy it afterwards."
        )
    if path.is_dir() and not any(path.iterdir()):
        return
    if path.exists():
        raise StudyError(f"{path} exists and is not empty. Choose a new folder with --out.")


@contextmanager
def under_way(target: Path) -> Iterator[Path]:
    """Give a folder beside the target that becomes it when the block ends well.

    Raises:
        StudyError: It cannot be written.
    """
    place = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        place.mkdir(parents=True)
        yield place
        if target.exists():
            target.rmdir()
        place.rename(target)
    except OSError as error:
        raise not_written(place_of(target), error) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)
