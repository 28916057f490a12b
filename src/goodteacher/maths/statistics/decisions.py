"""Tests, corrections for many comparisons, and the number of seeds that a decision takes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from goodteacher.errors import ConfigError, InputError
from goodteacher.maths.statistics._checks import FloatArray, check_level, look_up
from goodteacher.maths.statistics.intervals import Interval

_MAX_SEEDS = 10_000


def equivalence_p_value(interval: Interval, margin: float) -> float:
    """Test whether the true mean lies within ``-margin .. margin`` (two one-sided tests).

    The larger of the p-values against "at or below -margin" and "at or above margin".

    Args:
        interval: An interval of this module.
        margin: Margin of practical equivalence, above 0, in the units of the mean.

    Returns:
        The p-value in [0, 1]; small speaks for "practically equal".

    Raises:
        ConfigError: The margin is not above 0.

    Example:
        >>> from goodteacher.maths.statistics import paired_interval
        >>> gain = paired_interval([[1, 0] * 500] * 3, [[1, 0] * 500] * 3)
        >>> equivalence_p_value(gain, margin=0.01) < 0.05
        True
    """
    if not (margin > 0 and math.isfinite(margin)):
        raise ConfigError(
            f"The margin of practical equivalence must be above 0, but is {margin}. It is the "
            "largest difference that would not matter to you, as a fraction: 0.002 is 0.2 points."
        )
    freedom = interval.degrees_of_freedom
    below = float(stats.t.sf(_statistic(interval, -margin), freedom))
    above = float(stats.t.cdf(_statistic(interval, margin), freedom))
    return max(below, above)


def practically_equal(interval: Interval, margin: float) -> bool:
    """Decide at the interval's level whether the true mean lies within ``-margin .. margin``.

    Two one-sided tests at level L agree with the 1 - 2L interval lying inside the margin.

    Args:
        interval: An interval of this module; its ``level`` decides.
        margin: Margin of practical equivalence, above 0, in the units of the mean.

    Returns:
        True where equivalence is shown. False does not show a difference.

    Raises:
        ConfigError: The margin is not above 0.

    Example:
        >>> from goodteacher.maths.statistics import paired_interval
        >>> few = paired_interval([[1, 0] * 50] * 3, [[1, 0] * 50] * 3)
        >>> practically_equal(few, margin=0.1), practically_equal(few, margin=0.01)
        (True, False)
    """
    return equivalence_p_value(interval, margin) < interval.level


def holm(p_values: npt.ArrayLike) -> FloatArray:
    """Adjust p-values for their number, step-down: any dependence, family-wise error.

    The i-th smallest of m is multiplied by m - i + 1, then made monotone and cut at 1. For the
    false discovery rate instead, use ``scipy.stats.false_discovery_control``.

    Args:
        p_values: ``[m]``, each in [0, 1].

    Returns:
        Adjusted p-values ``[m]`` in the order given; reject where at most the level.

    Raises:
        InputError: Not a vector of values in [0, 1].

    Example:
        >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
        [0.03, 0.06, 0.06]
    """
    values = np.asarray(p_values, dtype=np.float64)
    if values.ndim != 1 or not np.all((values >= 0) & (values <= 1)):
        raise InputError(
            f"p_values must be a vector of values in [0, 1], but got shape {list(values.shape)} "
            f"with {int(np.count_nonzero(~((values >= 0) & (values <= 1))))} outside (or NaN)."
        )
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(values.size, 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


_LEVEL_RULES: Mapping[str, Callable[[float, int], float]] = {
    "bonferroni": lambda level, count: level / count,
    "sidak": lambda level, count: -math.expm1(math.log1p(-level) / count),
}


def adjusted_level(level: float, num_comparisons: int, *, method: str = "sidak") -> float:
    """Give the level of each of several intervals so that all cover together at ``level``.

    ``sidak``: 1 - (1 - level)^(1/m), valid for two-sided normal intervals however correlated
    (Sidak's inequality) and barely narrower than ``bonferroni``: level / m, valid always.

    Args:
        level: Joint error level in (0, 1).
        num_comparisons: Number m of intervals, at least 1.
        method: ``"sidak"`` or ``"bonferroni"``.

    Returns:
        The level for each interval.

    Raises:
        ConfigError: A level outside (0, 1), no comparison, or an unknown method.

    Example:
        >>> round(adjusted_level(0.05, 5), 5), adjusted_level(0.05, 5, method="bonferroni")
        (0.01021, 0.01)
    """
    if num_comparisons < 1:
        raise ConfigError(f"num_comparisons must be at least 1, but is {num_comparisons}.")
    return look_up(_LEVEL_RULES, method)(check_level(level), num_comparisons)


def simultaneous(
    intervals: Sequence[Interval], *, level: float = 0.05, method: str = "sidak"
) -> list[Interval]:
    """Widen intervals so that all of them cover together at ``level``.

    Args:
        intervals: The comparisons that are read together.
        level: Joint error level in (0, 1).
        method: ``"sidak"`` or ``"bonferroni"``.

    Returns:
        The intervals in the same order; each one's ``level`` is the adjusted one.

    Raises:
        ConfigError: A level outside (0, 1) or an unknown method.

    Example:
        >>> from goodteacher.maths.statistics import crossed_interval
        >>> single = crossed_interval([[0.1, 0.3, 0.2], [0.2, 0.4, 0.3]])
        >>> wide = simultaneous([single, single])[0]
        >>> wide.low < single.low and wide.high > single.high
        True
    """
    each = adjusted_level(level, max(len(intervals), 1), method=method)
    return [interval.with_level(each) for interval in intervals]


@dataclasses.dataclass(frozen=True)
class SeedPlan:
    """How many paired seeds a decision against a margin would take.

    Attributes:
        seeds: Total number of paired seeds, those already run included; None where more seeds
            cannot help, since the test examples alone leave more doubt than the gap, or more than
            10,000 would be needed.
        further_seeds: ``seeds`` less those already run; None likewise.
        smallest_margin: Smallest distance from the margin that this test split could resolve
            with any number of seeds. A larger test split lowers it as 1/sqrt(examples).
        gap: Distance of the observed mean from the margin.
    """

    seeds: int | None
    further_seeds: int | None
    smallest_margin: float
    gap: float


def seeds_needed(
    interval: Interval, margin: float = 0.0, *, level: float | None = None, power: float = 0.8
) -> SeedPlan:
    """Plan the paired seeds after which the interval would lie on one side of ``margin``.

    With n seeds the variance is ``seed_variance * S / n + example_variance``. The plan is the
    smallest n of which ``(t_[1 - level/2] + t_[power]) * standard error`` is at most the observed
    gap |mean - margin|. An interval that decides already asks for no more. The gap and the spread
    are themselves estimates: from few seeds, take the answer as an order of magnitude.

    Args:
        interval: A paired interval over at least two seeds.
        margin: The value to be above or below, in the units of the mean.
        level: Error level in (0, 1); the interval's own by default.
        power: Probability in (0, 1) of deciding, if the true gap is the observed one.

    Returns:
        The plan.

    Raises:
        InputError: The interval has one seed, so that its spread over seeds is not known.
        ConfigError: The level or power is outside (0, 1).

    Example:
        >>> from goodteacher.maths.statistics import crossed_interval
        >>> gain = crossed_interval([[1, 2, 1, 2], [2, 1, 2, 1], [0, 0, -1, 0]])
        >>> plan = seeds_needed(gain)
        >>> plan.seeds > 3 and plan.further_seeds == plan.seeds - 3
        True
    """
    if not math.isfinite(interval.seed_variance + interval.example_variance):
        raise InputError(
            f"seeds_needed needs the spread over at least two seeds, but the interval has "
            f"{interval.n_seeds}. Run at least 3 paired seeds first."
        )
    sized = interval.with_level(interval.level if level is None else level)
    if not 0 < power < 1:
        raise ConfigError(f"power must be above 0 and below 1, but is {power}. Usual is 0.8.")
    gap = abs(sized.mean - margin)
    freedom = sized.n_examples - 1
    floor = float(_reach(sized.level, power, freedom)) * math.sqrt(sized.example_variance)
    if not sized.low <= margin <= sized.high:
        return SeedPlan(sized.n_seeds, 0, floor, gap)
    counts = np.arange(sized.n_seeds, _MAX_SEEDS + 1)
    falling = sized.seed_variance * sized.n_seeds / counts
    total = falling + sized.example_variance
    freedoms = total**2 / (falling**2 / (counts - 1) + sized.example_variance**2 / freedom)
    enough = counts[_reach(sized.level, power, freedoms) * np.sqrt(total) <= gap]
    if not enough.size:
        return SeedPlan(None, None, floor, gap)
    return SeedPlan(int(enough[0]), int(enough[0]) - sized.n_seeds, floor, gap)


def _statistic(interval: Interval, margin: float) -> float:
    distance = interval.mean - margin
    if interval.standard_error > 0:
        return distance / interval.standard_error
    return math.copysign(math.inf, distance) if distance else 0.0


def _reach(level: float, power: float, freedom: float | FloatArray) -> FloatArray:
    quantiles = stats.t.ppf(1 - level / 2, freedom) + stats.t.ppf(power, freedom)
    return np.asarray(quantiles, dtype=np.float64)
