"""What the claims and the figures ask of a pair: its trajectories, and what its students reached.

Only single checkpoints (variant `raw`) and the canonical loss (`kl`) are looked at: the claims are
about a teacher's batch size and epochs, and T has no meaning in some of the other losses.
Accuracies of students are those on the selection split, where every checkpoint has students.
"""

from __future__ import annotations

import itertools
import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from goodteacher.records.results import StudentRow, TrajectoryRecord
from goodteacher.sweet_spot.scores import trained_alike
from pairs import Pair

Key = tuple[int, int]
"""A checkpoint: batch size and epoch."""
Seeds = Mapping[int, float]
"""Accuracy on the selection split for each student seed."""
Recipes = Mapping[tuple[float, float], Seeds]
"""The students of one teacher: (temperature, alpha) to accuracies."""

Similarity = Callable[[TrajectoryRecord], float]


class NotMeasuredError(Exception):
    """What a claim asks for was not run; the message says what."""


class NotApplicableError(Exception):
    """The claim asks nothing of this pair."""


def trajectories(pair: Pair) -> dict[int, list[TrajectoryRecord]]:
    """Return the checkpoints of each batch size, in the order of their epochs."""
    found: dict[int, list[TrajectoryRecord]] = defaultdict(list)
    for record in pair.teachers:
        if record.variant == "raw":
            found[record.batch_size].append(record)
    return {size: sorted(found[size], key=lambda r: r.epoch) for size in sorted(found)}


def similarity_at(temperature: float) -> Similarity:
    """Return what gives the similarity information on the transfer set at a temperature, nats.

    It raises NotMeasuredError of a teacher that was not measured there: students may have been
    tried at temperatures beyond those of the settings.
    """

    def similarity(record: TrajectoryRecord) -> float:
        try:
            return record.at("transfer", temperature).similarity
        except KeyError:
            text = f"{record.source} was not measured at T = {temperature:g}"
            raise NotMeasuredError(text) from None

    return similarity


def temperatures(pair: Pair) -> list[float]:
    """Return the temperatures at which every checkpoint was measured on the transfer set."""
    measured = [
        {m.temperature for m in record.measurements if m.split == "transfer"}
        for records in trajectories(pair).values()
        for record in records
    ]
    return sorted(set.intersection(*measured)) if measured else []


def recoverable(pair: Pair) -> Similarity:
    """Return what gives the most similarity information over the common temperatures, nats."""
    grid = temperatures(pair)
    return lambda record: max(record.at("transfer", t).similarity for t in grid)


def singles_competed(pair: Pair) -> bool:
    """Say whether plain checkpoints were candidates, and not references alone."""
    return "raw" in pair.pair.settings.get("variants", ["raw"])


def checkpoint_students(pair: Pair) -> dict[Key, Recipes]:
    """Return the students of every checkpoint, from the exhaustive search.

    Raises:
        NotMeasuredError: There was no exhaustive search, or single checkpoints did not compete in
            it: then only those that are references have students.
    """
    if not singles_competed(pair):
        raise NotMeasuredError("single checkpoints did not compete")
    found: dict[Key, dict[tuple[float, float], dict[int, float]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for row in _searched(pair):
        if row.source == "checkpoint" and row.variant == "raw" and row.loss == "kl":
            assert row.run is not None
            assert row.epoch is not None
            recipe = (row.temperature, row.alpha)
            found[pair.sizes[row.run], row.epoch][recipe][row.seed] = row.selection_accuracy
    return {key: {recipe: dict(seeds) for recipe, seeds in of.items()} for key, of in found.items()}


def label_students(pair: Pair) -> Seeds:
    """Return the students of plain cross-entropy, from the exhaustive search.

    Raises:
        NotMeasuredError: There was no exhaustive search.
    """
    return {row.seed: row.selection_accuracy for row in _searched(pair) if row.source == "one_hot"}


def tuned_smoothing(pair: Pair) -> Seeds:
    """Return the students of the best strength of label smoothing, from the exhaustive search.

    Raises:
        NotMeasuredError: There was no exhaustive search.
    """
    by_strength: dict[float | None, dict[int, float]] = defaultdict(dict)
    for row in _searched(pair):
        if row.source == "smoothing":
            by_strength[row.smoothing][row.seed] = row.selection_accuracy
    return max(by_strength.values(), key=mean, default={})


def mean(seeds: Seeds) -> float:
    """Return the mean over the seeds."""
    return statistics.fmean(seeds.values())


def best_recipe(recipes: Recipes, temperature: float | None = None) -> tuple[float, float]:
    """Return the recipe of the highest mean accuracy; at equal accuracy, the lower temperature.

    Args:
        recipes: The students of one teacher.
        temperature: Only recipes at this temperature; all by default.

    Raises:
        NotMeasuredError: No student was trained at this temperature.
    """
    allowed = sorted(r for r in recipes if temperature is None or r[0] == temperature)
    if not allowed:
        raise NotMeasuredError(f"no student was trained at T = {temperature}")
    return max(allowed, key=lambda recipe: mean(recipes[recipe]))


def best_accuracy(recipes: Recipes, temperature: float | None = None) -> float:
    """Return the highest mean accuracy over the recipes, at one temperature or at any."""
    return mean(recipes[best_recipe(recipes, temperature)])


def arms_of_batch_sizes(pair: Pair) -> dict[int, list[Seeds]]:
    """Return, for each batch size, the students of each of its checkpoints and recipes.

    Arms of which some seed diverged are left out, so that all have the same seeds.

    Raises:
        NotMeasuredError: There was no exhaustive search.
    """
    found: dict[int, list[Seeds]] = defaultdict(list)
    students = checkpoint_students(pair)
    seeds = {seed for recipes in students.values() for of in recipes.values() for seed in of}
    for (batch_size, _), recipes in sorted(students.items()):
        found[batch_size].extend(of for of in recipes.values() if set(of) == seeds)
    return dict(found)


def blocks_of(records: Sequence[TrajectoryRecord], size: int) -> list[list[TrajectoryRecord]]:
    """Cut one trajectory into as few runs of neighbouring epochs as have at most ``size`` each.

    Their lengths differ by one at most.
    """
    count = -(-len(records) // size)
    cuts = [round(number * len(records) / count) for number in range(count + 1)] if count else []
    return [list(records[a:b]) for a, b in itertools.pairwise(cuts)]


def _searched(pair: Pair) -> list[StudentRow]:
    """Return students that all trained alike, so not those of what was tried beyond an edge."""
    rows = [row for row in trained_alike(pair.students) if row.status == "ok"]
    if not rows:
        raise NotMeasuredError("the exhaustive search was not run")
    return rows
