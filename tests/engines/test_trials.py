"""The trial of steps: taking turns, how long it goes on, and that it leaves no trace."""

import warnings

import pytest
import torch
from tests.contracts.test_engines import context_of

from goodteacher.config import DistillConfig, Optimization, parse
from goodteacher.engines import trials
from goodteacher.engines.expected import Kind
from goodteacher.engines.trials import measure
from goodteacher.training import Segment

PLAN = Optimization(optimizer="adam", learning_rate=0.01, schedule="linear", batch_size=16)
TEACHER, STUDENT = Kind("teacher", "mlp:5", PLAN), Kind("student", "mlp:3", PLAN)
CONFIG = parse(DistillConfig, data="made", student="mlp:3")


class Planted:
    """A training whose steps take the seconds that were planted for a number of threads."""

    def __init__(self, seconds, noise=(0.0,)):
        self.step, self.seconds, self.noise, self.turns = 0, seconds, list(noise), []

    def run_until(self, step):
        threads, taken = torch.get_num_threads(), step - self.step
        self.step = step
        self.turns.append((threads, taken))
        self.clock.now += taken * self.seconds[threads]
        noise = self.noise[len(self.turns) % len(self.noise)]
        return Segment(step, taken * self.seconds[threads] + noise, torch.tensor(0.0))


class Clock:
    now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def planted(monkeypatch):
    """Runs a trial on planted times, of so many steps in a study; returns it and the training."""

    def run(seconds, *, steps=1e9, width=1, kind=TEACHER, noise=(0.0,)):
        trainer, clock = Planted(seconds, noise), Clock()
        trainer.clock = clock
        monkeypatch.setattr(trials, "time", clock)
        monkeypatch.setattr(trials, "_trainer", lambda *_: (trainer, width))
        (found,) = measure({kind: steps}, None, CONFIG, threads=max(seconds))
        return found, trainer

    return run


def test_a_trial_says_what_steps_take_with_one_thread_and_with_all(planted):
    found, _ = planted({1: 0.012, 4: 0.004})
    assert (found.one, found.all, found.threads) == (pytest.approx(12.0), pytest.approx(4.0), 4)
    assert (found.role, found.batch_size, found.networks) == ("teacher", 16, 1)


def test_of_a_stack_it_says_how_many_students_it_had(planted):
    found, _ = planted({1: 0.012, 2: 0.010}, kind=STUDENT, width=16)
    assert (found.role, found.networks, found.one) == ("student", 16, pytest.approx(12.0))


def test_one_thread_and_all_take_turns(planted):
    _, trainer = planted({1: 0.02, 2: 0.02})
    (first, second), *turns = trainer.turns[:2], *trainer.turns[2:]
    assert first == second == (2, 1), "memory is allocated, then a step is timed"
    assert [threads for threads, _ in turns] == [1, 2] * (len(turns) // 2)
    assert len(turns) >= 6


def test_what_disturbs_a_turn_is_left_out(planted):
    found, _ = planted({1: 0.02, 2: 0.01}, noise=(0.0, 0.5, 0.0))
    assert (found.one, found.all) == (pytest.approx(20.0), pytest.approx(10.0))


def test_short_steps_are_timed_several_at_once(planted):
    _, fast = planted({1: 0.001, 2: 0.001})
    _, slow = planted({1: 0.1, 2: 0.1})
    assert {taken for _, taken in fast.turns[2:]} == {trials._STEPS}
    assert {taken for _, taken in slow.turns[2:]} == {1}


def test_a_trial_ends_in_time(planted):
    _, trainer = planted({1: 0.1, 2: 0.1})
    assert trainer.clock.now < trials._SECONDS + 0.5
    _, trainer = planted({1: 0.002, 2: 0.002}, steps=4000)
    assert trainer.clock.now < 0.02 * 4000 * 0.002, "a share of what the study takes"


def test_steps_that_take_long_are_timed_once(planted):
    _, trainer = planted({1: 16.0, 8: 2.0})
    assert trainer.turns == [(8, 1), (8, 1), (1, 1), (8, 1)]


def test_it_takes_the_studys_own_networks_and_leaves_no_trace(tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "_SECONDS", 0.0)
    context = context_of(tmp_path / "s")
    before = torch.get_num_threads(), torch.get_rng_state().tolist()
    files = {path: path.read_bytes() for path in context.store.root.rglob("*") if path.is_file()}
    found = measure({TEACHER: 1e6, STUDENT: 1e6}, context, CONFIG, threads=2)
    assert [(each.role, each.networks) for each in found] == [("teacher", 1), ("student", 16)]
    assert all(each.one > 0 and each.all > 0 for each in found)
    assert (torch.get_num_threads(), torch.get_rng_state().tolist()) == before
    assert context.warned_of == set()
    after = {path: path.read_bytes() for path in context.store.root.rglob("*") if path.is_file()}
    assert after == files


@pytest.mark.parametrize(
    ("settings", "width"), [({"stack_width": 3}, 3), ({"memory_gib": 1e-6}, 1), ({}, 16)]
)
def test_a_stack_is_no_wider_than_the_study_allows(settings, width, tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "_SECONDS", 0.0)
    config = parse(DistillConfig, data="made", student="mlp:3", **settings)
    (found,) = measure({STUDENT: 1e6}, context_of(tmp_path / "s"), config, threads=1)
    assert found.networks == width


def test_what_memory_does_not_hold_is_left_out(tmp_path, monkeypatch):
    def trainer(kind, context, config):
        if kind.role == "teacher":
            raise MemoryError
        found = Planted({1: 1.0, 2: 1.0})
        found.clock = Clock()
        return found, 1

    monkeypatch.setattr(trials, "_trainer", trainer)
    found = measure({TEACHER: 1e6, STUDENT: 1e6}, None, CONFIG, threads=2)
    assert [each.role for each in found] == ["student"]


def test_what_training_warns_of_is_left_to_the_training(planted, monkeypatch):
    def warning(*_):
        warnings.warn("as in training", stacklevel=1)
        found = Planted({1: 1.0, 2: 1.0})
        found.clock = Clock()
        return found, 1

    monkeypatch.setattr(trials, "_trainer", warning)
    assert len(measure({TEACHER: 1e6}, None, CONFIG, threads=2)) == 1
