"""The comparison with other tools: its arithmetic, its table, and what all tools share."""

import dataclasses
import doctest
import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

# At the end: the folder has a module named coverage, which must not hide the package.
sys.path.append(str(Path(__file__).parent.parent.parent / "benchmarks"))
compare, environments, job_module, networks, ours, plain, prepare, summary, table, tools, worker = (
    importlib.import_module(f"peers.{name}")
    for name in (
        "compare",
        "environments",
        "job",
        "networks",
        "ours",
        "plain",
        "prepare",
        "summary",
        "table",
        "tools",
        "worker",
    )
)


def run(seconds, *, teacher_pass=0.0, parameters=(100, 10), accuracy=0.5):
    return {
        "train_seconds": seconds,
        "setup_seconds": 0.1,
        "teacher_pass_seconds": teacher_pass,
        "peak_rss_mib": 500.0,
        "peak_gpu_mib": None,
        "test_accuracy": accuracy,
        "precision": "float32",
        "teacher_parameters": parameters[0],
        "student_parameters": parameters[1],
        "versions": {"torch": "2.0"},
    }


@pytest.fixture
def data():
    arrays = plain.random_arrays(24, shape=(3, 8, 8), num_classes=3)
    return dataclasses.replace(
        arrays, mean=np.float32([0.4, 0.5, 0.6]), std=np.float32([0.2, 0.3, 0.25])
    )


@pytest.fixture
def job(tmp_path):
    return job_module.Job(
        teacher="cnn:6,8",
        student="cnn:4",
        arrays=str(tmp_path / "arrays.npz"),
        weights=str(tmp_path / "teacher.npz"),
        epochs=2,
        batch_size=8,
        device="cpu",
        threads=1,
        num_classes=3,
        learning_rate=0.01,
    )


