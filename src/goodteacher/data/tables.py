"""Read Arrow tables, one for each split, as a data set.

One reading serves Parquet and CSV files and the Hugging Face hub alike.
:mod:`goodteacher.data.columns` says which column holds what. Integers number the classes (null or
-1: unlabelled); text names them, and then classes are numbered in the order of their names, as
numbers where all are numbers. Splits whose columns differ in type (1 and 1.5) are read; the
`datasets` library ends with "An error occurred while generating the dataset".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from goodteacher.data.column_types import as_floats, is_numeric
from goodteacher.data.columns import Layout, find_layout, label_column
from goodteacher.data.dataset import Dataset, Split
from goodteacher.data.encoded import Buffers, Either, Files, Many
from goodteacher.data.images import decode_images
from goodteacher.data.labels import (
    alike,
    has_labels,
    infer_classes,
    named_classes,
    number_labels,
    plain_labels,
)
from goodteacher.data.listing import shorten
from goodteacher.data.named_folder import Inside
from goodteacher.data.reading import Reading
from goodteacher.data.spec import InputSpec
from goodteacher.data.table_rows import TableRows, rows_of_table, rows_spec, words_of
from goodteacher.errors import DataError

_FOLDERS_OF_IMAGES = ("", "images", "image", "img")


def dataset_from_tables(
    name: str, tables: Mapping[str, pa.Table], *, reading: Reading, base: Inside | None = None
) -> Dataset:
    """Read all tables by the layout of the first.

    Args:
        name: of the data set.
        tables: the examples of ``train``, ``validation`` (if any) and ``test``, a row each.
        reading: what the user asks, and where notes go.
        base: the folder that paths of images start from, and must not leave; None for a table that
            was given in Python, whose paths are those of whoever gave it.

    Raises:
        DataError: A column is missing or cannot be read as what it must be, or see `Dataset`.

    Example:
        >>> table = pa.table({"label": ["cat", "dog"], "legs": [4, 4], "barks": [0, 1]})
        >>> tables = {"train": table, "test": table}
        >>> data = dataset_from_tables("pets", tables, reading=Reading())
        >>> data.class_names, data.train.inputs.tolist()
        (('cat', 'dog'), [[4.0, 0.0], [4.0, 1.0]])
    """
    places = {split: f"{split} split of {name!r}" for split in tables}
    for split, table in tables.items():
        _check_rows(table, places[split])
    where = f"the train split of {name!r}"
    label = label_column({split: table.schema for split, table in tables.items()}, reading, where)
    tables = {split: _without_dictionaries(table, label) for split, table in tables.items()}
    columns = find_layout(tables, reading, where)
    raw = [_labels(table, columns, split, places[split]) for split, table in tables.items()]
    labels = dict(zip(tables, alike(raw), strict=True))
    classes = (
        named_classes(columns.class_names, list(labels.values()), name, reading)
        if columns.class_names
        else infer_classes(list(labels.values()), name, reading)
    )
    if not has_labels(labels["train"]):
        note_unlabelled(name, reading)
    ids = _ids(tables, columns, reading, name)
    for split, table in tables.items():
        _check_columns(table.schema, columns, split, name)
    spec = _rows_spec(tables["train"], columns)
    splits = {}
    for split, table in tables.items():
        reader = _Split(table, columns, places[split], reading, base, split, spec)
        numbers = number_labels(labels[split], classes, places[split])
        splits[split] = reader.read(numbers, ids[split])
    return Dataset(
        name,
        splits["train"],
        splits["test"],
        classes.names,
        splits.get("validation"),
        columns.features or columns.rows,
        tuple(reading.notes),
    )


def note_unlabelled(name: str, reading: Reading) -> None:
    """Tell that no training example has a label."""
    reading.note(
        "all_unlabelled",
        f"No training example of {name!r} has a label, so students learn from a teacher's "
        "response alone, and the class names are those of the other splits.",
    )


def separate_ids(
    train: npt.NDArray[np.int64], validation: npt.NDArray[np.int64], name: str, reading: Reading
) -> npt.NDArray[np.int64]:
    """Return ids of validation that are none of the training ids, numbered on where they clash.

    Args:
        train: ids of the training split.
        validation: ids of the validation split.
        name: of the data set, for messages.
        reading: where notes go.
    """
    if not np.isin(validation, train).any():
        return validation
    first = int(max(train.max(), validation.max())) + 1
    reading.note(
        "ids_renumbered",
        f"Train and validation of {name!r} share ids, so the examples of validation get new ids, "
        f"from {first} on. A response that covers validation must use the new ids.",
    )
    return np.arange(first, first + len(validation), dtype=np.int64)


def _rows_spec(train: pa.Table, columns: Layout) -> InputSpec:
    """Say what a row is; the words of a column are those of the training split."""
    return rows_spec({name: words_of(train.column(name)) for name in columns.rows})


class _Split:
    """Read the examples of one table."""

    def __init__(
        self,
        table: pa.Table,
        columns: Layout,
        where: str,
        reading: Reading,
        base: Inside | None,
        split: str,
        spec: InputSpec,
    ) -> None:
        self.spec = spec
        self.table = table
        self.columns = columns
        self.where = where
        self.reading = reading
        self.base = base
        self.split = split

    def read(self, labels: npt.NDArray[np.int64], ids: npt.NDArray[np.int64]) -> Split:
        """Return the split, without images that are left out."""
        if self.columns.texts:
            names = self.columns.texts
            columns = {name: _read_texts(self.table, name, self.where) for name in names}
            texts = columns if len(columns) > 1 else columns[names[0]]
            return Split.from_texts(texts, labels, ids)
        if self.columns.rows:
            rows = TableRows(rows_of_table(self.table, self.spec, self.where), self.spec)
            return Split.from_arrays(rows, labels, ids)
        if self.columns.image is None:
            return Split.from_arrays(self._features(), labels, ids)
        images, kept = decode_images(
            self._encoded(self.table.column(self.columns.image)),
            describe=lambda row: f"row {row} of the {self.where}",
            options=self.reading.images,
        )
        return Split.from_arrays(images, labels[kept], ids[kept])

    def _features(self) -> npt.NDArray[np.float32]:
        names = self.columns.features
        features = np.empty((self.table.num_rows, len(names)), dtype=np.float32)
        for position, name in enumerate(names):
            column = self.table.column(name)
            if not (is_numeric(column.type) or pa.types.is_null(column.type)):
                raise DataError(
                    f"Column {name!r} must hold numbers in every split, but in the {self.where} "
                    f"its type is {column.type}. Correct the values that are not numbers."
                )
            # a null becomes NaN, which Dataset refuses with its column and the id of its row
            with np.errstate(over="ignore"):  # too large for float32: refused there as infinite
                features[:, position] = as_floats(column)
        return features

    def _encoded(self, column: pa.ChunkedArray) -> Many:
        """Return buffers that share the table's memory, paths where bytes are absent, or None."""
        if self.columns.paths:
            return Files(self._existing(column.to_pylist()))
        if not pa.types.is_struct(column.type):
            return Buffers(column)
        buffers = Buffers(pc.struct_field(column, "bytes"))
        if not pc.struct_field(column, "bytes").null_count:
            return buffers
        # who has the bytes of an image often has the path that it once had, which nobody opens
        given = pc.is_null(pc.struct_field(column, "bytes"))
        names = pc.if_else(given, pc.struct_field(column, "path"), None).to_pylist()
        return Either(buffers, Files(None if name is None else self._at(name) for name in names))

    def _existing(self, names: Sequence[str | None]) -> list[Path | None]:
        """Find the files that a column of strings names."""
        base = Path() if self.base is None else self.base.folder
        paths = [None if n is None else Path(n.strip().replace("\\", "/")) for n in names]
        given = [path for path in paths if path is not None]
        folders = (*_FOLDERS_OF_IMAGES, self.split)
        for folder in folders:
            if any((base / folder / path).is_file() for path in given):
                return [None if path is None else self._at(Path(folder, path)) for path in paths]
        raise DataError(
            f"Column {self.columns.image!r} of the {self.where} names images, for example "
            f"{str(given[0])!r}, but none of the {len(given)} files was found in "
            f"{shorten(str(base / folder) for folder in folders)}. Put the images there, or give "
            "paths relative to the table. If the names themselves are the texts to classify, give "
            f"--text-column {self.columns.image}."
        )

    def _at(self, name: str | Path) -> Path:
        """Return the path of a file that the table names, in the folder that it may name."""
        return Path(name) if self.base is None else self.base.path(name)


