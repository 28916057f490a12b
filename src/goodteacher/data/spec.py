"""What one example is: the kind, shape and range that a network must be able to take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from goodteacher.config import Frozen
from goodteacher.data.listing import shorten

Kind = Literal["images", "numbers", "integers", "texts", "rows", "fields"]


class InputSpec(Frozen):
    """What one example is.

    Attributes:
        kind: ``images`` are bytes, ``numbers`` float32 of any shape, ``integers`` whole numbers of
            any shape, such as token ids; ``rows`` are rows of a table with words or gaps (see
            `TableRows`); ``fields`` are several of these by name.
        shape: ``(channels, height, width)`` of images, ``(columns,)`` of rows; nothing for texts
            and fields.
        low: The smallest of integers.
        high: The largest of integers.
        fields: What each field is.
        columns: The names of an example's texts, in their order, where it has several; or of a
            row's columns; or of numbers ``(columns,)``, where the source had names for them.
        words: Of rows, the values of each column that holds words, by its name: a value is stored
            as its place among them.

    Example:
        >>> str(InputSpec(kind="integers", shape=(128,), high=30_521))
        '128 whole numbers from 0 to 30521'
    """

    kind: Kind
    shape: tuple[int, ...] = ()
    low: int = 0
    high: int = 0
    fields: dict[str, InputSpec] = Field(default_factory=dict)
    columns: tuple[str, ...] = ()
    words: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @property
    def shapes(self) -> tuple[int, ...] | dict[str, tuple[int, ...]]:
        """The shape, or that of each field by its name."""
        if self.kind != "fields":
            return self.shape
        return {name: field.shape for name, field in self.fields.items()}

    def __str__(self) -> str:
        sizes = "x".join(map(str, self.shape))
        if self.kind == "fields":
            return ", ".join(f"{name} ({field})" for name, field in self.fields.items())
        if self.kind == "integers":
            return f"{sizes} whole numbers from {self.low} to {self.high}"
        if self.kind == "rows":
            return f"rows of {len(self.columns)} columns ({shorten(self.columns)})"
        if self.kind == "texts" and self.columns:
            return f"{len(self.columns)} texts ({', '.join(self.columns)})"
        return {"images": f"images {sizes}", "numbers": f"{sizes} numbers", "texts": "texts"}[
            self.kind
        ]

    def is_like(self, other: InputSpec) -> bool:
        """Say whether examples of both are of one kind and shape, whatever the range."""
        return (
            (self.kind, self.shape, self.columns) == (other.kind, other.shape, other.columns)
            and self.words == other.words
            and self.fields.keys() == other.fields.keys()
            and all(field.is_like(other.fields[name]) for name, field in self.fields.items())
        )


def numbers_spec(shape: Sequence[int]) -> InputSpec:
    """Describe float32 numbers of a shape."""
    return InputSpec(kind="numbers", shape=tuple(int(size) for size in shape))
