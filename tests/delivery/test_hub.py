"""Students by the name of a folder or of a repository; nothing is ever fetched here."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch

from goodteacher import Classifier, search
from goodteacher.delivery.hub import FILES
from goodteacher.errors import PackageError, StudyError
from goodteacher.public.exporting import export
from tests.made import SETTINGS, dataset

QUICK = {**SETTINGS, "seeds": 2, "search_seeds": 1, "student_epochs": 2, "rungs": 1}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """An exported folder, and the student itself."""
    root = tmp_path_factory.mktemp("hub")
    study = search(dataset(), out=root / "study", **QUICK)
    export(study, out=root / "shipped", format="safetensors", data=dataset())
    return root / "shipped", study.student()


def test_folder_is_loaded_in_another_process_that_reaches_nothing(exported):
    folder, student = exported
    code = (
        "import json, socket, sys\n"
        "def barred(*_): raise OSError('nothing may be fetched')\n"
        "socket.socket.connect = socket.getaddrinfo = barred\n"
        "import goodteacher, torch\n"
        "student = goodteacher.Classifier.from_pretrained(sys.argv[1])\n"
        "assert 'huggingface_hub' not in sys.modules\n"
        "print(json.dumps(student(torch.ones(3, 6)).tolist()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    torch.testing.assert_close(torch.tensor(json.loads(done.stdout)), student(torch.ones(3, 6)))


def test_folder_has_the_files_that_the_hub_expects(exported):
    folder, _ = exported
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "README.md"} <= names
    assert names - {"README.md", "export.json"} <= set(FILES)
    assert "class_names" in json.loads((folder / "config.json").read_text())


def test_repository_is_loaded_by_its_name(exported, monkeypatch, tmp_path):
    hub = pytest.importorskip("huggingface_hub", reason="needs goodteacher[hub]")
    folder, student = exported
    asked = []

    def fetched(name, **how):
        asked.append((name, how))
        for file in folder.iterdir():
            if file.name in how["allow_patterns"]:
                shutil.copy(file, tmp_path)
        return str(tmp_path)

    monkeypatch.setattr(hub, "snapshot_download", fetched)
    again = Classifier.from_pretrained("me/mine", revision="v2")
    assert again.card == student.card
    torch.testing.assert_close(again(torch.ones(2, 6)), student(torch.ones(2, 6)))
    ((name, how),) = asked
    assert (name, how["revision"], how["local_files_only"]) == ("me/mine", "v2", False)
    assert not (tmp_path / "README.md").exists(), "only what is needed"


def test_what_was_never_fetched_is_told(monkeypatch, tmp_path):
    pytest.importorskip("huggingface_hub", reason="needs goodteacher[hub]")
    with pytest.raises(StudyError, match="no folder me/mine, and no repository of that name can"):
        Classifier.from_pretrained("me/mine", local_files_only=True)


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(PackageError, match=r"pip install 'goodteacher\[hub\]'"):
        Classifier.from_pretrained("me/mine")


@pytest.mark.parametrize("name", ["gone", "./me/mine", "/me/mine", "a/b/c"])
def test_a_path_is_never_taken_for_a_repository(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(StudyError, match="contains no student"):
        Classifier.from_pretrained(name)
