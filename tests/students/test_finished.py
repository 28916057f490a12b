"""Were students trained enough: what a curve says, and what training them longer shows."""

import math
from types import SimpleNamespace

import pytest
import torch

from goodteacher.config import Recipe, Training
from goodteacher.records.arms import CROSS_ENTROPY, Arm, Checkpoint
from goodteacher.records.results import LearningPoint, StudentRow
from goodteacher.students.families import LONGER, MUCH
from goodteacher.students.finished import NUM_SEEDS, STEEP, may_be_short, second_half, unfinished

# --- what a curve says ---------------------------------------------------------------------------


def curve(*points):
    return tuple(
        LearningPoint(epoch=epoch, accuracy=0.5, nll=nll, training_loss=None)
        for epoch, nll in points
    )


@pytest.mark.parametrize(
    ("points", "gain"),
    [
        ([(1, 0.9), (2, 0.6), (4, 0.5)], 0.1),
        ([(1, 0.9), (3, 0.6), (4, 0.5)], 0.4),
        ([(2, 0.6), (5, 0.4)], 0.2),
        ([(2, 0.4), (4, 0.6)], -0.2),
        ([(3, 0.6), (4, 0.5)], math.inf),
        ([(4, 0.5)], math.inf),
        ([(2, None), (4, 0.5)], math.inf),
        ([(2, 0.5), (4, None)], math.inf),
        ([(1, None), (2, 0.6), (4, 0.5)], 0.1),
    ],
)
def test_second_half_counts_from_the_last_point_by_half_of_the_epochs(points, gain):
    assert second_half(curve(*points)) == pytest.approx(gain)


def students(*gains, status="ok"):
    return [
        StudentRow.model_construct(status=status, curve=curve((2, 0.5 + gain), (4, 0.5)))
        for gain in gains
    ]


@pytest.mark.parametrize(
    ("gains", "short"),
    [
        ([STEEP + 1e-6], True),
        ([STEEP - 1e-6], False),
        ([0.0, 3 * STEEP], True),
        ([0.0, 1.5 * STEEP], False),
        ([-1.0, 0.5], False),
        ([], False),
    ],
)
def test_training_may_be_short_where_the_mean_second_half_is_steep(gains, short):
    assert may_be_short(students(*gains)) == short


def test_students_that_diverged_say_nothing_of_the_length_of_training():
    lost = students(5.0, status="diverged")
    assert not may_be_short([*students(0.0), *lost])
    assert not may_be_short(lost)


# --- a second look: the same students, trained longer --------------------------------------------

N = 1000
FIRST = Training(epochs=4, batch_size=32, learning_rate=0.01)
DISTILLED = Arm(source=Checkpoint(run="batch 32", epoch=1), recipe=Recipe()).trained(FIRST)
LABELS = CROSS_ENTROPY.trained(FIRST)
ARMS = {"sweet_spot": DISTILLED, "cross_entropy": LABELS}


class PlantedTask:
    def __init__(self, seed, arms):
        self.seed, self.arms = seed, tuple(arms)
        self.key = f"{seed}-{'-'.join(str(arm.training.epochs) for arm in self.arms)}"

    def training_of(self, arm):
        return arm.training


