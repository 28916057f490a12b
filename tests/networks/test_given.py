"""Networks given in Python: objects and functions, named by what they are."""

import functools

import pytest
import torch
from torch import nn

from goodteacher.errors import ModelError
from goodteacher.networks import build_model, canonical_spec, identity_of, specification_of
from goodteacher.networks.given import _GIVEN, give_again


def small(num_classes, width=4):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(2, width), nn.ReLU(), nn.Linear(width, num_classes)
    )


def made(spec, seed=0):
    return build_model(spec, num_classes=3, inputs=(2,), seed=seed)


def seeded(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return small(3)


def test_function_is_named_by_its_name_and_makes_other_weights_for_each_seed():
    spec = specification_of(small)
    assert spec == canonical_spec(spec) == "given:small"
    one, same, other = (made(spec, seed)[1].weight for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("factory", "name"),
    [
        (functools.partial(small, width=7), "given:small"),
        (lambda num_classes: small(num_classes), "given:lambda"),
    ],
)
def test_partial_and_lambda_have_names_too(factory, name):
    assert specification_of(factory) == name
    assert made(name)(torch.zeros(5, 2)).shape == (5, 3)


def test_object_is_copied_with_its_weights_whatever_the_seed():
    network = seeded()
    spec = specification_of(network)
    copy = made(spec, seed=5)
    assert torch.equal(copy[1].weight, network[1].weight)
    copy[1].weight.data.zero_()
    assert network[1].weight.any(), "the one that was given stays as it is"


def test_objects_of_other_structure_or_weights_have_other_names():
    names = {
        specification_of(seeded(0)),
        specification_of(seeded(1)),
        specification_of(small(3, 5)),
    }
    assert len(names) == 3
    assert specification_of(seeded(0)) in names


def test_network_that_was_not_given_here_is_asked_for(monkeypatch):
    monkeypatch.delitem(_GIVEN, "elsewhere", raising=False)
    with pytest.raises(ModelError, match="was given in Python, in another process"):
        made("given:elsewhere")


def test_what_needs_no_network_takes_none():
    with pytest.raises(ModelError, match="'mlp:4' is made from its name"):
        give_again("mlp:4", small)
    with pytest.raises(ModelError, match="not the name 'mlp:4'"):
        give_again("given:small", "mlp:4")


def test_function_that_makes_no_network_is_told_by_its_name():
    def nothing(num_classes):
        return None

    with pytest.raises(ModelError, match="'nothing' returned a NoneType"):
        made(specification_of(nothing))


def test_identity_tells_class_structure_and_weights_apart():
    network = seeded()
    known = identity_of(network)
    assert identity_of(seeded()).difference(known) is None
    assert "initial weights have changed" in identity_of(seeded(1)).difference(known)
    assert "its structure has changed" in identity_of(small(3, 5)).difference(known)
    assert "it is now a Linear and was a Sequential" in identity_of(nn.Linear(2, 3)).difference(
        known
    )


def test_identity_forgives_other_rounding():
    network, rounded = seeded(), seeded()
    for parameter in rounded.parameters():
        parameter.data.mul_(1 + 1e-7)
    assert identity_of(rounded).difference(identity_of(network)) is None
