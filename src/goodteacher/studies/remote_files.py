"""The files of a study at a URL: objects of a service that fsspec knows, such as S3.

An object is put whole or not at all, and what exists is asked of the service each time, so that
nothing leans on a folder that machines share or on what was true before. ``s3://`` needs s3fs;
where its service is and who asks is set as for any tool: by AWS_ENDPOINT_URL and AWS_ACCESS_KEY_ID
and so on, or in fsspec's own configuration.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
import threading
import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from shutil import copyfile, rmtree
from typing import Any, cast

from goodteacher.data import inside
from goodteacher.errors import PackageError, StudyError
from goodteacher.studies.checksums import NOTES_FILE, NOTES_FOLDER, Note, by_time, is_free, note_of
from goodteacher.studies.fetched import fetched
from goodteacher.studies.files import EVENTS_FILE, EVENTS_FOLDER
from goodteacher.studies.places import Url
from goodteacher.studies.progress import Progress
from goodteacher.studies.remote_errors import missing_bucket, persistently
from goodteacher.studies.remote_lock import LOCK_FILE, RemoteLock
from goodteacher.studies.remote_log import RemoteLog
from goodteacher.studies.remote_notes import RemoteNotes

_FEW = 8
"""Questions about what exists that are asked one by one before a folder is listed."""


class RemoteFiles:
    """Objects below a URL; see :class:`~goodteacher.studies.backends.Files`.

    Args:
        place: The URL.
    """

    def __init__(self, place: Url) -> None:
        self.place = place
        self._log, self._noted = RemoteLog(self), RemoteNotes(self)
        self._lock: RemoteLock | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Send the URL alone to other processes, which ask for themselves."""
        return remote_files, (self.place,)

    @cached_property
    def fs(self) -> Any:
        """What fsspec has for the URL."""
        return _file_system(self.place)

    @cached_property
    def root(self) -> str:
        """The study as its file system names it, without the protocol."""
        return str(self.fs._strip_protocol(self.place)).rstrip("/")

    def at(self, name: str) -> str:
        """Return a file as its file system names it."""
        return f"{self.root}/{name}" if name else self.root

    def check(self) -> None:
        """Ask for one name there, for which bucket and credentials must be right."""
        self.top()

    def top(self) -> Collection[str]:
        """Return what does not lie below another name."""

        def ask() -> list[str]:
            try:
                every = self.fs.ls(self.root, detail=False)
                names = [PurePosixPath(each).name for each in every]
                return [name for name in names if name not in (NOTES_FILE, NOTES_FOLDER)]
            except FileNotFoundError:  # which is all right where there is a bucket
                bucket, _, below = self.root.partition("/")
                if bucket:  # of memory:// there is none
                    if not below:
                        raise
                    self.fs.info(bucket)
                return []

        try:
            return persistently(self.place, ask)
        except FileNotFoundError as error:
            raise missing_bucket(self.place, error) from error

    def exists(self, name: str) -> bool:
        """Ask whether an object is there."""
        try:
            persistently(self.place, lambda: self.fs.info(self.at(name)))
        except FileNotFoundError:
            return False
        return True

    def listed(self) -> Listed:
        """Return the same, which lists where it would ask many questions."""
        return Listed(self.place)

    def names(self, folder: str = "") -> dict[str, int]:
        """Return name and size of every object below a folder; one request for each thousand."""

        def ask() -> dict[str, Any]:
            return cast("dict[str, Any]", self.fs.find(self.at(folder), detail=True))

        with contextlib.suppress(FileNotFoundError):
            found = persistently(self.place, ask)
            begin = len(self.root) + 1
            return {
                str(info["name"])[begin:]: int(info["size"] or 0)
                for info in found.values()
                if info["type"] == "file"
            }
        return {}

    def matching(self, pattern: str) -> list[str]:
        """List below the part of a pattern that has no ``*``, and compare."""
        parts = pattern.split("/")
        plain = [part for n, part in enumerate(parts) if "*" not in "".join(parts[: n + 1])]
        every = self._plain("/".join(plain[:-1] if len(plain) == len(parts) else plain))
        return sorted(name for name in every if _fits(name.split("/"), parts))

    def _plain(self, folder: str = "") -> dict[str, int]:
        """Return the same without notes."""
        return {
            name: size
            for name, size in self.names(folder).items()
            if not name.startswith(f"{NOTES_FOLDER}/") and PurePosixPath(name).name != NOTES_FILE
        }

    def read(self, name: str) -> bytes:
        """Get an object."""
        return persistently(self.place, lambda: cast("bytes", self.fs.cat_file(self.at(name))))

    def local(self, name: str) -> Path:
        """Fetch a copy, unless that version of it was fetched before."""
        info = persistently(self.place, lambda: self.fs.info(self.at(name)))
        if info["type"] != "file":
            raise FileNotFoundError(name)
        version = f"{info.get('ETag') or info.get('created') or info.get('mtime')} {info['size']}"
        return fetched(
            f"{self.place / name} {version}",
            PurePosixPath(name).name,
            lambda path: persistently(
                self.place, lambda: self.fs.get_file(self.at(name), str(path))
            ),
        )

    def local_folder(self, name: str) -> Path:
        """Fetch what is below a name into a folder that goes when the process ends."""
        folder = self.draft(name)
        for each in self._plain(name):
            below = each.removeprefix(f"{name}/") if name else each
            target = inside(folder, below, error=StudyError)  # an object may be called ../x
            target.parent.mkdir(parents=True, exist_ok=True)
            copyfile(self.local(each), target)
        return folder

    def draft(self, folder: str) -> Path:
        """Make a folder that goes when the process ends."""
        made = Path(tempfile.mkdtemp(prefix="goodteacher-"))
        weakref.finalize(self, rmtree, made, ignore_errors=True)
        return made

    def publish(self, folder: str, draft: Path) -> None:
        """Put every file of a draft."""
        for path in sorted(draft.rglob("*")):
            if path.is_file():
                below = path.relative_to(draft).as_posix()
                self.put(f"{folder}/{below}" if folder else below, path)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Give a temporary file, which is put when the block ends well."""
        with tempfile.TemporaryDirectory(prefix="goodteacher-") as folder:
            path = Path(folder) / PurePosixPath(name).name
            yield path
            self.put(name, path)

    def put(self, name: str, path: Path) -> None:
        """Note a file of this machine and put it; a large one goes in pieces, joined at the end.

        Raises:
            StudyError: It cannot be put, or another process has taken the study over.
        """
        if self._lock is not None:
            self._lock.check()
        try:
            if not is_free(name):
                self._noted.add(note_of(name, path))
            persistently(self.place, lambda: self.fs.put_file(str(path), self.at(name)))
        except FileNotFoundError as error:
            raise missing_bucket(self.place, error) from error

    def put_bytes(self, name: str, content: bytes) -> None:
        """Put an object."""
        persistently(self.place, lambda: self.fs.pipe_file(self.at(name), content))

    def take_over(self, name: str, source: Path) -> None:
        """Put a copy."""
        self.put(name, source)

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            if not is_free(name) and self.exists(name):
                self._noted.add(note_of(name, None))
            persistently(self.place, lambda: self.fs.rm_file(self.at(name)))

    def set_aside(self, name: str) -> None:
        """Move an object below ``.damaged``; what was noted of it stays."""
        persistently(self.place, lambda: self.fs.mv(self.at(name), self.at(f".damaged/{name}")))

    def is_held(self) -> bool:
        """Ask whether the lock is there."""
        return self.exists(LOCK_FILE)

    def notes(self, name: str, *, again: bool = False) -> Sequence[Note]:
        """Return what was noted of an object."""
        return self._noted.of(name, again=again)

    def all_notes(self) -> Mapping[str, Sequence[Note]]:
        """Return what was noted of all objects."""
        return self._noted.all(list(self.names()))

    def noted_folders(self) -> Collection[str]:
        """Return those of a study that was copied from a folder."""
        return self._noted.folders()

    def note(self, name: str) -> None:
        """Note what an object holds now."""
        self._noted.add(note_of(name, self.local(name)))

    def sizes(self) -> Mapping[str, int]:
        """List all objects."""
        return {name: size for name, size in self.names().items() if not is_free(name)}

    def num_bytes(self, folder: str) -> int:
        """Return the size of all objects below a name, or of the one of that name."""
        return sum(self._plain(folder).values())

    @property
    def log_place(self) -> Url:
        """The folder of the log's pieces."""
        return self.place / EVENTS_FOLDER

    def log(self, line: str) -> None:
        """Add a line to this process's piece of the log."""
        self._log.add(line)

    def logged(self) -> Iterable[str]:
        """Return the lines of all pieces, by time, and of the file of a study from a folder."""
        with contextlib.suppress(FileNotFoundError):
            copied = self.read(EVENTS_FILE).decode("utf-8", "replace").splitlines()
            return by_time([*copied, *self._log.lines()])
        return self._log.lines()

    @contextlib.contextmanager
    def lock(self, progress: Progress) -> Iterator[None]:
        """Hold the study by an object that is renewed; see :mod:`remote_lock`."""
        with RemoteLock(self, progress) as lock:
            self._lock = lock
            try:
                yield
            finally:
                self._lock = None


