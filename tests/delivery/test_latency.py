"""Latencies: who takes turns with whom, on how many threads, and what is made of the times."""

import pytest
import torch

from goodteacher.delivery import latency
from goodteacher.delivery.latency import measure_latencies
from goodteacher.records import latency_of


class Student:
    """Takes a planted time for each batch, of a clock that only moves when students work."""

    def __init__(self, clock, seconds, log, name):
        self.clock, self.seconds, self.log, self.name = clock, seconds, log, name

    def __call__(self, batch):
        self.log.append(
            (self.name, batch, torch.get_num_threads(), torch.is_inference_mode_enabled())
        )
        self.clock.now += self.seconds * len(batch)


class Clock:
    now = 0.0

    def perf_counter(self):
        return self.now


def measured(monkeypatch, seconds, batches):
    clock, log = Clock(), []
    monkeypatch.setattr(latency, "time", clock)
    students = [Student(clock, each, log, number) for number, each in enumerate(seconds)]
    return measure_latencies(students, batches), log


def test_median_and_quartiles_are_those_of_a_batch(monkeypatch):
    (fast, slow), _ = measured(monkeypatch, (0.001, 0.002), {1: ["a"], 4: ["abcd"]})
    assert [(e.batch_size, round(e.median, 9)) for e in fast] == [(1, 0.001), (4, 0.004)]
    assert [round(e.median, 9) for e in slow] == [0.002, 0.008]
    assert all(abs(q - e.median) < 1e-9 for e in (*fast, *slow) for q in e.quartiles)


def test_students_take_turns_on_one_thread(monkeypatch):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        _, log = measured(monkeypatch, (0.001, 0.001), {1: ["a", "b"]})
        assert torch.get_num_threads() == 2, "given back"
    finally:
        torch.set_num_threads(before)
    assert {entry[2:] for entry in log} == {(1, True)}
    assert [entry[0] for entry in log] == [0, 1] * (len(log) // 2)
    assert {entry[1] for entry in log} == {"a", "b"}, "batches take turns, too"


def test_a_slow_one_is_asked_in_some_of_the_rounds_all_along(monkeypatch):
    (quick, slow), log = measured(monkeypatch, (0.01, 0.1), {1: ["a"]})
    assert [e.repetitions for (e,) in (quick, slow)] == [100, 10]
    turns = [entry[0] for entry in log[4:]]  # behind those that say how slow each is
    assert turns == ([0] * 10 + [1]) * 10


def test_p95_is_what_nineteen_of_twenty_batches_stay_below():
    times = [(1, 0.01)] * 19 + [(1, 0.5)] + [(1, 0.01)] * 180
    assert latency_of(times).p95 == pytest.approx(0.01)
    assert latency_of([(1, 0.01)] * 90 + [(1, 0.5)] * 10).p95 == pytest.approx(0.5)


def test_slow_students_are_measured_less_often(monkeypatch):
    (quick,), _ = measured(monkeypatch, (0.001,), {1: ["a"]})
    (slow,), _ = measured(monkeypatch, (0.05,), {1: ["a"]})
    (slowest,), _ = measured(monkeypatch, (9.0,), {1: ["a"]})
    assert [e.repetitions for (e,) in (quick, slow, slowest)] == [200, 20, 7]
