"""Budgets of students: what is held and what is tuned, leads on planted students, one quick run."""

import json

import numpy as np
import pytest

import patience_curve as experiment
from goodteacher.config import StudyConfig, Training
from patience_curve import CONVERGED, FAMILIES, LABELS, SMOOTHING, SPOT, Point, Reached
from tests.made import dataset

SEEDS, EXAMPLES = 5, 4000

QUICK = {
    "teacher": "mlp:12",
    "student": "mlp:3",
    "transfer_fraction": 1.0,
    "batch_sizes": (64,),
    "epochs": 2,
    "record_epochs": (1, 2),
    "shortlist": 1,
    "temperatures": (4.0,),
    "smoothings": (0.1,),
    "extend": False,
    "search_seeds": 1,
    "seeds": 2,
    "student_epochs": 2,
    "student_batch_size": 64,
    "precision": "float32",
    "device": "cpu",
}


def students(accuracy, rng):
    return rng.random((SEEDS, EXAMPLES)) < accuracy


def planted(accuracies, *, same=()):
    """Students of planted accuracies by budget and family; at some budgets both teachers are one.

    The sweet spot's students are the converged teacher's with some answers put right, so that the
    lead is known well.
    """
    rng = np.random.default_rng(0)
    chosen, correct = {}, {}
    for budget, of in accuracies.items():
        right = {name: students(of[name], rng) for name in FAMILIES if name != SPOT}
        put_right = rng.random((SEEDS, EXAMPLES)) < (of[SPOT] - of[CONVERGED]) / (1 - of[CONVERGED])
        right[SPOT] = right[CONVERGED] | put_right
        if budget in same:
            right[SPOT] = right[CONVERGED]
        chosen[budget] = {
            name: {"source": name, "epochs": budget, "selection": of[name]} for name in FAMILIES
        }
        if budget in same:
            chosen[budget][SPOT] = chosen[budget][CONVERGED]
        correct[budget] = right
    return Reached(chosen, correct)


def of(labels, smoothing, spot, converged):
    return {LABELS: labels, SMOOTHING: smoothing, SPOT: spot, CONVERGED: converged}


FADING = {
    1: of(0.80, 0.81, 0.86, 0.82),
    4: of(0.82, 0.81, 0.87, 0.85),
    16: of(0.79, 0.80, 0.88, 0.88),
}


def test_only_epochs_are_held():
    first = Training(epochs=14, batch_size=128, learning_rate=0.004)
    rules = experiment.rules_at(first, 4)
    assert (rules.rounds, rules.wins_from, rules.longest) == ((56,), 56, 56)
    assert set(rules.axes) == {"temperature", "smoothing", "learning_rate"}


def test_the_study_is_that_of_the_pair_with_teachers_trained_to_the_end():
    config = experiment.config_of(Point("mnist", 4, repetition=2), "digits", {})
    assert (config.teacher, config.student) == ("mlp:800,800", "mlp:64")
    assert (config.transfer_fraction, config.patience, config.epochs) == (0.1, 0, 32)
    assert (config.split_seed, config.teacher_seeds) == (2, (2,))
    assert isinstance(config, StudyConfig)


def test_budgets_share_a_study_and_small_ones_come_first():
    points = list(experiment.points_of(["mnist", "cifar10"], 2))
    assert [(p.data, p.budget) for p in points[:3]] == [("mnist", 1), ("cifar10", 1), ("mnist", 2)]
    assert {p.study for p in points} == {"mnist/0", "mnist/1", "cifar10/0", "cifar10/1"}
    assert len(set(points)) == 2 * 2 * len(experiment.BUDGETS)


def test_only_the_first_points_of_each_repetition_are_asked_for():
    points = experiment.points_of(["mnist"], 2, first=2)
    assert [point.budget for point in points] == [1, 2, 1, 2]


def test_teachers_of_the_study_are_taken_over_once_they_are_all_there(tmp_path):
    folder = tmp_path / "mnist/large--wide--tenth/exhaustive"
    folder.mkdir(parents=True)
    first, second = Point("mnist", 1), Point("mnist", 1, repetition=1)
    assert experiment.teachers_of(first, tmp_path) == {}
    (folder / "decisions.jsonl").write_text("")
    assert experiment.teachers_of(first, tmp_path) == {"teachers_of": str(folder)}
    assert experiment.teachers_of(second, tmp_path) == {}
    assert experiment.teachers_of(first, None) == {}


