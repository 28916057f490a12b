"""Intervals, tests and ranks against independent references, and against simulated truth."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats as scipy_stats

from goodteacher.errors import ConfigError, InputError
from goodteacher.maths import statistics
from goodteacher.maths.statistics import (
    Interval,
    accuracy_interval,
    adjusted_level,
    crossed_interval,
    equivalence_p_value,
    holm,
    mantel,
    paired_interval,
    pigeonhole_resamples,
    practically_equal,
    regret,
    seeds_needed,
    simultaneous,
    spearman,
)


def an_interval(mean=0.0, error=0.01, freedom=10.0, seed_part=5e-5, example_part=5e-5, seeds=5):
    return Interval(
        mean=mean,
        low=mean - 2 * error,
        high=mean + 2 * error,
        level=0.05,
        n_seeds=seeds,
        n_examples=2000,
        standard_error=error,
        degrees_of_freedom=freedom,
        seed_variance=seed_part,
        example_variance=example_part,
    ).with_level(0.05)


def two_arms(rng, num_seeds=5, num_examples=300, effect=0.02):
    """Arms that share hard examples and good seeds, and differ by about ``effect``."""
    ease = rng.normal(1.0, 1.0, num_examples) + rng.normal(0, 0.2, (num_seeds, 1))
    noise = rng.normal(0, 0.3, (2, num_seeds, num_examples))
    noise[0] += rng.normal(5 * effect, 0.15, (num_seeds, 1))
    return ease + noise[0] + rng.normal(0, 0.3, num_examples) > 0, ease + noise[1] > 0


def mean_squares(values):
    """The textbook's two-way analysis of variance, by loops."""
    num_seeds, num_examples = values.shape
    grand = values.mean()
    rows = [values[s].mean() for s in range(num_seeds)]
    columns = [values[:, e].mean() for e in range(num_examples)]
    seed = num_examples * sum((row - grand) ** 2 for row in rows) / (num_seeds - 1)
    example = num_seeds * sum((column - grand) ** 2 for column in columns) / (num_examples - 1)
    rest = sum(
        (values[s, e] - rows[s] - columns[e] + grand) ** 2
        for s in range(num_seeds)
        for e in range(num_examples)
    )
    return seed, example, rest / ((num_seeds - 1) * (num_examples - 1))


def test_the_standard_error_is_that_of_the_two_way_analysis_of_variance():
    a, b = two_arms(np.random.default_rng(1))
    seed, example, rest = mean_squares(a.astype(float) - b)
    interval = paired_interval(a, b)
    assert min(seed, example) > rest  # else the test would not see the subtraction
    assert interval.standard_error**2 == pytest.approx((seed + example - rest) / a.size)
    assert interval.example_variance == pytest.approx((example - rest) / a.size)
    assert interval.seed_variance == pytest.approx(seed / a.size)
    freedom = (seed + example - rest) ** 2 / (seed**2 / 4 + example**2 / 299 + rest**2 / (4 * 299))
    assert interval.degrees_of_freedom == pytest.approx(freedom)
    reach = scipy_stats.t.ppf(0.975, freedom) * interval.standard_error
    assert (interval.low, interval.high) == pytest.approx(
        (interval.mean - reach, interval.mean + reach)
    )


def test_the_variance_is_never_below_that_of_seeds_alone_or_examples_alone():
    rng = np.random.default_rng(0)
    truncated = 0
    for _ in range(30):
        values = rng.choice([-1.0, 0.0, 1.0], size=(3, 60))
        seed, example, rest = mean_squares(values)
        interval = crossed_interval(values)
        assert interval.standard_error**2 >= max(seed, example) / values.size - 1e-12
        truncated += seed < rest or example < rest
    assert truncated > 5


def test_the_corrected_bootstrap_agrees_with_the_analysis_of_variance():
    a, b = two_arms(np.random.default_rng(2), num_seeds=4)
    exact = paired_interval(a, b)
    resampled = paired_interval(a, b, method="bootstrap", num_resamples=4000)
    assert resampled.mean == exact.mean
    assert resampled.standard_error == pytest.approx(exact.standard_error, rel=0.06)
    assert resampled.degrees_of_freedom == pytest.approx(exact.degrees_of_freedom, rel=0.25)


