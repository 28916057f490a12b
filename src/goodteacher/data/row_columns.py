"""Choose the columns of a table whose rows hold words, categories and gaps beside numbers.

What is running text is none of these: its table is one of texts, or must say which columns are.
Thresholds are ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from goodteacher.data.column_names import texts_that_go_together
from goodteacher.data.column_types import as_floats, is_numeric
from goodteacher.data.labels import is_text
from goodteacher.data.listing import shorten
from goodteacher.data.odd_columns import are_dates, not_numbers
from goodteacher.errors import DataError

_SAMPLE = 1000  # values that are looked at
_LONG = 6  # words of a value, on average, from which on a column of strings is running text ...
_LONG_ALONE = 3  # ... and where there is no column of numbers
_OWN = 0.9  # share of rows with a value of their own from which on a column says nothing of others
_DIFFERENT = 0.5  # share of different values without which a column is no running text
_FEWEST_ROWS = 20  # with fewer, values that are all different may well be categories
_NAMES_OF_TEXTS = frozenset(
    (
        *("text", "texts", "sentence", "sentences", "review", "body", "content", "message"),
        *("comment", "description", "question", "title", "tweet", "document", "article"),
        *("passage", "utterance", "query", "prompt"),
    )
)


def are_rows(train: pa.Table, names: Sequence[str]) -> bool:
    """Say whether columns, some of which are strings, are words and numbers of rows, not texts.

    Args:
        train: The training table.
        names: Columns that may be inputs.

    Example:
        >>> table = pa.table({"colour": ["red", "blue"] * 9, "size": [1, 2] * 9})
        >>> are_rows(table, ["colour", "size"]), are_rows(table, ["colour"])
        (True, False)
    """
    strings = [name for name in names if is_text(train.schema.field(name).type)]
    if len(names) < 2 or texts_that_go_together(strings):
        return False
    if len(of_their_own(train, strings)) == len(names):
        return False
    length = _LONG if len(strings) < len(names) else _LONG_ALONE
    return not any(_is_running_text(train.column(name), name, length) for name in strings)


def of_their_own(train: pa.Table, names: Sequence[str]) -> list[str]:
    """Return the columns of strings in which nearly every row has a value that no other has."""
    strings = [name for name in names if is_text(train.schema.field(name).type)]
    return [name for name in strings if _has_own_values(train.column(name))]


def check_values(train: pa.Table, names: Iterable[str], where: str) -> None:
    """Refuse dates, numbers written as text, and lists.

    Raises:
        DataError: A column holds them.
    """
    kinds = {name: train.column(name) for name in names}
    check_no_dates([name for name, column in kinds.items() if are_dates(column)], where)
    nested = [f"{n}: {c.type}" for n, c in kinds.items() if not _is_plain(c.type)]
    if nested:
        raise DataError(
            f"Rows hold numbers and words, but {where} has {shorten(nested)}. Turn these into "
            "columns of numbers or words, or drop them."
        )
    for name, column in kinds.items():
        strange = not_numbers(column) if is_text(column.type) else None
        if strange:
            raise DataError(
                f"Column {name!r} of {where} is taken as numbers, but {len(strange)} of "
                f"{len(column)} values are not numbers "
                f"({shorten(map(repr, dict.fromkeys(strange)))}). Leave missing values empty, and "
                "correct the others."
            )


def check_no_dates(dates: Sequence[object], where: str) -> None:
    """Refuse columns of dates.

    Args:
        dates: Their names.
        where: Names the table in messages.

    Raises:
        DataError: There is one.
    """
    if dates:
        raise DataError(
            f"Columns of dates cannot be inputs: {shorten(map(repr, dates))} of {where}. Give "
            "what matters about a date as columns of numbers, for example year, month, day of "
            "the week or days since an event, and leave the dates out."
        )


def have_gaps(columns: Iterable[pa.ChunkedArray]) -> bool:
    """Say whether a number is missing in any of several columns."""
    return any(column.null_count or _holds_nan(column) for column in columns)


def _holds_nan(column: pa.ChunkedArray) -> bool:
    return pa.types.is_floating(column.type) and bool(np.isnan(as_floats(column)).any())


def _is_plain(kind: pa.DataType) -> bool:
    return is_numeric(kind) or is_text(kind) or bool(pa.types.is_null(kind))


def _is_running_text(column: pa.ChunkedArray, name: str, length: int) -> bool:
    values = [value for value in column.slice(0, _SAMPLE).to_pylist() if value]
    if not values or len(set(values)) < _DIFFERENT * len(values):
        return False
    named = name.strip().casefold() in _NAMES_OF_TEXTS
    return named or sum(len(value.split()) for value in values) >= length * len(values)


def _has_own_values(column: pa.ChunkedArray) -> bool:
    known = column.drop_null()
    if len(known) < _FEWEST_ROWS:
        return False
    return bool(pc.count_distinct(known).as_py() > _OWN * len(known))
