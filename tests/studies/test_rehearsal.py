"""Every network goes through everything once before anything is trained."""

import random
import sys
import types

import numpy as np
import pytest
import torch
from torch import nn

from goodteacher.config import Optimization
from goodteacher.data import load_dataset, prepare
from goodteacher.errors import ModelError
from goodteacher.networks import Preparations, specification_of
from goodteacher.studies.rehearsal import Rehearsal
from goodteacher.training.machine import Machine
from tests import users_networks as networks
from tests.made import dataset

PLAN = Optimization(optimizer="adam", learning_rate=0.01, batch_size=32)
CPU = Machine(torch.device("cpu"))


@pytest.fixture
def rehearse(monkeypatch):
    """Let a factory's network rehearse in a role."""

    def rehearse(factory, role, data=None, machine=CPU):
        module = types.ModuleType("users_networks")
        module.make = factory
        monkeypatch.setitem(sys.modules, "users_networks", module)
        known = Preparations(prepare(data or dataset()))
        spec = specification_of("python:users_networks:make")
        return Rehearsal(role, spec, known, machine, PLAN).run()

    return rehearse


@pytest.mark.parametrize("role", ["teacher", "student"])
@pytest.mark.parametrize("kind", networks.UNDERSTOOD)
def test_network_of_this_kind_is_understood(rehearse, kind, role):
    rehearse(networks.UNDERSTOOD[kind], role)


@pytest.mark.parametrize("role", ["teacher", "student"])
@pytest.mark.parametrize("kind", networks.REFUSED)
def test_network_of_this_kind_is_refused(rehearse, kind, role):
    factory, message = networks.REFUSED[kind]
    with pytest.raises(ModelError, match=message):
        rehearse(factory, role)


@pytest.mark.parametrize("role", ["teacher", "student"])
def test_view_behind_a_convolution_is_understood(rehearse, role):
    rehearse(networks.Viewing, role, load_dataset("digits"))


@pytest.mark.parametrize("spec", ["mlp:8", "cnn:4,8", "resnet:8", "wrn:10-1"])
@pytest.mark.parametrize("role", ["teacher", "student"])
def test_network_of_a_known_family_passes_with_nothing_to_say(spec, role):
    found = Rehearsal(role, spec, Preparations(prepare(load_dataset("digits"))), CPU, PLAN).run()
    assert found.notes == ()
    assert not found.needs_two


def test_convolutions_down_to_one_pixel_need_two_examples():
    parts = prepare(load_dataset("digits"))
    assert Rehearsal("student", "cnn:2,2,2,2", Preparations(parts), CPU, PLAN).run().needs_two


def test_batch_normalisation_of_features_needs_two_examples(rehearse):
    assert rehearse(networks.normalised, "teacher").needs_two
    assert not rehearse(networks.plain, "teacher").needs_two


def test_note_says_what_the_logits_are_and_what_is_not_trained(rehearse):
    (note,) = rehearse(networks.Auxiliary, "student").notes
    assert note.startswith("student 'python:users_networks:make': of what it returns, its logits")
    assert "in training mode the first of the 2 values of a tuple" in note
    assert "not trained: aux.weight, aux.bias" in note


def test_note_says_that_weights_do_not_depend_on_the_seed(rehearse):
    (note,) = rehearse(networks.fixed, "student").notes
    assert "the same weights for every seed" in note


def test_note_says_that_examples_depend_on_one_another(rehearse):
    mixing = networks.ending(lambda out, training: out - out.mean(0, keepdim=True))
    (note,) = rehearse(mixing, "teacher").notes
    assert "depends on the other examples of its batch" in note


def test_rehearsal_leaves_every_generator_as_it_was(rehearse):
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    dropping = networks.ending(lambda out, training: nn.functional.dropout(out, 0.5, training))
    rehearse(dropping, "student")
    rehearse(networks.Numpy, "teacher")
    assert random.getstate() == before[0]
    assert (np.random.get_state()[1] == before[1]).all()
    assert torch.equal(torch.get_rng_state(), before[2])


def test_memory_that_runs_out_is_left_to_training(rehearse):
    def exhausted(out, training):
        if training:
            raise torch.OutOfMemoryError("out of memory")
        return out

    assert rehearse(networks.ending(exhausted), "teacher").notes == ()


@pytest.mark.parametrize("seed", range(30))
def test_ordinary_network_is_never_taken_for_one_of_probabilities(rehearse, seed):
    def make(num_classes):
        generator = torch.Generator().manual_seed(seed)
        draw = lambda *options: options[int(torch.randint(len(options), (), generator=generator))]  # noqa: E731
        width, act = draw(2, 8, 64), draw(nn.ReLU, nn.Sigmoid, nn.Tanh, nn.GELU)
        last = nn.Linear(width, num_classes)
        scale = draw(0.0, 0.01, 1.0)
        last.weight.data *= scale
        last.bias.data *= scale
        norm = draw(nn.Identity(), nn.LayerNorm(width))
        end = draw(nn.Identity(), nn.ReLU(), nn.Softplus(), nn.LogSoftmax(1))
        return nn.Sequential(nn.Linear(networks.FEATURES, width), norm, act(), last, end)

    rehearse(make, "teacher")


def test_student_that_fails_in_a_stack_only_is_named(rehearse):
    def fails_alone(out, training):
        if len(out) == 3:  # as many examples as stacking tries
            raise ValueError("three are too many")
        return out

    with pytest.raises(
        ModelError, match=r"The student 'python:users.*in a stack of students.*three"
    ):
        rehearse(networks.ending(fails_alone), "student")
