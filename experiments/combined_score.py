"""A score made of others, and whether it would have been chosen without seeing the pair it ranks.

A combined score is the mean of the within-pair ranks of a few scores (`mean_ranks` of
`goodteacher.sweet_spot.scores`). Which ones is chosen greedily on training pairs: the score is
added that most lowers the loss, until none does or there are four. The loss of a pair is its
regret, mean over top 1, 3 and 5, as a share of the lead of its best teacher over its median one, so
that easy and hard data count alike; its mean over training pairs is lowered. The best single score
is chosen by the same loss, so the two compare fairly. Each choice is judged on what was left out:
one pair, or all pairs of one data set, which are alike.

A combined score that wins becomes an entry of `SCORES` in `goodteacher/scores.py`, as in

    "combined": TeacherScore(
        "mean rank of best NLL and accuracy",
        lambda records, probes: mean_ranks(
            [goodness(records, name, probes) for name in ("best_nll", "accuracy")]
        ),
        1,
    )
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from cases import Case
from goodteacher.maths.statistics import regret
from goodteacher.sweet_spot.scores import ScoreRow, mean_ranks, score_row

FITTED = (1, 3, 5)
"""Sizes of the shortlists whose regret chooses scores."""

MOST = 4
"""Scores that a combination may have."""

Choice = tuple[str, ...]
"""The scores that take part."""


def combined(case: Case, choice: Choice) -> list[float]:
    """Return the combined score of each of a pair's teachers."""
    return mean_ranks([case.scores[name] for name in choice])


@cache
def loss(case: Case, choice: Choice) -> float:
    """Return what a choice loses on a pair, as a share of the best teacher's lead."""
    lead = max(case.accuracies) - float(np.median(case.accuracies))
    if lead == 0:
        return 0.0
    found = combined(case, choice)
    lost = [regret(found, case.accuracies, top_k=k) for k in FITTED]
    return math.fsum(lost) / (len(FITTED) * lead)


def fit(cases: Sequence[Case], most: int = MOST) -> Choice:
    """Choose scores greedily, by the mean loss over some pairs.

    Args:
        cases: The pairs to choose on, one at least.
        most: Scores at most; 1 chooses the best single one.
    """
    names = [name for name in cases[0].scores if all(name in case.scores for case in cases)]
    choice: Choice = ()
    lowest = math.inf
    while len(choice) < most:
        further = [(*choice, name) for name in names if name not in choice]
        if not further:
            break
        best = min(further, key=lambda each: _mean_loss(cases, each))
        found = _mean_loss(cases, best)
        if found > lowest - 1e-12:
            break
        choice, lowest = best, found
    return choice


def _mean_loss(cases: Sequence[Case], choice: Choice) -> float:
    return math.fsum(loss(case, choice) for case in cases) / len(cases)


Fit = Callable[[Sequence[Case]], Choice]

METHODS: Mapping[str, Fit] = {
    "best_nll": lambda cases: ("best_nll",),
    "best single": lambda cases: fit(cases, 1),
    "combined": fit,
}
"""What is compared, and what it chooses on training pairs; `best_nll` learns nothing from them."""

GROUPS: Mapping[str, Callable[[Case], str]] = {
    "pair": lambda case: case.name,
    "data set": lambda case: case.data,
}
"""What may be left out at once."""


@dataclass(frozen=True)
class Fold:
    """A pair that was left out, and how each method's choice ranks its teachers."""

    pair: str
    choices: Mapping[str, Choice]
    rows: Mapping[str, ScoreRow]


def folds_of(cases: Sequence[Case], group: Callable[[Case], str]) -> list[Fold]:
    """Judge every method on each pair, chosen on pairs of other groups.

    Args:
        cases: All pairs.
        group: What a pair belongs to; all of it is left out with the pair.

    Returns:
        One fold for each pair; none where all pairs are of one group.
    """
    names = {group(case) for case in cases}
    chosen = {name: choices_without(cases, group, name) for name in names} if len(names) > 1 else {}
    return [fold_of(case, chosen[group(case)]) for case in cases if group(case) in chosen]


def choices_without(
    cases: Sequence[Case], group: Callable[[Case], str], left_out: str
) -> dict[str, Choice]:
    """Return what each method chooses on the pairs outside a group."""
    training = [case for case in cases if group(case) != left_out]
    return {name: method(training) for name, method in METHODS.items()}


def fold_of(case: Case, choices: Mapping[str, Choice]) -> Fold:
    """Judge choices on a pair."""
    rows = {
        method: score_row(method, combined(case, choice), case.accuracies)
        for method, choice in choices.items()
    }
    return Fold(case.name, choices, rows)