def test_the_lead_at_each_budget_is_what_was_planted():
    found = planted(FADING, same=(16,)).leads()
    assert found[1].mean == pytest.approx(0.04, abs=0.005)
    assert found[1].low > 0.03
    assert found[4].mean == pytest.approx(0.02, abs=0.005)
    assert found[16] is None


def test_leads_are_joint_over_budgets():
    alone, beside = planted({1: FADING[1]}).leads(), planted(FADING, same=(16,)).leads()
    assert beside[1].mean == alone[1].mean
    assert beside[1].high - beside[1].low > alone[1].high - alone[1].low


def test_gains_are_over_hard_labels_at_their_best_budget():
    found = planted(FADING)
    gains = found.gains()
    assert found.best_budget(LABELS) == 4
    assert gains[4, LABELS] is None
    assert gains[16, LABELS].mean == pytest.approx(-0.03, abs=0.015)
    assert gains[1, SPOT].mean == pytest.approx(0.04, abs=0.015)


def test_what_is_left_compares_each_at_its_best():
    found = planted(FADING)
    assert {name: found.best_budget(name) for name in FAMILIES} == {
        LABELS: 4,
        SMOOTHING: 1,
        SPOT: 16,
        CONVERGED: 16,
    }
    left = found.left()
    assert left[LABELS].mean == pytest.approx(0.06, abs=0.015)
    assert abs(left[CONVERGED].mean) < 0.003


def test_a_row_keeps_every_budget_and_null_where_students_are_the_same():
    row = experiment.row_of(planted(FADING, same=(16,)))
    assert (row["seeds"], row["test"]) == (SEEDS, EXAMPLES)
    assert [each["budget"] for each in row["budgets"]] == [1, 4, 16]
    assert row["budgets"][2]["lead"] is None
    assert row["left"][CONVERGED] is None
    assert json.loads(json.dumps(row)) == row


def test_a_budget_is_run_once_and_read_back(tmp_path):
    data = dataset(num_train=120, num_test=60)
    point = Point("mnist", 2)
    experiment.run(point, tmp_path, data, **QUICK)
    found = experiment.reached(tmp_path, "mnist", 0)
    assert set(found.chosen) == {2}
    assert found.correct[2][SPOT].shape == (2, 60)
    epochs = {each["epochs"] for each in found.chosen[2].values()}
    assert epochs == {2 * QUICK["student_epochs"]}
    before = point.file(tmp_path, "json").stat().st_mtime_ns
    experiment.run(point, tmp_path, data, **QUICK)
    assert point.file(tmp_path, "json").stat().st_mtime_ns == before
    (row,) = experiment.collected(tmp_path)
    assert (row["data"], row["repetition"], len(row["budgets"])) == ("mnist", 0, 1)


def test_what_was_not_run_leaves_nothing(tmp_path):
    assert experiment.reached(tmp_path, "mnist", 0) is None
    assert experiment.collected(tmp_path) == []


def test_students_made_alike_are_the_same_and_have_no_difference():
    rng = np.random.default_rng(0)
    one, other = ({"source": "labels"}, students(0.8, rng)), ({"source": "b"}, students(0.6, rng))
    assert experiment.difference(one, one) is None
    assert experiment.difference(one, other).mean == pytest.approx(0.2, abs=0.02)
    assert experiment.joint({"a": (one, one)}) == {"a": None}
    both = experiment.joint({"a": (one, one), "b": (one, other)})
    assert both["a"] is None
    assert both["b"].mean == experiment.difference(one, other).mean


def test_the_command_runs_budgets_in_order_and_keeps_rows(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(experiment, "run", lambda point, *_, **s: asked.append((point.budget, s)))
    monkeypatch.setattr(experiment, "FILE", tmp_path / "rows.json")
    words = ["patience_curve.py", "mnist", "--repetitions", "1", "--first", "3"]
    monkeypatch.setattr("sys.argv", [*words, "--collect", str(tmp_path)])
    experiment.main()
    assert asked == [(budget, {"threads": 1}) for budget in (1, 2, 4)]
    assert json.loads((tmp_path / "rows.json").read_text()) == []
