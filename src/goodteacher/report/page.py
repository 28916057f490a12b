"""Which parts, in which order, and the HTML around them."""

from __future__ import annotations

from goodteacher.config import in_words, read_toml
from goodteacher.data import selection_note
from goodteacher.errors import StudyError
from goodteacher.records import TrajectoryRecord
from goodteacher.report import curves, exported, facts, headline, judgement, maps, means, students
from goodteacher.report.alike import said_sections
from goodteacher.report.answer import answer_sentence, facts_of, summary_without_doubts
from goodteacher.report.arms import arms_section, learning_panel
from goodteacher.report.examples import example_sections
from goodteacher.report.findings import Findings, Tables, Verified, read_findings, read_verified
from goodteacher.report.going import Going, beside, unfinished
from goodteacher.report.parts import REPORT_FILE, Page, Panel, Section
from goodteacher.report.rungs import RungScores, first_rung
from goodteacher.report.standalone import asset, template
from goodteacher.report.svg import draw
from goodteacher.studies import CONFIG_FILE, Place, Store

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)
"""What a browser may do with the page: show it, and fetch nothing."""

DEFINITIONS = (
    "A recipe is a loss, a temperature T and alpha, the weight of the teacher term: loss = (1 - "
    "alpha) CE(labels, student) + alpha T² KL(teacher at T || student at T), in nats.",
    "Similarity information S = KL(p || s): p is the teacher's response at temperature T, and s "
    "is label smoothing with the same confidence in the same label. S counts only what smoothing "
    "cannot say: which other classes the example resembles.",
    "Teachers and recipes are chosen on the selection split. The test split is opened once, "
    "after all choices. Accuracies are in %, differences in points of accuracy.",
    "This page does not say whether a gain is knowledge or only regularization. The command "
    "goodteacher verify finds that out.",
)
VERIFIED_DEFINITIONS = (
    DEFINITIONS[0],
    "The students of every rung start from the same initial weights and see the examples in the "
    "same order, so differences are paired over seeds. Label smoothing was tuned on the "
    "selection split. Accuracies are in %, differences in points of accuracy.",
    judgement.DEFINITION,
)
_NO_SIMILARITY = (
    "With two classes there is only one wrong class, so S and its parts are 0 by definition."
)
_UNJUDGED = (
    "Whether a gain is knowledge or only regularization, and how accurate the students of each "
    "kind are."
)
_EARLIER_VERDICT = "The verdict below is an earlier one, and may change."
_UNANSWERED = (
    "Which teacher and which recipe are best, how good the student is on the test split, which is "
    "still sealed, and whether distillation helps. What this page shows as best so far can still "
    "change."
)
PROVENANCE = (
    "The idea is that of Vats & Crandall (arXiv 2112.10047), of which only the abstract was "
    "available. Formulas and procedures are ours."
)


def write_report(store: Store, going: Going | None = None, tables: Tables | None = None) -> Place:
    """Write ``report.html`` from the result files of a study or a verification, finished or not.

    The page needs nothing else: no network, no other file. What an unfinished study does not have
    yet is named as missing.

    Args:
        store: The folder.
        going: What is running in it, or was stopped; the page says so first.
        tables: For who draws again and again: what was read before of finished tasks.

    Returns:
        Where the report is.

    Raises:
        StudyError: A result file is missing that every study has, or holds something else.
    """
    store.write_text(REPORT_FILE, report_of(store, going, tables))
    return store.root / REPORT_FILE


def report_of(store: Store, going: Going | None = None, tables: Tables | None = None) -> str:
    """Return what :func:`write_report` writes."""
    return render(_read(store, tables), going)


def render(findings: Findings | Verified, going: Going | None = None) -> str:
    """Return the page of a study or a verification as HTML; see :func:`write_report`."""
    if isinstance(findings, Findings):
        return render_page(study_page(findings, going))
    return render_page(verified_page(findings, going))


def render_page(page: Page) -> str:
    """Return a page as HTML."""
    return template("page.html").render(
        page=page,
        provenance=PROVENANCE,
        css=asset("page.css"),
        script=asset("page.js"),
        policy=POLICY,
        draw=draw,
    )


