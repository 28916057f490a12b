import sys
import types

import numpy as np
import pytest
import torch
from torch import fx, nn

from goodteacher.errors import ModelError
from goodteacher.networks import (
    NETWORK_SOURCES,
    build_model,
    canonical_spec,
    parameter_count,
    specification_of,
)

IMAGES = ["mlp:7", "cnn:4,8", "resnet:8", "resnet:8x4", "wrn:10-2"]
SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32)]


def build(spec, shape=(3, 32, 32), classes=10, seed=0):
    return build_model(specification_of(spec), num_classes=classes, inputs=shape, seed=seed)


@pytest.mark.parametrize(
    ("spec", "shape", "classes", "published"),
    [
        ("mlp:64", (1, 28, 28), 10, 784 * 64 + 64 + 64 * 10 + 10),
        ("mlp:1200,1200", (784,), 10, 2_395_210),  # Hinton et al. 2015: "2.4 M"
        ("resnet:20", (3, 32, 32), 10, 272_474),  # He et al. 2016: 0.27 M
        ("resnet:56", (3, 32, 32), 10, 855_770),  # He et al. 2016: 0.85 M
        ("resnet:110", (3, 32, 32), 10, 1_730_714),  # He et al. 2016: 1.7 M
        ("resnet:8x4", (3, 32, 32), 100, 1_233_540),  # RepDistiller: 1.2 M
        ("resnet:32x4", (3, 32, 32), 100, 7_433_860),  # RepDistiller: 7.4 M
        ("wrn:16-2", (3, 32, 32), 100, 703_284),  # RepDistiller: 0.70 M
        ("wrn:40-1", (3, 32, 32), 100, 569_780),  # RepDistiller: 0.57 M
        ("wrn:40-2", (3, 32, 32), 100, 2_255_156),  # RepDistiller: 2.26 M
    ],
)
def test_parameter_count_is_the_published_one(spec, shape, classes, published):
    assert parameter_count(build(spec, shape, classes)) == published


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("spec", IMAGES)
def test_network_maps_a_batch_to_logits(spec, shape):
    logits = build(spec, shape, classes=5)(torch.randn(4, *shape))
    assert logits.shape == (4, 5)
    assert logits.isfinite().all()


