"""goodteacher: one student or many, from a response that is computed once.

The only place of the benchmarks of real networks that builds goodteacher's trainer; `step_cost.py`
uses it too.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from goodteacher.config import Optimization, Recipe, RuntimeConfig
from goodteacher.data import Split
from goodteacher.networks import Examples, Normalization
from goodteacher.training.evaluate import compute_logits
from goodteacher.training.loop import Objective, Trainer, steps_per_epoch
from goodteacher.training.machine import Machine, choose_machine, tuned_cpu
from goodteacher.training.objective import StackObjective
from goodteacher.training.stacking import stack_networks
from peers.job import Arrays, Job
from peers.networks import TorchSession, accuracy_of


def recipes_for(job: Job) -> list[Recipe]:
    """Return one recipe for each student, all different; the first is the peers' own."""
    own = (job.temperature, job.alpha)
    grid = [(float(t), a) for t in (1, 2, 3, 4, 5, 6, 8, 10) for a in (0.5, 0.7, 0.9, 1.0)]
    chosen = [own, *(pair for pair in grid if pair != own)][: job.students]
    return [Recipe(temperature=temperature, alpha=alpha) for temperature, alpha in chosen]


def normalization_of(data: Arrays) -> Normalization:
    """Return the data's normalisation as goodteacher holds it."""
    mean, std = (torch.from_numpy(values)[:, None, None] for values in (data.mean, data.std))
    return Normalization(mean, std, unit=255.0)


def examples_of(data: Arrays, machine: Machine) -> Examples:
    """Return the data as goodteacher's networks see them."""
    labels = torch.from_numpy(data.labels)
    split = Split(torch.from_numpy(data.images), labels, torch.arange(len(labels)))
    return Examples(split, normalization_of(data), device=machine.device)


def optimization_of(job: Job) -> Optimization:
    """Return the optimizer that all tools use."""
    return Optimization(
        optimizer="sgd",
        learning_rate=job.learning_rate,
        momentum=job.momentum,
        weight_decay=job.weight_decay,
        schedule="cosine",
        batch_size=job.batch_size,
    )


def machine_of(job: Job) -> Machine:
    """Return the machine that goodteacher chooses by itself."""
    return choose_machine(RuntimeConfig(device=job.device))


def stack_trainer(
    network: nn.Module,
    data: Arrays,
    responses: Tensor,
    recipes: Sequence[Recipe],
    *,
    job: Job,
    machine: Machine,
) -> Trainer:
    """Return the trainer of as many students as there are recipes, all learning one response.

    Args:
        network: The untrained student.
        data: The transfer set.
        responses: The teacher's logits on it, [N, C].
        recipes: One for each student.
        job: Optimizer, batch size, epochs, seed.
        machine: Where arithmetic happens.
    """
    examples = examples_of(data, machine)
    objective = StackObjective(
        [responses[None]], [0] * len(recipes), recipes, examples, device=machine.device
    )
    sample = examples.inputs(torch.arange(2)).cpu()
    stack = stack_networks([network] * len(recipes), example_input=sample)
    return _trainer(stack, objective, examples, job=job, machine=machine)


def labels_trainer(network: nn.Module, data: Arrays, *, job: Job, machine: Machine) -> Trainer:
    """Return the trainer of one plain network that learns the labels alone."""
    examples = examples_of(data, machine)

    def cross_entropy(logits: Tensor, positions: Tensor, view: int) -> Tensor:
        labels = examples.labels(positions, view, num_classes=logits.shape[-1])
        return nn.functional.cross_entropy(logits, labels)

    return _trainer(network, cross_entropy, examples, job=job, machine=machine)


def _trainer(
    network: nn.Module, objective: Objective, examples: Examples, *, job: Job, machine: Machine
) -> Trainer:
    return Trainer(
        network,
        objective,
        examples,
        plan=optimization_of(job),
        total_steps=job.epochs * steps_per_epoch(len(examples), job.batch_size),
        order_seed=job.seed,
        machine=machine,
    )


class GoodteacherSession(TorchSession):
    """Students that train from a stored response; computing it is timed by itself."""

    def __init__(self, job: Job, data: Arrays) -> None:
        super().__init__(job, data)
        self.machine = machine_of(job)
        self.precision = str(self.machine).split()[-1]
        started = time.perf_counter()
        responses = compute_logits(self.teacher, examples_of(data, self.machine))
        self.teacher_seconds = time.perf_counter() - started
        self.trainer = stack_trainer(
            self.student, data, responses, recipes_for(job), job=job, machine=self.machine
        )

    def train(self) -> None:
        """Train all epochs, on a CPU tuned as the command line tunes it."""
        with tuned_cpu():
            self.trainer.run_until(self.trainer.total_steps)

    def accuracy(self) -> float:
        """Return that of the first student, whose recipe is the peers' own."""
        return accuracy_of(self.trainer.network.network_of(0), self.data, self.job.device)
