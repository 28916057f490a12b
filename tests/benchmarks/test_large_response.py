"""The benchmark of a large response measures what it says, on a small one."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from goodteacher.responses import _arrays, stored

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import large_response
import tables


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "MOST_IN_MEMORY", 100)
    monkeypatch.setattr(_arrays, "_MAPPED_FROM", 100)
    large_response.write(tmp_path, 600, 20)
    return tmp_path


def test_what_was_planted_is_found(folder):
    logits = np.load(folder / "logits.npy", mmap_mode="r")
    assert (logits.dtype, logits.shape) == (np.float16, (600, 20))
    found = large_response.measure_score(folder)
    assert found["peak_mib"] >= 0
    assert found["at_best"]["accuracy"] > 0.6
    # Which other classes are near depends on the class, and on nothing else.
    assert found["at_best"]["class_part"] > 2 * found["at_best"]["instance_part"] > 0


def test_rates_from_memory_and_from_the_file_are_compared(folder):
    found = large_response.measure_training(folder, repeats=2, steps=2)
    for student in large_response.STUDENTS:
        low, high = (found[student]["file as a share of memory"][k] for k in ("low", "high"))
        assert 0 < low <= high
    result = {
        "examples": 600,
        "classes": 20,
        "file_gb": 0.1,
        "threads": 1,
        "score": {"peak_mib": 10.0, "seconds": 1.5, "cpu_seconds": 2.0},
        "training": found,
    }
    assert "| `mlp:16` |" in tables.large_response(result)


def test_losses_that_differ_end_the_benchmark(folder, monkeypatch):
    monkeypatch.setattr(large_response, "in_memory", lambda rows: rows.whole() + torch.eye(600, 20))
    with pytest.raises(SystemExit, match="the losses differ"):
        large_response.measure_training(folder, repeats=1, steps=3)