def test_pigeonhole_resamples_have_the_moments_that_theory_gives():
    a, b = two_arms(np.random.default_rng(3), num_seeds=3)
    values = a.astype(float) - b
    seed, example, rest = mean_squares(values)
    draws = pigeonhole_resamples(values, num_resamples=6000)
    num_seeds, num_examples = values.shape
    assert draws.both.mean() == pytest.approx(values.mean(), abs=1e-3)
    assert draws.seeds.var() == pytest.approx(
        (num_seeds - 1) / num_seeds * seed / values.size, rel=0.1
    )
    assert draws.examples.var() == pytest.approx(
        (num_examples - 1) / num_examples * example / values.size, rel=0.1
    )
    lost = (num_seeds - 1) * (num_examples - 1) / values.size
    total = draws.seeds.var() + draws.examples.var() + lost * rest / values.size
    assert draws.both.var() == pytest.approx(total, rel=0.1)


def test_one_pigeonhole_draw_is_a_resampled_mean_of_rows_and_columns():
    values = np.arange(6.0).reshape(2, 3)
    draws = pigeonhole_resamples(values, num_resamples=500).both
    possible = {
        round(float(values[np.ix_(rows, columns)].mean()), 9)
        for rows in itertools.product(range(2), repeat=2)
        for columns in itertools.product(range(3), repeat=3)
    }
    assert {round(float(draw), 9) for draw in draws} <= possible


def test_the_bootstrap_is_the_same_for_the_same_seed_and_not_for_another():
    a, b = two_arms(np.random.default_rng(4))
    runs = [paired_interval(a, b, method="bootstrap", seed=seed).low for seed in (0, 0, 1)]
    assert runs[0] == runs[1] != runs[2]


def test_swapping_the_arms_mirrors_the_interval():
    a, b = two_arms(np.random.default_rng(5))
    forward, backward = paired_interval(a, b), paired_interval(b, a)
    assert (forward.mean, forward.low, forward.high) == pytest.approx(
        (-backward.mean, -backward.high, -backward.low)
    )


def test_pairing_is_narrower_than_two_separate_accuracies():
    a, b = two_arms(np.random.default_rng(6))
    separate = math.hypot(accuracy_interval(a).standard_error, accuracy_interval(b).standard_error)
    assert paired_interval(a, b).standard_error < 0.7 * separate


def test_one_seed_gives_the_paired_interval_over_examples_and_says_so():
    a, b = two_arms(np.random.default_rng(7), num_seeds=1)
    interval = paired_interval(a, b)
    difference = (a.astype(float) - b)[0]
    assert interval.n_seeds == 1
    assert not interval.covers_seeds
    assert interval.standard_error == pytest.approx(scipy_stats.sem(difference))
    assert interval.degrees_of_freedom == difference.size - 1
    assert math.isnan(interval.seed_variance)


def test_identical_seeds_leave_the_variance_to_the_examples():
    row_a, row_b = two_arms(np.random.default_rng(8), num_seeds=1)
    once = paired_interval(row_a, row_b)
    repeated = paired_interval(np.repeat(row_a, 4, 0), np.repeat(row_b, 4, 0))
    assert repeated.standard_error == pytest.approx(once.standard_error)


def test_arms_that_never_differ_keep_the_rule_of_three():
    same = np.ones((3, 1000), dtype=bool)
    interval = paired_interval(same, same)
    assert interval.mean == 0
    assert 3 / 1000 < interval.high < 4.5 / 1000
    accuracy = accuracy_interval(same)
    assert accuracy.high == 1.0
    assert 1 - 4.5 / 1000 < accuracy.low < 1 - 3 / 1000


@pytest.mark.parametrize("flips, assumed", [(0, 4), (1, 3), (3, 1), (4, 0), (9, 0)])
def test_only_missing_flips_are_assumed(flips, assumed):
    values = np.zeros((1, 500))
    values[:, :flips] = 1
    interval = paired_interval(values, np.zeros_like(values))
    expected = values.var(ddof=1) / 500 + assumed / 500**2
    assert interval.standard_error**2 == pytest.approx(expected)


def test_accuracies_stay_in_their_range():
    nearly = np.ones((2, 50), dtype=bool)
    nearly[0, 0] = False
    interval = accuracy_interval(nearly)
    assert interval.high == 1.0
    assert accuracy_interval(~nearly).low == 0.0
    assert interval.with_level(1e-6).low >= 0.0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(2, 40))
