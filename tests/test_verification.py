"""The verdict from end to end: for a study, and for a response that the user brings."""

import json
import math
import shutil
from collections import defaultdict
from typing import ClassVar

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors import safe_open
from typer.testing import CliRunner

from goodteacher import search, verify
from goodteacher.cli import app, progress
from goodteacher.config import Recipe, Training, VerifyConfig, parse
from goodteacher.data import Dataset, load_dataset
from goodteacher.engines import LocalEngine
from goodteacher.errors import ConfigError, ResponseError
from goodteacher.maths.targets import FALSIFICATION, ladder_targets
from goodteacher.records.arms import FileSource, TargetSource
from goodteacher.students.plan import Students
from goodteacher.students.running import StudentRunner
from goodteacher.students.stacks import trained_student
from goodteacher.studies.progress import Silent
from goodteacher.studies.setting_up import prepare_context
from goodteacher.studies.tasks import DataKey
from goodteacher.verdicts.rule import target_arm
from goodteacher.verdicts.verification import TUNE_SEED, VERIFY_SEED
from tests.made import SETTINGS, arrays, dataset

QUICK = {
    "student": "mlp:3",
    "student_epochs": 4,
    "student_batch_size": 32,
    "seeds": 3,
    "smoothings": (0.1, 0.3),
    "temperature": 2.0,
    "alpha": 1.0,
    "precision": "float32",
    "device": "cpu",
    "selection_fraction": 0.2,
}


def bayes_logits():
    """The circle's true posterior: neighbours are alike."""
    angles = 2 * np.pi * np.arange(4) / 4
    centres = 1.5 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return torch.from_numpy(arrays()["x_train"][:, :2] @ centres.T).float()


