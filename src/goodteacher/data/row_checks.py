"""What the doctor looks for in rows of a table, and in targets of two classes.

As in :mod:`goodteacher.data.doctor`, each check is a function that yields findings; thresholds are
ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from goodteacher.data.listing import shorten
from goodteacher.data.patient import Finding, Patient
from goodteacher.data.table_rows import UNSEEN, TableRows

_MANY_WORDS = 50  # words of a column from which on few rows have the same
_GAPS = 0.5  # share of missing values above which a column says little
_UNSEEN_SHARE = 0.05  # share of words that training did not see above which it is a warning


def _check_constant_columns(patient: Patient) -> Iterator[Finding]:
    stored = patient.train.stored
    if not isinstance(stored, TableRows):
        return
    values = stored.tensor.nan_to_num(float("inf"))  # missing is a value here
    same = (values == values[:1]).all(0).tolist()
    names = [name for name, each in zip(stored.spec.columns, same, strict=True) if each]
    if names:
        yield Finding(
            "warning",
            "constant_inputs",
            f"{_columns(names)} only one value in all training examples, so they contain no "
            "information. Leave such columns out.",
        )


def _check_gaps(patient: Patient) -> Iterator[Finding]:
    stored = patient.train.stored
    if not isinstance(stored, TableRows):
        return
    shares = stored.tensor.isnan().float().mean(0).tolist()
    gaps = {n: s for n, s in zip(stored.spec.columns, shares, strict=True) if s}
    if gaps:
        told = shorten(f"{name}: {share:.1%}" for name, share in gaps.items())
        most = max(gaps.values())
        yield Finding(
            "warning" if most > _GAPS else "info",
            "gaps",
            f"Values are missing in {len(gaps)} of {len(shares)} columns ({told}). A missing "
            "number is replaced by the median, with an extra column that marks it; a missing "
            "word becomes a separate category.",
        )


def _check_words(patient: Patient) -> Iterator[Finding]:
    spec = patient.dataset.spec
    many = {name: len(words) for name, words in spec.words.items() if len(words) > _MANY_WORDS}
    if many:
        told = shorten(f"{name}: {count}" for name, count in many.items())
        yield Finding(
            "info",
            "many_words",
            f"Columns with more than {_MANY_WORDS} different words ({told}): each of the most "
            "frequent words gets its own column, and all others share one. Merge similar words, "
            "or leave these columns out.",
        )
    for split, examples in patient.dataset.splits.items():
        if split == "train" or not isinstance(examples.stored, TableRows):
            continue
        unseen = (examples.stored.tensor == UNSEEN).float().mean(0).tolist()
        new = {n: s for n, s in zip(spec.columns, unseen, strict=True) if s and n in spec.words}
        if new:
            told = shorten(f"{name}: {share:.1%}" for name, share in new.items())
            yield Finding(
                "warning" if max(new.values()) > _UNSEEN_SHARE else "info",
                "unseen_words",
                f"The {split} split has words that are in no training example ({told} of its "
                "rows), so a network cannot have learned them.",
            )


def _check_two_classes(patient: Patient) -> Iterator[Finding]:
    if patient.dataset.num_classes == 2:
        yield Finding(
            "info",
            "two_classes",
            "With two classes, a response only says how sure the teacher is, and not which other "
            "class an example resembles. Similarity information is then 0, and the upper rungs "
            "of the ladder are equal. A search still shows whether students of a teacher are "
            "better than students of hard labels and of label smoothing.",
        )


def _columns(names: list[str]) -> str:
    noun, verb = ("Columns", "have") if len(names) > 1 else ("Column", "has")
    return f"{noun} {shorten(map(repr, names))} {verb}"


ROW_CHECKS: tuple[Callable[[Patient], Iterator[Finding]], ...] = (
    _check_constant_columns,
    _check_gaps,
    _check_words,
    _check_two_classes,
)
"""Every check of this module, in the order of the report."""
