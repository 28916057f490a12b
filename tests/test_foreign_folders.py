"""Folders and files of others: their links, names and pickles reach nothing beside them."""

import json
import os
import pickle
import shutil
import zipfile

import pytest
import torch
from torch import nn

from goodteacher import Study, load_student, search
from goodteacher.data import InputSpec
from goodteacher.delivery import FORMATS, StudentCard
from goodteacher.errors import StudyError
from goodteacher.networks import Network, build_network, preparation_from
from goodteacher.studies import Store, study_folders
from goodteacher.teachers import find_checkpoints, read_checkpoint
from tests.made import SETTINGS, dataset
from tests.tiny_models import bert_configuration

QUICK = {**SETTINGS, "epochs": 1, "student_epochs": 1, "search_seeds": 1, "seeds": 2, "rungs": 1}


class Bomb:
    """Makes a folder once it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return search(dataset(), out=tmp_path_factory.mktemp("studies") / "s", **QUICK).folder


@pytest.fixture
def study(made, tmp_path):
    shutil.copytree(made, tmp_path / "study")
    return tmp_path / "study"


def linked(path, target):
    """Put a link to a file in the place of another."""
    path.unlink(missing_ok=True)
    path.symlink_to(target)


READ = {
    "student/config.json": lambda folder: load_student(folder / "student"),
    "student/preparation.json": lambda folder: load_student(folder / "student"),
    "student/model.safetensors": lambda folder: load_student(folder / "student"),
    "sweet_spot.json": lambda folder: Study(folder).sweet_spot,
    "study.toml": lambda folder: Study(folder).config,
    "students.parquet": lambda folder: Study(folder).students(),
}


@pytest.mark.parametrize("name", READ)
def test_link_out_of_a_study_is_not_read(name, study, tmp_path):
    shutil.copy(study / name, tmp_path / "outside")
    linked(study / name, tmp_path / "outside")
    with pytest.raises(StudyError, match="leads out of the folder"):
        READ[name](study)


def test_link_within_a_study_is_followed(study, made):
    (study / "sweet_spot.json").rename(study / "kept.json")
    linked(study / "sweet_spot.json", "kept.json")
    assert Study(study).sweet_spot == Study(made).sweet_spot


WRITTEN = {
    "events.jsonl": lambda store: store.log("began"),
    ".lock": lambda store: store.lock().__enter__(),
    "student/new.json": lambda store: store.write_json("student/new.json", {}),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_link_out_of_a_study_is_not_written_through(name, study, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "profile").write_text("untouched")
    if name.startswith("student/"):
        shutil.rmtree(study / "student")
        (study / "student").symlink_to(tmp_path / "mine")
    else:
        linked(study / name, tmp_path / "mine" / "profile")
    with pytest.raises(StudyError, match="leads out of the folder"):
        WRITTEN[name](Store(study))
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["profile"]
    assert (tmp_path / "mine" / "profile").read_text() == "untouched"


@pytest.mark.parametrize("name", ["../other", "/etc", "a/b", "..", ""])
def test_folders_of_several_students_are_below_theirs(name, tmp_path):
    text = f'schema_version = 1\n[students]\n"mlp:4" = "{name}"\n[settings]\ndata = "digits"\n'
    Store(tmp_path).write_text("students.toml", text)
    with pytest.raises(StudyError, match="does not say which students"):
        study_folders(tmp_path)


def test_shards_of_a_checkpoint_lie_beside_their_index(tmp_path):
    folder = tmp_path / "run" / "checkpoint-1"
    folder.mkdir(parents=True)
    index = {"weight_map": {"0.weight": "../../secret.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(StudyError, match=r"secret\.safetensors' leads out of the folder"):
        find_checkpoints([str(folder)])


@pytest.mark.parametrize("ending", [".pt", ".ckpt", ".bin", ".pth"])
def test_checkpoint_with_code_is_refused(ending, tmp_path):
    marker = tmp_path / "ran"
    for number, content in enumerate([{"weights": Bomb(marker)}, Bomb(marker)]):
        path = tmp_path / f"{number}{ending}"
        torch.save(content, path)
        with pytest.raises(StudyError, match=r"could run any code|beside weights"):
            read_checkpoint(path)
    (tmp_path / f"raw{ending}").write_bytes(pickle.dumps(Bomb(marker), protocol=2))
    with pytest.raises(StudyError):
        read_checkpoint(tmp_path / f"raw{ending}")
    assert not marker.exists()


def test_exported_program_is_loaded_without_unpickling(tmp_path):
    marker, folder = tmp_path / "ran", tmp_path / "out"
    card = StudentCard(
        architecture="mlp:4",
        class_names=("a", "b"),
        inputs=InputSpec(kind="numbers", shape=(3,)),
        arm="labels",
        seed=0,
        selection_accuracy=1.0,
        test_accuracy=1.0,
    )
    network = build_network(
        "mlp:4",
        preparation_from({"steps": [{"kind": "identity"}]}),
        num_classes=2,
        inputs=card.inputs,
        seed=0,
    )
    form = FORMATS["torch"]
    form.write(Store(tmp_path), "out", network.eval(), card)
    assert form.read(folder)(torch.zeros(2, 3)).shape == (2, 2)
    with_pickles(folder / form.file, marker)
    with pytest.raises(StudyError, match="a program that goodteacher exported"):
        form.read(folder)
    assert not marker.exists()
    assert isinstance(network, Network)


def with_pickles(path, marker):
    """Say of each weight of a program that it is pickled, and put code in its place."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    (config,) = (name for name in content if name.endswith("weights_config.json"))
    weights = json.loads(content[config])
    for each in weights["config"].values():
        each["use_pickle"] = True
        (file,) = (name for name in content if name.endswith(f"/{each['path_name']}"))
        content[file] = pickle.dumps(Bomb(marker), protocol=2)
    content[config] = json.dumps(weights).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, each in content.items():
            archive.writestr(name, each)


