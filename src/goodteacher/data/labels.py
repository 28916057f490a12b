"""Turn a source's labels - integers, names, or missing - into class numbers and class names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from goodteacher.data.listing import shorten
from goodteacher.data.reading import Reading
from goodteacher.errors import DataError
from goodteacher.maths._checks import UNLABELLED

_NUMBER = re.compile(r"\s*[+-]?\d+(\.\d+)?\s*")


@dataclass(frozen=True)
class Classes:
    """Say which classes there are, and which label is the first of them.

    Attributes:
        names: the name of class ``c`` at position ``c``.
        first: the label of class 0 where labels are integers.
    """

    names: tuple[str, ...]
    first: int = 0


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Sort class names: as numbers if all of them are, else as text.

    Example:
        >>> in_order(["10", "9", "1"]), in_order(["b10", "b9"])
        (('1', '9', '10'), ('b10', 'b9'))
    """
    unique = sorted(set(names))
    if all(_NUMBER.fullmatch(name) for name in unique):
        unique.sort(key=float)
    return tuple(unique)


def plain_labels(labels: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    """Return labels as integers or as text, with null for a missing one.

    Floats that are whole numbers are integers, and NaN among them is a missing label, as pandas
    stores it; an empty text is a missing label too, as CSV has no other.

    Args:
        labels: one each example.
        where: names them in messages.

    Raises:
        DataError: They are neither integers nor text.

    Example:
        >>> plain_labels(pa.chunked_array([[1.0, float("nan")]]), "train split").to_pylist()
        [1, None]
    """
    kind = labels.type
    if pa.types.is_dictionary(kind):
        labels = labels.cast(kind.value_type)
        kind = labels.type
    if pa.types.is_integer(kind):
        return labels
    if pa.types.is_null(kind):
        return labels.cast(pa.int64())
    if pa.types.is_floating(kind):
        return _whole(labels, where)
    if not (is_text(kind) or pa.types.is_boolean(kind)):
        many = pa.types.is_list(kind) or pa.types.is_large_list(kind)
        hint = (
            "Each example must have one class: choose one, or make a class of each combination."
            if many
            else "Is it a column of measurements? Convert it to integers, with -1 for a missing"
            " label."
        )
        raise DataError(
            f"Labels must be integers or text, but those of the {where} are of type {kind}. {hint}"
        )
    text = labels.cast(pa.string())
    blank = pc.equal(pc.utf8_trim_whitespace(text), "")
    return pc.if_else(blank, pa.scalar(None, pa.string()), text)


def alike(columns: Sequence[pa.ChunkedArray]) -> list[pa.ChunkedArray]:
    """Return labels of several splits as text in all of them where they are text in one.

    Args:
        columns: labels as `plain_labels` gives them.

    Example:
        >>> both = [pa.chunked_array([["0", "1"]]), pa.chunked_array([[1, -1]])]
        >>> [labels.to_pylist() for labels in alike(both)]
        [['0', '1'], ['1', None]]
    """
    known = [labels for labels in columns if has_labels(labels)]
    if all(pa.types.is_integer(labels.type) for labels in known):
        return [c if pa.types.is_integer(c.type) else _unknown(len(c)) for c in columns]
    return [_named(c) if pa.types.is_integer(c.type) else c for c in columns]


def infer_classes(columns: Sequence[pa.ChunkedArray], name: str, reading: Reading) -> Classes:
    """Name the classes of labels that come without a list of names.

    Integers number the classes already, from 0 or from 1, and each is named by its digits. Text (or
    booleans) names them, in the order of `in_order`. Names are those of the training labels; where
    no training example has a label, those of the other splits.

    Args:
        columns: labels as `alike` gives them, of train and of the other splits.
        name: of the data set, for messages.
        reading: where notes go.

    Raises:
        DataError: A number is too high to be a class.

    Example:
        >>> dogs, both = pa.chunked_array([["dog"]]), pa.chunked_array([["dog", "cat"]])
        >>> infer_classes([both, dogs], "pets", Reading()).names
        ('cat', 'dog')
    """
    if pa.types.is_integer(columns[0].type):
        return _numbered(columns, name, reading)
    given = columns[:1] if has_labels(columns[0]) else columns
    return Classes(in_order(n for c in given for n in c.unique().drop_null().to_pylist()))


def named_classes(
    names: Sequence[str], columns: Sequence[pa.ChunkedArray], name: str, reading: Reading
) -> Classes:
    """Join class names that the source gives with its labels, which may count from 1.

    Args:
        names: the name of class ``c`` at position ``c``.
        columns: see `infer_classes`.
        name: of the data set, for messages.
        reading: where notes go.
    """
    numbers = _distinct(columns)
    if numbers and min(numbers) == 1 and max(numbers) == len(names):
        _note_from_one(name, len(names), reading)
        return Classes(tuple(names), first=1)
    return Classes(tuple(names))


def number_labels(labels: pa.ChunkedArray, classes: Classes, where: str) -> npt.NDArray[np.int64]:
    """Return class numbers, ``int64 [num_examples]``; a missing label becomes -1 (unlabelled).

    Whether integers are in range is for `Dataset` to check.

    Args:
        labels: as `alike` gives them.
        classes: which there are.
        where: names the split in messages.

    Raises:
        DataError: A text label is no class name.

    Example:
        >>> pets = Classes(("cat", "dog"))
        >>> number_labels(pa.chunked_array([["dog", None, "cat"]]), pets, "train split")
        array([ 1, -1,  0])
    """
    if pa.types.is_integer(labels.type):
        numbers = np.array(pc.fill_null(labels.cast(pa.int64()), UNLABELLED).to_numpy())
        return np.where(numbers == UNLABELLED, numbers, numbers - classes.first)
    found = pc.index_in(labels, value_set=pa.array(classes.names, pa.string()))
    _check_known(labels, found, classes.names, where)
    return np.array(pc.fill_null(found.cast(pa.int64()), UNLABELLED).to_numpy(), dtype=np.int64)


def has_labels(labels: pa.ChunkedArray) -> bool:
    """Say whether any label is known."""
    if not pa.types.is_integer(labels.type):
        return bool(labels.null_count < len(labels))
    return bool(pc.any(pc.not_equal(labels, UNLABELLED)).as_py())


def is_text(kind: pa.DataType) -> bool:
    """Say whether a column of this type holds text."""
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(check(kind) for check in checks)


def _unknown(count: int) -> pa.ChunkedArray:
    return pa.chunked_array([pa.nulls(count, pa.int64())])


def _named(labels: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return integer labels as text, with null for -1."""
    missing = pc.equal(labels, UNLABELLED)
    return pc.if_else(missing, pa.scalar(None, pa.string()), labels.cast(pa.string()))


_FURTHEST = 2.0**53  # fractions are whole beyond it, whatever they were


def _whole(labels: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    if pa.types.is_float16(labels.type):  # for which Arrow has few functions
        labels = labels.cast(pa.float32())
    known = pc.if_else(pc.is_finite(labels), labels, pa.scalar(None, labels.type))
    far = pc.greater(pc.abs(known), _FURTHEST)
    broken = pc.or_(far, pc.not_equal(known, pc.round(known)))
    if pc.any(broken).as_py():
        raise DataError(
            f"Labels must be integers or text, but those of the {where} are of type {labels.type} "
            f"and hold {shorten(known.filter(broken).unique().to_pylist())}. Is it a column of "
            "measurements? Give another label column with --target, or divide the measurement "
            "into classes."
        )
    return known.cast(pa.int64())


def _distinct(columns: Sequence[pa.ChunkedArray]) -> set[int]:
    """Return every integer label but -1."""
    numbers = [labels for labels in columns if pa.types.is_integer(labels.type)]
    found = {n for labels in numbers for n in labels.unique().drop_null().to_pylist()}
    return found - {UNLABELLED}


def _numbered(columns: Sequence[pa.ChunkedArray], name: str, reading: Reading) -> Classes:
    numbers = _distinct(columns)
    highest, num_train = max(numbers, default=0), len(columns[0])
    if (lowest := min(numbers, default=0)) < 0:
        raise DataError(
            f"Labels must be class numbers from 0, or -1 for a missing label, but {name!r} has a "
            f"label {lowest}. Number the classes from 0, or give their names as text."
        )
    _check_no_measurement(numbers, num_train, name)
    if highest > num_train:
        raise DataError(
            f"Labels must be class numbers from 0, but {name!r} has a label {highest} and only "
            f"{num_train} training examples. Is the label column an id or a measurement? Number "
            "the classes from 0, or give their names as text."
        )
    if numbers == {1} and any(pc.any(pc.equal(c, UNLABELLED)).as_py() for c in columns):
        raise DataError(
            f"The labels of {name!r} are -1 and 1, but -1 means that an example has no label. If "
            "-1 is a class, store the two classes as 0 and 1."
        )
    if len(numbers) > 1 and numbers == set(range(1, highest + 1)):
        _note_from_one(name, highest, reading)
        return Classes(tuple(map(str, range(1, highest + 1))), first=1)
    return Classes(tuple(map(str, range(highest + 1))))


_MANY_CLASSES = 50  # numbers of classes from which on they may be a measurement ...
_FEW_EACH = 10  # ... where there are fewer training examples for each


def _check_no_measurement(numbers: set[int], num_train: int, name: str) -> None:
    """Refuse whole numbers that are a quantity by all appearances, such as a price."""
    count, span = len(numbers), max(numbers, default=0) + 1
    if count > _MANY_CLASSES and num_train < _FEW_EACH * count and count < span / 2:
        raise DataError(
            f"The labels of {name!r} look like a measurement, as for a regression: {count} "
            f"different numbers from {min(numbers)} to {max(numbers)} in {num_train} training "
            "examples. goodteacher predicts classes: divide the measurement into classes, for "
            "example low, middle and high, or give another column with --target."
        )


def _note_from_one(name: str, count: int, reading: Reading) -> None:
    reading.note(
        "labels_from_one",
        f"The labels of {name!r} are numbered from 1 to {count}, so label 1 is taken as the first "
        "class, which is output 0 of a network. If there is also a class 0 that these data do "
        "not contain, give class_names, or examples of that class.",
    )


def _check_known(
    text: pa.ChunkedArray, numbers: pa.ChunkedArray, class_names: tuple[str, ...], where: str
) -> None:
    unknown = pc.and_(pc.is_null(numbers), pc.is_valid(text))
    if pc.any(unknown).as_py():
        names = sorted(text.filter(unknown).unique().to_pylist())
        raise DataError(
            f"Labels must be among the {len(class_names)} classes of the training data, but the "
            f"{where} also has {shorten(map(repr, names))}.{_similar(names, class_names)} Are "
            "labels spelt differently, or is a class missing from the training data? Correct the "
            "labels, or drop these rows."
        )


def _similar(names: Iterable[str], class_names: Iterable[str]) -> str:
    """Say which names differ from a class only in case or spaces."""
    known = {folded(name): name for name in class_names}
    pairs = [f"{name!r} and {known[folded(name)]!r}" for name in names if folded(name) in known]
    return f" These names differ only in case or spaces: {shorten(pairs)}." if pairs else ""


def folded(name: str) -> str:
    """Return a name without what is easily mistyped: case and spaces.

    Example:
        >>> folded(" Cat") == folded("cat")
        True
    """
    return "".join(name.casefold().split())
