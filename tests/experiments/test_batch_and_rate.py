"""Batch size x learning rate x epoch: choices on planted grids, and one quick group."""

import json
import re

import numpy as np
import pytest

import batch_and_rate as experiment
from batch_and_rate import COLD, COLD_ONE, LABELS, ONE, ONE_RATE, TUNED, Axes, Cell, Point
from tests.made import dataset

QUICK = {
    "teacher": "mlp:12",
    "student": "mlp:3",
    "transfer_fraction": 1.0,
    "student_epochs": 2,
    "student_batch_size": 64,
    "precision": "float32",
    "device": "cpu",
}


@pytest.fixture
def small(monkeypatch):
    """An experiment that takes a second: two batch sizes, two learning rates, two epochs."""
    axes = Axes("small--wide--tenth", (32, 64), (1, 2))
    monkeypatch.setattr(experiment, "PAIRS", {"banking77": axes})
    monkeypatch.setattr(experiment, "RATES", (ONE_RATE, 1e-2))
    monkeypatch.setattr(experiment, "TEMPERATURES", (1.0, 4.0))
    monkeypatch.setattr(experiment, "SEEDS", 2)


def grid(value, *, sizes=(32, 128), rates=(ONE_RATE, 4e-3), epochs=(1, 8), temperatures=(1, 4)):
    """A grid of students whose accuracy is a function of the cell."""
    cells = [
        Cell(size, rate, epoch, temperature)
        for size in sizes
        for rate in rates
        for epoch in epochs
        for temperature in temperatures
    ]
    return {cell: value(cell) for cell in cells}


def planted(cell):
    """At one learning rate 32 is best, with the rate tuned it is 128; T = 4 and epoch 1 help."""
    by_size = {(32, ONE_RATE): 0.8, (32, 4e-3): 0.7, (128, ONE_RATE): 0.75, (128, 4e-3): 0.82}
    return by_size[cell[:2]] + 0.01 * (cell.temperature == 4) + 0.02 * (cell.epoch == 1)


def most_accurate(cell):
    return 0.9 if cell[:3] == (32, 4e-3, 8) else 0.6


def teachers(value):
    return grid(value, temperatures=(1,))


def test_each_way_chooses_among_what_it_may():
    found = experiment.choose([grid(planted)] * 2, [teachers(most_accurate)] * 2)
    assert found.cells[TUNED] == {32: Cell(32, ONE_RATE, 1, 4), 128: Cell(128, 4e-3, 1, 4)}
    assert found.cells[ONE][128] == Cell(128, ONE_RATE, 1, 4)
    assert found.cells[COLD][128] == Cell(128, 4e-3, 1, 1)
    assert found.cells[COLD_ONE][32] == Cell(32, ONE_RATE, 1, 1)
    assert (found.best, found.worst) == (
        {TUNED: 128, ONE: 32, COLD: 128, COLD_ONE: 32},
        {TUNED: 32, ONE: 128, COLD: 32, COLD_ONE: 128},
    )


def test_references_are_teachers_taught_to_the_end():
    found = experiment.choose([grid(planted)] * 2, [teachers(most_accurate)] * 2)
    assert found.last == Cell(128, 4e-3, 8, 4)
    assert found.converged == Cell(32, 4e-3, 8, 4)
    assert {found.last, found.converged} < set(found.every)
    assert len(found.every) == len(set(found.every))


def test_choices_are_made_by_means_over_repetitions():
    lucky = Cell(128, ONE_RATE, 8, 1)
    one = grid(lambda cell: planted(cell) + 0.05 * (cell == lucky))
    other = grid(lambda cell: planted(cell) - 0.01 * (cell == lucky))
    found = experiment.choose([one, other], [teachers(most_accurate)] * 2)
    assert experiment.choose([one], [teachers(most_accurate)]).cells[ONE][128] == lucky
    assert found.cells[ONE][128] == Cell(128, ONE_RATE, 1, 4)


def test_a_cell_that_diverged_somewhere_is_not_chosen():
    whole = grid(planted)
    best = max(whole, key=whole.__getitem__)
    lacking = {cell: value for cell, value in whole.items() if cell != best}
    found = experiment.choose([whole, lacking], [teachers(most_accurate)] * 2)
    assert best not in found.every


def test_a_repetition_is_never_judged_by_its_own_choice():
    points = [Point("banking77", each) for each in range(6)]
    assert [other.repetition for other in points[4].others] == [3, 5]
    assert all(point not in point.others for point in points)
    assert all(len(point.others) == experiment.GROUP - 1 for point in points)


