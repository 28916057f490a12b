"""Rows and classes as users give them: what cannot work is refused, what may spoil it is told."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from goodteacher.data import (
    DataNote,
    Frame,
    are_dates,
    are_identifiers,
    as_floats,
    as_table,
    is_numeric,
    is_table,
    numbers_rows,
    shorten,
)
from goodteacher.errors import DataError, PackageError

_MANY = 1000
"""Columns beyond this are not looked at one by one."""


def checked_classes(y: Any, name: str) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Return the classes, sorted, and the class of each row as a position among them.

    Args:
        y: The class of each row.
        name: Of the estimator, for messages.

    Raises:
        DataError: A row has no class, or there is one class only.
        ValueError: By scikit-learn: y is missing, is no column, or is numbers of a regression.
    """
    if y is None:
        raise DataError(
            f"{name} requires y to be passed, but the target y is None. Give the class of each row."
        )
    labels = column_or_1d(y, warn=True)
    missing = _missing(labels)
    if missing.any():
        raise DataError(
            f"Input y contains NaN: {int(missing.sum())} of {len(labels)} rows have no class (rows "
            f"{shorten(np.flatnonzero(missing).tolist())}). Leave these rows out, or give them as "
            "unlabelled rows: fit(X, y, unlabelled=...)."
        )
    check_classification_targets(labels)
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise DataError(
            f"y has one class only ({shorten(classes.tolist())}), and a classifier needs at least "
            "two classes. Is it the right column, or were rows left out by class?"
        )
    return classes, codes.astype(np.int64)


def checked_folds(
    codes: npt.NDArray[np.int64], classes: npt.NDArray[Any], folds: int, *, needed: str
) -> int:
    """Return how many folds there can be: fewer where a class has fewer examples.

    Args:
        codes: The class of each row.
        classes: The classes.
        folds: How many are wanted.
        needed: What they are for, to end a sentence with.

    Raises:
        DataError: A class has one example, which cannot be in two folds.
    """
    counts = np.bincount(codes, minlength=len(classes))
    fewest = int(counts.min())
    named = shorten(classes[counts == fewest].tolist())
    if fewest < 2:
        raise DataError(
            f"The class {named} has 1 example, and {needed} needs at least 2 of each class, one "
            "for training and one for testing. Leave such classes out, merge them with others, "
            "or collect more examples."
        )
    if fewest >= folds:
        return folds
    warnings.warn(
        f"The class {named} has {fewest} examples, fewer than cv = {folds}, so only {fewest} "
        "folds are used. Responses then come from teachers that were trained on fewer examples.",
        DataNote,
        stacklevel=4,
    )
    return fewest


def check_columns(X: Any) -> tuple[str, ...]:  # noqa: N803
    """Refuse columns of dates, and tell of columns that carry nothing or number the rows.

    Args:
        X: Rows.

    Returns:
        What was told, each also as a `DataNote`.

    Raises:
        DataError: A column holds dates.
    """
    told, dates = [], []
    for name, column in _columns(X):
        if _holds_dates(column):
            dates.append(name)
            continue
        reason = _idle(column)
        if reason:
            told.append(f"Column {name!r} {reason}")
    if dates:
        raise DataError(
            f"Columns of dates cannot be inputs: {shorten(dates)}. Give what matters about a date "
            "as columns of numbers, for example year, month, day of the week or days since an "
            "event, and leave the dates out."
        )
    for each in told:
        warnings.warn(each, DataNote, stacklevel=4)
    return tuple(told)


def check_alike(rows: Any, unlabelled: Any) -> None:
    """Refuse unlabelled rows that are of another kind than the labelled ones, or of other columns.

    Args:
        rows: An array, a sparse matrix, or a data frame of pandas.
        unlabelled: Should be the same.

    Raises:
        DataError: It is not.
    """
    kinds = _kind(rows), _kind(unlabelled)
    if kinds[0] != kinds[1]:
        raise DataError(
            f"unlabelled must have the same type as X, but it is {kinds[1]} and X is {kinds[0]}. "
            "Convert one of them."
        )
    if kinds[0] not in ("sparse", "array", "a pandas data frame"):
        raise DataError(
            "Unlabelled rows must be an array, a sparse matrix or a data frame of pandas, but X "
            f"is a {kinds[0]}. Convert both, for example with X.to_pandas()."
        )
    if rows.shape[1:] != unlabelled.shape[1:]:
        raise DataError(
            f"unlabelled has {unlabelled.shape[1]} columns, but X has {rows.shape[1]}. Give the "
            "same columns, in the same order."
        )
    if hasattr(rows, "columns") and list(rows.columns) != list(unlabelled.columns):
        raise DataError(
            f"The columns of unlabelled ({shorten(list(unlabelled.columns))}) are not those of X "
            f"({shorten(list(rows.columns))}). Give the same columns, in the same order."
        )


