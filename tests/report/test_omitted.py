"""An omitted class in examples and as a map over batch size and epoch."""

import pytest

from goodteacher.config import Recipe
from goodteacher.records import (
    Confusion,
    Estimate,
    Evidence,
    Flips,
    JointEffect,
    OmittedArm,
    OmittedCell,
    OmittedClass,
    OmittedExamples,
    OmittedMap,
    RecognisedExample,
    ResemblingExample,
    Shown,
)
from goodteacher.report import write_report
from goodteacher.report.findings import read_findings
from goodteacher.report.maps import omitted_panel
from goodteacher.report.omitted import (
    NONE_KEPT,
    draw_resembling,
    recognised_galleries,
    recognised_lead,
    resembling_sections,
)
from goodteacher.studies import EVIDENCE_FILE
from tests.report.build import data_summary, finish_study, write_study
from tests.report.test_examples import DOT, HOSTILE
from tests.report.test_further import gain
from tests.report.test_ladder import planted_verdict
from tests.report.test_page import Page

NAMES = ("zero", "<b>one</b>", "two", "three", "four", "five")
EFFECT = JointEffect(mean=0.5, interval=(0.3, 0.7), adjusted_interval=(0.2, 0.8))


def estimate(mean):
    return Estimate(mean=mean, interval=(mean - 0.1, mean + 0.1))


def recognised(number, right, says=1, shown=None):
    return RecognisedExample(id=number, right=right, says=says, shown=shown or Shown(picture=DOT))


EXAMPLES = OmittedExamples(
    num_recognised=20,
    recognised=(recognised(45, 5), recognised(46, 3)),
    missed=(recognised(47, 0, says=2), recognised(48, 1, says=0)),
    resembling=(
        ResemblingExample(
            id=459,
            label=2,
            classes=(1, 2, 0, 3),
            plain=(0.1, 0.8, 0.05, 0.01),
            softened=(0.2, 0.5, 0.1, 0.1),
            shown=Shown(picture=DOT),
        ),
    ),
)
RUNS = ("batch 32", "batch 128")


def planted_map(temperatures=(1.0, 2.0)):
    """Accuracy falls with the epoch and rises with temperature and correction."""
    cells = [
        OmittedCell(
            run=run,
            epoch=epoch,
            temperature=temperature,
            class_accuracy=estimate(0.5 / epoch + 0.1 * temperature),
            corrected_class_accuracy=estimate(0.6 / epoch + 0.1 * temperature),
        )
        for run in RUNS
        for epoch in (1, 2, 4)
        for temperature in temperatures
    ]
    return OmittedMap(num_seeds=3, temperatures=temperatures, cells=tuple(cells))


def omitted(**changes):
    arms = tuple(
        OmittedArm(
            name=name,
            class_accuracy=estimate(0.4),
            overall_accuracy=estimate(0.8),
            mean_offset=2.0,
            corrected_class_accuracy=estimate(0.6),
            corrected_overall_accuracy=estimate(0.8),
            over_cross_entropy=None,
        )
        for name in ("one_hot", "full_response")
    )
    values = {
        "class_number": 1,
        "class_name": NAMES[1],
        "num_seeds": 5,
        "num_transfer": 91,
        "num_class_examples": 37,
        "seen_accuracy": estimate(0.9),
        "arms": arms,
        "knowledge": EFFECT,
        "corrected_knowledge": EFFECT,
        "examples": EXAMPLES,
        "map": planted_map(),
    }
    return OmittedClass(**{**values, **changes})


def evidence(found, temperature=2.0):
    nothing = {"pairs": (), "similarity": (), "change": ()}
    counts = dict.fromkeys(Flips.model_fields, 0) | {"most_gained": (), "most_lost": ()}
    return Evidence(
        teacher="batch 128 epoch 2",
        recipe=Recipe(temperature=temperature),
        num_seeds=5,
        level=0.05,
        class_names=NAMES,
        curve=None,
        omitted=found,
        fidelity=None,
        fidelity_missing="not measured",
        classes=(gain(0, 0.1),),
        confusion=Confusion(**nothing, confused_with_similarity=None, change_with_similarity=None),
        flips=Flips(**counts | {"num_seeds": 5}),
    )


@pytest.fixture
def findings(tmp_path):
    store = write_study(tmp_path / "study", data=data_summary(NAMES))
    finish_study(store)
    return read_findings(store)


def page_with(tmp_path, found):
    store = write_study(tmp_path / "study", data=data_summary(NAMES))
    finish_study(store)
    store.write_json("verdict.json", planted_verdict())
    store.write_json(EVIDENCE_FILE, evidence(found))
    return write_report(store).read_text(encoding="utf-8")


def test_lead_says_how_many_of_how_many_are_recognised():
    told = recognised_lead(omitted())
    assert "No student here has seen an example of class <b>one</b>" in told
    assert "Of its 37 test examples, 20 are recognised by more than half of the 5 students" in told


