"""Studies whose students see augmented views, each with the teacher's own response to it."""

import numpy as np
import pytest
import torch

from goodteacher import search, verify
from goodteacher.config.augmentation import Augmentation
from goodteacher.data import Dataset, Split
from goodteacher.errors import ConfigError
from goodteacher.networks import Examples
from goodteacher.responses import read_response
from goodteacher.studies.progress import Silent
from goodteacher.teachers.recording import response_file
from goodteacher.teachers.running import load_teacher
from goodteacher.training.evaluate import compute_logits

SETTINGS = {
    "teacher": "cnn:4",
    "student": "cnn:2",
    "batch_sizes": [32],
    "epochs": 2,
    "learning_rates": (0.02,),
    "student_epochs": 2,
    "student_batch_size": 32,
    "search_seeds": 1,
    "seeds": 3,
    "shortlist": 1,
    "temperatures": [2.0],
    "alphas": [0.5],
    "smoothings": [0.1],
    "threads": 1,
}


def pictures(count, seed):
    """Three classes: a bright patch in one of three corners, on noise."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    images = random.integers(0, 160, (count, 2, 8, 8))
    for image, label in zip(images, labels, strict=True):
        image[:, 4 * (label // 2) :, 4 * (label % 2) :][:, :4, :4] += 80
    return Split.from_arrays(images.astype(np.uint8), labels)


@pytest.fixture(scope="module")
def data():
    return Dataset("pictures", pictures(240, 0), pictures(90, 1), ("a", "b", "c"))


@pytest.fixture(scope="module")
def study(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("views") / "study"
    return search(data, out=out, augment=["flip", "crop:2"], views=3, **SETTINGS)


def test_teacher_responds_once_to_each_view_as_students_see_it(study, data):
    from goodteacher.engines import LocalEngine
    from goodteacher.studies.setting_up import prepare_context
    from goodteacher.sweet_spot.search import Search

    context = prepare_context(study.config, study.folder, data=data, progress=Silent())
    task = Search(study.config, context, LocalEngine(context)).teachers.trajectories[0]
    teacher = load_teacher(context, task, 2)
    responses = []
    for view in range(3):
        examples = Examples(
            context.data.transfer,
            context.networks.of(study.config.teacher),
            augmentation=Augmentation(flip=True, crop=2),
        )
        stored = read_response(study.folder / response_file(task.key, 2, "transfer", view))
        expected = compute_logits(teacher.module, examples, view=view)
        torch.testing.assert_close(stored.logits, expected, rtol=1e-4, atol=1e-4)
        assert torch.equal(stored.ids, context.data.transfer.ids)
        responses.append(stored.logits)
    assert not torch.allclose(responses[0], responses[1])
    assert not torch.allclose(responses[1], responses[2])


def test_measurements_are_of_the_images_themselves(study):
    record = study.trajectories()[-1]
    folder = next((study.folder / "teachers").iterdir())
    plain = read_response(folder / "responses" / "epoch-00002.transfer.view-0.safetensors")
    labels = torch.from_numpy(np.arange(240) % 3)[plain.ids]
    accuracy = (plain.logits.argmax(1) == labels).double().mean()
    assert record.at("transfer").accuracy == pytest.approx(float(accuracy))


def test_views_change_what_students_learn(study, data, tmp_path):
    alone = search(data, out=tmp_path / "s", augment=["flip", "crop:2"], views=1, **SETTINGS)
    assert [r.training_loss for r in alone.trajectories()] == [
        r.training_loss for r in study.trajectories()
    ]
    losses = [
        {(r.arm, r.seed): r.training_loss for r in found.students() if r.stage == "confirm"}
        for found in (alone, study)
    ]
    common = losses[0].keys() & losses[1].keys()
    assert common
    assert all(losses[0][key] != losses[1][key] for key in common)


def test_augmentation_changes_the_teacher(study, data, tmp_path):
    plain = search(data, out=tmp_path / "s", **SETTINGS)
    assert plain.trajectories()[0].training_loss != study.trajectories()[0].training_loss


def test_study_of_mixed_images_runs_and_its_ladder_is_refused(data, tmp_path):
    parts = {"train": data.train, "test": data.test}
    arrays = {f"x_{name}": part.inputs.permute(0, 2, 3, 1).numpy() for name, part in parts.items()}
    arrays |= {f"y_{name}": part.labels.numpy() for name, part in parts.items()}
    images = {k: v[..., :1].repeat(3, -1) if k[0] == "x" else v for k, v in arrays.items()}
    np.savez(tmp_path / "pictures.npz", **images)
    mixed = search(
        tmp_path / "pictures.npz", out=tmp_path / "s", augment=["mixup:0.3"], views=2, **SETTINGS
    )
    assert mixed.sweet_spot.student.num_seeds == 3
    with pytest.raises(ConfigError, match="images mixed by mixup, which have two labels each"):
        verify(mixed, seeds=3)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"views": 2}, "views = 2 needs augment"),
        ({"augment": ["crop:8"]}, "images have sides of 8"),
        ({"augment": ["mixup"], "losses": ["dkd"]}, "dkd needs one label"),
        ({"augment": ["blur"]}, "augment can be flip"),
    ],
)
def test_augmentation_that_cannot_work_is_refused_before_training(
    data, tmp_path, settings, complaint
):
    with pytest.raises(ConfigError, match=complaint):
        search(data, out=tmp_path / "s", **{**SETTINGS, **settings})
    assert not (tmp_path / "s").exists()


def test_features_cannot_be_augmented(tmp_path):
    random = np.random.default_rng(0)
    split = Split.from_arrays(random.normal(size=(60, 5)), np.arange(60) % 3)
    vectors = Dataset("vectors", split, split, ("a", "b", "c"))
    settings = {**SETTINGS, "teacher": "mlp:4", "student": "mlp:2"}
    with pytest.raises(ConfigError, match="images, but the examples of these data are 5 numbers"):
        search(vectors, out=tmp_path / "s", augment=["flip"], **settings)


def test_mixup_needs_labels(tmp_path, data):
    labels = data.train.labels.clone()
    labels[::2] = -1
    some = Split(data.train.inputs, labels, data.train.ids)
    partly = Dataset("partly", some, data.test, data.class_names)
    with pytest.raises(ConfigError, match="mixup mixes the labels of two images, but 120"):
        search(partly, out=tmp_path / "s", augment=["mixup"], views=2, **SETTINGS)
