"""Families are explored equally; edges grow for all; epochs only while they pay."""

import math

import numpy as np
import pytest
import torch

from goodteacher.config import Recipe, Training
from goodteacher.records.arms import CROSS_ENTROPY, Arm, Checkpoint, SmoothingSource, smoothing_arm
from goodteacher.records.results import StudentRow
from goodteacher.students.families import LONGER, RECIPE_AXES, Rules, explore

N = 1000
FIRST = Training(epochs=10, batch_size=32, learning_rate=0.004)
TEACHER = Checkpoint(run="batch 128", epoch=4)


def recipe_arm(temperature, alpha=1.0):
    return Arm(source=TEACHER, recipe=Recipe(temperature=temperature, alpha=alpha))


def rules(**changes):
    values = {
        "first": FIRST,
        "rounds": (10, 30),
        "wins_from": 10,
        "longest": 270,
        "keep": 1 / 3,
        "learning_rates": (0.00025, 0.064),
        "batch_sizes": (32, 32),
        **changes,
    }
    return Rules(**values)


class Planted:
    """Students whose accuracy is a function of their arm; a store and a trainer in one."""

    def __init__(self, accuracy, seeds=2):
        self.accuracy, self.seeds, self.trained, self.tasks = accuracy, seeds, [], {}
        self.notes = []

    def train(self, number, arms):
        self.trained.append(list(arms))
        tasks = tuple(PlantedTask(seed, tuple(arms), number) for seed in range(self.seeds))
        self.tasks |= {task.key: task for task in tasks}
        return tasks

    def _task(self, name):
        _, key, _ = name.split("/")
        return self.tasks[key]

    def read_table(self, name, kind):
        assert name.endswith("/rows.parquet")
        return [row(self.accuracy(arm)) for arm in self._task(name).arms]

    def read_tensors(self, name):
        assert name.endswith("/selection.safetensors")
        right = [round(N * self.accuracy(arm)) for arm in self._task(name).arms]
        wrong = [(torch.arange(N) >= count).to(torch.int32) for count in right]
        return {"predictions": torch.stack(wrong)}

    def explored(self, families, **changes):
        return explore(
            families,
            train=self.train,
            store=self,
            labels=np.zeros(N, dtype=np.int64),
            rules=rules(**changes),
            note=self.notes.append,
        )


class PlantedTask:
    def __init__(self, seed, arms, number):
        self.seed, self.arms, self.key = seed, arms, f"{number}-{seed}"


def row(accuracy):
    return StudentRow.model_construct(selection_accuracy=accuracy)


def by_epochs(values):
    """Accuracy by the number of epochs; the last value for all beyond."""
    return lambda arm: values[min(int(math.log(arm.training.epochs / 10, 3)), len(values) - 1)]


def test_every_family_is_tried_with_the_same_epochs():
    def accuracy(arm):  # only students of the teacher gain from patience
        epochs = arm.training.epochs
        return 0.8 + (0.03 * math.log(epochs, 3) if arm.source == TEACHER else 0.0)

    planted = Planted(accuracy)
    found = planted.explored({"labels": [CROSS_ENTROPY], "teacher": [recipe_arm(1.0)]})
    tried = {name: {a.training.epochs for a in arms} for name, arms in found.families.items()}
    assert tried["labels"] == tried["teacher"] == {10, 30, 90, 270}
    assert found.winners["teacher"].training.epochs == 270
    assert found.winners["labels"].training.epochs == 10


def test_no_epochs_are_added_once_they_do_not_pay():
    found = Planted(by_epochs([0.80, 0.85, 0.8505, 0.95])).explored({"labels": [CROSS_ENTROPY]})
    assert max(a.training.epochs for a in found.families["labels"]) == 90
    assert found.winners["labels"].training.epochs == 30, "within the tolerance fewer epochs win"
    short = Planted(by_epochs([0.80, 0.804, 0.95])).explored({"labels": [CROSS_ENTROPY]})
    assert max(a.training.epochs for a in short.families["labels"]) == 30
    assert found.improving == ()


def test_family_that_still_improves_at_the_limit_is_named():
    found = Planted(by_epochs([0.80, 0.82, 0.84, 0.86])).explored({"labels": [CROSS_ENTROPY]})
    assert found.improving == ("labels",)


def test_chance_at_the_limit_is_no_improvement():
    found = Planted(by_epochs([0.80, 0.82, 0.84, 0.844])).explored({"labels": [CROSS_ENTROPY]})
    assert found.winners["labels"].training.epochs == 270
    assert found.improving == ()


def test_named_epochs_are_the_only_ones_that_count():
    planted = Planted(by_epochs([0.99, 0.80]))
    found = planted.explored(
        {"labels": [CROSS_ENTROPY]},
        rounds=(10, 30),
        wins_from=30,
        longest=30,
        learning_rates=(0.004, 0.004),
    )
    assert found.winners["labels"].training == FIRST.model_copy(update={"epochs": 30})
    assert found.improving == ()


