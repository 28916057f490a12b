"""Tasks whose posterior is known, teachers whose similarity is known, and students by the thousand.

Tasks (each run draws a new one):

- mixture: 12 Gaussian classes in 8 dimensions, in 4 groups of 3 alike ones;
- images:  10 classes of 8x8 grey images, a template and noise; in 5 pairs of alike templates.

Both have equal covariances, so the Bayes posterior is a softmax of linear functions of the input.

Students learn soft targets by cross-entropy: at T = 1 and alpha = 1 that is the recipe `kl`, up to
a constant. All seeds and all targets train at once, each seed on its own order of examples, with
the gradient written out, since networks as small as these spend a library's step on its overhead.
Starting weights, order and optimizer are the library's, and so are the students that come out
(`tests/verdicts/test_planted.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from goodteacher.maths.targets import (
    class_map_targets,
    confidence_smoothing,
    permuted_targets,
    smoothing_targets,
)
from goodteacher.networks import build_model
from goodteacher.training.loop import SCHEDULES, example_order, steps_per_epoch

Split = tuple[Tensor, Tensor]
Teacher = Callable[[Tensor, Tensor, int], Tensor]


@dataclass(frozen=True)
class Task:
    """How a run's data are drawn, and its students.

    Attributes:
        groups, alike: Groups of classes, and classes of each.
        dimensions: Length of an example.
        apart, within: Standard deviation of groups, and of classes within theirs; noise has 1.
        hidden, epochs, batch_size, learning_rate: Of the students, `mlp:<hidden>`.
    """

    groups: int
    alike: int
    dimensions: int
    apart: float
    within: float
    hidden: int
    train: int = 1_500
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 5e-3
    pixels: bool = False

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.groups * self.alike

    @property
    def steps(self) -> int:
        """Steps of a student's training."""
        return self.epochs * steps_per_epoch(self.train, self.batch_size)


TASKS = {
    "mixture": Task(groups=4, alike=3, dimensions=8, apart=1.6, within=0.7, hidden=24),
    "images": Task(
        groups=5, alike=2, dimensions=64, apart=0.35, within=0.2, hidden=16, pixels=True
    ),
}


@dataclass(frozen=True)
class Problem:
    """A drawn task: normalised splits, and the posterior's logits on the training split."""

    task: Task
    run: int
    train: Split
    selection: Split
    tests: tuple[Split, Split]
    posterior: Tensor


def draw(task: Task, run: int, *, test_size: int, selection_size: int = 2_000) -> Problem:
    """Draw a run's classes and data; two test splits, one to judge on and one for the truth."""
    rng = np.random.default_rng(run)
    centres = rng.normal(scale=task.apart, size=(task.groups, 1, task.dimensions))
    offsets = rng.normal(scale=task.within, size=(task.groups, task.alike, task.dimensions))
    means = (centres + offsets).reshape(task.classes, task.dimensions)

    def sample(size: int) -> Split:
        labels = rng.integers(task.classes, size=size)
        inputs = (means[labels] + rng.normal(size=(size, task.dimensions))).astype(np.float32)
        return torch.from_numpy(_as_pixels(inputs) if task.pixels else inputs), torch.from_numpy(
            labels
        )

    train, selection, first, second = map(
        sample, (task.train, selection_size, test_size, test_size)
    )
    shown = train[0].double().numpy()
    logits = shown @ means.T - 0.5 * (means**2).sum(1)
    mean, deviation = train[0].mean(0), train[0].std(0)
    splits = [((x - mean) / deviation, y) for x, y in (train, selection, first, second)]
    return Problem(
        task, run, splits[0], splits[1], (splits[2], splits[3]), torch.from_numpy(logits)
    )


def _as_pixels(values: np.ndarray) -> np.ndarray:
    """Round to 256 grey values, as a stored image does, and back: 32 of them are one unit."""
    return (np.clip(np.round(32 * values + 128), 0, 255) - 128) / np.float32(32)


def mixed(*, share: float, structure: float) -> Teacher:
    """Blend labels, smoothing of the posterior's confidence, and the posterior.

    `share` of the target comes from the posterior, the rest from the label; of its off-class mass
    `structure` is spread as the posterior has it, the rest evenly.
    """

    def make(posterior: Tensor, labels: Tensor, seed: int) -> Tensor:
        flat = confidence_smoothing(posterior, labels)
        soft = (1 - structure) * flat + structure * torch.softmax(posterior, 1)
        hot = torch.nn.functional.one_hot(labels, posterior.shape[1])
        return (1 - share) * hot + share * soft

    return make


def none_smoothing(posterior: Tensor, labels: Tensor, seed: int) -> Tensor:
    return smoothing_targets(labels, posterior.shape[1], smoothing=0.2).double()