class Planted:
    """Students whose accuracy is given by arm and epochs, each seed of its own luck; also a store.

    Each arm's curve falls in its second half by what `steep` gives.
    """

    def __init__(self, accuracy, *, steep, luck=0.0, seeds=(7, 3, 5)):
        self.accuracy, self.steep, self.luck = accuracy, steep, luck
        self.finished = [PlantedTask(seed, ARMS.values()) for seed in seeds]
        self.known = {task.key: task for task in self.finished}
        self.asked = []
        data = SimpleNamespace(selection=SimpleNamespace(labels=torch.zeros(N, dtype=torch.int64)))
        self.context = SimpleNamespace(store=self, data=data)

    def tasks(self, arms, training, *, stage, seeds, keep_state):
        assert (stage, keep_state) == ("check", False)
        made = [PlantedTask(seed, arms) for seed in seeds]
        self.known |= {task.key: task for task in made}
        return tuple(made)

    def train(self, name, tasks):
        self.asked += tasks
        return tasks

    def read_table(self, name, kind):
        task = self.known[name.split("/")[1]]
        points = [curve((2, 0.5 + self.steep[arm]), (4, 0.5)) for arm in task.arms]
        return [StudentRow.model_construct(status="ok", curve=each) for each in points]

    def read_tensors(self, name):
        task = self.known[name.split("/")[1]]
        luck = self.luck * (-1) ** task.seed
        right = [round(N * (self.accuracy(arm) + luck)) for arm in task.arms]
        wrong = [(torch.arange(N) >= count).to(torch.int32) for count in right]
        return {"predictions": torch.stack(wrong)}

    def unfinished(self):
        return unfinished(self, ARMS, self.finished)


STEEPLY, FLATLY = 10 * STEEP, 0.0


def gains(**by_name):
    """Accuracy that training longer adds, by name."""
    return lambda arm: (
        0.6
        + next(by_name.get(name, 0.0) for name, own in ARMS.items() if own.source == arm.source)
        * (arm.training.epochs > FIRST.epochs)
    )


def test_flat_curves_are_trusted_and_nothing_is_trained():
    planted = Planted(gains(sweet_spot=0.3), steep=dict.fromkeys(ARMS.values(), FLATLY))
    assert planted.unfinished() == ()
    assert planted.asked == []


def test_only_suspects_are_trained_again_longer_with_the_first_seeds():
    planted = Planted(gains(sweet_spot=0.1), steep={DISTILLED: STEEPLY, LABELS: FLATLY})
    assert planted.unfinished() == ("sweet_spot",)
    assert [task.seed for task in planted.asked] == [3, 5]
    assert len(planted.asked) == NUM_SEEDS
    for task in planted.asked:
        (arm,) = task.arms
        assert arm.trained(None) == DISTILLED.trained(None)
        assert arm.training == FIRST.model_copy(update={"epochs": LONGER * FIRST.epochs})


@pytest.mark.parametrize(
    ("gain", "expected"),
    [(MUCH + 0.002, ("sweet_spot",)), (MUCH - 0.002, ()), (0.0, ()), (-0.1, ())],
)
def test_students_are_unfinished_where_longer_training_makes_them_much_better(gain, expected):
    steep = dict.fromkeys(ARMS.values(), STEEPLY)
    assert Planted(gains(sweet_spot=gain), steep=steep).unfinished() == expected


def test_every_name_is_judged_by_its_own_students():
    steep = dict.fromkeys(ARMS.values(), STEEPLY)
    assert Planted(gains(cross_entropy=0.1), steep=steep).unfinished() == ("cross_entropy",)
    both = gains(cross_entropy=0.1, sweet_spot=0.1)
    assert Planted(both, steep=steep).unfinished() == ("sweet_spot", "cross_entropy")


def test_gain_within_its_own_chance_is_none():
    """One seed of two gains much, the other loses: the mean is above MUCH, and chance above it."""
    steep = {DISTILLED: STEEPLY, LABELS: FLATLY}
    planted = Planted(gains(sweet_spot=0.02), steep=steep, seeds=(2, 3))
    assert planted.unfinished() == ("sweet_spot",)
    plain = planted.read_tensors

    def of_one_seed(name):
        task = planted.known[name.split("/")[1]]
        longer = task.arms[0].training.epochs > FIRST.epochs
        shift = (0.1 if task.seed == 2 else -0.06) if longer else 0.0
        planted.accuracy = lambda arm: 0.6 + shift
        return plain(name)

    planted.read_tensors = of_one_seed
    assert planted.unfinished() == ()
