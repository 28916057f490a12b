import pytest

from goodteacher.records.evidence import (
    ClassGain,
    Estimate,
    Flips,
    JointEffect,
    OmittedArm,
    OmittedClass,
)
from goodteacher.report.classes import MOST_BARS, differences_by_class, draw_matrix, flips_lead
from goodteacher.report.further import draw_lines, gain_lines, knowledge_line, omitted_panel
from tests.verdicts.evidence.test_curve import PLANTED, curve_of


def test_lines_hold_joint_intervals_in_points_a_rung_each():
    curve, _ = curve_of(PLANTED)
    lines = gain_lines(curve)
    assert [line.name for line in lines] == [
        "mean smoothing",
        "confidence smoothing",
        "class similarity",
        "full response",
    ]
    full = curve.points[1].arms[-1].gain
    assert lines[-1].temperatures == (1.0, 8.0)
    assert lines[-1].means[1] == pytest.approx(100 * full.mean)
    assert lines[-1].intervals[1] == pytest.approx([100 * v for v in full.adjusted_interval])
    assert knowledge_line(curve).means[0] == pytest.approx(100 * curve.points[0].knowledge.mean)


def test_lines_stand_side_by_side_but_tell_their_temperature():
    curve, _ = curve_of(PLANTED)
    figure = draw_lines(gain_lines(curve), title="gain")
    assert len({line.points[0].x for line in figure.series}) == 4
    notes = [[point.note.split(":")[0] for point in line.points] for line in figure.series]
    assert notes == [["T = 1", "T = 8"]] * 4


def gain(number, mean):
    effect = JointEffect(mean=mean, interval=(mean, mean), adjusted_interval=(mean, mean))
    return ClassGain(
        number=number,
        name=f"class {number}",
        num_examples=5,
        confidence_smoothing=0.5,
        full_response=0.5 + mean,
        gain=effect,
    )


def test_of_many_classes_both_ends_are_shown_in_order():
    gains = [gain(number, number / 1000) for number in range(MOST_BARS + 11)]
    shown = differences_by_class(gains)
    assert len(shown) == MOST_BARS
    assert [d.mean for d in shown] == sorted((d.mean for d in shown), reverse=True)
    assert shown[0].name == f"class {MOST_BARS + 10}"
    assert shown[-1].name == "class 0"


def test_classes_that_were_not_measured_are_left_out():
    lone = gain(1, 0.1).model_copy(update={"gain": None})
    assert [d.name for d in differences_by_class([gain(0, 0.2), lone])] == ["class 0"]


def test_matrix_has_no_diagonal_and_a_neutral_middle():
    figure = draw_matrix(((0.9, 0.1), (-0.2, 0.8)), ("a", "b"), diverging=True)
    assert [cell.value for cell in figure.cells[0]] == [None, 10.0]
    assert figure.cells[1][0].text == "-20.0"
    assert figure.diverging


@pytest.mark.parametrize(("seeds", "possible"), [(3, False), (20, True)])
def test_few_seeds_cannot_resolve_an_example_and_the_page_says_so(seeds, possible):
    found = Flips(
        num_examples=1000,
        num_seeds=seeds,
        gained=5,
        lost=4,
        resolved_gained=0,
        resolved_lost=0,
        most_gained=(),
        most_lost=(),
    )
    assert ("chance can explain every change" in flips_lead(found, 0.05)[0]) is not possible


def omitted():
    def about(value):
        return Estimate(mean=value, interval=(value - 0.05, value + 0.05))

    def effect(value):
        return JointEffect(mean=value, interval=(value, value), adjusted_interval=(value, value))

    arms = [
        OmittedArm(
            name=name,
            class_accuracy=about(value),
            overall_accuracy=about(0.8),
            mean_offset=1.0,
            corrected_class_accuracy=about(value + 0.1),
            corrected_overall_accuracy=about(0.85),
            over_cross_entropy=None,
        )
        for name, value in (("one_hot", 0.1), ("full_response", 0.7))
    ]
    return OmittedClass(
        class_number=3,
        class_name="three",
        num_seeds=4,
        num_transfer=90,
        num_class_examples=37,
        seen_accuracy=about(0.9),
        arms=tuple(arms),
        knowledge=effect(0.5),
        corrected_knowledge=effect(0.6),
    )


def test_omitted_class_is_drawn_a_row_for_each_rung_corrected_first():
    corrected, plain = omitted_panel(omitted(), 0.05).views
    assert [row.name for row in corrected.figure.rows] == ["hard labels", "full response"]
    assert [row.mean for row in corrected.figure.rows] == pytest.approx([20.0, 80.0])
    assert [row.mean for row in plain.figure.rows] == pytest.approx([10.0, 70.0])
    assert corrected.figure.rows[1].inner == pytest.approx((75.0, 85.0))
    assert plain.table.rows[1] == ("full response", "70.00", "65.00", "75.00")
    assert "37 test examples of class three" in corrected.caption
    assert "None of their" in corrected.caption
