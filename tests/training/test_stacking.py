"""Stacked training equals one-at-a-time training, whatever the way of running."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from goodteacher.errors import ModelError
from goodteacher.networks import build_model
from goodteacher.training.stacking import StackingWarning, stack_networks

CLASSES, BATCH = 4, 12


class Functional(nn.Module):
    """Uses a function that the stacked forms do not know: vmap's case."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(12, 6), nn.BatchNorm1d(6), nn.Linear(6, 4)

    def forward(self, x):
        return self.last(torch.cos(self.norm(self.first(x))))


class DataDependent(Functional):
    """Branches on its data: the loop's case."""

    def forward(self, x):
        hidden = self.norm(self.first(x))
        return self.last(hidden * 2 if hidden.sum() > 0.5 else hidden)


class UnusedLayer(Functional):
    """Has weights that no output depends on."""

    def __init__(self):
        super().__init__()
        self.spare = nn.Linear(2, 2)

    def forward(self, x):
        return self.last(self.norm(self.first(x)))


CASES = {
    "mlp:9": ("fused", (1, 6, 6)),
    "mlp:9,7": ("fused", (12,)),
    "cnn:4,6": ("fused", (2, 6, 6)),
    "resnet:8": ("fused", (3, 8, 8)),
    "wrn:10-1": ("fused", (1, 8, 8)),
    "functional": ("vmap", (12,)),
    "data_dependent": ("loop", (12,)),
}
OWN = {"functional": Functional, "data_dependent": DataDependent}


def make(case, seed, dtype=torch.float64):
    if case in OWN:
        torch.manual_seed(seed)
        return OWN[case]().to(dtype)
    shape = CASES[case][1]
    return build_model(case, num_classes=CLASSES, inputs=shape, seed=seed).to(dtype)


def stacked(networks, shape):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StackingWarning)
        example = torch.randn(4, *shape, dtype=next(networks[0].parameters()).dtype)
        return stack_networks(networks, example_input=example)


def batches(shape, steps, dtype):
    generator = torch.Generator().manual_seed(5)
    for _ in range(steps):
        x = torch.randn(BATCH, *shape, generator=generator, dtype=dtype)
        yield x, torch.randint(0, CLASSES, (BATCH,), generator=generator)


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
}


def train_stack(stack, make_optimizer, data, scale):
    """Train with a loss that is ``scale[i]`` times cross-entropy for student i."""
    optimizer = make_optimizer(stack.parameters())
    stack.train()
    for x, y in data:
        optimizer.zero_grad()
        logits = stack(x)
        losses = torch.stack([F.cross_entropy(one, y) for one in logits])
        (losses * scale).sum().backward()
        optimizer.step()


def train_alone(network, make_optimizer, data, scale):
    optimizer = make_optimizer(network.parameters())
    network.train()
    for x, y in data:
        optimizer.zero_grad()
        (F.cross_entropy(network(x), y) * scale).backward()
        optimizer.step()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("case", CASES)
