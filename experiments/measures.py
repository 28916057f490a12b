"""What is measured of a pair for each part of the claims C1-C5; `claims.py` says why and decides.

Each function takes a pair and all pairs of the study (some parts compare a pair with its sibling)
and returns an estimate. What was not run raises `NotMeasuredError`, what a part does not ask of
this pair `NotApplicableError`.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from goodteacher.errors import InputError
from goodteacher.maths.statistics import adjusted_level, crossed_interval
from goodteacher.records.results import References, TrajectoryRecord, Verdict
from goodteacher.records.words import fixed, percent
from pairs import Pair, confirmed
from reading import (
    NotApplicableError,
    NotMeasuredError,
    Recipes,
    Seeds,
    Similarity,
    arms_of_batch_sizes,
    best_accuracy,
    best_recipe,
    blocks_of,
    checkpoint_students,
    label_students,
    mean,
    recoverable,
    similarity_at,
    trajectories,
)
from ruling import (
    DIFFERENCE,
    SHARE,
    Estimate,
    Points,
    one_value,
    over_runs,
    rank_interval,
    recovered,
    restated,
)

Study = Sequence[Pair]
Measure = Callable[[Pair, Study], Estimate]

SEEDS, TRAJECTORIES, BLOCKS = "student seeds", "trajectories", "runs of checkpoints"
LATE = 4
"""From this epoch on a teacher is trained, not beginning to be."""
BLOCK = 3
"""Most checkpoints in a run of neighbours that the jackknife leaves out together."""


# --- C1: similarity information and the students' accuracy -----------------------------------


def at_common_temperature(from_epoch: int) -> Measure:
    """Correlate S at T = 1 with students at T = 1, over the checkpoints from an epoch on."""
    return _correlation(
        lambda pair: (
            lambda record, recipes: (
                similarity_at(1.0)(record),
                best_accuracy(recipes, 1.0),
            )
        ),
        from_epoch,
    )


def at_own_temperature(from_epoch: int) -> Measure:
    """Correlate students at each teacher's best T with S at that T."""

    def point(record: TrajectoryRecord, recipes: Recipes) -> tuple[float, float]:
        recipe = best_recipe(recipes)
        return similarity_at(recipe[0])(record), mean(recipes[recipe])

    return _correlation(lambda pair: point, from_epoch)


def at_largest(from_epoch: int) -> Measure:
    """Correlate students at each teacher's best T with the largest S over T."""
    return _correlation(
        lambda pair: lambda record, recipes: (recoverable(pair)(record), best_accuracy(recipes)),
        from_epoch,
    )


_Point = Callable[[TrajectoryRecord, Recipes], tuple[float, float]]


def _correlation(point_of: Callable[[Pair], _Point], from_epoch: int) -> Measure:
    def measure(pair: Pair, study: Study) -> Estimate:
        students, point = checkpoint_students(pair), point_of(pair)
        blocks: list[Points] = [
            [point(r, students[r.batch_size, r.epoch]) for r in block]
            for records in trajectories(pair).values()
            for block in blocks_of(
                [r for r in records if r.epoch >= from_epoch and _has_students(r, students)], BLOCK
            )
        ]
        if len(blocks) < 3:
            raise NotMeasuredError(f"{len(blocks)} runs of checkpoints; an interval takes 3")
        try:
            interval = rank_interval(blocks)
        except InputError as error:
            raise NotMeasuredError("ranks need 4 checkpoints that differ") from error
        return Estimate(interval, BLOCKS, details={"checkpoints": sum(map(len, blocks))})

    return measure


def _has_students(record: TrajectoryRecord, students: Mapping[tuple[int, int], Recipes]) -> bool:
    return (record.batch_size, record.epoch) in students


def similarity_taught(pair: Pair, study: Study) -> Estimate:
    """Return what similarity adds by the ladder: rung 4 minus rung 2, test accuracy."""
    verdict = _verdict(pair)
    effect = verdict.knowledge
    interval = restated(effect.mean, effect.interval, level=verdict.level, seeds=verdict.num_seeds)
    return Estimate(interval, SEEDS, details={"teacher": verdict.teacher})


