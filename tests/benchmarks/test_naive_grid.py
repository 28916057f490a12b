"""What the naive grid's parts cost: what is timed, and how its lines are kept."""

import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"


@pytest.fixture
def naive(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import naive_grid

    return naive_grid


@pytest.fixture
def timer(naive):
    arguments = ["digits", "--teacher=mlp:8", "--student=mlp:4", "--batch-sizes=16", "--steps=5"]
    prepared = naive.prepare(
        naive.load_dataset("digits"),
        selection_fraction=0.1,
        transfer_fraction=1.0,
        seed=0,
    )
    return naive.Timer(prepared, naive.parsed(arguments))


def test_every_part_is_timed_and_kept(naive, tmp_path, monkeypatch, capsys):
    out = tmp_path / "naive.json"
    options = ["--teacher=mlp:8", "--student=mlp:4", "--steps=3", "--repeats=2"]
    more = ["--student-batch-size=32", "--transfer-fraction=0.1", "--batch-sizes", "32", "128"]
    monkeypatch.setattr(sys, "argv", ["naive_grid.py", "digits", *options, *more, f"--out={out}"])
    naive.main()
    (line,) = json.loads(out.read_text())["pairs"]
    assert (line["data"], line["examples"], line["n"]) == ("digits", 129, 2)
    assert line["student_epoch"].keys() == {"stacked", "alone", "loop"}
    assert line["teacher_epoch"].keys() == {"32", "128"}
    timed = [line["teacher_record"], *line["student_epoch"].values()]
    for both in line["teacher_epoch"].values():
        assert both.keys() == {"here", "loop"}
        timed += both.values()
    assert all(0 < part["low"] <= part["median"] <= part["high"] for part in timed)
    assert json.loads(capsys.readouterr().out) == json.loads(out.read_text())


def test_steps_timed_stand_for_the_whole_epoch(naive, timer, monkeypatch):
    monkeypatch.setattr(naive.time, "perf_counter", iter([0.0, 0.5, 10.0, 12.0]).__next__)
    steps = -(-len(timer.data.training) // 16)
    assert timer.teacher_loop(16) == pytest.approx(2.0 * steps / 5)


def test_recording_is_that_of_the_library_with_all_its_files(naive, timer, monkeypatch):
    kept = []
    real = naive.record_teacher

    def watched(context, *arguments, **named):
        measured = real(context, *arguments, **named)
        kept.extend(path.name for path in context.store.root.rglob("*.safetensors"))
        assert {each.split for each in measured.measurements} == {"transfer", "selection"}
        return measured.model_copy(update={"recording_seconds": 7.0})

    monkeypatch.setattr(naive, "record_teacher", watched)
    assert timer.record() == 7.0
    assert len(kept) == 3, "weights, and a response for each split"


def test_student_of_a_stack_costs_its_share_of_the_whole_epoch(naive, timer, monkeypatch):
    monkeypatch.setattr(naive.Trainer, "run_until", lambda self, step: Took(3.0))
    steps = -(-len(timer.data.transfer) // 256)
    timed = min(steps, 5)
    assert timer.student(4) == pytest.approx(3.0 * steps / timed / 4)
    assert timer.teacher(16) == pytest.approx(3.0 * -(-len(timer.data.training) // 16) / 5)


class Took:
    """What a trainer returns of a run that took so long."""

    def __init__(self, seconds):
        self.seconds = seconds


def test_line_takes_the_place_of_an_earlier_one_of_the_same_networks(naive, tmp_path):
    out = tmp_path / "naive.json"
    first = dict(zip(naive.KEY, ("mnist", "mlp:8", "mlp:4", 256, 100), strict=True))
    other = {**first, "examples": 1000}
    for line in (first, other, {**first, "n": 5}):
        out.write_text(json.dumps(naive.beside_others(line, out)))
    assert json.loads(out.read_text())["pairs"] == [other, {**first, "n": 5}]
