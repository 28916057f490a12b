"""One network trained by several processes: the numbers are those of one process."""

import shutil
import tempfile
from pathlib import Path

import loky
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from goodteacher.config import Optimization
from goodteacher.data import Split
from goodteacher.networks import Examples
from goodteacher.networks.preparation import Identity
from goodteacher.training import ALONE, Machine, Trainer, compute_logits
from goodteacher.training.distributed import joined

CPU = Machine(torch.device("cpu"))
N, C = 61, 3


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 12), nn.ReLU(), nn.Linear(12, C))


def cnn():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, C)
    )


def cnn_with_batch_norm():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(),
        nn.Linear(24, 5, bias=False), nn.BatchNorm1d(5, affine=False, momentum=None), nn.Linear(5, C),
    )  # fmt: skip


class PartlyUsed(nn.Module):
    """Has a layer that no output depends on, and one that every second step leaves out."""

    def __init__(self):
        super().__init__()
        self.used, self.sometimes, self.unused = (nn.Linear(n, C) for n in (48, C, C))
        self.steps = 0

    def forward(self, x):
        self.steps += 1
        found = self.used(x.flatten(1))
        return found + self.sometimes(found) if self.steps % 2 else found


class Dropping(nn.Sequential):
    """Keeps what it last let through."""

    def __init__(self):
        super().__init__(nn.Flatten(), nn.Dropout(0.5), nn.Linear(48, C))

    def forward(self, x):
        self.kept = self[1](self[0](torch.ones_like(x))) > 0
        return self[2](x.flatten(1))


def examples():
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(N, 3, 4, 4, generator=generator)
    labels = (inputs.mean((1, 2, 3)) * 20).long().clamp(-1, 1) + 1
    return Examples(Split(inputs, labels, torch.arange(N)), Identity())


def trainer(network, *, group=ALONE, machine=CPU, window=None, **plan):
    seen = examples()
    torch.manual_seed(0)
    plan = {"optimizer": "sgd", "learning_rate": 0.05, "batch_size": 16, **plan}
    return Trainer(
        network(),
        lambda logits, at, view: F.cross_entropy(logits, seen.labels(at, view, num_classes=C)),
        seen,
        plan=Optimization(**plan),
        total_steps=24,
        order_seed=3,
        machine=machine,
        average_window=window,
        group=group,
    )


def trained(network, group=ALONE, *, steps=9, begin=None, **settings):
    """Return what a training has left: its state, its mean loss and its network's logits."""
    run = trainer(network, group=group, **settings)
    if begin is not None:
        run.load(*begin)
    loss = run.run_until(steps).mean_loss
    group.alike(run.network)
    state = {name: value.clone() for name, value in run.state().items()}
    return state, loss, compute_logits(run.network, run.examples)


def _one_of(meeting, rank, size, work):
    torch.set_num_threads(1)
    with joined(meeting, rank=rank, size=size, device=CPU.device) as group:
        return work(group)


@pytest.fixture(scope="module")
def processes():
    """Do work in a group of processes, and return what each of them has found."""
    executor = loky.get_reusable_executor(max_workers=4, timeout=60)
    folder = Path(tempfile.mkdtemp())

    def do(size, work):
        meeting = Path(tempfile.mkdtemp(dir=folder)) / "meeting"
        done = [executor.submit(_one_of, meeting, rank, size, work) for rank in range(size)]
        return [each.result(timeout=60) for each in done]

    yield do
    shutil.rmtree(folder)


def assert_alike(found, expected, tolerance=1e-4):
    """The relative distance of each tensor is small; see what it is for by the name."""
    for name, value in expected[0].items():
        distance = (found[0][name] - value).float().norm() / value.float().norm().clamp_min(1e-3)
        assert float(distance) <= tolerance, name
    torch.testing.assert_close(found[1], expected[1], rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(found[2], expected[2], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("network", [mlp, cnn, cnn_with_batch_norm])
def test_several_processes_give_the_trajectory_of_one(processes, network, optimizer, size):
    settings = {"optimizer": optimizer, "window": 5.0}
    alone = trained(network, **settings)
    found = processes(size, lambda group: trained(network, group, **settings))
    for each in found:
        assert_alike(each, alone)
        assert all(torch.equal(value, found[0][0][name]) for name, value in each[0].items())
    untrained = trained(network, steps=1, **settings)
    with pytest.raises(AssertionError):  # the tolerance tells eight steps apart
        assert_alike(untrained, alone)
