"""The terms of texts: words and pairs of words, or runs of characters where words do not serve.

Terms are scikit-learn's: words of two characters or more, in lower case, and pairs of neighbours
among them; or runs of one to three characters within words (``char_wb``), see `choose_analyzer`.

Of more terms than wanted, those that occur most often are kept, and among equals the first in
alphabetical order. That order is ours: scikit-learn's own choice among equals depends on how NumPy
sorts on this machine, and a study must find the same terms when it goes on elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.naive_bayes import ComplementNB

from goodteacher.data.bounds import check_fits
from goodteacher.data.listing import shorten
from goodteacher.errors import DataError

DEFAULT_TERMS = 4096
"""Terms that are kept at most, unless somebody says otherwise."""

Analyzer = Literal["word", "char"]

Labels = npt.NDArray[np.int64]

ANALYZERS: Mapping[Analyzer, dict[str, Any]] = {
    "word": {"ngram_range": (1, 2), "lowercase": True, "token_pattern": r"\b\w\w+\b"},
    "char": {"ngram_range": (1, 3), "lowercase": True, "analyzer": "char_wb"},
}
"""What terms are, in scikit-learn's words."""

_WITHOUT_SPACES = re.compile(  # Thai, Lao, Tibetan, Myanmar, Khmer, Japanese, Chinese
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)
_TRIED_ON = 4000  # texts on which words and runs of characters are compared, at most
_CHARACTERS_AT_ONCE = 2**20  # of texts whose terms are counted together
_CHARACTERS_TRIED = 2**24  # of the texts on which words and runs of characters are compared
_TERM_BYTES = 200  # memory that a different term takes while it is counted
_MOST_TERMS: Mapping[Analyzer, float] = {"word": 0.7, "char": 3.0}  # terms of a character, at most
_COLUMN = "Is it the right text column (--text-column)?"
_FEW_KNOWN = 0.5  # share of texts with a term of other texts below which words do not serve


@dataclass(frozen=True, eq=False)
class Terms:
    """The terms of some texts.

    Attributes:
        names: The terms kept, in alphabetical order.
        num_texts: How many of the texts have each of them, int64 [D].
        analyzer: Whether terms are words or runs of characters.
    """

    names: tuple[str, ...]
    num_texts: npt.NDArray[np.int64]
    analyzer: Analyzer


def choose_analyzer(texts: Sequence[str], labels: Labels | None = None) -> Analyzer:
    """Choose between words and runs of characters, by training texts alone; the rule is ours.

    Runs of characters serve where more than half of the texts are mostly in a script without spaces
    (Chinese, Japanese, Thai and others), where fewer than half of every second text have a
    word of the texts between them - each would be alone with its words -, or where a naive Bayes
    classifier of half of the texts is right about the other half more often with them, by more than
    two standard errors. That is so where a class is a language, or names and codes tell it.

    Args:
        texts: [N], the training texts.
        labels: Their classes, int64 [N], -1 where there is none; None if nobody knows any.

    Example:
        >>> choose_analyzer(["my card is lost", "the card is here"])
        'word'
        >>> choose_analyzer(["我的卡丢了", "请冻结我的卡"])
        'char'
    """
    dense = [len(_WITHOUT_SPACES.findall(text)) * 2 > len("".join(text.split())) for text in texts]
    if sum(dense) * 2 > len(texts):
        return "char"
    analyze = CountVectorizer(**ANALYZERS["word"]).build_analyzer()
    known = {word for text in texts[::2] for word in analyze(text)}
    asked = texts[1::2]
    shared = sum(not known.isdisjoint(analyze(text)) for text in asked)
    if shared < _FEW_KNOWN * len(asked):
        return "char"
    return "word" if labels is None else _better_analyzer(texts, labels)


