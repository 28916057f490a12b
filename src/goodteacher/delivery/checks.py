"""Whether what was written answers as the student does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from goodteacher.data import Split
from goodteacher.delivery.classifier import Answers
from goodteacher.errors import RunError
from goodteacher.records import Agreement
from goodteacher.teachers import stored

BATCH_SIZES = (1, 7, 64)
"""Sizes that are tried beside all examples: a graph may hold for the size of its tracing only."""

_AT_ONCE = 512


def batches(split: Split, size: int = _AT_ONCE) -> Iterator[Any]:
    """Yield the examples of a split as they are stored."""
    for rows in torch.arange(len(split)).split(size):
        yield stored(split, rows)


@torch.inference_mode()
def logits_on(student: Answers, split: Split) -> Tensor:
    """Return the logits of a delivered student on a split, float32 [N, C]."""
    return torch.cat([student(batch).float().cpu() for batch in batches(split)])


@torch.inference_mode()
def compare(written: Answers, expected: Tensor, split: Split) -> Agreement:
    """Compare what was written with the student, on all examples and at several batch sizes.

    Args:
        written: What was read back from a file.
        expected: Logits of the student itself on these examples, [N, C].
        split: The examples.
    """
    found = logits_on(written, split)
    largest = _difference(found, expected)
    for size in BATCH_SIZES:
        largest = max(largest, _difference(written(next(batches(split, size))), expected[:size]))
    scale = max(1.0, float(expected.abs().max()) / 10)
    return Agreement(
        examples=len(split),
        largest_difference=largest,
        allowed_difference=written.tolerance * scale,
        changed=int((found.argmax(-1) != expected.argmax(-1)).sum()),
    )


def check(agreement: Agreement, name: str) -> None:
    """Raise where what was written does not answer as the student does.

    Raises:
        RunError: It does not.
    """
    if agreement.holds:
        return
    raise RunError(
        f"The file written as {name} does not give the same answers as the student, so nothing is "
        f"delivered: logits differ by up to {agreement.largest_difference:.2g} (allowed: "
        f"{agreement.allowed_difference:.2g}), and {agreement.changed} of {agreement.examples:,} "
        "predictions changed. Try another version of the package that wrote it, or --format "
        "safetensors, which stores the student itself."
    )


def _difference(found: Tensor, expected: Tensor) -> float:
    wide = (found.double() - expected.double()).abs()
    return float(wide.max()) if wide.numel() else 0.0
