"""Turn texts into numbers: TF-IDF, fitted to the training texts alone.

A text in which the term t (`goodteacher.data.terms`) occurs n times has the feature

    (1 + ln n) * idf_t,    idf_t = 1 + ln((1 + N) / (1 + N_t))

where N_t of the N training texts contain t; then every text is divided by its Euclidean norm. Terms
that the training texts do not have are ignored, so a text without any known term, an empty one too,
is a vector of zeros.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Self

import numpy as np
import torch
from pydantic import PositiveFloat, model_validator
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from torch import Tensor

from goodteacher.config import Frozen
from goodteacher.data import Sparse, check_texts
from goodteacher.data.terms import (
    ANALYZERS,
    Analyzer,
    Terms,
    frequent_terms,
    terms_of_columns,
)


class Tfidf(Frozen):
    """Say which terms are features and what each weighs; called with texts, gives features.

    Attributes:
        terms: the term of feature d at position d; unique.
        idf: the inverse document frequency of each, above 0.
        analyzer: whether terms are words or runs of characters.

    Example:
        >>> tfidf = fit_tfidf(["my card is lost", "my card is here"])
        >>> tfidf.terms[:4], tfidf(["a lost card", ""]).shape
        (('card', 'card is', 'here', 'is'), torch.Size([2, 9]))
    """

    terms: tuple[str, ...]
    idf: tuple[PositiveFloat, ...]
    analyzer: Analyzer = "word"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not 0 < len(set(self.terms)) == len(self.terms) == len(self.idf):
            raise ValueError(
                "a vocabulary needs unique terms with one idf value each, but has "
                f"{len(self.terms)} terms, {len(set(self.terms))} of them different, and "
                f"{len(self.idf)} idf"
            )
        return self

    @cached_property
    def _vectorizer(self) -> TfidfVectorizer:
        vectorizer = TfidfVectorizer(
            **ANALYZERS[self.analyzer],
            vocabulary=list(self.terms),
            sublinear_tf=True,
            dtype=np.float32,
        )
        vectorizer.idf_ = np.array(self.idf, dtype=np.float32)
        return vectorizer

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Return the features of texts.

        Args:
            texts: [N]; any strings.

        Returns:
            float32 [N, D]; each row has the Euclidean norm 1, or 0 where no term is known.

        Raises:
            DataError: ``texts`` is one string, or something in it is none.
        """
        rows = self.sparse(texts)
        return rows.rows(torch.arange(len(rows)))

    def sparse(self, texts: Sequence[str]) -> Sparse:
        """Return the features of texts, of which only those that are not zero take memory.

        Args:
            texts: [N]; any strings.

        Raises:
            DataError: ``texts`` is one string, or something in it is none.
        """
        check_texts(texts)
        if not texts:  # of which scikit-learn makes nothing
            return Sparse(csr_matrix(np.zeros((0, len(self.terms)), np.float32)))
        return Sparse(self._vectorizer.transform(texts))


def fit_tfidf(
    texts: Sequence[str],
    *,
    labels: Tensor | None = None,
    max_features: int | None = None,
    analyzer: Analyzer | None = None,
) -> Tfidf:
    """Choose terms and weigh them by the texts given, and by nothing else.

    Args:
        texts: [N], the training texts.
        labels: their classes, int64 [N]; they say which kind of terms serves, see
            `choose_analyzer`.
        max_features: terms kept at most, at least 1; None takes `DEFAULT_TERMS`.
        analyzer: what terms are; None asks `choose_analyzer`.

    Raises:
        DataError: No text has a term.
    """
    classes = None if labels is None else labels.numpy()
    terms = frequent_terms(texts, labels=classes, max_terms=max_features, analyzer=analyzer)
    return _weighed(terms, len(texts))


def fit_tfidf_of_columns(
    columns: Mapping[str, Sequence[str]],
    *,
    labels: Tensor | None = None,
    max_features: int | None = None,
) -> dict[str, Tfidf]:
    """Choose and weigh the terms of each of several columns of texts.

    Args:
        columns: Training texts [N] by the name of their column.
        labels: Their classes, see `fit_tfidf`.
        max_features: Terms of all columns together, see `terms_of_columns`.

    Raises:
        DataError: A column has no term.
    """
    classes = None if labels is None else labels.numpy()
    found = terms_of_columns(columns, labels=classes, max_terms=max_features)
    return {name: _weighed(terms, len(columns[name])) for name, terms in found.items()}


def _weighed(terms: Terms, num_texts: int) -> Tfidf:
    idf = 1 + np.log((1 + num_texts) / (1 + terms.num_texts))
    return Tfidf(terms=terms.names, idf=tuple(idf.tolist()), analyzer=terms.analyzer)
