"""One network trained by several processes: the numbers are those of one process."""

import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import loky
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from goodteacher.config import Optimization
from goodteacher.data import Split
from goodteacher.networks import Examples
from goodteacher.networks.preparation import Identity
from goodteacher.training import ALONE, Machine, Trainer, compute_logits, distributed
from goodteacher.training.distributed import SeveralProcesses, joined, meeting_in

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
        nn.Linear(24, 5, bias=False), nn.BatchNorm1d(5, affine=False, momentum=None),
        nn.Linear(5, C),
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
    with joined(meeting_in(meeting, size), rank=rank, size=size, device=CPU.device) as group:
        return work(group)


@pytest.fixture(scope="module")
def processes():
    """Do work in a group of processes, and return what each of them has found."""
    executor = loky.ProcessPoolExecutor(max_workers=4)  # not those of the engine
    folder = Path(tempfile.mkdtemp())

    def do(size, work):
        meeting = Path(tempfile.mkdtemp(dir=folder)) / "meeting"
        done = [executor.submit(_one_of, meeting, rank, size, work) for rank in range(size)]
        return [each.result(timeout=60) for each in done]

    yield do
    executor.shutdown()
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


@pytest.mark.parametrize("micro", [1, 5, 7])
def test_pieces_of_a_batch_are_shared_out_alike(processes, micro):
    def pieces(network, group=ALONE):
        return trained(network, group, micro_batch_size=micro)

    whole = trained(cnn)
    for each in processes(3, lambda group: pieces(cnn, group)):
        assert_alike(each, whole)
    if micro == 7:  # others leave a piece of one example, which has no variance
        alone = pieces(cnn_with_batch_norm)
        for each in processes(3, lambda group: pieces(cnn_with_batch_norm, group)):
            assert_alike(each, alone)  # its statistics are those of the piece, of all processes
        with pytest.raises(AssertionError):
            assert_alike(alone, trained(cnn_with_batch_norm))


def test_batches_too_small_to_share_are_computed_by_all(processes):
    # 61 examples in batches of 20 leave one for the last
    alone = trained(mlp, batch_size=20)
    for each in processes(4, lambda group: trained(mlp, group, batch_size=20)):
        assert_alike(each, alone)


def test_local_statistics_would_be_another_training(processes):
    """What the shared batch normalisation is for: without it the trajectories part."""

    def without_it(group):
        group.computing = lambda forward, *, divided, last: contextlib.nullcontext()
        return trained(cnn_with_batch_norm, group)

    alone = trained(cnn_with_batch_norm)
    found = processes(2, without_it)[0]
    weight = "network.0.weight"
    assert float((found[0][weight] - alone[0][weight]).norm() / alone[0][weight].norm()) > 0.01


def test_bfloat16_stays_near_float32(processes):
    rough = Machine(CPU.device, torch.bfloat16)
    exact = trained(cnn_with_batch_norm)
    alone = trained(cnn_with_batch_norm, machine=rough)
    for each in processes(2, lambda group: trained(cnn_with_batch_norm, group, machine=rough)):
        assert_alike(each, exact, tolerance=0.1)
        assert each[0]["network.0.weight"].dtype == torch.float32
        assert not torch.equal(each[0]["network.0.weight"], exact[0]["network.0.weight"])
    assert_alike(alone, exact, tolerance=0.1)


@pytest.mark.parametrize("sizes", [(1, 2), (2, 1), (4, 2)])
def test_a_run_goes_on_with_another_number_of_processes(processes, sizes):
    settings = {"optimizer": "adamw", "window": 4.0}

    def part(size, **asked):
        if size == 1:
            return trained(cnn_with_batch_norm, **settings, **asked)
        return processes(size, lambda g: trained(cnn_with_batch_norm, g, **settings, **asked))[0]

    first, second = sizes
    begun = part(first, steps=5)
    assert_alike(
        part(second, begin=(begun[0], 5), steps=9)[:1] + begun[1:], part(1)[:1] + begun[1:]
    )


def test_weights_that_are_left_out_are_no_matter(processes):
    alone = trained(PartlyUsed, optimizer="adamw", weight_decay=0.1)
    found = processes(2, lambda g: trained(PartlyUsed, g, optimizer="adamw", weight_decay=0.1))
    for each in found:
        assert_alike(each, alone)
    untouched = trainer(PartlyUsed).network.unused.weight
    assert torch.equal(found[0][0]["network.unused.weight"], untouched)


class DroppingLayers(nn.Module):
    """Leaves a layer out in half of the steps, by chance."""

    def __init__(self):
        super().__init__()
        self.used, self.sometimes, self.norm = nn.Linear(48, C), nn.Linear(C, C), nn.BatchNorm1d(C)

    def forward(self, x):
        found = self.norm(self.used(x.flatten(1)))
        return found + self.sometimes(found) if torch.rand(()) < 0.5 else found


@pytest.mark.parametrize(
    ("network", "leaves_out"),
    [(mlp, False), (cnn_with_batch_norm, False), (PartlyUsed, True), (DroppingLayers, True)],
)
def test_networks_that_leave_weights_out_are_found_and_left_as_they_were(network, leaves_out):
    network = network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    drawn = torch.get_rng_state()
    assert distributed._leaves_some_out(network, CPU, examples()) is leaves_out
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(weight.grad is None for weight in network.parameters())
    assert torch.equal(torch.get_rng_state(), drawn)


