import numpy as np
import pytest
from scipy import stats

from goodteacher.maths.statistics import holm
from goodteacher.verdicts.evidence.flips import count_flips, most


def test_only_seeds_on_which_the_arms_part_count():
    full = np.array([[1, 1, 0, 0], [1, 1, 1, 0]], dtype=bool)
    confident = np.array([[1, 0, 0, 1], [0, 0, 1, 0]], dtype=bool)
    found = count_flips(full, confident)
    assert found.gained.tolist() == [1, 2, 0, 0]
    assert found.lost.tolist() == [0, 0, 0, 1]


def test_p_values_are_those_of_exact_sign_tests_corrected_by_holm():
    rng = np.random.default_rng(0)
    found = count_flips(rng.random((20, 50)) < 0.6, rng.random((20, 50)) < 0.4)
    slow = [
        stats.binomtest(int(g), int(g + n), 0.5).pvalue if g + n else 1.0
        for g, n in zip(found.gained, found.lost, strict=True)
    ]
    np.testing.assert_allclose(found.p_values(), holm(slow), atol=1e-12)


def test_chance_alone_resolves_hardly_any_example():
    rng = np.random.default_rng(1)
    full, confident = rng.random((2, 20, 3000)) < 0.5
    assert (count_flips(full, confident).p_values() <= 0.05).sum() == 0


def test_example_that_always_flips_is_resolved_among_thousands():
    rng = np.random.default_rng(2)
    full, confident = rng.random((2, 24, 3000)) < 0.5
    full[:, 7], confident[:, 7] = True, False
    assert np.flatnonzero(count_flips(full, confident).p_values() <= 0.05).tolist() == [7]


@pytest.mark.parametrize("scale", [1, 3])
def test_most_are_ordered_and_all_positive(scale):
    balance = scale * np.array([0, 2, -1, 5, 2])
    assert most(balance) == [3, 1, 4]
    assert most(-balance) == [2]
