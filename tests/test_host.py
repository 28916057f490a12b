"""A library leaves its host alone, and says what it has to say where the host can hear it."""

import ast
import logging
import random
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import goodteacher
from goodteacher import distill, search, verify
from goodteacher.cli import app
from goodteacher.training import machine
from tests.made import SETTINGS, arrays, as_options, dataset

PACKAGE = Path(goodteacher.__file__).parent

SHORT = {**SETTINGS, "epochs": 1, "student_epochs": 1, "seeds": 2, "search_seeds": 1, "rungs": 1}
OF_STUDENTS = {"student": "mlp:3", "student_epochs": 1, "device": "cpu", "threads": 3}
JUDGED = {**OF_STUDENTS, "seeds": 3, "smoothings": [0.1]}


def state():
    """Everything of this process that a library could change."""
    generators = torch.get_rng_state().numpy().tobytes(), np.random.get_state()[1].tobytes()
    on_gpu = torch.cuda.get_rng_state() if torch.cuda.is_available() else torch.empty(0)
    return {
        "gpu": on_gpu.numpy().tobytes(),
        "threads": torch.get_num_threads(),
        "small numbers": float(torch.full((1,), 1e-38) / 4),
        "filters": list(warnings.filters),
        "showwarning": warnings.showwarning,
        "generators": (*generators, random.getstate()),
        "gradients": torch.is_grad_enabled(),
        "type": torch.get_default_dtype(),
        "handlers": list(logging.getLogger().handlers),
    }


@pytest.fixture
def memory_is_left_alone(monkeypatch):
    monkeypatch.setattr(machine, "_keep_freed_memory", lambda: pytest.fail("mallopt was called"))


def dropping(num_classes, input_shape):
    """A network that draws random numbers when it is made and when it trains."""
    return nn.Sequential(nn.Linear(input_shape[0], 5), nn.Dropout(0.3), nn.Linear(5, num_classes))


def response(data):
    noise = torch.randn(len(data.train), 4, generator=torch.Generator().manual_seed(1))
    return noise + 3 * torch.nn.functional.one_hot(data.train.labels, 4)


def of_search(folder):
    network = f"python:{__name__}:dropping"
    search(dataset(), out=folder, threads=3, **{**SHORT, "teacher": network, "student": network})


def of_distill(folder):
    data = dataset()
    distill(data, responses=response(data), out=folder, **OF_STUDENTS)


def of_verify(folder):
    data = dataset()
    verify(data, responses=response(data), out=folder, **JUDGED)


@pytest.mark.parametrize("call", [of_search, of_distill, of_verify])
def test_a_call_leaves_the_process_as_it_was(call, tmp_path, memory_is_left_alone):
    torch.manual_seed(5)
    before = state()
    call(tmp_path / "s")
    assert state() == before


def test_a_call_that_fails_leaves_the_process_as_it_was(tmp_path, memory_is_left_alone):
    before = state()
    with pytest.raises(goodteacher.InputError):
        distill(dataset(), responses=torch.zeros(3, 4), out=tmp_path / "s", **OF_STUDENTS)
    assert state() == before


def test_threads_named_in_python_are_those_of_the_call(tmp_path, monkeypatch):
    seen = []
    plain = machine.Machine.arithmetic
    monkeypatch.setattr(
        machine.Machine,
        "arithmetic",
        lambda self: seen.append(torch.get_num_threads()) or plain(self),
    )
    of_distill(tmp_path / "s")
    assert set(seen) == {3}


def test_the_command_line_tunes_the_cpu_and_shows_a_note_once(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(machine, "_keep_freed_memory", lambda: asked.append(1))
    data, logits = tmp_path / "d.npz", tmp_path / "r.npy"
    np.savez(data, **arrays())
    np.save(logits, response(dataset()).numpy())
    options = as_options({**JUDGED, "smoothings": (0.1,)})
    before = state()
    done = CliRunner().invoke(
        app, ["verify", str(data), f"--responses={logits}", f"--out={tmp_path / 's'}", *options]
    )
    assert done.exit_code == 0, done.output
    assert asked == [1]
    assert state() == before
    (note,) = (
        line
        for line in done.stderr.splitlines()
        if "test examples, two students must differ" in line
    )
    assert note.startswith("note: ")


def test_notes_are_heard_through_logging(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="goodteacher")
    data = dataset()
    wrong = response(data).roll(1, dims=1)  # every example of another class
    verify(data, responses=wrong, out=tmp_path / "s", **JUDGED)
    said = {record.levelname: record.getMessage() for record in caplog.records}
    assert {record.name for record in caplog.records} == {"goodteacher"}
    assert "With 120 test examples, two students must differ" in said["INFO"]
    assert "columns in another order" in said["WARNING"], "more than a note"


def test_a_host_that_set_up_no_logging_sees_nothing(tmp_path, capfd):
    of_distill(tmp_path / "s")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.name)
def test_notes_go_through_the_one_place_that_logs_them(path):
    if path.name == "progress.py":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and node.attr == "note":
            assert "progress" not in ast.unparse(node.value), f"{path}: line {node.lineno}"