@pytest.fixture(scope="module")
def verified(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verify") / "own"
    return folder, verify(dataset(), responses=bayes_logits(), out=folder, **QUICK)


def test_verdict_is_written_beside_its_students(verified):
    folder, verdict = verified
    assert json.loads((folder / "verdict.json").read_text()) == verdict.model_dump(mode="json")
    assert verdict.num_seeds == 3
    assert [rung.rung for rung in verdict.ladder] == [0, 1, 2, 3, 4]
    steps = [rung.step.mean for rung in verdict.ladder if rung.step]
    assert sum(steps) == pytest.approx(verdict.gain.mean, abs=1e-12)


def test_verdict_again_is_the_same_and_trains_nothing(verified):
    folder, verdict = verified
    before = {path: path.stat().st_mtime_ns for path in folder.glob("students/*/rows.parquet")}
    assert verify(dataset(), responses=bayes_logits(), out=folder, **QUICK) == verdict
    after = {path: path.stat().st_mtime_ns for path in folder.glob("students/*/rows.parquet")}
    assert before == after


def test_students_learn_from_the_ladders_targets(tmp_path):
    """What reaches the loss, softened at the recipe's temperature, is the rung's probabilities."""
    from goodteacher.config import VerifyConfig
    from goodteacher.config.reading import parse
    from goodteacher.responses import as_response
    from goodteacher.responses.fitting import fitted_response
    from goodteacher.students.given import keep_response
    from goodteacher.students.targets import TargetRequest, target_of
    from goodteacher.studies.progress import Silent
    from goodteacher.studies.setting_up import prepare_context
    from goodteacher.studies.tasks import DataKey
    from goodteacher.teachers.port import RecordedTeachers

    config = parse(VerifyConfig, data="circle", **QUICK)
    response = fitted_response(as_response(bayes_logits()), dataset())
    context = prepare_context(config, tmp_path / "s", data=dataset(), progress=Silent())
    base = keep_response(context, response)
    assert isinstance(base, FileSource)
    transfer = context.data.transfer
    aligned = response.aligned_to(transfer.ids)
    expected = ladder_targets(aligned, transfer.labels, temperature=2.0)

    key = DataKey.of(config, context.data)
    teachers = RecordedTeachers(context.store, {})
    request = TargetRequest(context, config.student, key, teachers, seed=0)
    for name in ("mean_smoothing", "confidence_smoothing", "class_similarity"):
        source = TargetSource(base=base, target=name, temperature=2.0)
        (logits,) = target_of(request, source)
        torch.testing.assert_close(
            torch.softmax(logits / 2.0, 1), expected[name], rtol=1e-4, atol=1e-6
        )


def test_study_is_judged_by_its_sweet_spot(tmp_path):
    made = tmp_path / "circle.npz"
    np.savez(made, **arrays())
    settings = {**SETTINGS, "seeds": 2, "search_seeds": 1, "student_epochs": 3}
    study = search(made, out=tmp_path / "study", **settings)
    verdict = verify(study.folder, seeds=3)
    assert verdict.recipe == study.sweet_spot.recipe
    assert study.verdict == verdict
    assert study.sweet_spot.teacher.run in verdict.teacher
    with pytest.raises(ConfigError, match="temperature is decided by the study"):
        verify(study, temperature=3)
    assert verify(study, seeds=3, threads=1, stack_width=4).num_seeds == 3  # how, not what


# --- adding seeds until it is decided ------------------------------------------------------------


UNDECIDED = {**QUICK, "seeds": 3, "until_decided": 9, "student_epochs": 1}


def plant_looks(patched, verdict_of):
    """Let looks come to planted verdicts: what trained students decide is another test's.

    Students of one epoch count as trained, too.

    Args:
        patched: A monkeypatch.
        verdict_of: The verdict by the number of seeds looked at.
    """
    from goodteacher.students import finished
    from goodteacher.verdicts import verification
    from goodteacher.verdicts.rule import judge

    def judged(correct, *others, **settings):
        seeds = len(correct["one_hot"])
        found = judge(correct, *others, **settings)
        return found.model_copy(update={"verdict": verdict_of.get(seeds, "inconclusive")})

    patched.setattr(verification, "judge", judged)
    patched.setattr(finished, "STEEP", math.inf)


@pytest.fixture(scope="module")
def looked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("looks") / "own"
    with pytest.MonkeyPatch.context() as patched:
        plant_looks(patched, {})
        return folder, verify(dataset(), responses=bayes_logits(), out=folder, **UNDECIDED)


def test_seeds_are_added_at_planned_looks_until_the_last(looked):
    folder, verdict = looked
    assert [(look.seeds, look.verdict) for look in verdict.looks] == [
        (3, "inconclusive"),
        (6, "inconclusive"),
        (9, "inconclusive"),
    ]
    assert sum(look.level for look in verdict.looks) == pytest.approx(0.05)
    assert (verdict.error_level, verdict.level) == (0.05, verdict.looks[-1].level)
    assert (verdict.until_decided, verdict.num_seeds) == (9, 9)
    assert len(list(folder.glob("students/*/rows.parquet"))) == 9


@pytest.mark.parametrize("seeds", [3, 6])
def test_looking_stops_where_the_verdict_is_clear(tmp_path, monkeypatch, seeds):
    plant_looks(monkeypatch, {seeds: "no_gain"})
    verdict = verify(dataset(), responses=bayes_logits(), out=tmp_path / "v", **UNDECIDED)
    assert verdict.verdict == "no_gain"
    assert [look.seeds for look in verdict.looks] == list(range(3, seeds + 1, 3))
    assert verdict.num_seeds == seeds
    assert len(list(tmp_path.glob("v/students/*/rows.parquet"))) == seeds


def test_students_that_are_not_trained_have_no_verdict_and_no_further_look(tmp_path, monkeypatch):
    plant_looks(monkeypatch, {})
    monkeypatch.setattr(
        "goodteacher.verdicts.verification.unfinished", lambda *_: ("full_response",)
    )
    verdict = verify(dataset(), responses=bayes_logits(), out=tmp_path / "v", **UNDECIDED)
    assert [(look.seeds, look.verdict) for look in verdict.looks] == [(3, "undertrained")]
    assert "Leave out --student-epochs" in verdict.explanation


def test_stopped_verification_goes_on_to_the_same_looks(looked, tmp_path, monkeypatch):
    from goodteacher.students.running import StudentRunner

    plant_looks(monkeypatch, {})
    trained, train = [], StudentRunner.run

    def interrupted(runner, task, context):
        if len(trained) == 4:
            raise KeyboardInterrupt
        trained.append(task.seed)
        train(runner, task, context)

    out = tmp_path / "v"
    monkeypatch.setattr(StudentRunner, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        verify(dataset(), responses=bayes_logits(), out=out, **UNDECIDED)
    monkeypatch.setattr(StudentRunner, "run", train)
    assert not (out / "verdict.json").exists()
    assert verify(dataset(), responses=bayes_logits(), out=out, **UNDECIDED) == looked[1]


def test_seeds_trained_before_are_used_again_and_the_unplanned_look_is_told(verified, tmp_path):
    class Heard(Silent):
        notes: ClassVar[list[str]] = []

        def note(self, text):
            self.notes.append(text)

    folder = tmp_path / "copy"
    shutil.copytree(verified[0], folder)
    more = {**QUICK, "until_decided": 4}
    before = {path: path.stat().st_mtime_ns for path in folder.glob("students/*/rows.parquet")}
    verify(dataset(), responses=bayes_logits(), out=folder, progress=Heard(), **more)
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert any(
        "Deciding again after seeing it is not corrected for" in note for note in Heard.notes
    )


# --- each arm at its own best --------------------------------------------------------------------


def test_each_arm_has_its_own_best_recipe_chosen_with_other_seeds(tmp_path):
    grid = {"tune_arms": True, "temperatures": (1.0, 8.0), "alphas": (0.3, 1.0), "search_seeds": 2}
    out = tmp_path / "v"
    verdict = verify(dataset(), responses=bayes_logits(), out=out, **{**QUICK, **grid})
    rows = [r for p in out.glob("students/*/rows.parquet") for r in pq.read_table(p).to_pylist()]
    tuning = [row for row in rows if row["seed"] >= TUNE_SEED]
    assert {row["seed"] for row in rows} - {row["seed"] for row in tuning} == set(
        range(VERIFY_SEED, VERIFY_SEED + 3)
    )
    means = defaultdict(list)
    for row in tuning:
        means[row["arm"]].append(row["selection_accuracy"])
    planned = {(2.0, 1.0), *((t, a) for t in (1.0, 8.0) for a in (0.3, 1.0))}
    tried = {(row["temperature"], row["alpha"]) for row in tuning if row["source"] == "file"}
    assert planned <= tried
    recipes = [Recipe(temperature=t, alpha=a) for t, a in tried]  # some beyond the edges
    base = FileSource(content=_content(out))
    for rung in verdict.ladder[1:]:
        keys = {recipe: target_arm(base, rung.name, recipe).key for recipe in recipes}
        by_recipe = {recipe: np.mean(means[key]) for recipe, key in keys.items() if key in means}
        assert len(by_recipe) >= len(planned)
        assert by_recipe[rung.recipe] == pytest.approx(max(by_recipe.values()))
    assert verdict.recipe == verdict.ladder[4].recipe
    judged = {row["arm"] for row in rows if row["seed"] < TUNE_SEED}
    for name in FALSIFICATION:
        assert target_arm(base, name, verdict.recipe).key in judged, "follows the full response"
    assert verdict.tuned_arms
    strengths = {row["smoothing"] for row in tuning if row["source"] == "smoothing"}
    assert set(QUICK["smoothings"]) | {verdict.smoothing} <= strengths
    assert not list(out.glob(f"students/*seed-{TUNE_SEED}-*/state.safetensors"))


def _content(folder):
    with safe_open(folder / "response.safetensors", framework="pt") as file:
        return file.metadata()["content"]


# --- transfer examples without a label -----------------------------------------------------------


@pytest.fixture(scope="module")
def half_labelled(tmp_path_factory):
    """Digits of which every other training label is missing, and a teacher's logits for all."""
    digits = load_dataset("digits")
    labels = digits.train.labels.clone()
    labels[::2] = -1
    parts = {"x_train": digits.train.inputs, "y_train": labels}
    parts |= {"x_test": digits.test.inputs, "y_test": digits.test.labels}
    path = tmp_path_factory.mktemp("half") / "half.npz"
    np.savez(path, **{name: tensor.numpy() for name, tensor in parts.items()})
    similar = torch.randn(10, 10, generator=torch.Generator().manual_seed(0))
    truth = digits.train.labels
    logits = similar[truth] + 5 * torch.eye(10)[truth]
    np.save(path.with_name("logits.npy"), logits.numpy())
    return path


HALF = {"student_epochs": 6, "student_batch_size": 64, "threads": 1, "precision": "float32"}


def test_study_and_its_verdict_take_unlabelled_examples(half_labelled, tmp_path):
    settings = {"batch_sizes": (64,), "epochs": 2, "search_seeds": 1, "seeds": 3, **HALF}
    study = search(half_labelled, teacher="mlp:32", student="mlp:8", out=tmp_path / "s", **settings)
    assert study.data.transfer == study.data.training + 719
    assert study.sweet_spot.references.label_smoothing.test_accuracy > 0.5
    verdict = verify(study, seeds=3)
    assert verdict.num_unlabelled == 719
    assert "pseudo_labels" in [control.name for control in verdict.controls]


def test_command_line_verifies_and_distills_with_unlabelled_examples(half_labelled, tmp_path):
    given = [str(half_labelled), f"--responses={half_labelled.with_name('logits.npy')}"]
    given += ["--student=mlp:8", *(f"--{k.replace('_', '-')}={v}" for k, v in HALF.items())]
    asked = ["--seeds=3", "--omit-class=1", f"--out={tmp_path / 'v'}"]
    found = CliRunner().invoke(app, ["verify", *given, *asked])
    assert found.exit_code == 0, found.stderr
    assert "719 transfer examples have no label" in found.stdout
    assert "pseudo_labels" in found.stdout
    assert "1 was left out: these students saw" in " ".join(found.stdout.split())
    made = CliRunner().invoke(app, ["distill", *given, f"--out={tmp_path / 'd'}"])
    assert made.exit_code == 0, made.stderr


def test_labels_alone_are_learned_as_if_the_unlabelled_were_not_there(half_labelled, tmp_path):
    """Cross-entropy on whole batches: one step on all is one step on the labelled ones."""
    from goodteacher.records.arms import CROSS_ENTROPY, smoothing_arm

    half = load_dataset(half_labelled)
    known = half.train.labels >= 0
    rest = Dataset("rest", half.train.subset(known.nonzero()[:, 0]), half.test, half.class_names)
    weights = []
    for name, data in (("all", half), ("labelled", rest)):
        config = parse(VerifyConfig, data=name, student="mlp:8", device="cpu", **HALF)
        context = prepare_context(config, tmp_path / name, data=data, progress=Silent())
        key = DataKey.of(config, context.data)
        students = Students(config, context, LocalEngine(context), key)
        size = len(context.data.transfer)
        plan = Training(epochs=3, batch_size=size, learning_rate=2e-3)
        arms = [CROSS_ENTROPY, smoothing_arm(0.2)]
        (task,) = students.tasks(arms, plan, stage="verify", seeds=[0])
        StudentRunner().run(task, context)
        weights.append([trained_student(context, task, arm).state_dict() for arm in task.arms])
    for on_all, on_labelled in zip(*weights, strict=True):
        for name, tensor in on_all.items():
            torch.testing.assert_close(tensor, on_labelled[name], rtol=2e-3, atol=2e-4)


# --- what is given wrongly, at the command line --------------------------------------------------


def bayes_file(folder, **changes):
    """A response file with ids, changed by what is wrong with it."""
    arrays_of = {"logits": bayes_logits().numpy(), "ids": np.arange(240), **changes}
    path = folder / "response.npz"
    np.savez(path, **{name: value for name, value in arrays_of.items() if value is not None})
    return path


def verify_at_the_command_line(folder, response, *options):
    made = folder / "circle.npz"
    np.savez(made, **arrays())
    settings = [f"--{k.replace('_', '-')}={_text(v)}" for k, v in {**QUICK, "seeds": 3}.items()]
    command = ["verify", str(made), f"--responses={response}", f"--out={folder / 'v'}"]
    return CliRunner().invoke(app, [*command, *settings, *options])


PROBABILITIES = torch.softmax(bayes_logits(), 1).numpy()
HARD = np.eye(4)[arrays()["y_train"]]


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"ids": np.arange(240) + 1000}, [], "Every id of the response is 1000 above an id"),
        ({"ids": np.arange(240) % 7}, [], "must be unique"),
        ({"logits": np.zeros((240, 7))}, [], "has 7 classes, but the data have 4"),
        (
            {"logits": np.ones((90, 4)), "ids": None},
            [],
            "has 90 rows and no ids, but the training data have 240 examples (test: 120",
        ),
        ({"logits": PROBABILITIES}, [], "Pass probabilities=True (--probabilities)"),
        ({"logits": 0.5 * PROBABILITIES}, ["--probabilities"], "sums to 0.5"),
        ({"logits": HARD}, ["--probabilities"], "hard 0/1 label, so it contains no similarity"),
        ({"logits": 50 * HARD}, [], "Record the teacher's raw logits, before any argmax"),
        ({}, ["--seeds=2"], "a verdict needs at least 3 paired seeds"),
        ({}, ["--until-decided=2"], "it must be at least seeds = 3, but it is 2"),
        ({}, ["--tune-arms", "--alphas=0"], "alphas must contain a value above 0"),
    ],
)
def test_bad_input_is_refused_with_what_to_do(tmp_path, changes, options, message):
    result = verify_at_the_command_line(tmp_path, bayes_file(tmp_path, **changes), *options)
    assert result.exit_code == 2, result.stderr
    assert message in " ".join(result.stderr.split())


