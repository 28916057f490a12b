"""The student is tuned before it is distilled, and is trained enough to be compared."""

import json
import math

import pytest
import torch
from typer.testing import CliRunner

from goodteacher import Study, distill, search, verify
from goodteacher.cli import app
from goodteacher.config import StudyConfig, parse
from goodteacher.data import load_dataset
from goodteacher.records.results import StudentPlan
from goodteacher.students.tuning import PLAN_FILE
from tests.made import SETTINGS, dataset
from tests.test_study import Interrupter, without_seconds

FREE = {
    **{name: value for name, value in SETTINGS.items() if name != "student_epochs"},
    "epochs": 2,
    "temperatures": (1.0,),
    "alphas": (1.0,),
    "smoothings": (0.1,),
    "shortlist": 2,
    "rungs": 2,
    "search_seeds": 1,
    "seeds": 3,
    "stack_width": 32,  # widths are measured otherwise, and other widths round otherwise
}
QUICK = {"student": "mlp:3", "device": "cpu", "precision": "float32", "seeds": 3}


@pytest.fixture(scope="module", autouse=True)
def short_first_trainings():
    """Two hundred examples need no six hundred steps to show what is tested here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("goodteacher.config.values.FIRST_STEPS", 48)
        patch.setattr("goodteacher.config.values.FIRST_EPOCHS", 2)
        patch.setattr("goodteacher.students.tuning.PATIENCE", 9)
        yield


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    return search(dataset(), out=tmp_path_factory.mktemp("tuned") / "study", **FREE)


def plan_of(folder):
    return StudentPlan.model_validate(json.loads((folder / PLAN_FILE).read_text()))


def test_learning_rate_is_the_smallest_that_is_nearly_best_on_hard_labels(tuned):
    plan = plan_of(tuned.folder)
    assert plan.tuned
    assert len(plan.trials) >= 5
    top = max(trial.selection_accuracy for trial in plan.trials)
    near = [t.learning_rate for t in plan.trials if t.selection_accuracy >= top - 0.001]
    assert plan.training.learning_rate == min(near)
    rows = [row for row in tuned.students() if row.stage == "tune"]
    assert {row.source for row in rows} == {"one_hot"}, "teachers are trained later"
    for trial in plan.trials:
        own = [r.selection_accuracy for r in rows if r.student_learning_rate == trial.learning_rate]
        assert math.fsum(own) / len(own) == pytest.approx(trial.selection_accuracy)


def test_every_family_met_the_same_epochs(tuned):
    epochs = {}
    for row in tuned.students():
        if row.stage == "search":
            epochs.setdefault(row.source, set()).add(row.student_epochs)
    assert epochs["one_hot"] == epochs["smoothing"] == epochs["checkpoint"]
    assert len(epochs["one_hot"]) >= 2


def test_winners_are_confirmed_with_the_training_they_won_with(tuned):
    spot = tuned.sweet_spot
    confirmed = {(r.arm, r.training) for r in tuned.students() if r.stage == "confirm"}
    results = [spot.student, *(reference for _, reference in spot.references)]
    assert confirmed == {(result.arm, result.training) for result in results}


def test_student_and_baseline_are_delivered(tuned):
    spot, test = tuned.sweet_spot, dataset().test
    for classifier in (tuned.student(), tuned.baseline()):
        reached = float((classifier(test.inputs).argmax(1) == test.labels).double().mean())
        assert reached == pytest.approx(classifier.card.test_accuracy)
    assert tuned.baseline().card.arm.startswith("labels | ")
    everyone = [spot.student, *(reference for _, reference in spot.references)]
    best = max(result.selection_accuracy for result in everyone)
    names = ["sweet_spot", *(name for name, _ in spot.references)]
    delivered = everyone[names.index(spot.delivered)]
    assert delivered.selection_accuracy == best
    assert spot.summary.startswith(f"Distill: {spot.answer}.")


@pytest.mark.parametrize("task", [1, 5, 11])
def test_tuned_search_that_was_stopped_ends_with_the_same_numbers(tuned, tmp_path, task):
    with pytest.raises(KeyboardInterrupt):
        search(dataset(), out=tmp_path / "s", progress=Interrupter(task), **FREE)
    resumed = search(dataset(), out=tmp_path / "s", **FREE)
    assert without_seconds(resumed) == without_seconds(tuned)


@pytest.mark.parametrize("named", [{"student_epochs": 5}, {"student_learning_rate": 0.01}])
def test_naming_epochs_or_learning_rate_switches_tuning_off(named, tmp_path):
    study = search(dataset(), out=tmp_path / "s", **{**FREE, **named})
    assert not plan_of(study.folder).tuned
    assert {row.stage for row in study.students()} <= {"search", "confirm", "check"}
    won = {reference.training for _, reference in study.sweet_spot.references}
    assert len(won) == 1
    for name, value in named.items():
        assert getattr(won.copy().pop(), name.removeprefix("student_")) == value


def test_teachers_are_kept_when_a_search_goes_on_for_longer(tuned, tmp_path):
    longer = search(
        dataset(), out=tmp_path / "s", **{**FREE, "epochs": 4, "teachers_of": str(tuned.folder)}
    )
    whole = search(dataset(), out=tmp_path / "whole", **{**FREE, "epochs": 4})
    seconds = {(r.batch_size, r.epoch): r.seconds for r in tuned.trajectories()}
    for ours, fresh in zip(longer.trajectories(), whole.trajectories(), strict=True):
        assert ours.training_loss == fresh.training_loss
        assert ours.measurements == fresh.measurements
        if (ours.batch_size, ours.epoch) in seconds:
            assert ours.seconds == seconds[ours.batch_size, ours.epoch], "it was trained again"
    assert max(r.epoch for r in longer.trajectories()) == 4


def bayes(scale=2.0):
    """Logits that say how near an example of the made data is to each class's centre."""
    angle = 2 * math.pi * torch.arange(4) / 4
    centres = 1.5 * torch.stack([angle.cos(), angle.sin()], 1)
    return -scale * torch.cdist(dataset().train.inputs[:, :2], centres).square() / 2