def study_page(findings: Findings, going: Going | None = None) -> Page:
    """Return what is said about a study."""
    if findings.sweet_spot is None:
        return unfinished(_study_page(findings), going, known=_known(findings), unknown=_UNANSWERED)
    if going is None:
        return _study_page(findings)
    changing = "The answer below is an earlier one, and may change."
    if going.what == "verification":
        changing = _EARLIER_VERDICT if findings.judgement else "There is no verdict yet."
    return beside(_study_page(findings), going, changing=changing)


def _study_page(findings: Findings) -> Page:
    config = findings.config
    judged = findings.judgement is not None
    teacher, found = config.teacher or "recorded runs", findings.sweet_spot
    return Page(
        name=findings.name,
        title=f"{config.student} as the student of {teacher} on {config.data}",
        answer="" if found is None else answer_sentence(found),
        facts=() if found is None else facts_of(findings, found),
        notes=notes(findings),
        sections=sections(findings),
        definitions=(*DEFINITIONS[:-1], judgement.DEFINITION if judged else DEFINITIONS[-1]),
    )


def verified_page(verified: Verified, going: Going | None = None) -> Page:
    """Return what is said about a verification of the user's own teacher."""
    page = _verified_page(verified)
    if verified.judgement is None:
        known = "The teacher's response has been read, and fits the data."
        return unfinished(page, going, known=known, unknown=_UNJUDGED)
    if going is None:
        return page
    return beside(page, going, changing=_EARLIER_VERDICT)


def _verified_page(verified: Verified) -> Page:
    config, found = verified.config, verified.judgement
    of = verified.given or "a given response"
    return Page(
        name=verified.name,
        title=f"{config.student} as the student of {of} on {config.data}",
        answer=judgement.ANSWERS[found.verdict.verdict] if found else "",
        notes=(_NO_SIMILARITY,) if len(verified.data.class_names) == 2 else (),
        sections=(
            *(judgement.judgement_sections(found, verified.given) if found else ()),
            *_closing_sections(verified),
        ),
        definitions=VERIFIED_DEFINITIONS,
    )


def _known(findings: Findings) -> str:
    """Say what an unfinished study has."""
    config, recorded = findings.config, {(each.run, each.epoch) for each in findings.records}
    planned = {(run.name, epoch) for run in config.runs for epoch in config.recorded_epochs}
    done = f"{len(recorded):,} of {len(planned | recorded):,} teacher checkpoints are recorded"
    return f"{done}, and {len(findings.students):,} students have been trained."


def notes(findings: Findings) -> tuple[str, ...]:
    """Return what a reader must know before trusting the numbers."""
    found = list(findings.sweet_spot.doubts) if findings.sweet_spot is not None else []
    if found and findings.sweet_spot is not None and findings.sweet_spot.answer == "undecided":
        # The first one stands above, as what to do next.
        found = found[1:]
    found += [
        f"The teacher of {in_words(record.run)} diverged before epoch {record.epoch}."
        for record in findings.records
        if record.status == "diverged"
    ]
    found += [
        f"The teacher of {in_words(record.run)} was stopped after epoch {record.epoch}, because "
        f"{_why_stopped(record, findings.config.patience)}. The converged teacher is one that was "
        "trained to the end; if all were stopped, it is the last recorded one."
        for record in findings.records
        if record.stopped
    ]
    lost = sum(row.status == "diverged" for row in findings.students)
    if lost:
        found.append(
            f"{lost:,} of {len(findings.students):,} trainings of students diverged; each counts "
            "as accuracy 0, as in the search."
        )
    if coarse := selection_note(findings.data.selection):
        found.append(coarse)
    if len(findings.data.class_names) == 2:
        found.append(_NO_SIMILARITY)
    if findings.sweet_spot is not None and findings.chosen is None:
        found.append(
            "The sweet spot is a variant of recorded checkpoints, so it has no star on maps and "
            "curves, which show the checkpoints themselves."
        )
    if findings.sweet_spot is not None and findings.sweet_spot.student.num_seeds == 1:
        found.append(
            "The answer was confirmed with one seed only; another seed may give another answer."
        )
    return tuple(found)


