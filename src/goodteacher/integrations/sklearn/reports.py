"""What a fit found, as a record and in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from goodteacher.config import Frozen, Recipe
from goodteacher.integrations.sklearn.comparing import (
    DISTILLED,
    HARD_LABELS,
    REFERENCES,
    SMOOTHING,
    Compared,
)
from goodteacher.records import Answer, Pair, answer_of_gains, percent, points

NOTHING_APART = (
    "The teacher gives every example the same class, and so does its student. Is the teacher any "
    "better than a guess of the commonest class?"
)

_CALLED = {
    DISTILLED: "distilled students",
    HARD_LABELS: "students of hard labels",
    SMOOTHING: "students of tuned label smoothing",
}


class Reached(Frozen):
    """What students of one family reached on rows that they did not see."""

    arm: str = Field(description="the best arm over all rows")
    accuracy: float
    interval: Pair
    log_loss: float | None = Field(description="nats; null for students without probabilities")


class Gain(Frozen):
    """Accuracy of distilled students minus that of a reference, with its joint interval."""

    mean: float
    interval: Pair


class TableReport(Frozen):
    """What a fit of `DistilledClassifier` found, for a student of scikit-learn's kind."""

    schema_version: int = 1
    answer: Answer = Field(description="whether to distill")
    summary: str = ""
    doubts: tuple[str, ...] = Field(description="what stands between the answer and a sure one")
    notes: tuple[str, ...] = Field(description="what was seen in the data")
    delivered: str = Field(description="family of the student that predicts")
    recipe: Recipe = Field(description="the best of the temperatures and alphas")
    families: dict[str, Reached] = Field(description="empty where nothing was compared")
    gains: dict[str, Gain] = Field(description="of distilled students over each reference")
    num_examples: int
    num_unlabelled: int
    num_repeats: int
    num_folds: int
    level: float = Field(description="of the intervals of all gains together")

    def __str__(self) -> str:
        return self.summary


def report_of(
    compared: Compared | None,
    recipe: Recipe,
    *,
    level: float,
    memory: str | None,
    trained_here: bool,
    notes: tuple[str, ...],
    num_examples: int,
    num_unlabelled: int,
) -> TableReport:
    """Return what a fit found, with the answer and its summary.

    Args:
        compared: The comparison, or None where there was none.
        recipe: The best of the temperatures and alphas.
        level: Of the intervals of all gains together.
        memory: What the check for memory told, or None.
        trained_here: Whether the teacher was trained here, out of fold.
        notes: What was seen in the data.
        num_examples: Labelled rows.
        num_unlabelled: Unlabelled rows.
    """
    families = {} if compared is None else reached_by(compared, level=level)
    gains = {} if compared is None else gains_of(compared, level=level)
    repeats = 0 if compared is None else len(compared.folds)
    report = TableReport(
        answer=concluded(gains, remembers=memory is not None),
        doubts=doubts_of(memory, trained_here=trained_here, repeats=repeats),
        notes=notes,
        delivered=best_family(families) if families else DISTILLED,
        recipe=recipe,
        families=families,
        gains=gains,
        num_examples=num_examples,
        num_unlabelled=num_unlabelled,
        num_repeats=repeats,
        num_folds=0 if compared is None else int(compared.folds.max()) + 1,
        level=level,
    )
    return report.model_copy(update={"summary": summarized(report)})


def reached_by(compared: Compared, *, level: float) -> dict[str, Reached]:
    """Return what each family reached."""
    found = {}
    for family in compared.families:
        interval = compared.accuracy(family, level=level)
        found[family] = Reached(
            arm=compared.best(family).key,
            accuracy=interval.mean,
            interval=(interval.low, interval.high),
            log_loss=compared.log_loss(family),
        )
    return found


def gains_of(compared: Compared, *, level: float) -> dict[str, Gain]:
    """Return what distilled students gain over each reference."""
    intervals = {name: compared.gain_over(name, level=level) for name in REFERENCES}
    return {
        name: Gain(mean=each.mean, interval=(each.low, each.high))
        for name, each in intervals.items()
    }


def best_family(families: dict[str, Reached]) -> str:
    """Return the family of the student to deliver: the most accurate, then the lower log loss."""

    def worth(name: str) -> tuple[float, float]:
        return families[name].accuracy, -(families[name].log_loss or 0.0)

    return max(families, key=worth)


def concluded(gains: dict[str, Gain], *, remembers: bool) -> Answer:
    """Return whether to distill; nothing is shown by a teacher that remembers the test rows.

    Args:
        gains: Over each reference.
        remembers: Whether the teacher seems to have been trained on the rows.
    """
    if remembers or not gains:
        return "undecided"
    return answer_of_gains([gain.interval for gain in gains.values()])


def doubts_of(memory: str | None, *, trained_here: bool, repeats: int) -> tuple[str, ...]:
    """Return what stands between an answer and a sure one, with what to do.

    Args:
        memory: What the check for memory told.
        trained_here: Whether the teacher was trained here, out of fold.
        repeats: How often students were compared.
    """
    if not repeats:
        return ("Nothing was compared: repeats = 0.",)
    found = []
    if memory:
        found.append(memory)
    elif not trained_here:
        found.append(
            "The teacher came fitted. Had it learned from these rows, its students would know "
            "something of the rows that they are tested on, and the gains would be too large."
        )
    if repeats == 1:
        found.append(
            "With repeats = 1 the intervals know nothing of how the folds happened to fall: "
            "repeats = 5 does."
        )
    return tuple(found)


def summarized(report: TableReport) -> str:
    """Say in sentences what a fit found; the answer comes first."""
    sentences = [f"Distill: {report.answer}.", *report.doubts]
    if report.families:
        times = f"{report.num_repeats} x {report.num_folds} folds"
        held_out = f"on rows that nobody had seen ({times}, n = {report.num_examples})"
        first = report.families[DISTILLED]
        sentences.append(
            f"Distilled students ({report.recipe}) reach {percent(first.accuracy)} % {held_out}."
        )
        sentences += [
            f"{_capital(_CALLED[name])}: {percent(report.families[name].accuracy)} %, a gain of "
            f"{points(gain.mean)} points {_shown(gain.interval)}."
            for name, gain in report.gains.items()
        ]
        losses = {n: f.log_loss for n, f in report.families.items() if f.log_loss is not None}
        if losses:
            told = ", ".join(f"{_CALLED[name]} {loss:.3f}" for name, loss in losses.items())
            sentences.append(f"Log loss in nats: {told}.")
    sentences.append(f"The student that predicts is one of {_DELIVERED[report.delivered]}.")
    return " ".join(sentences)


_DELIVERED = {
    DISTILLED: "the teacher",
    HARD_LABELS: "hard labels, which reached more",
    SMOOTHING: "label smoothing, which reached more",
}


def _shown(pair: Sequence[float]) -> str:
    return f"[{points(pair[0])}, {points(pair[1])}]"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
