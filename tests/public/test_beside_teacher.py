"""The teacher in an export: the right one, measured as the student is, and honest where it wins."""

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import goodteacher
from goodteacher import search
from goodteacher.cli import app
from goodteacher.data import Dataset, Split
from goodteacher.delivery import quantization
from goodteacher.errors import ModelError, StudyError
from goodteacher.public.exporting import export
from goodteacher.public.model_card import model_card
from goodteacher.studies import Store
from tests.made import SETTINGS, accepted, arrays, dataset

QUICK = {**SETTINGS, "seeds": 2, "search_seeds": 1, "student_epochs": 4, "rungs": 1}
QUICK |= {"learning_rates": (0.02,), "epochs": 6}
VMAP = "ignore::goodteacher.training.stacking.StackingWarning"
runner = CliRunner()


@pytest.fixture
def onnx():
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason="needs goodteacher[onnx]")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("beside")
    np.savez(root / "circle.npz", **arrays())
    return search(root / "circle.npz", out=root / "study", **QUICK)


@pytest.fixture(scope="module")
def exported(study, tmp_path_factory):
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason="needs goodteacher[onnx]")
    out = tmp_path_factory.mktemp("with onnx") / "out"
    return export(study, out=out, int8=True, max_loss=1.0), out


def best(study):
    return max(study.trajectories(), key=lambda record: record.by_accuracy)


def test_teacher_is_the_most_accurate_one_as_it_was_when_the_test_split_was_opened(study, tmp_path):
    found = export(study, out=tmp_path / "out", format="safetensors").teacher
    record = best(study)
    assert found.name.endswith(f"after epoch {record.epoch}")
    assert f"batch size {record.batch_size}" in found.name
    expected = study.sweet_spot.references.most_accurate_teacher.teacher_test_accuracy
    assert found.quality.accuracy.value == pytest.approx(expected, abs=1e-6)
    assert found.size.parameters == 6 * 12 + 12 + 12 * 4 + 4
    assert found.size.multiply_adds == 6 * 12 + 12 * 4
    assert found.num_bytes > 4 * found.size.parameters


def test_its_probabilities_have_the_temperature_of_the_selection_split(study, tmp_path):
    found = export(study, out=tmp_path / "out", format="safetensors").teacher.quality
    record = best(study)
    assert record.optimal_temperature_limit is None
    assert record.optimal_temperature != 1
    assert found.nll.value != found.uncalibrated_nll


def test_test_split_is_opened_once(study, tmp_path):
    def openings():
        return [e for e in study.store.events() if e["event"] == "test_split_opened"]

    before = len(openings())
    export(study, out=tmp_path / "out", format="safetensors")
    assert len(openings()) == before + 1


def test_without_an_onnx_file_the_teacher_is_timed_in_pytorch_alone(study, tmp_path):
    found = export(study, out=tmp_path / "out", format="safetensors").teacher
    assert [each.runtime for each in found.timed] == ["PyTorch"]
    assert [one.batch_size for one in found.timed[0].latencies] == [1, 64]
    assert found.quantized is None
    assert "--format onnx" in found.why_not_quantized


def test_both_are_timed_in_every_runtime(exported):
    found, out = exported
    runtimes = ["PyTorch", "ONNX Runtime", "ONNX Runtime, 8 bits"]
    for timed in (found.timed, found.teacher.timed):
        assert [each.runtime for each in timed] == runtimes
        for each in timed:
            for one in each.latencies:
                assert one.quartiles[0] <= one.median <= one.quartiles[1] <= one.p95
                assert one.repetitions >= 7
    assert not list(out.rglob("*eacher*")), "nothing of the teacher is delivered"


def test_competitor_is_quantized_with_the_same_examples(study, tmp_path, monkeypatch, onnx):
    given, plain = [], quantization.quantize

    def watched(source, target, examples):
        kept = list(examples)
        given.append(np.concatenate([batch["inputs"] for batch in kept]))
        plain(source, target, kept)

    monkeypatch.setattr(quantization, "quantize", watched)
    found = export(study, out=tmp_path / "out", int8=True, max_loss=1.0).teacher.quantized
    ours, theirs = given
    np.testing.assert_array_equal(ours, theirs)
    low, high = found.interval
    assert low <= found.difference <= high
    assert found.quality.num_examples == 120
    assert found.num_bytes > 0


