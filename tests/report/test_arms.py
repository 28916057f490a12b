"""The table of all arms, and the learning curves of the confirmed students."""

import dataclasses

import pytest

from goodteacher.records.arms import CROSS_ENTROPY, smoothing_arm
from goodteacher.records.results import LearningPoint
from goodteacher.report.arms import (
    arms_section,
    arms_table,
    draw_learning_curves,
    learning_curves,
    learning_panel,
)
from goodteacher.report.parts import ROWS_IN_PAGE, Table
from tests.report.build import WINNER, row, sweet_spot


def confirmed(accuracies, *, seed=0):
    """A confirmed student of the winner that was followed along its training."""
    points = tuple(
        LearningPoint(epoch=epoch, accuracy=value, nll=None, training_loss=None)
        for epoch, value in accuracies.items()
    )
    found = row(WINNER, accuracy=0.93, stage="confirm", student_epochs=18, seed=seed, test=0.92)
    return found.model_copy(update={"curve": points})


def test_each_arm_and_stage_has_a_row_best_first(findings):
    table = arms_table(findings.students)
    assert table.sortable
    column = table.head.index("selection, %")
    values = [float(cells[column]) for cells in table.rows]
    assert values == sorted(values, reverse=True)
    groups = {(r.stage, r.rung, r.arm, r.student_epochs) for r in findings.students}
    assert len(table.rows) == len(groups)


def test_row_says_what_was_learned_from_and_how():
    rows = [row(WINNER, accuracy=0.90), row(WINNER, accuracy=0.92, seed=1)]
    (cells,) = arms_table(rows).rows
    assert cells == (
        "batch 128 epoch 2",
        "kl",
        "2",
        "0.5",
        "search, round 1",
        "2",
        "0.002",
        "2",
        "91.00",
        "1.41",
        "-",
    )


def test_rows_that_are_not_in_the_page_at_first_are_kept_by_columns_and_lose_nothing():
    rows = tuple((f"batch {n % 7}", "kl", str(n)) for n in range(ROWS_IN_PAGE + 50))
    columns = Table("", ("learned from", "loss", "T"), rows, sortable=True).other_columns
    assert [len(column.texts) for column in columns] == [7, 1, 50]
    texts = [[column.texts[place] for place in column.rows] for column in columns]
    assert list(zip(*texts, strict=True)) == list(rows[ROWS_IN_PAGE:])
    assert Table("", ("learned from",), rows[:9], sortable=True).other_columns == ()


@pytest.mark.parametrize(
    ("arm", "name"), [(CROSS_ENTROPY, "hard labels"), (smoothing_arm(0.1), "label smoothing 0.1")]
)
def test_targets_without_a_teacher_have_names(arm, name):
    (cells,) = arms_table([row(arm, accuracy=0.9)]).rows
    assert cells[0] == name
    assert cells[-2] == "-"  # one seed has no spread


def test_confirmed_students_have_test_accuracy():
    (cells,) = arms_table([confirmed({18: 0.93})]).rows
    assert cells[4] == "confirmation"
    assert cells[-1] == "92.00"


def test_no_students_no_section(findings):
    assert arms_section(dataclasses.replace(findings, students=())) == ()
    assert arms_section(findings)[0].key == "arms"


def test_learning_curve_is_the_mean_over_seeds_at_common_epochs(findings):
    rows = (confirmed({6: 0.80, 12: 0.90, 18: 0.92}), confirmed({6: 0.82, 18: 0.94}, seed=1))
    found = dataclasses.replace(findings, students=rows)
    (curve,) = learning_curves(found, sweet_spot())
    assert (curve.name, curve.epochs, curve.num_seeds) == ("the sweet spot", (6, 18), 2)
    assert curve.means == pytest.approx((81.0, 93.0))
    assert curve.last_gain == pytest.approx(12.0)


def test_arm_of_several_families_is_drawn_once(findings):
    # The most accurate teacher's best arm is the sweet spot's in this study.
    curves = learning_curves(findings, sweet_spot())
    assert [curve.name for curve in curves] == ["the sweet spot"]
    assert curves[0].last_gain is None  # measured at the end alone


def test_panel_says_whether_students_were_done(findings):
    rows = (confirmed({6: 0.80, 18: 0.92}),)
    found = dataclasses.replace(findings, students=rows)
    caption = learning_panel(found, sweet_spot()).views[0].caption
    assert "no students that were still improving" in caption
    assert "the sweet spot +12.00" in caption
    warned = learning_panel(found, sweet_spot(improving=("sweet_spot",))).views[0].caption
    assert "longer training may change the answer" in warned


def test_curves_are_drawn_over_epochs_and_their_numbers_stand_below(findings):
    found = dataclasses.replace(findings, students=(confirmed({6: 0.8, 18: 0.92}),))
    panel = learning_panel(found, sweet_spot())
    figure = draw_learning_curves(learning_curves(found, sweet_spot()))
    assert [(p.x, p.y) for p in figure.series[0].points] == [(6, 80.0), (18, 92.0)]
    assert figure.x.log
    assert panel.views[0].table.rows[-1] == ("the sweet spot", "18", "92.00", "1")


def test_students_that_nobody_confirmed_have_no_panel(findings):
    assert learning_panel(dataclasses.replace(findings, students=()), sweet_spot()) is None
