"""From an estimate with its interval to *holds*, *does not hold* or *undecided*. All of it *ours*.

An estimate is an `Interval` of goodteacher's statistics. What its `n_seeds` counts is the unit that
chance draws anew, and that more of would narrow it: student seeds, teacher trajectories, runs of
neighbouring checkpoints, or pairs.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from scipy import optimize, stats

from goodteacher.maths.statistics import (
    Interval,
    crossed_interval,
    practically_equal,
    seeds_needed,
    spearman,
)

Status = Literal["holds", "does not hold", "undecided", "not measured", "does not apply"]

Points = Sequence[tuple[float, float]]
"""Scores beside what they should foretell."""


class Rule(Protocol):
    """What decides about an estimate."""

    def status(self, interval: Interval) -> Status:
        """Say what the interval decides, at its own level."""

    def needed(self, interval: Interval) -> int | None:
        """Return how many units in all would decide, as far as the spread seen tells."""


@dataclasses.dataclass(frozen=True)
class AtLeast:
    """Surely there, and by the estimate large enough to matter; or surely smaller than that.

    *Holds*: the interval lies above ``nothing`` and the mean is at least ``matters``. *Does not
    hold*: the interval lies below ``matters``. The two exclude each other.

    Attributes:
        nothing: What counts as none, in the units of the mean.
        matters: What counts as enough, at least ``nothing``.
    """

    nothing: float
    matters: float

    def status(self, interval: Interval) -> Status:
        """Say what the interval decides.

        >>> rule = AtLeast(0.0, 0.5)
        >>> [rule.status(over_runs(v)) for v in ([0.7, 0.8, 0.9], [0.0, 0.1, 0.2], [0.2, 0.8])]
        ['holds', 'does not hold', 'undecided']
        """
        if interval.low > self.nothing and interval.mean >= self.matters:
            return "holds"
        return "does not hold" if interval.high < self.matters else "undecided"

    def needed(self, interval: Interval) -> int | None:
        """Return how many units would show what the mean says; None where no number would."""
        line = self.nothing if interval.mean >= self.matters else self.matters
        return units_needed(interval, line)


@dataclasses.dataclass(frozen=True)
class Equal:
    """Practically nothing, either way.

    *Holds*: both one-sided tests put the mean within ``-margin .. margin``. *Does not hold*: the
    interval lies outside.

    Attributes:
        margin: Margin of practical equivalence, in the units of the mean.
    """

    margin: float

    def status(self, interval: Interval) -> Status:
        """Say what the interval decides.

        >>> rule = Equal(0.5)
        >>> [rule.status(over_runs(v)) for v in ([0.0, 0.1, -0.1], [0.9, 1.0, 1.1], [0.4, 0.6])]
        ['holds', 'does not hold', 'undecided']
        """
        if practically_equal(interval, self.margin):
            return "holds"
        outside = interval.low > self.margin or interval.high < -self.margin
        return "does not hold" if outside else "undecided"

    def needed(self, interval: Interval) -> int | None:
        """Return how many units would show what the mean says; None where no number would."""
        return units_needed(interval, math.copysign(self.margin, interval.mean))


def units_needed(interval: Interval, line: float) -> int | None:
    """Return how many units put the interval on one side of ``line``; None where none would.

    >>> units_needed(over_runs([0.2, 0.4, -0.2, 0.3]), 0.0)
    20
    """
    if not decidable(interval):
        return None
    return seeds_needed(interval, line).seeds


def decidable(interval: Interval) -> bool:
    """Say whether the chance of the units is in the interval: of one unit it cannot be."""
    return math.isfinite(interval.seed_variance)


ANY = (-math.inf, math.inf)
SHARE = (0.0, 1.0)
DIFFERENCE = (-1.0, 1.0)
"""Of two accuracies."""


def over_runs(
    values: Sequence[float], *, level: float = 0.05, bounds: tuple[float, float] = ANY
) -> Interval:
    """Return the mean of independent values, at least two, with Student's t interval.

    Args:
        values: One for each run.
        level: Error level.
        bounds: What the mean can be at least and at most; the interval is cut there.

    >>> interval = over_runs([1.0, 2.0, 3.0])
    >>> round(interval.low, 2), interval.mean, round(interval.high, 2)
    (-0.48, 2.0, 4.48)
    """
    plain = crossed_interval([list(values)], level=level)
    spread = plain.standard_error**2
    return dataclasses.replace(
        plain,
        n_seeds=len(values),
        seed_variance=spread,
        example_variance=0.0,
        bounds=bounds,
    ).with_level(level)


def one_value(value: float) -> Interval:
    """Return a lone value, of which no spread is known.

    >>> decidable(one_value(0.3)), one_value(0.3).mean
    (False, 0.3)
    """
    unknown = math.nan
    return Interval(value, unknown, unknown, 0.05, 1, 2, unknown, unknown)


def rank_interval(blocks: Sequence[Points], *, level: float = 0.05) -> Interval:
    """Correlate ranks of points that come in blocks, with an interval in Fisher's z = atanh(rho).

    Points of one block are alike, since a checkpoint differs little from its neighbours; so the
    interval is a jackknife that leaves out one block at a time, with Student's t.

    Args:
        blocks: At least 3, of (score, value).
        level: Error level of the interval.

    Raises:
        InputError: One side does not vary, or fewer than 4 points are left without some block.
    """
    whole = fisher_z([point for block in blocks for point in block])
    rest = [
        fisher_z([point for other, block in enumerate(blocks) if other != left for point in block])
        for left in range(len(blocks))
    ]
    error = math.sqrt((len(blocks) - 1) * statistics.pvariance(rest))
    return interval_of(whole, error, freedom=len(blocks) - 1, units=len(blocks), level=level)


def fisher_z(points: Points) -> float:
    """Return atanh of Spearman's rho; of full agreement, that of one swapped neighbour."""
    scores, values = zip(*points, strict=True) if points else ((), ())
    n = len(points)
    rho = spearman(scores, values, num_permutations=1).rho
    cap = 1 - 12 / (n * (n**2 - 1))
    return math.atanh(min(max(rho, -cap), cap))


