"""What a graph of ONNX takes of a table, and how a data frame's columns become one tensor.

An array is one tensor ``inputs``, float32 [N, F]. A data frame is one tensor [N, 1] for each of its
columns, by their names: numbers as float32, all else as text, a gap as NaN or as empty text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder

from goodteacher.config import Frozen
from goodteacher.data import UNSEEN, InputSpec, as_table, plain_words, shorten
from goodteacher.errors import ModelError, needed_package
from goodteacher.integrations.sklearn.encoding import TableEncoder

INPUT = "inputs"
"""Name of a graph's input, where it takes no columns by name."""

_TABLE = "table"
"""What everything made of the columns is named after, and the tensor that they become."""


class Column(Frozen):
    """A column that a graph takes by name.

    Attributes:
        name: Of the column.
        kind: A ``word`` is a text as the library's own students know it, see `plain_words`.
    """

    name: str
    kind: Literal["number", "text", "word"]


Columns = tuple[Column, ...]


def is_frame(rows: Any) -> bool:
    """Say whether rows have columns with names: a data frame of pandas."""
    return hasattr(rows, "iloc")


def columns_of(rows: Any) -> Columns:
    """Return the columns of a data frame; truth values count as numbers."""
    numbers = set(rows.select_dtypes(include=["number", "bool"]).columns)
    return tuple(
        Column(name=str(name), kind="number" if name in numbers else "text")
        for name in rows.columns
    )


def fed(rows: Any, columns: Columns) -> dict[str, npt.NDArray[Any]]:
    """Return rows as a graph takes them.

    Args:
        rows: An array, a sparse matrix or a data frame.
        columns: That the graph takes by name; none for one tensor.
    """
    with np.errstate(over="ignore"):  # beyond 3.4e38 a number is infinite there
        if not columns:
            given: Any = rows  # as mypy's types of SciPy lack methods that all formats have
            dense = given.toarray() if sparse.issparse(rows) else np.asarray(rows)
            return {INPUT: dense.astype(np.float32)}
        by_name = {str(name): name for name in rows.columns}
        return {
            each.name: _AS_FED[each.kind](rows[by_name[each.name]])[:, None] for each in columns
        }


def _numbers_of(column: Any) -> npt.NDArray[np.float32]:
    found: npt.NDArray[np.float32] = column.to_numpy(dtype=np.float32, na_value=np.nan)
    return found


def known_words(column: Any) -> npt.NDArray[np.object_]:
    """Return a column's words as the library's own students know them; a gap is empty.

    Args:
        column: Of a data frame of pandas.
    """
    table = as_table(column.to_frame("word").reset_index(drop=True))
    known = plain_words(table.column("word")).fill_null("")
    return np.array(known.to_pylist(), dtype=object)


def texts_of(values: Any) -> npt.NDArray[np.object_]:
    """Return values as texts: a gap is empty, and 1.0 is "1".

    Example:
        >>> texts_of(["red", None, True, 2.0, float("nan")]).tolist()
        ['red', '', 'True', '2', '']
    """
    found = np.empty(len(values), dtype=object)
    found[:] = [_text(each) for each in np.asarray(values, dtype=object)]
    return found


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or str(value) in ("nan", "<NA>", "NaT"):  # a gap, of whichever type
        return ""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


_AS_FED: Mapping[str, Callable[[Any], npt.NDArray[Any]]] = {
    "number": _numbers_of,
    "text": texts_of,
    "word": known_words,
}
"""What a column of a data frame becomes for a graph, by its kind."""

# --- from columns to one tensor ------------------------------------------------------------------


@dataclass
class Front:
    """The part of a graph that makes of the columns what the student takes.

    Attributes:
        inputs: Of the whole graph.
        nodes: In order.
        constants: That they use.
        feeds: By the name of each input of what follows, the tensor that it gets.
        width: Number of columns of that tensor; 0 where columns go on by name.
    """

    inputs: list[Any]
    feeds: dict[str, str]
    width: int = 0
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)


