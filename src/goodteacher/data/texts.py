"""Texts, which are `Inputs`: one of each example, or several, such as premise and hypothesis."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from goodteacher.data.inputs import AtHand, Text
from goodteacher.data.listing import shorten
from goodteacher.data.numbers import AT_ONCE
from goodteacher.data.spec import InputSpec
from goodteacher.errors import DataError


@dataclass(frozen=True, eq=False)
class Texts(AtHand):
    """Strings.

    Attributes:
        texts: The texts; some may be empty.
    """

    texts: tuple[str, ...]

    @property
    def spec(self) -> InputSpec:
        """Texts."""
        return InputSpec(kind="texts")

    @property
    def nbytes(self) -> int:
        """Nothing that a device could hold."""
        return 0

    def __len__(self) -> int:
        return len(self.texts)

    def rows(self, positions: Tensor) -> tuple[str, ...]:
        """Return some of the texts."""
        return tuple(self.texts[row] for row in positions.tolist())

    def chunks(self, size: int | None = None) -> Iterator[tuple[str, ...]]:
        """Yield all texts."""
        size = size or AT_ONCE
        for first in range(0, len(self), size):
            yield self.texts[first : first + size]

    def subset(self, positions: Tensor) -> Texts:
        """Return some of the texts."""
        return Texts(self.rows(positions))

    def to(self, device: torch.device | str, /) -> Texts:
        """Return themselves."""
        return self

    def check(self) -> None:
        """Refuse what is no string, and no texts at all."""
        check_texts(self.texts)
        if not self.texts:
            raise DataError(
                "A split needs at least one example, but has no text. Is the source empty, or did "
                "a filter remove every row?"
            )

    def digest_into(self, digest: hashlib._Hash) -> None:
        """Add each text, with its length."""
        for text in self.texts:
            # half of a pair is no UTF-8, but a str may hold it
            encoded = text.encode("utf-8", "surrogatepass")
            digest.update(f"{len(encoded)};".encode() + encoded)


@dataclass(frozen=True, eq=False)
class TextColumns(AtHand):
    """Several texts of each example, by the name of their column.

    Attributes:
        columns: The texts of each column, as many each; their order is that of an example's texts.

    Example:
        >>> pairs = TextColumns({"question": ("who?", "where?"), "answer": ("me", "here")})
        >>> pairs.rows(torch.tensor([1]))
        (('where?', 'here'),)
    """

    columns: Mapping[str, tuple[str, ...]]

    @property
    def spec(self) -> InputSpec:
        """Texts, with the names of their columns."""
        return InputSpec(kind="texts", columns=tuple(self.columns))

    @cached_property
    def texts(self) -> tuple[tuple[str, ...], ...]:
        """The texts of each example."""
        return tuple(zip(*self.columns.values(), strict=True))

    @property
    def nbytes(self) -> int:
        """Nothing that a device could hold."""
        return 0

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def rows(self, positions: Tensor) -> tuple[tuple[str, ...], ...]:
        """Return the texts of some examples."""
        return tuple(self.texts[row] for row in positions.tolist())

    def chunks(self, size: int | None = None) -> Iterator[tuple[tuple[str, ...], ...]]:
        """Yield the texts of all examples."""
        size = size or AT_ONCE
        for first in range(0, len(self), size):
            yield self.texts[first : first + size]

    def subset(self, positions: Tensor) -> TextColumns:
        """Return some examples."""
        rows = positions.tolist()
        return TextColumns(
            {name: tuple(texts[row] for row in rows) for name, texts in self.columns.items()}
        )

    def to(self, device: torch.device | str, /) -> TextColumns:
        """Return themselves."""
        return self

    def check(self) -> None:
        """Refuse fewer than two columns, columns that differ in length, and what is no string."""
        if len(self.columns) < 2:
            raise DataError(
                "Examples with several texts need at least two columns, but there are "
                f"{len(self.columns)}. If each example has one text, give a list of strings."
            )
        lengths = {name: len(texts) for name, texts in self.columns.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise DataError(
                f"All columns must have one text for each example, but their lengths differ: {told}"
                ". Do they come from different files?"
            )
        for name, texts in self.columns.items():
            try:
                Texts(texts).check()
            except DataError as error:
                raise DataError(f"In the column {name!r}: {error}") from error

    def digest_into(self, digest: hashlib._Hash) -> None:
        """Add each column, with its name."""
        for name, texts in self.columns.items():
            digest.update(f"{name!r};".encode())
            Texts(texts).digest_into(digest)


def as_text_inputs(texts: Any) -> Texts | TextColumns:
    """Return texts as inputs.

    Args:
        texts: Strings [N]; or several texts of each example, by column (``{"question": [...],
            "answer": [...]}``) or as N tuples, whose columns are then called text1, text2 and so
            on.

    Raises:
        DataError: They are something else.

    Example:
        >>> as_text_inputs([("who?", "me"), ("where?", "here")]).spec.columns
        ('text1', 'text2')
    """
    if isinstance(texts, Mapping):
        columns = {str(name): _listed(column) for name, column in texts.items()}
        for column in columns.values():
            check_texts(column)
        return TextColumns(columns)
    texts = _listed(texts)
    if not _are_rows(texts):
        check_texts(texts)
        return Texts(texts)
    names = tuple(f"text{number + 1}" for number in range(len(texts[0])))
    check_rows_of_texts(texts, names)
    return TextColumns(dict(zip(names, zip(*texts, strict=True), strict=True)))


def are_texts(values: Any) -> bool:
    """Say whether something is strings or rows of them, by its first entry.

    >>> are_texts(["a"]), are_texts([("a", "b")]), are_texts([[1.0]]), are_texts("a")
    (True, True, False, False)
    """
    if hasattr(values, "tolist"):
        values = values.tolist()
    if isinstance(values, str) or not isinstance(values, Sequence) or not len(values):
        return False
    first = values[0]
    return isinstance(first, str) or (_are_rows(values) and bool(first) and _is_all_text(first))


def check_texts(texts: Any) -> None:
    """Refuse what is not a sequence of strings.

    Raises:
        DataError: It is one string, or something in it is none.
    """
    if isinstance(texts, str) or not isinstance(texts, Sequence):
        raise DataError(
            f"Texts must be a list of strings, but their type is {type(texts).__name__}. For a "
            "single text, give a list with one entry; for an array, give array.tolist()."
        )
    others = [n for n, text in enumerate(texts) if not isinstance(text, str)]
    if others:
        kinds = sorted({type(texts[n]).__name__ for n in others})
        raise DataError(
            f"Texts must be strings, but {len(others)} of {len(texts)} are {shorten(kinds)} (at "
            f"{shorten(others)}). Are values missing? Drop these rows, or give '' where the text "
            "is empty."
        )


def check_rows_of_texts(rows: Any, columns: Sequence[str]) -> None:
    """Refuse what is not a sequence of examples with a text for each column.

    Args:
        rows: To be checked.
        columns: The names of the columns.

    Raises:
        DataError: It is none.

    Example:
        >>> check_rows_of_texts([("who?", "me")], ["question", "answer"])
    """
    wanted = f"{len(columns)} texts ({shorten(columns)})"
    if isinstance(rows, str) or not isinstance(rows, Sequence):
        raise DataError(
            f"Each example is {wanted}, but got a {type(rows).__name__}. Give a list of tuples, "
            "or a dictionary with a list for each column."
        )
    others = [n for n, row in enumerate(rows) if not _is_row(row, len(columns))]
    if not others:
        return
    first = rows[others[0]]
    raise DataError(
        f"Each example is {wanted}, but {len(others)} of {len(rows)} are not (at {shorten(others)};"
        f" the first is {_described(first)}). Give a tuple of {len(columns)} strings for each"
        f" example, in the order of the columns, or a dictionary with a list for each column."
    )


def rows_of_columns(given: Any, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the texts of each example of a dictionary or a data frame.

    Args:
        given: Has a list for each column; a data frame may have more columns.
        columns: The names of the columns that are wanted, in order.

    Raises:
        DataError: A column is missing or one too many, or their lengths differ.

    Example:
        >>> rows_of_columns({"answer": ["me"], "question": ["who?"]}, ["question", "answer"])
        [('who?', 'me')]
    """
    names = list(map(str, given))
    missing = [name for name in columns if name not in names]
    others = [n for n in names if n not in columns] if isinstance(given, Mapping) else []
    if missing or others:
        raise DataError(
            f"Each example is {len(columns)} texts ({shorten(columns)}), but the columns given are"
            f" {shorten(names) or 'none'}. Give a list for each of {shorten(columns)}, and no other"
            " column."
        )
    found = TextColumns({name: _listed(given[name]) for name in columns})
    if len({*map(len, found.columns.values())}) > 1 or len(found):
        found.check()
    return list(found.texts)


def on_one_line(text: Text) -> str:
    """Return an example's text, or its texts with a bar between them.

    >>> on_one_line("who?"), on_one_line(("who?", "me"))
    ('who?', 'who? | me')
    """
    return text if isinstance(text, str) else " | ".join(text)


def _listed(texts: Any) -> Any:
    """Return a tuple of what is a list, an array or a column of a data frame."""
    if hasattr(texts, "tolist"):
        texts = texts.tolist()
    return tuple(texts) if isinstance(texts, list) else texts


def _are_rows(texts: Any) -> bool:
    return isinstance(texts, Sequence) and bool(texts) and isinstance(texts[0], list | tuple)


def _is_all_text(row: Sequence[Any]) -> bool:
    return all(isinstance(text, str) for text in row)


def _is_row(row: Any, count: int) -> bool:
    return isinstance(row, list | tuple) and len(row) == count and _is_all_text(row)


def _described(row: Any) -> str:
    if not isinstance(row, list | tuple):
        return f"a {type(row).__name__}"
    kinds = sorted({type(text).__name__ for text in row})
    return f"a {type(row).__name__} of {len(row)} ({shorten(kinds) or 'nothing'})"
