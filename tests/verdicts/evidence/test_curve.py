import numpy as np
import pytest

from goodteacher.maths.statistics import adjusted_level, paired_interval
from goodteacher.verdicts.evidence.case import FULL
from goodteacher.verdicts.evidence.curve import measure_curve
from goodteacher.verdicts.rule import RUNGS


def students(accuracy, shape=(4, 2000)):
    """Right where a uniform draw lies below the accuracy; one draw for all, so arms are paired."""
    return np.random.default_rng(0).random(shape) < accuracy


def curve_of(accuracies, level=0.05):
    """Students of planted accuracy by (temperature, rung); cross-entropy is right on 80 %."""
    correct = {
        (t, name): students(value)
        for t, values in accuracies.items()
        for name, value in zip(RUNGS[1:], values, strict=True)
    }
    return measure_curve(correct, students(0.8), level=level), correct


PLANTED = {1.0: (0.82, 0.84, 0.84, 0.84), 8.0: (0.7, 0.75, 0.86, 0.88)}


def test_gains_are_over_cross_entropy_at_each_temperature():
    curve, correct = curve_of(PLANTED)
    plain = students(0.8)
    for point in curve.points:
        for arm in point.arms:
            hits = correct[point.temperature, arm.name]
            assert arm.gain.mean == pytest.approx(hits.mean() - plain.mean(), abs=1e-12)
            assert arm.test_accuracy == pytest.approx(hits.mean(), abs=1e-12)
    assert [point.temperature for point in curve.points] == [1.0, 8.0]
    assert curve.num_seeds == 4


def test_gains_are_joint_over_every_rung_and_temperature():
    curve, correct = curve_of(PLANTED)
    wide = paired_interval(correct[8.0, FULL], students(0.8), level=adjusted_level(0.05, 8))
    found = curve.points[1].arms[-1].gain
    assert found.adjusted_interval == pytest.approx((wide.low, wide.high), abs=1e-12)


def test_knowledge_is_joint_over_temperatures_only():
    curve, correct = curve_of(PLANTED, level=0.1)
    full, confident = correct[8.0, FULL], correct[8.0, "confidence_smoothing"]
    single = paired_interval(full, confident, level=0.1)
    wide = paired_interval(full, confident, level=adjusted_level(0.1, 2))
    found = curve.points[1].knowledge
    assert found.interval == pytest.approx((single.low, single.high), abs=1e-12)
    assert found.adjusted_interval == pytest.approx((wide.low, wide.high), abs=1e-12)


def test_gain_is_kept_only_beyond_a_regularizer_of_the_same_confidence():
    curve, _ = curve_of(PLANTED)  # at T = 1 rung 2 does as well
    assert curve.kept_at == (8.0,)
    assert "lasts up to the highest temperature tried" in curve.reading


def test_gain_is_not_kept_where_the_full_response_is_no_better_than_the_labels():
    curve, _ = curve_of({2.0: (0.6, 0.6, 0.7, 0.7), 4.0: (0.5, 0.5, 0.6, 0.7)})
    assert curve.kept_at == ()
    assert curve.reading.startswith("At no temperature")


def test_gain_lost_at_the_highest_temperature_is_said():
    curve, _ = curve_of({2.0: (0.8, 0.8, 0.85, 0.88), 4.0: (0.7, 0.7, 0.7, 0.7)})
    assert curve.kept_at == (2.0,)
    assert "at the highest temperature tried, T = 4, this is not shown" in curve.reading
