"""Several studies side by side: what each found, and what keeps them from being compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field

from goodteacher.config import Frozen, Recipe
from goodteacher.records.results import Answer, Effect, Pair, VerdictName
from goodteacher.records.words import listed

BUDGETS = {
    "epochs": "teacher epochs",
    "student_epochs": "student epochs",
    "search_seeds": "seeds of the search",
    "seeds": "seeds of the confirmation",
    "shortlist": "teachers on the shortlist",
    "rungs": "rounds of the search",
}
"""Settings that say how much was tried, in words."""


class Gain(Frozen):
    """The sweet spot's students minus those of a reference, on the test split of their study."""

    over: str = Field(description="the reference, as in SweetSpot.references")
    difference: float
    interval: Pair | None = Field(description="null where both are the same students")
    joint_interval: Pair | None = Field(
        description="simultaneous over the references of its study; null where there is none"
    )


class ComparedStudy(Frozen):
    """What one study found. What it has not found (yet) is null, and named in ``lacking``.

    Accuracies and differences are fractions of the test split.
    """

    name: str = Field(description="short, unique among the studies compared")
    place: str = Field(description="folder or URL")
    finished: bool
    lacking: tuple[str, ...] = Field(default=(), description="what is missing, and how to get it")
    data: str
    fingerprint: str
    num_classes: int
    transfer: int = Field(description="examples of the transfer set")
    selection: int = Field(description="examples of the selection split")
    test: int = Field(description="examples of the test split")
    teacher: str
    student: str
    versions: tuple[str, ...] = Field(description="of goodteacher that it ran with")
    level: float = Field(description="of the intervals")
    answer: Answer | None = None
    run: str | None = Field(default=None, description="of the sweet spot's teacher")
    epoch: int | None = Field(default=None, description="of the sweet spot's teacher")
    sweet_spot: str | None = Field(default=None, description="its teacher in words")
    recipe: Recipe | None = None
    teacher_accuracy: float | None = None
    accuracy: float | None = Field(default=None, description="of the sweet spot's students")
    interval: Pair | None = None
    num_seeds: int | None = None
    delivered: str | None = Field(default=None, description="family whose student is delivered")
    gains: tuple[Gain, ...] = ()
    verdict: VerdictName | None = None
    knowledge: Effect | None = Field(
        default=None, description="what class similarity adds, as goodteacher verify found"
    )
    teacher_seconds: float | None = None
    student_seconds: float | None = None
    num_students: int | None = None

    def gain(self, over: str) -> Gain | None:
        """Return the gain over a reference, if it was measured."""
        return next((gain for gain in self.gains if gain.over == over), None)

    def row(self) -> dict[str, Any]:
        """Return all of it as one flat dictionary: a row of a table."""
        plain = self.model_dump(exclude={"gains", "recipe", "interval", "knowledge"})
        plain["lacking"], plain["versions"] = "; ".join(self.lacking), ", ".join(self.versions)
        plain |= dict.fromkeys(("loss", "temperature", "alpha"))
        if self.recipe is not None:
            plain |= self.recipe.model_dump(exclude={"standardize"})
        plain["low"], plain["high"] = self.interval or (None, None)
        for over in ("cross_entropy", "label_smoothing", "converged_teacher"):
            gain = self.gain(over)
            plain[f"gain_over_{over}"] = None if gain is None else gain.difference
            low, high = (gain and gain.interval) or (None, None)
            plain[f"gain_over_{over}_low"], plain[f"gain_over_{over}_high"] = low, high
        return plain


class PairedDifference(Frozen):
    """The delivered students of one study minus those of another, on the same test examples."""

    study: str
    minus: str
    difference: float
    interval: Pair
    joint_interval: Pair = Field(description="simultaneous over all differences shown")
    num_seeds: int = Field(description="that both have; with 1 the examples alone are covered")
    num_test: int


def remarks_on(
    studies: Sequence[ComparedStudy], differing: Mapping[str, Sequence[Any]]
) -> Iterator[str]:
    """Yield what makes studies hard to compare, most important first, a sentence or two each.

    Args:
        studies: At least two.
        differing: The settings that differ, by name: the value of each study.
    """
    yield from _on_data(studies)
    yield from _on_splits(studies)
    if "split_seed" in differing:
        seeds = _said(_grouped_by(studies, differing["split_seed"]))
        yield f"The selection splits were drawn with different seeds (--split-seed): {seeds}."
    versions = _grouped(studies, lambda study: ", ".join(study.versions) or "an unknown version")
    if len(versions) > 1:
        yield (
            f"The studies were made with different versions of goodteacher: {_said(versions)}. "
            "Versions may choose or measure differently; to be sure, run the older studies again."
        )
    budgets = [
        f"{words} {_said(_grouped_by(studies, differing[name]))}"
        for name, words in BUDGETS.items()
        if name in differing
    ]
    if budgets:
        yield (
            f"The studies had different budgets: {'; '.join(budgets)}. A study that tries or "
            "trains more tends to find better students."
        )
    levels = _grouped(studies, lambda study: f"{100 * (1 - study.level):g} %")
    if len(levels) > 1:
        yield f"The intervals cover different shares: {_said(levels)}."
    single = [study.name for study in studies if study.num_seeds == 1]
    if single:
        yield (
            f"With one seed, the intervals of {listed(single)} cover the test examples only: "
            "another seed may give another answer."
        )


def _on_data(studies: Sequence[ComparedStudy]) -> Iterator[str]:
    by_content = _grouped(studies, lambda study: study.fingerprint)
    if len(by_content) < 2:
        return
    names = {study.fingerprint: study.data for study in studies}
    if len(set(names.values())) == len(names):
        parts = [f"{names[key]} ({listed(group)})" for key, group in by_content.items()]
    else:
        parts = [
            f"{names[k]} with fingerprint {k[:8]} ({listed(g)})" for k, g in by_content.items()
        ]
    yield (
        f"The data differ: {listed(parts)}. Accuracies on different test examples say nothing "
        "about which student is better; each gain is measured within its own study."
    )


def _on_splits(studies: Sequence[ComparedStudy]) -> Iterator[str]:
    for group in _grouped(studies, lambda study: study.fingerprint).values():
        same = [study for study in studies if study.name in group]
        chosen = _grouped(same, lambda study: f"{study.selection:,} examples")
        if len(chosen) > 1:
            yield (
                f"The selection splits differ: {_said(chosen)}. With a larger selection split "
                "the choice is more certain, but fewer examples are left to learn from."
            )
        learned = _grouped(same, lambda study: f"{study.transfer:,} examples")
        if len(learned) > 1:
            yield f"The students learned from transfer sets of different size: {_said(learned)}."


def _grouped(
    studies: Sequence[ComparedStudy], key: Callable[[ComparedStudy], str]
) -> dict[str, list[str]]:
    return _grouped_by(studies, [key(study) for study in studies])


def _grouped_by(studies: Sequence[ComparedStudy], values: Sequence[Any]) -> dict[str, list[str]]:
    """Return the names of the studies of each value, in order."""
    found: dict[str, list[str]] = {}
    for study, value in zip(studies, values, strict=True):
        found.setdefault(str(value), []).append(study.name)
    return found


def _said(groups: Mapping[str, Sequence[str]]) -> str:
    """Write groups as a sentence does.

    Example:
        >>> _said({"3": ["a", "b"], "10": ["c"]})
        '3 (a and b) and 10 (c)'
    """
    return listed([f"{value} ({listed(names)})" for value, names in groups.items()])
