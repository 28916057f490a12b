"""Which files of a study are not as they were written, and making way for them to be made again.

A task is done when its last file exists. So where a file of a task is damaged or missing, its last
one is removed: the next command finds the task undone and does it again, and what was made of it
goes on as it would have. Tasks are pure functions, so the study ends with the same numbers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

from goodteacher.data import shorten
from goodteacher.errors import StudyError
from goodteacher.studies.backends import Files
from goodteacher.studies.checksums import digest_of, fits
from goodteacher.studies.files import (
    CONFIG_FILE,
    CONFIRMED_FILE,
    LAST_FILES,
    OWN_FILES,
    OWN_FOLDERS,
    REPORT_FILE,
    RESULT_FILE,
    STUDENTS_FILE,
    SWEET_SPOT_FILE,
    TABLE_FILE,
    TEST_FILE,
)
from goodteacher.studies.local_files import LocalFiles
from goodteacher.studies.places import Place
from goodteacher.studies.progress import Progress, say
from goodteacher.studies.store import Store
from goodteacher.studies.verified import is_of_export, is_of_verify, what_restores

_PRODUCTS = ("student/", "baseline/", TABLE_FILE, CONFIRMED_FILE)
"""What is written together with the answer, which is therefore written again."""
_SHOWN = 4
_SHARES = 64
"""Of files that are read at a time, each by one thread."""


@dataclass(frozen=True)
class Audit:
    """Files of a study that are not as they were written.

    Attributes:
        damaged: Changed, cut or replaced.
        missing: Gone; the name of a folder of which nothing is left ends with ``/``.
        unknown: There without a checksum, so that nobody knows whether they are whole.
        num_files: All files that were looked at.
        num_bytes: Their size.
    """

    damaged: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    num_files: int = 0
    num_bytes: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(sorted({*self.damaged, *self.missing, *self.unknown}))


def audit(files: Files, *, contents: bool = True) -> Audit:
    """Compare every file of a study with what was noted of it.

    Args:
        files: Of the study.
        contents: Read files that are on this machine; otherwise sizes are compared. At a URL
            contents are compared when they are read.
    """
    sizes = {name: size for name, size in files.sizes().items() if is_own(name)}
    notes = {name: of for name, of in files.all_notes().items() if is_own(name)}
    missing = [n for n, of in notes.items() if of[-1].sha256 is not None and n not in sizes]
    known = {name: size for name, size in sizes.items() if name in notes}
    damaged = [name for name, size in known.items() if not fits(notes[name], size)]
    if contents and isinstance(files, LocalFiles):
        whole = [name for name in known if name not in damaged]
        with ThreadPoolExecutor() as pool:
            shares = [whole[first::_SHARES] for first in range(_SHARES)]
            for share, read in zip(shares, pool.map(partial(_digests, files), shares), strict=True):
                found = zip(share, read, strict=True)
                damaged += [n for n, sha256 in found if not fits(notes[n], sizes[n], sha256)]
    missing += _folders_gone(files, {*sizes, *notes})
    unknown = sizes.keys() - notes.keys()
    return Audit(
        damaged=tuple(sorted(damaged)),
        missing=tuple(sorted(missing)),
        unknown=tuple(sorted(unknown)),
        num_files=len(sizes),
        num_bytes=sum(sizes.values()),
    )


def _digests(files: LocalFiles, names: Sequence[str]) -> list[str]:
    return [digest_of(files.local(name)) for name in names]


def _folders_gone(files: Files, names: Collection[str]) -> list[str]:
    """Return the folders of which neither files nor notes are left, though there were."""
    there = set[str]()
    for name in names:
        folder = name.rpartition("/")[0]
        while folder and f"{folder}/" not in there:
            there.add(f"{folder}/")
            folder = folder.rpartition("/")[0]
    gone = {name for name in files.noted_folders() if is_own(name) and name not in there}
    return [
        name for name in gone if not {f"{above}/" for above in PurePosixPath(name).parents} & gone
    ]


def is_own(name: str) -> bool:
    """Say whether a name is one that goodteacher gives, rather than a file of the user's."""
    top, slash, _ = name.partition("/")
    return top in OWN_FOLDERS if slash else top in OWN_FILES


def require_whole(store: Store, *, makes: Callable[[str], bool] = lambda _: False) -> None:
    """Refuse a study that lacks files, or has some of another size than was noted.

    What is read is compared as a whole when it is; what is not there could only be overlooked.

    Args:
        store: The study.
        makes: Says whether the command that has begun makes a file.

    Raises:
        StudyError: See above; the message names the files.
    """
    for pause in (0.3, 0.0):
        found = audit(store.files, contents=False)
        # The report is read by people alone.
        names = [name for name in found.names if name != REPORT_FILE and not makes(name)]
        if not names:
            return
        time.sleep(pause)  # another process may be about to give a file its name
    raise StudyError(_lacking(store.root, names))


def restore(
    place: Place | str, progress: Progress, *, makes: Callable[[str], bool] = lambda _: True
) -> None:
    """Make way for what is damaged, missing or not accounted for to be made again.

    What is there is moved to ``.damaged``. Settings are left: :meth:`Store.create` sees to them.

    Args:
        place: A study, or the folder of several; nothing happens where there is none.
        progress: Told which files are made again.
        makes: Says whether the command that has begun makes a file.

    Raises:
        StudyError: It does not make one that is damaged, or another process holds the study.
    """
    store = Store(place)
    files = store.files
    if not any(files.exists(name) or files.notes(name) for name in (CONFIG_FILE, STUDENTS_FILE)):
        return
    found = audit(files)
    names = [name for name in found.names if name not in (CONFIG_FILE, STUDENTS_FILE)]
    if not names:
        return
    others = [name for name in names if not makes(name)]
    if others:
        raise StudyError(_lacking(store.root, others))
    with store.lock(progress):
        for name in names:
            if name not in found.missing:
                store.files.set_aside(name)
        for name in names:
            _undo(store, name)
    say(progress, _told(store.root, names, found))


def _undo(store: Store, name: str) -> None:
    """Remove what says that a file has been made."""
    is_tested = name.endswith((TEST_FILE, "/"))  # or a folder that is gone, with all that it held
    if name.startswith(_PRODUCTS) or (is_tested and not is_of_verify(name)):
        for answer in (SWEET_SPOT_FILE, RESULT_FILE):
            _drop(store, answer)
    last = last_file_of(store, name)
    if last is not None:
        _drop(store, last)


def last_file_of(store: Store, name: str) -> str | None:
    """Return the last file of the task that a file is of, there or not; None if it is of none."""
    for folder in PurePosixPath(name).parents:
        for last in (f"{folder}/{each}" for each in LAST_FILES):
            if store.files.notes(last) or store.exists(last):
                return last
    return None


def _drop(store: Store, name: str) -> None:
    if store.exists(name):
        store.remove(name)


def _lacking(root: Place, names: Sequence[str]) -> str:
    places = shorten([root / name for name in names], _SHOWN)
    return (
        f"{places} {_are(names)} damaged, missing or not accounted for. "
        f"{what_restores(names, root)}"
    )


def _told(root: Place, names: Sequence[str], found: Audit) -> str:
    kept = " What was damaged is in .damaged." if found.damaged or found.unknown else ""
    others = [name for name in names if is_of_verify(name) or is_of_export(name)]
    more = f" {what_restores(others, root)}" if others else ""
    return (
        f"{shorten(names, _SHOWN)} {_are(names)} damaged, missing or not accounted for, and "
        f"{_are(names)} made again, with what depends on them.{kept}{more}"
    )


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