def test_each_process_draws_its_own(processes):
    def kept(group=ALONE):
        run = trainer(Dropping, group=group)
        run.run_until(3)
        return run.network.kept

    first, second = processes(2, kept)
    assert torch.equal(first, kept()[: len(first)]), "number 0 draws as one alone would"
    assert not torch.equal(first, second)
    again = processes(2, kept)
    assert all(torch.equal(x, y) for x, y in zip(again, (first, second), strict=True))


def test_rows_are_collected_in_order(processes):
    def rows(group):
        whole = torch.arange(46.0).reshape(23, 2)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(distributed, "_ROWS", 3)
            return group.collected(whole[group.part(23)], 23)

    found = processes(4, rows)
    assert torch.equal(found[0], torch.arange(46.0).reshape(23, 2))
    assert [len(each) for each in found[1:]] == [6, 6, 6]


def test_the_first_process_decides_and_all_follow(processes):
    said = processes(3, lambda group: (group.agreed(group.rank > 0), group.agreed(group.leads)))
    assert said == [(False, True)] * 3


def test_buffers_become_those_of_the_first_process(processes):
    def buffer(group):
        layer = nn.BatchNorm1d(2)
        layer.running_mean.fill_(group.rank + 1.0)
        group.alike(layer)
        return layer.running_mean

    assert all(each.tolist() == [1.0, 1.0] for each in processes(2, buffer))


def batch_normed(inputs, *, layer, **settings):
    layer = layer(**settings).train()
    with torch.no_grad():
        if layer.affine:
            layer.weight.copy_(torch.linspace(0.5, 2, layer.num_features))
            layer.bias.copy_(torch.linspace(-1, 1, layer.num_features))
    inputs = inputs.clone().requires_grad_()
    output = layer(inputs)
    (output * torch.linspace(0, 1, output.shape[1]).view(1, -1, *[1] * (output.dim() - 2))).pow(
        3
    ).sum().backward()
    state = [value for value in layer.state_dict().values() if value.is_floating_point()]
    return output.detach(), inputs.grad, state


@pytest.mark.parametrize(
    ("layer", "shape", "settings"),
    [
        (nn.BatchNorm1d, (7, 3), {}),
        (nn.BatchNorm1d, (7, 3, 5), {"affine": False}),
        (nn.BatchNorm2d, (7, 3, 4, 2), {"momentum": None}),
        (nn.BatchNorm2d, (7, 3, 4, 2), {"track_running_stats": False}),
        (nn.BatchNorm3d, (7, 3, 2, 2, 2), {"eps": 0.1, "momentum": 0.5}),
    ],
)
def test_shared_batch_norm_is_that_of_the_whole_batch(processes, layer, shape, settings):
    inputs = 100 + torch.randn(shape, generator=torch.Generator().manual_seed(0))
    settings = {"num_features": shape[1], "layer": layer, **settings}

    def shared(group):
        with distributed.SharedBatchNorm():
            return batch_normed(inputs[group.part(7)], **settings)

    output, gradient, state = batch_normed(inputs, **settings)
    found = processes(2, shared)
    torch.testing.assert_close(torch.cat([x[0] for x in found]), output, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(torch.cat([x[1] for x in found]), gradient, rtol=1e-3, atol=1e-3)
    for each in found:
        torch.testing.assert_close(each[2][-2:], state[-2:], rtol=1e-4, atol=1e-4)


def test_batch_norm_in_evaluation_is_left_alone():
    layer = nn.BatchNorm1d(3).eval()
    inputs = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    with distributed.SharedBatchNorm():  # no group: nothing is asked of other processes
        found = layer(inputs)
    assert torch.equal(found, layer(inputs))


@pytest.mark.parametrize("known", [None, "lo"])
def test_the_group_ends_with_its_block(tmp_path, monkeypatch, known):
    if known:
        monkeypatch.setenv("GLOO_SOCKET_IFNAME", known)
    hook, meeting = sys.excepthook, meeting_in(tmp_path / "meeting", 1)
    with joined(meeting, rank=0, size=1, device=CPU.device) as group:
        assert torch.distributed.is_initialized()
        assert group.leads
    assert not torch.distributed.is_initialized()
    assert os.environ.get("GLOO_SOCKET_IFNAME") == known
    assert sys.excepthook is hook


@pytest.mark.parametrize(
    ("address", "known", "expected"),
    [
        ("127.0.0.1", None, "loopback"),
        ("127.0.0.1", "eth7", "loopback"),
        ("10.0.0.5", None, "fast"),
        ("10.0.0.5", "eth7", "eth7"),  # somebody has chosen for this network
        ("10.9.9.9", None, None),  # PyTorch looks for one itself
    ],
)
def test_processes_talk_through_the_interface_that_has_the_address(
    address, known, expected, monkeypatch
):
    place = {"loopback": "127.0.0.1", "fast": "10.0.0.5"}
    found = {name: [SimpleNamespace(address=each)] for name, each in place.items()}
    monkeypatch.setattr(distributed.psutil, "net_if_addrs", lambda: found)
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    if known:
        monkeypatch.setenv("GLOO_SOCKET_IFNAME", known)
    with distributed._talking_through(address):
        assert os.environ.get("GLOO_SOCKET_IFNAME") == expected
    assert os.environ.get("GLOO_SOCKET_IFNAME") == known


def test_each_process_computes_on_its_own_gpu():
    """Of those that it sees, which is one where a cluster has given it one."""
    asked = Machine(torch.device("cuda"))
    at = [SeveralProcesses(1, 3, gpu).machine(asked).device.index for gpu in (0, 1)]
    assert at == [0, 1]
    assert SeveralProcesses(1, 3, 1).machine(CPU) is CPU
