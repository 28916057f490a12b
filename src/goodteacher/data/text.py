"""Turn texts into numbers: TF-IDF, fitted to the training texts alone.

The features are scikit-learn's: words of two characters or more, in lower case, and pairs of
neighbours among them; or, where words do not serve, runs of one to three characters within words
(``char_wb``), see `choose_analyzer`. A text in which the term t occurs n times has the feature

    (1 + ln n) * idf_t,    idf_t = 1 + ln((1 + N) / (1 + N_t))

where N_t of the N training texts contain t; then every text is divided by its Euclidean norm. Terms
that the training texts do not have are ignored, so a text without any known term, an empty one too,
is a vector of zeros.

Of more terms than wanted, those that occur most often are kept, and among equals the first in
alphabetical order. That order is ours: scikit-learn's own choice among equals depends on how NumPy
sorts on this machine, and a study must find the same features when it goes on elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
import psutil
import torch
from pydantic import PositiveFloat, model_validator
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from torch import Tensor

from goodteacher.config import Frozen
from goodteacher.data.dataset import Split, check_texts
from goodteacher.errors import DataError

DEFAULT_FEATURES = 4096
"""Terms that are kept at most, unless the setting ``tfidf_features`` says otherwise."""

TOLD_UNKNOWN = 0.01
"""Share of texts without any known term above which a study says so."""

Analyzer = Literal["word", "char"]

_TERMS: Mapping[Analyzer, dict[str, Any]] = {
    "word": {"ngram_range": (1, 2), "lowercase": True, "token_pattern": r"\b\w\w+\b"},
    "char": {"ngram_range": (1, 3), "lowercase": True, "analyzer": "char_wb"},
}
_WITHOUT_SPACES = re.compile(  # Thai, Lao, Tibetan, Myanmar, Khmer, Japanese, Chinese
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)
_FEW_KNOWN = 0.5  # share of texts with a term of other texts below which words do not serve
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

    schema_version: int = 1
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
            **_TERMS[self.analyzer],
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

    def count_unknown(self, texts: Sequence[str]) -> int:
        """Return how many texts have no known term; those are told apart by nothing."""
        return int((self._vectorizer.transform(texts).getnnz(axis=1) == 0).sum()) if texts else 0

    def vectorize(self, split: Split) -> Split:
        """Return a split of texts with its features as inputs; the texts stay with it."""
        return Split(self(split.texts or ()), split.labels, split.ids, split.texts)


def choose_analyzer(texts: Sequence[str]) -> Analyzer:
    """Choose between words and runs of characters, by the texts alone; the rule is ours.

    Runs of characters serve where more than half of the texts are mostly in a script without spaces
    (Chinese, Japanese, Thai and others), or where fewer than half of every second text have a
    word of the texts between them: each would be alone with its words.

    Args:
        texts: [N], the training texts.

    Example:
        >>> choose_analyzer(["my card is lost", "the card is here"])
        'word'
        >>> choose_analyzer(["我的卡丢了", "请冻结我的卡"])
        'char'
    """
    dense = [len(_WITHOUT_SPACES.findall(text)) * 2 > len("".join(text.split())) for text in texts]
    if sum(dense) * 2 > len(texts):
        return "char"
    analyze = CountVectorizer(**_TERMS["word"]).build_analyzer()
    words = [set(analyze(text)) for text in texts]
    known = set().union(*words[::2])
    asked = words[1::2]
    shared = sum(not known.isdisjoint(terms) for terms in asked)
    return "char" if shared < _FEW_KNOWN * len(asked) else "word"


def unknown_terms_note(count: int, num_texts: int, name: str) -> str:
    """Say how many texts of a split have no known term."""
    return (
        f"{count} of {num_texts} {name} texts ({count / num_texts:.0%}) have no term that the"
        " training texts have, so nothing tells them apart. Are they in another language, or is"
        " the text column the right one? More training texts, or a larger tfidf_features, help."
    )


def fit_tfidf(
    texts: Sequence[str], *, max_features: int | None = None, analyzer: Analyzer | None = None
) -> Tfidf:
    """Choose terms and weigh them by the texts given, and by nothing else.

    Args:
        texts: [N], the training texts.
        max_features: terms kept at most, at least 1; None takes `DEFAULT_FEATURES`.
        analyzer: what terms are; None asks `choose_analyzer`.

    Raises:
        DataError: No text has a term.
    """
    analyzer = analyzer or choose_analyzer(texts)
    counter = CountVectorizer(**_TERMS[analyzer])
    try:
        counts = counter.fit_transform(texts)
    except ValueError as error:  # scikit-learn's only complaint about strings: no vocabulary
        raise DataError(
            f"Texts need words or letters, but the {len(texts)} training texts have none"
            f" ({error}). Is the text column the right one, or was it emptied?"
        ) from error
    totals = np.asarray(counts.sum(axis=0)).ravel()
    # stable: columns are in alphabetical order, and so are equals
    order = np.argsort(-totals, kind="stable")
    names = counter.get_feature_names_out()
    # a lone space is in every text of characters: it says nothing, and would make each text known
    order = order[[bool(name.strip()) for name in names[order]]]
    kept = np.sort(order[: max_features or DEFAULT_FEATURES])
    idf = 1 + np.log((1 + len(texts)) / (1 + counts.getnnz(axis=0)[kept]))
    return Tfidf(terms=tuple(names[kept].tolist()), idf=tuple(idf.tolist()), analyzer=analyzer)


def vectorizer_for(
    parts: Iterable[Split], training_texts: Sequence[str], max_features: int | None
) -> Tfidf:
    """Fit to the training texts, if the features of all ``parts`` will fit into memory.

    Raises:
        DataError: They would not, or see `fit_tfidf`.
    """
    num_texts = sum(len(part) for part in {id(part): part for part in parts}.values())
    check_memory(num_texts, max_features or DEFAULT_FEATURES)
    return fit_tfidf(training_texts, max_features=max_features)


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