def test_galleries_say_how_many_there_are_and_what_students_say():
    hit, missed = recognised_galleries(omitted(), NAMES)
    assert hit.caption == "Class <b>one</b>, recognised by most students: 2 of 20 shown"
    assert missed.caption == "Class <b>one</b>, not recognised by most: 2 of 17 shown"
    assert hit.exhibits[0].lines == ("5 of 5 say <b>one</b>", "test example 45")
    assert missed.exhibits[0].lines[:2] == ("0 of 5 say <b>one</b>", "most say two")
    assert missed.exhibits[0].alt.startswith("Class <b>one</b>: 0 of 5 say <b>one</b>; most say")


def test_where_all_are_shown_and_none_is_missed_there_is_one_gallery():
    found = EXAMPLES.model_copy(update={"num_recognised": 2, "missed": ()})
    (hit,) = recognised_galleries(omitted(examples=found, num_class_examples=2), NAMES)
    assert hit.caption.endswith("recognised by most students: all 2")


def test_without_examples_it_is_said_why():
    found = omitted(examples=None)
    assert recognised_lead(found) == NONE_KEPT
    assert recognised_galleries(found, NAMES) == ()
    assert resembling_sections(found, evidence(found), NAMES) == ()


def test_card_says_what_the_teacher_gives_the_class_at_both_temperatures():
    (section,) = resembling_sections(omitted(), evidence(omitted()), NAMES)
    assert "learned from 91 examples of other classes" in section.lead[0]
    (panel,) = section.panels
    assert panel.title == "Class two"
    said = "At T = 1, the teacher gives 10.0 % to class <b>one</b>, and 20.0 % at T = 2."
    assert panel.exhibit.alt == f"Class two. {said}"
    assert panel.views[0].caption == f"Transfer example 459. {said}"
    assert panel.views[0].table.rows[0] == ("1", "10.00", "80.00", "5.00", "1.00", "4.00")


def test_strip_of_a_taught_example_has_a_row_for_each_temperature():
    figure = draw_resembling(EXAMPLES.resembling[0], 2.0, NAMES)
    assert figure.rows == ("1", "2")
    assert figure.names == ("<b>one</b>", "two", "zero", "three", "others")
    assert figure.shares[1][0] == pytest.approx((0.2, 0.5, 0.1, 0.1, 0.1))
    assert draw_resembling(EXAMPLES.resembling[0], 1.0, NAMES).rows == ("1",)


def test_map_has_a_view_for_each_temperature_and_correction(findings):
    panel = omitted_panel(findings, omitted(), 0.05)
    assert [view.label for view in panel.views] == [
        "as trained, T = 1",
        "as trained, T = 2",
        "after the bias correction, T = 1",
        "after the bias correction, T = 2",
    ]
    first, last = panel.views[0], panel.views[-1]
    assert first.figure.rows == ("32", "128")
    assert [cell.text for cell in first.figure.cells[0]] == ["60.0", "35.0", "22.5"]
    assert [cell.text for cell in last.figure.cells[0]] == ["80.0", "50.0", "35.0"]
    assert "mean of 3 seeds" in first.caption
    assert "37 test examples" in first.caption


def test_maps_share_their_colours_and_outline_the_sweet_spot(findings):
    views = omitted_panel(findings, omitted(), 0.05).views
    assert {view.figure.limits for view in views} == {(0.0, 100.0)}
    assert {view.figure.outlined for view in views} == {(1, 1)}
    assert views[0].figure.cells[1][1].text == "35.0\n★"


def test_numbers_of_a_map_have_their_intervals(findings):
    table = omitted_panel(findings, omitted(), 0.05).views[0].table
    assert table.head == ("batch size", "epoch", "recognised, %", "low", "high")
    assert table.rows[0] == ("batch size 32", "1", "60.0", "50.0", "70.0")
    assert len(table.rows) == 6


def test_teacher_that_was_not_measured_has_an_empty_cell(findings):
    some = planted_map().model_copy(update={"cells": planted_map().cells[:2]})
    figure = omitted_panel(findings, omitted(map=some), 0.05).views[0].figure
    assert figure.cells[0][0].value == pytest.approx(60.0)
    assert figure.cells[1][2].value is None


def test_without_a_map_there_is_no_panel(findings):
    assert omitted_panel(findings, omitted(map=None), 0.05) is None


def test_page_shows_pictures_map_and_what_taught_them(tmp_path):
    page = Page(page_with(tmp_path, omitted()))
    ids = page.attributes("id")
    assert {"map-omitted", "omitted-class", "resembling-459"} <= set(ids)
    assert ids.index("map-students") < ids.index("map-omitted") < ids.index("map-teachers")
    assert page.attributes("src") == [f"data:image/png;base64,{DOT}"] * 5
    assert "What the students learned class <b>one</b> from" in page.text
    assert all(page.attributes("alt"))


def test_page_without_map_and_examples_has_neither(tmp_path):
    page = Page(page_with(tmp_path, omitted(map=None, examples=None)))
    assert "map-omitted" not in page.attributes("id")
    assert page.attributes("src") == []
    assert NONE_KEPT in page.text


def test_hostile_texts_and_names_bring_no_markup(tmp_path):
    shown = recognised(45, 5, shown=Shown(text=HOSTILE))
    found = EXAMPLES.model_copy(update={"recognised": (shown,)})
    text = page_with(tmp_path, omitted(examples=found))
    assert "<script>alert" not in text
    assert "<b>" not in text
    assert HOSTILE in Page(text).text
