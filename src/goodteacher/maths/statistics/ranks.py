"""Does a score order the candidates as their students do, and what does following it lose?"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt
from scipy import stats

from goodteacher.errors import ConfigError, InputError
from goodteacher.maths.statistics._checks import FloatArray, check_level, check_vectors


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


@dataclasses.dataclass(frozen=True)
class MatrixCorrelation:
    """Rank correlation of two matrices over the same objects, off the diagonal.

    Attributes:
        rho: Spearman's correlation of the cells, in [-1, 1].
        p_value: Two-sided p-value against "no association", by exchanging objects.
        num_objects: Number n of objects.
        num_cells: Number n (n - 1) of cells.
    """

    rho: float
    p_value: float
    num_objects: int
    num_cells: int


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
            "spearman needs scores and values that vary, but one of them is constant, so it "
            "gives no order. Leave that score out."
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


def mantel(
    first: npt.ArrayLike, second: npt.ArrayLike, *, num_permutations: int = 999, seed: int = 0
) -> MatrixCorrelation:
    """Correlate two matrices over the same objects, cell by cell off the diagonal, in ranks.

    Cells that share a row or a column are not independent, so the p-value comes from exchanging
    the *objects*: rows and columns of one matrix are renumbered together (Mantel 1967).

    Args:
        first: ``[n, n]``, finite off the diagonal, n at least 3. The diagonal is not looked at.
        second: ``[n, n]`` over the same objects in the same order.
        num_permutations: Random renumberings; the p-value is at least 1 / (1 + this).
        seed: Seed of the renumberings.

    Returns:
        Spearman's correlation of the off-diagonal cells and its two-sided p-value.

    Raises:
        InputError: The matrices are not square and alike, a cell is not finite, or one matrix is
            constant off its diagonal (it has no ranks).

    Example:
        >>> near = [[0, 3, 2, 1], [3, 0, 3, 2], [2, 3, 0, 3], [1, 2, 3, 0]]
        >>> found = mantel(near, [[0, 9, 4, 1], [9, 0, 9, 4], [4, 9, 0, 9], [1, 4, 9, 0]])
        >>> round(found.rho, 3), found.num_cells
        (1.0, 12)

    Source: N. Mantel, Cancer Research 27 (1967).
    """
    ranks = []
    for matrix in _check_square_pair(first, second):
        ranks.append(np.zeros(matrix.shape))
        ranks[-1][_off_diagonal(len(matrix))] = _standard_ranks(matrix[_off_diagonal(len(matrix))])
    fixed, moved = ranks
    rho = float(np.clip((fixed * moved).sum(), -1.0, 1.0))
    rng = np.random.default_rng(seed)
    as_extreme = 0
    for _ in range(num_permutations):
        order = rng.permutation(len(moved))
        as_extreme += abs(float((fixed * moved[np.ix_(order, order)]).sum())) >= abs(rho) - 1e-12
    cells = len(fixed) * (len(fixed) - 1)
    return MatrixCorrelation(rho, (1 + as_extreme) / (1 + num_permutations), len(fixed), cells)


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


def _check_square_pair(
    first: npt.ArrayLike, second: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    one, two = (np.asarray(side, dtype=np.float64) for side in (first, second))
    if one.ndim != 2 or one.shape != two.shape or one.shape[0] != one.shape[1] or len(one) < 3:
        raise InputError(
            "mantel needs two square matrices of equal size, at least 3 x 3, but got shapes "
            f"{list(one.shape)} and {list(two.shape)}. Do both have the same classes?"
        )
    for matrix in (one, two):
        cells = matrix[_off_diagonal(len(matrix))]
        if not np.isfinite(cells).all() or np.ptp(cells) == 0:
            raise InputError(
                "mantel needs finite cells that vary, but one matrix holds NaN or infinity, or "
                "is constant off its diagonal, so it gives no order. Leave that matrix out."
            )
    return one, two


def _off_diagonal(size: int) -> npt.NDArray[np.bool_]:
    return ~np.eye(size, dtype=np.bool_)
