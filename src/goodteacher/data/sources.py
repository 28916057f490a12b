"""Load a data set from whatever the user names: the table of sources.

A source says whether it understands a name, and loads it. To add one, write the two functions and
put them into `SOURCES`; the first source that claims a name loads it.
"""

from __future__ import annotations

import dataclasses
import difflib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.datasets import load_digits

from goodteacher.config import ReadingConfig, check_name, split_commas
from goodteacher.data.array_folders import is_array_folder, load_array_folder
from goodteacher.data.arrays import dataset_from_arrays, read_npz
from goodteacher.data.bounds import at_most
from goodteacher.data.dataset import Dataset
from goodteacher.data.hub import is_hub_name, load_from_hub
from goodteacher.data.image_folders import is_image_folder, load_image_folder
from goodteacher.data.images import ImageOptions
from goodteacher.data.listing import shorten
from goodteacher.data.named_splits import hold_out
from goodteacher.data.notes import DataNote, Note
from goodteacher.data.reading import Reading
from goodteacher.data.table_files import (
    is_table_file,
    is_table_folder,
    load_frame,
    load_table_file,
    load_table_folder,
)
from goodteacher.data.table_rows import Frame, is_table
from goodteacher.errors import DataError


@dataclass(frozen=True)
class Source:
    """Describe one kind of source.

    Attributes:
        description: what the user gives, for messages and help.
        claims: whether a name means this source.
        load: loads what is named.
    """

    description: str
    claims: Callable[[str], bool]
    load: Callable[[str, Reading], Dataset]


def load_dataset(
    spec: str | Path | Mapping[str, Any] | Frame | Dataset,
    *,
    resize: tuple[int, int] | None = None,
    skip_corrupt: bool = False,
    target: str | None = None,
    text_column: str | Sequence[str] | None = None,
    test_split: str | None = None,
    images_gib: float | None = None,
) -> Dataset:
    """Load a data set, decoded and checked: into memory, but for arrays in files and many images.

    What is left out, or understood in a way that might not be meant, is told as a `DataNote`, a
    warning; `doctor` lists these too.

    Args:
        spec: a name or path that a source of `SOURCES` understands; or arrays by name
            (``x_train, y_train, x_test, y_test``); or a data frame of pandas or Polars or an Arrow
            table, which is divided as one file is; or a `Dataset`, which is returned as it is.
        resize: ``(height, width)`` that every image gets; images of different sizes are refused
            without it.
        skip_corrupt: leave unreadable images out, with a warning, instead of refusing the data.
        target: the column of labels in a table; None finds it by its name.
        text_column: the column of texts in a table, the others of which are then no inputs; or
            several, as a list or with commas between them, in the order of an example's texts; None
            finds them.
        test_split: the name of the split to test on; None takes ``test``.
        images_gib: GiB that the decoded images of a split may take; more are decoded whenever they
            are needed. None for a quarter of the memory that is free.

    Raises:
        DataError: No source understands ``spec``, or what it names cannot be used.
        ConfigError: ``resize`` is not two positive integers, or there is no such column or split.

    Example:
        >>> data = load_dataset("digits")
        >>> len(data.train), len(data.test), data.input_shape, data.num_classes
        (1437, 360, (1, 8, 8), 10)
    """
    images = ImageOptions(resize, skip_corrupt, images_gib)
    reading = Reading(images, target, _columns(text_column), test_split)
    if isinstance(spec, Dataset):
        return spec
    if isinstance(spec, Mapping):
        dataset = dataset_from_arrays("arrays", spec, reading)
    elif is_table(spec):
        dataset = load_frame(spec, reading)
    else:
        check_name(str(spec), "The data set", DataError)
        dataset = _load(str(spec), reading)
    for note in dataset.notes:
        warnings.warn(note.message, DataNote, stacklevel=2)
    return dataset


