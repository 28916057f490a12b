"""Nothing runs from data: a folder that names code is refused before its module is imported."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from goodteacher import Classifier, Study, compare, export, load_student, plan, search, verify
from goodteacher.cli import app
from goodteacher.errors import ConfigError, ModelError, StudyError
from goodteacher.networks import build_model, specification_of, trusted
from goodteacher.report import write_report
from goodteacher.studies import Store
from tests.engines.test_processes import context_of
from tests.made import SETTINGS, arrays

runner = CliRunner()
QUICK = {**SETTINGS, "epochs": 1, "student_epochs": 1, "search_seeds": 1, "seeds": 2, "rungs": 1}
NETWORKS = """
from pathlib import Path
from torch import nn

Path({marker!r}).write_text("imported")

def make(num_classes):
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, num_classes))
"""
SPEC = "python:foreign_networks:make"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study of the user's own, whose networks come from a module of his."""
    import numpy as np

    place = tmp_path_factory.mktemp("own")
    (place / "foreign_networks.py").write_text(NETWORKS.format(marker=str(place / "imported")))
    np.savez(place / "data.npz", **arrays())
    sys.path.insert(0, str(place))
    try:
        search(
            place / "data.npz",
            out=place / "study",
            **{**QUICK, "teacher": SPEC, "student": SPEC},
        )
    finally:
        sys.path.remove(str(place))
    return place / "study"


@pytest.fixture
def foreign(study, tmp_path, monkeypatch):
    """The study as another process finds it, that has not heard of its networks."""
    place = tmp_path / "foreign"
    shutil.copytree(study, place)
    (study.parent / "imported").unlink(missing_ok=True)
    monkeypatch.syspath_prepend(study.parent)
    monkeypatch.delitem(sys.modules, "foreign_networks", raising=False)
    monkeypatch.setattr(trusted, "_TRUSTED", {})
    return place


def edited(folder, spec):
    """Let a folder name other networks."""
    for path in (folder / "student/config.json", folder / "baseline/config.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "architecture": spec}))
    settings = folder / "study.toml"
    settings.write_text(settings.read_text().replace(SPEC, spec))


PYTHON = {
    "load_student": lambda folder, out: load_student(folder / "student"),
    "Study.student": lambda folder, out: Study(folder).student(),
    "Study.baseline": lambda folder, out: Study(folder).baseline(),
    "from_pretrained": lambda folder, out: Classifier.from_pretrained(folder / "student"),
    "verify": lambda folder, out: verify(folder, seeds=3),
    "export": lambda folder, out: export(folder, out=out, format="safetensors"),
    "Study.export": lambda folder, out: Study(folder).export(out, format="safetensors"),
    "plan": lambda folder, out: plan(folder),
}
COMMANDS = {
    "verify": lambda folder, out: ["verify", folder, "--seeds=3"],
    "export": lambda folder, out: ["export", folder, f"--out={out}", "--format=safetensors"],
    "plan": lambda folder, out: ["plan", folder],
}
EVIL = [SPEC, "python:os:_exit", " Python : os : _exit @raw"]


@pytest.mark.parametrize("spec", EVIL)
@pytest.mark.parametrize("call", PYTHON)
def test_function_refuses_the_code_that_a_folder_names(call, spec, foreign, study, tmp_path):
    edited(foreign, spec)
    with pytest.raises(StudyError, match="nothing of it has run") as caught:
        PYTHON[call](foreign, tmp_path / "out")
    told = str(caught.value)
    assert str(foreign) in told
    assert f"'python:{trusted.factory_of(spec)}'" in told
    assert "trust_code=True (--trust-code)" in told
    assert "\n" not in told
    assert not (study.parent / "imported").exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_command_refuses_the_code_that_a_folder_names(command, foreign, study, tmp_path):
    arguments = map(str, COMMANDS[command](foreign, tmp_path / "out"))
    result = runner.invoke(app, [*arguments, "--quiet"])
    assert result.exit_code == 2
    assert "--trust-code" in result.stderr
    assert str(foreign) in "".join(result.stderr.split("\n"))
    assert not (study.parent / "imported").exists()


def test_reading_a_study_needs_no_code_of_its(foreign, study):
    edited(foreign, "python:os:_exit")
    write_report(Store.open(foreign))
    assert Study(foreign).sweet_spot == Study(study).sweet_spot
    Study(foreign).plot_map()
    compare(foreign, study)
    assert runner.invoke(app, ["report", str(foreign)]).exit_code == 0
    assert not (study.parent / "imported").exists()


def test_teachers_of_a_foreign_study_bring_no_code(foreign, study, tmp_path):
    edited(foreign, "python:os:_exit")
    data = study.parent / "data.npz"
    settings = {**QUICK, "teacher": "mlp:5", "student": "mlp:3", "teachers_of": str(foreign)}
    with pytest.raises(ConfigError, match="has none of the teachers wanted here"):
        search(data, out=tmp_path / "mine", **settings)
    assert not (study.parent / "imported").exists()


@pytest.mark.parametrize(
    "how",
    [
        {"trust_code": True},
        {"network": SPEC},
        {"network": lambda num_classes: made(num_classes)},
    ],
    ids=["trusted", "named", "given"],
)
def test_user_who_says_so_loads_the_student(how, foreign, study):
    student = load_student(foreign / "student", **how)
    assert student(torch.zeros(2, 6)).shape == (2, 4)
    assert (study.parent / "imported").exists() == (not callable(how.get("network")))


def made(num_classes):
    from torch import nn

    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, num_classes))


