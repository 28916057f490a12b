"""The plain PyTorch loop, as a tutorial writes it.

A DataLoader over a Dataset that normalises an image when it is asked for it, float32, the teacher
run on every batch under `no_grad`, temperature-scaled KL and cross-entropy, SGD, a cosine schedule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from peers.job import Arrays, Job
from peers.networks import TorchSession, tutorial_loss


class ImageDataset(Dataset):
    """Images one at a time, made floats and normalised when asked for."""

    def __init__(self, data: Arrays) -> None:
        self.images, self.labels = torch.from_numpy(data.images), data.labels
        self.mean, self.std = (torch.from_numpy(v)[:, None, None] for v in (data.mean, data.std))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return (self.images[index].float() / 255 - self.mean) / self.std, int(self.labels[index])


def image_loader(data: Arrays, *, batch_size: int, workers: int = 0, seed: int = 0) -> DataLoader:
    """Return the shuffled DataLoader of a tutorial."""
    return DataLoader(
        ImageDataset(data),
        batch_size=batch_size,
        shuffle=True,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator().manual_seed(seed),
    )


@dataclass
class PlainStep:
    """One step: teacher (none: plain cross-entropy), student, loss, optimizer."""

    student: nn.Module
    teacher: nn.Module | None
    optimizer: torch.optim.Optimizer
    temperature: float
    alpha: float

    def __call__(self, inputs: Tensor, labels: Tensor) -> None:
        """Learn from one batch."""
        response = None
        if self.teacher is not None:
            with torch.no_grad():
                response = self.teacher(inputs)
        loss = tutorial_loss(
            self.student(inputs),
            response,
            labels,
            temperature=self.temperature,
            alpha=self.alpha,
        )
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def sgd(student: nn.Module, job: Job) -> torch.optim.Optimizer:
    """Return the optimizer that all tools use."""
    return torch.optim.SGD(
        student.parameters(),
        lr=job.learning_rate,
        momentum=job.momentum,
        weight_decay=job.weight_decay,
        nesterov=True,
    )


class PlainSession(TorchSession):
    """A student that trains in the plain loop."""

    def __init__(self, job: Job, data: Arrays) -> None:
        super().__init__(job, data)
        self.loader = image_loader(
            data, batch_size=job.batch_size, workers=job.loader_workers, seed=job.seed
        )
        optimizer = sgd(self.student, job)
        steps = job.epochs * len(self.loader)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
        self.step = PlainStep(
            self.student, self.teacher, optimizer, temperature=job.temperature, alpha=job.alpha
        )

    def train(self) -> None:
        """Train all epochs."""
        self.student.train()
        for _ in range(self.job.epochs):
            for inputs, labels in self.loader:
                self.step(
                    inputs.to(self.job.device, non_blocking=True),
                    labels.to(self.job.device, non_blocking=True),
                )
                self.scheduler.step()


def random_arrays(examples: int, *, shape: tuple[int, int, int], num_classes: int) -> Arrays:
    """Return random images and labels, for benchmarks of time alone."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (examples, *shape), dtype=np.uint8)
    labels = rng.integers(0, num_classes, examples)
    half = np.full(shape[0], 0.5, dtype=np.float32)
    return Arrays(images, labels, images[:1], labels[:1], mean=half, std=half)
