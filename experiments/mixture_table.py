"""What students gain from mixtures of responses, chosen without students: tables of `mixtures.py`.

All differences are of students on the test split, paired by fresh seeds: no choice has seen them.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from goodteacher.records.arms import CROSS_ENTROPY
from goodteacher.records.results import Verdict
from goodteacher.records.words import fixed, percent, points
from goodteacher.verdicts.rule import RUNGS
from pairs import BLEND, SINGLE, Pair, confirmed, paired
from ruling import over_runs
from summaries import in_points, shown, table


@dataclass(frozen=True)
class MixtureRow:
    """One kind of mixture in one pair.

    Attributes:
        kind: Such as `8 best`.
        members: How many checkpoints are in it.
        effective: One over the sum of its squared weights: members, were all of one weight.
        nll: Its negative log-likelihood at its best temperature, minus the best single's; nats, on
            the selection split, where greedy kinds minimised it.
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
    """Return a row for each kind of mixture; none where none were tried.

    Nor where their students trained otherwise than the sweet spot's, with which they are compared.
    """
    if not pair.mixtures or pair.exhaustive is None or not trained_alike(pair):
        return []
    fresh = {row.seed for row in pair.mixture_students if row.stage == "confirm"}
    if not fresh & {row.seed for row in pair.students if row.stage == "confirm"}:
        return []
    arms = dict(row.arm.split(" | ", 1) for row in pair.mixture_students if row.stage == "confirm")
    single = _confirmed(pair, SINGLE, arms)
    labels = confirmed(pair.students, CROSS_ENTROPY.key, "test_accuracy")
    best = pair.exhaustive.student
    spot = confirmed(pair.students, best.arm, "test_accuracy", best.training)
    rows = []
    for kind, mixture in pair.mixtures.items():
        ours, weights = _confirmed(pair, mixture.same_as, arms), mixture.members.values()
        rows.append(
            MixtureRow(
                kind=kind,
                members=len(weights),
                effective=sum(weights) ** 2 / sum(weight**2 for weight in weights),
                nll=mixture.best_nll - pair.mixtures[SINGLE].best_nll,
                recipe=arms[mixture.same_as],
                accuracy=statistics.fmean(ours.values()),
                over_labels=paired(ours, labels),
                over_single=paired(ours, single),
                over_sweet_spot=paired(ours, spot),
            )
        )
    return rows


def trained_alike(pair: Pair) -> bool:
    """Say whether students of the mixtures trained as those of the sweet spot did."""
    spot = pair.exhaustive
    fresh = {row.training for row in pair.mixture_students if row.stage == "confirm"}
    return spot is None or fresh <= {spot.student.training}


def _confirmed(pair: Pair, kind: str, arms: dict[str, str]) -> dict[int, float]:
    return confirmed(pair.mixture_students, f"{kind} | {arms[kind]}", "test_accuracy")


def rendered(pairs: Iterable[Pair]) -> str:
    """Return the tables of every pair that tried mixtures."""
    every = [pair for pair in pairs if pair.mixtures]
    found = {pair.name: rows for pair in every if (rows := mixtures_of(pair))}
    if not found:
        return "*Not run.*"
    kinds = list(dict.fromkeys(row.kind for rows in found.values() for row in rows))
    each = [_kind_line([r for rows in found.values() for r in rows if r.kind == k]) for k in kinds]
    head = [
        "students of",
        "members, mean (of equal weight)",
        "NLL below that of the best single teacher, nats (on the examples that chose it)",
        "gain over the best single teacher, points",
        "gain over the sweet spot, points",
        "gain over hard labels, points",
        "best T",
    ]
    blends = [
        _pair_line(name, row) for name, rows in found.items() for row in rows if row.kind == BLEND
    ]
    known = [pair for pair in every if pair.name in found]
    ladders = [line for pair in known if (line := _ladder_line(pair))]
    rungs = ["pair", "recipe", *_STEPS]
    by_pair = [
        "pair",
        "members (of equal weight)",
        "recipe",
        "accuracy, %",
        "gain over the best single teacher, points",
        "gain over the sweet spot, points",
        "gain over hard labels, points",
    ]
    return "\n\n".join(
        [
            f"n = {len(found)} pairs; mean over pairs [95 % interval] (range).{_left_out(every)}",
            table(head, each),
            "The blend, pair by pair; mean over fresh seeds [95 % interval].",
            table(by_pair, blends),
            "What each rung of the ladder of the blend adds to the best single teacher, with the "
            "blend's recipe; in points, mean over fresh seeds [95 % interval].",
            table(rungs, [*ladders, _ladder_means(known)]),
        ]
    )


