"""Rank correlations and regret by hand, at their edges."""

import math

import numpy as np
import pytest
from scipy import stats

from goodteacher.errors import InputError
from goodteacher.maths.statistics import mantel, regret, spearman

SWAPPED = [2, 1, 4, 3, 6, 5]
"""Six pairs of which three neighbours are swapped: rho = 1 - 6 * 6 / (6 * 35) = 29 / 35."""


def fisher(rho, *, at, n, level):
    """The lower end by Bonett and Wright, z taken at another rho than the standard error's."""
    error = math.sqrt((1 + rho**2 / 2) / (n - 3))
    return math.tanh(math.atanh(at) - stats.norm.isf(level / 2) * error)


@pytest.mark.parametrize("level", [0.05, 0.2])
def test_the_interval_is_that_of_bonett_and_wright(level):
    found = spearman(range(6), SWAPPED, level=level)
    assert found.rho == pytest.approx(29 / 35)
    assert found.low == pytest.approx(fisher(29 / 35, at=29 / 35, n=6, level=level))
    assert found.low < 29 / 35 < found.high < 1
    assert (found.level, found.n) == (level, 6)


@pytest.mark.parametrize("n", [4, 5, 8])
def test_perfect_agreement_has_the_interval_of_one_swapped_neighbour_around_one(n):
    swapped = [1, 0, *range(2, n)]
    one_swap = stats.spearmanr(range(n), swapped).statistic
    found = spearman(range(n), range(n))
    assert found.low == pytest.approx(fisher(1.0, at=one_swap, n=n, level=0.05))
    assert found.high == found.rho == pytest.approx(1.0)


def test_p_values_count_the_order_that_was_seen_among_the_permutations():
    """Of 12 numbers, two orders in 479,001,600 are as extreme as the first."""
    assert spearman(range(12), range(12), num_permutations=9).p_value == 1 / 10
    near = np.random.default_rng(0).normal(size=(9, 9))
    assert mantel(near, near, num_permutations=9).p_value == 1 / 10


def test_where_every_order_is_as_extreme_the_p_value_is_one():
    assert spearman([0, 0, 1, 1], [0, 1, 0, 1], num_permutations=99).p_value == 1
    ring = np.roll(np.eye(3), 1, axis=1)  # every renumbering is the ring or its reverse
    found = mantel(ring, ring, num_permutations=99)
    assert (found.rho, found.p_value) == (pytest.approx(1), 1)


def test_rounding_makes_no_correlation_larger_than_one():
    rng = np.random.default_rng(0)
    for n in range(4, 120):
        values = rng.normal(size=n)
        rhos = [spearman(values, side, num_permutations=1).rho for side in (values, -values)]
        assert max(map(abs, rhos)) <= 1
    for n in range(3, 40):
        cells = rng.normal(size=(n, n))
        rhos = [mantel(cells, side, num_permutations=1).rho for side in (cells, -cells)]
        assert max(map(abs, rhos)) <= 1


def test_a_score_of_two_neighbouring_values_has_ranks_and_a_constant_has_none():
    assert spearman([0, 0, 1, 1], [5, 5, 6, 6]).rho == pytest.approx(1)
    for constant, varying in (([3, 3, 3, 3], [0, 0, 1, 1]), ([0, 0, 1, 1], [3, 3, 3, 3])):
        with pytest.raises(InputError, match="gives no order"):
            spearman(constant, varying)


def test_three_objects_are_the_fewest_that_mantel_takes():
    cells = np.arange(9.0).reshape(3, 3)
    assert mantel(cells, cells, num_permutations=9).num_cells == 6
    for first, second in (
        (np.arange(4.0).reshape(2, 2),) * 2,
        (np.arange(12.0).reshape(3, 4),) * 2,
        (np.arange(12.0).reshape(4, 3),) * 2,
        (cells, np.arange(12.0).reshape(3, 4)),
        (np.arange(3.0), np.arange(3.0)),
    ):
        with pytest.raises(InputError, match="two square matrices of equal size, at least 3 x 3"):
            mantel(first, second)


def test_mantel_refuses_a_matrix_with_a_hole():
    cells = np.arange(9.0).reshape(3, 3)
    hole = cells.copy()
    hole[0, 1] = np.nan
    for pair in ((hole, cells), (cells, hole)):
        with pytest.raises(InputError, match="holds NaN or infinity"):
            mantel(*pair)


def test_one_candidate_has_no_regret():
    assert regret([0.5], [3.0]) == 0
