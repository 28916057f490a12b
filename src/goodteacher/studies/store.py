"""The study folder: the only place where a study is read and written.

Layout (DESIGN, section 6)::

    study.toml         the settings, complete and frozen
    environment.json   the machines and versions it has run on, first one first
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
import shutil
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from filelock import FileLock, Timeout
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from goodteacher.config import Frozen, differences, parse, read_toml, to_toml
from goodteacher.errors import ConfigError, StudyError
from goodteacher.studies.files import RECORDED_FOLDER
from goodteacher.studies.several import holds_several, study_folders, which_study

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
    def check(path: Path, config: Frozen, *, but: Collection[str] = ()) -> None:
        """Say whether :meth:`create` would work, touching nothing.

        Args:
            path: The folder.
            config: The settings.
            but: Settings that are not compared with those of the folder.

        Raises:
            StudyError: See :meth:`create`.
        """
        check_usable(path)
        existing = path / CONFIG_FILE
        if holds_several(path):
            raise StudyError(
                f"{which_study(path)} To go on, give all of its students to goodteacher search; "
                "or name a new folder with --out."
            )
        if existing.exists():
            _check_same(path, _settings(existing, type(config)), config, but)
        elif holds_other_things(path):
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
        if holds_several(path):
            raise StudyError(
                f"{which_study(path)} Name one of these folders in its place, such as "
                f"{next(iter(study_folders(path).values()))}."
            )
        if not (path / CONFIG_FILE).is_file():
            raise StudyError(
                f"{path} is not a study: it has no {CONFIG_FILE}. Make one with goodteacher search."
            )
        return cls(path)

    def config(self, kind: type[ConfigT]) -> ConfigT:
        """Return the settings that the folder was made with.

        Raises:
            StudyError: The file is damaged, or holds other settings than of this kind.
        """
        return _settings(self.root / CONFIG_FILE, kind)

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
        except Timeout:  # an OSError too
            raise StudyError(
                f"{self.root} is in use by another goodteacher process. "
                "Wait for it, end it, or name another folder."
            ) from None
        except OSError as error:
            raise StudyError(
                f"{self.root} cannot be written: {error.strerror}. Is the folder yours? Copy it to "
                "where you may write."
            ) from error
        try:
            yield
        finally:
            lock.release()

    # Writing: always a temporary name first, then one rename.

    @contextlib.contextmanager
    def writing(self, *parts: str) -> Iterator[Path]:
        """Give a temporary path that becomes the named file when the block ends well."""
        target = self.path(*parts)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            temporary.replace(target)
        except (OSError, SafetensorError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise StudyError(
                f"{target} cannot be written: {reason}. Is the disk full, or the folder yours? "
                "Mend that, and give the same command again: the work done so far is kept."
            ) from error
        finally:
            with contextlib.suppress(OSError):
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
        """Write named tensors as safetensors.

        Tensors that are one in memory (tied weights) are written once; their other names are in the
        file's metadata, as ``safetensors.torch.save_model`` puts them there.
        """
        plain, tied = _saved_once(tensors)
        with self.writing(name) as path:
            save_file(plain, path, metadata={"format": "pt", **tied, **notes})

    def take_over(self, name: str, source: Path) -> None:
        """Take a file of another study over: linked where the disk allows it, else copied.

        A link is safe, since files are replaced and never written into.

        Args:
            name: What it is called here.
            source: The file there.
        """
        with self.writing(name) as path:
            try:
                os.link(source, path)
            except OSError:  # another disk, or one that knows no links
                shutil.copyfile(source, path)

    def remove(self, name: str) -> None:
        """Remove a file that later work no longer needs."""
        self.path(name).unlink(missing_ok=True)

    # Reading.

    def read_json(self, name: str, kind: type[ModelT]) -> ModelT:
        """Read a JSON result.

        Raises:
            StudyError: The file is missing or was not written by this version.
        """
        return parsed(self.path(name), kind, self._text(name))

    def read_records(self, name: str, kind: type[ModelT]) -> list[ModelT]:
        """Read JSON lines; a missing file holds no records.

        Raises:
            StudyError: The file is damaged or was not written by this version.
        """
        if not self.exists(name):
            return []
        return [parsed(self.path(name), kind, line) for line in self._text(name).splitlines()]

    def read_table(self, name: str, kind: type[ModelT]) -> list[ModelT]:
        """Read the rows of a Parquet table.

        Raises:
            StudyError: The file is missing, damaged, or was not written by this version.
        """
        path = self.path(name)
        # Not pq.read_table, which takes a folder for a table of many files.
        with reading(path, f"a table of {kind.__name__}"), pq.ParquetFile(path) as file:
            return [kind.model_validate(row) for row in file.read().to_pylist()]

    def read_tensors(self, name: str) -> dict[str, torch.Tensor]:
        """Read named tensors, tied ones under each of their names.

        Raises:
            StudyError: The file is missing or damaged.
        """
        return read_tensors(self.path(name))

    def read_notes(self, name: str) -> dict[str, str]:
        """Read the notes beside named tensors.

        Raises:
            StudyError: The file is missing or damaged.
        """
        with reading(self.path(name), "tensors"), safe_open(self.path(name), "pt") as file:
            return dict(file.metadata() or {})

    def _text(self, name: str) -> str:
        with reading(self.path(name), "text"):
            return self.path(name).read_text(encoding="utf-8")

    # The event log: appended, so its last line may be torn after a kill; readers skip it.

    def log(self, event: str, **details: Any) -> None:
        """Append an event to ``events.jsonl``."""
        line = json.dumps({"time": time.time(), "event": event, **details})
        with self.path("events.jsonl").open("a", encoding="utf-8") as handle:
            handle.write(line + "\n")

    def events(self) -> list[dict[str, Any]]:
        """Return the events so far, oldest first; lines that hold none are left out."""
        if not self.exists("events.jsonl"):
            return []
        found = []
        for line in self._text("events.jsonl").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                found.append(json.loads(line))
        return [event for event in found if isinstance(event, dict) and "event" in event]


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read the named tensors of a safetensors file, tied ones under each of their names.

    Raises:
        StudyError: The file is missing or damaged.
    """
    with reading(path, "tensors"), safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        notes = dict(file.metadata() or {})
    tied = {key: tensors[kept] for key, kept in notes.items() if kept in tensors}
    return {**tied, **tensors}