def test_an_interval_holds_its_mean_and_ignores_the_order_of_seeds_and_examples(
    entropy, num_seeds, num_examples
):
    rng = np.random.default_rng(entropy)
    a, b = rng.random((2, num_seeds, num_examples)) < 0.6
    interval = paired_interval(a, b)
    assert -1 <= interval.low <= interval.mean <= interval.high <= 1
    rows, columns = rng.permutation(num_seeds), rng.permutation(num_examples)
    shuffled = paired_interval(a[rows][:, columns], b[rows][:, columns])
    assert shuffled.low == pytest.approx(interval.low)
    assert shuffled.high == pytest.approx(interval.high)
    wide = interval.with_level(0.01)
    assert wide.low <= interval.low
    assert wide.high >= interval.high


@pytest.mark.parametrize("num_seeds", [3, 8])
def test_intervals_cover_a_planted_difference_about_as_often_as_they_say(num_seeds):
    rng = np.random.default_rng(num_seeds)
    effect, hits, experiments = 0.01, 0, 400
    for _ in range(experiments):
        rate = rng.beta(0.5, 9.5, 400)
        lean = rng.uniform(-0.7, 0.7, 400)
        shift = rng.normal(effect, 0.006, (num_seeds, 1))
        towards_a = rate * (1 + lean + shift / 0.05) / 2
        chance = rng.random((num_seeds, 400))
        interval = paired_interval(chance < towards_a, chance > 1 - rate + towards_a)
        hits += interval.low <= effect <= interval.high
    # 93 % less three standard errors; normal quantiles on seeds alone would give 80-90 %.
    assert 0.925 <= hits / experiments <= 0.995


def test_equivalence_agrees_with_the_ninety_percent_interval():
    interval = an_interval(mean=0.004, error=0.003)
    ninety = interval.with_level(0.10)
    assert practically_equal(interval, margin=ninety.high * 1.01)
    assert not practically_equal(interval, margin=ninety.high * 0.99)
    assert equivalence_p_value(interval, margin=ninety.high) == pytest.approx(0.05)


def test_equivalence_treats_gain_and_loss_alike():
    gain, loss = an_interval(mean=0.004), an_interval(mean=-0.004)
    assert equivalence_p_value(gain, 0.02) == pytest.approx(equivalence_p_value(loss, 0.02))


def test_a_spread_of_zero_decides_by_the_mean_alone():
    constant = crossed_interval(np.full((2, 3), 0.5))
    assert constant.standard_error == 0
    assert [equivalence_p_value(constant, m) for m in (0.4, 0.5, 0.6)] == [1.0, 0.5, 0.0]


def test_holm_gives_the_textbook_adjustment():
    assert holm([0.01, 0.02, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.04, 0.04, 0.02])
    assert holm([]).size == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.001, 0.5))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values, level):
    rejected = set()
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    for step, index in enumerate(order):
        if (len(p_values) - step) * p_values[index] > level:
            break
        rejected.add(index)
    assert {i for i, p in enumerate(holm(p_values)) if p <= level} == rejected


def test_corrected_levels_keep_the_joint_level():
    each = adjusted_level(0.05, 7)
    assert 1 - (1 - each) ** 7 == pytest.approx(0.05)
    bonferroni = adjusted_level(0.05, 7, method="bonferroni")
    assert bonferroni == pytest.approx(0.05 / 7)
    assert bonferroni < each
    assert adjusted_level(0.05, 1) == pytest.approx(0.05)


def test_simultaneous_intervals_are_the_same_estimates_at_the_corrected_level():
    several = [an_interval(mean=mean) for mean in (0.0, 0.01, 0.02)]
    widened = simultaneous(several, method="bonferroni")
    assert [w.mean for w in widened] == [0.0, 0.01, 0.02]
    for single, wide in zip(several, widened, strict=True):
        assert wide == single.with_level(0.05 / 3)
    assert simultaneous([]) == []


def test_spearman_is_scipys_with_ties():
    rng = np.random.default_rng(10)
    scores, values = rng.integers(0, 5, 30), rng.integers(0, 5, 30) + rng.integers(0, 5, 30)
    assert spearman(scores, values).rho == pytest.approx(
        scipy_stats.spearmanr(scores, values).statistic
    )


def test_the_permutation_p_value_agrees_with_all_permutations():
    scores, values = [1, 2, 3, 4, 5, 6], [1, 3, 2, 5, 4, 6]
    rhos = [
        abs(scipy_stats.pearsonr(scores, order).statistic)
        for order in itertools.permutations(values)
    ]
    result = spearman(scores, values)
    exact = np.mean(np.array(rhos) >= result.rho - 1e-12)
    assert result.p_value == pytest.approx(exact, abs=0.006)


