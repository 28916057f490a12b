"""What every source of networks keeps: specifications, functions, objects, factories by name.

A new source passes by an entry in `SOURCES`.
"""

import sys

import pytest
import torch
from torch import nn

from goodteacher.data import InputSpec
from goodteacher.errors import ModelError
from goodteacher.networks import (
    NETWORK_SOURCES,
    build_model,
    canonical_spec,
    specification_of,
)
from goodteacher.networks.batches import made_up
from goodteacher.studies.store import Store
from goodteacher.studies.tensor_files import load_weights
from tests.tiny_models import (
    HAS_TIMM,
    HAS_TORCHVISION,
    HAS_TRANSFORMERS,
    write_model,
    write_vit,
    write_wav2vec,
)

FEATURES, IMAGE = (6,), (1, 8, 8)
TOKENS = InputSpec(
    kind="fields",
    fields={
        "input_ids": InputSpec(kind="integers", shape=(6,), high=199),
        "attention_mask": InputSpec(kind="integers", shape=(6,), low=1, high=1),
    },
)
CLASSES = 3


def make_net(num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, num_classes))


def with_shape(num_classes, input_shape):
    return nn.Sequential(nn.Flatten(), nn.Linear(input_shape[0], num_classes))


SOURCES = {
    "linear": ("linear", FEATURES),
    "mlp": ("mlp:5,4", FEATURES),
    "mlp of images": ("mlp:5", IMAGE),
    "cnn": ("cnn:2,3", IMAGE),
    "resnet": ("resnet:8", IMAGE),
    "wide resnet": ("wrn:10-1", IMAGE),
    "function": (make_net, FEATURES),
    "function of the shape": (with_shape, FEATURES),
    "object": (make_net(CLASSES), FEATURES),
    "factory by name": ("python:planted_factories:make_net", FEATURES),
}
HERE = {"hf": HAS_TRANSFORMERS, "timm": HAS_TIMM, "torchvision": HAS_TORCHVISION}
"""Sources that need a package, and whether it is here."""
if HAS_TRANSFORMERS:
    SOURCES["model of transformers"] = ("hf:tiny bert@home", TOKENS)
    SOURCES["model of images of transformers"] = ("hf:tiny vit", (3, 16, 16))
    SOURCES["model of sound of transformers"] = ("hf:tiny wav2vec", (90,))
if HAS_TIMM:
    SOURCES["network of timm"] = ("timm:mobilenetv3_small_050", (3, 16, 16))
    SOURCES["network of timm for images of one size"] = ("timm:test_vit", (3, 32, 32))
if HAS_TORCHVISION:
    SOURCES["network of torchvision"] = ("torchvision:squeezenet1_1", (3, 32, 32))


def test_every_source_is_a_case():
    names = {str(network).partition(":")[0] for network, _ in SOURCES.values()}
    absent = {name for name, here in HERE.items() if not here}
    assert names >= NETWORK_SOURCES.keys() - {"given"} - absent


@pytest.fixture(params=SOURCES)
def source(request, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    if "of transformers" in request.param:
        write_model("tiny bert@home", ["a text of words"])
        write_vit(tmp_path / "tiny vit")
        write_wav2vec(tmp_path / "tiny wav2vec")
    planted = type(sys)("planted_factories")
    planted.make_net = make_net
    monkeypatch.setitem(sys.modules, "planted_factories", planted)
    network, shape = SOURCES[request.param]
    return specification_of(network), shape


def made(source, seed=0):
    spec, shape = source
    return build_model(spec, num_classes=CLASSES, inputs=shape, seed=seed)


def inputs(shape, count=4):
    if isinstance(shape, InputSpec):
        return made_up(shape, count, torch.Generator().manual_seed(0))
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(0))


def test_specification_is_its_own_canonical_form(source):
    spec, _ = source
    assert canonical_spec(canonical_spec(spec)) == canonical_spec(spec)
    assert isinstance(spec, str)


def test_network_gives_finite_logits_in_both_modes(source):
    network, (_, shape) = made(source), source
    for training in (True, False):
        logits = network.train(training)(inputs(shape))
        assert logits.shape == (4, CLASSES)
        assert logits.dtype == torch.float32
        assert logits.isfinite().all()


def test_equal_seeds_make_equal_weights(source):
    one, other = made(source, 7).state_dict(), made(source, 7).state_dict()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_other_seeds_make_other_weights_but_of_an_object(source, request):
    one, other = made(source, 0).state_dict(), made(source, 1).state_dict()
    same = all(torch.equal(one[name], other[name]) for name in one)
    assert same == ("object" in request.node.callspec.id)


def test_networks_are_apart(source):
    one, other = made(source), made(source)
    with torch.no_grad():
        for parameter in one.parameters():
            parameter.zero_()
    assert any(bool(parameter.any()) for parameter in other.parameters())


def test_the_hosts_generators_are_left_as_they_were(source):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    made(source)
    assert torch.equal(torch.rand(2), expected)


def test_weights_survive_saving_and_loading(source, tmp_path):
    network, (_, shape) = made(source).eval(), source
    store = Store(tmp_path)
    store.write_tensors("weights.safetensors", network.state_dict())
    again = made(source, 9)
    load_weights(again, store.read_tensors("weights.safetensors"), tmp_path)
    torch.testing.assert_close(again.eval()(inputs(shape)), network(inputs(shape)))


def test_examples_without_a_shape_are_refused(source):
    spec, _ = source
    with pytest.raises(ModelError, match="The input shape must be positive whole numbers"):
        build_model(spec, num_classes=CLASSES, inputs=(), seed=0)


def test_fewer_than_two_classes_are_refused(source):
    spec, shape = source
    with pytest.raises(ModelError, match="num_classes must be a whole number of at least 2"):
        build_model(spec, num_classes=1, inputs=shape, seed=0)