def test_response_in_another_order_is_aligned_by_its_ids(verified, tmp_path):
    order = np.random.default_rng(0).permutation(240)
    moved = bayes_file(tmp_path, logits=bayes_logits().numpy()[order], ids=order)
    assert verify(dataset(), responses=moved, out=tmp_path / "v", **QUICK) == verified[1]


def test_response_that_knows_no_label_is_told_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "WORTH_SHOWING", 0.0)
    order = np.random.default_rng(0).permutation(240)
    moved = bayes_file(tmp_path, logits=bayes_logits().numpy()[order], ids=None)
    result = verify_at_the_command_line(tmp_path, moved)
    assert result.exit_code == 0, result.stderr
    said = " ".join(result.stderr.split())
    assert "no more than chance" in said
    assert said.index("no more than chance") < said.index("verification, 3 seeds")


def test_test_split_too_small_for_the_margin_is_told_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "WORTH_SHOWING", 0.0)
    result = verify_at_the_command_line(tmp_path, bayes_file(tmp_path))
    said = " ".join(result.stderr.split())
    assert (
        "With 120 test examples, two students must differ by about 5.7 points of accuracy" in said
    )
    assert said.index("With 120 test examples") < said.index("verification, 3 seeds")


def test_command_line_gives_the_verdict(tmp_path):
    made, logits = tmp_path / "circle.npz", tmp_path / "logits.npy"
    np.savez(made, **arrays())
    np.save(logits, bayes_logits().numpy())
    options = [f"--{k.replace('_', '-')}={_text(v)}" for k, v in QUICK.items()]
    command = ["verify", str(made), f"--responses={logits}", f"--out={tmp_path / 'v'}", *options]
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 0, shown.stderr
    for text in ("4 full_response", "controls", "class_map_permuted", "n = 3 paired seeds"):
        assert text in shown.stdout
    as_json = CliRunner().invoke(app, [*command, "--json"])
    assert json.loads(as_json.stdout)["verdict"] in as_json.stdout
    assert json.loads(as_json.stdout)["verdict"] in shown.stdout


