"""What the rules of `omitted_classes.py` say of its results, by the letters of its docstring.

Choices are made on the selection split, differences are of the test split.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from goodteacher.maths.statistics import Interval, crossed_interval, regret, spearman
from omitted_classes import FULL, LOWER_RUNGS, TEMPERATURES
from omitted_results import Grid, Share, Spot

NEAR, GIVEN_BACK, GOVERNS, TOP = 0.02, 0.02, 0.5, 3
"""Shares that are alike, a loss that does not matter, a correlation that counts, teachers tried."""


def share_of(grid: Grid, spot: Spot, t: float, share: Share) -> Interval:
    """Return what students know of the omitted classes, with its interval."""
    return crossed_interval(grid.values(spot, t, share))


def difference(
    grid: Grid, ours: tuple[Spot, float], theirs: tuple[Spot, float], share: Share
) -> Interval:
    """Return how much more students know by one teacher and temperature than by another.

    Of temperatures that were tried with more seeds than others the first seeds count.
    """
    more, less = grid.values(*ours, share), grid.values(*theirs, share)
    common = min(len(more), len(less))
    return crossed_interval(more[:common] - less[:common])


@dataclass(frozen=True)
class Sweet:
    """(a): the best teacher at a temperature.

    Attributes:
        share: Which share.
        spot: The best teacher.
        over_last: Its share minus that of the last epoch of its run; None where it is that.
        over_ends: Its share minus those of the best epochs of the smallest and the largest batch
            size; empty where its batch size is one of them.
    """

    share: Share
    spot: Spot
    over_last: Interval | None
    over_ends: tuple[Interval, ...]

    @property
    def epochs(self) -> bool:
        """Whether there is a sweet spot of epochs."""
        return self.over_last is not None and self.over_last.low > 0

    @property
    def batch_size(self) -> bool:
        """Whether there is one of the batch size."""
        return bool(self.over_ends) and all(each.low > 0 for each in self.over_ends)


def sweet_spot(grid: Grid, share: Share, t: float = 1.0) -> Sweet:
    """Answer (a) for one share.

    Args:
        grid: The case.
        share: As trained, or after the correction.
        t: The temperature.
    """
    spots = list(grid.members)
    spot = _best(grid, spots, t, share)
    last, sizes = grid.last(spot), sorted({each.batch_size for each in spots})
    ends = (sizes[0], sizes[-1])
    others = (
        []
        if spot.batch_size in ends
        else [
            _best(grid, [each for each in spots if each.batch_size == size], t, share)
            for size in ends
        ]
    )
    return Sweet(
        share,
        spot,
        None if spot == last else difference(grid, (spot, t), (last, t), share),
        tuple(difference(grid, (spot, t), (other, t), share) for other in others),
    )


def _best(grid: Grid, spots: Sequence[Spot], t: float, share: Share) -> Spot:
    """Return the first of the best teachers by the selection split."""
    return max(spots, key=lambda spot: grid.chosen_by(spot, t, share))


def shortfall(grid: Grid, *, t: float | None = None) -> Interval:
    """Return how far the last epochs of all runs fall short of the best teacher, on average.

    Args:
        grid: The case.
        t: At one temperature; None for each teacher at its own best.
    """
    at = {spot: grid.best_temperature(spot) if t is None else t for spot in grid.members}
    best = max(grid.members, key=lambda spot: grid.chosen_by(spot, at[spot], "corrected"))
    common = min(len(grid.values(spot, at[spot], "corrected")) for spot in (best, *grid.ends))

    def values(spot: Spot) -> np.ndarray:
        return grid.values(spot, at[spot], "corrected")[:common]

    return crossed_interval(values(best) - np.mean([values(end) for end in grid.ends], axis=0))


def needed(grid: Grid, spot: Spot) -> float:
    """Answer (b): return the smallest temperature at which a teacher's students know enough."""
    known = {t: grid.chosen_by(spot, t, "corrected") for t in grid.temperatures}
    return min(t for t, value in known.items() if value >= max(known.values()) - NEAR)


Fate = Literal["lost", "given back", "open"]


@dataclass(frozen=True)
class Loss:
    """(b): what the end of a run has lost that no temperature gives back.

    Attributes:
        spot: The last epoch of a run.
        at: Its best temperature.
        best: The best teacher and its best temperature.
        lost: The share of that minus its own; None where it is that.
    """

    spot: Spot
    at: float
    best: tuple[Spot, float]
    lost: Interval | None

    @property
    def fate(self) -> Fate:
        """What became of it, by the rule."""
        if self.lost is None:
            return "given back"
        if self.lost.low > 0:
            return "lost"
        return "given back" if self.lost.high < GIVEN_BACK else "open"


def losses(grid: Grid) -> list[Loss]:
    """Answer (b) for the last epoch of every run."""
    at = {spot: grid.best_temperature(spot) for spot in grid.members}
    best = max(grid.members, key=lambda spot: grid.chosen_by(spot, at[spot], "corrected"))
    top = (best, at[best])
    return [
        Loss(
            end,
            at[end],
            top,
            None if end == best else difference(grid, top, (end, at[end]), "corrected"),
        )
        for end in grid.ends
    ]