def interval_of(
    mean: float,
    error: float,
    *,
    freedom: float,
    units: int,
    level: float,
    unit_error: float | None = None,
) -> Interval:
    """Return an interval from its standard error.

    Args:
        mean: The estimate.
        error: Its standard error.
        freedom: Degrees of freedom of Student's t.
        units: Number of units.
        level: Error level.
        unit_error: The part of the error that falls with the number of units; all by default.
    """
    falling = error**2 if unit_error is None else min(unit_error, error) ** 2
    bare = Interval(
        mean,
        mean,
        mean,
        level,
        n_seeds=units,
        n_examples=max(2, round(freedom) + 1),
        standard_error=error,
        degrees_of_freedom=freedom,
        seed_variance=falling,
        example_variance=error**2 - falling,
    )
    return bare.with_level(level)


def recovered(
    mean: float,
    single: tuple[float, float],
    joint: tuple[float, float],
    *,
    levels: tuple[float, float],
    by_seed: Sequence[float],
) -> Interval:
    """Return the interval that a result file states at two levels, so that it has any other.

    Half-widths are ``t(level, df) * error`` with the same df and error; two of them give both.

    Args:
        mean: The difference.
        single: Its interval.
        joint: The wider one, simultaneous over several comparisons.
        levels: Error levels of the two.
        by_seed: The difference for each seed; its spread is what more seeds would lower.
    """
    halves = [(high - low) / 2 for low, high in (single, joint)]
    freedom = _freedom(halves[1] / halves[0], levels) if halves[0] > 0 else math.inf
    error = halves[0] / float(stats.t.ppf(1 - levels[0] / 2, freedom))
    seeds = len(by_seed)
    unit_error = statistics.stdev(by_seed) / math.sqrt(seeds) if seeds > 1 else None
    found = interval_of(
        mean,
        error,
        freedom=freedom,
        units=max(seeds, 1),
        level=levels[0],
        unit_error=unit_error,
    )
    return found if seeds > 1 else dataclasses.replace(found, seed_variance=math.nan)


def _freedom(ratio: float, levels: tuple[float, float]) -> float:
    """Return the degrees of freedom at which the quantiles of two levels have this ratio."""

    def excess(log_freedom: float) -> float:
        narrow, wide = (float(stats.t.ppf(1 - k / 2, math.exp(log_freedom))) for k in levels)
        return wide / narrow - ratio

    low, high = math.log(0.5), math.log(1e6)
    if excess(high) >= 0:
        return math.exp(high)
    return math.exp(float(optimize.brentq(excess, low, high))) if excess(low) > 0 else 0.5