def _text(value):
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"seeds": 2},
            ConfigError,
            "seeds = 2 is not allowed: a verdict needs at least 3 paired seeds",
        ),
        ({"alpha": 0}, ConfigError, "there is no teacher to judge"),
        ({"student": None}, ConfigError, "verify also needs student and out"),
        ({"margin": -0.1}, ConfigError, "margin = -0.1 is not allowed"),
    ],
)
def test_bad_setting_is_refused(tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        verify(dataset(), responses=bayes_logits(), out=tmp_path / "v", **{**QUICK, **changes})
    assert not (tmp_path / "v").exists()


def test_hard_labels_have_no_similarity_to_test(tmp_path):
    hard = 20.0 * torch.nn.functional.one_hot(dataset().train.labels, 4).float()
    with pytest.raises(ResponseError, match="no similarity information to test"):
        verify(dataset(), responses=hard, out=tmp_path / "v", **QUICK)


def test_response_of_other_classes_is_refused(tmp_path):
    with pytest.raises(ResponseError, match="has 5 classes, but the data have 4"):
        verify(dataset(), responses=torch.zeros(240, 5), out=tmp_path / "v", **QUICK)


def test_recipe_of_any_loss_can_be_judged(tmp_path):
    changes = {**QUICK, "loss": "dkd", "temperature": 3.0}
    found = verify(dataset(), responses=bayes_logits(), out=tmp_path / "v", **changes)
    assert found.recipe == Recipe(loss="dkd", temperature=3.0, alpha=1.0)
