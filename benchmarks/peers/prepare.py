"""What all tools share: one subset of the data, and for each pair one trained teacher."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import nn

from goodteacher.data import load_dataset
from goodteacher.networks import Normalization, build_model
from goodteacher.networks.normalization import fit_images
from peers.job import Arrays, Job
from peers.networks import accuracy_of
from peers.ours import labels_trainer, machine_of

_SUBSET_SEED = 0


def load_arrays(spec: str, *, examples: int, test_examples: int) -> tuple[Arrays, int]:
    """Return a random subset of an image data set, and the number of its classes.

    The normalisation is that of the subset. A count larger than the split takes all of it.
    """
    data = load_dataset(spec)
    train = data.train.subset(_rows(len(data.train), examples))
    test = data.test.subset(_rows(len(data.test), test_examples))
    normalization: Normalization = fit_images(train.inputs)
    arrays = Arrays(
        train.inputs.numpy(),
        train.labels.numpy(),
        test.inputs.numpy(),
        test.labels.numpy(),
        mean=normalization.mean.flatten().numpy(),
        std=normalization.std.flatten().numpy(),
    )
    return arrays, data.num_classes


def _rows(available: int, wanted: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(_SUBSET_SEED)
    return torch.randperm(available, generator=generator)[:wanted]


def train_teacher(job: Job, data: Arrays, *, epochs: int) -> float:
    """Train the teacher on the labels of the subset, write its weights, return its accuracy.

    Args:
        job: Names the teacher and the file of its weights, and says how to train.
        data: The subset; accuracy is on its test examples.
        epochs: Epochs of training.
    """
    network = build_model(
        job.teacher,
        num_classes=job.num_classes,
        inputs=tuple(data.images.shape[1:]),
        seed=0,
    )
    job = dataclasses.replace(job, epochs=epochs)
    trainer = labels_trainer(network, data, job=job, machine=machine_of(job))
    trainer.run_until(trainer.total_steps)
    _write_weights(network, Path(job.weights))
    return accuracy_of(network, data, job.device)


def _write_weights(network: nn.Module, path: Path) -> None:
    np.savez(path, **{name: t.cpu().numpy() for name, t in network.state_dict().items()})
