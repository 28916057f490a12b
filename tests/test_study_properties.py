"""What must not matter to a study: the test split, names of classes, the folder one stands in."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from goodteacher import Study, search, verify
from goodteacher.data import Split
from goodteacher.studies.progress import Silent
from tests.made import SETTINGS, arrays, dataset

QUICK = {
    **SETTINGS,
    "epochs": 2,
    "batch_sizes": (16, 64),
    "temperatures": (1.0, 4.0),
    "smoothings": (0.1,),
    "student_epochs": 3,
    "student_learning_rate": 0.05,
    "shortlist": 2,
    "search_seeds": 1,
    "seeds": 2,
    "rungs": 2,
    "stack_width": 32,
}
TIMES = {"seconds", "recording_seconds", "student_seconds"}
OF_TEST = {"test_accuracy", "task"}
"""A task is named by its data, of which the test split is a part."""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return search(dataset(), out=tmp_path_factory.mktemp("study") / "s", **QUICK)


def choices(study):
    """Everything that was found before the test split was opened."""
    rows = [row.model_dump(exclude=TIMES | OF_TEST) for row in study.students()]
    records = [record.model_dump(exclude=TIMES) for record in study.trajectories()]
    decisions = (study.folder / "decisions.jsonl").read_text()
    spot = study.sweet_spot
    return rows, records, decisions, spot.teacher.source, spot.recipe, spot.delivered


def tensors(study):
    """Every tensor of a study, by file and name."""
    return {
        (str(path.relative_to(study.folder)), name): tensor
        for path in study.folder.rglob("*.safetensors")
        for name, tensor in load_file(path).items()
    }


def assert_same_tensors(ours, theirs):
    mine, others = tensors(ours), tensors(theirs)
    assert mine.keys() == others.keys()
    for key, tensor in mine.items():
        assert torch.equal(tensor, others[key]), key


def with_test(data, inputs, labels):
    return dataclasses.replace(data, test=Split(inputs, labels, data.test.ids))


# --- the test split ------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["labels turned round", "noise for inputs"])
def test_no_choice_moves_with_the_test_split(study, tmp_path, change):
    data = dataset()
    given, labels = data.test.inputs, data.test.labels
    if change == "labels turned round":
        other = with_test(data, given, (labels + 1) % 4)
    else:
        noise = torch.randn(given.shape, generator=torch.Generator().manual_seed(0))
        other = with_test(data, noise, labels)
    found = search(other, out=tmp_path / "s", **QUICK)
    assert choices(found) == choices(study)
    inputs = data.test.inputs
    assert torch.equal(found.student()(inputs), study.student()(inputs)), "the same is delivered"
    assert found.sweet_spot.student.test_accuracy < study.sweet_spot.student.test_accuracy - 0.2


def test_no_choice_of_a_verdict_moves_with_the_test_split(tmp_path):
    data = dataset()
    response = torch.nn.functional.one_hot(data.train.labels, 4).float() * 2
    response += torch.randn(response.shape, generator=torch.Generator().manual_seed(1))
    quick = {
        "student": "mlp:3",
        "device": "cpu",
        "precision": "float32",
        "seeds": 3,
        "student_epochs": 3,
        "student_learning_rate": 0.01,
        "smoothings": (0.05, 0.2),
    }
    turned = with_test(data, data.test.inputs, (data.test.labels + 1) % 4)
    verdicts = [
        verify(given, responses=response.numpy(), out=tmp_path / name, **quick)
        for name, given in (("plain", data), ("turned", turned))
    ]
    plain, other = verdicts
    assert plain.smoothing == other.smoothing
    assert plain.best_regularizer == other.best_regularizer
    for one, two in zip(plain.ladder, other.ladder, strict=True):
        assert one.selection_accuracy == two.selection_accuracy
        assert one.test_accuracy != two.test_accuracy


# --- names ---------------------------------------------------------------------------------------


def test_names_of_classes_are_only_names(study, tmp_path):
    data = dataclasses.replace(dataset(), class_names=("wren", "owl", "gull", "kite"))
    found = search(data, out=tmp_path / "s", **QUICK)
    assert choices(found) == choices(study)
    classes = found.student().predict(data.test.inputs)
    renamed = dict(zip("abcd", data.class_names, strict=True))
    assert list(classes) == [renamed[c] for c in study.student().predict(data.test.inputs)]


def test_ids_of_examples_are_only_names(study, tmp_path):
    data = dataset()
    train = Split(data.train.inputs, data.train.labels, data.train.ids * 7 + 1000)
    found = search(dataclasses.replace(data, train=train), out=tmp_path / "s", **QUICK)
    assert choices(found)[3:] == choices(study)[3:]
    accuracies = [[row.selection_accuracy for row in each.students()] for each in (found, study)]
    assert accuracies[0] == accuracies[1]


# --- places --------------------------------------------------------------------------------------


def test_relative_paths_mean_the_folder_one_stands_in_and_no_number_depends_on_it(
    tmp_path, monkeypatch
):
    found = []
    for name in ("here", "there"):
        place = tmp_path / name
        place.mkdir()
        monkeypatch.chdir(place)
        np.savez("circle.npz", **arrays())
        found.append(search("circle.npz", out="study", **QUICK))
        assert (place / "study" / "sweet_spot.json").exists()
    monkeypatch.chdir(tmp_path)
    again = [Study(tmp_path / name / "study") for name in ("here", "there")]
    assert choices(again[0]) == choices(again[1])
    assert_same_tensors(*again)
    settings = [(one.folder / "study.toml").read_bytes() for one in again]
    assert settings[0] == settings[1]


def test_finished_study_can_be_moved_and_read_where_it_is(study, tmp_path):
    moved = tmp_path / "far" / "away"
    moved.parent.mkdir()
    study.folder.rename(moved)
    try:
        found = Study(moved)
        assert found.finished
        inputs = dataset().test.inputs
        assert found.sweet_spot.summary.startswith("Distill: ")
        assert len(found.student().predict(inputs)) == len(inputs)
        again = search(dataset(), out=moved, **QUICK)
        assert choices(again) == choices(found)
    finally:
        moved.rename(study.folder)


# --- stops ---------------------------------------------------------------------------------------


class StopAt(Silent):
    """Stops the work, as Ctrl-C would, when a stage begins or after its first unit."""

    def __init__(self, stage, *, begun):
        self.stage, self.begun, self.now = stage, begun, None
        self.stages = []

    def begin(self, stage, total):
        self.now = len(self.stages)
        self.stages.append(stage)
        if self.now == self.stage and not self.begun:
            raise KeyboardInterrupt

    def advance(self, units, stage=None):
        if self.now == self.stage and self.begun:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    watcher = StopAt(math.inf, begun=False)
    search(dataset(), out=tmp_path_factory.mktemp("watched") / "s", progress=watcher, **QUICK)
    assert len(watcher.stages) >= 4
    return watcher.stages


@pytest.mark.parametrize(("stage", "begun"), [(0, True), (1, False), (2, True), (3, False)])
def test_study_that_was_stopped_in_any_stage_leaves_the_same_files(
    study, stages, tmp_path, stage, begun
):
    out = tmp_path / "s"
    with pytest.raises(KeyboardInterrupt):
        search(dataset(), out=out, progress=StopAt(stage, begun=begun), **QUICK)
    assert not (out / "sweet_spot.json").exists()
    resumed = search(dataset(), out=out, **QUICK)
    assert choices(resumed) == choices(study)
    assert_same_tensors(resumed, study)
    files = [
        {str(path.relative_to(each.folder)) for path in each.folder.rglob("*") if path.is_file()}
        for each in (resumed, study)
    ]
    assert files[0] == files[1]


# --- what is written -----------------------------------------------------------------------------


def test_every_json_file_of_a_study_is_plain_json(study):
    def refuse(value):
        raise AssertionError(f"{value} is no JSON")

    files = [*study.folder.rglob("*.json"), *study.folder.rglob("*.jsonl")]
    assert len(files) > 5
    for path in files:
        text = path.read_text(encoding="utf-8")
        for part in text.splitlines() if path.suffix == ".jsonl" else [text]:
            json.loads(part, parse_constant=refuse)
