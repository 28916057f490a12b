"""Find out which column of a table holds what.

- **labels**: the column that the user names, or the first of `LABEL_COLUMNS` that is there, or else
  the only column that the schema's ``huggingface`` metadata calls a ClassLabel, or else the only
  one of `ONLY_LABELS`. A column such as ``label_text`` beside numbers names their classes.
- **images**: a column that the metadata calls an Image, one of type ``struct{bytes, path}``, or one
  of strings that name image files.
- **ids**: a column ``id`` or ``ids`` of integers; otherwise row numbers.
- **texts**: the columns that the user names, or the only column of strings that is left, or those
  that go together by their names (:mod:`goodteacher.data.text_columns`).
- **features**: where there is neither, every column that is left, if all are numbers without gaps.
- **rows**: the same where there are words or gaps (:mod:`goodteacher.data.row_columns`).

Indexes, copies of the label and columns without any value are left out, with a note
(:mod:`goodteacher.data.odd_columns`). For the `datasets` library an unnamed row index is a column
of numbers like any other, and names of image files are texts.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from goodteacher.data.column_names import (
    LABEL_COLUMNS,
    NAMES_OF_CLASSES,
    ONLY_LABELS,
    OTHER_LABELS,
    class_names_beside,
    column_of_class_names,
    only_labels,
)
from goodteacher.data.column_types import as_floats, is_numeric
from goodteacher.data.labels import is_text, plain_labels
from goodteacher.data.listing import shorten
from goodteacher.data.odd_columns import (
    INDEX_NAMES,
    are_dates,
    copies_label,
    named_files,
    numbers_rows,
)
from goodteacher.data.reading import Reading, check_known
from goodteacher.data.row_columns import (
    are_rows,
    check_no_dates,
    check_values,
    have_gaps,
    of_their_own,
)
from goodteacher.data.text_columns import check_are_texts, choose_texts
from goodteacher.errors import DataError

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
        texts: the columns of texts, in the order of an example's texts.
        features: the numeric columns, where there is no column of images or texts.
        rows: the columns of numbers and words, where there are words or gaps.
        id: the column of ids, or None: row numbers.
        paths: whether the images are given as strings that name files.
    """

    label: str
    class_names: tuple[str, ...] | None
    image: str | None = None
    texts: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    id: str | None = None
    paths: bool = False

    @property
    def inputs(self) -> list[str]:
        """The columns that every split must have."""
        named = (self.image, *self.texts, *self.features, *self.rows)
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
    if image is None or reading.text_column:
        return None
    _check_no_text(schema, image, where)
    labels = [n for n in schema.names if n == reading.target or _is_label(n, features)]
    return [image, *labels, *(n for n in (*ID_COLUMNS, SPLIT_COLUMN) if n in schema.names)]


def check_column_names(schema: pa.Schema, where: str) -> None:
    """Refuse a table in which a name does not say which column is meant.

    Raises:
        DataError: Two columns have one name.
    """
    repeated = [name for name, count in Counter(schema.names).items() if count > 1]
    if repeated:
        raise DataError(
            f"Every column needs a different name, but {where} has more than one column "
            f"{shorten(map(repr, repeated))}. Rename or drop one of "
            f"them.{_about_header(schema.names)}"
        )


