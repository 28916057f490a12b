"""Rules decide what the truth decides, and no more."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from goodteacher.errors import InputError
from goodteacher.maths.statistics import Interval, adjusted_level, paired_interval
from ruling import (
    AtLeast,
    Equal,
    Estimate,
    fisher_z,
    interval_of,
    one_value,
    over_runs,
    rank_interval,
    recovered,
    restated,
    rule_on,
    together,
)


def around(mean, half_width, units=10):
    error = half_width / stats.t.ppf(0.975, units - 1)
    return interval_of(mean, error, freedom=units - 1, units=units, level=0.05)


@pytest.mark.parametrize(
    ("mean", "half_width", "expected"),
    [
        (0.6, 0.5, "holds"),
        (0.6, 0.7, "undecided"),
        (0.2, 0.1, "does not hold"),
        (0.2, 0.4, "undecided"),
        (-0.9, 0.1, "does not hold"),
    ],
)
def test_effect_holds_where_it_is_sure_and_large_enough(mean, half_width, expected):
    assert AtLeast(0.0, 0.5).status(around(mean, half_width)) == expected


@pytest.mark.parametrize(
    ("mean", "half_width", "expected"),
    [
        (0.0, 0.1, "holds"),
        (0.0, 0.9, "undecided"),
        (0.9, 0.1, "does not hold"),
        (-0.9, 0.1, "does not hold"),
    ],
)
def test_equality_is_shown_and_not_assumed(mean, half_width, expected):
    assert Equal(0.5).status(around(mean, half_width)) == expected


@pytest.mark.parametrize("rule", [AtLeast(0.0, 0.5), Equal(0.5)])
@pytest.mark.parametrize("mean", [0.1, 0.45, 0.55, 0.9])
def test_as_many_units_as_are_asked_for_decide(rule, mean):
    seen = around(mean, 1.2, units=4)
    assert rule.status(seen) == "undecided"
    needed = rule.needed(seen)
    assert needed > 4
    more = math.sqrt(seen.seed_variance * 4 / needed)
    then = interval_of(mean, more, freedom=needed - 1, units=needed, level=0.05)
    assert rule.status(then) != "undecided"


def test_lone_unit_decides_nothing():
    ruling = rule_on(Estimate(one_value(9.0), "pairs"), AtLeast(0.0, 0.5), level=0.05)
    assert (ruling.status, ruling.needed) == ("undecided", None)
    assert "n = 1" in ruling.note


def test_correction_for_comparisons_widens_the_interval():
    estimate = Estimate(around(0.6, 0.5), "seeds")
    rule = AtLeast(0.0, 0.5)
    assert rule_on(estimate, rule, level=0.05).status == "holds"
    assert rule_on(estimate, rule, level=adjusted_level(0.05, 16)).status == "undecided"


def test_mean_over_runs_is_students():
    values = [0.1, 0.4, 0.3, 0.9]
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    found = over_runs(values)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.n_seeds == 4


def test_interval_is_recovered_from_its_two_levels():
    rng = np.random.default_rng(0)
    truth = rng.random((5, 400)) < 0.8
    other = truth ^ (rng.random((5, 400)) < 0.05)
    exact = paired_interval(truth, other)
    wide = exact.with_level(adjusted_level(0.05, 4))
    by_seed = truth.mean(axis=1) - other.mean(axis=1)
    found = recovered(
        exact.mean,
        (exact.low, exact.high),
        (wide.low, wide.high),
        levels=(0.05, adjusted_level(0.05, 4)),
        by_seed=by_seed.tolist(),
    )
    assert found.standard_error == pytest.approx(exact.standard_error, rel=1e-6)
    assert found.degrees_of_freedom == pytest.approx(exact.degrees_of_freedom, rel=1e-4)
    assert found.with_level(0.001).low == pytest.approx(exact.with_level(0.001).low, rel=1e-5)


def test_difference_of_one_seed_keeps_no_spread_over_seeds():
    found = recovered(0.1, (0.0, 0.2), (-0.05, 0.25), levels=(0.05, 0.0127), by_seed=[0.1])
    assert math.isnan(found.seed_variance)


def test_restated_interval_is_the_same_at_its_level_and_wide_at_another():
    exact = interval_of(0.1, 0.02, freedom=40.0, units=10, level=0.05)
    found = restated(exact.mean, (exact.low, exact.high), level=0.05, seeds=10)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))
    assert found.with_level(0.001).low < exact.with_level(0.001).low


def test_fisher_z_is_that_of_spearman():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(12, 2))
    expected = stats.spearmanr(points[:, 0], points[:, 1]).statistic
    assert math.tanh(fisher_z([tuple(p) for p in points])) == pytest.approx(expected)


def test_full_agreement_has_a_finite_interval():
    blocks = [[(k, k), (k + 0.5, k + 0.5)] for k in range(4)]
    found = rank_interval(blocks)
    assert math.isfinite(found.mean)
    assert math.isfinite(found.low)


def test_ranks_of_nothing_that_varies_are_refused():
    with pytest.raises(InputError, match="constant"):
        rank_interval([[(1.0, k), (1.0, k + 1)] for k in range(4)])


def chained(rng, blocks, size, weight):
    """Blocks of points that drift from one to the next; both sides are independent."""
    drift = np.zeros((blocks, size, 2))
    for block in range(blocks):
        value = rng.normal(size=2)
        for step in range(size):
            value = weight * value + math.sqrt(1 - weight**2) * rng.normal(size=2)
            drift[block, step] = value
    return [[tuple(point) for point in block] for block in drift]


def test_unrelated_chains_of_checkpoints_are_rarely_called_related():
    rng = np.random.default_rng(2)
    intervals = [rank_interval(chained(rng, 8, 3, 0.7)) for _ in range(200)]
    false = np.mean([not found.low <= 0 <= found.high for found in intervals])
    assert false < 0.1  # 0.05 is nominal; 0.1 is more than 3 binomial standard errors off


def test_claim_holds_where_all_that_is_asked_does():
    assert together(["holds", "does not apply", "holds"]) == "holds"
    assert together(["holds", "not measured"]) == "undecided"
    assert together(["not measured", "not measured"]) == "not measured"
    assert together(["does not apply"]) == "does not apply"
    assert together(["not measured", "does not hold"]) == "does not hold"


def test_units_decide_where_the_rest_of_the_spread_leaves_room():
    interval = interval_of(0.1, 0.2, freedom=8, units=5, level=0.05, unit_error=0.01)
    assert isinstance(interval, Interval)
    assert AtLeast(0.0, 0.05).needed(interval) is None
    free = dataclasses.replace(interval, seed_variance=0.04, example_variance=0.0)
    assert AtLeast(0.0, 0.05).needed(free) > 5
