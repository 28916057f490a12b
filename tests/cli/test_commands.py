"""The command line as its users meet it: exit codes, JSON on stdout, one clear message."""

import errno
import json
import os
import shlex
import signal
import textwrap
from importlib import metadata

import numpy as np
import pytest
from typer.testing import CliRunner

from goodteacher.cli import app, progress, share_cores
from goodteacher.errors import ConfigError
from goodteacher.training.machine import may_start_processes
from tests.made import SETTINGS, arrays, as_options, signalled

runner = CliRunner()


@pytest.fixture(scope="module")
def circle(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "circle.npz"
    np.savez(path, **arrays())
    return path


@pytest.fixture(scope="module")
def logits(tmp_path_factory):
    made = arrays()
    path = tmp_path_factory.mktemp("responses") / "teacher.npz"
    angles = 2 * np.pi * np.arange(4) / 4
    centres = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    np.savez(path, logits=3 * made["x_train"][:, :2] @ centres.T, labels=made["y_train"])
    return path


def options(**changes):
    merged = {**SETTINGS, "seeds": 2, "search_seeds": 1, "student_epochs": 3, **changes}
    return as_options(merged)


def run(*arguments):
    return runner.invoke(app, [str(argument) for argument in arguments])


def test_search_prints_a_table_and_the_way_to_the_report(circle, tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "WORTH_SHOWING", 0.0)
    result = run("search", circle, "--out", tmp_path / "s", *options())
    assert result.exit_code == 0, result.stderr
    for text in (
        "Sweet spot: the teacher of batch size",
        "hard labels",
        "report.html",
        "n = 2",
    ):
        assert text in result.stdout
    assert "students, round 1: done in" in result.stderr
    assert "best students so far: " in result.stderr
    assert max(map(len, result.stdout.split("Student: ")[0].splitlines())) <= 80
    assert f"Report: {tmp_path / 's'}/report.html\n" in result.stdout, "whole, to be copied"


def test_search_as_json_is_the_answer_and_nothing_else(circle, tmp_path):
    result = run("search", circle, "--out", tmp_path / "s", "--json", *options())
    assert result.exit_code == 0, result.stderr
    answer = json.loads(result.stdout)
    assert answer == json.loads((tmp_path / "s" / "sweet_spot.json").read_text())
    assert answer["schema_version"] == 1
    assert set(answer["references"]) == {
        "cross_entropy",
        "label_smoothing",
        "converged_teacher",
        "most_accurate_teacher",
    }


def test_quiet_search_prints_its_result_alone_and_errors_still(circle, tmp_path):
    asked = ("search", circle, "--quiet", *options())
    result = run(*asked, "--out", tmp_path / "s")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "Sweet spot: the teacher of batch size" in result.stdout
    refused = run(*asked, "--out", circle)
    assert refused.exit_code == 2
    assert refused.stderr.startswith("error: ")


def test_settings_come_from_a_file_and_the_command_line_wins(circle, tmp_path):
    made = tmp_path / "study.toml"
    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in SETTINGS.items()}
    plain |= {"data": str(circle), "seeds": 2, "search_seeds": 1, "student_epochs": 3}
    made.write_text("\n".join(f"{k} = {json.dumps(v)}" for k, v in plain.items()))
    out = tmp_path / "s"
    result = run("search", "--config", made, "--out", out, "--epochs", 2, "--json")
    assert result.exit_code == 0, result.stderr
    assert "epochs = 2" in (out / "study.toml").read_text().splitlines()


def test_distill_says_what_it_added_to_the_labels_alone(circle, logits, tmp_path):
    arguments = ("distill", circle, "--responses", logits, "--student", "mlp:3")
    arguments += ("--student-epochs", 3, "--student-batch-size", 32, "--temperature", 2)
    result = run(*arguments, "--out", tmp_path / "one")
    assert result.exit_code == 0, result.stderr
    assert "Gain:" in result.stdout
    assert "n = 1 seed: the interval covers the test examples only" in result.stdout
    result = run(*arguments, "--out", tmp_path / "three", "--seeds", 3, "--json")
    found = json.loads(result.stdout)
    assert found["num_seeds"] == 3
    assert found["gain"] == pytest.approx(
        found["test_accuracy"] - found["cross_entropy_test_accuracy"]
    )
    assert (tmp_path / "three" / "student" / "model.safetensors").exists()


def test_distill_goes_on_only_with_the_same_response(circle, logits, tmp_path):
    arguments = ("--student", "mlp:3", "--student-epochs", 1, "--student-batch-size", 32)
    first = run("distill", circle, "--responses", logits, "--out", tmp_path / "d", *arguments)
    again = run("distill", circle, "--responses", logits, "--out", tmp_path / "d", *arguments)
    assert first.exit_code == again.exit_code == 0
    assert first.stdout == again.stdout
    other = tmp_path / "other.npy"
    np.save(other, np.random.default_rng(0).normal(size=(240, 4)))
    result = run("distill", circle, "--responses", other, "--out", tmp_path / "d", *arguments)
    assert result.exit_code == 2
    assert "students of another response" in result.stderr


