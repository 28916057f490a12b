"""What a fit found, as a record and in sentences."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from goodteacher.config import Frozen, Recipe
from goodteacher.integrations.sklearn.comparing import (
    DISTILLED,
    HARD_LABELS,
    REFERENCES,
    SMOOTHING,
    Compared,
    SyntheticArm,
)
from goodteacher.integrations.sklearn.students import LearnedBy
from goodteacher.maths.statistics import Interval
from goodteacher.records import Answer, Arm, Effect, Pair, answer_of_gains, percent, points

NOTHING_APART = (
    "The teacher gives every example the same class, and so does its student. Is the teacher "
    "better than always predicting the most common class?"
)

_ENOUGH = 5
"""Repetitions that average out most of what the fall of folds does."""

_CALLED = {
    HARD_LABELS: "Students of hard labels",
    SMOOTHING: "Students of tuned label smoothing",
}


class Reached(Frozen):
    """What students of one family reached on rows that they did not see."""

    arm: str = Field(description="the best arm over all rows")
    accuracy: float
    interval: Pair
    log_loss: float | None = Field(description="nats; null for students without probabilities")


class Gain(Frozen):
    """What distilled students gain over a reference; intervals cover all references together."""

    accuracy: Effect
    log_loss: Effect | None = Field(description="nats less; null for students of classes alone")


class TableReport(Frozen):
    """What a fit of `DistilledClassifier` found, for a student of scikit-learn's kind."""

    schema_version: Literal[1] = 1
    answer: Answer = Field(description="whether to distill")
    summary: str = ""
    doubts: tuple[str, ...] = Field(description="what makes the answer uncertain")
    notes: tuple[str, ...] = Field(description="notes about the data")
    delivered: str = Field(description="family of the student that predicts")
    recipe: Recipe = Field(description="the best of the temperatures and alphas")
    synthetic: str | None = Field(
        default=None, description="the best way to make synthetic rows; null for none"
    )
    families: dict[str, Reached] = Field(description="empty where nothing was compared")
    gains: dict[str, Gain] = Field(description="of distilled students over each reference")
    learned_by: LearnedBy = Field(description="how the student learns from soft targets")
    num_examples: int
    num_unlabelled: int
    num_repeats: int
    num_folds: int
    level: float = Field(description="of the intervals of all gains together")

    def __str__(self) -> str:
        return self.summary


def report_of(
    compared: Compared | None,
    best: Arm,
    *,
    by: LearnedBy,
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
        best: The best arm of the teacher.
        by: How the student learns from soft targets.
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
    answer = concluded(gains, remembers=memory is not None)
    report = TableReport(
        answer=answer,
        doubts=doubts_of(
            memory,
            trained_here=trained_here,
            repeats=repeats,
            open_=answer == "undecided" and memory is None,
        ),
        notes=notes,
        delivered=best_family(families) if families else DISTILLED,
        recipe=best.recipe,
        synthetic=best.synthetic if isinstance(best, SyntheticArm) else None,
        families=families,
        gains=gains,
        learned_by=by,
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
    return {
        name: Gain(
            accuracy=_effect(compared.gain_over(name, level=level)),
            log_loss=_effect(saved) if saved else None,
        )
        for name in REFERENCES
        for saved in [compared.saved_over(name, level=level)]
    }


def _effect(interval: Interval) -> Effect:
    return Effect(mean=interval.mean, interval=(interval.low, interval.high))


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
    return answer_of_gains([gain.accuracy.interval for gain in gains.values()])


def doubts_of(
    memory: str | None, *, trained_here: bool, repeats: int, open_: bool
) -> tuple[str, ...]:
    """Return what stands between an answer and a sure one, with what to do.

    Args:
        memory: What the check for memory told.
        trained_here: Whether the teacher was trained here, out of fold.
        repeats: How often students were compared.
        open_: Whether the intervals decide nothing.
    """
    if not repeats:
        return ("Nothing was compared, because repeats = 0.",)
    found = [*about_teacher(memory, trained_here=trained_here)]
    if open_ and repeats < _ENOUGH:
        found.append(f"More repetitions may make the intervals narrower: repeats = {_ENOUGH}.")
    return tuple(found)


def about_teacher(memory: str | None, *, trained_here: bool) -> tuple[str, ...]:
    """Return why a teacher that comes from elsewhere leaves a doubt.

    Args:
        memory: What the check for memory told.
        trained_here: Whether the teacher was trained here, out of fold.
    """
    if memory:
        return (memory,)
    if trained_here:
        return ()
    return (
        "The teacher was trained elsewhere. If it was trained on these rows, its students know "
        "something about the rows that they are tested on, and the gains are too large.",
    )


def summarized(report: TableReport) -> str:
    """Say in sentences what a fit found; the answer comes first."""
    sentences = [f"Distill: {report.answer}.", *report.doubts]
    if report.families:
        times = f"{report.num_repeats} x {report.num_folds} folds"
        held_out = f"on rows that were not used in training ({times}, n = {report.num_examples})"
        first = report.families[DISTILLED]
        sentences.append(
            f"Distilled students ({_told(report)}) reach {percent(first.accuracy)} % "
            f"{held_out}{_loss(first)}."
        )
        sentences += [_against(name, report.families[name], report.gains[name]) for name in _CALLED]
    sentences.append(f"The student that predicts learned from {_DELIVERED[report.delivered]}.")
    return " ".join(sentences)


_DELIVERED = {
    DISTILLED: "the teacher",
    HARD_LABELS: "hard labels, which gave a higher accuracy",
    SMOOTHING: "label smoothing, which gave a higher accuracy",
}


def _against(name: str, reached: Reached, gain: Gain) -> str:
    """Say what a reference reached, and what distilled students gain over it."""
    low, high = gain.accuracy.interval
    told = (
        f"{_CALLED[name]} reach {percent(reached.accuracy)} %{_loss(reached)}: distilling gains "
        f"{points(gain.accuracy.mean)} points [{points(low)}, {points(high)}]"
    )
    if gain.log_loss is None:
        return f"{told}."
    low, high = gain.log_loss.interval
    return f"{told} and saves {gain.log_loss.mean:.3f} nats [{low:.3f}, {high:.3f}]."


def _loss(reached: Reached) -> str:
    return "" if reached.log_loss is None else f" (log loss {reached.log_loss:.3f} nats)"


def _told(report: TableReport) -> str:
    recipe = f"T = {report.recipe.temperature:g}, alpha = {report.recipe.alpha:g}"
    return f"{recipe}, synthetic rows by {report.synthetic}" if report.synthetic else recipe