def test_given_object_stands_for_the_factory(foreign, study):
    network = made(4)
    before = network[0].weight.clone()
    student = load_student(foreign / "student", network=network)
    assert torch.equal(network[0].weight, before)
    assert not torch.equal(student.network.module[0].weight, before)
    assert not (study.parent / "imported").exists()


def test_another_name_than_the_folders_is_refused(foreign):
    with pytest.raises(ModelError, match=r"'python:foreign_networks:make', but 'python:os:_exit'"):
        load_student(foreign / "student", network="python:os:_exit")


def test_trusting_one_folder_trusts_no_other_factory(foreign):
    load_student(foreign / "student", trust_code=True)
    edited(foreign, "python:os:_exit")
    with pytest.raises(StudyError, match="nothing of it has run"):
        load_student(foreign / "student")


def test_verdict_and_export_of_a_study_that_is_trusted(foreign, tmp_path):
    assert verify(foreign, trust_code=True, seeds=3).num_seeds == 3
    found = export(foreign, out=tmp_path / "out", format="safetensors")  # of the same process
    assert found.architecture == SPEC


def test_commands_take_the_option(foreign, tmp_path):
    arguments = map(str, COMMANDS["export"](foreign, tmp_path / "out"))
    result = runner.invoke(app, [*arguments, "--quiet", "--trust-code"])
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "out" / "config.json").exists()


def test_search_that_goes_on_names_its_networks_and_needs_no_option(foreign, study):
    again = search(
        study.parent / "data.npz", out=foreign, **{**QUICK, "teacher": SPEC, "student": SPEC}
    )
    assert again.sweet_spot == Study(study).sweet_spot
    assert again.student()(torch.zeros(1, 6)).shape == (1, 4)


def test_factory_is_built_by_nobody_who_has_not_named_it(monkeypatch):
    monkeypatch.setattr(trusted, "_TRUSTED", {})
    spec = "python:torch.nn:Linear"
    with pytest.raises(ModelError, match="nothing of it has run"):
        build_model(spec, num_classes=2, inputs=(3,), seed=0)
    with pytest.raises(ModelError, match="failed when called with 2"):  # it was imported
        build_model(specification_of(spec), num_classes=2, inputs=(3,), seed=0)


def test_process_that_works_for_this_one_trusts_what_it_does(monkeypatch, tmp_path):
    monkeypatch.setattr(trusted, "_TRUSTED", {"mine:make": None})
    networks = context_of(tmp_path / "s").networks
    state = networks.__getstate__()
    monkeypatch.setattr(trusted, "_TRUSTED", {})
    networks.__setstate__(state)
    assert trusted.trusted() == {"mine:make": None}


def test_every_public_way_to_a_folders_network_is_tried_here():
    """A new function with ``trust_code`` joins the lists above."""
    package = Path(trusted.__file__).parent.parent
    texts = {path: path.read_text() for path in package.rglob("*.py")}
    having = {str(p.relative_to(package)) for p, t in texts.items() if "trust_code: bool" in t}
    assert having == {
        "delivery/classifier.py",
        "delivery/export.py",
        "delivery/safetensors_folder.py",
        "networks/trusted.py",
        "public/exporting.py",
        "public/planning.py",
        "public/study.py",
        "public/verification.py",
    }
    imports = {str(p.relative_to(package)) for p, t in texts.items() if "import_module(" in t}
    assert imports == {
        "__init__.py",
        "errors.py",
        "integrations/keras.py",
        "networks/estimators.py",
        "networks/factory.py",
        "networks/vision.py",
    }