def front_of(rows: Any, step: TableEncoder | None, *, by_name: bool) -> tuple[Front, Columns]:
    """Return the first part of a graph, and the columns that it takes by name.

    Args:
        rows: Such rows as the student takes.
        step: The fitted encoder that the student begins with, or None.
        by_name: Whether what follows takes columns by name.

    Raises:
        ModelError: The student takes columns, or an array, of texts as they are.
    """
    if not is_frame(rows):
        _check_numbers(rows)
        width = int(rows.shape[1])
        return Front([_value(INPUT, width)], {INPUT: INPUT}, width), ()
    columns = columns_of(rows)
    if step is not None:
        texts = {str(name) for name in _used(step, "words")}
        columns = tuple(
            Column(name=each.name, kind="text" if each.name in texts else "number")
            for each in columns
        )
        return _Encoding(columns).of(step), columns
    inputs = [_of_column(each) for each in columns]
    if by_name:
        return Front(inputs, {each.name: each.name for each in columns}), columns
    texts = {each.name for each in columns if each.kind == "text"}
    if texts:
        raise ModelError(
            f"The student takes the columns {shorten(sorted(texts))} as they are, and they are "
            "not numbers, which an ONNX graph cannot read. Give a pipeline that encodes them "
            "first: make_pipeline(make_column_transformer((OneHotEncoder(), columns), "
            "remainder='passthrough'), student)."
        )
    made = Front(inputs, {INPUT: _TABLE}, len(columns))
    made.nodes.append(_node("Concat", [each.name for each in columns], [_TABLE], axis=1))
    return made, columns


def front_of_network(rows: Any, spec: InputSpec) -> tuple[Front, Columns]:
    """Return the first part of the graph of one of the library's own, and its columns by name.

    Args:
        rows: Such rows as the student takes.
        spec: What it takes for one row. Of rows with words, each word as its place among those of
            its column.
    """
    if spec.kind != "rows":
        return front_of(rows, None, by_name=False)
    columns = tuple(
        Column(name=name, kind="word" if name in spec.words else "number") for name in spec.columns
    )
    made = Front([_of_column(each) for each in columns], {INPUT: _TABLE}, len(columns))
    pieces = []
    for each in columns:
        pieces.append(each.name if each.kind == "number" else f"{_TABLE}/{each.name}/place")
        if each.kind == "number":
            continue
        words = spec.words[each.name]
        places = dict(zip(words, map(float, range(len(words))), strict=True)) | {"": np.nan}
        coding = {"keys_strings": list(places), "values_floats": list(places.values())}
        unseen = {"domain": "ai.onnx.ml", "default_float": float(UNSEEN)}
        made.nodes.append(_node("LabelEncoder", [each.name], pieces[-1:], **coding, **unseen))
    made.nodes.append(_node("Concat", pieces, [_TABLE], axis=1))
    return made, columns


def _check_numbers(rows: Any) -> None:
    """Refuse arrays of texts."""
    if len(rows.shape) == 2 and rows.dtype.kind not in "OUST":
        return
    try:
        np.asarray(rows[:1], np.float32).reshape(1, rows.shape[1])
    except (ValueError, TypeError, IndexError) as error:
        raise ModelError(
            "X is an array of texts, but the file can take only an array of numbers. Fit the "
            "student to a data frame: each of its columns is then an input of the file."
        ) from error


def _of_column(column: Column) -> Any:
    return _value(column.name, 1, text=column.kind != "number")


def _value(name: str, width: int, *, text: bool = False) -> Any:
    onnx = needed_package("onnx", extra="onnx", what="The format onnx")
    kind = onnx.TensorProto.STRING if text else onnx.TensorProto.FLOAT
    return onnx.helper.make_tensor_value_info(name, kind, ["batch", width])


def _node(operator: str, inputs: Sequence[str], outputs: Sequence[str], **settings: Any) -> Any:
    onnx = needed_package("onnx", extra="onnx", what="The format onnx")
    named = f"{outputs[0]}/{operator}"
    return onnx.helper.make_node(operator, inputs, outputs, name=named, **settings)


def _used(step: TableEncoder, name: str) -> list[Any]:
    """Return the columns that a part of an encoder was fitted to."""
    for own, part, columns in step.transformers_:
        if own == name and not isinstance(part, str):
            return list(columns)
    return []