def over_best_regularizer(pair: Pair, study: Study) -> Estimate:
    """Return the full response minus the best regularizer, test accuracy.

    What similarity adds to rung 2 may only repair what rung 2 broke; this is what it is worth.
    """
    verdict = _verdict(pair)
    effect = verdict.over_best_regularizer
    interval = restated(effect.mean, effect.interval, level=verdict.level, seeds=verdict.num_seeds)
    return Estimate(interval, SEEDS, details={"regularizer": verdict.best_regularizer})


# --- C2: what a converged teacher loses ------------------------------------------------------


def lost_at_common_temperature(pair: Pair, study: Study) -> Estimate:
    """Return the share of the trajectory's peak of S at T = 1 that the last epoch lacks."""
    return _lost(pair, similarity_at(1.0))


def lost_recoverable(pair: Pair, study: Study) -> Estimate:
    """Return the same of the largest S over T."""
    return _lost(pair, recoverable(pair))


def lost_at_students_temperature(pair: Pair, study: Study) -> Estimate:
    """Return the same of S at the T that serves each checkpoint's students best."""
    students = checkpoint_students(pair)
    if any(not _has_students(r, students) for of in _long(pair).values() for r in of):
        raise NotMeasuredError("some checkpoint has no students")
    return _lost(
        pair,
        lambda r: similarity_at(best_recipe(students[r.batch_size, r.epoch])[0])(r),
    )


def _lost(pair: Pair, similarity: Similarity) -> Estimate:
    values = {
        size: [similarity(record) for record in records] for size, records in _long(pair).items()
    }
    if any(max(of) <= 0 for of in values.values()):
        raise NotMeasuredError("no similarity information at any epoch")
    shares = {size: 1 - of[-1] / max(of) for size, of in values.items()}
    epochs = {size: [r.epoch for r in records] for size, records in _long(pair).items()}
    details = {
        "lost": shares,
        "peak": {size: max(of) for size, of in values.items()},
        "peak_epoch": {size: epochs[size][of.index(max(of))] for size, of in values.items()},
        "slope": {size: _slope(epochs[size], of) for size, of in values.items()},
    }
    return Estimate(over_runs(list(shares.values()), bounds=SHARE), TRAJECTORIES, details=details)


def _slope(epochs: Sequence[int], values: Sequence[float]) -> float | None:
    """Return by how many doublings S changes as the epochs double, from epoch 4 on."""
    late = [
        (math.log2(epoch), math.log2(value))
        for epoch, value in zip(epochs, values, strict=True)
        if epoch >= LATE and value > 0
    ]
    if len(late) < 2:
        return None
    return statistics.linear_regression(*zip(*late, strict=True)).slope


def _long(pair: Pair) -> dict[int, list[TrajectoryRecord]]:
    """Return the trajectories of at least two epochs, at least two of them."""
    found = {size: records for size, records in trajectories(pair).items() if len(records) > 1}
    if len(found) < 2:
        raise NotMeasuredError(f"{len(found)} trajectories; an interval takes 2")
    return found


def lower_in_large(of: Callable[[Pair], Similarity]) -> Measure:
    """Compare S at the last epoch between a large teacher and its small sibling, in doublings."""

    def measure(pair: Pair, study: Study) -> Estimate:
        if pair.pair.teacher_role != "large":
            raise NotApplicableError
        small = sibling(pair, study, teacher_role="small")
        last = [{k: of(p)(r[-1]) for k, r in _long(p).items()} for p in (pair, small)]
        sizes = sorted(k for k in last[0].keys() & last[1] if min(last[0][k], last[1][k]) > 0)
        if len(sizes) < 2:
            raise NotMeasuredError(f"{len(sizes)} batch sizes that both teachers have")
        ratios = {size: math.log2(last[1][size] / last[0][size]) for size in sizes}
        return Estimate(
            over_runs(list(ratios.values())), TRAJECTORIES, details={"log2_ratio": ratios}
        )

    return measure


def sibling(pair: Pair, study: Study, **changed: str | None) -> Pair:
    """Return the pair that differs in what is given and in nothing else.

    Raises:
        NotMeasuredError: It is not in the study.
    """
    key = pair.pair.model_copy(update=changed)
    for other in study:
        if other.name == key.folder:
            return other
    raise NotMeasuredError(f"{key.folder} was not run")


