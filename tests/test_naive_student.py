"""What a student costs alone: what is timed, and how its lines are kept."""

import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def naive(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import naive_student

    return naive_student


def test_both_ways_are_timed_and_kept(naive, tmp_path, monkeypatch, capsys):
    out = tmp_path / "naive.json"
    options = ["--teacher=mlp:8", "--student=mlp:4", "--epochs=1", "--repeats=2"]
    more = ["--student-batch-size=32", "--transfer-fraction=0.1", f"--out={out}"]
    monkeypatch.setattr(sys, "argv", ["naive_student.py", "digits", *options, *more])
    naive.main()
    (line,) = json.loads(out.read_text())["pairs"]
    assert (line["data"], line["examples"], line["n"]) == ("digits", 129, 2)
    assert 0 < line["alone_seconds"]["low"] <= line["alone_seconds"]["high"]
    assert 0 < line["loop_seconds"]["low"] <= line["loop_seconds"]["high"]
    assert json.loads(capsys.readouterr().out) == json.loads(out.read_text())


def test_line_takes_the_place_of_an_earlier_one_of_the_same_networks(naive, tmp_path):
    out = tmp_path / "naive.json"
    first = dict(zip(naive.KEY, ("mnist", "mlp:8", "mlp:4", 256, 100), strict=True))
    other = {**first, "examples": 1000}
    for line in (first, other, {**first, "n": 5}):
        out.write_text(json.dumps(naive.beside_others(line, out)))
    assert json.loads(out.read_text())["pairs"] == [other, {**first, "n": 5}]