# Models of transformers.


@pytest.fixture
def model(tmp_path):
    transformers = pytest.importorskip("transformers", reason="needs the extra hf")
    folder = tmp_path / "model"
    transformers.BertForSequenceClassification(bert_configuration()).save_pretrained(folder)
    return folder


def built(folder):
    from goodteacher.networks import build_model

    tokens = InputSpec(kind="integers", shape=(4,), high=9)
    return build_model(f"hf:{folder}", num_classes=3, inputs=tokens, seed=0)


def test_model_with_code_of_its_own_is_not_asked_for_it(model, tmp_path):
    settings = json.loads((model / "config.json").read_text())
    own = {"AutoConfig": "own.Own", "AutoModelForSequenceClassification": "own.Own"}
    marker = tmp_path / "ran"
    (model / "own.py").write_text(f"import os\nos.mkdir({str(marker)!r})\nclass Own: pass\n")
    (model / "config.json").write_text(json.dumps({**settings, "auto_map": own}))
    assert isinstance(built(model), nn.Module)  # of the class that transformers has
    (model / "config.json").write_text(json.dumps({"model_type": "own", "auto_map": own}))
    from goodteacher.errors import ModelError

    with pytest.raises(ModelError, match="no configuration that transformers can read"):
        built(model)
    assert not marker.exists()


def test_weights_of_a_model_are_not_unpickled(model, tmp_path):
    from goodteacher.errors import ModelError

    marker = tmp_path / "ran"
    (model / "model.safetensors").unlink()
    torch.save(
        {"bert.embeddings.word_embeddings.weight": Bomb(marker)}, model / "pytorch_model.bin"
    )
    with pytest.raises(ModelError, match="weights that cannot be read"):
        built(model)
    assert not marker.exists()


def test_configuration_of_a_delivered_model_names_no_code(model):
    from goodteacher.networks import described, rebuilt

    record = described(f"hf:{model}", built(model))
    tokens = InputSpec(kind="integers", shape=(4,), high=9)
    hostile = {**record, "auto_map": {"AutoModelForSequenceClassification": "own--x.Y"}}
    hostile["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    network = rebuilt(f"hf:{model}", hostile, num_classes=3, inputs=tokens)
    assert not hasattr(network.config, "auto_map")
    assert described(f"hf:{model}", network) == record
