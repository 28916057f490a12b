"""Choose among columns of strings those that are the texts of an example."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from goodteacher.data.column_names import names_examples, texts_that_go_together
from goodteacher.data.labels import is_text
from goodteacher.data.listing import shorten
from goodteacher.data.odd_columns import are_addresses, are_dates, are_identifiers, not_numbers
from goodteacher.data.reading import Reading
from goodteacher.errors import DataError

LeaveOut = Callable[[Sequence[str], str, str], None]
"""Leaves columns out: which, why (of several columns), and what to do about it."""


def choose_texts(
    train: pa.Table, names: Sequence[str], *, leave_out: LeaveOut, reading: Reading, where: str
) -> tuple[str, ...]:
    """Return the columns of texts that are inputs, in the order of an example's texts.

    It is the only one; or those that go together by their names, such as premise and hypothesis.
    Columns that name examples are none.

    Args:
        train: The training table.
        names: Columns that may be inputs, one of strings among them.
        leave_out: Is told of columns of strings that are no inputs.
        reading: Where notes go.
        where: Names the table in messages.

    Raises:
        DataError: Which columns are meant cannot be told, some are of another kind, or strings are
            numbers or dates.
    """
    strings = [name for name in names if is_text(train.schema.field(name).type)]
    texts = [name for name in strings if not names_examples(name)] or strings
    others = [name for name in names if name not in strings and not names_examples(name)]
    of_examples = [name for name in names if name not in (*texts, *others)]
    leave_out(of_examples, "name examples", "")
    group = texts_that_go_together(texts)
    for name in group or texts:
        _check_words(train, name, where, alone=len(names) == 1)
    if group is not None:
        advice = f" The texts are {shorten(map(repr, group))}; to use others, give --text-column."
        leave_out(
            [name for name in texts if name not in group], "cannot be combined with texts", advice
        )
    elif len(texts) > 1:
        raise _unclear(texts, where)
    chosen = group or tuple(texts)
    if others:
        raise _mixed(chosen, others, where)
    for name in chosen:
        _note_oddities(train, name, reading, where)
    return chosen


def check_are_texts(train: pa.Table, names: Sequence[str], where: str) -> None:
    """Refuse columns that a user named and that hold no strings.

    Raises:
        DataError: One does not, or one is named twice.
    """
    if len(set(names)) < len(names):
        raise DataError(
            f"text_column = {_listed(names)} names a column twice. Give each column once."
        )
    for name in names:
        kind = train.schema.field(name).type
        if not is_text(kind):
            raise DataError(
                f"text_column = {name!r} must be a column of strings, but in {where} its type is "
                f"{kind}. Give another column, or leave text_column out."
            )


def _unclear(texts: Sequence[str], where: str) -> DataError:
    return DataError(
        f"Several columns could hold the texts: {where} has {len(texts)} columns of texts "
        f"({shorten(texts)}). Choose one with --text-column {texts[0]}, or several in order, for "
        f"example with --text-column {_listed(texts[:2])}; the others are then left out."
    )


def _mixed(texts: Sequence[str], others: Sequence[str], where: str) -> DataError:
    (first, *more) = texts
    meant = f"these texts are the inputs, give --text-column {_listed(texts)}"
    return DataError(
        f"Inputs must be texts or numbers, but {where} has both (text: {shorten(texts)}; others: "
        f"{shorten(others)}). If {meant}. If {'one of them' if more else repr(first)} holds "
        "categories, turn them into numbers, for example with pandas.get_dummies; if it "
        "identifies the rows, drop it."
    )


def _listed(names: Sequence[str]) -> str:
    """Return names as they are typed."""
    joined = ",".join(names)
    return f"'{joined}'" if " " in joined else joined


def _check_words(train: pa.Table, name: str, where: str, *, alone: bool) -> None:
    """Refuse text that is meant to be numbers or dates."""
    column = train.column(name)
    strange = not_numbers(column)
    if strange is not None:
        reason = (
            f"is taken as numbers, but {len(strange)} of {len(column)} values are not numbers "
            f"({shorten(map(repr, dict.fromkeys(strange)))}). Leave missing values empty (nothing "
            "between two delimiters), and fill them in or drop their rows"
            if strange
            else "holds numbers written as text. Store them as numbers"
        )
    elif are_dates(column) and not alone:
        reason = (
            "holds dates, which are not numbers. Turn them into numbers that may matter (the "
            "month, days since an event), or drop the column"
        )
    else:
        return
    raise DataError(
        f"Column {name!r} of {where} {reason}. If it holds texts to classify, give --text-column "
        f"{name}."
    )


def _note_oddities(train: pa.Table, name: str, reading: Reading, where: str) -> None:
    if are_addresses(train.column(name)):
        reading.note(
            "addresses",
            f"Every text in column {name!r} of {where} is an address, so the addresses themselves "
            "are classified. To classify what they point to, download it first.",
        )
    if are_identifiers(train.column(name)):
        reading.note(
            "identifiers",
            f"Nearly every text in column {name!r} of {where} is a single word with digits that "
            "is in no other row. If these are names of files or of examples, they are not the "
            "texts to classify: give the texts themselves.",
        )
