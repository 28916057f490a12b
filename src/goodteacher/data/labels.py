"""Turn a source's labels - integers, names, or missing - into class numbers and class names."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from goodteacher.data.dataset import UNLABELLED, shorten
from goodteacher.errors import DataError


def infer_class_names(train: pa.ChunkedArray, test: pa.ChunkedArray, name: str) -> tuple[str, ...]:
    """Name the classes of labels that come without a list of names.

    Integers number the classes already, and each is named by its digits. Text (or booleans) names
    them, and the names of the training labels are sorted.

    Args:
        train: the training labels, one each example.
        test: the test labels.
        name: of the data set, for messages.

    Raises:
        DataError: Labels are neither integers nor text, or a number is too high to be a class.

    Example:
        >>> dogs, both = pa.chunked_array([["dog"]]), pa.chunked_array([["dog", "cat"]])
        >>> infer_class_names(both, dogs, "pets")
        ('cat', 'dog')
    """
    if not pa.types.is_integer(train.type):
        return tuple(sorted(_as_text(train, name).unique().drop_null().to_pylist()))
    both = [labels for labels in (train, test) if pa.types.is_integer(labels.type)]
    highest = max(pc.max(labels).as_py() or 0 for labels in both)
    if highest >= len(train):
        raise DataError(
            f"Labels must number the classes from 0, but {name!r} has a label {highest} and only"
            f" {len(train)} training examples. Is the label column an id or a measurement? Number"
            " the classes from 0, or give their names as text."
        )
    return tuple(map(str, range(highest + 1)))


def number_labels(
    labels: pa.ChunkedArray, class_names: tuple[str, ...], where: str
) -> npt.NDArray[np.int64]:
    """Return class numbers, ``int64 [num_examples]``; a missing label becomes -1 (unlabelled).

    Integers stay as they are; whether they are in range is for `Dataset` to check.

    Args:
        labels: one each example.
        class_names: the name of class ``c`` at position ``c``.
        where: names the split in messages.

    Raises:
        DataError: A text label is no class name, or labels are neither integers nor text.

    Example:
        >>> number_labels(pa.chunked_array([["dog", None, "cat"]]), ("cat", "dog"), "train split")
        array([ 1, -1,  0])
    """
    numbers = labels
    if not pa.types.is_integer(labels.type):
        text = _as_text(labels, f"the {where}")
        numbers = pc.index_in(text, value_set=pa.array(class_names, pa.string()))
        _check_known(text, numbers, class_names, where)
    filled = pc.fill_null(numbers.cast(pa.int64()), UNLABELLED)
    return np.array(filled.to_numpy(), dtype=np.int64)  # a copy: Arrow's memory is read-only


def is_text(kind: pa.DataType) -> bool:
    """Say whether a column of this type holds text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _as_text(labels: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    if pa.types.is_dictionary(labels.type):
        labels = labels.cast(labels.type.value_type)
    if not (is_text(labels.type) or pa.types.is_boolean(labels.type)):
        raise DataError(
            f"Labels must be integers or text, but those of {where} are of type {labels.type}. Is"
            " it a column of measurements, or were missing labels stored as NaN? Convert it to"
            " integers, with -1 for a missing label."
        )
    return labels.cast(pa.string())


def _check_known(
    text: pa.ChunkedArray, numbers: pa.ChunkedArray, class_names: tuple[str, ...], where: str
) -> None:
    unknown = pc.and_(pc.is_null(numbers), pc.is_valid(text))
    if pc.any(unknown).as_py():
        names = sorted(text.filter(unknown).unique().to_pylist())
        raise DataError(
            f"Labels must be among the {len(class_names)} classes of the training data, but the"
            f" {where} also has {shorten(names)}. Are they spelt differently, or is a class missing"
            " from the training data? Correct the labels, or drop these rows."
        )