def _left_out(known: Iterable[Pair]) -> str:
    """Name the pairs whose mixtures cannot be compared with the sweet spot."""
    names = [f"`{pair.name}`" for pair in known if not trained_alike(pair)]
    if not names:
        return ""
    return (
        f" Left out, because students of mixtures were trained in another way: {', '.join(names)}."
    )


_STEPS = {
    "confidence": ("confidence_smoothing", None),
    "class similarity": ("class_similarity", "confidence_smoothing"),
    "similarity of each example": ("full_response", "class_similarity"),
    "in all": ("full_response", None),
}
"""What a blend can add: the gain of a rung over the one below it."""


def ladder_steps(pair: Pair) -> dict[str, tuple[float, ...]]:
    """Return what the blend adds to the best single at each step, one value for each fresh seed.

    A step is the accuracy of students of a rung minus that of the rung below; at the first, which
    is confidence, that of the rung itself, since those below ask no response. They add up to the
    difference in all. Empty where the ladder was not run.
    """
    found: dict[str, dict[int, float]] = {}
    for row in pair.mixture_students:
        if row.stage == "confirm" and row.test_accuracy is not None:
            found.setdefault(row.arm.partition(" | ")[0], {})[row.seed] = row.test_accuracy

    def step(kind: str, above: str, below: str | None) -> dict[int, float]:
        rung = found[f"{kind}: {above}"]
        base = found[f"{kind}: {below}"] if below else dict.fromkeys(rung, 0.0)
        return {seed: rung[seed] - base[seed] for seed in rung}

    if f"{BLEND}: full_response" not in found:
        return {}
    return {
        name: paired(step(BLEND, *rungs), step(SINGLE, *rungs)) for name, rungs in _STEPS.items()
    }


def _ladder_line(pair: Pair) -> list[str] | None:
    steps = ladder_steps(pair)
    if not steps:
        return None
    recipe = next(
        row.arm.partition(" | ")[2]
        for row in pair.mixture_students
        if row.arm.startswith(f"{BLEND}: ")
    )
    return [f"`{pair.name}`", recipe, *map(_interval, steps.values())]


def _ladder_means(pairs: Sequence[Pair]) -> list[str]:
    steps = [found for pair in pairs if (found := ladder_steps(pair))]
    means = (shown([100 * statistics.fmean(of[name]) for of in steps]) for name in _STEPS)
    return ["**mean over pairs**", "", *means]


def _kind_line(rows: Sequence[MixtureRow]) -> list[str]:
    temperatures = Counter(float(row.recipe.partition("T=")[2].split()[0]) for row in rows)
    alike = statistics.fmean(row.effective for row in rows)
    means = (
        [100 * statistics.fmean(getattr(row, name)) for row in rows]
        for name in ("over_single", "over_sweet_spot", "over_labels")
    )
    return [
        rows[0].kind,
        f"{fixed(statistics.fmean(row.members for row in rows), '.1f')} ({fixed(alike, '.1f')})",
        shown([-row.nll for row in rows], ranged=False),
        *map(shown, means),
        ", ".join(f"{t:g} ({n} x)" for t, n in sorted(temperatures.items())),
    ]


def _pair_line(name: str, row: MixtureRow) -> list[str]:
    return [
        f"`{name}`",
        f"{row.members} ({fixed(row.effective, '.1f')})",
        row.recipe,
        percent(row.accuracy),
        *map(_interval, (row.over_single, row.over_sweet_spot, row.over_labels)),
    ]


def _interval(differences: Sequence[float]) -> str:
    if len(differences) < 2:
        return ", ".join(map(points, differences)) or "-"
    found = over_runs(differences)
    return in_points(found.mean, found.low, found.high)


def verdicts(pairs: Sequence[Pair]) -> str:
    """Return the ladders of blends that were verified, each below that of its pair's sweet spot.

    Args:
        pairs: All of them, variations included.
    """
    by_name = {pair.name: pair for pair in pairs}
    rows = []
    for pair in pairs:
        if pair.pair.variation == BLEND and pair.verdict is not None:
            base = by_name.get(pair.name.removesuffix(f"--{BLEND}"))
            if base is not None and base.verdict is not None:
                rows.append(_verdict_line(base, "sweet spot", base.verdict))
            rows.append(_verdict_line(pair, BLEND, pair.verdict))
    if not rows:
        return "*Not run.*"
    rungs = (name.replace("_", " ") for name in RUNGS)
    return table(["study", "students", "teacher", "recipe", "seeds", *rungs, "verdict"], rows)


def _verdict_line(pair: Pair, teacher: str, verdict: Verdict) -> list[str]:
    return [
        f"`{pair.name}`",
        pair.kind_of_students,
        teacher,
        str(verdict.recipe),
        str(verdict.num_seeds),
        *(percent(rung.test_accuracy) for rung in verdict.ladder),
        verdict.verdict.replace("_", " "),
    ]