# --- C3: one example, one class --------------------------------------------------------------


def one_class(pair: Pair, study: Study) -> Estimate:
    """Return the share of examples of fewer than 1.05 effective classes at T = 1, last epoch."""
    last = {size: records[-1].at("transfer") for size, records in _long(pair).items()}
    classes = {size: found.effective_classes for size, found in last.items()}
    note = f"effective classes {fixed(min(classes.values()))} to {fixed(max(classes.values()))}"
    interval = over_runs([found.share_one_hot for found in last.values()], bounds=SHARE)
    return Estimate(interval, TRAJECTORIES, note, {"effective_classes": classes})


def gain_at_common_temperature(pair: Pair, study: Study) -> Estimate:
    """Return what students of converged teachers gain over cross-entropy at T = 1, response alone.

    "Response alone" is the largest alpha that was tried.
    """

    def response_alone(recipes: Recipes) -> Seeds:
        alphas = [alpha for temperature, alpha in recipes if temperature == 1.0]
        if not alphas:
            raise NotMeasuredError("no student was trained at T = 1")
        return recipes[1.0, max(alphas)]

    labels = label_students(pair)
    return _over_seeds({k: (response_alone(of), labels) for k, of in _converged(pair).items()})


def gain_of_temperature(pair: Pair, study: Study) -> Estimate:
    """Return what the best T adds to students of converged teachers, over their best at T = 1."""
    return _over_seeds(
        {
            size: (recipes[best_recipe(recipes)], recipes[best_recipe(recipes, 1.0)])
            for size, recipes in _converged(pair).items()
        }
    )


def _converged(pair: Pair) -> dict[int, Recipes]:
    """Return the students of each trajectory's last checkpoint."""
    students = checkpoint_students(pair)
    last = {size: records[-1] for size, records in _long(pair).items()}
    found = {k: students[k, r.epoch] for k, r in last.items() if _has_students(r, students)}
    if len(found) < 2:
        raise NotMeasuredError(f"{len(found)} converged teachers have students; it takes 2")
    return found


def _over_seeds(compared: Mapping[int, tuple[Seeds, Seeds]]) -> Estimate:
    """Return a paired difference over seeds and trajectories, both drawn by chance."""
    seeds = sorted(set.intersection(*(set(side) for both in compared.values() for side in both)))
    if not seeds:
        raise NotMeasuredError("no student seed is common to both sides")
    differences = [[a[seed] - b[seed] for a, b in compared.values()] for seed in seeds]
    # Two seeds at a level for 15 pairs would reach far beyond what accuracies can differ by.
    interval = dataclasses.replace(crossed_interval(differences), bounds=DIFFERENCE)
    by_size = dict(zip(compared, np.mean(differences, axis=0).tolist(), strict=True))
    return Estimate(interval, SEEDS, details={"difference": by_size})


# --- C4: the sweet spot ----------------------------------------------------------------------


def sweet_spot_over(reference: str) -> Measure:
    """Compare the sweet spot with a reference: test accuracy, fresh paired seeds."""

    def measure(pair: Pair, study: Study) -> Estimate:
        if pair.exhaustive is None:
            raise NotMeasuredError("the exhaustive search was not run")
        found, ours = getattr(pair.exhaustive.references, reference), pair.exhaustive.student
        if found.interval is None:
            note = "the sweet spot is this very arm"
            return Estimate(None, SEEDS, note, decided="does not hold", known=0.0)
        by_seed = [
            confirmed(pair.students, each.arm, "test_accuracy", each.training)
            for each in (ours, found)
        ]
        level = pair.exhaustive.level
        interval = recovered(
            found.difference,
            found.interval,
            found.adjusted_interval,
            levels=(level, adjusted_level(level, len(References.model_fields))),
            by_seed=[by_seed[0][s] - by_seed[1][s] for s in sorted(by_seed[0].keys() & by_seed[1])],
        )
        return Estimate(interval, SEEDS, details={"reference": found.arm, "sweet_spot": ours.arm})

    return measure


