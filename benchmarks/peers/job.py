"""What one process is asked to do, and the arrays it does it with; NumPy only, for every tool."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Job:
    """One student's training (or a stack's), the same for every tool.

    Attributes:
        teacher: Architecture of the teacher, as `goodteacher.networks` names it.
        student: Architecture of the student.
        arrays: File of `Arrays`.
        weights: The trained teacher's state, an `.npz` of arrays under PyTorch's names.
        seed: Seed of the student's initial weights and of the order of examples.
        bfloat16: Whether this machine multiplies bfloat16 faster, for tools that use it.
        loader_workers: Worker processes of tools that have a data loader.
        students: Students trained together; 1 but for goodteacher.
    """

    teacher: str
    student: str
    arrays: str
    weights: str
    epochs: int
    batch_size: int
    device: str
    threads: int
    seed: int = 0
    bfloat16: bool = False
    loader_workers: int = 0
    students: int = 1
    num_classes: int = 10
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    temperature: float = 4.0
    alpha: float = 0.5

    def write(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(dataclasses.asdict(self), indent=2))

    @classmethod
    def read(cls, path: Path) -> Job:
        """Read what `write` wrote."""
        return cls(**json.loads(path.read_text()))


@dataclass(frozen=True)
class Arrays:
    """Images as stored and how they are normalised: `(images / 255 - mean) / std`.

    Attributes:
        images: The transfer set, uint8 [N, channels, height, width].
        labels: int64 [N].
        test_images: uint8 [M, channels, height, width].
        test_labels: int64 [M].
        mean: float32 [channels], in 0..1.
        std: float32 [channels].
    """

    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    def write(self, path: Path) -> None:
        """Write as `.npz`."""
        np.savez(path, **{f.name: getattr(self, f.name) for f in dataclasses.fields(self)})

    @classmethod
    def read(cls, path: str | Path) -> Arrays:
        """Read what `write` wrote."""
        with np.load(path) as file:
            return cls(**file)

    def first(self, count: int) -> Arrays:
        """Return the same with only the first examples of the transfer set."""
        return dataclasses.replace(self, images=self.images[:count], labels=self.labels[:count])

    def normalised(self, images: np.ndarray) -> np.ndarray:
        """Normalise whole images at once: float32 of the same shape."""
        mean, std = (values[:, None, None].astype(np.float32) for values in (self.mean, self.std))
        return (images.astype(np.float32) / np.float32(255) - mean) / std
