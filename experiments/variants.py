"""What each variant of a teacher gives: the best students of each, and its cost.

A best student is the greatest of many noisy values, and some variants have more than others.
So the seeds take turns: all but one choose the arm, the one left out says what it is worth, on the
selection split. Pairs with a single seed are left out.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from goodteacher.records.arms import CROSS_ENTROPY, smoothing_arm
from goodteacher.records.results import StudentRow
from goodteacher.records.words import fixed, percent, points
from goodteacher.sweet_spot.scores import trained_alike
from pairs import Pair
from reading import singles_competed
from summaries import table

Seeds = Mapping[int, float]
VARIANTS = ("raw", "ema", "cooldown", "average", "blend")
REFERENCE = CROSS_ENTROPY.source.kind
SMOOTHING = smoothing_arm(0.1).source.kind
KINDS = (*VARIANTS, SMOOTHING, REFERENCE)
WORDS = {REFERENCE: "labels alone", SMOOTHING: "label smoothing"}


@dataclass(frozen=True)
class VariantRow:
    """What one kind of teacher gives in one pair.

    Attributes:
        kind: A variant, or a reference without a teacher.
        arms: How many arms competed.
        accuracy: Of the arm that the other seeds choose, mean over seeds left out; in [0, 1].
        gains: Its accuracy minus that of cross-entropy, one value for each seed left out.
        seconds: What the variant took, recording included: of `raw`, the trajectories; of others,
            what they took beside them; None of references.
    """

    kind: str
    arms: int
    accuracy: float
    gains: tuple[float, ...]
    seconds: float | None


def variants_of(pair: Pair) -> list[VariantRow]:
    """Return a row for each kind of teacher; none where a single variant or seed was tried.

    Nor where plain checkpoints were references alone, of which two say nothing of the others.
    """
    if not singles_competed(pair):
        return []
    arms = _arms(trained_alike(pair.students))
    seeds = sorted(next(iter(arms[REFERENCE].values()), {}))
    tried = [kind for kind in KINDS if arms[kind]]
    if len(seeds) < 2 or not {"raw", REFERENCE} < set(tried) or not set(tried) & set(VARIANTS[1:]):
        return []
    plain = held_out(list(arms[REFERENCE].values()), seeds)
    cost = pair.exhaustive.cost.variants if pair.exhaustive else {}
    rows = []
    for kind in tried:
        found = held_out(list(arms[kind].values()), seeds)
        gains = tuple(ours - theirs for ours, theirs in zip(found, plain, strict=True))
        rows.append(
            VariantRow(kind, len(arms[kind]), statistics.fmean(found), gains, cost.get(kind))
        )
    return rows


def held_out(arms: Sequence[Seeds], seeds: Sequence[int]) -> list[float]:
    """Return for each seed the accuracy on it of the arm that the other seeds find best.

    Args:
        arms: Accuracy for each seed, one mapping for each arm.
        seeds: Two or more.

    Example:
        >>> held_out([{0: 0.9, 1: 0.1}, {0: 0.5, 1: 0.5}], [0, 1])
        [0.5, 0.1]
    """
    found = []
    for left_out in seeds:
        others = [seed for seed in seeds if seed != left_out]
        best = max(arms, key=lambda arm: statistics.fmean(arm[seed] for seed in others))
        found.append(best[left_out])
    return found


def _arms(rows: Iterable[StudentRow]) -> dict[str, dict[str, dict[int, float]]]:
    """Return accuracy by kind, arm and seed."""
    found: dict[str, dict[str, dict[int, float]]] = {kind: defaultdict(dict) for kind in KINDS}
    for row in rows:
        kind = row.variant or row.source
        if kind in found:
            found[kind][row.arm][row.seed] = row.selection_accuracy
    return found


def rendered(pairs: Iterable[Pair]) -> str:
    """Return the table of every pair that tried variants."""
    lines = [_line(pair, row) for pair in pairs for row in variants_of(pair)]
    if not lines:
        return "*Not run.*"
    head = ["pair", "students of", "arms", "accuracy, %", "gain, points (each seed)", "its cost, s"]
    return table(head, lines)


def _line(pair: Pair, row: VariantRow) -> list[str]:
    each = ", ".join(points(gain) for gain in row.gains)
    mean = f"{points(statistics.fmean(row.gains))} ({each})"
    seconds = "-" if row.seconds is None else fixed(row.seconds, ".0f")
    kind = WORDS.get(row.kind, row.kind)
    shown = "" if row.kind == REFERENCE else mean
    return [f"`{pair.name}`", kind, str(row.arms), percent(row.accuracy), shown, seconds]
