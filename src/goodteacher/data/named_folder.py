"""The one rule for paths that come from files: they lead nowhere out of the folder that was named.

A listing of images, an index of shards or a link of a folder from elsewhere could name any file of
this machine, to be shown in a report or to be overwritten. Links within the folder are followed; so
are those of the Hugging Face cache, which keeps the content of a repository's files beside them.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePath

from goodteacher.errors import DataError, InputError

_MOST = 250  # bytes of a part of a path; systems take 255


class Inside:
    """A folder that the user named; it answers for the paths in it.

    Args:
        folder: The folder; it need not exist.
        further: Other folders that its files may lie in.
        error: What is raised.

    Example:
        >>> folder = Inside(Path("photos"))
        >>> folder.path("cats/1.png").as_posix()
        'photos/cats/1.png'
        >>> folder.path("../secret.png")
        Traceback (most recent call last):
        ...
        goodteacher.errors.DataError: '../secret.png' leads out of the folder photos, so it is not \
opened. Put the file there, not a link to it, and name it by a path in the folder.
    """

    def __init__(self, folder: Path, *further: Path, error: type[InputError] = DataError) -> None:
        self.folder = folder
        self._further, self._error = further, error

    def path(self, name: str | PurePath) -> Path:
        """Return the path of a file in the folder.

        Args:
            name: As a file has it; a path from the folder on, or a whole one that leads into it.

        Raises:
            InputError: It leads out of the folder, by its parts or by a link.
        """
        path = self.folder / name
        if any(len(part.encode(errors="replace")) > _MOST for part in Path(name).parts):
            raise self._error(
                f"{self.folder} is said to hold a file whose name has {len(str(name))} characters, "
                "which no system can open. Is what names it damaged?"
            )
        if "\0" in str(name) or not self.holds(path):
            raise self._error(
                f"{str(name)!r} leads out of the folder {self.folder}, so it is not opened. Put "
                "the file there, not a link to it, and name it by a path in the folder."
            )
        return path

    def holds(self, path: Path) -> bool:
        """Say whether a path is in the folder, links followed; it need not exist."""
        if path.is_relative_to(self.folder):
            below, place = path.relative_to(self.folder).parts, self.folder
            for part in below:
                place = place / part
                if part == ".." or place.is_symlink():
                    break
            else:
                return True
        real = Path(os.path.realpath(path))
        return any(real.is_relative_to(root) for root in self._roots())

    def _roots(self) -> list[Path]:
        roots = [Path(os.path.realpath(folder)) for folder in (self.folder, *self._further)]
        return roots + _contents_of_cache(self.folder.absolute())


def _contents_of_cache(folder: Path) -> list[Path]:
    """Return where the files of a repository lie to which a folder of the hub's cache links."""
    parts = folder.parts
    if "snapshots" not in parts:
        return []
    repository = Path(*parts[: parts.index("snapshots")])
    blobs, refs = repository / "blobs", repository / "refs"
    return [Path(os.path.realpath(blobs))] if blobs.is_dir() and refs.is_dir() else []


def inside(folder: Path, name: str, *, error: type[InputError] = DataError) -> Path:
    """Return the path of one file in a folder; see :class:`Inside`.

    Args:
        folder: The folder.
        name: As a file has it.
        error: What is raised.

    Raises:
        InputError: It leads out of the folder.
    """
    return Inside(folder, error=error).path(name)
