import pytest

from goodteacher.records.words import summarize
from goodteacher.report.headline import (
    comparison_table,
    differences_of,
    differences_panel,
    draw_differences,
    spread,
)
from tests.report.build import TRAINING, confirm_rows, sweet_spot


def test_differences_are_in_points_with_both_intervals():
    first = differences_of(sweet_spot())[0]
    assert first.name == "hard labels"
    assert first.mean == pytest.approx(3.0)
    assert first.interval == pytest.approx((2.0, 4.0))
    assert first.joint_interval == pytest.approx((1.0, 5.0))


def test_reference_that_is_the_sweet_spot_itself_is_marked():
    differences = differences_of(sweet_spot())
    assert [d.interval is None for d in differences] == [False, False, False, True]
    assert [d.joint_interval is None for d in differences] == [False, False, False, True]
    assert differences[3].mean == 0
    written = [row.shown for row in draw_differences(differences).rows]
    assert ["the same students" in shown for shown in written] == [False, False, False, True]
    assert written[0].replace("\xa0", " ") == "+3.00 [+2.00, +4.00]"


def test_teacher_that_was_stopped_is_not_called_converged(findings):
    found = findings.sweet_spot
    last = found.references.converged_teacher.model_copy(update={"stopped": True})
    references = found.references.model_copy(update={"converged_teacher": last})
    stopped = found.model_copy(update={"references": references})
    assert [d.name for d in differences_of(stopped)][2] == "last teacher (stopped)"
    rows = [row[0] for row in comparison_table(findings, stopped).rows]
    assert "converged teacher" not in rows
    assert "last teacher (stopped)" in rows
    delivered = {"delivered": "cross_entropy"}
    before = summarize("undecided", found.student, found.references, **delivered)
    assert "the converged teacher" in before
    summary = summarize("undecided", found.student, references, **delivered)
    assert "the last trained teacher (stopped, so it may not have converged)" in summary
    assert "the converged teacher" not in summary


def test_intervals_end_where_those_of_the_differences_do():
    differences = differences_of(sweet_spot())
    for row, difference in zip(draw_differences(differences).rows, differences, strict=True):
        assert (row.name, row.mean) == (difference.name, difference.mean)
        assert (row.inner, row.outer) == (difference.interval, difference.joint_interval)


def test_spread_is_the_deviation_of_the_confirmation_only():
    found = sweet_spot()
    rows, plain = confirm_rows(), found.references.cross_entropy
    assert spread(rows, found.student) == "2.00"  # points, of 90, 92, 94 %
    assert spread(rows, plain) == "-"
    assert spread(rows[:1], found.student) == "-"
    longer = TRAINING.model_copy(update={"epochs": 54})
    assert spread(rows, found.student.model_copy(update={"training": longer})) == "-"


def test_table_holds_teacher_student_difference_and_seeds(findings):
    table = comparison_table(findings, findings.sweet_spot)
    rows = {row[0]: [cell.replace("\xa0", " ") for cell in row] for row in table.rows}
    assert rows["the sweet spot"][2:5] == ["91.25", "92.00 [90.00, 94.00]", "2.00"]
    assert rows["hard labels"][2:] == [
        "-",
        "89.00",
        "-",
        "+3.00 [+2.00, +4.00]",
        "[+1.00, +5.00]",
        "3",
    ]
    assert rows["converged teacher"][2] == "93.75"
    assert rows["most accurate teacher"][5:7] == ["the same students", "-"]
    assert all(len(row) == len(table.head) for row in table.rows)


def test_table_says_n_split_and_level(findings):
    caption = comparison_table(findings, findings.sweet_spot).caption
    for part in ("test split (n = 360 examples)", "3 fresh paired seeds", "95 % intervals"):
        assert part in caption


def test_one_seed_is_not_called_an_interval_over_seeds(findings):
    student = findings.sweet_spot.student.model_copy(update={"num_seeds": 1})
    caption = comparison_table(findings, sweet_spot(student=student)).caption
    assert "1 fresh seed." in caption
    assert "over test examples only" in caption


def test_level_names_the_intervals():
    (view,) = differences_panel(sweet_spot(level=0.1)).views
    assert "90 % interval" in view.caption
