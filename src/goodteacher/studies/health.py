"""What the doctor says of a study: which files are not as they were, and what that costs."""

from __future__ import annotations

import math
from pathlib import PurePosixPath

from goodteacher.config import Frozen
from goodteacher.studies.files import STUDENTS_FILE, TASK_FOLDERS
from goodteacher.studies.places import Place
from goodteacher.studies.restoring import audit, last_file_of
from goodteacher.studies.store import Store
from goodteacher.studies.verified import what_restores


class Health(Frozen):
    """How the files of a study are.

    Attributes:
        study: Where it is.
        num_files: Files that were looked at.
        num_bytes: Their size.
        damaged: Files that were changed, cut or replaced since they were written.
        missing: Files that are gone; the name of a folder of which nothing is left ends with ``/``.
        unknown: Files without a checksum, so that nobody knows whether they are whole.
        tasks: Tasks that are done again to restore them, by key.
        seconds: What these took, by the log; None where it does not say of all.
        advice: What restores them; empty where nothing is wrong.
        at_work: Whether a process is at work on the study.
    """

    study: str
    num_files: int
    num_bytes: int
    damaged: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    seconds: float | None = 0.0
    advice: str = ""
    at_work: bool = False

    @property
    def whole(self) -> bool:
        """Whether every file is as it was written."""
        return not (self.damaged or self.missing or self.unknown)


def health_of(place: Place | str, *, accept: bool = False) -> Health:
    """Compare every file of a study with its checksum.

    Args:
        place: The study, or the folder of several: of what they share.
        accept: Note files without a checksum as they are, for whoever knows that they are whole.

    Raises:
        StudyError: There is no study, or a later version of goodteacher has written it.
    """
    store = Store(place)
    if not store.has_lost_settings() and not store.files.exists(STUDENTS_FILE):
        store = Store.open(place)
    found = audit(store.files)
    if accept and found.unknown:
        with store.lock():
            for name in found.unknown:
                store.files.note(name)
        found = audit(store.files)
    tasks = sorted({key for name in found.names if (key := _task(store, name))})
    took = {e.get("task"): e.get("seconds") for e in store.events() if e["event"] == "task_done"}
    seconds = [took.get(key) for key in tasks]
    known = [float(each) for each in seconds if isinstance(each, float | int)]
    return Health(
        study=str(store.root),
        num_files=found.num_files,
        num_bytes=found.num_bytes,
        damaged=found.damaged,
        missing=found.missing,
        unknown=found.unknown,
        tasks=tuple(tasks),
        seconds=math.fsum(known) if len(known) == len(tasks) else None,
        advice=what_restores(found.names, None) if found.names else "",
        at_work=store.is_held(),
    )


def _task(store: Store, name: str) -> str | None:
    """Return the key of the task that a file is of."""
    last = last_file_of(store, name)
    if last is not None:
        return str(PurePosixPath(*PurePosixPath(last).parent.parts[1:]))
    top, _, below = name.rstrip("/").partition("/")
    return below if name.endswith("/") and top in TASK_FOLDERS else None