class Listed(RemoteFiles):
    """Files that are listed once many were asked for, a folder at the top at a time."""

    def __init__(self, place: Url) -> None:
        super().__init__(place)
        self._asked: dict[str, int] = {}
        self._known: dict[str, Collection[str]] = {}
        self._alone = threading.Lock()

    def exists(self, name: str) -> bool:
        """Answer from a list, after the first few of a folder."""
        folder = name.partition("/")[0]
        with self._alone:
            self._asked[folder] = self._asked.get(folder, 0) + 1
            if self._asked[folder] > _FEW and folder not in self._known:
                self._known[folder] = self.names(folder)
        known = self._known.get(folder)
        return super().exists(name) if known is None else name in known


@lru_cache(maxsize=64)
def remote_files(place: Url) -> RemoteFiles:
    """Return the files at a URL: the same for all who ask in this process, so that it has one log.

    Raises:
        PackageError: What fsspec needs for such a URL is not installed.
        StudyError: fsspec knows no such URL.
    """
    return RemoteFiles(place)


_DEFAULTS: dict[str, dict[str, Any]] = {
    "s3": {"config_kwargs": {"connect_timeout": 10, "retries": {"max_attempts": 1}}},
}
"""Settings of file systems, unless fsspec's configuration has others: whether a request is tried
again is decided in one place, :func:`persistently`."""


def _file_system(place: Url) -> Any:
    import fsspec

    protocol = place.protocol
    own = fsspec.config.conf.get(protocol, {})
    defaults = {k: v for k, v in _DEFAULTS.get(protocol, {}).items() if k not in own}
    try:
        return fsspec.filesystem(protocol, use_listings_cache=False, **defaults)
    except ImportError as error:
        extra = "pip install 'goodteacher[s3]'" if protocol in ("s3", "s3a") else str(error)
        raise PackageError(f"{place} needs a package that is not installed: {extra}") from error
    except ValueError as error:
        known = ", ".join(f"{name}://" for name in ("s3", "gs", "abfs"))
        raise StudyError(
            f"{place} begins with {protocol}://, which fsspec does not know: {error}. Use a "
            f"folder, or a URL such as {known}."
        ) from error


def _fits(name: list[str], pattern: list[str]) -> bool:
    return len(name) == len(pattern) and all(
        fnmatchcase(part, re.sub(r"([\[\]])", r"[\1]", wanted))
        for part, wanted in zip(name, pattern, strict=True)
    )
