"""Differences that were measured several times, and what they come to."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from goodteacher.maths.statistics import adjusted_level
from summaries import in_points

LEVEL = 0.05
ENOUGH = 3
"""Repetitions from which on their spread makes the interval."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval, and the number of repetitions."""

    mean: float
    low: float
    high: float
    repetitions: int = 1

    @property
    def error(self) -> float:
        """The standard error that a normal interval of this width has."""
        return (self.high - self.low) / 2 / float(stats.norm.ppf(1 - LEVEL / 2))

    def text(self) -> str:
        """Format in points.

        Example:
            >>> Estimate(0.01, -0.0005, 0.02).text()
            '+1.00 [-0.05, +2.00]'
        """
        return in_points(self.mean, self.low, self.high)


def over_repetitions(effects: Sequence[Estimate], *, comparisons: int = 1) -> Estimate:
    """Return the mean over repetitions with its interval.

    From `ENOUGH` repetitions on it is Student's, of their spread; then it covers teachers, splits,
    students and examples. With fewer it is made of the repetitions' own intervals, as if they were
    independent, and says nothing of other teachers and splits.

    Args:
        effects: One for each repetition, joint where several comparisons are made.
        comparisons: How many are made together (Sidak's correction of Student's intervals).

    Example:
        >>> over_repetitions([Estimate(0.01, 0.0, 0.02)]) == Estimate(0.01, 0.0, 0.02)
        True
    """
    n = len(effects)
    if n == 1:
        return effects[0]
    mean = statistics.fmean(effect.mean for effect in effects)
    if n < ENOUGH:
        half = math.hypot(*(effect.high - effect.low for effect in effects)) / 2 / n
    else:
        level = adjusted_level(LEVEL, comparisons)
        error = statistics.stdev(effect.mean for effect in effects) / math.sqrt(n)
        half = float(stats.t.ppf(1 - level / 2, n - 1)) * error
    return Estimate(mean, mean - half, mean + half, n)


def slope(x: Sequence[float], effects: Sequence[Estimate]) -> Estimate:
    """Return the slope of a least-squares line with the interval that its points' intervals make.

    Args:
        x: Where the points are, at least two of them different.
        effects: Their values; taken for independent.

    Example:
        >>> slope([0, 1], [Estimate(0.0, -1.0, 1.0), Estimate(2.0, 1.0, 3.0)]).mean
        2.0
    """
    middle = statistics.fmean(x)
    spread = math.fsum((each - middle) ** 2 for each in x)
    weights = [(each - middle) / spread for each in x]
    mean = math.fsum(w * effect.mean for w, effect in zip(weights, effects, strict=True))
    error = math.hypot(*(w * effect.error for w, effect in zip(weights, effects, strict=True)))
    half = error * float(stats.norm.ppf(1 - LEVEL / 2))
    return Estimate(mean, mean - half, mean + half)