def test_score_measures_at_each_temperature(logits):
    result = run("score", logits, "--labels", logits, "--temperatures", "1,4", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    temperatures = [m["temperature"] for m in found["measurements"]]
    assert temperatures == sorted({1.0, 4.0, found["optimal_temperature"]})
    shown = run("score", logits, "--labels", logits)
    assert "similarity S" in shown.stdout


def test_doctor_describes_the_data(circle):
    result = run("doctor", circle, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["train"], found["test"], found["num_classes"]) == (240, 120, 4)
    assert "240 training and 120 test examples" in run("doctor", circle).stdout


def test_report_is_written_again(circle, tmp_path):
    run("search", circle, "--out", tmp_path / "s", *options())
    (tmp_path / "s" / "report.html").unlink()
    result = run("report", tmp_path / "s", "--json")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "s" / "report.html").exists()


def spoiled(name, value):
    made = arrays()
    made[name] = value(made[name])
    return made


BAD_DATA = {
    "empty data": (lambda x: x[:0], "x_train"),
    "one class": (lambda y: y * 0, "y_train"),
    "label out of range": (lambda y: y - 2, "y_train"),
    "labels not integers": (lambda y: y + 0.5, "y_train"),
    "not a number": (lambda x: np.where(x > 2, np.nan, x), "x_train"),
    "infinity": (lambda x: np.where(x > 2, np.inf, x), "x_test"),
    "class missing in the training split": (lambda y: np.minimum(y, 2), "y_train"),
    "another number of features": (lambda x: x[:, :3], "x_test"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data_end_with_one_message_and_exit_code_two(case, tmp_path):
    change, name = BAD_DATA[case]
    path = tmp_path / "bad.npz"
    np.savez(path, **spoiled(name, change))
    result = run("search", path, "--out", tmp_path / "out", *options())
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs = '0' is not allowed"),
        ({"student_learning_rate": -1}, "student_learning_rate = '-1' is not allowed"),
        ({"batch_sizes": "16,9999"}, "batch_sizes holds 9999"),
        ({"teacher": "mpl:3"}, "mpl"),
        ({"student": "python:nowhere:make"}, "nowhere"),
        ({"temperatures": "hot"}, "temperatures = 'hot' is not allowed"),
    ],
)
def test_bad_setting_ends_with_one_message_and_exit_code_two(circle, tmp_path, changes, message):
    result = run("search", circle, "--out", tmp_path / "out", *options(**changes))
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


def test_error_is_json_too_when_json_is_asked_for(circle, tmp_path):
    result = run("search", circle, "--out", tmp_path / "o", "--json", *options(epochs=0))
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["type"] == "ConfigError"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((240, 3)), "The response has 3 classes, but the data have 4"),
        (np.zeros((100, 4)), "100 rows and no ids"),
        (np.full((240, 4), np.nan), "240 of 240 rows of the response contain NaN"),
        (np.full((240, 4), 0.25), "look like probabilities"),
    ],
)
def test_response_that_does_not_fit_is_refused(circle, tmp_path, values, message):
    path = tmp_path / "r.npy"
    np.save(path, values)
    out = tmp_path / "out"
    result = run("distill", circle, "--responses", path, "--student", "mlp:3", "--out", out)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.stderr.split())
    assert not out.exists()


def test_output_that_is_a_file_is_refused(circle, tmp_path):
    target = tmp_path / "out"
    target.write_text("mine")
    result = run("search", circle, "--out", target, *options())
    assert result.exit_code == 2
    assert "is a file" in result.stderr
    assert target.read_text() == "mine"