def test_temperature_on_an_edge_grows_for_every_family_alike():
    def accuracy(arm):
        # The sweet spot wants T = 16; the other teacher is best inside the grid, at T = 2.
        goal = 16.0 if arm.source == TEACHER else 2.0
        return 0.9 - 0.01 * abs(math.log2(arm.recipe.temperature / goal))

    other = Checkpoint(run="batch 32", epoch=2)
    grid = [Recipe(temperature=t) for t in (1.0, 2.0, 4.0)]
    families = {
        "ours": [Arm(source=TEACHER, recipe=r) for r in grid],
        "theirs": [Arm(source=other, recipe=r) for r in grid],
    }
    found = Planted(accuracy).explored(families)
    assert found.winners["ours"].recipe.temperature == 16.0
    assert found.winners["theirs"].recipe.temperature == 2.0
    tried = {n: {a.recipe.temperature for a in arms} for n, arms in found.families.items()}
    assert {8.0, 16.0, 32.0} <= tried["ours"] & tried["theirs"]


def test_smoothing_on_an_edge_grows_and_inside_it_does_not():
    def accuracy_at(best):
        return lambda arm: 0.9 - 0.02 * abs(math.log2(arm.source.smoothing / best))

    families = {"smoothing": [smoothing_arm(s) for s in (0.05, 0.1, 0.2)]}
    grown = Planted(accuracy_at(0.4)).explored(families)
    assert grown.winners["smoothing"].source == SmoothingSource(smoothing=0.4)
    kept = Planted(accuracy_at(0.1)).explored(families)
    assert {a.source.smoothing for a in kept.families["smoothing"]} == {0.05, 0.1, 0.2}


def test_limit_of_an_axis_is_told_and_alpha_one_is_none():
    found = Planted(lambda arm: 0.5 + arm.recipe.temperature / 1000 + arm.recipe.alpha / 100)
    explored = found.explored({"ours": [recipe_arm(4.0, alpha=a) for a in (0.5, 1.0)]})
    assert explored.winners["ours"].recipe == Recipe(temperature=64.0, alpha=1.0)
    assert [(e.family, e.axis, e.value) for e in explored.edges] == [("ours", "temperature", 64.0)]


@pytest.mark.parametrize("best", [0.001, 0.032])
def test_every_family_finds_its_own_learning_rate(best):
    def accuracy(arm):
        goal = best if arm.source == TEACHER else 0.004
        return 0.9 - 0.01 * abs(math.log2(arm.training.learning_rate / goal))

    found = Planted(accuracy).explored({"labels": [CROSS_ENTROPY], "teacher": [recipe_arm(1.0)]})
    assert found.winners["teacher"].training.learning_rate == pytest.approx(best)
    assert found.winners["labels"].training.learning_rate == pytest.approx(0.004)


def test_smaller_batches_are_tried_only_where_rules_allow_them():
    def accuracy(arm):
        return 0.9 - arm.training.batch_size / 1000

    few = Planted(accuracy).explored({"labels": [CROSS_ENTROPY]}, batch_sizes=(8, 32))
    assert few.winners["labels"].training.batch_size == 8
    assert few.edges == ()
    within = {a.training.epochs / a.training.batch_size for a in few.families["labels"]}
    assert max(within) <= 270 / 32, "a smaller batch may not take more steps than the longest run"
    many = Planted(accuracy).explored({"labels": [CROSS_ENTROPY]})
    assert many.winners["labels"].training.batch_size == 32


def test_the_best_third_goes_on_and_an_arm_of_two_families_is_trained_once():
    arms = [recipe_arm(2.0**k) for k in range(6)]
    planted = Planted(lambda arm: 0.8 + arm.recipe.temperature / 1000)
    planted.explored({"all": arms, "some": arms[:1]}, grows=frozenset(), learning_rates=(1.0, 1.0))
    first, second, *_ = planted.trained
    assert len(first) == len(set(first)) == 6
    assert {arm.recipe.temperature for arm in second} == {16.0, 32.0, 1.0}


def test_nothing_grows_where_no_axis_may():
    planted = Planted(lambda arm: 0.8 + arm.recipe.temperature / 1000)
    found = planted.explored(
        {"ours": [recipe_arm(1.0), recipe_arm(2.0)]},
        grows=frozenset(),
        learning_rates=(0.004, 0.004),
    )
    assert {arm.recipe.temperature for arm in found.families["ours"]} == {1.0, 2.0}


def test_longer_trainings_are_tried_at_half_the_learning_rate_too():
    def accuracy(arm):
        slow = arm.training.learning_rate < 0.004
        return (
            0.8
            + 0.02 * math.log(arm.training.epochs, 3)
            + 0.01 * (slow if arm.training.epochs > 30 else not slow)
        )

    found = Planted(accuracy).explored({"labels": [CROSS_ENTROPY]})
    assert found.winners["labels"].training.learning_rate == pytest.approx(0.002)


def test_axes_say_what_they_are():
    assert set(RECIPE_AXES) == {"temperature", "alpha", "smoothing"}
    assert LONGER == 3
