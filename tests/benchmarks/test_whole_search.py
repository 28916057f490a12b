"""A search and the naive grid, whole: what each side is charged for."""

import json
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"

SETTINGS = {
    "teacher": "mlp:8",
    "student": "mlp:4",
    "batch_sizes": [64, 256],
    "epochs": 4,
    "record_epochs": None,
    "student_epochs": 3,
    "student_batch_size": 64,
    "temperatures": [2.0],
    "alphas": [0.5],
    "smoothings": [0.1],
    "search_seeds": 2,
    "seeds": 2,
    "exhaustive": True,
}


@pytest.fixture
def whole(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import whole_search

    return whole_search


@pytest.fixture
def grid(whole):
    settings = {name: value for name, value in SETTINGS.items() if value is not None}
    return whole.NaiveGrid(whole.parse(whole.StudyConfig, data="digits", **settings))


def test_both_sides_run_and_are_kept(whole, tmp_path, monkeypatch, capsys):
    pair, out = tmp_path / "pair.json", tmp_path / "whole.json"
    pair.write_text(json.dumps({"settings": SETTINGS}))
    options = ["--repeats=2", "--students=1", f"--out={out}"]
    monkeypatch.setattr(sys, "argv", ["whole_search.py", "digits", str(pair), *options])
    whole.main()
    (line,) = json.loads(out.read_text())["pairs"]
    assert (line["data"], line["examples"], line["n"]) == ("digits", 1293, 2)
    assert line["naive"]["students"] == 2 * 3 * 1 * 2, "batch sizes, epochs, recipes, seeds"
    ours, theirs = line["search"], line["naive"]
    assert all(ours[part]["low"] > 0 for part in ("confirmation", "teachers", "students"))
    assert ours["whole"]["low"] > ours["teachers"]["low"] + ours["students"]["low"]
    at_least = theirs["reading"] + theirs["teachers"]["low"] + 12 * theirs["student"]["low"]
    assert theirs["whole"]["low"] >= at_least
    assert ours["teacher_epochs"] == [ours["teacher_epochs"][0]] * 2
    assert 0 < ours["teacher_epochs"][0] <= 8, "the search is the default one, not exhaustive"
    assert json.loads(capsys.readouterr().out) == json.loads(out.read_text())


def test_teachers_from_scratch_are_each_charged_in_full(whole, grid, monkeypatch):
    seen = []

    def epoch(examples, network, optimizer, batch_size):
        seen.append((batch_size, id(network), len(examples)))
        return 1.0

    monkeypatch.setattr(whole, "teacher_loop_epoch", epoch)
    assert grid.teachers() == 2 * (1 + 2 + 4)
    assert [size for size, _, _ in seen] == [64] * 4 + [256] * 4
    assert {n for _, _, n in seen} == {len(grid.data.training)}


def test_student_learns_to_the_end_with_one_optimizer(whole, grid, monkeypatch):
    optimizers = []

    def epoch(examples, teacher, student, *, batch_size, optimizer):
        assert (batch_size, len(examples)) == (64, len(grid.data.transfer))
        optimizers.append(optimizer)
        return 2.0

    monkeypatch.setattr(whole, "loop_epoch", epoch)
    assert grid.student() == 3 * 2.0
    assert len(set(map(id, optimizers))) == 1


def test_networks_of_the_naive_grid_learn(whole, grid):
    """Nothing is timed that does not train: the loss of a plain loop falls."""
    network = whole.network_of(grid.networks, "mlp:8")
    optimizer = whole.adam(network)
    inputs, labels = grid.training.tensors

    def loss():
        return torch.nn.functional.cross_entropy(network(inputs), labels).item()

    before = loss()
    for _ in range(3):
        assert whole.teacher_loop_epoch(grid.training, network, optimizer, 64) > 0
    assert loss() < 0.95 * before
