"""The answer first: one sentence with its interval, what it rests on, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator

from goodteacher.records import (
    FAMILY,
    Reference,
    SweetSpot,
    Verdict,
    percent,
    points,
)
from goodteacher.report.exported import speed_sentence
from goodteacher.report.facts import cost_of
from goodteacher.report.findings import Findings
from goodteacher.report.headline import confidence, seeds, shown_range
from goodteacher.report.judgement import ANSWERS

Facts = tuple[tuple[str, str], ...]
"""Names and what is said about each, the most important first."""


def answer_sentence(found: SweetSpot) -> str:
    """Return the answer as one sentence, with its difference to hard labels and the interval."""
    reference = found.references.cross_entropy
    begin = (
        f"Distill: {found.answer}. The distilled student is right on "
        f"{percent(found.student.test_accuracy)} % of the test split"
    )
    if reference.adjusted_interval is None:
        return f"{begin}; it is the student of hard labels."
    gain = f"{points(reference.difference)} {shown_range(reference.adjusted_interval, points)}"
    return f"{begin}, {gain} points compared with one trained on hard labels."


def facts_of(findings: Findings, found: SweetSpot) -> Facts:
    """Return what the answer rests on: teacher, recipe, references, verdict, size and cost."""
    own = found.teacher.test_accuracy
    accuracy = "" if own is None else f", {percent(own)} % on the test split"
    described = found.teacher.described
    return (
        ("Best teacher", f"{described[0].upper()}{described[1:]}{accuracy}."),
        ("Recipe", _recipe(found)),
        ("Student", _student(findings, found)),
        *_against(found),
        ("Verdict", _verdict(findings)),
        ("Size and speed", _size(findings, found)),
        ("Cost", _cost(findings)),
        ("Do next", " ".join(_next(findings, found))),
    )


def summary_without_doubts(found: SweetSpot) -> str:
    """Return the summary without its answer and its doubts, which stand elsewhere on the page."""
    said = found.summary.removeprefix(f"Distill: {found.answer}.")
    for doubt in found.doubts:
        said = said.replace(doubt, "")
    return " ".join(said.split())


def outcome(reference: Reference) -> str:
    """Say how the sweet spot's students compare with a reference's.

    Returns:
        ``same``, ``better``, ``worse`` or ``open``, where the joint interval holds zero.
    """
    if reference.adjusted_interval is None:
        return "same"
    low, high = reference.adjusted_interval
    return "better" if low > 0 else "worse" if high < 0 else "open"


def _recipe(found: SweetSpot) -> str:
    recipe = found.recipe
    return (
        f"Loss {recipe.loss}{' of standardized logits' if recipe.standardize else ''}, temperature "
        f"T = {recipe.temperature:g}, and a weight of alpha = {recipe.alpha:g} on the teacher; "
        f"{found.student.training.epochs:,} student epochs."
    )


def _student(findings: Findings, found: SweetSpot) -> str:
    student = found.student
    return (
        f"{findings.config.student}: {percent(student.test_accuracy)} % "
        f"{shown_range(student.interval, percent)} of {findings.data.test:,} test examples, mean "
        f"of {seeds(found)}; brackets: {confidence(found.level)} interval."
    )


def _against(found: SweetSpot) -> Iterator[tuple[str, str]]:
    for key, reference in found.references:
        stopped = key == "converged_teacher" and reference.stopped
        family = _STOPPED if stopped else FAMILY[key]
        name = f"Gain over {family}"
        if reference.adjusted_interval is None:
            yield name, "These are the same students."
            continue
        gain = f"{points(reference.difference)} {shown_range(reference.adjusted_interval, points)}"
        yield (
            name,
            f"{_WORDS[outcome(reference)]}: {gain} points (students of {family}: "
            f"{percent(reference.test_accuracy)} %).",
        )


_STOPPED = "the last trained teacher"
_WORDS = {
    "better": "Better",
    "worse": "Worse",
    "open": "No clear difference",
}


def _verdict(findings: Findings) -> str:
    if findings.judgement is None:
        return (
            f"There is no verdict yet. Type: goodteacher verify {findings.name}. It finds out "
            "whether the student learned something from the teacher, or whether smoothed labels "
            "have the same effect."
        )
    verdict = findings.judgement.verdict
    return f"{ANSWERS[verdict.verdict]} {_similarity(verdict)}"


def _similarity(verdict: Verdict) -> str:
    effect = verdict.knowledge
    return (
        f"What the teacher says about other classes adds {points(effect.mean)} "
        f"{shown_range(effect.interval, points)} points."
    )


def _size(findings: Findings, found: SweetSpot) -> str:
    if findings.export is not None:
        return speed_sentence(findings.export)
    if found.savings is not None:
        return found.savings.summary
    return (
        f"Not measured yet. Type: goodteacher export {findings.name} --out shipped. This times "
        "the student and its teacher."
    )


def _cost(findings: Findings) -> str:
    cost = cost_of(findings)
    students = f"{cost.student_seconds:,.0f} s for students"
    seconds = cost.teacher_seconds
    said = students if seconds is None else f"{seconds:,.0f} s for teachers and {students}"
    if not cost.student_epochs_exhaustive:
        return f"Training took {said}."
    share = 100 * cost.student_epochs_run / cost.student_epochs_exhaustive
    return (
        f"Training took {said}. {cost.num_students:,} students were trained, in {share:.0f} % of "
        "the epochs that training every candidate to the end would take."
    )


def _next(findings: Findings, found: SweetSpot) -> Iterator[str]:
    if found.answer == "yes" and _lasts(findings):
        yield f"Ship it: goodteacher export {findings.name} --out shipped."
        if findings.judgement is None:
            yield f"To find out first why it is better, type: goodteacher verify {findings.name}."
        return
    if found.answer == "no":
        plain = found.delivered in ("cross_entropy", "label_smoothing")
        folder = "student" if plain else "baseline"
        family = FAMILY[found.delivered] if plain else FAMILY["cross_entropy"]
        yield (
            f"Ship the student in the folder {folder}: it learned from {family}, and it is not "
            "worse."
        )
        return
    if found.doubts:
        yield found.doubts[0]
    else:
        yield (
            "More confirmation seeds (--seeds) or more test examples may settle it. Until then, "
            "the student in the folder baseline, which learned from hard labels, is the safe "
            "choice."
        )
    yield f"For now, the student of {FAMILY[found.delivered]} is delivered."


def _lasts(findings: Findings) -> bool:
    """Say whether no verdict speaks against the answer yes."""
    judged = findings.judgement
    return judged is None or judged.verdict.verdict not in ("no_gain", "regularization")