def _why_stopped(record: TrajectoryRecord, patience: int) -> str:
    if record.outdone_by is None:
        return f"its probe students had become worse for {patience} recorded epochs"
    return f"probe students of the cheaper {in_words(record.outdone_by)} were as good"


def sections(findings: Findings) -> tuple[Section, ...]:
    """Return the parts of the page in reading order."""
    rung = first_rung(findings.students)
    return (
        *_answer_sections(findings),
        *said_sections(findings.said, findings.data.class_names),
        *_example_sections(findings),
        *(judgement.judgement_sections(findings.judgement) if findings.judgement else ()),
        _map_section(findings, rung),
        _curve_section(findings),
        _student_section(findings, rung),
        *means.means_sections(findings, rung),
        *arms_section(findings),
        *exported.export_sections(findings.export),
        Section("cost", "Cost", tables=(facts.cost_table(findings),)),
        *_closing_sections(findings),
    )


def _closing_sections(findings: Findings | Verified) -> tuple[Section, ...]:
    return (
        Section("settings", "Settings", tables=(facts.settings_table(findings),), folded=True),
        Section("data", "Data", tables=(facts.data_table(findings),)),
        Section(
            "environment", "Environment", tables=(facts.environment_table(findings),), folded=True
        ),
    )


def _read(store: Store, tables: Tables | None) -> Findings | Verified:
    """Read whichever kind of folder it is; its settings tell."""
    settings = read_toml(store.local(CONFIG_FILE))
    if "batch_sizes" in settings:
        return read_findings(store, tables)
    if "margin" in settings:
        return read_verified(store)
    raise StudyError(
        f"{store.root} holds a single distillation, which has no report: its numbers are in "
        "distillation.json. Reports are made of studies and verifications."
    )


def _answer_sections(findings: Findings) -> tuple[Section, ...]:
    found = findings.sweet_spot
    if found is None:
        return ()
    table = headline.comparison_table(findings, found)
    said = summary_without_doubts(found)
    panels = (headline.differences_panel(found), learning_panel(findings, found))
    shown = tuple(panel for panel in panels if panel is not None)
    return (Section("answer", "How good the student is", (said,), shown, (table,)),)


def _example_sections(findings: Findings) -> tuple[Section, ...]:
    if findings.sweet_spot is None:
        return ()
    return example_sections(findings.examples, findings.data.class_names)


def _map_section(findings: Findings, rung: RungScores | None) -> Section:
    title, panels = f"The map: {findings.axis.title} x epoch", []
    if rung is not None:
        panels.append(maps.student_panel(findings, rung))
    panels += _omitted_maps(findings)
    if findings.healthy:
        panels.append(maps.teacher_panel(findings))
    return Section("map", title, _missing(findings, rung), tuple(panels))


def _omitted_maps(findings: Findings) -> tuple[Panel, ...]:
    evidence = findings.judgement.evidence if findings.judgement else None
    if evidence is None or evidence.omitted is None:
        return ()
    panel = maps.omitted_panel(findings, evidence.omitted, evidence.level)
    return () if panel is None else (panel,)


def _curve_section(findings: Findings) -> Section:
    title = "Teachers over epochs"
    if not findings.healthy:
        return Section("curves", title, ("No teacher that can be used has been recorded yet.",))
    lead = (
        f"One line is one teacher run (n = 1 for each {findings.axis.title}, so no spread). "
        "The epoch axis is logarithmic."
    )
    panels = tuple(curves.curve_panel(findings, name) for name in curves.OVER_EPOCHS)
    return Section("curves", title, (lead,), panels, columns=3)


def _student_section(findings: Findings, rung: RungScores | None) -> Section:
    title = "Students"
    checkpoint = None if rung is None else students.leading(findings, rung)
    if rung is None or checkpoint is None:
        return Section("students", title, _missing(findings, rung))
    panels = (
        students.temperature_panel(findings, rung, checkpoint),
        students.pairing_panel(findings, rung),
    )
    return Section("students", title, (), panels)


def _missing(findings: Findings, rung: RungScores | None) -> tuple[str, ...]:
    found = []
    if not findings.healthy:
        found.append("No teacher that can be used has been recorded yet.")
    if rung is None:
        found.append("No student of the first round has been trained yet.")
    return tuple(found)
