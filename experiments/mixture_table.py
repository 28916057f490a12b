"""What students gain from mixtures of responses, chosen without students: tables of `mixtures.py`.

All differences are of students on the test split, paired by fresh seeds: no choice has seen them.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from goodteacher.arms import CROSS_ENTROPY
from goodteacher.results import percent, points
from pairs import Pair, confirmed
from ruling import over_runs
from summaries import shown, table

YARDSTICK = "best single"
BLEND = "blend"


@dataclass(frozen=True)
class MixtureRow:
    """One kind of mixture in one pair.

    Attributes:
        kind: Such as `8 best`.
        members: How many checkpoints are in it.
        effective: One over the sum of its squared weights: members, were all of one weight.
        nll: Its negative log-likelihood at its best temperature, minus the best single's; nats.
        recipe: How its best students learn.
        accuracy: Mean on the test split, in [0, 1].
        over_labels: Difference of each fresh seed to plain cross-entropy.
        over_single: The same to students of the best single checkpoint.
        over_sweet_spot: The same to the sweet spot of the exhaustive search, which tried students
            of every single checkpoint.
    """

    kind: str
    members: int
    effective: float
    nll: float
    recipe: str
    accuracy: float
    over_labels: tuple[float, ...]
    over_single: tuple[float, ...]
    over_sweet_spot: tuple[float, ...]


def mixtures_of(pair: Pair) -> list[MixtureRow]:
    """Return a row for each kind of mixture; none where none were tried."""
    if not pair.mixtures or pair.exhaustive is None:
        return []
    arms = dict(row.arm.split(" | ", 1) for row in pair.mixture_students if row.stage == "confirm")
    single = _confirmed(pair, YARDSTICK, arms)
    labels = confirmed(pair.students, CROSS_ENTROPY.key, "test_accuracy")
    spot = confirmed(pair.students, pair.exhaustive.student.arm, "test_accuracy")
    rows = []
    for kind, mixture in pair.mixtures.items():
        ours, weights = _confirmed(pair, mixture.same_as, arms), mixture.members.values()
        rows.append(
            MixtureRow(
                kind=kind,
                members=len(weights),
                effective=sum(weights) ** 2 / sum(weight**2 for weight in weights),
                nll=mixture.best_nll - pair.mixtures[YARDSTICK].best_nll,
                recipe=arms[mixture.same_as],
                accuracy=statistics.fmean(ours.values()),
                over_labels=_paired(ours, labels),
                over_single=_paired(ours, single),
                over_sweet_spot=_paired(ours, spot),
            )
        )
    return rows


def _confirmed(pair: Pair, kind: str, arms: dict[str, str]) -> dict[int, float]:
    return confirmed(pair.mixture_students, f"{kind} | {arms[kind]}", "test_accuracy")


def _paired(ours: dict[int, float], theirs: dict[int, float]) -> tuple[float, ...]:
    return tuple(ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys()))


def rendered(pairs: Iterable[Pair]) -> str:
    """Return the tables of every pair that tried mixtures."""
    found = {pair.name: rows for pair in pairs if (rows := mixtures_of(pair))}
    if not found:
        return "*Not run.*"
    kinds = list(dict.fromkeys(row.kind for rows in found.values() for row in rows))
    each = [_kind_line([r for rows in found.values() for r in rows if r.kind == k]) for k in kinds]
    head = [
        "students of",
        "members, mean (weighing alike)",
        "NLL below the best single's, nats",
        "over the best single, points",
        "over the sweet spot, points",
        "over labels, points",
        "best T",
    ]
    blends = [_pair_line(name, row) for name, rows in found.items() for row in rows if _is(row)]
    by_pair = [
        "pair",
        "members (weighing alike)",
        "students learn by",
        "accuracy, %",
        "over the best single, points",
        "over the sweet spot, points",
        "over labels, points",
    ]
    return "\n\n".join(
        [
            f"n = {len(found)} pairs; mean over pairs [95 % interval] (range).",
            table(head, each),
            "The blend, pair by pair; mean over fresh seeds [95 % interval].",
            table(by_pair, blends),
        ]
    )


def _is(row: MixtureRow) -> bool:
    return row.kind == BLEND


def _kind_line(rows: Sequence[MixtureRow]) -> list[str]:
    temperatures = Counter(row.recipe.partition("T=")[2].split()[0] for row in rows)
    alike = statistics.fmean(row.effective for row in rows)
    means = (
        [100 * statistics.fmean(getattr(row, name)) for row in rows]
        for name in ("over_single", "over_sweet_spot", "over_labels")
    )
    return [
        rows[0].kind,
        f"{statistics.fmean(row.members for row in rows):.1f} ({alike:.1f})",
        shown([-row.nll for row in rows], ranged=False),
        *map(shown, means),
        ", ".join(f"{t} ({n} x)" for t, n in sorted(temperatures.items(), key=_by_number)),
    ]


def _by_number(item: tuple[str, int]) -> float:
    return float(item[0])


def _pair_line(name: str, row: MixtureRow) -> list[str]:
    return [
        f"`{name}`",
        f"{row.members} ({row.effective:.1f})",
        row.recipe,
        percent(row.accuracy),
        *map(_interval, (row.over_single, row.over_sweet_spot, row.over_labels)),
    ]


def _interval(differences: Sequence[float]) -> str:
    found = over_runs(differences)
    return f"{points(found.mean)} [{points(found.low)}, {points(found.high)}]"