class _Encoding:
    """Writes an encoder of data frames as nodes.

    Args:
        columns: Of the graph.
    """

    def __init__(self, columns: Columns) -> None:
        self._front = Front([_of_column(each) for each in columns], {INPUT: _TABLE})

    def of(self, step: TableEncoder) -> Front:
        """Return the nodes of a fitted encoder, in the order of its columns."""
        pieces: list[str] = []
        for name, part, columns in step.transformers_:
            if isinstance(part, SimpleImputer) and len(columns):
                pieces += self._numbers(part, [str(each) for each in columns])
            elif isinstance(part, OneHotEncoder) and len(columns):
                for number, each in enumerate(columns):
                    pieces.append(self._words(part, number, str(each)))
            elif name != "remainder" and len(columns):  # pragma: no cover - `encoder` makes none
                raise ModelError(f"The part {name} of the encoder cannot be converted to ONNX.")
        self._front.nodes.append(_node("Concat", pieces, [_TABLE], axis=1))
        return self._front

    def _numbers(self, imputer: SimpleImputer, names: list[str]) -> list[str]:
        """Write gaps as what stands in for them, and where they were."""
        values = np.asarray(imputer.statistics_, np.float64)
        kept = np.flatnonzero(~np.isnan(values))  # others had no value at all, and are left out
        before, gaps = f"{_TABLE}/numbers", f"{_TABLE}/gaps"
        self._add("Concat", names, before, axis=1)
        self._add("IsNaN", [before], gaps)
        filled = f"{_TABLE}/filled"
        stand_ins = np.where(np.isnan(values), 0, values).astype(np.float32)[None]
        self._add("Where", [gaps, self._constant("stand_ins", stand_ins), before], filled)
        found = [self._picked(filled, kept, "kept", len(names))]
        if imputer.indicator_ is not None and len(imputer.indicator_.features_):
            flags = f"{_TABLE}/flags"
            float_type = needed_package("onnx", extra="onnx", what="ONNX").TensorProto.FLOAT
            self._add("Cast", [gaps], flags, to=float_type)
            where = np.asarray(imputer.indicator_.features_, np.int64)
            found.append(self._picked(flags, where, "flagged", len(names)))
            self._front.width += len(where)
        self._front.width += len(kept)
        return found

    def _picked(self, tensor: str, positions: npt.NDArray[Any], name: str, count: int) -> str:
        if len(positions) == count:
            return tensor
        where, picked = self._constant(f"where_{name}", positions), f"{_TABLE}/{name}"
        self._add("Gather", [tensor, where], picked, axis=1)
        return picked

    def _words(self, coder: OneHotEncoder, number: int, name: str) -> str:
        """Write the values of a column as a column for each, by a table."""
        known, rows = table_of(coder, number, name)
        stem = f"{_TABLE}/{name}"
        self._add(
            "LabelEncoder",
            [name],
            f"{stem}/number",
            domain="ai.onnx.ml",
            keys_strings=known,
            values_int64s=list(range(len(known))),
            default_int64=len(known),
        )
        self._add(
            "Gather", [self._constant(f"{name}/rows", rows), f"{stem}/number"], f"{stem}/deep"
        )
        one = self._constant(f"{name}/axis", np.array([1], np.int64))
        self._add("Squeeze", [f"{stem}/deep", one], f"{stem}/encoded")
        self._front.width += rows.shape[1]
        return f"{stem}/encoded"

    def _add(self, operator: str, inputs: list[str], output: str, **settings: Any) -> None:
        self._front.nodes.append(_node(operator, inputs, [output], **settings))

    def _constant(self, name: str, value: npt.NDArray[Any]) -> str:
        helper = needed_package("onnx.numpy_helper", extra="onnx", what="The format onnx")
        self._front.constants.append(helper.from_array(value, f"{_TABLE}/constant/{name}"))
        return f"{_TABLE}/constant/{name}"


def table_of(
    coder: OneHotEncoder, number: int, name: str
) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Return the values that a column may have as texts, and what each becomes.

    Args:
        coder: A fitted one that drops no category.
        number: Of the column.
        name: Of the column.

    Returns:
        K texts, and K + 1 rows of zeros and ones; the last one is for every other text.

    Raises:
        ModelError: Two values of the column are one text.
    """
    known = texts_of(coder.categories_[number]).tolist()
    if len(set(known)) < len(known):
        twice = sorted({each for each in known if known.count(each) > 1})
        raise ModelError(
            f"Column {name!r} has different values that are the same when written as text "
            f"({shorten(twice)}), for example a missing value and an empty text, or 1 and '1'. "
            "Make them equal before fitting."
        )
    infrequent = getattr(coder, "infrequent_categories_", [None] * (number + 1))[number]
    rare = set() if infrequent is None else set(texts_of(infrequent).tolist())
    common = [each for each in known if each not in rare]
    place: Mapping[str, int] = {each: where for where, each in enumerate(common)}
    rows = np.zeros((len(known) + 1, len(common) + bool(rare)), np.float32)
    for row, each in enumerate(known):
        rows[row, place.get(each, len(common))] = 1
    if rare:
        rows[-1, -1] = 1
    return known, rows