def test_competitor_can_be_left_out(study, tmp_path, onnx):
    out = tmp_path / "out"
    asked = ["export", str(study.folder), "--out", str(out), "--no-teacher-int8"]
    result = runner.invoke(app, asked)
    assert result.exit_code == 0, result.stderr
    assert "In 8 bits: not measured. It was switched off" in " ".join(result.stdout.split())
    assert "was not measured. It was switched off" in (out / "README.md").read_text()


def blobs(num_examples=320):
    """Four heaps far apart: whoever learns anything is always right."""
    random = np.random.default_rng(0)
    labels = np.arange(num_examples) % 4
    points = 6 * np.eye(4)[labels] + 0.1 * random.normal(size=(num_examples, 4))
    inputs, labels = torch.from_numpy(points.astype(np.float32)), torch.from_numpy(labels)
    ids = torch.arange(num_examples)
    parts = zip(inputs.split(240), labels.split(240), ids.split(240), strict=True)
    return Dataset("blobs", *(Split(*part) for part in parts), tuple("abcd"))


def test_card_says_so_where_nothing_speaks_for_the_student(tmp_path, onnx):
    data = blobs()
    # so large that it is slower for a single example, too, on any machine
    large = {**QUICK, "teacher": "mlp:16", "student": "mlp:768,512", "batch_sizes": (16,)}
    made = search(data, out=tmp_path / "study", **large)
    found = export(made, out=tmp_path / "out", data=data)
    competitor = found.teacher.quantized
    assert competitor.quality.accuracy.value == 1
    assert not competitor.student_smaller
    assert not competitor.student_faster
    assert competitor.wins
    text = (tmp_path / "out/README.md").read_text()
    assert "**The teacher in 8 bits is the better choice.**" in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"student_smaller": True}, "The student is smaller, and not shown to be faster and more"),
        ({"student_faster": True}, "The student is faster, and not shown to be smaller and more"),
        ({"interval": (0.01, 0.3)}, "The student is more accurate, and not shown to be smaller"),
        ({"interval": (-0.01, 0.3)}, "is the better choice"),
        (
            {"student_smaller": True, "student_faster": True, "interval": (0.1, 0.3)},
            "The student is smaller, faster and more accurate.",
        ),
    ],
)
def test_card_tells_what_speaks_for_the_student(study, exported, change, said):
    found, _ = exported
    plain = {"student_smaller": False, "student_faster": False, "interval": (-0.2, 0.1)}
    quantized = found.teacher.quantized.model_copy(update={**plain, **change})
    teacher = found.teacher.model_copy(update={"quantized": quantized})
    card = study.student().card
    text = model_card(study.store, card, found.model_copy(update={"teacher": teacher}))
    assert said in text


def test_table_of_the_card_has_a_row_for_each(exported):
    found, out = exported
    rows = [
        line.strip("| ").split(" | ")
        for line in (out / "README.md").read_text().splitlines()
        if line.startswith("| ")
    ]
    table = {row[0]: row[1:] for row in rows}
    accuracy = found.teacher.quality.accuracy
    low, high = (f"{100 * end:.2f}" for end in accuracy.interval)
    assert table["teacher"][0] == f"{100 * accuracy.value:.2f} [{low}, {high}]"
    assert table["teacher in 8 bits"][0].startswith(
        f"{100 * found.teacher.quantized.quality.accuracy.value:.2f} ["
    )
    assert len(table["this student"]) == 4
    for who in ("student", "teacher"):
        assert len(table[f"{who}, ONNX Runtime"]) == 2


def recorded(tmp_path, *, record_test):
    data = dataset()
    said = goodteacher.respond(
        lambda rows: rows[:, :4],
        data,
        out=tmp_path / "run",
        record_test=record_test,
        probabilities=False,
    )
    teacherless = {k: v for k, v in QUICK.items() if k not in ("teacher", "batch_sizes", "epochs")}
    settings = {**teacherless, "selection_fraction": 0.1}
    return search(data, out=tmp_path / "study", trajectories=[said.folder], **settings), data


