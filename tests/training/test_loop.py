import itertools
import math
import os
import shutil

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from goodteacher.config import Optimization
from goodteacher.data import Split
from goodteacher.networks import Examples, Normalization
from goodteacher.training.loop import (
    OPTIMIZERS,
    SCHEDULES,
    Trainer,
    example_order,
    steps_per_epoch,
)
from goodteacher.training.machine import Machine

CPU = Machine(torch.device("cpu"))
HALVES = Normalization(torch.tensor(0.5), torch.tensor(0.25), unit=255.0)
N, D, C = 37, 6, 3


@pytest.fixture
def problem():
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randint(0, 256, (N, D), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, C, (N,), generator=generator)
    return inputs, labels


def trainer(problem, *, machine=CPU, order_seed=3, total_steps=24, **plan):
    inputs, labels = problem
    torch.manual_seed(0)
    plan = {"optimizer": "sgd", "learning_rate": 0.1, "batch_size": 8, **plan}
    return Trainer(
        nn.Sequential(nn.Linear(D, 5), nn.ReLU(), nn.Linear(5, C)),
        lambda logits, positions, view: F.cross_entropy(logits, labels[positions]),
        Examples(Split(inputs.float(), labels, torch.arange(N)), HALVES),
        plan=Optimization(**plan),
        total_steps=total_steps,
        order_seed=order_seed,
        machine=machine,
    )


def weights(trainer):
    return torch.cat([p.detach().flatten() for p in trainer.network.parameters()])


def plain_sgd(problem, steps, *, batch_size=8, momentum=0.9, rate=0.1, schedule=None):
    """Train as a textbook would, one batch at a time, without the trainer."""
    inputs, labels = problem
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(D, 5), nn.ReLU(), nn.Linear(5, C))
    velocity = [torch.zeros_like(p) for p in network.parameters()]
    batches = itertools.chain.from_iterable(
        example_order(N, 3, epoch).split(batch_size) for epoch in itertools.count()
    )
    for step, rows in enumerate(itertools.islice(batches, steps)):
        x = (inputs[rows].float() / 255 - 0.5) / 0.25
        grads = torch.autograd.grad(
            F.cross_entropy(network(x), labels[rows]), list(network.parameters())
        )
        now = rate * (schedule(step) if schedule else 1.0)
        with torch.no_grad():
            for p, v, g in zip(network.parameters(), velocity, grads, strict=True):
                v.mul_(momentum).add_(g)
                p.sub_(now * (g + momentum * v))  # Nesterov
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def test_training_is_nesterov_sgd_over_shuffled_epochs(problem):
    run = trainer(problem)
    run.run_until(13)  # crosses epochs, with their smaller last batch
    torch.testing.assert_close(weights(run), plain_sgd(problem, 13), rtol=1e-5, atol=1e-6)


def test_cosine_schedule_multiplies_the_learning_rate(problem):
    run = trainer(problem, schedule="cosine", total_steps=20)
    run.run_until(11)
    expected = plain_sgd(problem, 11, schedule=lambda t: 0.5 * (1 + math.cos(math.pi * t / 20)))
    torch.testing.assert_close(weights(run), expected, rtol=1e-5, atol=1e-6)


def test_multistep_divides_the_learning_rate_by_ten_three_times(problem):
    run = trainer(problem, schedule="multistep", total_steps=16)
    run.run_until(16)
    expected = plain_sgd(problem, 16, schedule=lambda t: 0.1 ** ((t >= 10) + (t >= 12) + (t >= 14)))
    torch.testing.assert_close(weights(run), expected, rtol=1e-5, atol=1e-6)


def test_multistep_falls_after_epochs_150_180_and_210_of_240():
    per_epoch = 782  # 50,000 examples in batches of 64
    rates = [SCHEDULES["multistep"](e * per_epoch / (240 * per_epoch)) for e in range(240)]
    falls = [epoch for epoch in range(1, 240) if rates[epoch] < rates[epoch - 1]]
    assert falls == [150, 180, 210]
    assert rates[0] == 1
    assert rates[-1] == pytest.approx(0.001)


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_run_that_stops_and_goes_on_equals_one_that_never_stopped(problem, optimizer):
    whole = trainer(problem, optimizer=optimizer, schedule="linear", weight_decay=0.01)
    whole.run_until(17)
    first = trainer(problem, optimizer=optimizer, schedule="linear", weight_decay=0.01)
    first.run_until(7)  # in the middle of an epoch
    second = trainer(problem, optimizer=optimizer, schedule="linear", weight_decay=0.01)
    second.load({k: v.clone() for k, v in first.state().items()}, 7)
    second.run_until(17)
    assert torch.equal(weights(second), weights(whole))