def _better_analyzer(texts: Sequence[str], labels: Labels) -> Analyzer:
    """Return with which terms a naive Bayes classifier is right more often; words in doubt."""
    known = np.flatnonzero(labels >= 0)
    long = sum(len(texts[row]) for row in known.tolist()) // _CHARACTERS_TRIED
    known = known[:: max(1, len(known) // _TRIED_ON, long + 1)]
    taught, asked = known[::2], known[1::2]
    if len(np.unique(labels[taught])) < 2 or not len(asked):
        return "word"
    right = {name: _right(texts, labels, taught, asked, name) for name in ANALYZERS}
    difference = right["char"].astype(np.float64) - right["word"]
    error = difference.std() / np.sqrt(len(difference))
    return "char" if difference.mean() > 2 * error else "word"


def _right(
    texts: Sequence[str], labels: Labels, taught: Labels, asked: Labels, analyzer: Analyzer
) -> npt.NDArray[np.bool_]:
    """Say which of the texts asked a classifier of the others is right about."""
    vectorizer = TfidfVectorizer(
        **ANALYZERS[analyzer], max_features=DEFAULT_TERMS, sublinear_tf=True
    )
    features = vectorizer.fit_transform([texts[row] for row in taught])
    classifier = ComplementNB().fit(features, labels[taught])
    found = classifier.predict(vectorizer.transform([texts[row] for row in asked]))
    right: npt.NDArray[np.bool_] = found == labels[asked]
    return right


def frequent_terms(
    texts: Sequence[str],
    *,
    labels: Labels | None = None,
    max_terms: int | None = None,
    analyzer: Analyzer | None = None,
) -> Terms:
    """Return the terms that occur most often.

    Args:
        texts: [N].
        labels: Their classes, see `choose_analyzer`.
        max_terms: Terms kept at most, at least 1; None takes `DEFAULT_TERMS`.
        analyzer: What terms are; None asks `choose_analyzer`.

    Raises:
        DataError: No text has a term.

    Example:
        >>> frequent_terms(["my card is lost", "my card is here"], max_terms=2).names
        ('card', 'card is')
    """
    analyzer = analyzer or choose_analyzer(texts, labels)
    counted = _counted(texts, analyzer)
    if not counted:
        raise DataError(
            f"Texts must contain words or letters, but the {len(texts)} training texts have none. "
            "Is it the right text column?"
        )
    # a lone space is in every text of characters: it says nothing, and would make each text known
    names = np.array(sorted(name for name in counted if name.strip()), dtype=object)
    totals, num_texts = np.array([counted[name] for name in names], np.int64).reshape(-1, 2).T
    # stable: names are in alphabetical order, and so are equals
    kept = np.sort(np.argsort(-totals, kind="stable")[: max_terms or DEFAULT_TERMS])
    return Terms(tuple(names[kept].tolist()), num_texts[kept], analyzer)


def _counted(texts: Sequence[str], analyzer: Analyzer) -> dict[str, tuple[int, int]]:
    """Return how often each term occurs, and in how many texts; a part of the texts at a time.

    Raises:
        DataError: So many different terms would take more memory than they may.
    """
    counted: dict[str, tuple[int, int]] = {}
    for part in _parts(texts):
        if len(part) == 1:
            most = _MOST_TERMS[analyzer] * _TERM_BYTES * len(part[0])
            check_fits(most, f"The terms of a text of {len(part[0])} characters", advice=_COLUMN)
        counter = CountVectorizer(**ANALYZERS[analyzer])
        try:
            counts = counter.fit_transform(part)
        except ValueError:  # scikit-learn's only complaint about strings: no vocabulary
            continue
        found = zip(
            counter.get_feature_names_out().tolist(),
            np.asarray(counts.sum(axis=0)).ravel().tolist(),
            counts.getnnz(axis=0).tolist(),
            strict=True,
        )
        for name, total, num_texts in found:
            before = counted.get(name, (0, 0))
            counted[name] = before[0] + total, before[1] + num_texts
        asked = f"The {len(counted)} different terms of the texts counted so far"
        check_fits(_TERM_BYTES * len(counted), asked, advice=_COLUMN)
    return counted


def _parts(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield texts so many at a time that their terms take little memory."""
    first = length = 0
    for place, text in enumerate(texts):
        if length and length + len(text) > _CHARACTERS_AT_ONCE:
            yield texts[first:place]
            first, length = place, 0
        length += len(text)
    yield texts[first:]


def count_unknown(texts: Sequence[str], names: Sequence[str], analyzer: Analyzer) -> int:
    """Return how many texts have none of some terms; those are told apart by nothing.

    Args:
        texts: [N]; none of them is a count of 0.
        names: The terms.
        analyzer: What terms are.

    Example:
        >>> count_unknown(["my card", "top up"], ["card"], "word")
        1
    """
    return int(unknown_texts(texts, names, analyzer).sum())


def unknown_texts(
    texts: Sequence[str], names: Sequence[str], analyzer: Analyzer
) -> npt.NDArray[np.bool_]:
    """Say which texts have none of some terms, see `count_unknown`."""
    if not texts:
        return np.zeros(0, bool)
    counter = CountVectorizer(**ANALYZERS[analyzer], vocabulary=list(names))
    unknown: npt.NDArray[np.bool_] = counter.transform(texts).getnnz(axis=1) == 0
    return unknown


def terms_of_columns(
    columns: Mapping[str, Sequence[str]],
    *,
    labels: Labels | None = None,
    max_terms: int | None = None,
) -> dict[str, Terms]:
    """Return the terms of each of several columns of texts; those of one are not those of another.

    Each column has an equal share of the terms. What one cannot fill, the others have.

    Args:
        columns: Texts [N] by the name of their column.
        labels: Their classes, see `choose_analyzer`, which is asked for each column.
        max_terms: Terms of all columns together, at most; None takes `DEFAULT_TERMS`.

    Raises:
        DataError: A column has no term, or there are fewer terms than columns.

    Example:
        >>> found = terms_of_columns({"title": ["card"], "body": ["my card is lost"]}, max_terms=3)
        >>> {name: terms.names for name, terms in found.items()}
        {'title': ('card',), 'body': ('card', 'card is')}
    """
    wanted = max_terms or DEFAULT_TERMS
    if wanted < len(columns):
        raise DataError(
            f"{wanted} term{'s' * (wanted > 1)} cannot be divided among the {len(columns)} "
            f"columns of texts ({shorten(columns)}). Ask for more terms, or give fewer columns "
            "with --text-column."
        )
    found = {}
    for name, texts in columns.items():
        try:
            found[name] = frequent_terms(texts, labels=labels, max_terms=wanted)
        except DataError as error:
            raise DataError(f"In the column {name!r}: {error}") from error
    shares = _shares(wanted, {name: len(terms.names) for name, terms in found.items()})
    return {
        name: terms
        if len(terms.names) == shares[name]
        else frequent_terms(columns[name], max_terms=shares[name], analyzer=terms.analyzer)
        for name, terms in found.items()
    }


def _shares(wanted: int, sizes: Mapping[str, int]) -> dict[str, int]:
    """Divide a number of terms evenly among columns that have so many; the rest to the first."""
    left, shares = wanted, {}
    for place, name in enumerate(sorted(sizes, key=lambda name: sizes[name])):
        shares[name] = min(sizes[name], left // (len(sizes) - place))
        left -= shares[name]
    return shares


def unknown_terms_note(count: int, num_texts: int, name: str) -> str:
    """Say how many texts of a split have no known term."""
    return (
        f"{count} of {num_texts} {name} texts ({count / num_texts:.0%}) have no term that the "
        "training texts have, so a network cannot distinguish them. Are they in another "
        "language, or is it the wrong text column? More training texts or a larger "
        "tfidf_features help."
    )
