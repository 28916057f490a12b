"""The figures of a study, or of several students, as plots of a notebook."""

from __future__ import annotations

from collections.abc import Iterable

from goodteacher.errors import StudyError
from goodteacher.records import Front, SweetSpot, Verdict
from goodteacher.report import curves, front, headline, ladder, maps, students
from goodteacher.report.findings import Findings, read_findings
from goodteacher.report.parts import Panel, View
from goodteacher.report.plots import Plot, plot_of
from goodteacher.report.rungs import RungScores, first_rung
from goodteacher.studies import FRONT_FILE, SWEET_SPOT_FILE, VERDICT_FILE, Store, require_whole


def map_plot(store: Store) -> Plot:
    """Return the map of student accuracy over teachers' runs and epochs.

    Raises:
        StudyError: No student has been trained yet.
    """
    findings, rung = _with_students(store)
    return plot_of(maps.student_panel(findings, rung))


def teachers_plot(store: Store) -> Plot:
    """Return the map of what teachers' responses hold, a view for each quantity.

    Raises:
        StudyError: No healthy teacher has been recorded yet.
    """
    findings = _with_teachers(store)
    return plot_of(maps.teacher_panel(findings))


def curves_plot(store: Store) -> Plot:
    """Return quantities of the teachers over their epochs, a view for each.

    Raises:
        StudyError: No healthy teacher has been recorded yet.
    """
    findings = _with_teachers(store)
    panels = [curves.curve_panel(findings, name) for name in curves.OVER_EPOCHS]
    return Plot("Teachers over epochs", tuple(_labelled(panels)))


def students_plot(store: Store) -> Plot:
    """Return students against their teachers, a view for each quantity of a teacher.

    Raises:
        StudyError: No student has been trained yet.
    """
    findings, rung = _with_students(store)
    return plot_of(students.pairing_panel(findings, rung))


def temperatures_plot(store: Store) -> Plot:
    """Return the students of the sweet spot's teacher over temperature.

    Raises:
        StudyError: No student has been trained yet.
    """
    findings, rung = _with_students(store)
    checkpoint = students.leading(findings, rung)
    if checkpoint is None:
        raise StudyError(f"{store.root} has no students of a single teacher to draw.")
    return plot_of(students.temperature_panel(findings, rung, checkpoint))


def gains_plot(store: Store) -> Plot:
    """Return the sweet spot's students minus those of each reference.

    Raises:
        StudyError: The search has not finished.
    """
    if not store.exists(SWEET_SPOT_FILE):
        raise StudyError(
            f"{store.root} has no sweet spot yet, so there is no gain to draw. Run the same "
            "goodteacher search again to continue."
        )
    return plot_of(headline.differences_panel(store.read_json(SWEET_SPOT_FILE, SweetSpot)))


def ladder_plot(store: Store) -> Plot:
    """Return the ladder of the verdict.

    Raises:
        StudyError: The study has not been verified.
    """
    if not store.exists(VERDICT_FILE):
        raise StudyError(
            f"{store.root} has no verdict yet, so there is no ladder to draw. Type: goodteacher "
            f"verify {store.root}"
        )
    return plot_of(ladder.ladder_panel(store.read_json(VERDICT_FILE, Verdict)))


def front_plot(store: Store) -> Plot:
    """Return accuracy over parameters and over latency of several students.

    Raises:
        StudyError: The search for them has not finished.
    """
    if not store.exists(FRONT_FILE):
        raise StudyError(
            f"{store.root} has no {FRONT_FILE}: the search for its students has not finished. Run "
            "the same goodteacher search again to continue."
        )
    panels = front.front_panels(store.read_json(FRONT_FILE, Front))
    return Plot("Students on the test split", tuple(_labelled(panels)))


def _labelled(panels: Iterable[Panel]) -> Iterable[View]:
    """Yield the views of several panels, each called by its panel where it has no name."""
    for panel in panels:
        for view in panel.views:
            yield View(view.label or panel.title, view.figure, view.caption, view.table)


def _findings(store: Store) -> Findings:
    require_whole(store)
    return read_findings(store)


def _with_students(store: Store) -> tuple[Findings, RungScores]:
    findings = _findings(store)
    rung = first_rung(findings.students)
    if rung is None:
        raise StudyError(
            f"{store.root} has no trained student yet, so there is no figure of students. Run the "
            "same goodteacher search again to continue."
        )
    return findings, rung


def _with_teachers(store: Store) -> Findings:
    findings = _findings(store)
    if not findings.healthy:
        raise StudyError(
            f"{store.root} has no teacher that can be used yet, so there is no figure of "
            "teachers. Run the same goodteacher search again to continue."
        )
    return findings
