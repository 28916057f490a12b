"""One teacher over several processes: the benchmark trains the same teacher each way."""

import argparse
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import divided_teacher

    # Other processes take seconds to start, and are tested in tests/teachers/test_divided.py.
    monkeypatch.setattr(divided_teacher, "WAYS", {"first": (1, 1), "second": (1, 1)})
    yield divided_teacher
    sys.modules.pop("divided_teacher")


def test_each_way_trains_the_same_teacher_in_turns(benchmark):
    options = argparse.Namespace(batch_size=64, epochs=2, rounds=3)
    found = benchmark.compare("mlp:4", options, benchmark.images(300))
    assert {len(seconds) for seconds in found["seconds_of_an_epoch"].values()} == {3}
    assert found["loss_apart"] == {"second": 0.0}
    middle, least, most = found["speedup"]["second"]
    assert 0 < least <= middle <= most
    assert min(found["seconds_beside"].values()) > 0, "responses take time"


def test_the_made_up_images_tell_their_class(benchmark):
    train = benchmark.images(100).train
    assert len(train) == 111
    assert train.inputs.shape[1:] == (3, 32, 32)
    corner = train.inputs[:, :, :6, :6].float().mean((1, 2, 3))
    assert corner[train.labels == 0].min() > corner[train.labels == 9].max()