@pytest.mark.parametrize("micro", [1, 3, 5, 8, 100])
def test_micro_batches_give_the_gradient_of_the_whole_batch(problem, micro):
    whole, pieces = trainer(problem), trainer(problem, micro_batch_size=micro)
    loss = whole.run_until(9).mean_loss
    loss_of_pieces = pieces.run_until(9).mean_loss
    torch.testing.assert_close(weights(pieces), weights(whole), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(loss_of_pieces, loss, rtol=1e-5, atol=1e-6)


def test_batch_larger_than_the_gather_is_one_step(problem, monkeypatch):
    monkeypatch.setattr("goodteacher.training.loop._GATHER", 4)
    run = trainer(problem)
    run.run_until(13)
    torch.testing.assert_close(weights(run), plain_sgd(problem, 13), rtol=1e-5, atol=1e-6)


def test_mean_loss_is_the_mean_over_examples(problem):
    run = trainer(problem, learning_rate=1e-12)
    segment = run.run_until(run.steps_per_epoch)
    inputs, labels = problem
    expected = F.cross_entropy(run.network(HALVES(inputs)), labels)
    torch.testing.assert_close(segment.mean_loss, expected.detach(), rtol=1e-5, atol=1e-6)


def test_order_seed_changes_the_order_and_nothing_else(problem):
    one, other = trainer(problem, order_seed=1), trainer(problem, order_seed=2)
    assert torch.equal(weights(one), weights(other))
    one.run_until(1)
    other.run_until(1)
    assert not torch.equal(weights(one), weights(other))


def test_example_order_is_a_permutation_that_differs_between_epochs():
    first, second = example_order(100, 7, 0), example_order(100, 7, 1)
    assert sorted(first.tolist()) == list(range(100))
    assert not torch.equal(first, second)
    assert torch.equal(first, example_order(100, 7, 0))


@pytest.mark.parametrize(("n", "batch", "steps"), [(8, 8, 1), (9, 8, 2), (1, 8, 1), (16, 8, 2)])
def test_steps_per_epoch_counts_the_smaller_last_batch(n, batch, steps):
    assert steps_per_epoch(n, batch) == steps


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_schedule_begins_at_the_peak_and_never_rises(name):
    factors = [SCHEDULES[name](t / 50) for t in range(50)]
    assert factors[0] == 1.0
    assert all(b <= a for a, b in itertools.pairwise(factors))
    assert factors[-1] >= 0


def test_bfloat16_training_stays_near_float32_and_keeps_float32_weights(problem):
    exact, rough = trainer(problem), trainer(problem, machine=Machine(CPU.device, torch.bfloat16))
    exact.run_until(10)
    rough.run_until(10)
    assert weights(rough).dtype == torch.float32
    assert (weights(rough) - weights(exact)).abs().max() < 0.02
    assert not torch.equal(weights(rough), weights(exact))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch's compiler itself
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a compiler")
@pytest.mark.skipif(
    "ATEN_CPU_CAPABILITY" in os.environ,
    reason="PyTorch's compiler takes no notice of it, and what it writes then does not fit",
)
def test_compiled_training_takes_the_same_steps(problem):
    plain = trainer(problem)
    compiled = trainer(problem, machine=Machine(CPU.device, compiles=True))
    plain.run_until(7)  # whole batches and a smaller one
    compiled.run_until(7)
    torch.testing.assert_close(weights(compiled), weights(plain), rtol=1e-4, atol=1e-5)
    assert compiled.state().keys() == plain.state().keys()


def dropped(problem, *, host_seed, order_seed=3):
    made = trainer(problem, order_seed=order_seed)
    made.network.insert(1, nn.Dropout(0.5))
    torch.manual_seed(host_seed)
    return made


def test_dropout_depends_on_the_runs_seed_and_not_on_the_process(problem):
    one, same, other = (
        dropped(problem, host_seed=host, order_seed=order)
        for host, order in ((1, 3), (2, 3), (1, 4))
    )
    for made in (one, same, other):
        made.run_until(12)
    assert torch.equal(weights(one), weights(same))
    assert not torch.equal(weights(one), weights(other))


@pytest.mark.parametrize("stop", [1, 5, 7])
def test_dropout_of_a_run_that_stopped_goes_on_as_if_it_had_not(problem, stop):
    whole, first, second = (dropped(problem, host_seed=host) for host in (1, 2, 3))
    whole.run_until(12)
    first.run_until(stop)
    second.load(first.state(), stop)
    second.run_until(12)
    assert torch.equal(weights(second), weights(whole))


def test_training_leaves_the_hosts_generator_as_it_was(problem):
    made = dropped(problem, host_seed=5)
    expected = torch.get_rng_state()
    made.run_until(6)
    assert torch.equal(torch.get_rng_state(), expected)


def test_each_step_drops_other_units(problem):
    made = dropped(problem, host_seed=5)
    seen = []
    made.network[1].register_forward_hook(lambda module, inputs, output: seen.append(output == 0))
    made.run_until(2)
    assert not torch.equal(seen[0], seen[1])