def test_groups_come_one_data_set_after_another_and_are_whole():
    groups = list(experiment.groups_of(["banking77", "cifar100"], 7))
    assert [(g[0].data, [p.repetition for p in g]) for g in groups] == [
        ("banking77", [0, 1, 2]),
        ("cifar100", [0, 1, 2]),
        ("banking77", [3, 4, 5]),
        ("cifar100", [3, 4, 5]),
    ]
    assert len(list(experiment.groups_of(["banking77"], 12, first=1))) == 1


def test_the_study_has_the_axes_and_nothing_is_stopped_early():
    config = experiment.config_of(Point("fashion_mnist", 4), "digits", {})
    assert (config.batch_sizes, config.learning_rates) == ((32, 256, 2048), experiment.RATES)
    assert config.recorded_epochs == (1, 3, 10, 32)
    assert (config.teacher, config.student, config.transfer_fraction) == ("mlp:100", "mlp:64", 0.1)
    assert (config.patience, config.split_seed, config.teacher_seeds) == (0, 4, (4,))
    assert len(config.runs) == 12
    assert [recipe.temperature for recipe in config.recipes] == list(experiment.TEMPERATURES)


def test_the_arm_of_a_cell_is_that_of_its_run():
    config = experiment.config_of(Point("banking77", 0), "digits", {})
    arm = experiment.arm_of(config, Cell(128, 4e-3, 12, 16.0))
    assert str(arm.source) == "batch 128 lr 0.004 epoch 12"
    assert (arm.recipe.temperature, arm.recipe.alpha) == (16.0, 1.0)


def test_a_group_is_run_judged_and_not_run_twice(small, tmp_path):
    data = dataset(num_train=160, num_test=60)
    (points,) = experiment.groups_of(["banking77"], 3)
    for piece in (experiment.fill_grid, experiment.judge):
        for point in points:
            piece(point, tmp_path, data, **QUICK)
    students, taught = experiment.read_grid(points[0], tmp_path)
    assert (len(students), len(taught)) == (16, 8)
    found = experiment.read_judged(points[0], tmp_path)
    assert set(found.right) == {*found.choices.every, LABELS}
    shares = found.right[LABELS]
    assert shares.shape == (60,)
    assert set(np.unique(shares)) <= {0.0, 0.5, 1.0}
    folder = points[0].folder(tmp_path)
    times = {name: (folder / name).stat().st_mtime_ns for name in ("grid.json", "judged.json")}
    for piece in (experiment.fill_grid, experiment.judge):
        piece(points[0], tmp_path, data, **QUICK)
    assert times == {name: (folder / name).stat().st_mtime_ns for name in times}


def test_students_of_each_repetition_have_seeds_of_their_own(small, tmp_path):
    data = dataset(num_train=160, num_test=60)
    (points,) = experiment.groups_of(["banking77"], 3)
    seeds = []
    for point in points[:2]:
        experiment.fill_grid(point, tmp_path, data, **QUICK)
        names = [path.name for path in (point.folder(tmp_path) / "students").glob("search-*")]
        seeds.append({re.search(r"seed-(\d+)", name)[1] for name in names})
    assert seeds == [{"0"}, {"1"}]


def test_what_is_not_judged_is_none(tmp_path):
    assert experiment.read_judged(Point("banking77", 0), tmp_path) is None


def test_a_file_is_written_whole(tmp_path):
    experiment._write(tmp_path / "grid.json", {"students": []})
    assert [path.name for path in tmp_path.iterdir()] == ["grid.json"]
    assert json.loads((tmp_path / "grid.json").read_text()) == {"students": []}


def test_the_command_fills_the_grids_of_a_group_before_it_judges(monkeypatch, capsys):
    asked = []

    def noting(name):
        return lambda point, *_, **settings: asked.append((name, point.repetition, settings))

    fill, judge = noting("fill"), noting("judge")
    fill.__name__, judge.__name__ = "fill", "judge"
    monkeypatch.setattr(experiment, "fill_grid", fill)
    monkeypatch.setattr(experiment, "judge", judge)
    monkeypatch.setattr("sys.argv", ["batch_and_rate.py", "banking77", "--first", "1"])
    experiment.main()
    order = [(name, repetition) for name, repetition, _ in asked]
    assert order == [(name, each) for name in ("fill", "judge") for each in range(3)]
    assert asked[0][2] == {"threads": 1}
    assert "banking77 2 judge" in capsys.readouterr().out
