"""Studies of networks given in Python: found again, resumed, and refused where they changed."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from goodteacher import Study, distill, load_student, search, verify
from goodteacher.errors import ModelError, StudyError
from goodteacher.networks.given import _GIVEN
from tests.made import SETTINGS, dataset
from tests.test_verification import QUICK, bayes_logits

GIVEN = {**SETTINGS, "epochs": 2, "student_epochs": 2, "search_seeds": 1, "seeds": 3}
for name in ("teacher", "student"):
    GIVEN.pop(name, None)


def make_net(num_classes):
    return nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, num_classes))


def other_net(num_classes):
    return nn.Sequential(nn.Linear(6, 7), nn.ReLU(), nn.Linear(7, num_classes))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    out = tmp_path_factory.mktemp("given") / "study"
    return search(dataset(), teacher=make_net, student=small_object(), out=out, **GIVEN)


def small_object():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))


def test_study_names_what_it_was_given(study):
    assert study.config.teacher == "given:make_net"
    assert study.config.student.startswith("given:Sequential-")
    assert study.student()(dataset().test.inputs).shape == (len(dataset().test), 4)
    assert study.report.exists()


def test_study_goes_on_with_an_equal_object_and_function(study):
    again = search(dataset(), teacher=make_net, student=small_object(), out=study.folder, **GIVEN)
    assert again.sweet_spot == study.sweet_spot


def test_changed_function_is_refused(study):
    other_net.__qualname__ = "make_net"
    with pytest.raises(StudyError, match=r"teacher is not the one .* its structure has changed"):
        search(dataset(), teacher=other_net, student=small_object(), out=study.folder, **GIVEN)


def test_verdict_needs_the_networks_again_in_another_process(study, monkeypatch):
    kept = dict(_GIVEN)
    _GIVEN.clear()
    try:
        with pytest.raises(ModelError, match="was given in Python, in another process"):
            verify(study.folder, data=dataset(), seeds=3)
        with pytest.raises(StudyError, match=r"load_student\(folder, network=\.\.\.\)"):
            Study(study.folder).student()
        verdict = verify(
            study.folder, data=dataset(), teacher=make_net, student=small_object(), seeds=3
        )
        assert verdict.num_seeds == 3
    finally:
        _GIVEN.update(kept)


def test_delivered_student_takes_its_network_again(study):
    _GIVEN.clear()
    inputs = dataset().test.inputs
    again = load_student(study.folder / "student", network=small_object())
    assert torch.equal(again(inputs), study.student(network=small_object())(inputs))


def test_distill_and_verify_take_a_function_beside_responses(tmp_path):
    settings = {k: v for k, v in QUICK.items() if k != "student"}
    verdict = verify(
        dataset(), responses=bayes_logits(), student=make_net, out=tmp_path / "v", **settings
    )
    assert verdict.num_seeds >= 3
    made = distill(
        dataset(),
        responses=bayes_logits(),
        student=make_net,
        out=tmp_path / "d",
        student_epochs=1,
        seeds=2,
        device="cpu",
    )
    assert made.num_seeds == 2


def test_command_line_says_that_such_a_network_is_pythons(tmp_path):
    command = [
        sys.executable,
        "-m",
        "goodteacher",
        "search",
        "digits",
        "--teacher",
        "given:make_net",
    ]
    command += ["--student", "mlp:4", "--out", str(tmp_path / "s")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "was given in Python" in ended.stderr
