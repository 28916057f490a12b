"""The library's own students for tables: ``"linear"``, ``"mlp:32"`` and so on.

The teacher's responses are recorded as a run, and the search does the rest: temperature, alpha and
label smoothing on the selection split, fresh paired seeds, the test split once, an answer. A part
of the rows is kept from training for that (``test_fraction``), and the student is not trained again
on all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array

from goodteacher.data import (
    UNLABELLED,
    Dataset,
    Split,
    TableRows,
    as_table,
    check_shape,
    rows_of_table,
    rows_spec,
    words_of,
)
from goodteacher.errors import DataError
from goodteacher.integrations.sklearn.encoding import are_numbers
from goodteacher.integrations.sklearn.synthetic import synthetic_rows
from goodteacher.integrations.sklearn.tables import joined_rows
from goodteacher.integrations.sklearn.teaching import Rows, Table, Teaching, some_of
from goodteacher.public.given import Studied, check_search, search_response
from goodteacher.responses import Response


def study_of(
    teaching: Teaching,
    table: Table,
    others: Any,
    said: Response | None,
    *,
    student: str,
    names: tuple[str, ...],
    out: str | Path | None,
    test_fraction: float,
    seed: int,
    settings: Mapping[str, Any],
    synthetic: str | None = None,
    per_row: float = 1.0,
) -> Studied:
    """Search for a student of the library's own kind.

    Args:
        teaching: The teacher.
        table: Labelled rows, of numbers.
        others: Unlabelled rows, or None.
        said: What a teacher that is not trained here says of the labelled rows, or None.
        student: Its specification.
        names: Of the columns, or nothing.
        out: Folder of the study; None for a temporary one.
        test_fraction: Share of the rows on which the answer is measured.
        seed: Of the division.
        settings: Of the search.
        synthetic: How synthetic rows are made, or None.
        per_row: Number of them for each labelled row that students learn from.

    Returns:
        The search.

    Raises:
        DataError: The rows are no numbers, nor a data frame that can be encoded.
        InputError: Something else cannot work; raised before any student is trained.
    """
    check_search(student, settings)
    learned, test = _divided(table, test_fraction, seed)
    part, held_out = table.rows(learned), table.rows(test)
    teaching = teaching.within(part)
    response = teaching.out_of_fold(part) if said is None else some_of(said, learned)
    rows, codes, logits = part.inputs, part.codes, response.in_memory()
    if synthetic is not None:
        others = _with_synthetic(others, rows, synthetic, per_row, seed)
    if others is not None:
        more = teaching.about_others(teaching.fitted(part), others, table.classes).in_memory()
        rows, logits = joined_rows(rows, others), torch.cat([logits, more])
        codes = np.concatenate([codes, np.full(len(more), UNLABELLED)])
    split = _splits_of(rows)
    data = Dataset(
        "table",
        split(rows, codes),
        split(held_out.inputs, held_out.codes),
        tuple(map(str, table.classes.tolist())),
        feature_names=names,
    )
    settings = {"split_seed": seed, **settings}
    return search_response(data, logits, student=student, out=out, **settings)


def _splits_of(rows: Any) -> Callable[[Any, Rows], Split]:
    """Return what makes splits of rows: as they are where they are a data frame of words or gaps.

    The student's own preparation then encodes them.
    """
    if not hasattr(rows, "iloc") or are_numbers(rows):
        return lambda given, codes: Split.from_arrays(_numbers(given), codes)
    table = as_table(_named(rows))
    spec = rows_spec({name: words_of(table.column(name)) for name in table.column_names})

    def split(given: Any, codes: Rows) -> Split:
        stored = TableRows(rows_of_table(as_table(_named(given)), spec, "table"), spec)
        return Split.from_arrays(stored, codes)

    return split


def _named(rows: Any) -> Any:
    """Return a data frame without its index, whose columns have strings as names."""
    return rows.rename(columns=str).reset_index(drop=True)


def _with_synthetic(others: Any, rows: Any, synthetic: str, per_row: float, seed: int) -> Any:
    count = max(1, round(per_row * rows.shape[0]))
    made = synthetic_rows(synthetic, rows, count, seed=seed)
    return made if others is None else joined_rows(others, made)


def _divided(table: Table, test_fraction: float, seed: int) -> tuple[Rows, Rows]:
    """Return the rows that a student may learn from, and those on which the answer is measured."""
    try:
        learned, test = train_test_split(
            np.arange(len(table)), test_size=test_fraction, random_state=seed, stratify=table.codes
        )
    except ValueError as error:
        raise DataError(
            f"test_fraction = {test_fraction} of {len(table)} rows cannot hold each of "
            f"{len(table.classes)} classes ({error}). Increase it, or give more rows."
        ) from error
    return np.sort(learned), np.sort(test)


def network_probabilities(student: Any, rows: Any) -> npt.NDArray[np.float64]:
    """Return a delivered student's probabilities, [N, C].

    Args:
        student: A `Classifier`.
        rows: N rows, as the student was trained on.
    """
    given = _named(rows) if student.card.inputs.kind == "rows" else _numbers(rows)
    found: npt.NDArray[np.float64] = student.predict_proba(given).double().numpy()
    return found


def _numbers(rows: Any) -> npt.NDArray[np.float32]:
    """Return rows as numbers, for a network.

    Raises:
        DataError: A column is none, or a value is missing.
    """
    if hasattr(rows, "toarray"):
        check_shape(rows.shape, rows.dtype.itemsize, "The sparse matrix, made dense for a network,")
    try:
        found: npt.NDArray[np.float32] = check_array(
            rows.toarray() if hasattr(rows, "toarray") else rows, dtype=np.float32
        )
    except ValueError as error:
        raise DataError(
            "Networks as students take arrays of numbers without missing values, or data frames "
            f"of pandas, in which words and missing values are allowed: {error}"
        ) from error
    return found