def test_the_interval_of_spearman_covers_a_known_correlation():
    rng = np.random.default_rng(11)
    true_rho = 6 / math.pi * math.asin(0.7 / 2)  # of normal pairs with correlation 0.7
    hits = 0
    for _ in range(300):
        x, y = rng.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], 25).T
        result = spearman(x, y, num_permutations=1)
        hits += result.low <= true_rho <= result.high
    assert 0.90 <= hits / 300 <= 0.99


def test_perfect_agreement_still_has_an_interval():
    few, many = spearman(range(4), range(4)), spearman(range(40), range(40))
    assert few.rho == many.rho == few.high == pytest.approx(1.0)
    assert few.low < 0 < 0.9 < many.low
    opposite = spearman(range(4), range(4, 0, -1))
    assert (opposite.low, opposite.high) == pytest.approx((-few.high, -few.low))


def test_regret_is_zero_exactly_when_the_best_is_among_the_top():
    values = [0.80, 0.85, 0.83]
    assert regret([1, 3, 2], values) == 0
    assert regret([3, 1, 2], values) == pytest.approx(0.05)
    assert regret([3, 1, 2], values, top_k=2) == pytest.approx(0.02)
    assert regret([3, 1, 2], values, top_k=99) == 0


def test_a_constant_score_has_the_worst_regret():
    assert regret([1, 1, 1], [5.0, 7.0, 6.0]) == 2.0
    assert regret([1, 1, 1], [5.0, 7.0, 6.0], top_k=2) == 1.0