def _without_dictionaries(table: pa.Table, label: str) -> pa.Table:
    """Return a table with plain columns for those of categories, as pandas writes them.

    Categories that are numbers are words then, but for labels.
    """
    for position, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            plain = table.column(position).cast(field.type.value_type)
            if field.name != label and is_numeric(plain.type):
                plain = plain.cast(pa.string())
            table = table.set_column(position, field.name, plain)
    return table


def _check_rows(table: pa.Table, where: str) -> None:
    if table.num_rows == 0:
        raise DataError(
            f"The {where} has no rows. Is the file complete, or did a filter remove every row?"
            " A split needs at least one example."
        )


def _labels(table: pa.Table, columns: Layout, split: str, where: str) -> pa.ChunkedArray:
    if columns.label in table.column_names:
        return plain_labels(table.column(columns.label), where)
    if split != "train":
        raise DataError(
            f"Every example of the {split} split must be labelled, but the {where} has no column "
            f"{columns.label!r} (it has {shorten(map(repr, table.column_names))}). If its labels "
            "are secret, as in a competition, test on labelled examples instead: choose another "
            "split with --test-split, or give only the training table, as one file, of which one "
            "row in five is then held out."
        )
    return pa.chunked_array([pa.nulls(len(table), pa.int64())])


def _check_columns(schema: pa.Schema, columns: Layout, split: str, name: str) -> None:
    names = {*schema.names}
    missing = [column for column in columns.inputs if column not in names]
    if missing:
        raise DataError(
            f"All splits must have the same columns, but the {split} split of {name!r} does not "
            f"have {shorten(map(repr, missing))} (it has {shorten(map(repr, schema.names))}). Do "
            f"the files belong to the same data set? Give {split} the columns of train."
        )