def test_stacked_training_equals_training_one_at_a_time(case, optimizer):
    kind, shape = CASES[case]
    networks = [make(case, seed) for seed in range(3)]
    stack = stacked(networks, shape)
    assert stack.kind == kind
    data = list(batches(shape, 4, torch.float64))
    scale = torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64)
    train_stack(stack, OPTIMIZERS[optimizer], data, scale)
    for student, network in enumerate(networks):
        train_alone(network, OPTIMIZERS[optimizer], data, scale[student])
        for name, value in network.state_dict().items():
            ours = stack.state_dict_of(student)[name]
            # Running statistics and their counter are part of the state.
            torch.testing.assert_close(ours, value, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("case", ["mlp:9", "cnn:4,6", "resnet:8"])
def test_float32_stack_stays_within_the_stated_tolerance(case):
    shape = CASES[case][1]
    networks = [make(case, seed, torch.float32) for seed in range(2)]
    stack = stacked(networks, shape)
    # One step: after more, float32 rounding grows in any network, stacked or not.
    data = list(batches(shape, 1, torch.float32))
    train_stack(stack, OPTIMIZERS["sgd"], data, torch.ones(2))
    for student, network in enumerate(networks):
        train_alone(network, OPTIMIZERS["sgd"], data, 1.0)
        for name, value in network.state_dict().items():
            ours = stack.state_dict_of(student)[name]
            torch.testing.assert_close(ours, value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_student_state_loads_into_the_plain_network(case):
    shape = CASES[case][1]
    networks = [make(case, seed) for seed in range(2)]
    stack = stacked(networks, shape).eval()
    x = torch.randn(5, *shape, dtype=torch.float64)
    fresh = make(case, 99).eval()
    fresh.load_state_dict(stack.state_dict_of(1), strict=True)
    torch.testing.assert_close(fresh(x), networks[1].eval()(x))
    torch.testing.assert_close(stack(x)[1], networks[1](x))


@pytest.mark.parametrize("case", CASES)
def test_every_tensor_of_a_stack_leads_with_its_students(case):
    stack = stacked([make(case, 0)] * 3, CASES[case][1])
    assert {len(tensor) for tensor in stack.state_dict().values()} == {3}


@pytest.mark.parametrize("case", CASES)
def test_students_do_not_influence_each_other(case):
    shape = CASES[case][1]
    one, other = make(case, 0), make(case, 1)
    pair = stacked([one, other], shape)
    spoiled = stacked([one, other], shape)
    data = list(batches(shape, 3, torch.float64))
    train_stack(pair, OPTIMIZERS["adam"], data, torch.tensor([1.0, 1.0]))
    train_stack(spoiled, OPTIMIZERS["adam"], data, torch.tensor([1.0, torch.nan]))
    for name, value in pair.state_dict_of(0).items():
        assert torch.equal(spoiled.state_dict_of(0)[name], value)


def test_falling_back_warns_with_the_reason():
    with pytest.warns(StackingWarning, match=r"by torch.vmap.*'cos' has no stacked form"):
        stack_networks([Functional()] * 2, example_input=torch.randn(4, 12))


def test_layer_that_is_never_called_keeps_its_weights():
    stack = stack_networks([UnusedLayer()] * 2, example_input=torch.randn(4, 12))
    assert "spare.weight" in stack.state_dict_of(0)


def test_wrong_stacked_form_is_found_out(monkeypatch):
    from goodteacher.training import stacked_forms

    class Doubled(stacked_forms.StackedLinear):
        def forward(self, inputs, **layout):
            return 2 * super().forward(inputs, **layout)

    wrong = {**stacked_forms.STACKED_FORMS, nn.Linear: Doubled}
    monkeypatch.setattr(stacked_forms, "STACKED_FORMS", wrong)
    network = nn.Sequential(nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 4))
    with pytest.warns(
        StackingWarning, match="fused: its results differ from those of the plain networks"
    ):
        stack = stack_networks([network] * 2, example_input=torch.randn(4, 12))
    assert stack.kind == "vmap"


def test_way_asked_for_that_does_not_work_is_refused():
    with pytest.raises(ModelError, match=r"cannot be stacked as 'fused'.*'cos'"):
        stack_networks([Functional()] * 2, example_input=torch.randn(4, 12), kind="fused")


def test_example_that_does_not_fit_is_refused():
    with pytest.raises(ModelError, match="The networks fail on inputs of shape"):
        stack_networks([Functional()] * 2, example_input=torch.randn(4, 11))


def test_networks_of_different_shapes_are_refused():
    networks = [nn.Linear(3, 2), nn.Linear(3, 4)]
    with pytest.raises(ModelError, match="they must have the same architecture"):
        stack_networks(networks, example_input=torch.zeros(2, 3))
    with pytest.raises(ModelError, match="no networks to stack"):
        stack_networks([], example_input=torch.zeros(2, 3))


def test_bfloat16_arithmetic_keeps_float32_weights_and_gradients():
    stack = stacked([make("cnn:4,6", 0, torch.float32)] * 2, (2, 6, 6))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = stack(torch.randn(5, 2, 6, 6))
    logits.float().sum().backward()
    assert {p.grad.dtype for p in stack.parameters()} == {torch.float32}


class Frozen(nn.Module):
    """Runs its first layer without gradients: outputs alone do not show it."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(12, 6), nn.Linear(6, 4)

    def forward(self, x):
        with torch.no_grad():
            hidden = self.first(x)
        return self.last(torch.relu(hidden))


class Tied(nn.Module):
    """Two layers share one weight."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(12, 12), nn.Linear(12, 12), nn.Linear(12, 4)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.last(torch.relu(self.second(torch.relu(self.first(x)))))


class Counting(nn.Module):
    """Replaces a buffer instead of changing it in place."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(12, 4)
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x):
        if self.training:
            self.count = self.count + 1
        return self.last(x)


@pytest.mark.parametrize("kind", [Frozen, Tied, Counting])
def test_network_with_a_trap_trains_as_it_would_alone(kind):
    networks = []
    for seed in range(2):
        torch.manual_seed(seed)
        networks.append(kind().double())
    stack = stacked(networks, (12,))
    data = list(batches((12,), 3, torch.float64))
    train_stack(stack, OPTIMIZERS["sgd"], data, torch.ones(2, dtype=torch.float64))
    for student, network in enumerate(networks):
        train_alone(network, OPTIMIZERS["sgd"], data, 1.0)
        for name, value in network.state_dict().items():
            ours = stack.state_dict_of(student)[name]
            torch.testing.assert_close(ours, value, rtol=1e-7, atol=1e-9)
