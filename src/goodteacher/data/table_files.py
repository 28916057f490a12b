"""Read tables from local files.

Understood are

- a folder with a table for each split, as a file, in shards or in a folder of shards
  (:mod:`goodteacher.data.shards`);
- one file, divided by its column ``split`` (``train``, ``test``, ``validation``), or else held out
  by `hold_out`.

The `datasets` library does not look at a column ``split``: all rows of the file are ``train``.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq

from goodteacher.config import check_regular
from goodteacher.data.bounds import read_at_most
from goodteacher.data.columns import (
    ID_COLUMNS,
    SPLIT_COLUMN,
    check_column_names,
    id_column,
    label_column,
    needed_columns,
)
from goodteacher.data.csv_files import read_csv
from goodteacher.data.dataset import Dataset
from goodteacher.data.labels import infer_classes, number_labels, plain_labels
from goodteacher.data.listing import shorten
from goodteacher.data.mapped_tables import map_parquet, parquet_bytes, take_mapped
from goodteacher.data.named_folder import Inside
from goodteacher.data.named_splits import VALIDATION_SPLITS, Roles, choose_splits, hold_out
from goodteacher.data.reading import Reading
from goodteacher.data.shards import check_shards, split_files, table_suffix
from goodteacher.data.table_bounds import check_json_lines, check_parquet
from goodteacher.data.table_rows import Frame, as_table
from goodteacher.data.tables import dataset_from_tables
from goodteacher.errors import DataError

_Rows = npt.NDArray[np.int64]
_T = TypeVar("_T")


def is_table_folder(path: Path) -> bool:
    """Say whether ``path`` is a folder that holds a training table."""
    return path.is_dir() and "train" in split_files(path, Reading())


def is_table_file(path: Path) -> bool:
    """Say whether ``path`` is one table in a file."""
    return table_suffix(path) is not None and path.is_file()


def load_table_folder(folder: Path, reading: Reading) -> Dataset:
    """Read a folder with a table for each split.

    Raises:
        DataError: A table or a shard of it is missing or damaged, or see `dataset_from_tables`.
    """
    files = split_files(folder, reading)
    name = folder.resolve().name
    check_shards(files["train"])
    chosen = by_role(choose_splits(list(files), name, reading), files)
    for paths in chosen.values():
        check_shards(paths)
    tables = {split: _read_tables(paths, reading) for split, paths in chosen.items()}
    return dataset_from_tables(name, tables, reading=reading, base=Inside(folder))


def by_role(roles: Roles, found: Mapping[str, _T]) -> dict[str, _T]:
    """Return what there is of each split under its role: train, validation, test."""
    named = {"train": roles.train, "validation": roles.validation, "test": roles.test}
    return {role: found[split] for role, split in named.items() if split is not None}


def load_table_file(path: Path, reading: Reading) -> Dataset:
    """Read one table and divide it; ids are rows of the whole file, unless it has its own.

    Raises:
        DataError: The file is damaged, a class cannot be held out, or see `dataset_from_tables`.
    """
    check_shards([path])
    table = _read_tables([path], reading)
    large = _is_large([path], reading)
    return _divided(table, str(path), path.stem, reading, base=Inside(path.parent), large=large)


def load_frame(frame: Frame, reading: Reading) -> Dataset:
    """Divide a data frame of pandas or Polars, or an Arrow table, as one file is.

    Raises:
        DataError: See `load_table_file`.
    """
    table = as_table(frame)
    return _divided(table, "the table", "table", reading, base=None, large=False)


def _divided(
    table: pa.Table, where: str, name: str, reading: Reading, *, base: Inside | None, large: bool
) -> Dataset:
    check_column_names(table.schema, where)
    label_column({"train": table.schema}, reading, where)
    if not table.num_rows:
        raise DataError(
            f"{where} has columns but no rows ({shorten(table.column_names)}). Is the file "
            "complete, or did a filter remove every row?"
        )
    if id_column(table.schema) is None:
        others = [name for name in table.column_names if name not in ID_COLUMNS]
        rows = pa.array(np.arange(table.num_rows))
        table = table.select(others).append_column(ID_COLUMNS[0], rows)
    parts = _divide(table, where, reading)
    inputs = table.select([name for name in table.column_names if name != SPLIT_COLUMN])
    take = take_mapped if large else _take
    tables = {split: take(inputs, rows) for split, rows in parts.items()}
    return dataset_from_tables(name, tables, reading=reading, base=base)


def _read_tables(paths: Sequence[Path], reading: Reading) -> pa.Table:
    """Read and join tables; columns that are absent are left to later checks to name."""
    if _is_large(paths, reading):
        tables = [_guarded(_map_parquet, path, reading) for path in paths]
    else:
        tables = [_guarded(_READERS[_kind(path)], path, reading) for path in paths]
    for table, path in zip(tables, paths, strict=True):
        check_column_names(table.schema, str(path))
    if len(tables) == 1:
        return tables[0]
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise DataError(
            f"The files {shorten(path.name for path in paths)} in {paths[0].parent} cannot be "
            f"joined: a column has a different type in one of them ({error}). Do they belong to "
            "the same data set? Write them again with the same columns."
        ) from error


def _kind(path: Path) -> str:
    return (table_suffix(path) or "").removesuffix(".gz")


def _take(table: pa.Table, rows: _Rows) -> pa.Table:
    return table.take(pa.array(rows))


def _is_large(paths: Sequence[Path], reading: Reading) -> bool:
    """Say whether files are Parquet with images that take, encoded, more memory than they may."""
    if any(_kind(path) != ".parquet" for path in paths):
        return False
    sizes = [_guarded(_image_bytes, path, reading) for path in paths]
    return any(sizes) and sum(sizes) > reading.images.most_bytes


def _image_bytes(path: Path, reading: Reading) -> int:
    """Return what a table of images takes in memory; 0 for one of something else."""
    columns = needed_columns(pq.read_schema(path), reading, str(path))
    return parquet_bytes(path, columns) if columns else 0


def _map_parquet(path: Path, reading: Reading) -> pa.Table:
    columns = needed_columns(pq.read_schema(path), reading, str(path))
    return _checked(map_parquet(path, columns or ()))


def _read_parquet(path: Path, reading: Reading) -> pa.Table:
    # ParquetFile, unlike read_table, does not read partitions out of folder names
    check_regular(path, DataError)
    file = pq.ParquetFile(path)
    columns = needed_columns(file.schema_arrow, reading, str(path))
    check_parquet(path, columns)
    return _checked(file.read(columns=columns))


def _checked(table: pa.Table) -> pa.Table:
    """Return a table of Parquet, whose texts nobody else has checked to be UTF-8.

    Raises:
        pyarrow.ArrowInvalid: They are not, or something else in it is damaged.
    """
    table.validate(full=True)
    return table


def _read_json_lines(path: Path, reading: Reading) -> pa.Table:
    check_regular(path, DataError)
    with pa.input_stream(str(path), compression="detect") as stream:
        content = read_at_most(stream, str(path))
    content.decode()  # which refuses names of columns that are no UTF-8
    check_json_lines(content, str(path))
    return pyarrow.json.read_json(io.BytesIO(content))


_READERS: dict[str, Callable[[Path, Reading], pa.Table]] = {
    ".parquet": _read_parquet,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".jsonl": _read_json_lines,
}


def _guarded(read: Callable[[Path, Reading], _T], path: Path, reading: Reading) -> _T:
    try:
        return read(path, reading)
    except DataError:
        raise
    except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
        raise DataError(
            f"{path} cannot be read as {_kind(path)[1:]} ({error}). Is it damaged, empty, or not "
            "of the type that its name says? Download or write it again."
        ) from error


def _divide(table: pa.Table, where: str, reading: Reading) -> dict[str, _Rows]:
    if SPLIT_COLUMN in table.column_names:
        return _rows_by_column(table, where, reading)
    name = Path(where).name
    reading.check_unused(f"{name}, which has no column {SPLIT_COLUMN!r}", "test_split")
    label = label_column({"train": table.schema}, reading, where)
    labels = plain_labels(table.column(label), where)
    classes = infer_classes([labels], name, Reading())
    numbers = number_labels(labels, classes, name)
    _check_several_each(numbers, classes.names, label, where)
    rows = hold_out(numbers, where)
    return dict(zip(("train", "test"), rows, strict=True))


def _check_several_each(
    numbers: npt.NDArray[np.int64], names: Sequence[str], label: str, where: str
) -> None:
    """Refuse classes of one example: it cannot be in two splits."""
    counts = np.bincount(numbers[numbers >= 0], minlength=len(names))
    alone = [name for name, count in zip(names, counts.tolist(), strict=True) if count == 1]
    if not alone:
        return
    several = f"{len(alone)} classes have one example each" * (len(alone) > 1)
    many = (
        " Most classes have no second example, as in a column of names, ids or measurements. Is "
        "it the right column?"
        if len(alone) > len(names) / 2
        else ""
    )
    raise DataError(
        f"In the column {label!r} of {where}, {several or 'one class has one example'} "
        f"({shorten(map(repr, alone))}), but the training data and the test split both need an "
        f"example of each class.{many} Add examples, merge such classes with others, or drop "
        "these rows."
    )


def _rows_by_column(table: pa.Table, where: str, reading: Reading) -> dict[str, _Rows]:
    values = np.array(list(map(str, table.column(SPLIT_COLUMN).to_pylist())))
    names = dict.fromkeys(values.tolist())
    roles = choose_splits(sorted(names), Path(where).stem, reading)
    known = {*roles.names, "test", *VALIDATION_SPLITS}
    if reading.test_split is None and (others := sorted(set(names) - known)):
        raise DataError(
            f"The column {SPLIT_COLUMN!r} of {where} must say train or {roles.test} (or "
            f"validation), but also says {shorten(others)}. Drop these rows, rename the split in "
            "them, or choose the split to test on with --test-split."
        )
    return {
        role: np.flatnonzero(values == split)
        for role, split in by_role(roles, dict(zip(names, names, strict=True))).items()
    }
