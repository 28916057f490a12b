"""Looking more than once: planned looks share the level, and that keeps what it promises."""

import math

import numpy as np
import pytest

from goodteacher.errors import ConfigError
from goodteacher.maths.statistics import paired_interval, plan_looks


@pytest.mark.parametrize(("first", "last"), [(3, 3), (20, 60), (5, 6), (7, 100), (20, 1280)])
def test_levels_of_all_looks_sum_to_the_level(first, last):
    looks = plan_looks(first, last, level=0.05)
    assert math.fsum(look.level for look in looks) == pytest.approx(0.05, rel=1e-12)
    assert all(look.level > 0 for look in looks)
    assert [looks[0].seeds, looks[-1].seeds] == [first, last]


def test_looks_double_up_to_the_last():
    assert [look.seeds for look in plan_looks(20, 100, level=0.05)] == [20, 40, 80, 100]
    assert [look.seeds for look in plan_looks(20, 80, level=0.05)] == [20, 40, 80]


def test_one_look_has_the_whole_level():
    assert [(look.seeds, look.level) for look in plan_looks(20, level=0.03)] == [(20, 0.03)]
    assert plan_looks(20, 20, level=0.03) == plan_looks(20, level=0.03)


def test_one_seed_is_enough_to_plan_with():
    assert [look.seeds for look in plan_looks(1, 3, level=0.05)] == [1, 2, 3]
    assert [look.level for look in plan_looks(1, 2, level=0.04)] == pytest.approx([0.01, 0.03])


def test_later_looks_have_the_larger_share_of_a_doubling_plan():
    levels = [look.level for look in plan_looks(10, 80, level=0.1)]
    assert levels == sorted(levels)


@pytest.mark.parametrize(
    ("first", "last", "level", "message"),
    [
        (20, 10, 0.05, "the last look at least as many as the first"),
        (0, 10, 0.05, "at least 1 seed and .* the last has 10 and the first 0"),
        (5, 10, 1.5, "level must be above 0 and below 1"),
    ],
)
def test_impossible_plan_is_refused(first, last, level, message):
    with pytest.raises(ConfigError, match=message):
        plan_looks(first, last, level=level)


def experiments(number, *, seeds, examples, truth):
    """Arms whose true difference is known; its chance lies in seeds and examples, as in students'.

    Yields who is right, two bool [seeds, examples]: examples lean to one arm or the other, and each
    seed moves the difference.
    """
    rng = np.random.default_rng(0)
    for _ in range(number):
        lean = rng.normal(truth, 0.12, examples) + rng.normal(0, 0.02, (seeds, 1))
        luck = rng.uniform(-0.5, 0.5, (seeds, examples))
        yield luck < lean / 2, luck < -lean / 2


def share_that_errs(looks, *, number=700):
    """How often some look excludes the truth, which is what a wrong verdict takes."""
    wrong = 0
    for first, second in experiments(number, seeds=looks[-1][0], examples=150, truth=0.02):
        intervals = [paired_interval(first[:n], second[:n], level=level) for n, level in looks]
        wrong += any(not interval.low <= 0.02 <= interval.high for interval in intervals)
    return wrong / number


def test_planned_looks_err_no_more_than_the_level_and_unplanned_ones_do():
    planned = [(look.seeds, look.level) for look in plan_looks(4, 32, level=0.1)]
    assert len(planned) == 4
    # Three binomial standard errors of 700 experiments are 3.4 points.
    assert share_that_errs(planned) <= 0.1
    assert share_that_errs([(seeds, 0.1) for seeds, _ in planned]) > 0.134