@dataclass(frozen=True)
class Rungs:
    """(d): the best teacher at a temperature, and what lower rungs of its response teach.

    Attributes:
        t: The temperature.
        spot: The teacher.
        shares: Corrected share by rung, the whole response last.
        over: That of the whole response minus that of each lower rung.
    """

    t: float
    spot: Spot
    shares: Mapping[str, Interval]
    over: Mapping[str, Interval]


def rungs_of(grid: Grid) -> list[Rungs]:
    """Answer (d) at every temperature at which students of lower rungs are known."""
    found = []
    for t in (t for t in TEMPERATURES if t in grid.temperatures):
        spot = _best(grid, list(grid.members), t, "corrected")
        lower = {rung: grid.lower(spot, t, rung) for rung in LOWER_RUNGS}
        known = {rung: values for rung, values in lower.items() if values is not None}
        if known:
            whole = grid.values(spot, t, "corrected")[: len(next(iter(known.values())))]
            shares = {rung: crossed_interval(values) for rung, values in known.items()}
            over = {rung: crossed_interval(whole - values) for rung, values in known.items()}
            found.append(Rungs(t, spot, {**shares, FULL: crossed_interval(whole)}, over))
    return found


OMITTED, LIKELIHOOD = "omitted classes", "held-out likelihood"
SIMILARITY, CALIBRATED = "S", "S at its best T"
PROBES, ORDINARY_PROBES = "probes without classes", "probes with all classes"


def scores(grid: Grid, t: float | None = None) -> dict[str, list[float]]:
    """Return what is known of every teacher, signed so that more is better.

    Args:
        grid: The case.
        t: At one temperature; None for each teacher's best, by the selection split. S is then
            that at T = 1.
    """
    count = range(len(grid.teachers))
    temperatures = grid.temperatures if t is None else [t]
    known = grid.result["omitted"]
    found = {
        OMITTED: [
            max(known[f"{each:g}"]["selection_corrected"][n] for each in temperatures) / 1000
            for n in count
        ],
        SIMILARITY: [teacher["similarity"][f"{t or 1:g}"] for teacher in grid.teachers],
        CALIBRATED: [teacher["best_similarity"] for teacher in grid.teachers],
        LIKELIHOOD: [-teacher["best_nll"] for teacher in grid.teachers],
    }
    probes = [grid.result["probe"].get(f"{each:g}") for each in temperatures]
    if any(probes):
        for name, key in ((PROBES, "selection_corrected"), (ORDINARY_PROBES, "selection")):
            found[name] = [max(probe[key][n] for probe in probes if probe) for n in count]
    return found


def worth(grid: Grid, t: float | None = None) -> list[float]:
    """Return the accuracy of every teacher's ordinary students on the test split."""
    count = range(len(grid.teachers))
    return [grid.best_accuracy(n) if t is None else grid.accuracy(n, t) for n in count]


@dataclass(frozen=True)
class Ranked:
    """(c): how a score ranks the teachers of a case.

    Attributes:
        rho: Spearman's correlation with the accuracy of ordinary students; nan of a constant.
        lost: Regret of trying the best `TOP` teachers alone, a share.
    """

    rho: float
    lost: float


def ranks(grid: Grid, t: float | None = None, since: int = 1) -> dict[str, Ranked]:
    """Answer (c) for every score of a case.

    Args:
        grid: The case.
        t: At one temperature; None for each teacher's best.
        since: The first epoch whose teachers count.
    """
    kept = [n for n, teacher in enumerate(grid.teachers) if teacher["epoch"] >= since]
    accuracies = [worth(grid, t)[n] for n in kept]
    found = {}
    for name, every in scores(grid, t).items():
        values = [every[n] for n in kept]
        varied = len(set(values)) > 1 and len(set(accuracies)) > 1
        rho = spearman(values, accuracies, num_permutations=1).rho if varied else math.nan
        found[name] = Ranked(rho, regret(values, accuracies, top_k=TOP))
    return found


def alike(grid: Grid, t: float, since: int = 1) -> float:
    """Return Spearman's correlation of S with the corrected share, both at a temperature.

    No rule asks for it: it says whether S measures what students can learn about a class.

    Args:
        grid: The case.
        t: The temperature.
        since: The first epoch whose teachers count.
    """
    kept = [n for n, teacher in enumerate(grid.teachers) if teacher["epoch"] >= since]
    found = scores(grid, t)
    one, other = ([found[name][n] for n in kept] for name in (SIMILARITY, OMITTED))
    return spearman(one, other, num_permutations=1).rho


def governs(found: Mapping[str, Mapping[str, Ranked]]) -> list[str]:
    """Return the data sets on which the omitted classes govern the student and S does not.

    The rule does not say at which temperature S is meant, so it is to be outdone at both.

    Args:
        found: Ranks at each teacher's best temperature, by data set.
    """
    return [
        name
        for name, each in found.items()
        if each[OMITTED].rho >= max(GOVERNS, each[SIMILARITY].rho, each[CALIBRATED].rho)
    ]


def ranks_better(found: Mapping[str, Mapping[str, Ranked]], score: str) -> list[str]:
    """Return the data sets on which a score ranks teachers better than held-out likelihood.

    Args:
        found: Ranks at each teacher's best temperature, by data set.
        score: Its name.
    """
    return [
        name
        for name, each in found.items()
        if score in each
        and each[score].rho > each[LIKELIHOOD].rho
        and each[score].lost <= each[LIKELIHOOD].lost
    ]
