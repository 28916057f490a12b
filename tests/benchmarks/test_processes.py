"""Searches in turns: what is compared with what, and that a stop costs only the search it met."""

from pathlib import Path

import pytest

from goodteacher.studies import Store

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"


@pytest.fixture
def processes(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import processes

    return processes


SECONDS = {"one process, one thread": 10.0, "two processes": 6.0, "nothing named": 5.0}


@pytest.fixture
def planted(processes, monkeypatch):
    """Searches that take planted seconds; a list of those that ran."""
    ran = []

    def searched(name, number, way, folder, *, quick):
        ran.append((name, number, way))
        return processes.Searched(
            data=name,
            round=number,
            way=way,
            seconds=SECONDS.get(way, 15.0) + number,
            threads=2 if way == "one process, two threads" else 1,
            processes=2 if way == "nothing named" else None,
            numbers="other" if way == "one process, two threads" else "same",
        )

    monkeypatch.setattr(processes, "searched", searched)
    return ran


def test_the_ways_take_turns(processes, planted, tmp_path):
    processes.run(["digits", "banking77"], ["two processes", "nothing named"], 2, tmp_path)
    assert planted == [
        (name, number, way)
        for number in (0, 1)
        for name in ("digits", "banking77")
        for way in ("two processes", "nothing named")
    ]


def test_what_has_ended_is_not_run_again(processes, planted, tmp_path):
    first = processes.run(["digits"], ["two processes"], 1, tmp_path)
    planted.clear()
    again = processes.run(["digits"], ["two processes", "nothing named"], 1, tmp_path)
    assert planted == [("digits", 0, "nothing named")]
    assert again[0] == first[0]
    assert len(again) == 2


def test_each_way_is_compared_with_one_process_and_one_thread_of_its_round(
    processes, planted, tmp_path
):
    found = processes.run(["digits"], list(processes.WAYS), 2, tmp_path)
    summary = processes.summarize(found)["digits"]
    assert summary["two processes"]["ratios"] == [0.6, round(7 / 11, 3)]
    assert summary["nothing named"]["median_ratio"] == round((5 / 10 + 6 / 11) / 2, 3)
    assert summary["nothing named"]["processes"] == [2]
    assert summary["nothing named"]["same_numbers"] is True
    assert summary["one process, two threads"]["threads"] == [2]
    assert summary["one process, two threads"]["same_numbers"] is False


def test_numbers_are_those_of_the_students_and_not_how_long_they_took(processes, tmp_path):
    pq, pa = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")

    def hashed(folder, **row):
        (tmp_path / folder).mkdir()
        pq.write_table(pa.table({k: [v] for k, v in row.items()}), tmp_path / folder / FILE)
        return processes.numbers_of(Store(tmp_path / folder))

    one = hashed("a", accuracy=0.5, student_seconds=1.0)
    assert hashed("b", accuracy=0.5, student_seconds=2.0) == one
    assert hashed("c", accuracy=0.6, student_seconds=1.0) != one


FILE = "students.parquet"
