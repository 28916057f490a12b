"""The one training loop: a network, or a stack of them, learns from an objective.

Teachers and students, one or three hundred, go through :class:`Trainer`. Its state is the network,
the optimizer and a step number; the order of examples is a function of (seed, epoch), and what a
network draws, such as dropout, of (seed, step), so a run that stops at any step and goes on later
takes the very same steps as one that never stopped, whatever the process has drawn before.

For speed, examples are gathered, augmented and normalised a few thousand at a time rather than
batch by batch, the loss is accumulated on the device, and nothing inside an epoch waits for a
number.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from goodteacher.config import MULTISTEP, Optimization
from goodteacher.networks import Batch, Examples, split_batch
from goodteacher.training.averaging import WeightAverage
from goodteacher.training.group import ALONE, Division, Group, divide
from goodteacher.training.machine import Machine
from goodteacher.training.rates import OwnLearningRates

_GATHER = 8192
"""Examples gathered and normalised at once, if they are small: enough to hide the call."""


_FAR = 0x9E3779B97F4A7C15
"""Between the seeds of two processes: the golden ratio of 2**64, so that no steps coincide."""


class Objective(Protocol):
    """What a network learns: outputs, positions of their examples and the view in, losses out."""

    def __call__(self, logits: Tensor, positions: Tensor, view: int) -> Tensor:
        """Return the mean loss over the batch: a scalar, or one for each stacked student [S]."""


@dataclass(frozen=True)
class Segment:
    """What one call of :meth:`Trainer.run_until` did."""

    step: int
    seconds: float
    mean_loss: Tensor


def _sgd(parameters: list[nn.Parameter], plan: Optimization, fused: bool) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        parameters,
        lr=plan.learning_rate,
        momentum=plan.momentum,
        nesterov=plan.momentum > 0,
        weight_decay=plan.weight_decay,
        fused=fused,
    )


def _adam(parameters: list[nn.Parameter], plan: Optimization, fused: bool) -> torch.optim.Optimizer:
    return torch.optim.Adam(
        parameters, lr=plan.learning_rate, weight_decay=plan.weight_decay, fused=fused
    )


def _adamw(
    parameters: list[nn.Parameter], plan: Optimization, fused: bool
) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        parameters, lr=plan.learning_rate, weight_decay=plan.weight_decay, fused=fused
    )


OPTIMIZERS: Mapping[
    str, Callable[[list[nn.Parameter], Optimization, bool], torch.optim.Optimizer]
] = {
    "sgd": _sgd,
    "adam": _adam,
    "adamw": _adamw,
}
"""Optimizers by name. Each works element by element, so stacked networks stay independent."""

SCHEDULES: Mapping[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "linear": lambda progress: 1.0 - progress,
    "cosine": lambda progress: 0.5 * (1.0 + math.cos(math.pi * progress)),
    "multistep": lambda progress: 0.1 ** sum(progress >= share for share in MULTISTEP),
}
"""Learning-rate factors over the share of the run that is done, in [0, 1)."""


def plain_view(epoch: int) -> int:
    """Return view 0, the examples as they are, for every epoch."""
    return 0


class Trainer:
    """A network on its way through its training.

    Args:
        network: The network, or a stack; its output goes to ``objective``.
        objective: The loss of a batch.
        examples: What it sees: N examples.
        plan: Optimizer, schedule, batch size.
        total_steps: Steps of the whole run, for the schedule.
        order_seed: Seed of the order of examples.
        machine: Where arithmetic happens.
        view_of: Which view of the examples an epoch (from 0) sees; by default the plain one.
        average_window: Steps that a moving average of the weights spans; by default none is kept.
        learning_rates: Peak learning rate of each student of a stack, [S]; by default the plan's
            for all.
        group: The processes that train the network together; each has a trainer of its own, made
            alike.
    """

    def __init__(
        self,
        network: nn.Module,
        objective: Objective,
        examples: Examples,
        *,
        plan: Optimization,
        total_steps: int,
        order_seed: int,
        machine: Machine,
        view_of: Callable[[int], int] = plain_view,
        average_window: float | None = None,
        learning_rates: Tensor | None = None,
        group: Group = ALONE,
    ) -> None:
        self.network = network.to(machine.device)
        self.objective = objective
        self.examples = examples
        self.view_of = view_of
        self.plan = plan
        self.total_steps = total_steps
        self.order_seed = order_seed
        self.machine = machine
        self.group = group
        self.step = 0
        self.average = (
            None if average_window is None else WeightAverage(self.network, window=average_window)
        )
        self._forward = group.ready(self.network, machine, examples)
        parameters = [p for p in network.parameters() if p.requires_grad]
        fused = machine.device.type in ("cpu", "cuda", "mps")
        self._peak, self._own = plan.learning_rate, None
        if learning_rates is not None:
            self._peak = float(learning_rates.max())
            if bool((learning_rates != self._peak).any()):
                self._own = OwnLearningRates(parameters, learning_rates / self._peak)
        self.optimizer = OPTIMIZERS[plan.optimizer](parameters, plan, fused)
        self._divisions: dict[int, Division] = {}

    @property
    def steps_per_epoch(self) -> int:
        """Steps that see every example once; the last batch may be smaller."""
        return steps_per_epoch(len(self.examples), self.plan.batch_size)

    def run_until(self, step: int) -> Segment:
        """Train up to (and with) a step number, counted from the start of the run.

        Args:
            step: The number of steps that shall have been taken.

        Returns:
            Segment: steps taken so far, seconds of this call, and the mean loss over its examples
            (a scalar, or one for each student), still on the device.
        """
        started = time.perf_counter()
        self.network.train()
        total: Tensor | None = None
        seen = 0
        device = self.machine.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            for count, inputs, positions, view in self._batches(step):
                loss = self._step(inputs, positions, view, self._division(count))
                weighted = loss * count
                total = weighted if total is None else total + weighted
                seen += count
        mean = self.group.mean(total / seen) if total is not None else torch.tensor(math.nan)
        self.machine.wait()
        return Segment(self.step, time.perf_counter() - started, mean)

    def _step(self, inputs: Batch, positions: Tensor, view: int, division: Division) -> Tensor:
        _seed_draws(self.machine.device, self.order_seed, self.step, self.group.rank)
        rate = self._peak * SCHEDULES[self.plan.schedule](self.step / self.total_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._accumulate(inputs, positions, view, division)
        if self._own is None:
            self.optimizer.step()
        else:
            self._own.step(self.optimizer)
        self.step += 1
        if self.average is not None:
            self.average.update(self.step)
        return loss

    def _accumulate(
        self, inputs: Batch, positions: Tensor, view: int, division: Division
    ) -> Tensor:
        """Add up the batch's gradient, in micro-batches where the plan says so."""
        lengths = division.lengths
        if len(lengths) == 1:
            return self._backward(inputs, positions, view, division, 0)
        pieces = zip(split_batch(inputs, lengths), positions.split(lengths), strict=True)
        losses = [self._backward(x, p, view, division, n) for n, (x, p) in enumerate(pieces)]
        return torch.stack(losses).sum(0)

    def _backward(
        self, inputs: Batch, positions: Tensor, view: int, division: Division, piece: int
    ) -> Tensor:
        divided, last = division.divided[piece], piece + 1 == len(division.lengths)
        with self.group.computing(self._forward, divided=divided, last=last):
            with self.machine.arithmetic():
                logits = self._forward(inputs)
            loss = self.objective(logits.float(), positions, view)
            if (weight := division.weights[piece]) != 1.0:
                loss = loss * weight
            # Stacked students share no parameter, so the sum's gradient is each one's own.
            loss.sum().backward()
        return loss.detach()

    def _division(self, count: int) -> Division:
        """Return what this process computes of a batch of so many examples."""
        if count not in self._divisions:
            piece, group = self.plan.micro_batch_size, self.group
            self._divisions[count] = divide(count, piece, group.rank, group.size)
        return self._divisions[count]

    def _batches(self, until: int) -> Iterator[tuple[int, Batch, Tensor, int]]:
        """Yield each step's number of examples; inputs and positions of one's own; their view."""
        size = self.plan.batch_size
        per_gather = max(1, self.examples.at_once(_GATHER) // size)
        while self.step < until:
            epoch, first = divmod(self.step, self.steps_per_epoch)
            view = self.view_of(epoch)
            order = example_order(len(self.examples), self.order_seed, epoch)
            order = order.to(self.machine.device)
            last = min(self.steps_per_epoch, first + until - self.step)
            parts = order[first * size : last * size].split(per_gather * size)
            counts = [[len(batch) for batch in part.split(size)] for part in parts]
            owns = [self._own_of(part) for part in parts]
            for sizes, own, inputs in zip(
                counts, owns, self.examples.each(owns, view), strict=True
            ):
                lengths = [sum(self._division(count).lengths) for count in sizes]
                batches = zip(sizes, split_batch(inputs, lengths), own.split(lengths), strict=True)
                for batch in batches:
                    yield *batch, view

    def _own_of(self, part: Tensor) -> Tensor:
        """Return this process's part of the positions of several batches, in order."""
        if self.group.size == 1:
            return part
        batches = part.split(self.plan.batch_size)
        return torch.cat([self._division(len(batch)).of(batch) for batch in batches])

    def state(self) -> dict[str, Tensor]:
        """Return all that is needed to go on later, as flat named tensors.

        Optimizer tensors are named ``optimizer.<slot>.<parameter number>``.
        """
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        for number, slots in self.optimizer.state_dict()["state"].items():
            for slot, value in slots.items():
                if value is not None:
                    tensors[f"optimizer.{slot}.{number}"] = torch.as_tensor(value)
        if self.average is not None:
            tensors |= {f"average.{k}": v for k, v in self.average.state().items()}
        return tensors

    def load(self, state: Mapping[str, Tensor], step: int) -> None:
        """Go on from what :meth:`state` returned after ``step`` steps."""
        self.network.load_state_dict(_under("network.", state))
        packed = self.optimizer.state_dict()
        packed["state"] = _nested_slots(_under("optimizer.", state))
        self.optimizer.load_state_dict(packed)
        if self.average is not None:
            self.average.load(_under("average.", state))
        self.step = step


def steps_per_epoch(num_examples: int, batch_size: int) -> int:
    """Return the steps of one epoch; the last batch may be smaller.

    Example:
        >>> steps_per_epoch(1000, 128)
        8
    """
    return -(-num_examples // batch_size)


def example_order(num_examples: int, seed: int, epoch: int) -> Tensor:
    """Return the order of examples in an epoch: a function of (seed, epoch) alone.

    Args:
        num_examples: Number of examples N.
        seed: The run's seed.
        epoch: The epoch, from 0.

    Returns:
        A permutation, int64 [N], on the CPU.

    Example:
        >>> bool((example_order(9, 1, 0) == example_order(9, 1, 0)).all())
        True
    """
    generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)
    return torch.randperm(num_examples, generator=generator)


def _seed_draws(device: torch.device, seed: int, step: int, rank: int) -> None:
    """Seed what a network draws in training, such as dropout.

    A function of (seed, step), and of the process, each of which has other examples, alone.
    """
    drawn = (seed * 1_000_003 + step + rank * _FAR) % 2**63
    torch.default_generator.manual_seed(drawn)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(drawn)


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _nested_slots(flat: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    nested: dict[int, dict[str, Tensor]] = {}
    for name, value in flat.items():
        slot, number = name.rsplit(".", 1)
        nested.setdefault(int(number), {})[slot] = value.clone()
    return nested
