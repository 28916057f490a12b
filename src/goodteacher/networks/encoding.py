"""Rows of a table as numbers: the preparation of networks for words, categories and gaps.

What becomes of each column is fitted by scikit-learn's `SimpleImputer`, `StandardScaler` and
`OneHotEncoder`, and what they found is kept as plain numbers: nothing of a study is ever unpickled.

- Numbers: a gap becomes the median, and a further column says where gaps were, if the training part
  has any in that column; then zero mean and unit variance.
- Words: a column for each of the 50 commonest, a missing one among them, and one for the rest where
  there are more. A word that was never seen counts as the rest, or as none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, model_validator
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch import Tensor, nn

from goodteacher.config import Frozen
from goodteacher.data import InputSpec, check_shape, numbers_spec

MOST_WORDS = 50
"""Words of a column that get a column of their own, the rest being one of them."""

_NONE = -1  # place of a word that has no column
_UNSEEN, _MISSING = 0, 1  # where a table of places begins: what is unseen, what is missing


class NumberColumn(Frozen):
    """What becomes of a column of numbers.

    Attributes:
        name: Of the column.
        median: What a gap becomes.
        mean: What is taken away.
        std: What is then divided by.
        gaps: Whether a further column says where gaps were.
    """

    name: str
    median: float
    mean: float = 0.0
    std: Annotated[float, Field(gt=0)] = 1.0
    gaps: bool = False


class WordColumn(Frozen):
    """What becomes of a column of words.

    Attributes:
        name: Of the column.
        width: Number of columns that it becomes.
        unseen: Which of these a word is that was never seen; -1 for none.
        missing: Which of these a missing word is; -1 for none.
        places: Which of these each of the column's words is.
    """

    name: str
    width: Annotated[int, Field(ge=0)]
    unseen: int
    missing: int
    places: tuple[int, ...]

    @model_validator(mode="after")
    def _check(self) -> Self:
        named = {self.unseen, self.missing, *self.places} - {_NONE}
        if len(named) != self.width or not all(0 <= place < self.width for place in named):
            raise ValueError(
                f"the words of {self.name!r} become {self.width} columns, and not each of these is "
                "named, or another"
            )
        return self


class Encode(nn.Module):
    """Rows of a table as numbers.

    Args:
        numbers: The columns of numbers.
        words: The columns of words.
        columns: Names of all columns, in the order of a row's values.

    Example:
        >>> size = NumberColumn(name="size", median=2.0, gaps=True)
        >>> colour = WordColumn(name="colour", width=2, unseen=-1, missing=-1, places=(1, 0))
        >>> encode = Encode([size], [colour], ["size", "colour"])
        >>> encode(torch.tensor([[5.0, 0.0], [float("nan"), -1.0]])).tolist()
        [[5.0, 0.0, 0.0, 1.0], [2.0, 1.0, 0.0, 0.0]]
    """

    from_texts = False
    median: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        numbers: Sequence[NumberColumn],
        words: Sequence[WordColumn],
        columns: Sequence[str],
    ) -> None:
        super().__init__()
        self.numbers, self.words, self.columns = tuple(numbers), tuple(words), tuple(columns)
        at = {name: place for place, name in enumerate(columns)}
        self._number_places = [at[column.name] for column in self.numbers]
        self._gap_places = [at[column.name] for column in self.numbers if column.gaps]
        self._word_places = [at[column.name] for column in self.words]
        for name in ("median", "mean", "std"):
            values = torch.tensor([getattr(column, name) for column in self.numbers])
            self.register_buffer(name, values, persistent=False)
        for number, column in enumerate(self.words):
            table = torch.tensor([column.unseen, column.missing, *column.places])
            self.register_buffer(f"places{number}", table, persistent=False)

    @property
    def blank(self) -> Tensor:
        """Zero: rows have no holes that a network makes."""
        return torch.zeros(())

    def output(self, spec: InputSpec) -> InputSpec:
        """Return the number of columns that rows become.

        Raises:
            ValueError: Stored examples are other rows, or none.
        """
        words = {column.name: len(column.places) for column in self.words}
        own = {name: len(values) for name, values in spec.words.items()}
        if spec.kind != "rows" or spec.columns != self.columns or own != words:
            raise ValueError(f"{spec} are not rows with the columns {', '.join(self.columns)}")
        width = len(self.numbers) + len(self._gap_places)
        return numbers_spec((width + sum(column.width for column in self.words),))

    def forward(self, raw: Tensor) -> Tensor:
        """Return rows as numbers, float32 [N, D].

        Args:
            raw: Rows as they are stored, float32 [N, F].
        """
        values = raw[:, self._number_places].to(torch.float32)
        filled = torch.where(values.isnan(), self.median, values)
        gaps = raw[:, self._gap_places].isnan().to(torch.float32)
        parts = [(filled - self.mean) / self.std, gaps]
        for number, column in enumerate(self.words):
            ranks = torch.arange(column.width, device=raw.device)
            parts.append((self._place(raw, number)[:, None] == ranks).to(torch.float32))
        return torch.cat(parts, dim=1)

    def ordinal(self, raw: Tensor) -> Tensor:
        """Return rows for learners that take gaps and categories themselves, float32 [N, F].

        Numbers stay as they are, gaps too; a word is the number of its column, NaN for none.

        Args:
            raw: Rows as they are stored, float32 [N, F].
        """
        found = raw.to(torch.float32, copy=True)
        for number, place in enumerate(self._word_places):
            chosen = self._place(raw, number)
            found[:, place] = torch.where(chosen == _NONE, torch.nan, chosen.float())
        return found

    def _place(self, raw: Tensor, number: int) -> Tensor:
        """Return which of its columns each word of a column is, int64 [N]."""
        table: Tensor = getattr(self, f"places{number}")
        codes = raw[:, self._word_places[number]]
        rows = torch.where(codes.isnan(), torch.full_like(codes, _MISSING), codes + 2)
        rows = torch.where(codes < 0, torch.full_like(codes, _UNSEEN), rows)
        return table[rows.long()]

    def to_dict(self) -> dict[str, Any]:
        """Return what becomes of each column."""
        return {
            "columns": list(self.columns),
            "numbers": [column.model_dump(mode="json") for column in self.numbers],
            "words": [column.model_dump(mode="json") for column in self.words],
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Encode:
        """Return one of what :meth:`to_dict` returned.

        Raises:
            ValueError: A column is described twice, or not at all.
        """
        numbers = [NumberColumn.model_validate(each) for each in record["numbers"]]
        words = [WordColumn.model_validate(each) for each in record["words"]]
        columns = [str(name) for name in record["columns"]]
        described = [*(each.name for each in numbers), *(each.name for each in words)]
        if sorted(columns) != sorted(described):
            raise ValueError("its columns are not those that it describes")
        return cls(numbers, words, columns)


def one_hot_encoder() -> OneHotEncoder:
    """Return what gives the commonest words of a column a column each, and the rest one."""
    return OneHotEncoder(
        handle_unknown="infrequent_if_exist", max_categories=MOST_WORDS, sparse_output=False
    )


def fit_encoding(rows: Tensor, spec: InputSpec, *, scaled: bool = True) -> Encode:
    """Fit the encoding of rows by scikit-learn's transformers.

    Args:
        rows: The training part, float32 [N, F] as it is stored.
        spec: What one row is.
        scaled: Whether numbers get zero mean and unit variance.

    Raises:
        DataError: It would take more memory than it may.
    """
    check_shape(rows.shape, 8, f"Fitting the encoding of {rows.shape[1]} columns")
    for name, known in spec.words.items():
        asked = f"The encoding of the {len(known)} different words of the column {name!r}"
        check_shape((len(known), min(MOST_WORDS, len(known))), 8, asked)
    values = rows.double().cpu().numpy()
    places = {name: place for place, name in enumerate(spec.columns)}
    names = [name for name in spec.columns if name not in spec.words]
    numbers = _fitted_numbers(values[:, [places[name] for name in names]], names, scaled=scaled)
    words = [
        _fitted_words(values[:, [places[name]]], name, len(spec.words[name]))
        for name in spec.columns
        if name in spec.words
    ]
    return Encode(numbers, words, spec.columns)


def _fitted_numbers(
    values: npt.NDArray[np.float64], names: Sequence[str], *, scaled: bool
) -> list[NumberColumn]:
    if not names:
        return []
    imputer = SimpleImputer(strategy="median", keep_empty_features=True).fit(values)
    scaler = StandardScaler(with_mean=scaled, with_std=scaled).fit(imputer.transform(values))
    means = scaler.mean_ if scaled else np.zeros(len(names))
    scales = scaler.scale_ if scaled else np.ones(len(names))
    gaps: list[bool] = np.isnan(values).any(axis=0).tolist()  # type: ignore[assignment]
    return [
        NumberColumn(
            name=name,
            median=float(imputer.statistics_[place]),
            mean=float(means[place]),
            std=float(scales[place]),
            gaps=gaps[place],
        )
        for place, name in enumerate(names)
    ]


def _fitted_words(values: npt.NDArray[np.float64], name: str, count: int) -> WordColumn:
    encoder = one_hot_encoder().fit(values)
    asked = np.array([-1.0, np.nan, *range(count)])[:, None]
    told = encoder.transform(asked)
    found = np.where(told.any(axis=1), told.argmax(axis=1), _NONE).tolist()
    return WordColumn(
        name=name, width=told.shape[1], unseen=found[0], missing=found[1], places=tuple(found[2:])
    )