def test_the_planned_seeds_reach_the_power_they_promise():
    interval = an_interval(mean=0.01, error=0.01, seed_part=9e-5, example_part=1e-5)
    plan = seeds_needed(interval, power=0.8)
    assert plan.further_seeds == plan.seeds - 5 > 0
    decided = []
    rng = np.random.default_rng(12)
    for n in (plan.seeds, plan.seeds // 3):
        seed_means = rng.normal(0, math.sqrt(9e-5 * 5), (4000, n))
        means = 0.01 + seed_means.mean(axis=1) + rng.normal(0, math.sqrt(1e-5), 4000)
        errors = np.sqrt(seed_means.var(axis=1, ddof=1) / n + 1e-5)
        freedom = errors**4 / ((errors**2 - 1e-5) ** 2 / (n - 1))
        decided.append(np.mean(means - scipy_stats.t.ppf(0.975, freedom) * errors > 0))
    assert decided[0] == pytest.approx(0.8, abs=0.06)
    assert decided[1] < 0.7


def test_no_number_of_seeds_helps_where_the_test_split_is_too_small():
    interval = an_interval(mean=0.005, error=0.01, seed_part=5e-5, example_part=5e-5)
    plan = seeds_needed(interval)
    assert plan.seeds is None
    assert plan.further_seeds is None
    z = scipy_stats.t.ppf(0.975, 1999) + scipy_stats.t.ppf(0.8, 1999)
    assert plan.smallest_margin == pytest.approx(z * math.sqrt(5e-5))
    assert plan.gap < plan.smallest_margin


def test_an_interval_that_decides_asks_for_no_more_seeds():
    plan = seeds_needed(an_interval(mean=0.03, error=0.01))
    assert (plan.seeds, plan.further_seeds) == (5, 0)


def test_a_mean_on_the_margin_can_never_be_decided():
    assert seeds_needed(an_interval(mean=0.01, example_part=0.0), margin=0.01).seeds is None


def test_a_wider_gap_needs_fewer_seeds():
    seeds = [
        seeds_needed(an_interval(mean=mean, seed_part=1e-4, example_part=0.0)).seeds
        for mean in (0.002, 0.005, 0.01)
    ]
    assert seeds[0] > seeds[1] > seeds[2] > 5


BAD = np.ones((2, 4))


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: paired_interval(BAD, np.ones((3, 4))), InputError, r"\[2, 4\] and \[3, 4\]"),
        (lambda: accuracy_interval([1, 0, 1]), InputError, "add a leading axis"),
        (lambda: accuracy_interval([[1]]), InputError, "2 examples, but has shape"),
        (lambda: accuracy_interval(np.ones((0, 4))), InputError, "at least 1 seed"),
        (lambda: accuracy_interval(2 * BAD), InputError, "only 0 and 1"),
        (lambda: accuracy_interval(np.nan * BAD), InputError, "8 values that are NaN"),
        (lambda: accuracy_interval(BAD, level=95), ConfigError, "level must be above 0"),
        (lambda: accuracy_interval(BAD, level=math.nan), ConfigError, "level must be above 0"),
        (lambda: accuracy_interval(BAD, method="magic"), ConfigError, "one of: anova, bootstrap"),
        (lambda: pigeonhole_resamples(BAD, num_resamples=1), ConfigError, "at least 2"),
        (lambda: equivalence_p_value(an_interval(), 0.0), ConfigError, "must be above 0, but is 0"),
        (lambda: holm([0.5, 1.5, math.nan]), InputError, "2 outside"),
        (lambda: holm(0.5), InputError, "must be a vector"),
        (lambda: adjusted_level(0.05, 0), ConfigError, "at least 1, but is 0"),
        (lambda: adjusted_level(0.05, 2, method="magic"), ConfigError, "bonferroni, sidak"),
        (lambda: spearman([1, 2, 3], [1, 2, 3]), InputError, "at least 4"),
        (lambda: spearman([1, 2, 3, 4], [1, 1, 1, 1]), InputError, "one of them is constant"),
        (lambda: spearman([1, 2, 3, math.inf], [1, 2, 3, 4]), InputError, "1 of 4 pairs"),
        (lambda: regret([], []), InputError, "at least 1"),
        (lambda: regret([1], [1, 2]), InputError, r"shapes \[1\] and \[2\]"),
        (lambda: regret([1], [1], top_k=0), ConfigError, "top_k must be at least 1"),
        (lambda: seeds_needed(an_interval(), power=1.0), ConfigError, "power must be above 0"),
        (
            lambda: seeds_needed(crossed_interval([[0.0, 1.0]])),
            InputError,
            "at least two seeds, but the interval has 1",
        ),
    ],
)
def test_bad_input_is_refused_with_its_value_and_the_rule(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_every_public_name_is_documented():
    for name in statistics.__all__:
        assert getattr(statistics, name).__doc__, name


# --- matrices over the same objects --------------------------------------------------------------


def test_mantel_p_value_is_that_of_every_renumbering():
    """Against a slow reference that tries all 120 orders of five objects."""
    rng = np.random.default_rng(3)
    first, noise = rng.normal(size=(2, 5, 5))
    second = first + 0.8 * noise
    off = ~np.eye(5, dtype=bool)

    def rho(order):
        moved = second[np.ix_(order, order)]
        return scipy_stats.spearmanr(first[off], moved[off]).statistic

    every = np.array([rho(list(order)) for order in itertools.permutations(range(5))])
    exact = float((np.abs(every) >= abs(every[0]) - 1e-12).mean())
    found = mantel(first, second, num_permutations=4000)
    assert found.rho == pytest.approx(every[0], abs=1e-12)
    assert found.p_value == pytest.approx(exact, abs=0.025)
    assert (found.num_objects, found.num_cells) == (5, 20)


def test_mantel_never_looks_at_the_diagonal():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 4, 4))
    plain = mantel(first, second)
    np.fill_diagonal(first, np.nan)
    assert mantel(first, second) == plain


def test_mantel_refuses_what_has_no_ranks():
    with pytest.raises(InputError, match="gives no order"):
        mantel(np.ones((4, 4)), np.arange(16.0).reshape(4, 4))
    with pytest.raises(InputError, match="have the same classes"):
        mantel(np.eye(3), np.eye(4))


@pytest.mark.parametrize("num_examples", [2, 20, 1000])
def test_seeds_that_are_right_in_turns_have_an_interval_all_the_same(num_examples):
    # The means of both seeds are alike, and so are those of all examples: only the rest varies.
    first = np.arange(num_examples) % 2 == 0
    found = accuracy_interval(np.array([first, ~first]))
    assert 0 <= found.low < 0.5 < found.high <= 1
    assert found.high - found.low <= accuracy_interval(first[None]).high + 1e-9
    difference = paired_interval(np.array([first, ~first]), np.array([~first, first]))
    assert difference.low < 0 < difference.high


@given(arrays(np.bool_, st.tuples(st.integers(1, 4), st.integers(2, 12))), st.integers(0, 9))
def test_every_interval_is_finite_and_holds_its_mean(correct, seed):
    other = np.random.default_rng(seed).permuted(correct, axis=1)
    for found in (accuracy_interval(correct), paired_interval(correct, other)):
        assert np.isfinite([found.low, found.high, found.standard_error]).all()
        assert found.low <= found.mean <= found.high