def test_teacher_that_was_recorded_elsewhere_says_so(tmp_path):
    made, data = recorded(tmp_path, record_test=False)
    found = export(made, out=tmp_path / "out", format="safetensors", data=data).teacher
    assert found.timed == ()
    assert found.size is None
    assert found.quality is None
    assert "no checkpoint of it" in found.why_not_run
    text = (tmp_path / "out/README.md").read_text()
    assert "The teacher is not timed. Only its responses were recorded" in text
    assert "is not in the table" in text


def test_what_it_said_about_the_test_split_is_told_where_it_was_recorded(tmp_path):
    made, data = recorded(tmp_path, record_test=True)
    found = export(made, out=tmp_path / "out", format="safetensors", data=data).teacher
    right = (data.test.inputs[:, :4].argmax(1) == data.test.labels).double().mean()
    assert found.quality.accuracy.value == pytest.approx(float(right))
    assert found.timed == ()


def test_given_response_has_no_teacher_to_run(tmp_path):
    made = arrays()
    np.savez(tmp_path / "circle.npz", **made)
    few = {k: SETTINGS[k] for k in ("selection_fraction", "precision", "device")}
    goodteacher.distill(
        tmp_path / "circle.npz",
        responses=3.0 * np.eye(4)[made["y_train"]],
        student="mlp:3",
        student_epochs=2,
        out=tmp_path / "d",
        **few,
    )
    found = export(tmp_path / "d", out=tmp_path / "o", format="safetensors").teacher
    assert found.quality is None
    assert (
        found.why_not_run
        == "Only its response was given, and a response does not contain the model."
    )


class Wide(nn.Module):
    """A teacher that was given in Python, and that no graph can follow."""

    def __init__(self, num_classes):
        super().__init__()
        self.layer = nn.Linear(6, num_classes)

    def forward(self, x):
        return self.layer(x * float((x > 0).sum().item() >= 0))


@pytest.fixture(scope="module")
def in_python(tmp_path_factory):
    root = tmp_path_factory.mktemp("given")
    return search(dataset(), out=root / "study", **{**QUICK, "teacher": Wide})


@pytest.mark.filterwarnings(VMAP)
def test_teacher_that_onnx_cannot_hold_is_measured_in_pytorch(in_python, tmp_path, onnx):
    found = export(in_python, out=tmp_path / "out", data=dataset(), teacher=Wide).teacher
    assert [each.runtime for each in found.timed] == ["PyTorch"]
    assert found.quality is not None
    assert "cannot be written as ONNX" in found.why_not_quantized


def test_teacher_given_in_python_is_asked_for(in_python, tmp_path, monkeypatch):
    monkeypatch.setattr("goodteacher.networks.given._GIVEN", {})
    found = export(in_python, out=tmp_path / "a", format="torch", data=dataset()).teacher
    assert found.timed == ()
    assert "It cannot be loaded again: The network 'given:Wide' was given in" in found.why_not_run
    again = export(in_python, out=tmp_path / "b", format="torch", data=dataset(), teacher=Wide)
    assert again.teacher.size.parameters == 6 * 4 + 4
    assert again.teacher.quality is not None


def test_network_for_a_teacher_that_needs_none_is_refused(study, tmp_path):
    with pytest.raises(ModelError, match="no network may be given for it"):
        export(study, out=tmp_path / "out", format="torch", teacher=Wide)
    assert not (tmp_path / "out").exists()


def test_checkpoint_that_is_gone_is_told(study, tmp_path):
    import shutil

    shutil.copytree(study.folder, tmp_path / "moved")
    for path in Store(tmp_path / "moved").root.glob("teachers/*/checkpoints/*"):
        path.unlink()
    with pytest.raises(StudyError, match="checkpoints"):
        export(tmp_path / "moved", out=tmp_path / "out", format="safetensors")
    accepted(tmp_path / "moved")
    found = export(tmp_path / "moved", out=tmp_path / "out", format="safetensors").teacher
    assert found.timed == ()
    assert "no checkpoint" in found.why_not_run
