"""Find out which column of a table holds what.

- **labels**: the column that the user names, or the first of `LABEL_COLUMNS` that is there, or else
  the only column that the schema's ``huggingface`` metadata calls a ClassLabel.
- **images**: a column that the metadata calls an Image, one of type ``struct{bytes, path}``, or one
  of strings that name image files.
- **ids**: a column ``id`` or ``ids`` of integers; otherwise row numbers.
- **texts**: the column that the user names, or the only column of strings that is left.
- **features**: where there is neither, every column that is left, which must then be numeric.

Indexes, copies of the label and columns without any value are left out, with a note
(:mod:`goodteacher.data.odd_columns`). For the `datasets` library an unnamed row index is a column
of numbers like any other, and names of image files are texts.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from goodteacher.data.labels import is_text, plain_labels
from goodteacher.data.listing import shorten
from goodteacher.data.odd_columns import (
    INDEX_NAMES,
    are_addresses,
    are_dates,
    are_identifiers,
    copies_label,
    named_files,
    not_numbers,
    numbers_rows,
)
from goodteacher.data.reading import Reading, check_known
from goodteacher.errors import DataError

LABEL_COLUMNS = ("label", "labels", "fine_label", "target", "class")
"""Names of the label column, in order of preference (CIFAR-100 has two labels: the fine one)."""

OTHER_LABELS = ("coarse_label", "label_text", "label_name", "class_name")
"""Names of columns that say the label in another way, and are no inputs."""

TEXT_COLUMN = "text"
"""Name of a column of texts that may not stand beside an image; other names of strings may."""

ID_COLUMNS = ("id", "ids")
"""Names of a column of integers that names the examples."""

SPLIT_COLUMN = "split"
"""The column of a single table that says to which split a row belongs."""


@dataclass(frozen=True)
class Layout:
    """Say which column of a table holds what.

    Attributes:
        label: the column of labels; a training table may lack it.
        class_names: the names that the metadata gives, or None.
        image: the column of encoded images, or None.
        text: the column of texts, or None.
        features: the numeric columns, where there is no column of images or texts.
        id: the column of ids, or None: row numbers.
        paths: whether the images are given as strings that name files.
    """

    label: str
    class_names: tuple[str, ...] | None
    image: str | None = None
    text: str | None = None
    features: tuple[str, ...] = ()
    id: str | None = None
    paths: bool = False

    @property
    def inputs(self) -> list[str]:
        """The columns that every split must have."""
        named = (self.image, self.text, *self.features)
        return [column for column in named if column is not None]


def needed_columns(schema: pa.Schema, reading: Reading, where: str) -> list[str] | None:
    """Return the columns to read of a table, or None for all of them.

    Where images are stored in it, the rest may be large and is no input.

    Raises:
        DataError: Two columns have one name, or see `find_layout`.
    """
    check_column_names(schema, where)
    features = _hub_features(schema)
    image = _image_column(schema, features)
    if image is None or reading.text_column is not None:
        return None
    _check_no_text(schema, image, where)
    labels = [n for n in schema.names if n == reading.label_column or _is_label(n, features)]
    return [image, *labels, *(n for n in (*ID_COLUMNS, SPLIT_COLUMN) if n in schema.names)]


def check_column_names(schema: pa.Schema, where: str) -> None:
    """Refuse a table in which a name does not say which column is meant.

    Raises:
        DataError: Two columns have one name.
    """
    repeated = [name for name, count in Counter(schema.names).items() if count > 1]
    if repeated:
        raise DataError(
            f"Every column needs a name of its own, but {where} has more than one column"
            f" {shorten(map(repr, repeated))}, and which is meant cannot be told. Rename or drop"
            f" one of them.{_about_header(schema.names)}"
        )


def _about_header(names: Sequence[str]) -> str:
    """Say that names look like values, if any does."""
    if not any(map(_is_number, names)):
        return ""
    return (
        " Is the first line an example and no header? Then write a line with the names of the"
        " columns above it, one of them 'label'."
    )


def label_column(schemas: Mapping[str, pa.Schema], reading: Reading, where: str) -> str:
    """Return the name of the column of labels, in the first split that has one.

    Args:
        schemas: of every split by its name, the training split first.
        reading: what the user asks.
        where: names the table in messages.

    Raises:
        DataError: No split has one.
        ConfigError: The column that the user names is not there.
    """
    if reading.label_column is not None:
        names = dict.fromkeys(name for schema in schemas.values() for name in schema.names)
        check_known("label_column", reading.label_column, names, where)
        return reading.label_column
    for schema in schemas.values():
        found = _labels_of(schema)
        if found:
            return found[0]
    first = next(iter(schemas.values()))
    raise DataError(
        f"A table needs a column of labels named {' or '.join(LABEL_COLUMNS)}, but {where} has"
        f" {shorten(map(repr, first.names))}. Is it called something else? Name it with"
        f" --label-column.{_about_header(first.names)}"
    )


def _labels_of(schema: pa.Schema) -> list[str]:
    """Return the columns that may be the label, the likeliest first."""
    names = {name.strip().casefold(): name for name in reversed(schema.names)}
    exact = [name for name in LABEL_COLUMNS if name in schema.names]
    other = [names[name] for name in LABEL_COLUMNS if name in names and name not in exact]
    if exact or other:
        return [*exact, *other]
    features = _hub_features(schema).items()
    class_labels = [name for name, item in features if item.get("_type") == "ClassLabel"]
    return class_labels if len(class_labels) == 1 else []


def find_layout(tables: Mapping[str, pa.Table], reading: Reading, where: str) -> Layout:
    """Find out which column holds what; see the module's docstring for the rules.

    Args:
        tables: every split by its name, the training split first.
        reading: what the user asks, and where notes go.
        where: names the training table in messages.

    Raises:
        DataError: There is no label column; inputs are of two kinds; or they are of none.
        ConfigError: A column that the user names is not there.
    """
    for split, table in tables.items():
        check_column_names(table.schema, where if split == "train" else f"the {split} split")
    schemas = {split: table.schema for split, table in tables.items()}
    label = label_column(schemas, reading, where)
    names = next(
        (f[label].get("names") for f in map(_hub_features, schemas.values()) if label in f), None
    )
    class_names = tuple(map(str, names)) if names else None
    train = tables["train"]
    ids = id_column(train.schema)
    known = Layout(label, class_names, id=ids)
    image = _image_column(train.schema, _hub_features(train.schema))
    if reading.text_column is not None:
        check_known("text_column", reading.text_column, train.column_names, where)
        _check_is_text(train, reading.text_column, where)
        return replace(known, text=reading.text_column)
    if image is not None:
        _check_no_text(train.schema, image, where)
        return replace(known, image=image)
    return replace(known, **_Inputs(tables, label, ids, reading, where).choose())


def id_column(schema: pa.Schema) -> str | None:
    """Return the name of the column of integers that names the examples, if there is one."""
    for name in ID_COLUMNS:
        if name in schema.names and pa.types.is_integer(schema.field(name).type):
            return name
    return None


class _Inputs:
    """Choose, of columns that are neither label nor id, those that are inputs."""

    def __init__(
        self,
        tables: Mapping[str, pa.Table],
        label: str,
        ids: str | None,
        reading: Reading,
        where: str,
    ) -> None:
        self.train = tables["train"]
        self.others = [table for split, table in tables.items() if split != "train"]
        self.label = label
        self.reading = reading
        self.where = where
        self.names = [n for n in self.train.column_names if n not in (label, ids)]
        self.labels = _class_numbers(tables, label, where)

    def choose(self) -> dict[str, Any]:
        """Return the fields of a `Layout` that say what the inputs are."""
        self._leave_out(self._empty(), "hold no value")
        if self.reading.label_column is None:
            self._leave_out(
                self._other_labels(),
                "are labels by their names",
                f" Labels are taken from {self.label!r}; --label-column names another column.",
            )
        self._leave_out(self._indexes(), "are indexes by their names")
        self._leave_out(self._row_numbers(), "number the rows")
        copies = self._copies()
        if len(copies) < len(self.names):  # an only input may well tell the class
            self._leave_out(copies, "say nothing but the label, class by class")
        texts = [name for name in self.names if is_text(self._type(name))]
        paths = self._paths(texts)
        if paths is not None:
            self._leave_out([n for n in self.names if n != paths], "stand beside images")
            return {"image": paths, "paths": True}
        texts = [name for name in texts if name in self.names]
        if texts:
            return {"text": self._text(texts)}
        self._check_numeric()
        return {"features": tuple(self.names)}

    def _type(self, name: str) -> pa.DataType:
        return self.train.schema.field(name).type

    def _leave_out(self, names: Sequence[str], why: str, advice: str = "") -> None:
        if not names:
            return
        self.names = [name for name in self.names if name not in names]
        verb = why if len(names) > 1 else _singular(why)
        self.reading.note(
            "left_out",
            f"Of {self.where}, column{'s' * (len(names) > 1)} {shorten(map(repr, names))} {verb}"
            f" and {'are' if len(names) > 1 else 'is'} no input.{advice}",
        )

    def _empty(self) -> list[str]:
        return [n for n in self.names if self.train.column(n).null_count == len(self.train)]

    def _other_labels(self) -> list[str]:
        known = {*LABEL_COLUMNS, *OTHER_LABELS}
        return [name for name in self.names if name.strip().casefold() in known]

    def _copies(self) -> list[str]:
        columns = [name for name in self.names if not pa.types.is_nested(self._type(name))]
        return [name for name in columns if copies_label(self.train.column(name), self.labels)]

    def _indexes(self) -> list[str]:
        return [n for n in self.names if INDEX_NAMES.match(n.strip().casefold())]

    def _row_numbers(self) -> list[str]:
        numeric = [name for name in self.names if is_numeric(self._type(name))]
        return [name for name in numeric if self._numbers_rows(name)]

    def _numbers_rows(self, name: str) -> bool:
        having = [table for table in self.others if name in table.column_names]
        having = [table for table in having if is_numeric(table.schema.field(name).type)]
        values = [as_floats(table.column(name)) for table in (self.train, *having)]
        return numbers_rows(values[0], values[1:])

    def _paths(self, texts: Sequence[str]) -> str | None:
        """Return the column that names images; leave out columns that name other files."""
        named = {name: files for name in texts if (files := named_files(self.train.column(name)))}
        images = [name for name, files in named.items() if files.kind == "images"]
        for name, files in named.items():
            alone = len(self.names) == len(named)
            if files.kind == "image addresses" or (files.kind != "images" and alone):
                raise DataError(
                    f"Column {name!r} of {self.where} names {files.kind} (such as"
                    f" {files.example[:80]!r}), and what they hold is not in the table."
                    f" {_FILES_ADVICE[files.kind]} If the names themselves are the texts to"
                    f" classify, say --text-column {name}."
                )
        if len(images) > 1:
            raise DataError(
                f"A table needs one column of images, but {self.where} has"
                f" {shorten(map(repr, images))}. Drop the columns that are no input."
            )
        if not images:
            self._leave_out(list(named), "name files")
        return images[0] if images else None

    def _text(self, texts: Sequence[str]) -> str:
        others = [name for name in self.names if name not in texts]
        for name in texts:
            self._check_words(name, alone=len(self.names) == 1)
        if len(texts) > 1:
            raise DataError(
                f"A table of texts needs one column of them, but {self.where} has {len(texts)}"
                f" ({shorten(texts)}). Name it with --text-column: the others are then left out. Or"
                f" join them into one column {TEXT_COLUMN!r}."
            )
        if others:
            raise DataError(
                f"Inputs must be texts or numbers, but {self.where} has both (text: {texts[0]};"
                f" others: {shorten(others)}). If the texts are the inputs, say --text-column"
                f" {texts[0]}. If {texts[0]!r} holds categories, turn them into numbers, such as"
                " with pandas.get_dummies; if it names the rows, drop it."
            )
        if are_addresses(self.train.column(texts[0])):
            self.reading.note(
                "addresses",
                f"Every text in column {texts[0]!r} of {self.where} is an address, and the"
                " addresses themselves are what is classified. To classify what is found there,"
                " fetch it first.",
            )
        if are_identifiers(self.train.column(texts[0])):
            self.reading.note(
                "identifiers",
                f"Nearly every text in column {texts[0]!r} of {self.where} is one word with digits"
                " that no other row has. Are these names of files or of examples? Then they are no"
                " texts to classify: give what they name.",
            )
        return texts[0]

    def _check_words(self, name: str, *, alone: bool) -> None:
        """Refuse text that is meant to be numbers or dates."""
        column = self.train.column(name)
        strange = not_numbers(column)
        if strange is not None:
            reason = (
                f"would be numbers, but {len(strange)} of {len(column)} values are not"
                f" ({shorten(map(repr, dict.fromkeys(strange)))}). Write missing values as nothing"
                " between two delimiters, and fill them in or drop their rows"
                if strange
                else "holds numbers written as text. Store them as numbers"
            )
        elif are_dates(column) and not alone:
            reason = (
                "holds dates, which are no numbers. Turn them into numbers that may matter (the"
                " month, days since an event), or drop the column"
            )
        else:
            return
        raise DataError(
            f"Column {name!r} of {self.where} {reason}. If it holds texts to classify, say"
            f" --text-column {name}."
        )

    def _check_numeric(self) -> None:
        other = [n for n in self.names if not is_numeric(self._type(n))]
        dates = [name for name in other if are_dates(self.train.column(name))] if other else []
        hint = " Dates: the month, or days since an event, may be such a number." if dates else ""
        if other or not self.names:
            listed = [f"{name}: {self._type(name)}" for name in other]
            raise DataError(
                f"Without a column of images or texts, every column but the label must be numeric,"
                f" but {self.where} has {shorten(listed) or 'no other column'}. Drop these columns"
                f" or turn them into numbers.{hint}"
            )


_FILES_ADVICE = {
    "image addresses": "Fetch the images and name their files, relative to the table, instead.",
    "audio": "Sound is not read here: make features of it, one row of numbers for each recording.",
    "video": "Video is not read here: make features of it, one row of numbers for each film.",
    "documents": "Put their texts into a column 'text'.",
}


def _singular(verb: str) -> str:
    first, _, rest = verb.partition(" ")
    one = {"are": "is"}.get(first, first + "s")
    return f"{one} {rest}".replace("indexes by their names", "an index by its name").replace(
        "labels by their names", "a label by its name"
    )


def _class_numbers(tables: Mapping[str, pa.Table], label: str, where: str) -> npt.NDArray[np.int64]:
    """Return the class of each training example, numbered anyhow."""
    if label not in tables["train"].column_names:
        return np.full(len(tables["train"]), -1)
    labels = plain_labels(tables["train"].column(label), where.removeprefix("the "))
    if pa.types.is_integer(labels.type):
        return np.array(pc.fill_null(labels.cast(pa.int64()), -1).to_numpy())
    known = pa.array(labels.unique().drop_null().to_pylist(), pa.string())
    return np.array(pc.fill_null(pc.index_in(labels, value_set=known), -1).to_numpy(), np.int64)


def is_numeric(kind: pa.DataType) -> bool:
    """Say whether a column of this type holds numbers."""
    checks = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_boolean,
        pa.types.is_decimal,
    )
    return any(check(kind) for check in checks)


def as_floats(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Return a column of numbers as float64, with NaN for a missing one."""
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


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


