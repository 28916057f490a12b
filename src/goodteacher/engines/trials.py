"""A short trial: how long a step of training takes with one thread, and with all.

Small networks gain nothing by a second thread, or lose by it, since threads wait for one another
several times in a step; large ones gain nearly as much as there are cores. Which is which depends
on the network, the batch and the machine, so it is measured.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from goodteacher.config import Frozen, RuntimeConfig
from goodteacher.engines.expected import Kind
from goodteacher.studies import Context
from goodteacher.training import (
    Trainer,
    stack_memory,
    stack_networks,
    threads_of,
    unless_memory_runs_out,
    widest_stack,
)

_SECONDS = 0.5
"""What the trial of one kind of step may take, unless a single step takes longer."""

_SHARE = 0.005
"""The share of the study's steps of a kind that its trial may take."""

_ROUNDS = 9
"""Turns of one thread and of all, at most."""

_PIECE, _STEPS = 0.02, 8
"""A turn takes about so many seconds, and so many steps at most."""

_WIDTH = 16
"""Students of the stack that is tried, at most."""

_FORGOTTEN = 10_000
"""Steps of the training of which a trial is the beginning; it only sets the learning rate."""


class StepTrial(Frozen):
    """How long a step of training takes.

    Attributes:
        role: Whose step.
        batch_size: Its examples.
        networks: Students of the stack that was tried; 1 is a teacher.
        threads: All threads that were tried beside one.
        one: Milliseconds with one thread.
        all: Milliseconds with all threads.
    """

    role: Literal["teacher", "student"]
    batch_size: int
    networks: int
    threads: int
    one: float
    all: float

    def seconds(self, threads: int) -> float:
        """Return the seconds of a step with some number of threads.

        Between one and all it is a line in 1 / threads: a part of the step is divided among the
        threads, the rest is not (Amdahl's law).

        Example:
            >>> half = StepTrial(
            ...     role="teacher", batch_size=8, networks=1, threads=4, one=8.0, all=5.0
            ... )
            >>> [1e3 * half.seconds(threads) for threads in (1, 2, 4)]
            [8.0, 6.0, 5.0]
        """
        if self.threads == 1:
            return self.one / 1e3
        divided = (self.one - self.all) / (1 - 1 / self.threads)
        return (self.one - divided * (1 - 1 / threads)) / 1e3


def measure(
    steps: Mapping[Kind, float], context: Context, config: RuntimeConfig, *, threads: int
) -> tuple[StepTrial, ...]:
    """Time steps of the study's own networks on its own data, and keep nothing of them.

    Args:
        steps: What is to be tried, and how many steps of it the study will take.
        context: The study.
        config: Its settings; ``memory_gib`` and ``stack_width`` limit the stack that is tried.
        threads: All threads.

    Returns:
        A trial of each kind, but of those that memory does not hold.
    """
    found = []
    for kind, count in steps.items():
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")  # the training itself will give them
            trial = unless_memory_runs_out(partial(_tried, kind, count, context, config, threads))
        if trial is not None:
            found.append(trial)
    return tuple(found)


def _tried(
    kind: Kind, steps: float, context: Context, config: RuntimeConfig, threads: int
) -> StepTrial:
    trainer, width = _trainer(kind, context, config)
    with threads_of(threads):
        trainer.run_until(1)  # allocates
        first = trainer.run_until(2).seconds
    each = min(_STEPS, max(1, round(_PIECE / max(first, 1e-9))))
    allowed = min(_SECONDS, _SHARE * steps * first)
    began = time.perf_counter()
    taken: dict[int, list[float]] = {1: [], threads: []}
    for _ in range(_ROUNDS):
        for count, seconds in taken.items():
            with threads_of(count):
                seconds.append(trainer.run_until(trainer.step + each).seconds / each)
        if time.perf_counter() - began > allowed:
            break
    # The least of each: what else the machine does only makes steps longer.
    one, most = (1e3 * min(taken[count]) for count in (1, threads))
    size = kind.plan.batch_size
    return StepTrial(
        role=kind.role, batch_size=size, networks=width, threads=threads, one=one, all=most
    )


def _trainer(kind: Kind, context: Context, config: RuntimeConfig) -> tuple[Trainer, int]:
    """Return what takes the steps, and how many networks it trains at once."""
    whole = context.data.training if kind.role == "teacher" else context.data.transfer
    few = whole.subset(torch.arange(min(len(whole), _STEPS * kind.plan.batch_size)))
    examples = context.examples(kind.spec, few)
    network, width = context.network(kind.spec, seed=0).module, 1
    if kind.role == "student":
        sample = examples.inputs(torch.arange(2))
        memory = stack_memory(context.machine.device, config.memory_gib)
        fits = widest_stack(network, sample, batch_size=kind.plan.batch_size, memory_bytes=memory)
        width = min(config.stack_width or _WIDTH, fits)
        network = stack_networks([network] * width, example_input=sample)
    trainer = Trainer(
        network,
        _like_a_loss,
        examples,
        plan=kind.plan,
        total_steps=_FORGOTTEN,
        order_seed=0,
        machine=replace(context.machine, compiles=False),
    )
    return trainer, width


def _like_a_loss(logits: Tensor, positions: Tensor, view: int) -> Tensor:
    """Return a loss that costs what cross-entropy costs and needs no labels."""
    return -logits.log_softmax(-1).mean((-2, -1))
