"""The study folder: the only place where a study is read and written.

Layout (DESIGN, section 6)::

    study.toml         the settings, complete and frozen
    environment.json   versions, device
    data.json          fingerprint, classes, split sizes
    events.jsonl       what ran, when, how long
    teachers/<key>/    trajectory.jsonl, checkpoints/*.safetensors, responses/*.safetensors
    students/<key>/    rows.parquet, predictions.safetensors, state.safetensors: one task each
    students.parquet   a row per trained student
    sweet_spot.json    the answer
    student/           the delivered student
    report.html        the answer, drawn

Every file but the event log is written under a temporary name and renamed, so a file that exists is
whole; a task is done when its last file exists. Nothing is ever unpickled.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import time
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Self, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from filelock import FileLock, Timeout
from safetensors import safe_open
from safetensors.torch import save_file

from goodteacher.config import Frozen, differences, parse, read_toml, to_toml
from goodteacher.errors import StudyError

ModelT = TypeVar("ModelT", bound=Frozen)
ConfigT = TypeVar("ConfigT", bound=Frozen)

CONFIG_FILE = "study.toml"


class Store:
    """One study folder.

    Args:
        root: The folder; it must exist. Use :meth:`create` or :meth:`open`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def create(cls, root: Path | str, config: Frozen) -> Self:
        """Make a study folder, or go on with one of the same settings.

        Raises:
            StudyError: The path is a file, cannot be written, holds other things, or holds a study
                with other settings (the message names what differs).
        """
        path = Path(root)
        cls.check(path, config)
        store = cls(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            store.write_text(CONFIG_FILE, to_toml(config))
        except OSError as error:  # a full or read-only disk shows only when written to
            raise StudyError(
                f"{path} cannot be written: {error.strerror}. Name another folder with --out."
            ) from None
        return store

    @staticmethod
    def check(path: Path, config: Frozen) -> None:
        """Say whether :meth:`create` would work, touching nothing.

        Raises:
            StudyError: See :meth:`create`.
        """
        _check_usable(path)
        existing = path / CONFIG_FILE
        if existing.exists():
            _check_same(path, parse(type(config), **read_toml(existing)), config)
        elif path.exists() and any(path.iterdir()):
            raise StudyError(
                f"{path} is not empty and holds no {CONFIG_FILE}, so it is not a study. "
                "Name a new folder with --out."
            )

    @classmethod
    def open(cls, root: Path | str) -> Self:
        """Open a study folder that exists.

        Raises:
            StudyError: There is no study at ``root``.
        """
        path = Path(root)
        if not (path / CONFIG_FILE).is_file():
            raise StudyError(
                f"{path} is not a study: it has no {CONFIG_FILE}. Make one with goodteacher search."
            )
        return cls(path)

    def config(self, kind: type[ConfigT]) -> ConfigT:
        """Return the settings that the folder was made with."""
        return parse(kind, **read_toml(self.root / CONFIG_FILE))

    def path(self, *parts: str) -> Path:
        """Return a path inside the folder."""
        return self.root.joinpath(*parts)

    def exists(self, *parts: str) -> bool:
        """Say whether a file exists; a file that exists is whole."""
        return self.path(*parts).exists()

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder alone.

        Raises:
            StudyError: Another process holds it.
        """
        lock = FileLock(self.root / ".lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise StudyError(
                f"{self.root} is in use by another goodteacher process. "
                "Wait for it, end it, or name another folder."
            ) from None
        try:
            yield
        finally:
            lock.release()

    # Writing: always a temporary name first, then one rename.

    @contextlib.contextmanager
    def writing(self, *parts: str) -> Iterator[Path]:
        """Give a temporary path that becomes the named file when the block ends well."""
        target = self.path(*parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            yield temporary
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def write_text(self, name: str, text: str) -> None:
        """Write a text file."""
        with self.writing(name) as path:
            path.write_text(text, encoding="utf-8")

    def write_json(self, name: str, value: Frozen | Mapping[str, Any]) -> None:
        """Write a result as JSON."""
        plain = value.model_dump(mode="json") if isinstance(value, Frozen) else dict(value)
        self.write_text(name, json.dumps(plain, indent=2) + "\n")

    def write_records(self, name: str, records: Iterable[Frozen]) -> None:
        """Write records as JSON lines."""
        self.write_text(name, "".join(record.model_dump_json() + "\n" for record in records))

    def write_table(self, name: str, rows: Iterable[Frozen], kind: type[Frozen]) -> None:
        """Write rows as Parquet; columns and their order are the fields of ``kind``."""
        columns = list(kind.model_fields)
        plain = [row.model_dump(mode="json") for row in rows]
        table = pa.table({name: pa.array([row[name] for row in plain]) for name in columns})
        with self.writing(name) as path:
            pq.write_table(table, path)

    def write_tensors(self, name: str, tensors: Mapping[str, torch.Tensor], **notes: str) -> None:
        """Write named tensors as safetensors."""
        plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
        with self.writing(name) as path:
            save_file(plain, path, metadata={"format": "pt", **notes})

    def remove(self, name: str) -> None:
        """Remove a file that later work no longer needs."""
        self.path(name).unlink(missing_ok=True)

    # Reading.

    def read_json(self, name: str, kind: type[ModelT]) -> ModelT:
        """Read a JSON result.

        Raises:
            StudyError: The file is missing or was not written by this version.
        """
        return _parsed(self.path(name), kind, self._text(name))

    def read_records(self, name: str, kind: type[ModelT]) -> list[ModelT]:
        """Read JSON lines; a missing file holds no records."""
        if not self.exists(name):
            return []
        return [_parsed(self.path(name), kind, line) for line in self._text(name).splitlines()]

    def read_table(self, name: str, kind: type[ModelT]) -> list[ModelT]:
        """Read the rows of a Parquet table."""
        rows = pq.read_table(self.path(name)).to_pylist()
        return [kind.model_validate(row) for row in rows]

    def read_tensors(self, name: str) -> dict[str, torch.Tensor]:
        """Read named tensors."""
        with safe_open(self.path(name), framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118

    def read_notes(self, name: str) -> dict[str, str]:
        """Read the notes beside named tensors."""
        with safe_open(self.path(name), framework="pt") as file:
            return dict(file.metadata() or {})

    def _text(self, name: str) -> str:
        try:
            return self.path(name).read_text(encoding="utf-8")
        except OSError as error:
            raise StudyError(
                f"{self.path(name)} cannot be read: {error.strerror}. Has the study finished?"
            ) from None

    # The event log: appended, so its last line may be torn after a kill; readers skip it.

    def log(self, event: str, **details: Any) -> None:
        """Append an event to ``events.jsonl``."""
        line = json.dumps({"time": time.time(), "event": event, **details})
        with self.path("events.jsonl").open("a", encoding="utf-8") as handle:
            handle.write(line + "\n")

    def events(self) -> list[dict[str, Any]]:
        """Return the events so far, oldest first."""
        if not self.exists("events.jsonl"):
            return []
        found = []
        for line in self._text("events.jsonl").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                found.append(json.loads(line))
        return found


def environment(device: str) -> dict[str, Any]:
    """Describe the machine and the versions that a study ran on."""
    packages = ("goodteacher", "torch", "numpy", "scipy", "scikit-learn", "pyarrow")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": device,
        "versions": {name: metadata.version(name) for name in packages},
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def _parsed(path: Path, kind: type[ModelT], text: str) -> ModelT:
    try:
        return kind.model_validate_json(text)
    except ValueError as error:
        first = str(error).splitlines()[0]
        raise StudyError(
            f"{path} does not hold a {kind.__name__}: {first}. Was it edited, or written by "
            "another version of goodteacher?"
        ) from None


def _check_usable(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise StudyError(f"{path} is a file, but a study is a folder. Name another with --out.")
    parent = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise StudyError(
            f"{path} cannot be made: {parent} is not a folder that you may write to. "
            "Name another with --out."
        )


def _check_same(path: Path, old: Frozen, new: Frozen) -> None:
    changed = differences(old, new)
    if changed:
        lines = "; ".join(f"{name} was {a!r}, now {b!r}" for name, (a, b) in changed.items())
        raise StudyError(
            f"{path} holds a study with other settings: {lines}. "
            "Give the same settings to go on with it, or name a new folder with --out."
        )
