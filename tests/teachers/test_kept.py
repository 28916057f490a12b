"""The most accurate teacher of a study: which it is, and that it answers as it did."""

import shutil

import pytest
import torch

from goodteacher import search
from goodteacher.data import prepare
from goodteacher.errors import StudyError
from goodteacher.responses import read_recorded
from goodteacher.studies import Store
from goodteacher.teachers import most_accurate_teacher
from tests.made import SETTINGS, dataset

QUICK = {**SETTINGS, "seeds": 2, "search_seeds": 1, "student_epochs": 2, "rungs": 1}
QUICK |= {"learning_rates": (0.02,), "epochs": 4}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return search(dataset(), out=tmp_path_factory.mktemp("kept") / "study", **QUICK)


@pytest.fixture
def store(study, tmp_path):
    shutil.copytree(study.folder, tmp_path / "study")
    return Store(tmp_path / "study")


@pytest.fixture(scope="module")
def parts():
    return prepare(dataset(), selection_fraction=0.2)


def test_it_is_the_most_accurate_of_all_runs_and_epochs(study):
    found = most_accurate_teacher(study.store)
    assert found.record == max(study.trajectories(), key=lambda record: record.by_accuracy)
    assert study.store.exists(found.weights)


def test_equally_accurate_teachers_are_told_apart_by_their_loss(study):
    first, *_ = study.trajectories()
    unfit = first.model_copy(update={"optimal_temperature": None})  # no temperature fits it
    assert first.selection_accuracy == unfit.selection_accuracy
    assert first.by_accuracy > unfit.by_accuracy


def test_built_again_it_says_what_was_recorded(study, parts):
    found = most_accurate_teacher(study.store)
    network = found.network("mlp:12", parts)
    folder = study.store.path("teachers", found.key, "responses")
    path = folder / f"epoch-{found.record.epoch:05d}.transfer.view-0.safetensors"
    said = read_recorded(path).aligned_to(parts.transfer.ids)
    with torch.inference_mode():
        again = network(parts.transfer.inputs)
    torch.testing.assert_close(again, said, atol=1e-5, rtol=1e-5)


def test_diverged_teachers_do_not_count(store):
    best = most_accurate_teacher(store)
    for name in store.matching("teachers/*/trajectory.jsonl"):
        text = store.read_text(name).replace('"status":"ok"', '"status":"diverged"')
        store.write_text(name, text)
    assert most_accurate_teacher(store) is None
    assert best is not None


def test_missing_weights_and_preparation_are_named(store, parts):
    found = most_accurate_teacher(store)
    store.remove(found.weights)
    with pytest.raises(StudyError, match=r"epoch-\d+\.safetensors"):
        found.network("mlp:12", parts)
    store.path("teachers", found.key, "preparation.json").unlink()
    with pytest.raises(StudyError, match=r"preparation\.json"):
        found.network("mlp:12", parts)


def test_folder_without_teachers_has_none(tmp_path):
    assert most_accurate_teacher(Store(tmp_path)) is None


def test_what_it_said_about_the_test_split_is_known_only_where_it_was_recorded(study, parts):
    test = parts.test.open("a test")
    assert most_accurate_teacher(study.store).recorded_logits(test) is None