def test_missing_teacher_is_named(circle, tmp_path):
    result = run("search", circle, "--student", "mlp:3", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "teacher is missing" in result.stderr


def test_version_is_that_of_the_package():
    result = run("--version")
    assert result.exit_code == 0
    assert result.stdout.split() == ["goodteacher", metadata.version("goodteacher")]


def test_what_is_wrong_with_a_file_of_settings_is_told_together(circle, tmp_path):
    made = tmp_path / "mine.toml"
    made.write_text('out = "x"\nepoch = 3\nhalving = 1\nbatch-sizes = [1]\n[responses]\n')
    result = run("search", circle, "--config", made, "--out", tmp_path / "o", "--views", 2)
    assert result.exit_code == 2
    for text in (
        f"out in {made} is not a setting, but an option of the command: give it as --out.",
        f"responses in {made} is not a setting",
        "epoch is not a setting. Did you mean epochs?",
        "batch-sizes is not a setting. Did you mean batch_sizes?",
        "halving = 1 is not allowed",
        "views = 2 needs augment",
        "teacher is missing. Give it as --teacher,",
        "student is missing",
    ):
        assert result.stderr.count(text) == 1, text


def test_settings_may_begin_with_a_byte_order_mark(circle, tmp_path):
    made = tmp_path / "mine.toml"
    made.write_bytes(b"\xef\xbb\xbfepochs = 0\n")
    result = run("search", circle, "--config", made, "--out", tmp_path / "o", *options(epochs=0))
    assert "epochs = '0' is not allowed" in result.stderr
    assert "TOML" not in result.stderr


def test_error_of_the_system_is_one_message(circle, tmp_path, monkeypatch):
    def denied(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", "somewhere")

    monkeypatch.setattr("goodteacher.report.write_report", denied)
    run("search", circle, "--out", tmp_path / "s", *options())
    result = run("report", tmp_path / "s", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["type"] == "PermissionError"
    assert result.stderr.startswith("error: somewhere: Permission denied.")


@pytest.mark.parametrize("name", ["study.toml", "sweet_spot.json", "students.parquet"])
def test_damaged_study_is_one_message_that_names_the_file(circle, tmp_path, name):
    folder = tmp_path / "s"
    run("search", circle, "--out", folder, *options())
    (folder / name).write_bytes(b"\xff\xfe\x00 nothing of use")
    for arguments in (("report", folder), ("verify", folder, "--seeds", 3)):
        result = run(*arguments)
        if result.exit_code == 0:
            assert (name, arguments[0]) == ("students.parquet", "verify")
            continue
        assert result.exit_code == 2, result.exception
        assert name in result.stderr


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"]
)
def test_interrupted_command_names_the_one_with_which_the_study_goes_on(
    circle, tmp_path, number, code
):
    out = tmp_path / "s"
    stopped = signalled(["search", circle, f"--out={out}", *options()], number)
    assert stopped.returncode == code, stopped.stderr
    assert "Interrupted. Finished work is kept. To continue:\n" in stopped.stderr
    again = shlex.split(stopped.stderr.splitlines()[-1])
    assert again == [
        "python",
        "-m",
        "goodteacher",
        "search",
        str(circle),
        f"--out={out}",
        *options(),
    ]
    assert "Traceback" not in stopped.stderr
    assert (out / "study.toml").exists()
    assert not (out / "sweet_spot.json").exists()
    assert run("search", circle, "--out", out, *options()).exit_code == 0


def test_every_setting_is_an_option_of_search_named_in_full_on_a_narrow_terminal():
    from goodteacher.config import StudyConfig

    text = runner.invoke(app, ["search", "--help"], env={"COLUMNS": "80"}).stdout
    for name in StudyConfig.model_fields:
        if name != "data":
            assert f"--{name.replace('_', '-')}" in text


def test_waiting_threads_let_others_work_unless_the_user_says_otherwise(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    share_cores()
    assert os.environ["GOMP_SPINCOUNT"] == "7"
    monkeypatch.delenv("GOMP_SPINCOUNT")
    share_cores()
    assert os.environ["GOMP_SPINCOUNT"] == "1000"
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    share_cores()
    assert "GOMP_SPINCOUNT" not in os.environ


@pytest.mark.filterwarnings("always::goodteacher.training.stacking.StackingWarning")
def test_student_that_cannot_be_stacked_is_told_once(circle, tmp_path, monkeypatch):
    source = """
        from torch import nn
        class Odd(nn.Module):
            def __init__(self, num_classes):
                super().__init__()
                self.layer = nn.Linear(6, num_classes)
            def forward(self, inputs):
                logits = self.layer(inputs)
                return logits * 2 if float(logits.detach().sum()) > 0 else logits.relu_() * 2
    """
    (tmp_path / "odd.py").write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(str(tmp_path))
    chosen = options(student="python:odd:Odd", seeds=2)
    result = runner.invoke(app, ["search", str(circle), *chosen, f"--out={tmp_path / 's'}"])
    assert result.exit_code == 0, result.stderr
    told = " ".join(result.stderr.split())
    assert told.count("Students of this network are trained one after another, which gives") == 1
    assert "torch.fx cannot trace it (TypeError" in told


@pytest.mark.parametrize(
    ("command", "place"),
    [
        (["search", "digits", "--teacher=mlp:4", "--student=mlp:2"], "searching.search"),
        (["distill", "digits", "--responses=r.npy", "--student=mlp:2"], "distillation.distill"),
        (["verify", "a-study"], "verification.verify"),
    ],
)
def test_commands_that_train_may_start_processes(command, place, tmp_path, monkeypatch):
    seen = []

    def training(*_, **__):
        seen.append(may_start_processes())
        raise ConfigError("that is all")

    monkeypatch.setattr(f"goodteacher.public.{place}", training)
    runner.invoke(app, [*command, f"--out={tmp_path / 's'}"])
    assert seen == [True]
    assert not may_start_processes()
