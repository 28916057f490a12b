"""Reading what is as it was written: every file is compared with what was noted of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from goodteacher.errors import StudyError
from goodteacher.studies.backends import Files
from goodteacher.studies.checksums import NOTES_FILE, digest_of, fits, is_free
from goodteacher.studies.damage import damage
from goodteacher.studies.files import (
    CONFIG_FILE,
    EVIDENCE_FILE,
    EXPORT_FILE,
    MODEL_CARD_FILE,
    STUDENTS_FILE,
    VERDICT_FILE,
    VERIFY_SEEDS,
)
from goodteacher.studies.places import Place


class DamagedError(StudyError):
    """A file is not as it was written, or nothing is known of how that was."""


def content_of(files: Files, name: str) -> bytes:
    """Return what a file holds, once that is as it was written.

    Raises:
        FileNotFoundError: There is none.
        DamagedError: It is not.
    """
    content = b""

    def seen() -> tuple[int, str]:
        nonlocal content
        content = files.read(name)
        return len(content), hashlib.sha256(content).hexdigest()

    _compare(files, name, seen)
    return content


def local_of(files: Files, name: str) -> Path:
    """Return a file of this machine with the same content, once that is as it was written.

    A file that does not change is looked through once in a process.

    Raises:
        FileNotFoundError: There is none.
        DamagedError: It is not as it was written.
    """
    path = Path()

    def seen() -> tuple[int, str]:
        nonlocal path
        path = files.local(name)
        return path.stat().st_size, digest_of(path)

    _compare(files, name, seen)
    return path


def is_intact(files: Files, name: str) -> bool:
    """Say whether a file is there, as it was written."""
    if not files.exists(name):
        return False
    try:
        local_of(files, name)
    except (DamagedError, OSError):
        return False
    return True


def noted_below(files: Files, folder: str) -> list[str]:
    """Return the files below a folder that were written there and not removed.

    Where they must have notes, those that are there without any are among them.
    """
    below = f"{folder}/" if folder else ""
    notes = {name: of for name, of in files.all_notes().items() if name.startswith(below)}
    found = {name for name, of in notes.items() if of[-1].sha256 is not None}
    if is_kept(files):
        found |= {name for name in files.sizes() if name.startswith(below)}
    return sorted(found)


def _compare(files: Files, name: str, seen: Callable[[], tuple[int, str]]) -> None:
    """Compare a file with its notes; again where another process may just have replaced it."""
    if is_free(name):
        seen()
        return
    for again in (False, True):
        size, sha256 = seen()
        notes = files.notes(name, again=again)
        if fits(notes, size, sha256):
            return
    where = files.place / name
    if notes:
        raise DamagedError(_changed(where, files.place, name))
    if is_kept(files):
        raise DamagedError(
            f"{where} is not accounted for: {NOTES_FILE} in its folder has no checksum of it, so "
            f"it may not be whole{_seen(where)}. {what_restores([name], files.place)} "
            f"If you know that it is whole: goodteacher doctor {files.place} --accept notes it."
        )


def is_kept(files: Files) -> bool:
    """Say whether files must have notes: those of a study, and of a folder of several.

    A student's folder that was downloaded, or runs that another program recorded, may have none.
    """
    return any(files.exists(name) for name in (CONFIG_FILE, STUDENTS_FILE))


def what_restores(names: Iterable[str], place: Place | None) -> str:
    """Say which commands make files of a study again.

    Args:
        names: The files.
        place: The study, whose doctor is named; None names none.
    """
    names = list(names)
    verify, export = sum(map(is_of_verify, names)), sum(map(is_of_export, names))
    found = []
    if verify + export < len(names):
        found.append(
            "Give the command that made it again, with the same settings: it makes again what is "
            "damaged or missing."
        )
    if verify:
        found.append("goodteacher verify, with the same settings, makes its own files again.")
    if export:
        found.append("goodteacher export makes its own files again.")
    if place is not None:
        found.append(f"goodteacher doctor {place} says what is damaged.")
    return " ".join(found)


def is_of_verify(name: str) -> bool:
    """Say whether ``verify`` makes a file of a study that a search has made."""
    seed = name.partition("-seed-")[2].partition("-")[0]
    return name in (VERDICT_FILE, EVIDENCE_FILE) or (seed.isdigit() and int(seed) in VERIFY_SEEDS)


def is_of_export(name: str) -> bool:
    """Say whether ``export`` makes a file of a study."""
    return name in (EXPORT_FILE, MODEL_CARD_FILE)


def _changed(where: Place, root: Place, name: str) -> str:
    return (
        f"{where} was changed or cut since it was written: it is not what its checksum says"
        f"{_seen(where)}. {what_restores([name], root)}"
    )


def _seen(where: Place) -> str:
    """Say what a file is instead, where that can be seen."""
    reason = damage(where) if isinstance(where, Path) else None
    return f". {reason[:1].upper()}{reason[1:]}".rstrip(".") if reason else ""