def _about_header(names: Sequence[str]) -> str:
    """Say that names look like values, if any does."""
    if not any(map(_is_number, names)):
        return ""
    return (
        " If the first line is an example and not a header, add a line above it with the names "
        "of the columns, one of them 'label'."
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
    if reading.target is not None:
        names = dict.fromkeys(name for schema in schemas.values() for name in schema.names)
        check_known("target", reading.target, names, where)
        return reading.target
    for schema in schemas.values():
        found = _labels_of(schema)
        if found:
            return found[0]
    candidates = list(dict.fromkeys(n for s in schemas.values() for n in only_labels(s.names)))
    if len(candidates) == 1:
        return candidates[0]
    first = next(iter(schemas.values()))
    if candidates:
        raise DataError(
            f"More than one column could hold the labels: {where} has "
            f"{shorten(map(repr, candidates))}. Say which one, for example --target "
            f"{candidates[0]}."
        )
    raise DataError(
        f"A table needs a column of labels that is called {' or '.join(LABEL_COLUMNS)}, but "
        f"{where} has {shorten(map(repr, first.names))}. If it has another name, give that with "
        f"--target.{_about_header(first.names)}"
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
    beside = column_of_class_names(train.schema)
    if class_names is None and beside not in (None, label):
        class_names = class_names_beside(tables, label, str(beside), reading)
    ids = id_column(train.schema)
    known = Layout(label, class_names, id=ids)
    image = _image_column(train.schema, _hub_features(train.schema))
    if reading.text_column:
        for name in reading.text_column:
            check_known("text_column", name, train.column_names, where)
        check_are_texts(train, reading.text_column, where)
        if label in reading.text_column:
            raise DataError(
                f"text_column names {label!r}, which holds the labels, and a label cannot be an "
                "input. Leave it out, or give another column of labels with --target."
            )
        return replace(known, texts=reading.text_column)
    if image is not None:
        _check_no_text(train.schema, image, where)
        return replace(known, image=image)
    used = {label, ids, None if class_names is None else beside}
    return replace(known, **_Inputs(tables, label, used, reading, where).choose())


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
        used: Collection[str | None],
        reading: Reading,
        where: str,
    ) -> None:
        self.train = tables["train"]
        self.others = [table for split, table in tables.items() if split != "train"]
        # asked for each column, and Arrow makes a new list of names each time
        self.others_by_names = [(table, {*table.column_names}) for table in self.others]
        self.label = label
        self.reading = reading
        self.where = where
        self.names = [n for n in self.train.column_names if n not in used]
        self.labels = _class_numbers(tables, label, where)

    def choose(self) -> dict[str, Any]:
        """Return the fields of a `Layout` that say what the inputs are."""
        self._leave_out(self._empty(), "hold no value")
        named = self.reading.target is not None
        if not named or (self._has_texts() and not are_rows(self.train, self.names)):
            self._leave_out(
                self._other_labels(),
                "have names of labels",
                f" Labels are taken from {self.label!r}. To use another column, give --target.",
            )
        self._leave_out(self._indexes(), "have names of indexes")
        self._leave_out(self._row_numbers(), "contain row numbers")
        copies = self._copies()
        if len(copies) < len(self.names):  # an only input may well tell the class
            self._leave_out(copies, "repeat the label in another form")
        texts = [name for name in self.names if is_text(self._type(name))]
        paths = self._paths(texts)
        if paths is not None:
            self._leave_out([n for n in self.names if n != paths], "cannot be combined with images")
            return {"image": paths, "paths": True}
        texts = [name for name in texts if name in self.names]
        if texts and are_rows(self.train, self.names):
            return self._rows()
        if texts:
            chosen = choose_texts(
                self.train,
                self.names,
                leave_out=self._leave_out,
                reading=self.reading,
                where=self.where,
            )
            return {"texts": chosen}
        return self._numbers()

    def _rows(self) -> dict[str, Any]:
        """Return the columns of words and numbers, without words that no other row has."""
        check_values(self.train, self.names, self.where)
        own = of_their_own(self.train, self.names)
        advice = " To classify it as a text, give --text-column." if len(own) == 1 else ""
        self._leave_out(own, "have a different value in nearly every row", advice)
        if not any(is_text(self._type(name)) for name in self.names):
            return self._numbers()
        return {"rows": tuple(self.names)}

    def _numbers(self) -> dict[str, Any]:
        self._check_numeric()
        gaps = have_gaps(table.column(n) for table in self._having() for n in self.names)
        return {"rows" if gaps else "features": tuple(self.names)}

    def _having(self) -> list[pa.Table]:
        """Return the tables that have all columns; a later check names those that lack some."""
        return [t for t in (self.train, *self.others) if set(self.names) <= set(t.column_names)]

    def _has_texts(self) -> bool:
        own = {*LABEL_COLUMNS, *OTHER_LABELS}
        names = [name for name in self.names if name.strip().casefold() not in own]
        return any(is_text(self._type(name)) for name in names)

    def _type(self, name: str) -> pa.DataType:
        return self.train.schema.field(name).type

    def _leave_out(self, names: Sequence[str], why: str, advice: str = "") -> None:
        if not names:
            return
        left_out = {*names}
        self.names = [name for name in self.names if name not in left_out]
        verb = why if len(names) > 1 else _singular(why)
        self.reading.note(
            "left_out",
            f"In {self.where}, column{'s' * (len(names) > 1)} {shorten(map(repr, names))} {verb} "
            f"and {'are' if len(names) > 1 else 'is'} not used as input.{advice}",
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
        having = [table for table, names in self.others_by_names if name in names]
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
                    f"Column {name!r} of {self.where} names {files.kind} (such as "
                    f"{files.example[:80]!r}), and the contents of these files are not in the "
                    f"table. {_FILES_ADVICE[files.kind]} If the names themselves are the texts to "
                    f"classify, give --text-column {name}."
                )
        if len(images) > 1:
            raise DataError(
                f"A table may have only one column of images, but {self.where} has "
                f"{shorten(map(repr, images))}. Drop the others."
            )
        if not images:
            self._leave_out(list(named), "name files")
        return images[0] if images else None

    def _check_numeric(self) -> None:
        other = [n for n in self.names if not is_numeric(self._type(n))]
        dates = [name for name in other if are_dates(self.train.column(name))]
        check_no_dates(dates, self.where)
        if other:
            listed = [f"{name}: {self._type(name)}" for name in other]
            raise DataError(
                "In a table without images or texts, every column except the label must be "
                f"numeric, but {self.where} has {shorten(listed)}. Drop these columns or turn "
                "them into numbers."
            )
        self._check_any()

    def _check_any(self) -> None:
        if not self.names:
            raise DataError(
                f"Apart from the label, {self.where} has no column that can be used as input. Is "
                "the file complete, and is the column given with --target the right one?"
            )


_FILES_ADVICE = {
    "image addresses": "Download the images and put the paths of the files, relative to the "
    "table, into the column.",
    "audio": "Sound files are not read: compute features, one row of numbers for each recording.",
    "video": "Video files are not read: compute features, one row of numbers for each video.",
    "documents": "Put their texts into a column 'text'.",
}


def _singular(verb: str) -> str:
    first, _, rest = verb.partition(" ")
    one = {"are": "is", "have": "has", "cannot": "cannot"}.get(first, first + "s")
    return f"{one} {rest}".replace("names of labels", "the name of a label").replace(
        "names of indexes", "the name of an index"
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
            "The 'huggingface' metadata of the table must be JSON with info.features, but cannot "
            f"be read ({error}). Was the file edited? Write it again with correct metadata, or "
            "without this metadata."
        ) from error
    return {name: feature for name, feature in features if isinstance(feature, dict)}


def _is_label(name: str, features: Mapping[str, dict[str, Any]]) -> bool:
    is_class_label = features.get(name, {}).get("_type") == "ClassLabel"
    known = {*LABEL_COLUMNS, *NAMES_OF_CLASSES, *ONLY_LABELS}
    return is_class_label or name.strip().casefold() in known


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
            f"Inputs must be images or texts, but {where} has both ({image}, {TEXT_COLUMN}), and "
            "a network takes only one kind of input. If the texts are the inputs, give "
            f"--text-column {TEXT_COLUMN}; otherwise drop this column."
        )
