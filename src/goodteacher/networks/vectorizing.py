"""Texts as TF-IDF features: the preparations of networks that take numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from scipy.sparse import hstack
from torch import Tensor, nn

from goodteacher.data import (
    InputSpec,
    Sparse,
    check_rows_of_texts,
    numbers_spec,
)
from goodteacher.data.terms import count_unknown, unknown_terms_note, unknown_texts
from goodteacher.networks.text import Tfidf


class Vectorize(nn.Module):
    """Texts as TF-IDF features, see `Tfidf`.

    Args:
        tfidf: The terms and their weights.
    """

    from_texts = True

    def __init__(self, tfidf: Tfidf) -> None:
        super().__init__()
        self.tfidf = tfidf

    @property
    def blank(self) -> Tensor:
        """Zero, which is no word."""
        return torch.zeros(())

    def output(self, spec: InputSpec) -> InputSpec:
        """Return the number of terms.

        Raises:
            ValueError: Stored examples are no texts, or several each.
        """
        if spec.kind != "texts" or spec.columns:
            raise ValueError(f"{spec} are not one text for each example")
        return numbers_spec((len(self.tfidf.terms),))

    def forward(self, raw: Sequence[str]) -> Tensor:
        """Return the features of texts, float32 [N, D]."""
        return self.tfidf(raw)

    def read(self, texts: Sequence[str]) -> Sparse:
        """Return the features of texts, sparse."""
        return self.tfidf.sparse(texts)

    def notes(
        self, training: Sequence[str], others: Mapping[str, Sequence[str]], name: str
    ) -> Iterator[str]:
        """Yield how many texts of other splits have no term of the training texts."""
        for split, some in others.items():
            unknown = count_unknown(some, self.tfidf.terms, self.tfidf.analyzer)
            if unknown:
                yield unknown_terms_note(unknown, len(some), split)

    def to_dict(self) -> dict[str, Any]:
        """Return the terms, their weights and what terms are."""
        return self.tfidf.model_dump(mode="json")

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Vectorize:
        """Return one of what :meth:`to_dict` returned."""
        return cls(Tfidf.model_validate(record))


class VectorizeColumns(nn.Module):
    """Several texts of each example as TF-IDF features, those of one column beside another's.

    A term of one column is another feature than the same term of another, and each column's
    features have the Euclidean norm 1 for themselves.

    Args:
        columns: The terms and their weights by the name of their column.

    Example:
        >>> own = Tfidf(terms=("card",), idf=(1.0,))
        >>> VectorizeColumns({"title": own, "body": own})([("", "my card"), ("card", "")]).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """

    from_texts = True

    def __init__(self, columns: Mapping[str, Tfidf]) -> None:
        super().__init__()
        self.columns = dict(columns)

    @property
    def blank(self) -> Tensor:
        """Zero, which is no word."""
        return torch.zeros(())

    def output(self, spec: InputSpec) -> InputSpec:
        """Return the number of terms of all columns.

        Raises:
            ValueError: Stored examples have other columns of texts.
        """
        if spec.kind != "texts" or spec.columns != tuple(self.columns):
            raise ValueError(f"{spec} are not the texts {', '.join(self.columns)}")
        return numbers_spec((sum(len(tfidf.terms) for tfidf in self.columns.values()),))

    def forward(self, raw: Sequence[tuple[str, ...]]) -> Tensor:
        """Return the features of the texts of N examples, float32 [N, D].

        Raises:
            DataError: An example has another number of texts.
        """
        rows = self.read(raw)
        return rows.rows(torch.arange(len(rows)))

    def read(self, texts: Sequence[tuple[str, ...]]) -> Sparse:
        """Return the features of the texts of N examples, sparse.

        Raises:
            DataError: An example has another number of texts.
        """
        found = [self.columns[name].sparse(column) for name, column in self._apart(texts).items()]
        return Sparse(hstack([part.matrix for part in found], format="csr", dtype=np.float32))

    def notes(
        self,
        training: Sequence[tuple[str, ...]],
        others: Mapping[str, Sequence[tuple[str, ...]]],
        name: str,
    ) -> Iterator[str]:
        """Yield how many examples of other splits have no known term in any of their texts."""
        for split, some in others.items():
            columns = self._apart(some)
            found = [
                unknown_texts(columns[column], tfidf.terms, tfidf.analyzer)
                for column, tfidf in self.columns.items()
            ]
            unknown = int(np.all(found, axis=0).sum())
            if unknown:
                yield unknown_terms_note(unknown, len(some), split)

    def to_dict(self) -> dict[str, Any]:
        """Return what each column's terms are and weigh."""
        return {
            "columns": [
                {"column": name, **tfidf.model_dump(mode="json")}
                for name, tfidf in self.columns.items()
            ]
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> VectorizeColumns:
        """Return one of what :meth:`to_dict` returned."""
        columns = {
            str(each["column"]): Tfidf.model_validate(
                {key: value for key, value in each.items() if key != "column"}
            )
            for each in record["columns"]
        }
        return cls(columns)

    def _apart(self, texts: Sequence[tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        """Return the texts of each column."""
        check_rows_of_texts(texts, tuple(self.columns))
        apart = zip(*texts, strict=True) if texts else [()] * len(self.columns)
        return dict(zip(self.columns, apart, strict=True))
