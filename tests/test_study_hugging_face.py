"""A study whose networks are models of transformers, from end to end; nothing is fetched."""

import shutil
import warnings

import numpy as np
import pytest

from goodteacher import Study, load_student, search
from goodteacher.errors import GoodteacherError
from goodteacher.studies.progress import Silent
from goodteacher.training.stacking import StackingWarning
from tests.made import SETTINGS
from tests.tiny_models import write_model

pytest.importorskip("transformers", reason="needs goodteacher[hf]")

SMALL = {
    **SETTINGS,
    "batch_sizes": (16,),
    "epochs": 4,
    "student_epochs": 4,
    "temperatures": (2.0,),
    "smoothings": (0.1,),
    "shortlist": 1,
    "search_seeds": 2,
    "seeds": 3,
    "rungs": 1,
}


def texts(count, seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    made = [
        f"my {('card', 'cash')[label]} number {rng.integers(9)} of {seed} is {rng.integers(999)}"
        for label in labels
    ]
    return made, labels


def data():
    (train, train_labels), (test, test_labels) = texts(60, 0), texts(20, 1)
    return {"x_train": train, "y_train": train_labels, "x_test": test, "y_test": test_labels}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("hugging face")
    given = data()
    write_model(path / "a teacher@home", given["x_train"], weights=True)
    write_model(path / "student", given["x_train"], hidden_size=8)
    return path


def searched(folder, out, student):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StackingWarning)
        return search(
            data(),
            out=out,
            progress=Silent(),
            **{**SMALL, "teacher": f"hf:{folder}/a teacher@home", "student": student},
        )


@pytest.mark.parametrize("student", ["hf:student@tokens:12", "mlp:4"])
@pytest.mark.filterwarnings("ignore")
def test_a_model_teaches_and_its_student_is_whole_without_its_folder(
    folder, tmp_path, monkeypatch, student
):
    monkeypatch.chdir(folder)
    searched(folder, tmp_path / "study", student)
    study = Study(tmp_path / "study")
    assert study.config.student == student
    monkeypatch.chdir(tmp_path)  # where no folder "student" is
    shutil.move(tmp_path / "study" / "student", tmp_path / "delivered")
    classifier = load_student(tmp_path / "delivered")
    assert classifier(["my card is lost", ""]).shape == (2, 2)
    assert set(classifier.predict(["my cash", "my card"])) <= {"0", "1"}


@pytest.mark.filterwarnings("ignore")
def test_other_weights_under_the_same_name_are_noticed(folder, tmp_path):
    own = tmp_path / "models"
    shutil.copytree(folder, own)
    searched(own, tmp_path / "study", "mlp:4")
    write_model(own / "a teacher@home", data()["x_train"], weights=True, hidden_size=12)
    with pytest.raises(GoodteacherError, match="its structure has changed"):
        searched(own, tmp_path / "study", "mlp:4")
