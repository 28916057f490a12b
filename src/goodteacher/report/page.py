"""Which parts, in which order, and the HTML around them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import jinja2
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from goodteacher.report import curves, facts, headline, maps, students
from goodteacher.report.findings import Findings, read_findings
from goodteacher.report.parts import Panel, Section
from goodteacher.report.rungs import RungScores, first_rung
from goodteacher.report.theme import THEMES
from goodteacher.store import Store

REPORT_FILE = "report.html"

DEFINITIONS = (
    "A recipe is a loss, a temperature T and alpha, which weights the teacher term: "
    "loss = (1 - alpha) CE(labels, student) + alpha T² KL(teacher at T || student at T), in nats.",
    "Similarity information S = KL(p || s): p is the teacher's response at temperature T, s label "
    "smoothing of equal confidence on the same label. What smoothing could have said is not "
    "counted; what remains is how the other classes resemble the example.",
    "Teachers and recipes were chosen on the selection split. The test split was opened once, "
    "after every choice. Accuracies are in %, differences in points of accuracy.",
    "Whether a gain is knowledge or only regularization is not settled by this page: that takes "
    "the ladder of controls.",
)
PROVENANCE = (
    "Formulas and procedures are ours; the idea is Vats & Crandall's (arXiv 2112.10047), of which "
    "only the abstract was available."
)


def write_report(store: Store) -> Path:
    """Write ``report.html`` from the result files of a study, finished or not.

    The page needs nothing else: no network, no other file. What an unfinished study does not have
    yet is named as missing.

    Args:
        store: The study folder.

    Returns:
        Path of the report.

    Raises:
        StudyError: A result file is missing that every study has, or holds something else.
    """
    store.write_text(REPORT_FILE, render(read_findings(store)))
    return store.path(REPORT_FILE)


def render(findings: Findings) -> str:
    """Return the page as HTML."""
    parts = sections(findings)
    panels = [panel for section in parts for panel in section.panels]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("goodteacher.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("page.html").render(
        findings=findings,
        answer=answer(findings),
        sections=parts,
        notes=notes(findings),
        definitions=DEFINITIONS,
        provenance=PROVENANCE,
        css=_asset("page.css"),
        script=_asset("page.js"),
        plotly=get_plotlyjs(),
        figures=_script_json({panel.key: _figures(panel) for panel in panels}),
        themes=_script_json(THEMES),
    )


def answer(findings: Findings) -> str:
    """Return the one sentence that the reader came for."""
    found = findings.sweet_spot
    if found is not None:
        return (
            f"Sweet spot: the teacher of batch size {found.teacher.batch_size} after epoch "
            f"{found.teacher.epoch}, distilled with {found.recipe}."
        )
    config = findings.config
    planned = len(config.batch_sizes) * len(config.recorded_epochs)
    return (
        f"This study has not finished: there is no sweet spot yet. {len(findings.records)} of "
        f"{planned} teacher checkpoints are recorded, and {len(findings.students):,} rows of "
        "students are there. Run the same goodteacher search again to go on."
    )


def notes(findings: Findings) -> tuple[str, ...]:
    """Return what a reader must know before trusting the numbers."""
    found = [
        f"The teacher at batch size {record.batch_size} diverged before epoch {record.epoch}."
        for record in findings.records
        if record.status == "diverged"
    ]
    lost = sum(row.status == "diverged" for row in findings.students)
    if lost:
        found.append(
            f"{lost:,} of {len(findings.students):,} student rows diverged; each counts as "
            "accuracy 0, as it did in the search."
        )
    if len(findings.data.class_names) == 2:
        found.append(
            "With two classes there is no off-class structure: S is 0 by definition, and so are "
            "its parts."
        )
    if findings.sweet_spot is not None and findings.sweet_spot.student.num_seeds == 1:
        found.append("Confirmed with one seed: another seed may tell another story.")
    return tuple(found)


def sections(findings: Findings) -> tuple[Section, ...]:
    """Return the parts of the page in reading order."""
    rung = first_rung(findings.students)
    return (
        *_answer_sections(findings),
        _map_section(findings, rung),
        _curve_section(findings),
        _student_section(findings, rung),
        Section("cost", "Cost", tables=(facts.cost_table(findings),)),
        Section("settings", "Settings", tables=(facts.settings_table(findings),), folded=True),
        Section("data", "Data", tables=(facts.data_table(findings),)),
        Section(
            "environment", "Environment", tables=(facts.environment_table(findings),), folded=True
        ),
    )


def _answer_sections(findings: Findings) -> tuple[Section, ...]:
    found = findings.sweet_spot
    if found is None:
        return ()
    table = headline.comparison_table(findings, found)
    panel = headline.differences_panel(found)
    return (Section("answer", "The answer", (found.summary,), (panel,), (table,), columns=1),)


def _map_section(findings: Findings, rung: RungScores | None) -> Section:
    title, panels = "The map: batch size x epoch", []
    if rung is not None:
        panels.append(maps.student_panel(findings, rung))
    if findings.healthy:
        panels.append(maps.teacher_panel(findings))
    return Section("map", title, _missing(findings, rung), tuple(panels))


def _curve_section(findings: Findings) -> Section:
    title = "Teachers over epochs"
    if not findings.healthy:
        return Section("curves", title, ("No healthy teacher has been recorded yet.",))
    lead = (
        "One line is one teacher run (n = 1 for each batch size, so no spread). "
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
        found.append("No healthy teacher has been recorded yet.")
    if rung is None:
        found.append("No student has been trained yet.")
    return tuple(found)


def _figures(panel: Panel) -> Sequence[object]:
    return [_bare(view.figure) for view in panel.views]


def _bare(figure: go.Figure) -> object:
    plain = json.loads(figure.to_json())
    plain["layout"].pop("template", None)
    return plain


def _script_json(value: object) -> str:
    """Write JSON that cannot end the script element it stands in."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _asset(name: str) -> str:
    folder = resources.files("goodteacher.report") / "templates"
    return (folder / name).read_text(encoding="utf-8")