@pytest.mark.parametrize("spec", IMAGES)
def test_examples_do_not_influence_each_other_in_evaluation_mode(spec):
    network = build(spec, (1, 8, 8)).eval()
    batch = torch.randn(6, 1, 8, 8)
    torch.testing.assert_close(network(batch)[:2], network(batch[:2]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("spec", IMAGES)
def test_seed_decides_the_weights_and_touches_nothing_else(spec):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, same, other = build(spec, seed=1), build(spec, seed=1), build(spec, seed=2)
    assert torch.equal(torch.rand(3), expected)
    weights = [torch.cat([p.flatten() for p in n.parameters()]) for n in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("spec", IMAGES)
def test_network_can_be_traced_so_that_students_can_be_stacked(spec):
    network = build(spec, (1, 8, 8)).eval()
    batch = torch.randn(3, 1, 8, 8)
    torch.testing.assert_close(fx.symbolic_trace(network)(batch), network(batch))


@pytest.mark.parametrize("spec", IMAGES)
def test_every_parameter_has_a_gradient(spec):
    network = build(spec, (1, 8, 8))
    network(torch.randn(8, 1, 8, 8)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("mlp:64", "mlp:64"),
        (" MLP: 064 , 32", "mlp:64,32"),
        ("resnet:20x1", "resnet:20"),
        ("ResNet:8X4", "resnet:8x4"),
        ("wrn:16-02", "wrn:16-2"),
        ("resnet:20x10", "resnet:20x10"),
        ("resnet:20x11", "resnet:20x11"),
        ("wrn:16-1", "wrn:16-1"),
        ("cnn : 4\t,\n8 ", "cnn:4,8"),
        ("Python:My.Networks:Small.make", "python:My.Networks:Small.make"),
    ],
)
def test_specifications_that_mean_the_same_have_one_form(written, canonical):
    assert canonical_spec(written) == canonical


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mpl:64", r"unknown family 'mpl'.*Did you mean 'mlp:64'"),
        ("mpl:64@resize:7", r"unknown family 'mpl'.*Did you mean 'mlp:64@resize:7'"),
        ("mpl:few", r"unknown family 'mpl'.*Did you mean 'mlp:1200,1200'"),
        ("frest", r"unknown family 'frest'.*none\)\. A teacher can also be forest"),
        ("64", "unknown family '64'"),
        ("mlp", r"malformed: it must be mlp:WIDTH"),
        ("mlp:", "malformed"),
        ("mlp:0", "malformed"),
        ("mlp:-3", "malformed"),
        ("mlp:64,,32", "malformed"),
        ("mlp:64 32", "malformed"),  # not 6432 units
        ("mlp:64,", "malformed"),
        ("mlp:6_4", "malformed"),
        ("mlp:64.0", "malformed"),
        ("mlp:٦٤", "malformed"),
        ("mlp:10000000", r"malformed.*1 to 9999999"),
        ("resnet:20x0", "malformed: it must be resnet:DEPTH"),
        ("resnet:100004", r"malformed.*at most 4 digits"),
        ("wrn:16x2", "malformed: it must be wrn:DEPTH-WIDTH"),
        ("python:mynetworks", "malformed: it must be python:package.module:factory"),
        ("python:a.:b", "malformed: it must be python"),
        ("", "unknown family ''"),
        ("resnet20", r"unknown family 'resnet20'.*Did you mean 'resnet:20'"),
        (None, "must be a string, but got None of type NoneType"),
        (64, "must be a string, but got 64 of type int"),
        ("cnn:a", "malformed: it must be cnn:WIDTH"),
        ("resnet:21", r"depth 21.*nearest depth is 20"),
        ("resnet:2", r"depth 2.*nearest depth is 8"),
        ("wrn:16", "malformed: it must be wrn:DEPTH-WIDTH"),
        ("wrn:17-2", r"depth 17.*nearest depth is 16"),
        ("wrn:4-2", r"depth 4.*nearest depth is 10"),
        ("resnet:16x4", r"depth 16.*nearest depth is 14"),
        ("timm:", "must be timm:NAME"),
        ("torchvision:two words", "must be torchvision:NAME"),
        ("timm:resnet18+", "must be timm:NAME"),
    ],
)
def test_specification_that_means_nothing_is_refused(spec, message):
    with pytest.raises(ModelError, match=message):
        build(spec)


@pytest.mark.parametrize("spec", ["cnn:4", "resnet:8", "wrn:10-1"])
def test_image_network_refuses_features(spec):
    with pytest.raises(ModelError, match=r"needs images of shape.*choose an 'mlp:' model"):
        build(spec, (12,))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": 1}, "num_classes must be a whole number of at least 2"),
        ({"classes": 2.5}, "num_classes must be a whole number"),
        ({"classes": True}, "num_classes must be a whole number"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"seed": 2**32}, r"seed must be a whole number from 0 to 2\^32 - 1.*but got 4294967296"),
        ({"seed": 0.5}, "seed must be a whole number"),
        (
            {"shape": 784},
            "The input shape must be positive whole numbers, but is 784",
        ),
        (
            {"shape": None},
            "The input shape must be positive whole numbers, but is None",
        ),
        (
            {"shape": "abc"},
            "The input shape must be positive whole numbers, but is 'abc'",
        ),
        ({"shape": (3, 8.0, 8)}, "The input shape must be positive"),
        ({"shape": ()}, "The input shape must be positive"),
        ({"shape": (3, 0, 8)}, "The input shape must be positive"),
    ],
)
def test_impossible_sizes_are_refused(changes, message):
    with pytest.raises(ModelError, match=message):
        build("mlp:4", **changes)


def test_family_far_from_every_other_gets_no_guess():
    with pytest.raises(
        ModelError, match=r"unknown family 'qq'.*hf, timm, torchvision, followed"
    ) as caught:
        build("qq:3")
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize("spec", ["cnn:4", "resnet:8", "wrn:10-1"])
def test_image_network_refuses_sequences(spec):
    with pytest.raises(ModelError, match="needs images of shape"):
        build(spec, (3, 12))