def test_students_cut_short_get_no_verdict_and_are_told_what_to_type(tmp_path):
    digits = load_dataset("digits")
    similar = torch.randn(10, 10, generator=torch.Generator().manual_seed(0)) + 6 * torch.eye(10)
    found = verify(
        digits,
        responses=similar[digits.train.labels],
        out=tmp_path / "v",
        student_epochs=2,
        student_batch_size=64,
        student_learning_rate=2e-3,
        smoothings=[0.1],
        **{**QUICK, "student": "mlp:8"},
    )
    assert found.verdict == "undertrained"
    assert "still getting better after 2 epochs" in found.explanation
    assert "Leave out --student-epochs" in found.explanation
    assert found.more_seeds is None


def test_students_trained_long_enough_get_a_verdict(tmp_path):
    found = verify(
        dataset(),
        responses=bayes(),
        out=tmp_path / "v",
        student_epochs=40,
        student_batch_size=32,
        stack_width=20,
        student_learning_rate=0.01,
        smoothings=[0.1],
        **QUICK,
    )
    assert found.verdict != "undertrained"


def test_distillation_gives_selection_accuracies_and_the_answer_first(tmp_path):
    settings = {"temperature": 2, "student_batch_size": 32, **QUICK}
    result = distill(dataset(), responses=bayes(), out=tmp_path / "d", **settings)
    rows = StudyRows(tmp_path / "d")
    for name, accuracy in (
        ("recipe", result.selection_accuracy),
        ("hard_labels", result.hard_labels_selection_accuracy),
    ):
        assert 0 < accuracy <= 1, name
    assert result.delivered == (
        "recipe"
        if result.selection_accuracy > result.hard_labels_selection_accuracy
        else "hard_labels"
    )
    assert result.student().card.selection_accuracy >= result.selection_accuracy - 1e-9
    assert rows.stages == {"tune", "distill"}


class StudyRows:
    def __init__(self, folder):
        import pyarrow.parquet as pq

        files = folder.glob("students/*/rows.parquet")
        self.stages = {r["stage"] for f in files for r in pq.read_table(f).to_pylist()}


def test_students_that_all_diverge_end_the_work_before_anything_is_delivered(tmp_path):
    made = CliRunner().invoke(
        app,
        [
            "search",
            "digits",
            "--teacher=mlp:8",
            "--student=mlp:4",
            "--epochs=1",
            "--batch-sizes=256",
            "--student-epochs=3",
            "--student-optimizer=sgd",
            "--student-learning-rate=1e18",
            "--seeds=2",
            f"--out={tmp_path / 's'}",
        ],
    )
    assert made.exit_code == 1
    assert "diverged" in made.stderr
    assert "--student-learning-rate" in made.stderr
    assert not (tmp_path / "s" / "student").exists()
    assert not Study(tmp_path / "s").finished


def test_defaults_follow_the_data(monkeypatch):
    monkeypatch.setattr("goodteacher.config.values.FIRST_STEPS", 600)
    monkeypatch.setattr("goodteacher.config.values.FIRST_EPOCHS", 6)
    config = parse(StudyConfig, data="digits", teacher="mlp:8", student="mlp:8")
    small, large = config.first_training(128), config.first_training(54_000)
    assert (small.batch_size, large.batch_size) == (16, 256)
    assert small.epochs * 8 >= 600, "few examples take as many steps"
    assert large.epochs == 6
    digits = load_dataset("digits")
    named = parse(
        StudyConfig, data="digits", teacher="mlp:8", student="mlp:8", student_batch_size=32
    )
    assert named.first_training(len(digits.train)).batch_size == 32


def test_search_goes_on_where_students_still_improved_when_asked_to(tmp_path, monkeypatch):
    monkeypatch.setattr("goodteacher.config.values.FIRST_STEPS", 12)
    monkeypatch.setattr("goodteacher.config.values.FIRST_EPOCHS", 1)
    monkeypatch.setattr("goodteacher.students.tuning.PATIENCE", 3)
    monkeypatch.setattr("goodteacher.students.tuning.MORE_PATIENCE", 27)
    data, settings = dataset(num_train=600), {**FREE, "search_seeds": 2, "selection_fraction": 0.4}
    short = search(data, out=tmp_path / "s", **settings).sweet_spot
    assert short.improving, "every student was done: it tests nothing"
    assert short.answer == "undecided"
    assert short.summary.startswith("Distill: undecided. Students of ")
    assert "--until-converged" in short.doubts[0]
    study = search(data, out=tmp_path / "s", until_converged=True, **settings)
    epochs = {row.student_epochs for row in study.students() if row.stage == "search"}
    assert {1, 3, 9} <= epochs
    assert study.sweet_spot != short