def joined_rows(first: Any, second: Any) -> Any:
    """Put rows below others that :func:`check_alike` accepts."""
    if sparse.issparse(first):
        both: list[Any] = [first, second]
        return sparse.vstack(both, format="csr")
    if not hasattr(first, "iloc"):
        return np.concatenate([first, second])
    import pandas as pd  # where a data frame is, pandas is

    return pd.concat([first, second], ignore_index=True)


def as_rows(X: Any) -> Any:  # noqa: N803
    """Return rows in a form of which some can be taken: lists become arrays, sparse ones CSR.

    Args:
        X: Rows of columns; or N texts, for a pipeline that reads them.

    Raises:
        DataError: They are one column of numbers without its second axis.
    """
    if sparse.issparse(X):
        compressed: Any = X
        return compressed.asformat("csr")
    if is_table(X) and not hasattr(X, "iloc"):
        return _as_pandas(X)
    rows = X if hasattr(X, "shape") else np.asarray(X)
    if len(rows.shape) == 1 and getattr(rows, "dtype", np.dtype("O")).kind not in "OUST":
        raise DataError(
            f"Expected 2D array, got 1D array instead: X has shape {tuple(rows.shape)}. Reshape "
            "your data: X.reshape(-1, 1) where it is one column, X.reshape(1, -1) where it is one "
            "row."
        )
    return rows


def _as_pandas(frame: Frame) -> Any:
    """Return a frame of Polars or an Arrow table as a frame of pandas, or as an array.

    Raises:
        PackageError: It holds more than numbers, and pandas is not installed.
    """
    table = as_table(frame)
    try:
        import pandas  # noqa: F401 - what Arrow converts to
    except ImportError:
        if all(map(is_numeric, table.schema.types)):
            return np.column_stack([as_floats(column) for column in table.columns])
        raise PackageError(
            f"X is a {type(frame).__name__} with columns of words, for which scikit-learn's "
            "estimators need a data frame of pandas, and pandas is not installed: pip install "
            "pandas."
        ) from None
    return table.to_pandas()


def _kind(rows: Any) -> str:
    if sparse.issparse(rows):
        return "sparse"
    if hasattr(rows, "iloc"):
        return "a pandas data frame"
    return "array" if isinstance(rows, np.ndarray) else type(rows).__name__


def _missing(labels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    if labels.dtype.kind == "f":
        return np.asarray(np.isnan(labels), bool)
    if labels.dtype.kind == "O":
        return np.array([each is None or each != each for each in labels], bool)
    return np.zeros(len(labels), bool)


def _columns(X: Any) -> Iterator[tuple[Any, npt.NDArray[Any]]]:  # noqa: N803
    if sparse.issparse(X) or getattr(X, "ndim", 0) != 2 or X.shape[1] > _MANY:
        return
    if hasattr(X, "columns"):
        yield from ((name, np.asarray(X[name])) for name in X.columns)
    else:
        yield from enumerate(np.asarray(X).T)


def _holds_dates(column: npt.NDArray[Any]) -> bool:
    if column.dtype.kind in "Mm":
        return True
    if column.dtype.kind == "O":
        known = [each for each in column if each is not None and each == each]
        if known and all(isinstance(each, date) for each in known):
            return True
    values = _texts(column)
    return values is not None and are_dates(values)


def _idle(column: npt.NDArray[Any]) -> str | None:
    """Say why a column tells nothing of the class, if that can be seen."""
    if len(column) < 2:
        return None
    texts = _texts(column)
    if texts is not None:
        if are_identifiers(texts):
            return _AN_ID
        return _CONSTANT if len(set(texts.to_pylist())) == 1 else None
    try:
        numbers = column.astype(np.float64)
    except (TypeError, ValueError):
        return None
    if bool((numbers == numbers[0]).all()):
        return _CONSTANT
    return _AN_ID if numbers_rows(numbers, []) else None


_AN_ID = (
    "has a different value in each row, like an id or a row number: it does not help with new "
    "rows, and may reveal the class in the training rows. Leave it out."
)
_CONSTANT = "has only one value, so it contains no information. Leave it out."


def _texts(column: npt.NDArray[Any]) -> pa.ChunkedArray | None:
    """Return a column of strings for Arrow; None for anything else."""
    if column.dtype.kind not in "OUT":
        return None
    known = [each for each in column if each is not None and each == each]
    if not known or not all(isinstance(each, str) for each in known):
        return None
    return pa.chunked_array(
        [pa.array([each if isinstance(each, str) else None for each in column])]
    )