def _is_label(name: str, features: Mapping[str, dict[str, Any]]) -> bool:
    is_class_label = features.get(name, {}).get("_type") == "ClassLabel"
    return is_class_label or name.strip().casefold() in LABEL_COLUMNS


def _image_column(schema: pa.Schema, features: Mapping[str, dict[str, Any]]) -> str | None:
    for field in schema:
        named = features.get(field.name, {}).get("_type") == "Image"
        if named or _is_image_struct(field.type):
            return str(field.name)
    return None


def _is_image_struct(kind: pa.DataType) -> bool:
    return bool(pa.types.is_struct(kind)) and {field.name for field in kind} >= {"bytes", "path"}


def _check_no_text(schema: pa.Schema, image: str, where: str) -> None:
    # other strings beside images are names of files, captions and the like, and are left alone
    if TEXT_COLUMN in schema.names and is_text(schema.field(TEXT_COLUMN).type):
        raise DataError(
            f"Inputs must be images or texts, but {where} has both ({image}, {TEXT_COLUMN}), and"
            " networks here take one kind of input. If the texts are the inputs, say --text-column"
            f" {TEXT_COLUMN}; otherwise drop the column."
        )


def _check_is_text(table: pa.Table, name: str, where: str) -> None:
    kind = table.schema.field(name).type
    if not is_text(kind):
        raise DataError(
            f"text_column = {name!r} must name a column of strings, but that of {where} is of type"
            f" {kind}. Name another, or leave it out."
        )