def _ids(
    tables: Mapping[str, pa.Table], columns: Layout, reading: Reading, name: str
) -> dict[str, npt.NDArray[np.int64]]:
    ids = {split: _read_ids(table, columns, split, name) for split, table in tables.items()}
    if "validation" not in ids:
        return ids
    if columns.id is None:  # row numbers: those of validation go on from train
        ids["validation"] = ids["validation"] + len(ids["train"])
    else:
        ids["validation"] = separate_ids(ids["train"], ids["validation"], name, reading)
    return ids


def _read_ids(table: pa.Table, columns: Layout, split: str, name: str) -> npt.NDArray[np.int64]:
    if columns.id is None:
        return np.arange(table.num_rows, dtype=np.int64)
    if columns.id not in table.column_names:
        raise DataError(
            f"Either all splits or none must have ids, but the {split} split of {name!r} has no "
            f"column {columns.id!r}. Add it, or drop it from train; rows are then numbered."
        )
    ids = table.column(columns.id)
    if ids.null_count:
        raise DataError(
            f"Every example needs an id, but {ids.null_count} of {len(ids)} in column "
            f"{columns.id!r} of the {split} split of {name!r} are missing. Fill them in, or drop "
            "the column; rows are then numbered."
        )
    return np.array(ids.cast(pa.int64()).to_numpy(), dtype=np.int64)


def _read_texts(table: pa.Table, name: str, where: str) -> list[str]:
    column = table.column(name)
    if column.null_count:
        rows = np.flatnonzero(column.is_null().to_numpy()).tolist()
        raise DataError(
            f"Every example needs a text, but {len(rows)} of {len(column)} in column {name!r} of "
            f"the {where} are missing (rows {shorten(rows)}). Drop these rows, or fill in '' if "
            "the text is really empty."
        )
    return [str(text) for text in column.to_pylist()]
