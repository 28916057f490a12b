"""Tests, corrections and plans of seeds, by hand and at their edges."""

import dataclasses
import inspect
import math

import pytest
from scipy import stats

from goodteacher.errors import ConfigError, InputError
from goodteacher.maths import statistics
from goodteacher.maths.statistics import (
    Interval,
    adjusted_level,
    crossed_interval,
    equivalence_p_value,
    holm,
    practically_equal,
    seeds_needed,
    simultaneous,
)


def an_interval(mean=0.0, *, seed_part=4e-6, example_part=0.0, seeds=5, examples=101):
    error = math.sqrt(seed_part + example_part)
    return Interval(
        mean=mean,
        low=mean - 3 * error,
        high=mean + 3 * error,
        level=0.05,
        n_seeds=seeds,
        n_examples=examples,
        standard_error=error,
        degrees_of_freedom=4.0,
        seed_variance=seed_part,
        example_variance=example_part,
    )


def needed(n, interval, *, level=0.05, power=0.8):
    """The gap that n seeds resolve, by the textbook, one n at a time."""
    seeds = interval.seed_variance * interval.n_seeds / n
    examples = interval.example_variance
    freedom = (seeds + examples) ** 2 / (
        seeds**2 / (n - 1) + examples**2 / (interval.n_examples - 1)
    )
    quantiles = stats.t.isf(level / 2, freedom) + stats.t.isf(1 - power, freedom)
    return quantiles * math.sqrt(seeds + examples)


def between(n, interval, **how):
    """A mean that n seeds just tell from 0, and one that n - 1 just do not."""
    return 1.00001 * needed(n, interval, **how), 0.99999 * needed(n - 1, interval, **how)


@pytest.mark.parametrize("n", [6, 7, 20, 300])
@pytest.mark.parametrize("example_part", [0.0, 4e-8])
def test_the_plan_is_the_smallest_number_of_seeds_that_resolves_the_gap(n, example_part):
    spread = an_interval(example_part=example_part)
    for mean in between(n, spread):
        wide = dataclasses.replace(spread, degrees_of_freedom=1.0, mean=mean)  # undecided as yet
        plan = seeds_needed(wide)
        assert (plan.seeds, plan.further_seeds) == (n, n - 5)
        assert plan.gap == mean
        assert seeds_needed(dataclasses.replace(wide, mean=mean + 1), margin=1.0).seeds == n
        assert seeds_needed(dataclasses.replace(wide, mean=-mean)).seeds == n


def test_level_and_power_of_a_plan_can_be_others():
    spread = an_interval(example_part=4e-8)
    for how in ({"level": 0.01}, {"power": 0.95}, {"level": 0.2, "power": 0.5}):
        for mean in between(40, spread, **how):
            assert seeds_needed(dataclasses.replace(spread, mean=mean), **how).seeds == 40


def test_a_plan_ends_at_ten_thousand_seeds():
    spread = an_interval()
    for n, planned in ((10_000, 10_000), (10_001, None)):
        mean = sum(between(n, spread)) / 2
        plan = seeds_needed(dataclasses.replace(spread, mean=mean))
        assert plan.seeds == planned


def test_the_smallest_margin_is_what_the_examples_alone_leave():
    found = an_interval(mean=0.001, example_part=9e-6)
    reach = stats.t.isf(0.025, 100) + stats.t.isf(0.2, 100)
    assert seeds_needed(found).smallest_margin == pytest.approx(reach * 0.003)


def test_an_interval_that_ends_at_the_margin_has_not_decided():
    found = an_interval(mean=0.01).with_level(0.05)
    for end in (found.low, found.high):
        assert seeds_needed(found, end).seeds != found.n_seeds
    for outside in (math.nextafter(found.low, -1), math.nextafter(found.high, 1)):
        assert seeds_needed(found, outside).seeds == found.n_seeds


@pytest.mark.parametrize("power", [0.0, 1.0, -1.0, 2.0])
def test_a_power_outside_its_range_is_refused(power):
    with pytest.raises(ConfigError, match="power must be above 0 and below 1"):
        seeds_needed(an_interval(), power=power)


def test_one_seed_has_no_plan():
    with pytest.raises(InputError, match="at least two seeds"):
        seeds_needed(an_interval(seed_part=math.nan))


@pytest.mark.parametrize("mean", [-0.004, 0.0, 0.003])
def test_equivalence_is_two_one_sided_t_tests(mean):
    found = an_interval(mean)
    below = stats.t.sf((mean + 0.005) / 0.002, 4)
    above = stats.t.sf((0.005 - mean) / 0.002, 4)
    assert equivalence_p_value(found, 0.005) == pytest.approx(max(below, above))


@pytest.mark.parametrize("margin", [0.0, -0.1, math.inf, math.nan])
def test_a_margin_that_is_none_is_refused(margin):
    with pytest.raises(ConfigError, match="must be above 0"):
        equivalence_p_value(an_interval(), margin)


def test_a_p_value_at_the_level_shows_no_equivalence():
    """Without any spread, a mean on the margin has the p-value 1/2."""
    constant = crossed_interval([[0.5, 0.5], [0.5, 0.5]])
    assert not practically_equal(dataclasses.replace(constant, level=0.5), 0.5)
    assert practically_equal(dataclasses.replace(constant, level=0.6), 0.5)


def test_holm_takes_zero_and_one_and_nothing_outside():
    assert holm([0.0, 1.0, 0.5]).tolist() == [0.0, 1.0, 1.0]
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]
    for outside in (-1e-9, 1 + 1e-9, math.nan):
        with pytest.raises(InputError, match="with 1 outside"):
            holm([0.5, outside])


def test_one_interval_needs_no_correction():
    single = an_interval(0.01)
    assert adjusted_level(0.05, 1, method="bonferroni") == 0.05
    assert simultaneous([single], method="bonferroni") == [single.with_level(0.05)]
    with pytest.raises(ConfigError, match="at least 1, but is 0"):
        adjusted_level(0.05, 0)


def test_defaults_are_those_of_every_published_figure():
    """Changing one changes figures that are published, so it is done here too."""
    published = {"level": 0.05, "seed": 0, "num_resamples": 2000, "method": "anova"}
    others = {
        "simultaneous": {"method": "sidak"},
        "adjusted_level": {"method": "sidak"},
        "seeds_needed": {"level": None, "margin": 0.0, "power": 0.8},
        "spearman": {"num_permutations": 9999},
        "mantel": {"num_permutations": 999},
        "regret": {"top_k": 1},
        "plan_looks": {"last": None},
    }
    for name in statistics.__all__:
        thing = getattr(statistics, name)
        if not inspect.isfunction(thing):
            continue
        for parameter in inspect.signature(thing).parameters.values():
            if parameter.default is not parameter.empty:
                expected = published | others.get(name, {})
                assert parameter.default == expected[parameter.name], (name, parameter.name)
