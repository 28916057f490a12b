"""Teacher and student that see different inputs share one data set, by the ids of its examples."""

import json
import sys
import types

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from goodteacher import distill, load_student, search, verify
from goodteacher.data import load_dataset, prepare
from goodteacher.errors import ConfigError, ModelError, StudyError
from goodteacher.networks import Preparations, fit_preparation, preparation_from
from goodteacher.responses import read_response
from goodteacher.studies.tensor_files import read_tensors
from tests.made import SETTINGS
from tests.test_study import Interrupter, without_seconds
from tests.test_study_text import made_table

PAIR = {
    **SETTINGS,
    "student": "mlp:8@resize:14",
    "batch_sizes": (32,),
    "epochs": 2,
    "student_epochs": 4,
    "shortlist": 1,
    "search_seeds": 1,
    "seeds": 2,
    "temperatures": (4.0,),
    "alphas": (0.9,),
    "smoothings": (0.1,),
    "rungs": 1,
}


def pictures(count, seed):
    """Four classes: one of four corners is bright, on noise of single pixels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    images = rng.integers(0, 100, (count, 28, 28))
    for image, label in zip(images, labels, strict=True):
        image[14 * (label // 2) :, 14 * (label % 2) :][:14, :14] += 150
    return images.astype(np.uint8), labels


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "pictures.npz"
    (x_train, y_train), (x_test, y_test) = pictures(240, 0), pictures(80, 1)
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return path


@pytest.fixture(scope="module")
def study(arrays, tmp_path_factory):
    return search(arrays, out=tmp_path_factory.mktemp("study") / "pair", **PAIR)


def first_layer(path, name="1.weight"):
    return read_tensors(path)[name].shape


def test_teacher_sees_whole_images_and_student_smaller_ones(study):
    checkpoint = next(study.folder.glob("teachers/*/checkpoints/*.safetensors"))
    assert first_layer(checkpoint) == (12, 28 * 28)
    assert first_layer(study.folder / "student" / "model.safetensors") == (8, 14 * 14)
    assert study.config.student == "mlp:8@resize:14"
    assert study.sweet_spot.student.test_accuracy > 0.4  # of four classes


def test_delivered_student_takes_stored_images_and_resizes_them_itself(study, arrays):
    student = load_student(study.folder / "student")
    parts = prepare(load_dataset(arrays), selection_fraction=SETTINGS["selection_fraction"])
    test = parts.test.open("to compare")
    small = F.avg_pool2d(parts.training.inputs.double(), 2) / 255
    mean, std = small.mean(), small.std(correction=0)  # of small images: averages spread less
    by_hand = (F.avg_pool2d(test.inputs.double(), 2) / 255 - mean) / std
    with torch.inference_mode():
        logits = student(test.inputs)
        expected = student.network.module(by_hand.float())
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    right = (logits.argmax(1) == test.labels).double().mean()
    assert float(right) == pytest.approx(student.card.test_accuracy)
    assert student.card.inputs.shape == (1, 28, 28)
    kinds = [step["kind"] for step in student.network.preparation.to_dict()["steps"]]
    assert kinds == ["resize", "normalize"]
    with pytest.raises(Exception, match="height 28 and width 28"):
        student(test.inputs[..., ::2, ::2])


def test_study_is_verified_with_both_views_of_an_example(study):
    verdict = verify(study, seeds=3)
    assert verdict.num_seeds == 3


def test_response_of_the_large_teacher_is_distilled_into_the_small_student(study, arrays, tmp_path):
    response = next(study.folder.glob("teachers/*/responses/epoch-00002.transfer.*"))
    settings = {"student": PAIR["student"], "student_epochs": 2, "selection_fraction": 0.2}
    result = distill(arrays, responses=response, out=tmp_path / "d", **settings)
    assert result.student()(pictures(5, 2)[0]).shape == (5, 4)
    assert first_layer(tmp_path / "d" / "student" / "model.safetensors")[1] == 14 * 14
    assert len(read_response(response).ids) == 192


def test_stopped_study_goes_on_with_the_same_numbers(study, arrays, tmp_path):
    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        search(arrays, out=out, progress=Interrupter(4), **PAIR)
    resumed = search(arrays, out=out, **PAIR)
    assert without_seconds(resumed) == without_seconds(study)
    ours, theirs = (s.folder / "student/preparation.json" for s in (resumed, study))
    assert ours.read_bytes() == theirs.read_bytes()


def test_another_preparation_is_another_study_and_other_tasks(study, arrays, tmp_path):
    with pytest.raises(StudyError, match="student"):
        search(arrays, out=study.folder, **{**PAIR, "student": "mlp:3"})
    other = search(
        arrays,
        out=tmp_path / "other",
        teachers_of=str(study.folder),
        **{**PAIR, "student": "mlp:8@resize:7"},
    )
    ours, theirs = ({row.task for row in one.students()} for one in (other, study))
    assert ours.isdisjoint(theirs)
    same = [r.training_loss for r in study.trajectories()]
    assert [r.training_loss for r in other.trajectories()] == same
    assert first_layer(other.folder / "student" / "model.safetensors") == (8, 49)


def test_augmented_images_are_resized_after_their_view_is_drawn(arrays, tmp_path):
    settings = {**PAIR, "augment": ["flip", "crop:2", "cutout:6"], "views": 2}
    found = search(arrays, out=tmp_path / "s", **settings)
    assert found.sweet_spot.student.num_seeds == 2


def test_students_batch_is_the_view_of_the_teacher_resized(arrays):
    from goodteacher.config.augmentation import Augmentation

    parts = prepare(load_dataset(arrays))
    networks = Preparations(parts, normalization="none")
    augmentation, everyone = Augmentation(flip=True, crop=3, cutout=8), torch.arange(20)
    large, small = (
        networks.examples(spec, parts.transfer, augmentation=augmentation).inputs(everyone, 3)
        for spec in ("mlp:4", "mlp:4@resize:14")
    )
    torch.testing.assert_close(F.avg_pool2d(large, 2), small)


def test_teacher_and_student_of_texts_have_terms_of_their_own(tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    for split, size, seed in (("train", 240, 0), ("test", 120, 1)):
        pq.write_table(made_table(size, seed), folder / f"{split}.parquet")
    settings = {**PAIR, "teacher": "mlp:12@tfidf:200", "student": "mlp:3@tfidf:40"}
    found = search(folder, out=tmp_path / "s", **settings)
    checkpoint = next(found.folder.glob("teachers/*/checkpoints/*.safetensors"))
    assert first_layer(checkpoint) == (12, 200)
    record = json.loads((found.folder / "student" / "preparation.json").read_text())
    assert len(record["steps"][0]["terms"]) == 40
    assert found.student()(["cards1 word2", ""]).shape == (2, 4)


def test_factory_is_rehearsed_on_the_inputs_that_it_asks_for(arrays, tmp_path, monkeypatch):
    module = types.ModuleType("small_networks")
    module.make = lambda num_classes: nn.Sequential(nn.Flatten(), nn.Linear(196, num_classes))
    monkeypatch.setitem(sys.modules, "small_networks", module)
    settings = {**PAIR, "student": "python:small_networks:make"}
    with pytest.raises(ModelError, match=r"small_networks:make.*\[2, 1, 28, 28\]"):
        search(arrays, out=tmp_path / "s", **settings)
    settings["student"] += "@resize:14"
    assert search(arrays, out=tmp_path / "s", **settings).student()(pictures(2, 3)[0]).shape[1] == 4


REFUSED = [
    ({"student": "mlp:3@resize:29"}, ModelError, "images of 29x29, but those .* 28x28 pixels"),
    ({"teacher": "mlp:3@resize:14x30"}, ModelError, "images of 14x30.*--resize 14,30"),
    (
        {"student": "mlp:3@tfidf:40"},
        ModelError,
        "terms of texts, but .* images 1x28x28. Leave '@tfidf:40'",
    ),
    ({"student": "mlp:3@resize:0"}, ModelError, "malformed after the @: .*@resize:SIDE"),
    ({"student": "mlp:3@raw:1"}, ModelError, "malformed after the @: it must be @raw, without"),
    ({"student": "mlp:3@"}, ModelError, "unknown preparation ''"),
    ({"student": "mlp:3@resiz:14"}, ModelError, "Did you mean 'mlp:64@resize:14'"),
    ({"student": "mlp:3@resize:14@raw"}, ModelError, "malformed after the @"),
    ({"tfidf_features": 40}, ConfigError, "the inputs of these data are images"),
]


@pytest.mark.parametrize(("changes", "error", "message"), REFUSED)
def test_preparation_that_cannot_be_is_refused_at_the_door(
    arrays, tmp_path, changes, error, message
):
    with pytest.raises(error, match=message):
        search(arrays, out=tmp_path / "s", **{**PAIR, **changes})
    assert not (tmp_path / "s").exists()


def test_what_is_no_image_is_not_resized(tmp_path):
    rows = np.random.default_rng(0).normal(size=(80, 6))
    vectors = {"x_train": rows, "y_train": np.arange(80) % 2, "x_test": rows}
    vectors["y_test"] = vectors["y_train"]
    with pytest.raises(ModelError, match=r"another size, but .* 6 numbers. Leave"):
        search(vectors, out=tmp_path / "s", **PAIR)
    texts = {**vectors, "x_train": ["a word"] * 80, "x_test": ["a word"] * 80}
    for spec in ("mlp:3@resize:14", "mlp:3@raw"):
        with pytest.raises(ModelError, match="but the examples of these data are texts"):
            search(texts, out=tmp_path / "s", **{**PAIR, "student": spec})


def test_specification_is_brought_into_one_form(arrays):
    from goodteacher.networks import build_model, canonical_spec

    for spec in ("MLP:03 @ Resize: 014", "mlp:3@resize:14X14"):
        assert canonical_spec(spec) == "mlp:3@resize:14"
    assert canonical_spec("python:a.b:make@raw") == "python:a.b:make@raw"
    plain, other = (
        build_model(f"mlp:3{clause}", num_classes=2, inputs=(4,), seed=5) for clause in ("", "@raw")
    )
    assert all(map(torch.equal, plain.state_dict().values(), other.state_dict().values()))


def test_teachers_folder_says_how_the_teacher_wants_its_inputs(study, arrays):
    (file,) = study.folder.glob("teachers/*/preparation.json")
    parts = prepare(load_dataset(arrays), selection_fraction=SETTINGS["selection_fraction"])
    loaded = preparation_from(json.loads(file.read_text()))
    expected = fit_preparation("mlp:12", parts.training)
    assert torch.equal(loaded(parts.training.inputs), expected(parts.training.inputs))
