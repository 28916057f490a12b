"""Turn texts into numbers: TF-IDF, fitted to the training texts alone.

A text in which the term t (`goodteacher.data.terms`) occurs n times has the feature

    (1 + ln n) * idf_t,    idf_t = 1 + ln((1 + N) / (1 + N_t))

where N_t of the N training texts contain t; then every text is divided by its Euclidean norm. Terms
that the training texts do not have are ignored, so a text without any known term, an empty one too,
is a vector of zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Self

import numpy as np
import psutil
import torch
from pydantic import PositiveFloat, model_validator
from sklearn.feature_extraction.text import TfidfVectorizer
from torch import Tensor

from goodteacher.config import Frozen
from goodteacher.data import check_texts
from goodteacher.data.terms import ANALYZERS, Analyzer, frequent_terms
from goodteacher.errors import DataError

_SHARE_OF_FREE = 0.5  # of the free memory, for features; the rest is for training on them


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
                f"a vocabulary needs unique terms with one idf each, but has {len(self.terms)} "
                f"terms, {len(set(self.terms))} of them different, and {len(self.idf)} idf"
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
        check_texts(texts)
        if not texts:
            return torch.zeros(0, len(self.terms))
        return torch.from_numpy(self._vectorizer.transform(texts).toarray())


def fit_tfidf(
    texts: Sequence[str], *, max_features: int | None = None, analyzer: Analyzer | None = None
) -> Tfidf:
    """Choose terms and weigh them by the texts given, and by nothing else.

    Args:
        texts: [N], the training texts.
        max_features: terms kept at most, at least 1; None takes `DEFAULT_TERMS`.
        analyzer: what terms are; None asks `choose_analyzer`.

    Raises:
        DataError: No text has a term.
    """
    terms = frequent_terms(texts, max_terms=max_features, analyzer=analyzer)
    idf = 1 + np.log((1 + len(texts)) / (1 + terms.num_texts))
    return Tfidf(terms=terms.names, idf=tuple(idf.tolist()), analyzer=terms.analyzer)


def check_memory(num_texts: int, num_features: int) -> None:
    """Refuse features that would take more than half of the free memory.

    Raises:
        DataError: They would.
    """
    needed = num_texts * num_features * torch.float32.itemsize
    free = psutil.virtual_memory().available
    if needed > _SHARE_OF_FREE * free:
        fitting = int(_SHARE_OF_FREE * free / (num_texts * torch.float32.itemsize))
        raise DataError(
            f"TF-IDF features of {num_texts:,} texts would take {needed / 2**30:.1f} GiB as "
            f"{num_features:,} float32 numbers each, more than half of the "
            f"{free / 2**30:.1f} GiB that are free. Set tfidf_features to {max(fitting, 1):,} or "
            "less, or give fewer texts."
        )
