"""Moving averages of weights against a loop in float64, and batch-norm statistics of a pass."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from goodteacher.config import Optimization
from goodteacher.data import Split
from goodteacher.networks import Examples
from goodteacher.networks.normalization import no_normalization
from goodteacher.training.averaging import WeightAverage, decay_at, refresh_batch_norm
from goodteacher.training.loop import Trainer
from goodteacher.training.machine import Machine


def trainer(window):
    torch.manual_seed(0)
    inputs, labels = torch.randn(40, 5), torch.arange(40) % 3
    return Trainer(
        nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)),
        lambda logits, positions, view: nn.functional.cross_entropy(logits, labels[positions]),
        Examples(Split(inputs, labels, torch.arange(40)), no_normalization(inputs)),
        plan=Optimization(optimizer="adam", learning_rate=0.05, batch_size=8),
        total_steps=30,
        order_seed=0,
        machine=Machine(torch.device("cpu")),
        average_window=window,
    )


def values(tensors):
    return torch.cat([t.detach().double().flatten() for t in tensors])


@pytest.mark.parametrize("window", [0.5, 1.7, 40.0])
def test_average_is_that_of_a_loop_written_out_in_float64(window):
    training = trainer(window)
    expected = values(training.network.parameters())
    for step in range(1, 31):
        training.run_until(step)
        decay = min(math.exp(-1.0 / window), (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * values(training.network.parameters())
    found = values(training.average.state().values())
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(found, values(training.network.parameters()), atol=1e-4) or window < 1


def test_keeping_an_average_leaves_the_training_as_it_is():
    plain, averaged = trainer(None), trainer(3.0)
    losses = [one.run_until(30).mean_loss for one in (plain, averaged)]
    assert torch.equal(*losses)
    both = zip(plain.network.parameters(), averaged.network.parameters(), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in both)
    assert plain.average is None
    assert not any(name.startswith("average.") for name in plain.state())


def test_run_that_goes_on_later_has_the_same_average_to_the_last_bit():
    whole, first, second = trainer(6.0), trainer(6.0), trainer(6.0)
    whole.run_until(30)
    first.run_until(13)
    second.load({k: v.clone() for k, v in first.state().items()}, 13)
    second.run_until(30)
    for name, average in whole.average.state().items():
        assert torch.equal(average, second.average.state()[name])


def test_average_over_a_vanishing_window_is_the_weights():
    training = trainer(1e-3)
    training.run_until(7)
    for name, weight in training.network.named_parameters():
        assert torch.equal(training.average.state()[name], weight)


@given(window=st.floats(0.01, 1e5), step=st.integers(1, 10**6))
def test_decay_rises_to_that_of_the_window(window, step):
    decay = decay_at(step, window)
    assert 0 <= decay <= decay_at(step + 1, window) <= math.exp(-1 / window)
    assert decay_at(10**9, window) == math.exp(-1 / window)


@pytest.mark.parametrize("steps_per_epoch", [3, 50, 700])
def test_window_in_epochs_forgets_as_much_in_an_epoch_at_every_batch_size(steps_per_epoch):
    decay = decay_at(10**7, 2.0 * steps_per_epoch)
    assert decay**steps_per_epoch == pytest.approx(math.exp(-1 / 2.0))


def test_early_average_holds_nothing_of_the_first_weights():
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 1000.0)
    average = WeightAverage(network, window=10_000.0)
    nn.init.zeros_(network.weight)
    for step in range(1, 51):
        average.update(step)
    assert abs(average.state()["weight"].item()) < 1e-3


def network_with_norms():
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(2, 3, 3),
        nn.BatchNorm2d(3, momentum=0.1),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(3 * 4 * 4, 5),
        nn.BatchNorm1d(5, momentum=0.3),
    )


def test_first_statistics_are_means_over_batches_in_float64():
    network = network_with_norms()
    batches = torch.randn(30, 2, 6, 6).tensor_split(4)
    refresh_batch_norm(network, batches)
    maps = [network[0](batch).double() for batch in batches]
    means = torch.stack([one.mean((0, 2, 3)) for one in maps]).mean(0)
    variances = torch.stack([one.var((0, 2, 3)) for one in maps]).mean(0)
    torch.testing.assert_close(network[1].running_mean.double(), means, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(network[1].running_var.double(), variances, rtol=1e-5, atol=1e-6)


def test_statistics_are_those_of_a_pass_in_training_mode():
    ours, theirs = network_with_norms(), network_with_norms()
    batches = torch.randn(30, 2, 6, 6).tensor_split(4)
    ours[1].running_mean += 7  # what was there before does not count
    refresh_batch_norm(ours, batches)
    theirs.train()
    theirs[3].eval()
    theirs[1].momentum = theirs[6].momentum = None
    with torch.no_grad():
        for batch in batches:
            theirs(batch)
    for name, buffer in theirs.named_buffers():
        torch.testing.assert_close(ours.get_buffer(name), buffer)


def test_refreshed_network_is_left_as_it_is_used():
    network = network_with_norms()
    before = [weight.clone() for weight in network.parameters()]
    state = torch.get_rng_state()
    refresh_batch_norm(network, torch.randn(8, 2, 6, 6, generator=torch.Generator()).split(4))
    assert not any(module.training for module in network.modules())
    assert (network[1].momentum, network[6].momentum) == (0.1, 0.3)
    assert all(torch.equal(*pair) for pair in zip(before, network.parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), state)


def test_network_without_batch_norm_costs_no_pass():
    def batches():
        raise AssertionError("nobody should look")
        yield

    refresh_batch_norm(nn.Linear(2, 2), batches())
