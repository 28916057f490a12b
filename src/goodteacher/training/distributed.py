"""A group of several processes, by PyTorch's ``DistributedDataParallel``.

Gradients are averaged while the backward pass goes on; batch normalisation takes its statistics
from the examples of all processes, so that the batch is the one that was asked for. (PyTorch's
``SyncBatchNorm`` does so on GPUs only, and replaces layers, which loses what a subclass adds.)
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import psutil
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.overrides import TorchFunctionMode

from goodteacher.networks import Examples
from goodteacher.training.group import Group, part_of
from goodteacher.training.machine import Machine

Meeting: TypeAlias = Any
"""A ``torch.distributed.Store``: PyTorch's types do not know that it is public."""

_FileStore, _TCPStore = vars(dist)["FileStore"], vars(dist)["TCPStore"]

_PATIENCE = timedelta(hours=2)
"""For how long a process waits for the others. One that ends is noticed at once."""

_ANSWER = timedelta(minutes=2)
"""For how long a process waits for the place where all meet."""

LOOPBACK = "127.0.0.1"
_INTERFACE = "GLOO_SOCKET_IFNAME"

_DRAWS = 4
"""How often a network is asked which weights it uses: some draw which layers they leave out."""

_ROWS = 65536
"""Rows that one process sends to another at once."""


class SeveralProcesses(Group):
    """Processes of PyTorch's default group; see :class:`Group`.

    Args:
        rank: Number of this process.
        size: How many there are.
        gpu: Number of its GPU, among those that it sees.
    """

    def __init__(self, rank: int, size: int, gpu: int = 0) -> None:
        self.rank, self.size, self.gpu = rank, size, gpu

    def machine(self, machine: Machine) -> Machine:
        """Return where this process computes: of several GPUs, its own."""
        if machine.device.type != "cuda":
            return machine
        return replace(machine, device=torch.device("cuda", self.gpu))

    def ready(
        self, network: nn.Module, machine: Machine, examples: Examples
    ) -> Callable[[Any], Tensor]:
        """Return the network, wrapped so that its gradient is the mean of all processes'."""
        on_gpu = machine.device.type == "cuda"
        return DistributedDataParallel(
            network,
            device_ids=[machine.device] if on_gpu else None,
            find_unused_parameters=_leaves_some_out(network, machine, examples),
            gradient_as_bucket_view=True,
        )

    @contextlib.contextmanager
    def computing(
        self, forward: Callable[[Any], Tensor], *, divided: bool, last: bool
    ) -> Iterator[None]:
        """Share batch normalisation where the piece is, and the gradient with the last one."""
        assert isinstance(forward, DistributedDataParallel)
        with contextlib.ExitStack() as stack:
            if divided:
                stack.enter_context(SharedBatchNorm())
            if not last:
                stack.enter_context(forward.no_sync())
            yield

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean of what the processes have, in all of them."""
        total = value.clone()
        dist.all_reduce(total)
        return total / self.size

    def agreed(self, answer: bool) -> bool:
        """Return what the leading process says, in all of them."""
        told = torch.tensor([answer])
        dist.broadcast(told, src=0)
        return bool(told)

    def alike(self, network: nn.Module) -> None:
        """Give a network the leading process's buffers, in all of them."""
        for buffer in network.buffers():
            dist.broadcast(buffer, src=0)

    def collected(self, own: Tensor, count: int) -> Tensor:
        """Send rows to the leading process; see :meth:`Group.collected`."""
        if not self.leads:
            for rows in own.split(_ROWS):
                dist.send(rows.contiguous(), dst=0)
            return own
        whole = own.new_empty(count, *own.shape[1:])
        whole[self.part(count)] = own
        for rank in range(1, self.size):
            for rows in whole[part_of(count, rank, self.size)].split(_ROWS):
                dist.recv(rows, src=rank)
        return whole


@contextlib.contextmanager
def joined(
    meeting: Meeting,
    *,
    rank: int,
    size: int,
    device: torch.device,
    gpu: int = 0,
    address: str = LOOPBACK,
) -> Iterator[Group]:
    """Make this process one of a group while the block runs.

    Args:
        meeting: Where the processes find each other: a file of this machine, or a port.
        rank: Number of this process.
        size: How many there are.
        device: Where they compute: over gloo on CPUs, over NCCL on GPUs.
        gpu: Number of this process's GPU, among those that it sees.
        address: This machine's, under which the others reach it. On one machine it is the loopback
            interface's: that needs no name, and nobody listens in.
    """
    on_gpu, hook = device.type == "cuda", sys.excepthook
    if on_gpu:
        torch.cuda.set_device(gpu)
    with _talking_through(address):
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
            store=meeting,
            rank=rank,
            world_size=size,
            timeout=_PATIENCE,
        )
    try:
        with warnings.catch_warnings():
            # In channels-last order the strides of a 1x1 convolution have two names.
            warnings.filterwarnings("ignore", "Grad strides do not match", UserWarning)
            yield SeveralProcesses(rank, size, gpu)
    finally:
        dist.destroy_process_group()
        sys.excepthook = hook  # PyTorch has put the rank before every line of every error


def meeting_in(file: Path, size: int) -> Meeting:
    """Return the place at which processes of one machine find each other.

    Args:
        file: A file that none of them has made.
        size: How many processes there are.
    """
    return _FileStore(str(file), size)


