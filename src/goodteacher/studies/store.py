"""The store: the only place where a study is read and written, in a folder or at a URL.

Layout (DESIGN, section 6)::

    study.toml         the settings, complete and frozen
    environment.json   the machines and versions it has run on, first one first
    data.json          fingerprint, classes, split sizes
    events.jsonl       what ran, when, how long
    teachers/<key>/    trajectory.jsonl, checkpoints/*.safetensors, responses/*.safetensors
    students/<key>/    rows.parquet, predictions.safetensors, state.safetensors: one task each
    students.parquet   a row per trained student
    confirmed.safetensors   who of the confirmed students is right on the test split
    sweet_spot.json    the answer
    examples.json      a dozen telling examples, and what the teachers say of them
    student/           the delivered student
    report.html        the answer, drawn

A file that exists is whole: in a folder it is written under a temporary name and renamed, at a URL
it is an object, which is put at once. What it holds is noted first (``.checksums.jsonl`` in its
folder; see :mod:`goodteacher.studies.checksums`) and compared whenever it is read. A task is done
when its last file exists. The event log is appended; at a URL, where nothing can be, it is in
pieces below ``events/``. Nothing is ever unpickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from copy import copy
from pathlib import Path
from typing import Any, Self, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from goodteacher.config import Frozen, differences, parse, read_toml, to_toml
from goodteacher.errors import ConfigError, StudyError
from goodteacher.studies.backends import Files, files_of
from goodteacher.studies.checksums import fits, read_event, sealed
from goodteacher.studies.damage import damage, not_written, parsed, reading
from goodteacher.studies.files import CONFIG_FILE, EVENTS_FILE, RECORDED_FOLDER
from goodteacher.studies.places import Place, Url, place_of
from goodteacher.studies.progress import Progress, Silent
from goodteacher.studies.several import holds_several, study_folders, which_study
from goodteacher.studies.tensor_files import saved_once, tensors_of
from goodteacher.studies.verified import content_of, is_intact, local_of, noted_below, what_restores

ModelT = TypeVar("ModelT", bound=Frozen)
ConfigT = TypeVar("ConfigT", bound=Frozen)


class Store:
    """One study: its results and its log, in a folder or at a URL.

    It can be sent to other processes, which then read and write the same study.

    Args:
        root: The folder, or the URL; use :meth:`create` or :meth:`open` for a study that is not
            known to be there.
        noted: Whether what files hold is noted beside them; not in a folder that leaves the study,
            such as an export.
    """

    def __init__(self, root: Path | str, *, noted: bool = True) -> None:
        self.files: Files = files_of(place_of(root), noted=noted)

    @property
    def root(self) -> Place:
        """Where the study is; ``/`` leads to what is in it, in messages."""
        return self.files.place

    @property
    def name(self) -> str:
        """The last part of where the study is."""
        return self.root.resolve().name

    @classmethod
    def create(cls, root: Path | str, config: Frozen) -> Self:
        """Make a study, or go on with one of the same settings.

        Raises:
            StudyError: The path is a file, cannot be written, holds other things, or holds a study
                with other settings (the message names what differs).
        """
        cls.check(root, config)
        store = cls(root)
        store.write_text(CONFIG_FILE, to_toml(config))
        return store

    @staticmethod
    def check(root: Path | str, config: Frozen, *, but: Collection[str] = ()) -> None:
        """Say whether :meth:`create` would work, touching nothing.

        Args:
            root: The folder, or the URL.
            config: The settings.
            but: Settings that are not compared with those of the folder.

        Raises:
            StudyError: See :meth:`create`.
        """
        store = Store(root)
        store.files.check()
        if holds_several(store.root):
            raise StudyError(
                f"{which_study(store.root)} To go on, give all of its students to goodteacher "
                "search; or name a new folder with --out."
            )
        if store.intact(CONFIG_FILE):
            _check_same(store.root, store.config(type(config)), config, but)
        elif store.has_lost_settings():
            store._check_lost(config, but)
        elif holds_other_things(store.root):
            raise StudyError(
                f"{store.root} is not empty and holds no {CONFIG_FILE}, so it is not a study. "
                "Name a new folder with --out."
            )

    def has_lost_settings(self) -> bool:
        """Say whether this is a study whose settings are damaged or missing."""
        if self.exists(CONFIG_FILE):
            return not self.intact(CONFIG_FILE)
        return bool(self.files.notes(CONFIG_FILE)) and bool(
            self.files.sizes().keys() - {CONFIG_FILE}
        )

    def was_noted(self, name: str, text: str) -> bool:
        """Say whether a text is what a file held that is damaged or missing now."""
        content = text.encode()
        notes = self.files.notes(name)
        return fits(notes, len(content), hashlib.sha256(content).hexdigest())

    def _check_lost(self, config: Frozen, but: Collection[str]) -> None:
        """Say whether settings are those that were lost.

        They are if what is there says the same, or by the digest of what would be written.
        """
        with contextlib.suppress(StudyError, FileNotFoundError):
            place, path = self.root / CONFIG_FILE, self.files.local(CONFIG_FILE)
            if not differences(_settings(place, path, type(config)), config):
                return
        if (
            not self.was_noted(CONFIG_FILE, to_toml(config)) and not but
        ):  # with these, the settings are not complete yet
            raise StudyError(
                f"{self.root / CONFIG_FILE}, the settings of the study, was changed or cut since "
                "it was written, or is missing, and the settings given are not those that it was "
                "made with. Give exactly those, and it is written again; or name a new folder with "
                "--out."
            )

    @classmethod
    def open(cls, root: Path | str) -> Self:
        """Open a study that exists.

        Raises:
            StudyError: There is no study at ``root``.
        """
        store = cls(root)
        if not store.exists(CONFIG_FILE):
            if store.has_lost_settings():
                raise StudyError(
                    f"{store.root / CONFIG_FILE}, the settings of the study, is missing. "
                    + what_restores([CONFIG_FILE], store.root)
                )
            if holds_several(store.root):
                folders = study_folders(store.root)
                raise StudyError(
                    f"{which_study(store.root)} Name one of these folders in its place, such as "
                    f"{next(iter(folders.values()))}."
                )
            raise StudyError(
                f"{store.root} is not a study: it has no {CONFIG_FILE}. Make one with goodteacher "
                "search."
            )
        return store

    def config(self, kind: type[ConfigT]) -> ConfigT:
        """Return the settings that the study was made with.

        Raises:
            StudyError: The file is damaged, or holds other settings than of this kind.
        """
        return _settings(self.root / CONFIG_FILE, self.local(CONFIG_FILE), kind)

    def path(self, *parts: str) -> Path:
        """Return a path inside the folder of a study that is in one.

        Raises:
            StudyError: The study is at a URL, where files are read and written by name.
        """
        if isinstance(self.root, Url):
            raise StudyError(
                f"{self.root} is not a folder on this machine, so {'/'.join(parts)} has no path "
                f"here. store.local({'/'.join(parts)!r}) fetches a copy."
            )
        return self.root.joinpath(*parts)

    def exists(self, *parts: str) -> bool:
        """Say whether a file exists; a file that exists is whole."""
        return self.files.exists("/".join(parts))

    def intact(self, name: str) -> bool:
        """Say whether a file exists and is as it was written."""
        return is_intact(self.files, name)

    def listed(self) -> Store:
        """Return the same study for many questions at a time about what exists.

        At a URL few requests answer all of them; what is written meanwhile may be missing from the
        answers.
        """
        listed = copy(self)
        listed.files = self.files.listed()
        return listed

    def matching(self, pattern: str) -> list[str]:
        """Return the names of files that a pattern fits, such as ``teachers/*/trajectory.jsonl``.

        They are in order; no ``*`` stands for a ``/``.
        """
        return self.files.matching(pattern)

    def num_bytes(self, folder: str) -> int:
        """Return the size of all files below a folder."""
        return self.files.num_bytes(folder)

    def lock(self, progress: Progress | None = None) -> AbstractContextManager[None]:
        """Hold the study alone.

        Args:
            progress: Told where it takes a while to see whether another holder is still at work.

        Raises:
            StudyError: Another process holds it.
        """
        return self.files.lock(progress or Silent())

    def is_held(self) -> bool:
        """Say whether a process is at work on the study; see :meth:`Files.is_held`."""
        return self.files.is_held()

    # Writing: whole or not at all.

    @contextlib.contextmanager
    def writing(self, *parts: str) -> Iterator[Path]:
        """Give a temporary path that becomes the named file when the block ends well."""
        name = "/".join(parts)
        try:
            with self.files.writing(name) as temporary:
                yield temporary
        except (OSError, SafetensorError) as error:
            raise not_written(self.root / name, error) from error

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
        """Write named tensors as safetensors.

        Tensors that are one in memory (tied weights) are written once; their other names are in the
        file's metadata, as ``safetensors.torch.save_model`` puts them there.
        """
        plain, tied = saved_once(tensors)
        with self.writing(name) as path:
            save_file(plain, path, metadata={"format": "pt", **tied, **notes})

    def take_over(self, name: str, lender: Store, source: str) -> None:
        """Take a file of another study over: linked where the disk allows it, else copied.

        Args:
            name: What it is called here.
            lender: The other study.
            source: What it is called there.

        Raises:
            StudyError: It is not there, or cannot be written here.
        """
        path = lender.local(source)
        try:
            self.files.take_over(name, path)
        except OSError as error:
            with reading(lender.root / source, "a file"):
                path.stat()
            raise not_written(self.root / name, error) from error

    def remove(self, name: str) -> None:
        """Remove a file that later work no longer needs."""
        self.files.remove(name)

    # Reading.

    def read_json(self, name: str, kind: type[ModelT]) -> ModelT:
        """Read a JSON result.

        Raises:
            StudyError: The file is missing or was not written by this version.
        """
        return parsed(self.root / name, kind, self.read_text(name))

    def read_records(self, name: str, kind: type[ModelT]) -> list[ModelT]:
        """Read JSON lines; a missing file holds no records.

        Raises:
            StudyError: The file is damaged or was not written by this version.
        """
        place = self.root / name
        with reading(place, "text"):
            try:
                lines = content_of(self.files, name).decode("utf-8").splitlines()
            except FileNotFoundError:
                return []
        return [parsed(place, kind, line) for line in lines]

    def read_table(self, name: str, kind: type[ModelT]) -> list[ModelT]:
        """Read the rows of a Parquet table.

        Raises:
            StudyError: The file is missing, damaged, or was not written by this version.
        """
        what = f"a table of {kind.__name__}"
        with reading(self.root / name, what), _table(content_of(self.files, name)) as file:
            return [kind.model_validate(row) for row in file.read(use_threads=False).to_pylist()]

    def read_tensors(self, name: str) -> dict[str, torch.Tensor]:
        """Read named tensors, tied ones under each of their names.

        Raises:
            StudyError: The file is missing or damaged.
        """
        with reading(self.root / name, "tensors"):
            return tensors_of(local_of(self.files, name))

    def read_notes(self, name: str) -> dict[str, str]:
        """Read the notes beside named tensors.

        Raises:
            StudyError: The file is missing or damaged.
        """
        where = self.root / name
        with reading(where, "tensors"), safe_open(local_of(self.files, name), "pt") as file:
            return dict(file.metadata() or {})

    def read_text(self, name: str) -> str:
        """Read a text file.

        Raises:
            StudyError: The file is missing, or holds no text.
        """
        with reading(self.root / name, "text"):
            return content_of(self.files, name).decode("utf-8")

    def local(self, name: str) -> Path:
        """Return a file of this machine that holds what a file of the study does, to be read.

        It is the file itself where the study is in a folder, and else a copy that was fetched.

        Raises:
            StudyError: The study is at a URL, and the file is not there.
        """
        with reading(self.root / name, "a file"):
            return local_of(self.files, name)

    def local_folder(self, name: str) -> Path:
        """Return a folder of this machine that holds what one of the study does, to be read.

        Raises:
            StudyError: A file of it is missing, or not as it was written.
        """
        for file in noted_below(self.files, name):
            self.local(file)
        return self.files.local_folder(name)

    @property
    def log_place(self) -> Place:
        """Where the log is."""
        return self.files.log_place

    # The event log: its last line may be torn after a kill; readers skip it.

    def log(self, event: str, **details: Any) -> None:
        """Add an event to the log; several processes may."""
        try:
            self.files.log(sealed({"time": time.time(), "event": event, **details}))
        except OSError as error:
            raise not_written(self.log_place, error) from error

    def events(self) -> list[dict[str, Any]]:
        """Return the events so far, oldest first; lines that are not whole are left out."""
        with reading(self.root / EVENTS_FILE, "text"):
            found = map(read_event, self.files.logged())
        return [event for event in found if event is not None]


def _table(content: bytes) -> pq.ParquetFile:
    # Not pq.read_table, which takes a folder for a table of many files.
    return pq.ParquetFile(pa.BufferReader(content))


def holds_other_things(place: Place) -> bool:
    """Say whether a place without a study holds anything but runs that a search recorded."""
    return any(name != RECORDED_FOLDER for name in files_of(place).top())


def _settings(shown: Place, path: Path, kind: type[ConfigT]) -> ConfigT:
    try:
        return parse(kind, **read_toml(path))
    except ConfigError as error:
        reason = damage(path) or (
            f"{error} Was it edited, or written by another version of goodteacher, or by another "
            "command?"
        )
        raise StudyError(f"{shown} does not hold the settings of a study: {reason}") from error


def _check_same(place: Place, old: Frozen, new: Frozen, but: Collection[str]) -> None:
    changed = {n: pair for n, pair in differences(old, new).items() if n not in but}
    if changed:
        lines = "; ".join(f"{name} was {a!r}, now {b!r}" for name, (a, b) in changed.items())
        raise StudyError(
            f"{place} holds a study with other settings: {lines}. "
            "Give the same settings to go on with it, or name a new folder with --out."
        )
