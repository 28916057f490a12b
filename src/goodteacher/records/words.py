"""Results in plain words, and how numbers are written."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from goodteacher.records.answers import as_good
from goodteacher.records.arms import (
    Arm,
    Blend,
    Checkpoint,
    OneHotSource,
    SmoothingSource,
    TeacherSource,
)
from goodteacher.records.evidence import OmittedClass
from goodteacher.records.results import (
    Answer,
    Reference,
    References,
    StudentResult,
    Verdict,
    VerdictName,
)

VERDICTS: Mapping[VerdictName | None, str] = {
    "knowledge": "knowledge",
    "regularization": "regularization",
    "no_gain": "no gain",
    "undertrained": "undertrained",
    "inconclusive": "inconclusive",
    None: "none yet",
}
"""The verdict in a few words; None before ``goodteacher verify``."""

_TARGETS = {
    "one_hot": "hard labels",
    "permuted": "permuted per example",
    "class_map_permuted": "permuted per class",
    "shuffled_within_class": "shuffled in each class",
}


def target_name(name: str) -> str:
    """Return what a rung of the ladder or a control is called.

    Args:
        name: Its name in result files.

    Example:
        >>> target_name("one_hot"), target_name("confidence_smoothing")
        ('hard labels', 'confidence smoothing')
    """
    return _TARGETS.get(name, name.replace("_", " "))


def verdict_remarks(found: Verdict) -> Iterator[str]:
    """Yield what was special about this verification, a line each."""
    if found.until_decided is not None:
        looks = ", ".join(
            f"{k.seeds} seeds ({VERDICTS[k.verdict]}, {k.level:.3g})" for k in found.looks
        )
        yield (
            f"Verdicts along the way (with their significance level): {looks}; up to "
            f"{found.until_decided} seeds were planned, with a level of {found.error_level:g} in "
            "total."
        )
    if found.tuned_arms:
        recipes = ", ".join(f"{target_name(rung.name)} {rung.recipe}" for rung in found.ladder[1:])
        yield f"Best recipe of each rung: {recipes}."
    if found.num_unlabelled:
        yield (
            f"{found.num_unlabelled} transfer examples have no label. Rungs 1 to 4 use the "
            "teacher's most probable class for them; hard labels and label smoothing leave them "
            "out."
        )


def what_omission_showed(found: OmittedClass) -> str:
    """Say in plain words what students know of a class that they never saw.

    Args:
        found: A part of the evidence; its arms are the rungs of the ladder, in their order.
    """
    labels, taught = found.arms[0], found.arms[-1]
    low, high = (percent(each) for each in taught.class_accuracy.interval)
    told = (
        f"Class {found.class_name} was left out: these students learned from {found.num_transfer} "
        f"examples, none of them of class {found.class_name}. Students of the teacher's full "
        f"response recognise {percent(taught.class_accuracy.mean)} % [{low}, {high}] of the "
        f"{found.num_class_examples} test examples of class {found.class_name} "
        f"({percent(taught.corrected_class_accuracy.mean)} % after a bias correction; n = "
        f"{found.num_seeds} seeds). Students of hard labels recognise "
        f"{percent(labels.class_accuracy.mean)} % "
        f"({percent(labels.corrected_class_accuracy.mean)} %). Students of hard labels that did "
        f"see class {found.class_name} recognise {percent(found.seen_accuracy.mean)} %."
    )
    least = max(e.adjusted_interval[0] for e in (found.knowledge, found.corrected_knowledge))
    if least > 0:
        return (
            f"{told} What the students know about this class comes from the teacher's response to "
            "examples of other classes, which shows how much they resemble it."
        )
    return (
        f"{told} It is not shown that the students learned anything about this class from the "
        "teacher's response."
    )


def best_so_far(arm: Arm, accuracy: float, num_seeds: int) -> str:
    """Say which student is the best one while a search goes on.

    Args:
        arm: What it learned from.
        accuracy: On the selection split, mean over seeds.
        num_seeds: Their number.

    Example:
        >>> from goodteacher.records import CROSS_ENTROPY
        >>> best_so_far(CROSS_ENTROPY, 0.912, 2)
        'best students so far: 91.20 % on the selection split (n = 2 seeds), from hard labels'
    """
    seeds = "1 seed" if num_seeds == 1 else f"{num_seeds} seeds"
    return (
        f"best students so far: {percent(accuracy)} % on the selection split (n = {seeds}), from "
        f"{_learned_from(arm)}"
    )


def _learned_from(arm: Arm) -> str:
    if isinstance(arm.source, OneHotSource):
        return "hard labels"
    if isinstance(arm.source, SmoothingSource):
        return f"label smoothing {arm.source.smoothing:g}"
    return f"{arm.source}, {arm.recipe}"


def points(fraction: float) -> str:
    """Format a difference of accuracies in points.

    Example:
        >>> points(0.0123)
        '+1.23'
    """
    return fixed(100 * fraction, "+.2f")


def percent(fraction: float) -> str:
    """Format an accuracy in per cent.

    Example:
        >>> percent(0.8712)
        '87.12'
    """
    return fixed(100 * fraction)


def fixed(value: float, form: str = ".2f") -> str:
    """Format a number so that its last bits turn no digit, and what is nothing has no sign.

    Example:
        >>> fixed(0.135 - 1e-17), fixed(-1e-17, "+.1f"), fixed(1234.5, ",.0f")
        ('0.14', '0.0', '1,234')
    """
    text = format(steady(value), form)
    return text.lstrip("+-") if float(text.replace(",", "")) == 0 else text


def steady(value: float) -> float:
    """Return a number without its last digits, which differ between machines.

    Example:
        >>> steady(0.1 + 0.2)
        0.3
    """
    # A small difference of numbers near 1 has as large an error as they have: digits are counted
    # from the decimal point too, with room for per cent of it.
    return round(float(f"{value:.12g}"), 12) + 0.0 if math.isfinite(value) else value


def called(name: str, reference: Reference) -> str:
    """Return the short name of a reference; a teacher that was stopped is not called converged.

    Args:
        name: Its field in :class:`References`.
        reference: The reference.
    """
    if name == "converged_teacher" and reference.stopped:
        return "last teacher (stopped)"
    return _CALLED[name]


_CALLED = {
    "cross_entropy": "hard labels",
    "label_smoothing": "label smoothing",
    "converged_teacher": "converged teacher",
    "most_accurate_teacher": "most accurate teacher",
}


def summarize(
    answer: Answer,
    student: StudentResult,
    references: References,
    *,
    delivered: str,
    doubts: Sequence[str] = (),
    checkpoints: str = "",
    labels_by_teacher: bool = False,
) -> str:
    """Say in plain sentences what the confirmation showed; the answer comes first.

    Args:
        answer: Whether to distill.
        student: The sweet spot's students.
        references: What they were compared with.
        delivered: Family whose student is delivered.
        doubts: What stands between the answer and a sure one.
        checkpoints: Which recorded checkpoint is the best teacher; see `which_checkpoint`.
        labels_by_teacher: Whether nobody labelled the examples, so that labels are its answers.
    """
    named = {
        "hard labels": references.cross_entropy,
        "tuned label smoothing": references.label_smoothing,
        _LAST[references.converged_teacher.stopped]: references.converged_teacher,
        "the most accurate teacher": references.most_accurate_teacher,
    }
    outcomes = {name: _outcome(reference) for name, reference in named.items()}
    sentences = [
        f"Distill: {answer}.",
        *doubts,
        f"The sweet spot's students are right on {percent(student.test_accuracy)} % of the test "
        f"split ({_mean_of(student.num_seeds)}).",
    ]
    for outcome, words in _OUTCOMES.items():
        names = [name for name, found in outcomes.items() if found == outcome]
        if names:
            sentences.append(f"{words} {listed(names)}.")
    reading = _READINGS[answer](outcomes, as_good(references))
    if labels_by_teacher:
        reading = _OF_ITS_LABELS.get(reading, reading)
    sentences += [reading, checkpoints]
    sentences.append(
        f"The delivered student is that of {FAMILY[delivered]}, the best on the selection split."
    )
    return " ".join(sentence for sentence in sentences if sentence)


def _mean_of(num_seeds: int) -> str:
    return "one seed" if num_seeds == 1 else f"mean of {num_seeds} seeds"


def which_checkpoint(
    best: TeacherSource,
    last: str,
    reference: Reference,
    *,
    last_epoch: int,
    num_checkpoints: int,
    asked_once: bool = False,
) -> str:
    """Say which of many checkpoints is the best teacher of the student, and if it is the last.

    Args:
        best: The one that was chosen; or a mean of several.
        last: The converged teacher, the most accurate of the last ones.
        reference: Its students beside the best one's.
        last_epoch: Last recorded epoch of the run of the best one.
        num_checkpoints: How many there are to choose from.
        asked_once: Whether the best one predicts and was asked once: it has no epochs.
    """
    begin = (
        f"Of {num_checkpoints} recorded checkpoints, the best teacher of this student on the "
        "selection split is"
    )
    if isinstance(best, Blend):
        return f"{begin} not a single one: the mean of {len(best.members)} was chosen."
    if asked_once and isinstance(best, Checkpoint):
        return (
            f"{begin} {best.run}, a model that was asked once. {_against_the_last(last, reference)}"
        )
    where = (
        "the last of its run"
        if best.epoch == last_epoch
        else f"not the last of its run, which has {last_epoch} epochs"
    )
    return f"{begin} {best}, {where}. {_against_the_last(last, reference)}"


def _against_the_last(last: str, reference: Reference) -> str:
    if reference.adjusted_interval is None:
        return "It is the converged teacher itself, which common practice uses too."
    low, high = reference.adjusted_interval
    gain = f"{points(reference.difference)} points [{points(low)}, {points(high)}]"
    if low > 0:
        return f"Its students beat those of the converged teacher ({last}) by {gain}."
    if high < 0:
        return f"On the test split, its students are worse than those of {last}: {gain}."
    return (
        "It is not shown that its students are better than those of the converged teacher "
        f"({last}): {gain}."
    )


_BETTER = "Distillation gives a better student than training without a teacher."
_SMOOTHED = (
    "Distillation beats hard labels, but label smoothing, which needs no teacher, does as well."
)
_LABELS = "A student of hard labels, which needs no teacher, does as well."
_SMOOTHING = "A student of label smoothing, which needs no teacher, does as well."

_OF_ITS_LABELS = {
    _BETTER: "The teacher's probabilities give a better student than its answers alone, which are "
    "the labels here.",
    _SMOOTHED: (
        "The teacher's probabilities beat its answers alone, which are the labels here, but "
        "label smoothing of these does as well."
    ),
    _LABELS: ("A student of the teacher's answers alone, which are the labels here, does as well."),
    _SMOOTHING: (
        "A student of the teacher's answers alone, which are the labels here, does as well "
        "with label smoothing."
    ),
}
"""What to say instead where nobody labelled the examples: hard labels then need the teacher too."""


def _reading_yes(_: Mapping[str, str], __: Sequence[str]) -> str:
    return _BETTER


def _reading_no(outcomes: Mapping[str, str], as_good: Sequence[str]) -> str:
    if "cross_entropy" in as_good:
        return _LABELS
    if outcomes["hard labels"] == "better":
        return _SMOOTHED
    return _SMOOTHING


def _reading_undecided(outcomes: Mapping[str, str], _: Sequence[str]) -> str:
    if outcomes["hard labels"] != "better":
        return "No gain over hard labels is shown here."
    if outcomes["tuned label smoothing"] != "better":
        return (
            "Distillation beats hard labels, but is not shown to beat label smoothing: its gain "
            "may be regularization."
        )
    return ""


_READINGS: Mapping[Answer, Callable[[Mapping[str, str], Sequence[str]], str]] = {
    "yes": _reading_yes,
    "no": _reading_no,
    "undecided": _reading_undecided,
}

FAMILY = {
    "sweet_spot": "the sweet spot",
    "cross_entropy": "hard labels",
    "label_smoothing": "label smoothing",
    "converged_teacher": "the converged teacher",
    "most_accurate_teacher": "the most accurate teacher",
}
"""What a sentence calls each family of a search."""


_LAST = {
    False: "the converged teacher",
    True: "the last trained teacher (stopped, so it may not have converged)",
}

_OUTCOMES = {
    "better": "They are better than students of",
    "worse": "They are worse than students of",
    "unresolved": "There is no clear difference from students of",
    "same": "They are also the students of",
}


def _outcome(reference: Reference) -> str:
    if reference.adjusted_interval is None:
        return "same"
    low, high = reference.adjusted_interval
    if low > 0:
        return "better"
    return "worse" if high < 0 else "unresolved"


def listed(names: Sequence[str]) -> str:
    """Write names as a sentence lists them.

    Example:
        >>> listed(["a", "b", "c"])
        'a, b and c'
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