def within_epochs(pair: Pair, study: Study) -> Estimate:
    """Say whether the sweet spot lies before its trajectory's last epoch and after its first."""
    if pair.exhaustive is None:
        raise NotMeasuredError("the exhaustive search was not run")
    teacher = pair.exhaustive.teacher
    epochs = [record.epoch for record in trajectories(pair).get(teacher.batch_size, [])]
    if not epochs:
        raise NotMeasuredError("the trajectory of the sweet spot was not kept")
    sizes = sorted(trajectories(pair))
    edge = "an edge" if teacher.batch_size in (sizes[0], sizes[-1]) else "inside"
    variant = "" if teacher.variant == "raw" else f", {teacher.variant}"
    note = f"batch {teacher.batch_size} ({edge}), epoch {teacher.epoch} of {max(epochs)}{variant}"
    if teacher.epoch == max(epochs):
        return Estimate(None, SEEDS, note, decided="does not hold")
    if teacher.epoch == min(epochs):
        note += "; earlier ones were not recorded"
        return Estimate(None, SEEDS, note, decided="undecided")
    return Estimate(None, SEEDS, note, decided="holds")


def batch_size_effect(pair: Pair, study: Study) -> Estimate:
    """Compare the best with the worst batch size, each at its best, by other students' choice.

    The choice is made by all seeds but one and measured on that one. With a single seed the
    pair's sibling, the other student, chooses; that gives one value and no interval.
    """
    arms = arms_of_batch_sizes(pair)
    if len(arms) < 2:
        raise NotMeasuredError("one batch size only")
    best = {size: max(mean(seeds) for seeds in of) for size, of in arms.items()}
    details = {"best_accuracy": best}
    seeds = sorted({seed for of in arms.values() for one in of for seed in one})
    if len(seeds) > 1:
        left_out = [_held_out_effect(arms, seed) for seed in seeds]
        return Estimate(over_runs(left_out, bounds=DIFFERENCE), SEEDS, details=details)
    other = {"wide": "narrow", "narrow": "wide"}[pair.pair.student_role]
    chosen = arms_of_batch_sizes(sibling(pair, study, student_role=other))
    sizes = sorted(arms.keys() & chosen, key=lambda size: max(map(mean, chosen[size])))
    if len(sizes) < 2:
        raise NotMeasuredError("the sibling has other batch sizes")
    return Estimate(one_value(best[sizes[-1]] - best[sizes[0]]), SEEDS, details=details)


def _held_out_effect(arms: Mapping[int, Sequence[Seeds]], left_out: int) -> float:
    """Return the best minus the worst batch size on one seed, chosen by the others."""

    def by_others(seeds: Seeds) -> float:
        return statistics.fmean(value for seed, value in seeds.items() if seed != left_out)

    chosen = {size: max(of, key=by_others) for size, of in arms.items() if of}
    order = sorted(chosen, key=lambda size: by_others(chosen[size]))
    return chosen[order[-1]][left_out] - chosen[order[0]][left_out]


# --- C5: knowledge or regularization ---------------------------------------------------------


def told_apart(pair: Pair, study: Study) -> Estimate:
    """Say whether the verdict decided, and what it would take."""
    verdict = _verdict(pair)
    details = {"verdict": verdict.verdict, "num_seeds": verdict.num_seeds}
    if verdict.verdict != "inconclusive":
        note = f"{verdict.verdict.replace('_', ' ')} ({verdict.num_seeds} seeds)"
        return Estimate(None, SEEDS, note, details, decided="holds")
    if verdict.more_seeds is None:
        note = (
            f"inconclusive ({verdict.num_seeds} seeds); this test split resolves "
            f"{percent(verdict.resolvable_margin)} points at best"
        )
        return Estimate(None, SEEDS, note, details, decided="does not hold")
    note = f"inconclusive ({verdict.num_seeds} seeds)"
    needed = verdict.num_seeds + verdict.more_seeds
    return Estimate(None, SEEDS, note, details, decided="undecided", needed=needed)


def _verdict(pair: Pair) -> Verdict:
    if pair.verdict is None:
        raise NotMeasuredError("the sweet spot was not verified")
    return pair.verdict
