"""A data set under examination: what the doctor's checks share."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from goodteacher.data.dataset import Dataset, Split

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """Report one thing about the data.

    Attributes:
        severity: ``error``: results would mean nothing; ``warning``: read them with care; ``info``:
            good to know.
        code: a stable name for programs.
        message: what was found, the likely cause and the next step.
    """

    severity: Severity
    code: str
    message: str


class Patient:
    """A data set with what several checks need, computed once."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.train = dataset.train
        self.test = dataset.test
        self.class_names = dataset.class_names

    @property
    def features(self) -> bool:
        """Whether the inputs are columns of numbers."""
        return not (self.dataset.is_image or self.dataset.is_text)

    @cached_property
    def labelled(self) -> bool:
        """Whether any training example has a label."""
        return bool((self.train.labels >= 0).any())

    @cached_property
    def train_counts(self) -> Tensor:
        """Labelled training examples of each class."""
        return _class_counts(self.train, self.dataset.num_classes)

    @cached_property
    def test_counts(self) -> Tensor:
        """Test examples of each class."""
        return _class_counts(self.test, self.dataset.num_classes)

    @cached_property
    def train_groups(self) -> dict[bytes, list[int]]:
        """Rows of training examples by the content of their inputs."""
        return group_rows(self.train)

    @cached_property
    def test_groups(self) -> dict[bytes, list[int]]:
        """Rows of test examples by the content of their inputs."""
        return group_rows(self.test)


def _class_counts(split: Split, num_classes: int) -> Tensor:
    return torch.bincount(split.labels[split.labels >= 0], minlength=num_classes)


def group_rows(split: Split) -> dict[bytes, list[int]]:
    """Group row positions by the content of their inputs."""
    groups: dict[bytes, list[int]] = defaultdict(list)
    if split.texts is not None:
        for position, text in enumerate(split.texts):
            groups[text.encode("utf-8", "surrogatepass")].append(position)
        return groups
    rows = np.ascontiguousarray(split.inputs.reshape(len(split), -1).numpy())
    for position, row in enumerate(rows):
        groups[hashlib.blake2b(row.data, digest_size=16).digest()].append(position)
    return groups


def ids_of(split: Split, rows: list[int]) -> str:
    """Return the ids of a few rows, for a message."""
    return "=".join(map(str, split.ids[rows[:3]].tolist()))
