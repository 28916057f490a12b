"""Does a score order the candidates as their students do, and what does following it lose?"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt
from scipy import stats

from goodteacher.errors import ConfigError, InputError
from goodteacher.statistics._checks import FloatArray, check_level, check_vectors


@dataclasses.dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rank correlation.

    Attributes:
        rho: The correlation in [-1, 1].
        low: Lower end of the interval.
        high: Upper end of the interval.
        level: Error level; 0.05 is a 95 % interval.
        p_value: Two-sided permutation p-value against "no association".
        n: Number of pairs.
    """

    rho: float
    low: float
    high: float
    level: float
    p_value: float
    n: int


def spearman(
    scores: npt.ArrayLike,
    values: npt.ArrayLike,
    *,
    level: float = 0.05,
    num_permutations: int = 9999,
    seed: int = 0,
) -> RankCorrelation:
    """Correlate the ranks of a score with those of what it should predict.

    The interval is Fisher's z with Bonett and Wright's standard error
    ``sqrt((1 + rho^2 / 2) / (n - 3))``. *Ours*: where the ranks agree perfectly, z is taken at the
    rho of one swapped neighbour, ``1 - 12 / (n (n^2 - 1))``, since z itself is infinite. The pairs
    must be independent; candidates of one trajectory hardly are, so read it as a description.

    Args:
        scores: ``[n]``, finite, n at least 4.
        values: ``[n]``, finite.
        level: Error level in (0, 1).
        num_permutations: Random permutations for the p-value, which is at least 1 / (1 + this).
        seed: Seed of the permutations.

    Returns:
        The correlation, its interval and its p-value.

    Raises:
        InputError: Lengths differ, fewer than 4 pairs, a value is not finite, or one side is
            constant (it has no ranks).
        ConfigError: The level is outside (0, 1).

    Example:
        >>> result = spearman([1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 6, 5])
        >>> round(result.rho, 3), result.p_value < 0.1
        (0.829, True)
    """
    first, second = check_vectors(scores, values, minimum=4)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        raise InputError(
            "spearman needs scores and values that vary, but one of them is constant: it orders "
            "nothing. Leave that score out."
        )
    quantile = float(stats.norm.ppf(1 - check_level(level) / 2))
    n = first.size
    rank_a, rank_b = (_standard_ranks(side) for side in (first, second))
    rho = float(np.clip(rank_a @ rank_b, -1.0, 1.0))
    shuffled = np.random.default_rng(seed).permuted(np.tile(rank_b, (num_permutations, 1)), axis=1)
    as_extreme = np.count_nonzero(np.abs(shuffled @ rank_a) >= abs(rho) - 1e-12)
    cap = 1 - 12 / (n * (n**2 - 1))
    z = math.atanh(min(max(rho, -cap), cap))
    reach = quantile * math.sqrt((1 + rho**2 / 2) / (n - 3))
    low, high = min(rho, math.tanh(z - reach)), max(rho, math.tanh(z + reach))
    p_value = (1 + int(as_extreme)) / (1 + num_permutations)
    return RankCorrelation(rho, low, high, level, p_value, n)


def regret(scores: npt.ArrayLike, values: npt.ArrayLike, *, top_k: int = 1) -> float:
    """Give what is lost by trying only the ``top_k`` candidates with the highest scores.

        max(values) - max(values of the top_k by score)

    Ties in the score are broken **against** it: among equal scores the worst values are taken
    first, so a constant score cannot look good. Fewer candidates than ``top_k`` take all.

    Args:
        scores: ``[n]``, higher is better; negate a score of which lower is better.
        values: ``[n]``, what the candidates are worth, such as student accuracies.
        top_k: Number of candidates tried, at least 1.

    Returns:
        The regret, at least 0, in the units of ``values``.

    Raises:
        InputError: Lengths differ, there is no candidate, or a value is not finite.
        ConfigError: ``top_k`` is below 1.

    Example:
        >>> regret([0.9, 0.5, 0.1], [3.0, 4.0, 1.0]), regret([0.9, 0.5, 0.1], [3, 4, 1], top_k=2)
        (1.0, 0.0)
    """
    if top_k < 1:
        raise ConfigError(f"top_k must be at least 1, but is {top_k}.")
    score, value = check_vectors(scores, values, minimum=1)
    tried = np.lexsort((value, -score))[:top_k]
    return float(value.max() - value[tried].max())


def _standard_ranks(values: FloatArray) -> FloatArray:
    centred = stats.rankdata(values) - (values.size + 1) / 2
    return np.asarray(centred / np.linalg.norm(centred), dtype=np.float64)
