"""What is kept of examples for those who look at a study: small pictures, texts cut short, rows."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from goodteacher.data import InputSpec, Split, heat_map, on_one_line, picture
from goodteacher.records import Shown

MOST_CHARACTERS = 300
"""Of a text, a mark of what is cut included."""
MOST_CELLS = 24
"""Columns of a row."""
_MOST_IN_CELL = 60
_MOST_NUMBERS = 12
_TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that change the direction of whatever is written after them."""


def shown_examples(split: Split, positions: Sequence[int]) -> tuple[Shown, ...]:
    """Return what is shown of some examples.

    Args:
        split: Where they are; nothing but these examples is read.
        positions: Their rows.
    """
    if not positions:
        return ()
    spec, rows = split.stored.spec, split.stored.rows(torch.tensor(list(positions)))
    return tuple(shown_input(rows, spec, place) for place in range(len(positions)))


def shown_input(
    rows: Tensor | tuple[str | tuple[str, ...], ...] | Mapping[str, Tensor],
    spec: InputSpec,
    place: int,
) -> Shown:
    """Return what is shown of one example of some that were read.

    Args:
        rows: What `Inputs.rows` returned.
        spec: What one example is.
        place: Which of the rows.
    """
    if isinstance(rows, Mapping):
        return _fields({name: part[place] for name, part in rows.items()}, spec)
    if not isinstance(rows, Tensor):
        return Shown(text=excerpt(on_one_line(rows[place]), MOST_CHARACTERS))
    example = rows[place].cpu()
    if spec.kind == "images":
        return Shown(picture=picture(example))
    if spec.columns:
        return _row(example, spec)
    return _numbers(example, spec)


def excerpt(text: str, most: int) -> str:
    """Return how a text begins, on one line, without characters that cannot be seen.

    Args:
        text: Any text.
        most: Characters, a mark of what is cut included.

    Example:
        >>> excerpt("Where  is my card?", 12)
        'Where is ...'
    """
    seen = (" " if _unseen(character) else character for character in text[: 50 * most])
    line = " ".join("".join(seen).split())
    return line if len(line) <= most else line[: most - 4] + " ..."


def _unseen(character: str) -> bool:
    return character in _TURNING or unicodedata.category(character) in ("Cc", "Cs", "Cn")


def _row(example: Tensor, spec: InputSpec) -> Shown:
    values = example.tolist()
    cells = tuple(
        (excerpt(name, _MOST_IN_CELL), _value(value, spec.words.get(name)))
        for name, value in zip(spec.columns[:MOST_CELLS], values, strict=False)
    )
    more = len(spec.columns) - len(cells)
    return Shown(cells=cells, remark=f"and {more:,} more columns" if more else "")


def _value(value: float, words: Sequence[str] | None) -> str:
    """Write a value of a row: a number, or the word whose place it is."""
    if math.isnan(value):
        return "missing"
    if words is None:
        return f"{value:.6g}"
    place = int(value)
    return excerpt(words[place], _MOST_IN_CELL) if 0 <= place < len(words) else "another word"


def _numbers(example: Tensor, spec: InputSpec) -> Shown:
    drawn = heat_map(example)
    if drawn is not None:
        return Shown(picture=drawn, remark="numbers in grey: the lowest black, the highest white")
    first = ", ".join(f"{value:.4g}" for value in example.flatten()[:_MOST_NUMBERS].tolist())
    rest = ", ..." if example.numel() > _MOST_NUMBERS else ""
    return Shown(text=f"{first}{rest}", remark=f"{spec}: there is no picture of these")


def _fields(example: Mapping[str, Tensor], spec: InputSpec) -> Shown:
    cells = tuple(
        (excerpt(name, _MOST_IN_CELL), _numbers(part.cpu(), spec.fields[name]).text or "no picture")
        for name, part in list(example.items())[:MOST_CELLS]
    )
    return Shown(cells=cells, remark="several inputs of one example: there is no picture of these")
