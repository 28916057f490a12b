"""When the sweet spot stops mattering, on planted leads."""

import pytest

import patience_curve_page as page
from patience_curve import CONVERGED, FAMILIES, LABELS, SPOT
from repeated import Estimate

MATTERS, NOT, OPEN = [0.01, 0.005, 0.015], [0.0, -0.001, 0.001], [0.004, -0.002, 0.01]


def row(leads, repetition=0, data="mnist", test=0.9):
    """A data set whose leads are planted by budget."""
    left = {name: [0.004, 0.002, 0.006] for name in FAMILIES if name != SPOT}
    each = {"source": "batch 32 epoch 4", "temperature": 8.0, "gain": [0.01, 0.0, 0.02]}
    students = {name: {**each, "test": test} for name in FAMILIES}
    return {
        "data": data,
        "repetition": repetition,
        "budgets": [{"budget": b, "students": students, "lead": lead} for b, lead in leads.items()],
        "left": {**left, CONVERGED: None},
    }


@pytest.mark.parametrize(
    "lead, status",
    [
        (MATTERS, "matters"),
        (NOT, "does not matter"),
        (OPEN, "undecided"),
        ([0.001, 0.0005, 0.0015], "does not matter"),  # resolved, but too small to matter
        ([-0.01, -0.02, -0.005], "does not matter"),
        ([0.002, 0.0001, 0.0039], "matters"),
    ],
)
def test_a_lead_matters_by_its_interval(lead, status):
    assert page.status(Estimate(*lead)) == status


@pytest.mark.parametrize(
    "leads, stop",
    [
        ([MATTERS, MATTERS, NOT, NOT], 4),
        ([NOT, MATTERS, NOT, NOT], 4),
        ([NOT, NOT, NOT, NOT], 1),
        ([MATTERS, NOT, NOT, OPEN], None),
        ([MATTERS, MATTERS, MATTERS, MATTERS], None),
    ],
)
def test_it_stops_mattering_where_it_never_matters_again(leads, stop):
    found = dict(zip((1, 2, 4, 8), (Estimate(*lead) for lead in leads), strict=True))
    assert page.stops_at(found) == stop


@pytest.mark.parametrize(
    "leads, said",
    [
        ({1: MATTERS, 2: NOT}, "does not matter from 2 times the default on"),
        ({1: NOT, 2: None}, "does not matter from the default number of steps on"),
        ({1: MATTERS, 2: MATTERS}, "still matters at 2 times the default"),
        ({1: MATTERS, 2: OPEN}, "**Undecided.**"),
    ],
)
def test_the_answer_says_from_when_on(leads, said):
    text = page.answer([row(leads)])
    assert said in text
    assert "up to 2 of 30 times the default" in text


def test_a_single_budget_is_told_once():
    text = page.answer([row({1: MATTERS})])
    assert "is +1.00 [+0.50, +1.50] points at the default number of steps. Each" in text


def test_the_same_students_are_no_lead():
    assert page.leads([row({1: None})], "mnist") == {1: page.NOTHING}


def test_repetitions_are_put_together():
    rows = [row({1: [m, m - 0.1, m + 0.1]}, n) for n, m in enumerate((0.01, 0.012, 0.011))]
    (lead,) = page.leads(rows, "mnist").values()
    assert lead.repetitions == 3
    assert lead.mean == pytest.approx(0.011)
    assert page.status(lead) == "matters"
    assert page.left(rows, "mnist")[LABELS].mean == pytest.approx(0.004)


def test_the_table_has_a_line_for_each_budget():
    lines = page.budgets_table([row({1: MATTERS, 4: NOT})]).splitlines()[2:]
    assert [line.split(" | ")[1] for line in lines] == ["1 x", "4 x"]
    teacher = "batch 32 epoch 4 at T = 8"
    assert lines[0].endswith(f"| {teacher}, {teacher} | +1.00 [+0.50, +1.50] | matters |")


def test_what_was_not_run_is_said():
    said = page.missing([row(dict.fromkeys((1, 2), NOT))])
    assert "2 of 18 runs on MNIST, 0 of 18 runs on Fashion-MNIST" in said
    assert page.answer([]) == page.budgets_table([]) == page.NOT_RUN
    every = [row(dict.fromkeys(page.BUDGETS, NOT), n, d) for d in page.PAIRS for n in range(3)]
    assert page.missing(every) == "Nothing: all has been run."


def test_panels_draw_each_family_over_budgets():
    (panel,) = page.panels_of([row({1: MATTERS, 4: NOT})])
    assert [series.label for series in panel.series] == list(page.TARGETS.values())
    assert list(panel.series[0].x) == [1, 4]
    assert panel.series[0].y == pytest.approx([1.0, 1.0])
    assert panel.series[0].high == pytest.approx([2.0, 2.0])
