"""Studies with networks of transformers, timm and torchvision, end to end; all are made here."""

import shutil
import warnings

import numpy as np
import pytest
import torch

from goodteacher import Study, load_student, search
from goodteacher.networks import build_model
from goodteacher.studies.progress import Silent
from goodteacher.training.stacking import StackingWarning
from tests.made import SETTINGS
from tests.tiny_models import (
    HAS_TIMM,
    HAS_TORCHVISION,
    HAS_TRANSFORMERS,
    write_vit,
    write_wav2vec,
)

VISION = pytest.mark.skipif(
    not (HAS_TIMM and HAS_TORCHVISION), reason="needs goodteacher[vision]: timm and torchvision"
)
HF = pytest.mark.skipif(not HAS_TRANSFORMERS, reason="needs goodteacher[hf]: transformers")
SMALL = {
    **SETTINGS,
    "batch_sizes": (16,),
    "epochs": 2,
    "student_epochs": 2,
    "temperatures": (2.0,),
    "smoothings": (0.1,),
    "shortlist": 1,
    "search_seeds": 1,
    "seeds": 3,
    "rungs": 1,
}


def images(count, seed, channels=3):
    """Bright and dark images."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    means = np.where(labels, 170, 80)[:, None, None, None]
    noise = rng.normal(0, 30, (count, channels, 8, 8))
    return np.clip(means + noise, 0, 255).astype(np.uint8), labels


def sound(count, seed):
    """Slow and fast waves."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    speed = np.where(labels, 0.9, 0.3)[:, None]
    waves = np.sin(speed * np.arange(90) + rng.uniform(0, 6, (count, 1)))
    return (waves + 0.1 * rng.normal(size=(count, 90))).astype(np.float32), labels


def data(make):
    (train, train_labels), (test, test_labels) = make(48, 0), make(20, 1)
    return {"x_train": train, "y_train": train_labels, "x_test": test, "y_test": test_labels}


class Told(Silent):
    """Keeps what a study says."""

    def __init__(self):
        self.notes = []

    def note(self, message):
        self.notes.append(message)


def searched(make, out, progress=None, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StackingWarning)
        return search(data(make), out=out, progress=progress or Silent(), **{**SMALL, **settings})


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder to make models in, which is gone once a student is to be read."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def leave():
        monkeypatch.chdir(tmp_path)
        shutil.rmtree(folder)

    return leave


@VISION
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("student", ["cnn:2", "timm:test_resnet@pixels:8"])
def test_a_pretrained_network_of_timm_teaches(student, tmp_path, elsewhere):
    from safetensors.torch import save_file

    teacher = build_model("timm:test_efficientnet", num_classes=9, inputs=(3, 16, 16), seed=4)
    save_file(teacher.state_dict(), "weights.safetensors")
    told = Told()
    searched(
        images,
        tmp_path / "study",
        told,
        teacher="timm:test_efficientnet+weights.safetensors@pixels:16",
        student=student,
    )
    assert "of its weights from the same values for every seed" in " ".join(told.notes)
    elsewhere()
    study = Study(tmp_path / "study")
    assert study.config.student == student
    shutil.move(tmp_path / "study" / "student", tmp_path / "delivered")
    classifier = load_student(tmp_path / "delivered")
    assert classifier(images(4, 5)[0]).shape == (4, 2)


@HF
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("student", ["hf:student", "mlp:4"])
def test_a_model_of_images_teaches_gray_ones(student, tmp_path, elsewhere):
    write_vit(tmp_path / "models/teacher", weights=True)
    write_vit(tmp_path / "models/student", hidden_size=8)

    def gray(count, seed):
        return images(count, seed, channels=1)

    searched(gray, tmp_path / "study", teacher="hf:teacher", student=student)
    elsewhere()
    found = load_student(tmp_path / "study" / "student")
    assert found(gray(4, 5)[0]).shape == (4, 2)


@HF
@pytest.mark.filterwarnings("ignore")
def test_a_model_of_sound_teaches_a_smaller_one(tmp_path, elsewhere):
    write_wav2vec(tmp_path / "models/teacher", weights=True)
    write_wav2vec(tmp_path / "models/student", hidden_size=8)
    searched(sound, tmp_path / "study", teacher="hf:teacher", student="hf:student")
    elsewhere()
    found = load_student(tmp_path / "study" / "student")
    waves, _ = sound(6, 3)
    assert found(waves).shape == (6, 2)
    # Loudness says nothing: each waveform is standardised.
    torch.testing.assert_close(found(waves), found(3 * waves + 1), atol=1e-3, rtol=1e-3)