def load_weights(network: nn.Module, tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Load a network's weights, all of them and no others.

    Args:
        network: Takes them.
        tensors: By name.
        path: The file that they come from, for messages.

    Raises:
        StudyError: They are another network's.
    """
    difference = weights_difference(network, tensors)
    if difference:
        raise StudyError(
            f"{path} holds the weights of another network: {difference}. Was one of the "
            "files replaced, or the factory of the network changed? Put the file back that belongs "
            "to this network."
        )
    network.load_state_dict(tensors)


def weights_difference(network: nn.Module, tensors: Mapping[str, torch.Tensor]) -> str | None:
    """Say which weights a network has and tensors have not, or the other way round; None if none.

    Args:
        network: Its weights are those expected.
        tensors: By name.
    """
    expected = network.state_dict()
    missing = [name for name in expected if name not in tensors]
    unknown = [name for name in tensors if name not in expected]
    other = [
        f"{name} is {list(tensors[name].shape)} instead of {list(value.shape)}"
        for name, value in expected.items()
        if name in tensors and tensors[name].shape != value.shape
    ]
    parts = [
        *([f"missing are {_few(missing)}"] if missing else []),
        *([f"unknown are {_few(unknown)}"] if unknown else []),
        *([_few(other)] if other else []),
    ]
    return "; ".join(parts) or None


@contextlib.contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
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
        raise StudyError(
            f"{path} does not hold {what}: {_damage(path) or _reason(error)}"
        ) from error


def parsed(path: Path, kind: type[ModelT], text: str) -> ModelT:
    """Read a value from the JSON text of a file.

    Raises:
        StudyError: It is not JSON, or not that of such a value; the message names the file.
    """
    with reading(path, f"a {kind.__name__}"):
        return kind.model_validate_json(text)


_LFS, _CONFLICT, _PAGES = b"version https://git-lfs", b"<<<<<<< ", (b"<!doctype html", b"<html")


def _damage(path: Path) -> str | None:
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


def _reason(error: Exception) -> str:
    """Say what is wrong with a file's content, and what to do about it."""
    if isinstance(error, ValidationError):
        items = error.errors(include_url=False)
        reason = "; ".join(
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}".removeprefix(": ")
            for item in items[:3]
        ).replace("Value error, ", "")
        reason += f" and {len(items) - 3} more" if len(items) > 3 else ""
        return f"{reason}. Was it edited, cut short, or written by another version of goodteacher?"
    text = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(". ")
    return f"{text}. Was it cut short, edited or replaced? Copy it again."


def _few(items: Sequence[str]) -> str:
    rest = len(items) - 3
    return ", ".join(items[:3]) + (f" and {rest} more" if rest > 0 else "")


def _saved_once(
    tensors: Mapping[str, torch.Tensor],
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Return tensors that share no memory, and the names that stand for another's tensor."""
    names: dict[tuple[Any, ...], str] = {}
    plain: dict[str, torch.Tensor] = {}
    tied: dict[str, str] = {}
    for name, tensor in tensors.items():
        place = (tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        if tensor.numel() and place in names:
            tied[name] = names[place]
            continue
        names[place] = name
        value = tensor.detach().cpu().contiguous()
        # A part of a larger tensor is copied: safetensors refuses parts of one memory.
        whole = value.untyped_storage().nbytes() == value.nbytes
        plain[name] = value if whole else value.clone()
    return plain, tied


def check_usable(path: Path) -> None:
    """Say whether a folder may be made at a path, or is there.

    Raises:
        StudyError: It is a file, or cannot be made.
    """
    if path.exists() and not path.is_dir():
        raise StudyError(f"{path} is a file, but a study is a folder. Name another with --out.")
    parent = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise StudyError(
            f"{path} cannot be made: {parent} is not a folder that you may write to. "
            "Name another with --out."
        )


def holds_other_things(path: Path) -> bool:
    """Say whether a folder that holds no study holds anything but runs that a search recorded."""
    return path.exists() and any(each.name != RECORDED_FOLDER for each in path.iterdir())


def _settings(path: Path, kind: type[ConfigT]) -> ConfigT:
    try:
        return parse(kind, **read_toml(path))
    except ConfigError as error:
        reason = _damage(path) or (
            f"{error} Was it edited, or written by another version of goodteacher, or by another "
            "command?"
        )
        raise StudyError(f"{path} does not hold the settings of a study: {reason}") from error


def _check_same(path: Path, old: Frozen, new: Frozen, but: Collection[str]) -> None:
    changed = {n: pair for n, pair in differences(old, new).items() if n not in but}
    if changed:
        lines = "; ".join(f"{name} was {a!r}, now {b!r}" for name, (a, b) in changed.items())
        raise StudyError(
            f"{path} holds a study with other settings: {lines}. "
            "Give the same settings to go on with it, or name a new folder with --out."
        )