def _columns(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return columns that are named as a list or with commas between them."""
    names: Any = split_commas(given) or ()
    return tuple(map(str, names))


def load_for(
    config: ReadingConfig, data: str | Path | Mapping[str, Any] | Frame | Dataset
) -> Dataset:
    """Load a data set as the settings of a study say.

    Args:
        config: the settings.
        data: a `Dataset`, which is returned as it is, or what `load_dataset` understands.

    Raises:
        InputError: See `load_dataset`.
    """
    with at_most(config.max_memory_gib):
        return _as_set(config, data)


def _as_set(
    config: ReadingConfig, data: str | Path | Mapping[str, Any] | Frame | Dataset
) -> Dataset:
    return load_dataset(
        data,
        resize=config.resize,
        skip_corrupt=config.skip_corrupt,
        target=config.target,
        text_column=config.text_column,
        test_split=config.test_split,
        images_gib=config.images_gib,
    )


def _load(spec: str, reading: Reading) -> Dataset:
    try:
        for source in SOURCES.values():
            if source.claims(spec):
                return source.load(spec, reading)
        if (inner := _only_folder_in(spec)) is not None:
            dataset = _load(str(inner), reading)
            return dataclasses.replace(dataset, notes=(*dataset.notes, _inner_note(spec, inner)))
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{spec!r} cannot be read ({error}). Is the path right, do you have permission to "
            "read everything in it, and is every file complete?"
        ) from error
    raise _unknown(spec)


def _only_folder_in(spec: str) -> Path | None:
    """Return the folder that is all a folder holds, as archives often unpack."""
    path = _path(spec)
    if not spec or not path.is_dir():
        return None
    inside = [p for p in path.iterdir() if not p.name.startswith((".", "__"))]
    folders = [p for p in inside if p.is_dir()]
    return folders[0] if len(folders) == 1 == len(inside) else None


def _inner_note(spec: str, inner: Path) -> Note:
    return Note("inner_folder", f"{spec!r} contains only {inner.name!r}, so that folder is read.")


def _load_digits(_: str, reading: Reading) -> Dataset:
    """Load scikit-learn's digits, with the fixed test split of `hold_out`.

    Their ink counts 0..16 are stored as ``round(255 / 16 * count)``, so that 16 is white; nothing
    is lost. Ids are scikit-learn's row numbers.
    """
    reading.check_unused("digits", "target", "text_column", "test_split")
    source = load_digits()
    images = np.round(source.images * (255 / 16)).astype(np.uint8)
    labels = source.target.astype(np.int64)
    arrays: dict[str, Any] = {"class_names": source.target_names}
    for split, rows in zip(("train", "test"), hold_out(labels, "digits"), strict=True):
        arrays |= {f"x_{split}": images[rows], f"y_{split}": labels[rows], f"ids_{split}": rows}
    return dataset_from_arrays("digits", arrays, reading)


def _load_npz(spec: str, reading: Reading) -> Dataset:
    path = _path(spec)
    return dataset_from_arrays(path.stem, read_npz(path), reading)


def _is_npz(spec: str) -> bool:
    return _path(spec).suffix == ".npz" and _path(spec).is_file()


def _path(spec: str) -> Path:
    try:
        return Path(spec).expanduser()
    except RuntimeError:  # "~name" of a user who does not exist
        return Path(spec)


def _at_path(
    description: str,
    claims: Callable[[Path], bool],
    load: Callable[[Path, Reading], Dataset],
) -> Source:
    """Describe a source whose functions take a path."""
    return Source(
        description,
        lambda spec: bool(spec) and claims(_path(spec)),
        lambda spec, reading: load(_path(spec), reading),
    )


SOURCES: dict[str, Source] = {
    "digits": Source(
        "digits (scikit-learn's 8x8 images)", lambda spec: spec == "digits", _load_digits
    ),
    "npz": Source("an .npz file with x_train, y_train, x_test, y_test", _is_npz, _load_npz),
    "array folder": _at_path(
        "a folder with x_train.npy, y_train.npy, x_test.npy, y_test.npy (or x_train.arrow)",
        is_array_folder,
        load_array_folder,
    ),
    "table file": _at_path(
        "a .parquet, .csv, .tsv or .jsonl file with a column 'label'",
        is_table_file,
        load_table_file,
    ),
    "table folder": _at_path(
        "a folder with train.parquet and test.parquet (or .csv)", is_table_folder, load_table_folder
    ),
    "image folder": _at_path(
        "a folder of images, train/<class>/* and test/<class>/*", is_image_folder, load_image_folder
    ),
    "hub": Source(
        "a Hugging Face data set, hf:owner/name or hf:owner/name:config", is_hub_name, load_from_hub
    ),
}
"""Every source of data, in the order in which they are asked; also the list that messages show."""


_ARCHIVES = frozenset({".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar"})


def _unknown(spec: str) -> DataError:
    exists = bool(spec) and _path(spec).exists()
    problem = (
        "exists, but is not a data set that goodteacher can read"
        if exists
        else ("is neither an existing file or folder nor a known data set")
    )
    if exists and _path(spec).suffix.lower() in _ARCHIVES:
        problem = "is an archive. Unpack it and give the folder"
    inside = _data_sets_in(spec)
    if inside:
        problem = f"contains {len(inside)} data sets, {shorten(inside)}. Give one of them"
    understood = "; ".join(source.description for source in SOURCES.values())
    return DataError(f"{spec!r} {problem}.{_suggestion(spec)} goodteacher reads: {understood}.")


def _data_sets_in(spec: str) -> list[str]:
    """Return the folders in a folder that are data sets."""
    path = _path(spec)
    if not spec or not path.is_dir():
        return []
    folders = sorted(p for p in path.iterdir() if p.is_dir())
    kinds = (is_table_folder, is_image_folder, is_array_folder)
    return [str(p) for p in folders if any(claims(p) for claims in kinds)]


def _suggestion(spec: str) -> str:
    """Suggest the closest name: a source's own, or a neighbour of the path that was meant."""
    path = _path(spec)
    if not spec or path.exists():
        return ""
    neighbours = path.parent.iterdir() if path.parent.is_dir() else iter(())
    by_name = {neighbour.name: str(neighbour) for neighbour in neighbours} | {"digits": "digits"}
    close = difflib.get_close_matches(path.name, by_name, n=1)
    return f" Did you mean {by_name[close[0]]!r}?" if close else ""
