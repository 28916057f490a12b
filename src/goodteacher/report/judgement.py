"""The verdict and its evidence, as sections of a page."""

from __future__ import annotations

from goodteacher.records import Evidence, Verdict, verdict_remarks
from goodteacher.report import classes, errors, further, ladder, omitted
from goodteacher.report.findings import Judgement
from goodteacher.report.parts import Section

ANSWERS = {
    "knowledge": "Knowledge: the students learned class similarity from the teacher.",
    "regularization": "Regularization: smoothing without any class similarity does as well.",
    "no_gain": "No gain: distillation does not help here.",
    "undertrained": "Undertrained: students were still getting better, so there is no verdict yet.",
    "inconclusive": "Inconclusive: these seeds do not decide between knowledge and regularization.",
}
"""The verdict as a reader came for it."""

DEFINITION = (
    "The verdict is knowledge if two things hold: the full response beats smoothing with the "
    "teacher's own confidence by more than the margin (so similarity is used), and it beats every "
    "regularizer, tuned label smoothing included (so the teacher is worth it). The other evidence "
    "on this page has no influence on the verdict."
)


def judgement_sections(judgement: Judgement, given: str = "") -> tuple[Section, ...]:
    """Return the verdict, and what evidence there is, in reading order.

    Args:
        judgement: What was found.
        given: Name of the file of the judged response, where it was given and is known.
    """
    return (_verdict_section(judgement.verdict, given), *_evidence_sections(judgement.evidence))


def remark(verdict: Verdict, given: str = "") -> str:
    """Say who was judged and with what, and what was special about it."""
    said = (
        f"Judged: {_named(verdict.teacher, given)}, distilled with {verdict.recipe}. Margin, the "
        f"smallest difference that counts: {100 * verdict.margin:g} points."
    )
    return " ".join((said, *verdict_remarks(verdict)))


def _named(teacher: str, given: str) -> str:
    """Name the judged teacher: a response that was given by its file, not by its content."""
    return (given or "the given response") if teacher.startswith("file ") else teacher


def _verdict_section(verdict: Verdict, given: str) -> Section:
    title = "Knowledge or regularization?"
    name = verdict.verdict.replace("_", " ")
    lead = (f"Verdict: {name}. {verdict.explanation}", remark(verdict, given))
    panels, tables = (ladder.ladder_panel(verdict),), (ladder.controls_table(verdict),)
    return Section("verdict", title, lead, panels, tables, columns=1)


def _evidence_sections(found: Evidence | None) -> tuple[Section, ...]:
    if found is None:
        return ()
    return (
        *_curve_section(found),
        *_omitted_section(found),
        _fidelity_section(found),
        _errors_section(found),
        _class_section(found),
        _confusion_section(found),
        _flip_section(found),
    )


def _curve_section(found: Evidence) -> tuple[Section, ...]:
    if found.curve is None:
        return ()
    panels = further.curve_panels(found.curve, found.level)
    return (Section("temperature", "Over temperature", (found.curve.reading,), panels),)


def _omitted_section(found: Evidence) -> tuple[Section, ...]:
    if found.omitted is None:
        return ()
    return (
        Section(
            "omitted",
            f"Without class {found.omitted.class_name}",
            (omitted.recognised_lead(found.omitted),),
            (further.omitted_panel(found.omitted, found.level),),
            (further.omitted_table(found.omitted, found.level),),
            omitted.recognised_galleries(found.omitted, found.class_names),
            columns=1,
        ),
        *omitted.resembling_sections(found.omitted, found, found.class_names),
    )


def _fidelity_section(found: Evidence) -> Section:
    lead = () if found.fidelity_missing is None else (found.fidelity_missing,)
    some = found.fidelity
    tables = () if some is None else (further.fidelity_table(some, found.level),)
    return Section("fidelity", "Fidelity", lead, tables=tables)


def _errors_section(found: Evidence) -> Section:
    missing = () if found.error_transfer_missing is None else (found.error_transfer_missing,)
    some = found.error_transfer
    lead = () if some is None else errors.errors_lead(some)
    tables = () if some is None else (errors.errors_table(some, found.level),)
    return Section("errors", "Errors learned from the teacher", (*lead, *missing), tables=tables)


def _class_section(found: Evidence) -> Section:
    return Section("classes", "Class by class", (), (classes.class_panel(found),), columns=1)


def _confusion_section(found: Evidence) -> Section:
    panels = classes.confusion_panels(found)
    table = classes.pairs_table(found.confusion, found.class_names)
    return Section("confusion", "Which classes are confused", (), panels, (table,), folded=True)


def _flip_section(found: Evidence) -> Section:
    return Section(
        "flips",
        "Which predictions change",
        classes.flips_lead(found.flips, found.level),
        tables=(classes.flips_table(found.flips, found.class_names),),
        galleries=classes.flip_galleries(found.flips, found.class_names),
        folded=True,
    )