def test_network_larger_than_the_memory_is_refused_in_one_line():
    with pytest.raises(ModelError, match="not enough memory, choose") as caught:
        build("mlp:9999999,9999999")
    assert "\n" not in str(caught.value)


def test_refused_network_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    with pytest.raises(ModelError, match="not enough memory, choose"):
        build("mlp:1,9999999,9999999")
    assert torch.equal(torch.get_rng_state(), before)


def test_global_generator_does_not_decide_the_weights():
    torch.manual_seed(1)
    one = build("cnn:4", seed=3)
    torch.manual_seed(2)
    other = build("cnn:4", seed=3)
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_equal_canonical_forms_make_equal_networks():
    one, other = build("resnet:8x1"), build(" ResNet: 08 ")
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_largest_seed_differs_from_the_smallest():
    one, other = build("mlp:4", seed=0), build("mlp:4", seed=2**32 - 1)
    assert not torch.equal(one[1].weight, other[1].weight)


def test_whole_numbers_from_arrays_are_welcome():
    shape = tuple(np.array([1, 8, 8]))
    network = build("mlp:4", shape, classes=np.int64(5), seed=np.int64(3))
    assert torch.equal(network[1].weight, build("mlp:4", (1, 8, 8), classes=5, seed=3)[1].weight)


@pytest.mark.parametrize("name", [name for name in NETWORK_SOURCES if name != "python"])
def test_example_in_the_error_messages_is_a_specification(name):
    example = NETWORK_SOURCES[name].example
    assert canonical_spec(example) == example


class WithShape(nn.Module):
    def __init__(self, num_classes, input_shape):
        super().__init__()
        self.net = nn.Sequential(
            nn.Flatten(), nn.Linear(torch.Size(input_shape).numel(), num_classes)
        )

    def forward(self, x):
        return self.net(x)


@pytest.fixture
def factories(monkeypatch):
    """A module of the user's with factories, good and bad."""
    module = types.ModuleType("mynetworks")
    module.good = lambda num_classes: nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes))
    module.shaped = WithShape
    module.training = lambda num_classes: WithShape(num_classes, (1, 8, 8)).train()
    module.nothing = lambda num_classes: None
    module.fails = lambda num_classes: 1 / 0
    module.wrong = lambda num_classes: WithShape(num_classes + 1, (1, 8, 8))
    module.pair = lambda num_classes: _Returns(lambda x: (x, x))
    module.nan = lambda num_classes: _Returns(lambda x: torch.full((2, num_classes), torch.nan))
    module.number = 3
    monkeypatch.setitem(sys.modules, "mynetworks", module)


class _Returns(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.usefixtures("factories")
@pytest.mark.parametrize("name", ["good", "shaped"])
def test_factory_of_the_users_own_makes_the_network(name):
    network = build(f"python:mynetworks:{name}", (1, 8, 8), classes=4)
    assert network(torch.randn(5, 1, 8, 8)).shape == (5, 4)


@pytest.mark.usefixtures("factories")
def test_looking_at_a_factorys_network_leaves_its_mode():
    assert build("python:mynetworks:training", (1, 8, 8)).training


@pytest.mark.usefixtures("factories")
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere_at_all:make", "'nowhere_at_all' of the model factory cannot be imported"),
        ("mynetworks:missing", "has no 'missing'"),
        ("mynetworks:number", "must be callable"),
        ("mynetworks:nothing", "returned a NoneType, but it must return an nn.Module"),
        ("mynetworks:fails", "failed when called with num_classes=10: ZeroDivisionError"),
        ("mynetworks:wrong", r"returned shape \[2, 11\].*must have shape \[2, 10\]"),
        ("mynetworks:pair", r"returned shape \[2, 1, 8, 8\]"),
        ("mynetworks:nan", "not finite floating point numbers"),
    ],
)
def test_factory_that_gives_no_classifier_is_refused(path, message):
    with pytest.raises(ModelError, match=message):
        build(f"python:{path}", (1, 8, 8))


@pytest.mark.parametrize("given", [nn.Linear(2, 3), nn.Linear, lambda num_classes: None])
def test_network_in_place_of_a_specification_is_told_what_names_it(given):
    with pytest.raises(
        ModelError, match=r"must be a string.*call goodteacher.networks.specification_of"
    ):
        canonical_spec(given)
