"""One pass over a response for all that is measured at one temperature, a few rows at a time.

What is measured class by class, such as `qbar`, needs a row `[C]` for each class that has examples.
With very many classes these rows alone would fill memory (100,000 classes: 80 GB), so the examples
are then taken a block of classes after another, each example still once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from goodteacher.maths._checks import UNLABELLED, check_response, check_temperature
from goodteacher.maths._off_class import OffClass, taken_apart
from goodteacher.maths.rows import Index, Logits, row_chunks

CELLS = 2**24
"""Numbers, class by class, that are summed at once: 128 MiB in float64."""


@dataclass(frozen=True)
class ClassBlock:
    """The examples of some classes.

    Attributes:
        classes: Their numbers, ascending, int64 `[K]`.
        num_classes: C.
        rows: The examples, ascending; None where these are all.
    """

    classes: Tensor
    num_classes: int
    rows: Tensor | None

    def chunks(self, num_rows: int) -> Iterator[Index]:
        """Yield which rows to measure at once; N is ``num_rows``."""
        count = num_rows if self.rows is None else len(self.rows)
        for part in row_chunks(count, self.num_classes):
            yield part if self.rows is None else self.rows[part]

    def places(self, labels: Tensor) -> Tensor:
        """Return for each label of the block its place among the block's classes."""
        return torch.searchsorted(self.classes, labels)

    def new_sums(self) -> Tensor:
        """Return zeros, float64 `[K, C]`."""
        shape = (len(self.classes), self.num_classes)
        return torch.zeros(shape, dtype=torch.float64, device=self.classes.device)


class Sums:
    """What is added up of a response; see :func:`add_up`."""

    def begin(self, block: ClassBlock) -> None:
        """Begin with the examples of some classes."""

    def add(self, index: Index, parts: OffClass) -> None:
        """Add some examples of the block.

        Args:
            index: Which of the response's rows these are.
            parts: What the response says of them.
        """
        raise NotImplementedError

    def end(self) -> None:
        """End the block: all its examples have been added."""


def add_up(logits: Logits, labels: Tensor, temperature: float, *sums: Sums) -> None:
    """Take a response apart, a few rows at a time, and add up what is measured of it.

    Args:
        logits: The response, `[N, C]`.
        labels: Integers `[N]`; -1 counts as the response's most probable class.
        temperature: T > 0.
        sums: Each is given every example once.

    Raises:
        ResponseError: If `check_response` refuses the response.
        ConfigError: If the temperature is not positive.
    """
    check_response(logits, labels)
    check_temperature(temperature)
    filled = _filled(logits, labels.long())
    for block in class_blocks(filled, logits.shape[1]):
        for each in sums:
            each.begin(block)
        for index in block.chunks(len(filled)):
            parts = taken_apart(logits[index], filled[index], temperature)
            for each in sums:
                each.add(index, parts)
        for each in sums:
            each.end()


def class_blocks(labels: Tensor, num_classes: int) -> Iterator[ClassBlock]:
    """Divide examples into blocks of classes whose sums are made at once.

    Args:
        labels: int64 `[N]`, each in `0..C-1`.
        num_classes: C.

    Example:
        >>> [block.classes.tolist() for block in class_blocks(torch.tensor([5, 2, 5]), 9)]
        [[2, 5]]
    """
    present = labels.unique()
    size = max(1, CELLS // num_classes)
    if len(present) <= size:
        yield ClassBlock(present, num_classes, None)
        return
    ordered, rows = labels.sort()
    for classes in present.split(size):
        first = int(torch.searchsorted(ordered, classes[0]))
        last = int(torch.searchsorted(ordered, classes[-1], right=True))
        yield ClassBlock(classes, num_classes, rows[first:last].sort().values)


def _filled(logits: Logits, labels: Tensor) -> Tensor:
    """Give each unlabelled example the response's most probable class."""
    unlabelled = (labels == UNLABELLED).nonzero()[:, 0]
    if not len(unlabelled):
        return labels
    filled = labels.clone()
    for part in row_chunks(len(unlabelled), logits.shape[1]):
        rows = unlabelled[part]
        filled[rows] = logits[rows].argmax(1)
    return filled
