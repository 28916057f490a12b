"""Does the effect of the teacher's batch size survive other seeds, budgets and learning rates?

A pair is run again under each budget and rate rule (a *variation*), with teachers of several seeds.
The pair itself chooses which batch size is best and which is worst; the variations' teachers, of
seeds that the pair has not, say what that choice is worth: each teacher run is one draw. Every run
is looked at by the recipes that all of them tried. Student seeds and the selection split are the
same in all, so the interval is about teachers.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from goodteacher.maths.statistics import Interval
from goodteacher.records.words import percent, points, steady
from pairs import Pair
from reading import NotMeasuredError, Recipes, checkpoint_students, mean
from ruling import over_runs
from summaries import in_points, table

Best = dict[int, float]
"""For each batch size the accuracy of its best students, over epochs and recipes."""


@dataclass(frozen=True)
class SizeRow:
    """A pair, or one of its variations.

    Attributes:
        name: The pair's, or the variation's.
        students: Whether they were tuned: accuracies of lines of one kind can be compared.
        budget: Of its teachers.
        lr_rule: Of its teachers.
        seeds: The teacher runs that are looked at.
        best: Means over them.
        above: The pair's best batch size.
        below: The pair's worst one.
        effects: Best over worst of each run; empty of the pair, which chose them.
    """

    name: str
    students: str
    budget: str
    lr_rule: str
    seeds: tuple[int, ...]
    best: Best
    above: int
    below: int
    effects: tuple[float, ...]

    @property
    def interval(self) -> Interval | None:
        """Mean effect with its 95 % interval over teacher runs; None of fewer than two."""
        return over_runs(self.effects) if len(self.effects) > 1 else None


def size_rows(pairs: Sequence[Pair]) -> list[SizeRow]:
    """Return each pair that was run under other budgets or rates, then its variations.

    Args:
        pairs: All of them, variations included.
    """
    rows = []
    for base in pairs:
        if base.pair.variation is None and not base.pair.is_replicate:
            rows += _rows_of(base, [pair for pair in pairs if _varies(pair, base)])
    return rows


def _varies(pair: Pair, base: Pair) -> bool:
    """Say whether a pair is the other's with other teachers, and students of all of them."""
    key = pair.pair.first.model_copy(update={"variation": None})
    other = pair.pair.teacher_seed > 0 or _rates(pair) != _rates(base)
    return key.folder == base.name and other


def _rates(pair: Pair) -> tuple[str, str]:
    settings = pair.pair.settings
    return str(settings.get("budget", "-")), str(settings.get("lr_rule", "-"))


def _rows_of(base: Pair, variations: Sequence[Pair]) -> list[SizeRow]:
    students = {}
    for pair in [base, *variations]:
        try:
            students[pair.name] = checkpoint_students(pair)
        except NotMeasuredError:
            continue
    if base.name not in students or len(students) < 2:
        return []
    common = set.intersection(
        *(set(recipes) for of in students.values() for recipes in of.values())
    )
    best = {name: _best(of, common) for name, of in students.items()}
    sizes = sorted(best[base.name], key=lambda size: best[base.name][size])
    above, below = sizes[-1], sizes[0]

    def row(name: str, runs: Sequence[Pair], *, chose: bool) -> SizeRow:
        found = [best[run.name] for run in runs]
        effects = [of[above] - of[below] for of in found if above in of and below in of]
        means = {s: statistics.fmean(of[s] for of in found if s in of) for s in sorted(sizes)}
        seeds = tuple(run.pair.teacher_seed for run in runs)
        kinds = "/".join(dict.fromkeys(run.kind_of_students for run in runs))
        gains = () if chose else tuple(effects)
        return SizeRow(name, kinds, *_rates(runs[0]), seeds, means, above, below, gains)

    rows = [row(base.name, [base], chose=True)]
    by_variation: dict[str, list[Pair]] = {}
    for pair in variations:
        if pair.name in students:
            by_variation.setdefault(pair.pair.first.folder, []).append(pair)
    for name, runs in sorted(by_variation.items()):
        # The pair's own seed chose the sizes: its first weights and order are in every variation.
        fresh = [run for run in runs if run.pair.teacher_seed != base.pair.teacher_seed]
        rows.append(row(name, fresh or runs, chose=False))
    return rows


def _best(students: dict[tuple[int, int], Recipes], common: set[tuple[float, float]]) -> Best:
    found: Best = {}
    for (size, _), recipes in students.items():
        best = max(mean(recipes[recipe]) for recipe in common)
        found[size] = max(best, found.get(size, 0.0))
    return found


def rendered(pairs: Sequence[Pair]) -> str:
    """Return the table."""
    rows = size_rows(pairs)
    if not rows:
        return "*Not run.*"
    sizes = sorted({size for row in rows for size in row.best})
    head = [
        "pair",
        "students",
        "budget, rate rule",
        "teacher seeds",
        *map(str, sizes),
        "best over worst, points",
    ]
    return table(head, (_line(row, sizes) for row in rows))


def _line(row: SizeRow, sizes: Iterable[int]) -> list[str]:
    return [
        f"`{row.name}`",
        row.students,
        f"{row.budget}, {row.lr_rule}",
        ", ".join(map(str, row.seeds)),
        *(_accuracy(row.best, size) for size in sizes),
        _effect(row),
    ]


def _effect(row: SizeRow) -> str:
    which = f"batch {row.above} over {row.below}"
    if not row.effects:
        return f"chosen: {which}"
    found, number = row.interval, f"(n = {len(row.effects)})"
    if found is None:
        return f"{points(row.effects[0])} {number}"
    return f"{in_points(found.mean, found.low, found.high)} {number}"


def _accuracy(best: Best, size: int) -> str:
    if size not in best:
        return "-"
    shown = percent(best[size])
    largest = steady(best[size]) == steady(max(best.values()))
    return f"**{shown}**" if largest else shown
