"""Read tables and images from local files.

Understood are

- a folder with a table for each split: ``train.parquet`` and ``test.parquet``, or in shards as the
  hub keeps them (``train-00000-of-00002.parquet``, there or in ``data/``), or ``train.csv`` and
  ``test.csv``;
- one ``.parquet`` or ``.csv`` file, divided by its column ``split`` (``train``, ``test``), or else
  held out by `hold_out`;
- a folder of images, ``train/<class>/*`` and ``test/<class>/*``.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from sklearn.model_selection import train_test_split

from goodteacher.data.dataset import Dataset, Split, shorten
from goodteacher.data.images import ImageOptions, decode_images
from goodteacher.data.labels import infer_class_names, number_labels
from goodteacher.data.tables import ID_COLUMNS, dataset_from_tables, id_column, layout
from goodteacher.errors import DataError

FIXED_TEST_FRACTION = 0.2
"""Share of the examples that a source without a test split of its own holds out for it."""

FIXED_TEST_SEED = 0
"""Seed of that stratified split: part of the data, so that everyone has the same one."""

TEST_SPLITS = ("test", "validation", "valid", "val")
"""Names of the split to test on, in order of preference; all but the first with a warning."""

SPLIT_COLUMN = "split"
"""The column of a single table that says to which split a row belongs."""

IMAGE_SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
)
"""Which files of an image folder are images."""

_Rows = npt.NDArray[np.int64]
_T = TypeVar("_T")

_TRAIN_TABLES = (
    "{}.parquet",
    "{}-*-of-*.parquet",
    "data/{}.parquet",
    "data/{}-*-of-*.parquet",
    "{}.csv",
)
_SHARD = re.compile(r"-of-(\d+)\.parquet$")


def hold_out(labels: npt.NDArray[np.int64], where: str) -> tuple[_Rows, _Rows]:
    """Divide examples into train and test rows: stratified, one in five, always the same ones.

    Args:
        labels: ``[num_examples]``; unlabelled examples (-1) all go to train.
        where: names the source in messages.

    Raises:
        DataError: A class has fewer than two examples, or there are too few to hold out.

    Example:
        >>> train_rows, test_rows = hold_out(np.array([0, 1] * 10), "example")
        >>> len(train_rows), len(test_rows)
        (16, 4)
    """
    labelled = np.flatnonzero(labels >= 0)
    try:
        _, test_rows = train_test_split(
            labelled,
            test_size=FIXED_TEST_FRACTION,
            stratify=labels[labelled],
            random_state=FIXED_TEST_SEED,
        )
    except ValueError as error:
        raise DataError(
            f"{where} has no test split, and one example in five cannot be held out with every"
            f" class in it: {error} Give a column 'split' with the values train and test, or more"
            " examples of the rare classes."
        ) from error
    test_rows = np.sort(test_rows)
    return np.setdiff1d(np.arange(len(labels)), test_rows), test_rows


def choose_test_split(available: list[str], name: str) -> str:
    """Choose the split that is held out for the final evaluation.

    Raises:
        DataError: There is no training split, or none to test on.

    Example:
        >>> choose_test_split(["train", "validation", "test"], "owner/name")
        'test'
    """
    candidates = [split for split in TEST_SPLITS if split in available]
    if "train" not in available or not candidates:
        raise DataError(
            f"A data set needs a train split and a test split ({' or '.join(TEST_SPLITS)}), but"
            f" {name!r} has {shorten(available) or 'none'}. Save splits of your own as"
            " train.parquet and test.parquet in one folder and give that folder."
        )
    if candidates[0] != "test":
        warnings.warn(
            f"{name!r} has no test split; its {candidates[0]} split serves as the sealed one.",
            UserWarning,
            stacklevel=2,
        )
    return candidates[0]


def is_table_folder(path: Path) -> bool:
    """Say whether ``path`` is a folder that holds a training table."""
    return path.is_dir() and bool(_table_files(path, "train"))


def is_table_file(path: Path) -> bool:
    """Say whether ``path`` is one table in a file."""
    return path.suffix in _READERS and path.is_file()


def is_image_folder(path: Path) -> bool:
    """Say whether ``path`` is a folder with a subfolder ``train``."""
    return (path / "train").is_dir()


def load_table_folder(folder: Path, options: ImageOptions) -> Dataset:
    """Read a folder with a table for each split.

    Raises:
        DataError: A table or a shard of it is missing or damaged, or see `dataset_from_tables`.
    """
    files = {split: _table_files(folder, split) for split in ("train", *TEST_SPLITS)}
    name = folder.resolve().name
    test_split = choose_test_split([split for split, paths in files.items() if paths], name)
    first = files["train"][0]
    columns = layout(_read_schema(first), str(first)).columns
    train, test = (_read_tables(files[split], columns) for split in ("train", test_split))
    return dataset_from_tables(name, train, test, options=options, base=folder)


def load_table_file(path: Path, options: ImageOptions) -> Dataset:
    """Read one table and divide it; ids are rows of the whole file, unless it has its own.

    Raises:
        DataError: The file is damaged, a class cannot be held out, or see `dataset_from_tables`.
    """
    table = _read_tables([path], None)
    if id_column(table.schema) is None:
        others = [name for name in table.column_names if name not in ID_COLUMNS]
        rows = pa.array(np.arange(table.num_rows))
        table = table.select(others).append_column(ID_COLUMNS[0], rows)
    train_rows, test_rows = _divide(table, path)
    inputs = table.select([name for name in table.column_names if name != SPLIT_COLUMN])
    train, test = (inputs.take(pa.array(rows)) for rows in (train_rows, test_rows))
    return dataset_from_tables(path.stem, train, test, options=options, base=path.parent)


def load_image_folder(folder: Path, options: ImageOptions) -> Dataset:
    """Read ``train/<class>/*`` and ``test/<class>/*``.

    Classes are numbered in the sorted order of their folders, as torchvision numbers them. An id is
    a file's place in the sorted listing of its split.

    Raises:
        DataError: The splits have different classes, or see `decode_images` and `Dataset`.
    """
    name = folder.resolve().name
    subfolders = sorted(path.name for path in folder.iterdir() if path.is_dir())
    chosen = [folder / split for split in ("train", choose_test_split(subfolders, name))]
    class_names, test_names = (_class_folders(path) for path in chosen)
    if class_names != test_names:
        raise DataError(
            f"Both splits must have the same class folders, but these of {name!r} are in only one:"
            f" {shorten(sorted(set(class_names) ^ set(test_names)))}. Are they spelt differently?"
            " Rename, add or remove them."
        )
    train, test = (_read_image_folder(path, class_names, options) for path in chosen)
    return Dataset(name, train, test, class_names)


def _class_folders(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in folder.iterdir() if _is_visible_folder(path)))


def _is_visible_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith((".", "__"))


def _read_image_folder(folder: Path, class_names: tuple[str, ...], options: ImageOptions) -> Split:
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(class_names):
        found = sorted(p for p in (folder / name).rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
        files += found
        labels += [label] * len(found)
    if not files:
        raise DataError(
            f"{folder} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}) in class folders. Are"
            " they one level deeper, or of another type? Put them into one folder for each class."
        )
    images, kept = decode_images(files, describe=lambda row: str(files[row]), options=options)
    return Split.from_arrays(images, np.array(labels)[kept], kept)


def _table_files(folder: Path, split: str) -> list[Path]:
    """Return the files of the first pattern that matches, with every shard there."""
    for pattern in _TRAIN_TABLES:
        files = sorted(folder.glob(pattern.format(split)))
        if files:
            _check_shards(files)
            return files
    return []


def _check_shards(files: list[Path]) -> None:
    shard = _SHARD.search(files[0].name)
    if shard and int(shard[1]) != len(files):
        raise DataError(
            f"{files[0].parent} should hold {int(shard[1])} shards, as the name {files[0].name}"
            f" says, but has {len(files)}. Is the download incomplete, or are two versions mixed?"
            " Fetch the data again into an empty folder."
        )


def _read_schema(path: Path) -> pa.Schema:
    return _guarded(pq.read_schema, path) if path.suffix == ".parquet" else _read_csv(path).schema


def _read_tables(paths: list[Path], columns: list[str] | None) -> pa.Table:
    """Read and join tables; columns that are absent are left to later checks to name."""
    return pa.concat_tables([_READERS[path.suffix](path, columns) for path in paths])


def _read_parquet(path: Path, columns: list[str] | None) -> pa.Table:
    if columns is not None:
        columns = [name for name in columns if name in _read_schema(path).names]
    # ParquetFile, unlike read_table, does not read partitions out of folder names
    return _guarded(lambda p: pq.ParquetFile(p).read(columns=columns), path)


def _read_csv(path: Path, columns: list[str] | None = None) -> pa.Table:
    # a quoted text may run over lines; pyarrow takes each for a row of its own unless told
    options = pyarrow.csv.ParseOptions(newlines_in_values=True)
    table = _guarded(lambda p: pyarrow.csv.read_csv(p, parse_options=options), path)
    return (
        table if columns is None else table.select([c for c in columns if c in table.schema.names])
    )


_READERS: dict[str, Callable[[Path, list[str] | None], pa.Table]] = {
    ".parquet": _read_parquet,
    ".csv": _read_csv,
}


def _guarded(read: Callable[[Path], _T], path: Path) -> _T:
    try:
        return read(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{path} cannot be read as {path.suffix[1:]} ({error}). Is it damaged, empty, or of"
            " another type than its name says? Fetch or write it again."
        ) from error


def _divide(table: pa.Table, path: Path) -> tuple[_Rows, _Rows]:
    if SPLIT_COLUMN in table.column_names:
        return _rows_by_column(table, path)
    labels = table.column(layout(table.schema, str(path)).label)
    class_names = infer_class_names(labels, labels, path.name)
    return hold_out(number_labels(labels, class_names, path.name), str(path))


def _rows_by_column(table: pa.Table, path: Path) -> tuple[_Rows, _Rows]:
    values = np.array(list(map(str, table.column(SPLIT_COLUMN).to_pylist())))
    names = set(values.tolist())
    test_split = choose_test_split(sorted(names), path.stem)
    if names != {"train", test_split}:
        raise DataError(
            f"The column {SPLIT_COLUMN!r} of {path} must say train or {test_split}, but also says"
            f" {shorten(sorted(names - {'train', test_split}))}. Drop these rows or rename them."
        )
    return np.flatnonzero(values == "train"), np.flatnonzero(values == test_split)
