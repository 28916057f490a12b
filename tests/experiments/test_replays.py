"""Replays find what a search under another default would have found, on planted students."""

import dataclasses
from types import SimpleNamespace

import pytest

import replays
from goodteacher.records.results import StudentRow
from replays import KEPT, Tried, of_first_round, of_shortlist, of_temperatures, of_variants, tried

ACCURACY = {"good": 0.9, "fair": 0.8, "poor": 0.7}


def student(teacher, seed, accuracy, *, temperature=1.0, stage="search", rung=0, epochs=9):
    return StudentRow(
        task="",
        stage=stage,
        rung=rung,
        seed=seed,
        arm=f"{teacher} | kl T={temperature:g}",
        source="checkpoint",
        variant="raw",
        loss="kl",
        temperature=temperature,
        alpha=0.5,
        standardize=False,
        student_epochs=epochs,
        student_batch_size=32,
        student_learning_rate=2e-3,
        curve=(),
        status="ok",
        training_loss=None,
        selection_accuracy=accuracy,
        student_seconds=1.0,
    )


def whole(seeds=(0, 1), temperatures=(1.0, 2.0, 4.0, 8.0)):
    """A hotter student is better by a thousandth for each degree."""
    return [
        student(teacher, seed, accuracy + 0.001 * t, temperature=t)
        for teacher, accuracy in ACCURACY.items()
        for seed in seeds
        for t in temperatures
    ]


@dataclasses.dataclass
class Made:
    students: list
    default_students: list = dataclasses.field(default_factory=list)
    order: tuple = ("fair", "good", "poor")
    search: object = None
    mixtures: dict = dataclasses.field(default_factory=dict)

    @property
    def teachers(self):
        """Their held-out NLL ranks them: the best one is second."""
        return tuple(
            SimpleNamespace(source=name, variant="raw", best_nll=float(place))
            for place, name in enumerate(self.order)
        )


@pytest.fixture(autouse=True)
def _ranked(monkeypatch):
    monkeypatch.setattr(replays, "shortlist", lambda records, size: list(records)[:size])


def test_a_shortlist_of_one_misses_the_best_teacher():
    found = of_shortlist(Made(whole()))
    assert found["1"].accuracy == pytest.approx(0.808)
    assert found["2"].accuracy == found["all"].accuracy == pytest.approx(0.908)
    assert found["1"].cost == pytest.approx(1 / 3)  # of three teachers there are
    assert found["8"].cost == pytest.approx(1.0)


def test_one_seed_cannot_be_left_out():
    made = Made(whole(seeds=(0,)))
    assert tried(made) is None
    assert of_shortlist(made) == of_temperatures(made) == of_first_round(made) == {}


def test_temperatures_are_restricted():
    found = of_temperatures(Made(whole()))
    assert found["1"].accuracy == pytest.approx(0.901)
    assert found["1, 2, 4, 8"].accuracy == pytest.approx(0.908)
    assert found["2, 8"].cost == pytest.approx(0.5)
    assert found["1, 2, 4, 8"].cost == 1.0


def test_temperatures_that_were_not_all_tried_say_nothing():
    assert of_temperatures(Made(whole(temperatures=(1.0, 2.0)))) == {}


def test_luck_of_the_choosing_seed_counts_for_nothing():
    rows = [student("lucky", 0, 0.99), student("lucky", 1, 0.5)]
    rows += [student("fair", seed, 0.8) for seed in (0, 1)]
    assert Tried(rows).accuracy == pytest.approx((0.5 + 0.8) / 2)


def test_a_first_round_that_keeps_few_loses_who_starts_slowly():
    """The good teacher's students are last after a third of the epochs."""
    early = {"good": 0.1, "fair": 0.5, "poor": 0.4}
    brief = [student(t, seed, a, epochs=3) for t, a in early.items() for seed in (0, 1)]
    whole_run = [student(t, seed, a, epochs=9) for t, a in ACCURACY.items() for seed in (0, 1)]
    found = of_first_round(Made(whole_run, brief))
    assert set(found) == set(KEPT)
    assert found["one in 3"].accuracy == pytest.approx(0.8)
    assert found["all"].accuracy == pytest.approx(0.9)
    assert found["one in 3"].cost == 1.0
    assert found["all"].cost == pytest.approx(9 / 6)


def test_a_first_round_as_long_as_the_last_is_none():
    rows = whole()
    assert of_first_round(Made(rows, rows)) == {}


class Mixed(Made):
    """A pair whose blend is better or worse by the selection split than its pick, as planted."""

    def __init__(self, blend_selected):
        pick = student("good", 0, 0.85)
        fresh = [
            student("good", 9, 0.8, stage="confirm").model_copy(update={"test_accuracy": 0.8}),
        ]
        super().__init__([], [pick, *fresh])
        self.search = SimpleNamespace(student=SimpleNamespace(arm=pick.arm, training=pick.training))
        self.mixtures = {"blend": SimpleNamespace(same_as="blend")}
        tested = student("blend", 9, 0.8, stage="confirm").model_copy(update={"test_accuracy": 0.9})
        self.mixture_students = [student("blend", 0, blend_selected, stage="distill"), tested]


@pytest.mark.parametrize("selected, expected", [(0.86, 0.9), (0.84, 0.8)])
def test_a_blend_that_competes_wins_only_where_the_selection_split_says_so(
    selected, expected, monkeypatch
):
    monkeypatch.setattr(replays, "mixtures_of", lambda pair: [1])
    found = of_variants(Mixed(selected))
    assert found["raw"].accuracy == pytest.approx(0.8)
    assert found["blend"].accuracy == pytest.approx(0.9)
    assert found["raw,blend"].accuracy == pytest.approx(expected)
    assert (found["raw,blend"].cost, found["blend"].cost) == (9 / 8, 1 / 8)


def test_without_a_search_or_mixtures_variants_say_nothing(monkeypatch):
    monkeypatch.setattr(replays, "mixtures_of", lambda pair: [])
    assert of_variants(Mixed(0.9)) == {}