def meeting_here(address: str) -> Meeting:
    """Open a place at which processes of several machines find each other, on a free port.

    It is open to whoever reaches this machine: the machines must be in one trusted network.

    Args:
        address: This machine's, under which the others reach it.
    """
    return _TCPStore(address, 0, is_master=True, wait_for_workers=False, timeout=_ANSWER)


def meeting_at(address: str, port: int) -> Meeting:
    """Return the place that another process has opened with :func:`meeting_here`."""
    return _TCPStore(address, port, is_master=False, timeout=_ANSWER)


@contextlib.contextmanager
def _talking_through(address: str) -> Iterator[None]:
    """Let processes talk over the network interface that has an address of this machine."""
    known = os.environ.get(_INTERFACE)
    found = [
        name
        for name, addresses in psutil.net_if_addrs().items()
        if any(each.address == address for each in addresses)
    ]
    named = address != LOOPBACK and known is not None  # somebody has chosen for this network
    if found and not named:
        os.environ[_INTERFACE] = found[0]
    try:
        yield
    finally:
        if known is not None:
            os.environ[_INTERFACE] = known
        else:
            os.environ.pop(_INTERFACE, None)


def _leaves_some_out(network: nn.Module, machine: Machine, examples: Examples) -> bool:
    """Say whether the output does not depend on some weights, in some draws at least.

    Wrongly told that it does, ``DistributedDataParallel`` prints a warning; that it does not, it
    stops. The network is left as it was.
    """
    inputs = examples.inputs(torch.arange(min(2, len(examples))))
    kept = [buffer.clone() for buffer in network.buffers()]
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    network.train()
    left_out = False
    with torch.random.fork_rng(devices=[machine.device] if machine.device.type == "cuda" else []):
        for draw in range(_DRAWS):
            torch.manual_seed(draw)
            with machine.arithmetic():
                output = network(inputs)
            found = torch.autograd.grad(output.float().sum(), weights, allow_unused=True)
            left_out = left_out or any(gradient is None for gradient in found)
    for buffer, value in zip(network.buffers(), kept, strict=True):
        buffer.copy_(value)
    return left_out


class SharedBatchNorm(TorchFunctionMode):
    """While it is on, batch normalisation in training sees the examples of all processes.

    It stands in for ``torch.nn.functional.batch_norm``, which every layer of the kind calls.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any | None = None
    ) -> Any:
        """Call what was called, or what stands in for it."""
        kwargs = kwargs or {}
        if func is F.batch_norm:
            return _batch_norm(*args, **kwargs)
        return func(*args, **kwargs)


def _batch_norm(
    inputs: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if not training:
        return F.batch_norm(
            inputs, running_mean, running_var, weight, bias, training, momentum, eps
        )
    shape = (inputs.shape[1],)
    scale = inputs.new_ones(shape, dtype=torch.float32) if weight is None else weight
    shift = inputs.new_zeros(shape, dtype=torch.float32) if bias is None else bias
    normed, mean, var, count = _Normalised.apply(  # type: ignore[no-untyped-call]
        inputs.float(), scale, shift, eps
    )
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            unbiased = var * (count / (count - 1).clamp_min(1))
            running_var.lerp_(unbiased.to(running_var.dtype), momentum)
    found: Tensor = normed.to(inputs.dtype)
    return found


class _Normalised(torch.autograd.Function):
    """Batch normalisation by the statistics of all processes, by PyTorch's own kernels.

    They normalise by given statistics in one pass; how the statistics depend on the inputs is a
    linear term in them, which is added to the gradient.
    """

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        mean, var, count = _moments(inputs)
        ctx.save_for_backward(inputs, weight, mean, var, count)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, var, count)
        return F.batch_norm(inputs, mean, var, weight, bias, eps=eps), mean, var, count

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        inputs, weight, mean, var, count = ctx.saved_tensors
        gradient, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradients[0], inputs, weight, mean, var, None, None, False, ctx.eps, [True, True, True]
        )
        sums = torch.stack([of_weight, of_bias])
        dist.all_reduce(sums)
        to_weight, to_bias = sums / count
        inverse = torch.rsqrt(var + ctx.eps)
        slope = -weight * inverse * inverse * to_weight
        shape = (1, -1, *[1] * (inputs.dim() - 2))
        gradient.addcmul_(inputs, slope.view(shape))
        gradient.sub_((weight * inverse * to_bias + slope * mean).view(shape))
        return gradient, of_weight, of_bias, None


def _moments(inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean and variance of each channel over all processes, [C] each, and of how many.

    Source: Chan, Golub & LeVeque, *Updating Formulae and a Pairwise Algorithm for Computing Sample
    Variances*, 1979: the means of parts and the sums of squares around them.
    """
    # A tenth of the time of torch.var_mean where channels come last.
    mean, var = torch.ops.aten.batch_norm_update_stats(inputs, None, None, 0.0)
    own = torch.cat([mean, var, mean.new_full((1,), inputs.numel() / inputs.shape[1])])
    every = own.new_zeros(dist.get_world_size(), len(own))
    every[dist.get_rank()] = own
    dist.all_reduce(every)
    means, variances, counts = every.split([len(mean), len(mean), 1], dim=1)
    shares = counts / counts.sum()
    mean = (shares * means).sum(0)
    return mean, (shares * (variances + (means - mean) ** 2)).sum(0), counts.sum()
