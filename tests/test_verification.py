"""The verdict from end to end: for a study, and for a response that the user brings."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from goodteacher import search, verify
from goodteacher.cli import app
from goodteacher.config import Recipe
from goodteacher.errors import ConfigError, ResponseError
from goodteacher.results import FileSource, TargetSource
from goodteacher.targets import ladder_targets
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
    from goodteacher.distillation import fitted_response, read_any_response
    from goodteacher.progress import Silent
    from goodteacher.students import TARGETS
    from goodteacher.verification import VerifyConfig, keep_response, parse, prepare_context

    config = parse(VerifyConfig, data="circle", **QUICK)
    response = fitted_response(read_any_response(bayes_logits(), probabilities=False), dataset())
    context = prepare_context(config, tmp_path / "s", data=dataset(), progress=Silent())
    base = keep_response(context, response)
    assert isinstance(base, FileSource)
    transfer = context.data.transfer
    aligned = response.aligned_to(transfer.ids)
    expected = ladder_targets(aligned, transfer.labels, temperature=2.0)

    class Task:
        seed = 0

    for name in ("mean_smoothing", "confidence_smoothing", "class_similarity"):
        source = TargetSource(base=base, target=name, temperature=2.0)
        (logits,) = TARGETS["target"](Task(), context, source)
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
    assert f"batch {study.sweet_spot.teacher.batch_size}" in verdict.teacher
    with pytest.raises(ConfigError, match="temperature is decided by the study"):
        verify(study, temperature=3)


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
        ({"seeds": 2}, ConfigError, "seeds = 2 is not allowed: input should be greater than or"),
        ({"alpha": 0}, ConfigError, "there is no teacher to judge"),
        ({"student": None}, ConfigError, "verify needs student and out"),
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