def restated(mean: float, ends: tuple[float, float], *, level: float, seeds: int) -> Interval:
    """Return an interval that a result file states at one level, never narrower than the truth.

    Its degrees of freedom are at least ``seeds - 1``; taking them for that widens it too much
    rather than too little at a smaller level. All of its spread is put down to the seeds, so the
    seeds that it asks for are the fewest that could do.
    """
    error = (ends[1] - ends[0]) / 2 / float(stats.t.ppf(1 - level / 2, seeds - 1))
    return interval_of(mean, error, freedom=seeds - 1, units=seeds, level=level)


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What was measured of one pair for one part of a claim.

    Attributes:
        interval: The estimate; None where a fact decides.
        unit: What its ``n_seeds`` counts.
        note: What a reader should know.
        details: Further numbers, for the file.
        decided: The answer where it needs no interval, such as "the two arms are the same".
        needed: With an answer of undecided: units in all that would decide.
        known: The value where it is known without an interval, such as a lead of an arm over
            itself.
    """

    interval: Interval | None
    unit: str
    note: str = ""
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    decided: Status | None = None
    needed: int | None = None
    known: float | None = None

    @property
    def value(self) -> float | None:
        """The estimate itself; None where a fact decides that is no number."""
        return self.interval.mean if self.interval else self.known


@dataclasses.dataclass(frozen=True)
class Ruling:
    """What a part of a claim comes to in one pair.

    Attributes:
        status: The answer.
        estimate: What was measured, if it was.
        needed: Units in all that would decide, where undecided; None where no number would, or
            where the spread is not known.
        note: What a reader should know.
    """

    status: Status
    estimate: Estimate | None = None
    needed: int | None = None
    note: str = ""


def rule_on(estimate: Estimate, rule: Rule | None, *, level: float) -> Ruling:
    """Apply a rule at a level.

    Args:
        estimate: What was measured.
        rule: What decides; None where the estimate says so itself.
        level: Error level of the interval, corrected for the number of comparisons.
    """
    interval = estimate.interval and estimate.interval.with_level(level)
    shown = dataclasses.replace(estimate, interval=interval)
    if estimate.decided is not None:
        return Ruling(estimate.decided, shown, estimate.needed, estimate.note)
    if rule is None or interval is None or not decidable(interval):
        why = f"n = 1 of {estimate.unit}: the spread is not known"
        return Ruling("undecided", shown, note="; ".join(filter(None, (estimate.note, why))))
    status = rule.status(interval)
    if status != "undecided":
        return Ruling(status, shown, note=estimate.note)
    needed = rule.needed(interval)
    why = "" if needed else f"no number of {estimate.unit} would decide"
    return Ruling(status, shown, needed, "; ".join(filter(None, (estimate.note, why))))


TEACHER_SEEDS = "teacher seeds"


def over_teacher_seeds(rulings: Mapping[int, Ruling]) -> Ruling:
    """Return what a part comes to in a pair, from what it comes to for each seed of its teachers.

    Replicates in which the part was not measured say nothing; a single one that did is the answer.

    Args:
        rulings: By the seed of the teachers, one at least.
    """
    measured = [ruling for ruling in rulings.values() if ruling.estimate is not None]
    if len(measured) < 2:
        return next(iter(measured), next(iter(rulings.values())))
    estimates = [ruling.estimate for ruling in measured if ruling.estimate is not None]
    values = [each.value for each in estimates if each.value is not None]
    interval = None
    if len(values) == len(estimates):
        bounds = next((each.interval.bounds for each in estimates if each.interval), ANY)
        interval = over_runs(values, bounds=bounds)
    statuses = [ruling.status for ruling in measured]
    return Ruling(most_agree(statuses), Estimate(interval, TEACHER_SEEDS))


def most_agree(statuses: Sequence[Status]) -> Status:
    """Return the answer that more than half give and of which none gives the opposite.

    >>> most_agree(["holds", "undecided", "holds"]), most_agree(["holds", "does not hold", "holds"])
    ('holds', 'undecided')
    """
    opposites: Mapping[Status, Status] = {"holds": "does not hold", "does not hold": "holds"}
    for status, opposite in opposites.items():
        if 2 * statuses.count(status) > len(statuses) and opposite not in statuses:
            return status
    return "undecided"


def together(statuses: Sequence[Status]) -> Status:
    """Return the answer to several questions that must all hold.

    >>> together(["holds", "undecided"]), together(["holds", "does not hold", "undecided"])
    ('undecided', 'does not hold')
    """
    asked = [status for status in statuses if status != "does not apply"]
    if not asked:
        return "does not apply"
    if all(status == "not measured" for status in asked):
        return "not measured"
    if "does not hold" in asked:
        return "does not hold"
    return "holds" if all(status == "holds" for status in asked) else "undecided"
