"""Read two Arrow tables, of training and test examples, as a data set.

One reading serves Parquet and CSV files and the Hugging Face hub alike. The columns decide:

- **labels**: the first column of `LABEL_COLUMNS` that is there, or else the only column that the
  schema's ``huggingface`` metadata calls a ClassLabel. Integers number the classes (null or -1:
  unlabelled); text names them, and then classes are numbered in the sorted order of their names in
  the training table.
- **images**: a column that the metadata calls an Image, or one of type ``struct{bytes, path}``.
- **ids**: a column ``id`` or ``ids`` of integers; otherwise row numbers.
- **text**: where there is no image column and one other column is of strings, that one.
- **features**: where there is neither, every other column, which must then be numeric.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from goodteacher.data.dataset import Dataset, Split, shorten
from goodteacher.data.images import ImageOptions, decode_images
from goodteacher.data.labels import infer_class_names, is_text, number_labels
from goodteacher.errors import DataError

LABEL_COLUMNS = ("label", "labels", "fine_label", "target", "class")
"""Names of the label column, in order of preference (CIFAR-100 has two labels: the fine one)."""

TEXT_COLUMN = "text"
"""Name of a column of texts that may not stand beside an image; other names of strings may."""

ID_COLUMNS = ("id", "ids")
"""Names of a column of integers that names the examples."""


@dataclass(frozen=True)
class Layout:
    """Say which column of a table holds what.

    Attributes:
        label: the column of labels.
        class_names: the names that the metadata gives, or None.
        image: the column of encoded images, or None.
        text: the column of texts, or None.
        features: the numeric columns, where there is no column of images or texts.
        id: the column of ids, or None: row numbers.
    """

    label: str
    class_names: tuple[str, ...] | None
    image: str | None
    text: str | None
    features: tuple[str, ...]
    id: str | None

    @property
    def columns(self) -> list[str]:
        """Every column that is needed; the rest need not be read."""
        named = (self.label, self.image, self.text, self.id, *self.features)
        return [column for column in named if column is not None]


def layout(schema: pa.Schema, where: str) -> Layout:
    """Find out which column holds what; see the module's docstring for the rules.

    Args:
        schema: of the training table.
        where: names the table in messages.

    Raises:
        DataError: There is no label column; inputs are of two kinds; or they are of none.
    """
    features = _hub_features(schema)
    label = _label_column(schema, features, where)
    names = features.get(label, {}).get("names")
    class_names = tuple(map(str, names)) if names else None
    ids = id_column(schema)
    image = _image_column(schema, features)
    if image is not None:
        _check_no_text(schema, image, where)
        return Layout(label, class_names, image, None, (), ids)
    others = [field for field in schema if field.name not in (label, *ID_COLUMNS)]
    if any(is_text(field.type) for field in others):
        return Layout(label, class_names, None, _text_column(others, where), (), ids)
    _check_numeric(others, where)
    return Layout(label, class_names, None, None, tuple(field.name for field in others), ids)


def id_column(schema: pa.Schema) -> str | None:
    """Return the name of the column of integers that names the examples, if there is one."""
    for name in ID_COLUMNS:
        if name in schema.names and pa.types.is_integer(schema.field(name).type):
            return name
    return None


def dataset_from_tables(
    name: str, train: pa.Table, test: pa.Table, *, options: ImageOptions, base: Path | None = None
) -> Dataset:
    """Read both tables by the layout of the first.

    Args:
        name: of the data set.
        train: the training examples, a row each.
        test: the test examples, with the same columns.
        options: how images are treated.
        base: the folder that relative paths of images start from.

    Raises:
        DataError: A column is missing or cannot be read as what it must be, or see `Dataset`.

    Example:
        >>> table = pa.table({"label": ["cat", "dog"], "legs": [4, 4], "barks": [0, 1]})
        >>> data = dataset_from_tables("pets", table, table, options=ImageOptions())
        >>> data.class_names, data.train.inputs.tolist()
        (('cat', 'dog'), [[4.0, 0.0], [4.0, 1.0]])
    """
    columns = layout(train.schema, f"the train split of {name!r}")
    _check_columns(test.schema, columns, name)
    raw_labels = [table.column(columns.label) for table in (train, test)]
    class_names = columns.class_names or infer_class_names(raw_labels[0], raw_labels[1], name)
    splits = [
        _read_split(table, columns, class_names, f"{split} split of {name!r}", options, base)
        for split, table in (("train", train), ("test", test))
    ]
    return Dataset(name, splits[0], splits[1], class_names)


def _read_split(
    table: pa.Table,
    columns: Layout,
    class_names: tuple[str, ...],
    where: str,
    options: ImageOptions,
    base: Path | None,
) -> Split:
    if table.num_rows == 0:
        raise DataError(
            f"The {where} has no rows. Is the file complete, or did a filter remove every row?"
            " A split needs at least one example of every class."
        )
    labels = number_labels(table.column(columns.label), class_names, where)
    ids = _read_ids(table, columns, where)
    if columns.text is not None:
        return Split.from_texts(_read_texts(table, columns.text, where), labels, ids)
    if columns.image is None:
        return Split.from_arrays(_read_features(table, columns.features), labels, ids)
    encoded = _encoded_images(table.column(columns.image), base)
    images, kept = decode_images(
        encoded, describe=lambda row: f"row {row} of the {where}", options=options
    )
    return Split.from_arrays(images, labels[kept], ids[kept])


def _hub_features(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """Return what the hub's metadata says of a column, as ``{"image": {"_type": "Image"}}``."""
    record = (schema.metadata or {}).get(b"huggingface")
    if record is None:
        return {}
    try:
        features = json.loads(record).get("info", {}).get("features", {}).items()
    except (ValueError, AttributeError) as error:
        raise DataError(
            f"The 'huggingface' metadata of the table must be JSON with info.features, but cannot"
            f" be read as such ({error}). Was the file edited? Write it again, with this metadata"
            " right or removed."
        ) from error
    return {name: feature for name, feature in features if isinstance(feature, dict)}


