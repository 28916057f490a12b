"""Every layer, function and method that stacks at once gives what each network gives alone."""

import linecache
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from goodteacher.training.stacked_forms import (
    ELEMENTWISE,
    STACKED_FORMS,
    STACKED_FUNCTIONS,
    STACKED_METHODS,
)
from goodteacher.training.stacking import StackingWarning, stack_networks

IMAGES, FEATURES, SERIES = (2, 6, 6), (12,), (5, 12)
COUNT = 3


class Between(nn.Module):
    """Something between two layers with weights, where every student has inputs of its own."""

    def __init__(self, middle, *, images=False):
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1) if images else nn.Linear(12, 8)
        self.middle = middle
        self.last = nn.LazyLinear(3)

    def forward(self, x):
        return self.last(torch.flatten(self.middle(self.first(x)), 1))


class Before(nn.Module):
    """Something in front of the first weights, where all students share the inputs."""

    def __init__(self, first):
        super().__init__()
        self.first, self.last = first, nn.LazyLinear(3)

    def forward(self, x):
        return self.last(torch.flatten(self.first(x), 1))


class Calls(nn.Module):
    """A function in place of a layer."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def test_stacks_leave_nothing_behind():
    """PyTorch keeps the code of every traced network for as long as the process lives."""
    networks, inputs = made(lambda: Between(nn.ReLU()), FEATURES)
    stack_networks(networks, example_input=inputs)
    before = len(linecache.cache)
    for _ in range(3):
        assert stack_networks(networks, example_input=inputs).kind == "fused"
    assert len(linecache.cache) == before


def made(build, shape):
    """Networks of different weights, float64, and some inputs."""
    inputs = torch.randn(7, *shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    networks = []
    for seed in range(COUNT):
        torch.manual_seed(seed)
        network = build().double()
        network(inputs)  # which gives lazy layers their size
        networks.append(network)
    return networks, inputs


def assert_same_as_alone(build, shape, *, mode=True):
    networks, inputs = made(build, shape)
    for network in networks:
        network.train(mode)
    stack = stack_networks(networks, example_input=inputs[:4], kind="fused").train(mode)
    logits = stack(inputs)
    logits.square().sum().backward()
    for number, network in enumerate(networks):
        alone = network(inputs)
        torch.testing.assert_close(logits[number], alone, rtol=1e-9, atol=1e-11)
        alone.square().sum().backward()
        gradients = {name: p.grad[number] for name, p in stack.network.named_parameters()}
        for name, parameter in network.named_parameters():
            torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-7, atol=1e-9)
        state = stack.state_dict_of(number)
        for name, value in network.state_dict().items():
            torch.testing.assert_close(state[name], value, rtol=1e-9, atol=1e-11)


ON_IMAGES = {
    "convolution": lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1),
    "convolution without bias": lambda: nn.Conv2d(4, 6, 2, bias=False),
    "grouped convolution": lambda: nn.Conv2d(4, 8, 3, groups=2),
    "convolution of each channel": lambda: nn.Conv2d(4, 4, 3, groups=4, dilation=2),
    "batch norm": lambda: nn.BatchNorm2d(4),
    "batch norm without weights": lambda: nn.BatchNorm2d(4, affine=False),
    "batch norm without statistics": lambda: nn.BatchNorm2d(4, track_running_stats=False),
    "max pooling": lambda: nn.MaxPool2d(2),
    "average pooling": lambda: nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False),
    "adaptive average": lambda: nn.AdaptiveAvgPool2d((2, 3)),
    "adaptive maximum": lambda: nn.AdaptiveMaxPool2d(2),
    "flatten": lambda: nn.Flatten(),
    "flatten of the map alone": lambda: nn.Flatten(2, 3),
}


@pytest.mark.parametrize("mode", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", ON_IMAGES)
def test_layer_on_images_of_its_own_is_that_of_each_network(name, mode):
    assert_same_as_alone(lambda: Between(ON_IMAGES[name](), images=True), IMAGES, mode=mode)


ON_SHARED = {
    **{name: make for name, make in ON_IMAGES.items() if "conv" not in name and "norm" not in name},
    "convolution": lambda: nn.Conv2d(2, 6, 3, padding="same"),
    "grouped convolution": lambda: nn.Conv2d(2, 4, 3, groups=2),
    "batch norm": lambda: nn.BatchNorm2d(2),
}


@pytest.mark.parametrize("name", ON_SHARED)
def test_layer_on_images_that_all_share_is_that_of_each_network(name):
    assert_same_as_alone(lambda: Before(ON_SHARED[name]()), IMAGES)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [FEATURES, SERIES, (2, 3, 12)])
def test_linear_layer_takes_any_axes_before_its_own(shape, bias):
    assert_same_as_alone(lambda: Before(nn.Linear(12, 4, bias=bias)), shape)
    assert_same_as_alone(lambda: Between(nn.Linear(8, 4, bias=bias)), shape)


@pytest.mark.parametrize("mode", [True, False])
def test_batch_norm_of_features_is_that_of_each_network(mode):
    assert_same_as_alone(lambda: Between(nn.BatchNorm1d(8)), FEATURES, mode=mode)
    assert_same_as_alone(lambda: Before(nn.BatchNorm1d(12)), FEATURES, mode=mode)
    assert_same_as_alone(lambda: Before(nn.BatchNorm1d(5)), SERIES, mode=mode)


@pytest.mark.parametrize("kind", sorted(ELEMENTWISE, key=lambda kind: kind.__name__))
def test_layer_that_acts_on_each_number_is_that_of_each_network(kind):
    # Masks of dropout are drawn anew each time: in evaluation there are none.
    assert_same_as_alone(lambda: Between(kind()), FEATURES, mode=kind is not nn.Dropout)
    assert_same_as_alone(lambda: Before(kind()), FEATURES, mode=kind is not nn.Dropout)


def test_every_stacked_form_is_among_the_cases():
    cases = [make() for make in (*ON_IMAGES.values(), *ON_SHARED.values())]
    tried = {type(case) for case in cases} | {nn.Linear, nn.BatchNorm1d, nn.Dropout2d}
    assert set(STACKED_FORMS) <= tried


def test_dropped_maps_are_whole_and_each_student_has_its_own():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 16, 1), nn.Dropout2d(0.5))

    class Maps(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network

        def forward(self, x):
            return self.inner(x).flatten(1)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StackingWarning)
        stack = stack_networks([Maps()] * 2, example_input=torch.ones(4, 1, 3, 3)).train()
    found = stack(torch.ones(6, 1, 3, 3)).unflatten(2, (16, 9))
    dropped = found == 0
    assert torch.equal(dropped.all(-1), dropped.any(-1)), "a map is dropped whole or not at all"
    assert 0.3 < dropped.double().mean() < 0.7
    assert not torch.equal(dropped[0], dropped[1])


# --- functions and methods -----------------------------------------------------------------------

FUNCTIONS = {
    torch.flatten: lambda x: torch.flatten(x, 1, 2),
    torch.mean: lambda x: torch.mean(x, (2, 3)),
    torch.reshape: lambda x: torch.reshape(x, (x.shape[0], -1)),
    getattr: lambda x: x * x.shape[2],
    F.adaptive_avg_pool2d: lambda x: F.adaptive_avg_pool2d(x, (1, 1)),
    F.avg_pool2d: lambda x: F.avg_pool2d(x, 2),
    F.max_pool2d: lambda x: F.max_pool2d(x, 2),
}
TWO = ("add", "sub", "mul", "truediv", "div", "iadd", "isub", "imul")


def called(function):
    """The function on images, with a second argument where it takes one."""
    if function in FUNCTIONS:
        return FUNCTIONS[function]
    if function.__name__.strip("_") in TWO:
        return lambda x: function(x + 0, 3.0)
    return function


@pytest.mark.parametrize("function", STACKED_FUNCTIONS, ids=lambda function: function.__name__)
def test_function_is_that_of_each_network(function):
    assert_same_as_alone(lambda: Between(Calls(called(function)), images=True), IMAGES)


METHODS = {
    "flatten": lambda x: x.flatten(2),
    "mean": lambda x: x.mean(1, keepdim=True),
    "view": lambda x: x.contiguous().view(x.size(0), 4, -1),
    "reshape": lambda x: x.reshape(x.size(0), -1),
    "size": lambda x: x / x.size(-1),
    "dim": lambda x: x * x.dim(),
}


@pytest.mark.parametrize("name", STACKED_METHODS)
def test_method_is_that_of_each_network(name):
    two = name in TWO
    method = METHODS.get(name, lambda x: getattr(x, name)(2.0) if two else getattr(x, name)())
    assert_same_as_alone(lambda: Between(Calls(method), images=True), IMAGES)


def test_two_paths_join_as_in_each_network():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.last = nn.Linear(12, 12), nn.Linear(12, 12), nn.Linear(12, 3)

        def forward(self, x):
            hidden = x + self.one(x)  # shared and stacked
            return self.last(hidden + self.two(hidden) * 0.5)

    assert_same_as_alone(Residual, FEATURES)


# --- what does not stack at once says why --------------------------------------------------------


class Weighted(nn.Module):
    """Uses a weight outside of a layer."""

    def __init__(self):
        super().__init__()
        self.scale, self.last = nn.Parameter(torch.ones(12)), nn.Linear(12, 3)

    def forward(self, x):
        return self.last(x * self.scale)


class OtherInTraining(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(12, 3)

    def forward(self, x):
        return self.last(2 * x if self.training else x)


class Attribute(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(12, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.last(self.first(x).mT.mT)


@pytest.mark.parametrize(
    ("network", "shape", "reason"),
    [
        (Weighted, FEATURES, "uses the tensor 'scale' outside of a layer"),
        (OtherInTraining, FEATURES, "computes different things in training and in evaluation"),
        (Attribute, FEATURES, "reads the attribute 'mT' of a tensor"),
        (lambda: Between(nn.LayerNorm(8)), FEATURES, "a LayerNorm, has no stacked form"),
        (lambda: Between(Calls(torch.cos)), FEATURES, "function 'cos' has no stacked form"),
        (lambda: Between(Calls(lambda x: x.cos())), FEATURES, "tensor method 'cos' has no stacked"),
        (
            lambda: Between(nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"), images=True),
            IMAGES,
            "a convolution pads with 'circular'",
        ),
        (
            lambda: Between(nn.BatchNorm1d(8, momentum=None)),
            FEATURES,
            "batch normalisation keeps cumulative averages",
        ),
        (
            lambda: Between(nn.BatchNorm1d(8, affine=False, track_running_stats=False)),
            FEATURES,
            "batch normalisation has neither weights nor statistics",
        ),
    ],
)
def test_network_that_cannot_stack_at_once_says_why_and_is_right_all_the_same(
    network, shape, reason
):
    networks, inputs = made(network, shape)
    with pytest.warns(StackingWarning, match=reason):
        stack = stack_networks(networks, example_input=inputs[:4])
    assert stack.kind in ("vmap", "loop")
    for one, logits in zip(networks, stack.eval()(inputs), strict=True):
        torch.testing.assert_close(logits, one.eval()(inputs), rtol=1e-9, atol=1e-11)
