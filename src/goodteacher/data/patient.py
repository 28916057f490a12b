"""A data set under examination: what the doctor's checks share."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from goodteacher.data.dataset import Dataset, Split
from goodteacher.data.inputs import Raw, Text

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
        spec = self.dataset.spec
        return spec.kind in ("numbers", "integers") and len(spec.shape) == 1

    @property
    def numeric(self) -> bool:
        """Whether an example is one array of numbers, of whatever shape."""
        return self.dataset.spec.kind in ("images", "numbers", "integers")

    @cached_property
    def ends(self) -> tuple[Tensor, Tensor]:
        """The smallest and the largest of each number in the training examples, [D] each."""
        found = [torch.aminmax(rows, dim=0) for rows in numbers_of(self.train)]
        return (
            torch.stack([low for low, _ in found]).amin(0),
            torch.stack([high for _, high in found]).amax(0),
        )

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


def numbers_of(split: Split) -> Iterator[Tensor]:
    """Yield the examples of a split as rows of numbers, [n, D], a few thousand at a time."""
    for chunk in split.stored.chunks():
        if isinstance(chunk, Tensor):
            yield chunk.flatten(1)


def group_rows(split: Split) -> dict[bytes, list[int]]:
    """Group row positions by the content of their inputs."""
    groups: dict[bytes, list[int]] = defaultdict(list)
    contents = (content for chunk in split.stored.chunks() for content in _contents(chunk))
    for position, content in enumerate(contents):
        groups[content].append(position)
    return groups


def _contents(chunk: Raw) -> Iterator[bytes]:
    """Yield the content of each example: a text, or a hash of its numbers."""
    if isinstance(chunk, tuple):
        yield from map(_encoded, chunk)
        return
    fields = [chunk] if isinstance(chunk, Tensor) else [*chunk.values()]
    arrays = [np.ascontiguousarray(field.flatten(1).numpy()) for field in fields]
    for rows in zip(*arrays, strict=True):
        digest = hashlib.blake2b(digest_size=16)
        for row in rows:
            digest.update(row.data)
        yield digest.digest()


def _encoded(text: Text) -> bytes:
    if isinstance(text, str):
        return text.encode("utf-8", "surrogatepass")
    parts = map(_encoded, text)
    return b"".join(f"{len(part)};".encode() + part for part in parts)


def ids_of(split: Split, rows: list[int]) -> str:
    """Return the ids of a few rows, for a message."""
    return "=".join(map(str, split.ids[rows[:3]].tolist()))