def none_permuted(posterior: Tensor, labels: Tensor, seed: int) -> Tensor:
    return permuted_targets(posterior, labels, seed=seed)


def harmful_map(posterior: Tensor, labels: Tensor, seed: int) -> Tensor:
    return class_map_targets(posterior, labels, seed=seed)


class Students:
    """Students `[seeds, targets]` of one hidden layer, trained together.

    Args:
        problem: The data.
        targets: Probabilities [num_targets, N, C].
        seeds: One student for each target of each seed.
    """

    def __init__(self, problem: Problem, targets: Tensor, seeds: Sequence[int]) -> None:
        self.problem, self.seeds = problem, tuple(seeds)
        self.num_targets = len(targets)
        # [N, targets, C]: the rows of a batch are gathered, then laid out with the batch innermost.
        self.targets = targets.float().transpose(0, 1).contiguous()
        task = problem.task
        networks = [
            build_model(
                f"mlp:{task.hidden}",
                num_classes=task.classes,
                inputs=(task.dimensions,),
                seed=seed,
            )
            for seed in seeds
        ]
        first, last = (
            [
                torch.stack([n[layer].get_parameter(kind).detach() for n in networks])
                for kind in ("weight", "bias")
            ]
            for layer in (1, 3)
        )
        self.weights = [
            first[0].repeat(1, self.num_targets, 1),  # [seeds, targets * hidden, dimensions]
            first[1].repeat(1, self.num_targets).unsqueeze(-1),
            last[0].repeat_interleave(self.num_targets, 0),  # [seeds * targets, C, hidden]
            last[1].repeat_interleave(self.num_targets, 0).unsqueeze(-1),
        ]

    def train(self, steps: int | None = None) -> None:
        """Train to the end, or for some steps: Adam, cosine decay."""
        task, size = self.problem.task, self.problem.task.batch_size
        optimizer = torch.optim.Adam(self.weights, lr=task.learning_rate, fused=True)
        per_epoch = steps_per_epoch(task.train, size)
        inputs = self.problem.train[0]
        for step in range(task.steps if steps is None else steps):
            epoch, position = divmod(step, per_epoch)
            if position == 0:
                orders = torch.stack([example_order(task.train, s, epoch) for s in self.seeds])
            rows = orders[:, position * size : (position + 1) * size]
            rate = task.learning_rate * SCHEDULES["cosine"](step / task.steps)
            optimizer.param_groups[0]["lr"] = rate
            self._set_gradient(inputs[rows], self.targets[rows])
            optimizer.step()

    def _set_gradient(self, inputs: Tensor, targets: Tensor) -> None:
        """Set the gradient of the mean cross-entropy; [seeds, B, D] and [seeds, B, targets, C]."""
        hidden, logits = self._forward(inputs.transpose(1, 2))
        wanted = targets.permute(0, 2, 3, 1).reshape(logits.shape)
        error = torch.softmax(logits, 1).sub_(wanted).div_(inputs.shape[1])
        first, first_bias, last, last_bias = self.weights
        last.grad = error @ hidden.transpose(1, 2)
        last_bias.grad = error.sum(2, keepdim=True)
        back = (last.transpose(1, 2) @ error).mul_(hidden > 0)
        back = back.view(len(self.seeds), -1, inputs.shape[1])
        first.grad = back @ inputs
        first_bias.grad = back.sum(2, keepdim=True)

    def _forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Give hidden units and logits, both [seeds * targets, units, B]; inputs [seeds, D, B]."""
        first, first_bias, last, last_bias = self.weights
        hidden = torch.baddbmm(first_bias, first, inputs).relu_()
        hidden = hidden.view(len(last), -1, inputs.shape[2])
        return hidden, torch.baddbmm(last_bias, last, hidden)

    def correct(self, split: Split, *, chunk: int = 2_000) -> np.ndarray:
        """Say who is right, bool [targets, seeds, examples]."""
        first, first_bias, last, last_bias = self.weights
        num, found = self.num_targets, []
        for seed in range(len(self.seeds)):
            own = slice(seed * num, (seed + 1) * num)
            for inputs, labels in zip(split[0].split(chunk), split[1].split(chunk), strict=True):
                hidden = torch.addmm(first_bias[seed], first[seed], inputs.T).relu_()
                logits = torch.baddbmm(last_bias[own], last[own], hidden.view(num, -1, len(labels)))
                # An argmax over a middle axis takes ten times as long as a maximum.
                right = logits.gather(1, labels.expand(num, 1, -1)).squeeze(1) >= logits.amax(1)
                found.append(right)
        return torch.cat(found, 1).view(num, len(self.seeds), -1).numpy()