def _label_column(schema: pa.Schema, features: dict[str, dict[str, Any]], where: str) -> str:
    for name in LABEL_COLUMNS:
        if name in schema.names:
            return name
    class_labels = [name for name, item in features.items() if item.get("_type") == "ClassLabel"]
    if len(class_labels) == 1:
        return class_labels[0]
    raise DataError(
        f"A table needs a column of labels named {' or '.join(LABEL_COLUMNS)}, but {where} has"
        f" {shorten(schema.names)}. Is it called something else? Rename it to 'label'."
    )


def _image_column(schema: pa.Schema, features: dict[str, dict[str, Any]]) -> str | None:
    for field in schema:
        named = features.get(field.name, {}).get("_type") == "Image"
        if named or _is_image_struct(field.type):
            return str(field.name)
    return None


def _is_image_struct(kind: pa.DataType) -> bool:
    return bool(pa.types.is_struct(kind)) and {field.name for field in kind} >= {"bytes", "path"}


def _is_numeric(kind: pa.DataType) -> bool:
    checks = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
    return any(check(kind) for check in checks)


def _check_no_text(schema: pa.Schema, image: str, where: str) -> None:
    # other strings beside images are names of files, captions and the like, and are left alone
    if TEXT_COLUMN in schema.names and is_text(schema.field(TEXT_COLUMN).type):
        raise DataError(
            f"Inputs must be images or texts, but {where} has both ({image}, {TEXT_COLUMN}), and"
            " networks here take one kind of input. Drop the column that is no input."
        )


def _text_column(fields: list[pa.Field], where: str) -> str:
    texts = [field.name for field in fields if is_text(field.type)]
    others = [field.name for field in fields if not is_text(field.type)]
    if len(texts) > 1:
        raise DataError(
            f"A table of texts needs one column of them, but {where} has {len(texts)}"
            f" ({shorten(texts)}). Is one a name of the label or of a file? Drop the columns that"
            f" are no input, or join them into one column {TEXT_COLUMN!r}."
        )
    if others:
        raise DataError(
            f"Inputs must be texts or numbers, but {where} has both (text: {texts[0]}; others:"
            f" {shorten(others)}). Drop the columns that are no input, or turn categories into"
            " numbers."
        )
    return str(texts[0])


def _check_numeric(fields: list[pa.Field], where: str) -> None:
    other = [f"{field.name}: {field.type}" for field in fields if not _is_numeric(field.type)]
    if other or not fields:
        raise DataError(
            f"Without a column of images, every column but the label must be numeric, but {where}"
            f" has {shorten(other) or 'no other column'}. Drop these columns or turn them into"
            " numbers."
        )


def _check_columns(schema: pa.Schema, columns: Layout, name: str) -> None:
    missing = [column for column in columns.columns if column not in schema.names]
    if missing:
        raise DataError(
            f"Both splits must have the same columns, but the test split of {name!r} lacks"
            f" {shorten(missing)} (it has {shorten(schema.names)}). Are the files of one data set?"
            " Give test the columns of train."
        )


def _read_ids(table: pa.Table, columns: Layout, where: str) -> npt.NDArray[np.int64]:
    if columns.id is None:
        return np.arange(table.num_rows, dtype=np.int64)
    ids = table.column(columns.id)
    if ids.null_count:
        raise DataError(
            f"Every example needs an id, but {ids.null_count} of {len(ids)} in column"
            f" {columns.id!r} of the {where} are missing. Fill them in, or drop the column: then"
            " rows are numbered."
        )
    return np.array(ids.cast(pa.int64()).to_numpy(), dtype=np.int64)


def _read_texts(table: pa.Table, name: str, where: str) -> list[str]:
    column = table.column(name)
    if column.null_count:
        rows = np.flatnonzero(column.is_null().to_numpy()).tolist()
        raise DataError(
            f"Every example needs a text, but {len(rows)} of {len(column)} in column {name!r} of"
            f" the {where} are missing (rows {shorten(rows)}). Drop these rows, or fill in '' if"
            " the text is known to be empty."
        )
    return [str(text) for text in column.to_pylist()]


def _read_features(table: pa.Table, names: tuple[str, ...]) -> npt.NDArray[np.float32]:
    features = np.empty((table.num_rows, len(names)), dtype=np.float32)
    for position, name in enumerate(names):
        # a null becomes NaN, which Dataset refuses with the id of its row
        features[:, position] = table.column(name).cast(pa.float64()).to_numpy()
    return features


def _encoded_images(column: pa.ChunkedArray, base: Path | None) -> list[Any]:
    """Return buffers that share the table's memory, paths where bytes are absent, or None."""
    if not pa.types.is_struct(column.type):
        return _buffers(column)
    encoded = _buffers(pc.struct_field(column, "bytes"))
    missing = [row for row, value in enumerate(encoded) if value is None]
    if missing:
        paths = pc.struct_field(column, "path")
        for row in missing:
            path = paths[row].as_py()
            encoded[row] = None if path is None else (base or Path()) / path
    return encoded


def _buffers(column: pa.ChunkedArray) -> list[Any]:
    return [scalar.as_buffer() for chunk in column.chunks for scalar in chunk]