@pytest.mark.parametrize("module", [summary, table], ids=lambda module: module.__name__)
def test_examples_in_docstrings_hold(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


# Arithmetic ---------------------------------------------------------------------------------------


def test_a_student_epoch_is_a_share_of_the_stack_and_of_the_epochs():
    figures = summary.derived(run(64.0, teacher_pass=8.0), examples=1000, epochs=2, students=4)
    assert figures["seconds_per_student_epoch"] == 8.0
    assert figures["seconds_per_student_epoch_with_teacher_pass"] == 9.0
    assert figures["images_per_second"] == 1000 * 8 / 64


def test_ratios_are_of_the_same_repeat():
    baseline = {0: run(10.0), 1: run(40.0), 2: run(10.0)}
    own = {0: run(4.0, teacher_pass=1.0), 1: run(16.0, teacher_pass=4.0)}
    found = summary.times_cheaper(baseline, own, students=2)
    assert found["training"] == {"median": 5.0, "low": 5.0, "high": 5.0}
    assert found["with_teacher_pass"] == {"median": 4.0, "low": 4.0, "high": 4.0}


def test_without_the_plain_loop_there_is_no_ratio():
    found = summary.times_cheaper({}, {0: run(4.0)}, students=1)
    assert found == {"training": None, "with_teacher_pass": None}


def test_summary_counts_repeats_and_keeps_the_spread():
    found = summary.summarise(
        [run(2.0, accuracy=0.3), run(1.0, accuracy=0.4), run(9.0, accuracy=0.8)],
        examples=10,
        epochs=1,
        students=1,
    )
    assert found["n"] == 3
    assert found["train_seconds"] == {"median": 2.0, "low": 1.0, "high": 9.0}
    assert found["test_accuracy"]["high"] == 0.8
    assert found["peak_gpu_mib"] is None


def test_a_tool_with_other_networks_is_named():
    runs = {"plain": run(1.0), "same": run(2.0), "other": run(1.0, parameters=(100, 11))}
    assert summary.other_networks(runs) == {"other": "student_parameters is 11, elsewhere 10"}


# The table ----------------------------------------------------------------------------------------


@pytest.fixture
def result(monkeypatch):
    options = compare.options_of(["--data=none", "--tools", "plain", "keras", "goodteacher-32"])
    job = job_module.Job("resnet:56", "resnet:20", "", "", 2, 128, "cpu", 2)
    pair = compare.Pair(job, 0.25, failures={"keras": "not installed: no such version"})
    pair.runs["plain"] = {0: run(12.0), 1: run(10.0), 2: run(14.0)}
    pair.runs["goodteacher-32"] = {0: run(32.0, teacher_pass=3.2), 1: run(32.0, teacher_pass=3.2)}
    return compare._result([pair], options, {"processor": "a CPU", "threads": 2, "device": "cpu"})


def rows_of(text):
    return {
        line.split("|")[1].split(" (")[0].strip(): [c.strip() for c in line.split("|")[1:-1]]
        for line in text.splitlines()
        if line.startswith("| ")
    }


def test_table_shows_every_tool_with_its_figures(result):
    rows = rows_of(table.render(json.loads(json.dumps(result))))
    heads = rows["tool"]
    plain_row = dict(zip(heads, rows["plain PyTorch loop"], strict=True))
    ours_row = dict(zip(heads, rows["goodteacher, 32 students"], strict=True))
    assert plain_row["n"] == "3"
    assert plain_row["s per student-epoch"] == "6 (5-7)"
    assert ours_row["n"] == "2"
    assert ours_row["s per student-epoch"] == "0.5 (0.5-0.5)"
    assert ours_row["s per student-epoch with it"] == "0.55 (0.55-0.55)"
    assert ours_row["times cheaper than plain"] == "11.00 (10.00-12.00)"


def test_a_tool_that_failed_stays_in_the_table_with_its_reason(result):
    text = table.render(result)
    assert set(rows_of(text)["Keras `keras.distillation`"][1:]) == {"not measured"}
    assert "- Keras `keras.distillation`: not installed: no such version" in text


def test_gpu_memory_is_a_column_only_where_there_is_a_gpu(result):
    assert "GPU" not in table.render(result)
    result["settings"]["device"] = "cuda"
    assert "peak GPU memory, MiB" in rows_of(table.render(result))["tool"]


# Options and environments -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--examples=1000"], "multiple of --batch-size"),
        (["--teacher", "resnet:56"], "as many networks"),
        (["--tools", "magic"], "invalid choice"),
    ],
)
def test_options_that_cannot_be_compared_are_refused(arguments, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        compare.options_of(["--data=none", *arguments])
    assert message in capsys.readouterr().err


def test_a_tool_that_cannot_be_installed_costs_only_itself(monkeypatch, tmp_path):
    def refuse(command):
        if any("keras" in word for word in command):
            raise environments.NotInstalledError("no matching distribution")

    monkeypatch.setattr(environments, "_call", refuse)
    (tmp_path / "peers").mkdir()
    chosen = [tools.TOOLS[name] for name in ("plain", "keras", "timm")]
    pythons, missing = compare._install(chosen, tmp_path)
    assert set(pythons) == {"plain", "timm"}
    assert missing == {"keras": "not installed: no matching distribution"}


def test_what_is_installed_is_not_installed_again(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(environments, "_call", calls.append)
    (tmp_path / "peers").mkdir()
    for _ in range(2):
        environments.python_of(tools.TOOLS["timm"], tmp_path)
    installs = [call for call in calls if "install" in call]
    assert [call[-1] for call in installs] == ["torchvision==0.29.1", "timm==1.0.31"]


def test_a_worker_that_fails_gives_its_last_words(job, tmp_path):
    result, reason = compare._measured("plain", job, Path(sys.executable), 60)
    assert result is None
    assert reason.startswith("FileNotFoundError")


# What the tools share -----------------------------------------------------------------------------


def test_job_and_arrays_survive_their_files(job, data, tmp_path):
    job.write(tmp_path / "job.json")
    assert job_module.Job.read(tmp_path / "job.json") == job
    data.write(Path(job.arrays))
    read = job_module.Arrays.read(job.arrays)
    assert all((getattr(read, f) == getattr(data, f)).all() for f in vars(data))


def test_every_tool_sees_the_same_normalised_images(data):
    whole = torch.from_numpy(data.normalised(data.images))
    one_by_one = torch.stack([plain.ImageDataset(data)[i][0] for i in range(len(data.labels))])
    torch.testing.assert_close(one_by_one, whole)
    own = ours.normalization_of(data)(torch.from_numpy(data.images))
    torch.testing.assert_close(own, whole)


def test_tutorial_loss_is_the_canonical_one():
    from goodteacher import distillation_loss

    student, teacher = torch.randn(2, 5, 3, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 0, 1])
    recipe = {"temperature": 4.0, "alpha": 0.3}
    expected = distillation_loss(student, teacher, labels, **recipe)
    torch.testing.assert_close(networks.tutorial_loss(student, teacher, labels, **recipe), expected)
    alone = networks.tutorial_loss(student, None, labels, **recipe)
    torch.testing.assert_close(alone, nn.functional.cross_entropy(student, labels))


def test_plain_loop_and_goodteacher_train_the_same_networks(job, data):
    prepare.train_teacher(job, data, epochs=1)
    sessions = [plain.PlainSession(job, data), ours.GoodteacherSession(job, data)]
    assert sessions[0].parameters() == sessions[1].parameters()
    for first, second in zip(*(s.student.parameters() for s in sessions), strict=True):
        assert torch.equal(first, second)
    for session in sessions:
        before = [p.clone() for p in session.student.parameters()]
        session.train()
        after = session.trainer.network.network_of(0) if session is sessions[1] else session.student
        moved = [not torch.equal(a, b) for a, b in zip(before, after.parameters(), strict=True)]
        assert all(moved)


def test_many_students_have_recipes_of_their_own_and_the_first_has_the_peers(job):
    recipes = ours.recipes_for(dataclasses.replace(job, students=32))
    assert len({str(recipe) for recipe in recipes}) == 32
    assert (recipes[0].temperature, recipes[0].alpha) == (job.temperature, job.alpha)
    assert max(tool.students for tool in tools.TOOLS.values()) == 32


def test_a_measurement_has_every_figure_that_the_summary_needs(job, data):
    data.write(Path(job.arrays))
    prepare.train_teacher(job, data, epochs=1)
    for name in ("plain", "goodteacher-1"):
        found = worker.measure(tools.TOOLS[name], job)
        assert found["train_seconds"] > 0
        assert found["peak_rss_mib"] > 50
        assert (found["teacher_pass_seconds"] > 0) == (name == "goodteacher-1")
        assert summary.summarise([found], examples=24, epochs=2, students=1)["n"] == 1
