"""What every callback does with an epoch: the clock, and several processes that train."""

import logging

import pytest
import torch.distributed

from goodteacher.errors import ConfigError
from goodteacher.integrations import processes
from goodteacher.integrations.processes import Epochs, agreed, is_first


class Clock:
    """Time that passes only when told to."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(processes.time, "perf_counter", lambda: self.now)


class Recorder:
    """Keeps what it is asked to record; that takes three seconds."""

    def __init__(self, clock):
        self.clock, self.recorded = clock, []

    def record(self, model, epoch, **facts):
        self.recorded.append((model, epoch, facts))
        self.clock.now += 3


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_seconds_are_those_of_training_without_the_recording(clock):
    recorder = Recorder(clock)
    epochs = Epochs(recorder, every=1)
    epochs.begin(from_the_start=True)
    for epoch in (1, 2, 3):
        clock.now += 10
        epochs.record("model", epoch, first=True, learning_rate=0.1)
    assert [facts["seconds"] for _, _, facts in recorder.recorded] == [10, 20, 30]
    assert recorder.recorded[0] == ("model", 1, {"seconds": 10, "learning_rate": 0.1})


@pytest.mark.parametrize("begun", [False, True])
def test_time_of_a_training_that_goes_on_is_not_known(clock, begun):
    recorder = Recorder(clock)
    epochs = Epochs(recorder, every=1)
    if begun:
        epochs.begin(from_the_start=False)
    epochs.record("model", 5, first=True)
    assert recorder.recorded == [("model", 5, {"seconds": None})]


def test_training_that_begins_again_counts_from_there(clock):
    recorder = Recorder(clock)
    epochs = Epochs(recorder, every=1)
    epochs.begin(from_the_start=True)
    clock.now += 50
    epochs.begin(from_the_start=True)
    clock.now += 10
    epochs.record("model", 1, first=True)
    assert recorder.recorded[0][2]["seconds"] == 10


@pytest.mark.parametrize(
    ("every", "wanted"), [(1, [1, 2, 3, 4, 5, 6]), (2, [2, 4, 6]), (4, [4]), (7, [])]
)
def test_every_nth_epoch_is_wanted(clock, every, wanted):
    epochs = Epochs(Recorder(clock), every)
    assert [epoch for epoch in range(1, 7) if epochs.wants(epoch)] == wanted


@pytest.mark.parametrize("every", [0, -1, 1.5, "2", None])
def test_every_that_is_no_count_is_refused_before_the_training(clock, every):
    with pytest.raises(ConfigError, match="every must be a whole number from 1, but is"):
        Epochs(Recorder(clock), every)


def test_a_folder_in_place_of_a_recorder_is_refused_before_the_training():
    with pytest.raises(ConfigError, match=r"needs a recorder, goodteacher.Recorder\(folder, data"):
        Epochs("recorded/night", 1)


@pytest.mark.parametrize(
    ("recorded", "first", "warned"),
    [(True, True, False), (False, True, True), (False, False, False), (True, False, False)],
)
def test_training_without_a_recorded_epoch_is_told_by_the_first_process(
    clock, caplog, recorded, first, warned
):
    recorder = Recorder(clock)
    epochs = Epochs(recorder, every=1)
    if recorded:
        epochs.record("model", 1, first=first)
    with caplog.at_level(logging.WARNING, logger="goodteacher"):
        epochs.end(first=first)
    assert ("no epoch was recorded" in caplog.text) == warned
    assert bool(recorder.recorded) == (recorded and first), "only the first process records"


# --- processes that train together ---------------------------------------------------------------


@pytest.fixture
def group():
    """A group of one process, as a launcher makes it."""
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_only_process_is_the_first_and_decides_alone():
    assert is_first()
    assert agreed(True)
    assert not agreed(False)


@pytest.mark.parametrize("stop", [True, False])
def test_first_process_of_a_group_decides_for_all(group, stop):
    assert is_first()
    assert agreed(stop) is stop


def test_other_processes_are_not_first_and_do_what_the_first_says(group, monkeypatch):
    def said_by_the_first(objects, src):
        assert src == 0
        objects[0] = True

    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 3)
    monkeypatch.setattr(torch.distributed, "broadcast_object_list", said_by_the_first)
    assert not is_first()
    assert agreed(False), "all must stop together"
