"""The long run in short: two studies in one process, and what its summary calls growth."""

import pytest

from benchmarks import long_run


def held(number, **changed):
    plain = {"memory": 100.0, "threads": 3, "files": 5, "temporary": 0, "objects": 10}
    return long_run.Held(seconds=60.0 * number, **{**plain, **changed})


def test_growth_is_that_after_the_first_quarter():
    kept = [held(0, memory=10.0, files=1), *(held(n, memory=100.0 + 2 * n) for n in range(1, 5))]
    found = long_run.summed_up([*kept, held(5, memory=110.0, files=7, threads=4)])
    assert found["MiB for each study"] == pytest.approx(2.0)
    growth = found["growth after the first quarter"]
    assert growth == {"threads": 1, "files": 2, "temporary": 0, "objects": 0}
    assert (found["studies"], found["minutes"]) == (6, 5.0)
    assert found["memory"] == {"first": 102.0, "last": 110.0, "most": 110.0}


def test_a_study_leaves_no_thread_file_or_folder_behind(monkeypatch):
    pytest.importorskip("onnx")
    monkeypatch.setattr(long_run, "SETTINGS", {**long_run.SETTINGS, "epochs": 2, "rungs": 1})
    clock = iter(range(100))
    monkeypatch.setattr(long_run.time, "monotonic", lambda: float(next(clock)))
    found = long_run.summed_up(long_run.run(seconds=6.0, threads=1))
    assert found["studies"] >= 2
    growth = found["growth after the first quarter"]
    assert (growth["temporary"], growth["threads"]) == (0, 0)
    assert growth["files"] <= 0
