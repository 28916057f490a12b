"""A network: its preparation and its module."""

import copy

import pytest
import torch

from goodteacher.data import prepare
from goodteacher.data.spec import numbers_spec
from goodteacher.errors import ModelError
from goodteacher.networks import Chain, Preparations, build_model, build_network
from goodteacher.networks.preparation import Resize
from tests.made import dataset


@pytest.fixture(scope="module")
def networks():
    return Preparations(prepare(dataset()))


def test_module_keeps_the_names_of_its_weights_and_the_preparation_has_buffers(networks):
    network = networks.network("mlp:4", seed=3)
    alone = build_model("mlp:4", num_classes=4, inputs=(6,), seed=3)
    assert network.module.state_dict().keys() == alone.state_dict().keys()
    assert all(map(torch.equal, network.parameters(), alone.parameters()))
    assert network.state_dict().keys() == {
        *(f"module.{name}" for name in alone.state_dict()),
        *(f"preparation.steps.0.{name}" for name in ("mean", "std")),
    }


def test_network_takes_examples_as_they_are_stored(networks):
    network, raw = networks.network("mlp:4", seed=0), networks.data.selection.inputs
    expected = network.module(
        (raw - network.preparation.steps[0].mean) / network.preparation.steps[0].std
    )
    torch.testing.assert_close(network(raw), expected)
    torch.testing.assert_close(copy.deepcopy(network)(raw), network(raw))


def test_networks_that_want_the_same_share_one_preparation(networks):
    one, other = (networks.network(spec, seed=0).preparation for spec in ("mlp:4", "mlp:9"))
    assert one is other
    assert networks.network("mlp:4@raw", seed=0).preparation is not one


def test_preparation_of_other_examples_is_refused():
    with pytest.raises(ModelError, match=r"examples that are 6 numbers: .* not images"):
        build_network(
            "mlp:4", Chain(Resize(2, 2)), num_classes=4, inputs=numbers_spec((6,)), seed=0
        )
