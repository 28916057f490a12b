"""How long students and teachers take: on the CPU, one thread, their inputs as they are stored.

They take turns, so that what else the machine does meets all of them alike.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from goodteacher.data import Split
from goodteacher.delivery.classifier import Answers
from goodteacher.records import Latency, latency_of
from goodteacher.training import threads_of

_REPETITIONS, _SECONDS, _FEWEST = 200, 1.0, 7
"""Repetitions for each batch size; fewer for who would take longer than these seconds."""
_BATCHES = 8
"""Batches of which latencies are measured, in turn."""


def batches_of(split: Split, size: int) -> list[Any]:
    """Return a few batches of inputs as they are stored; of fewer examples, smaller ones."""
    rows = torch.arange(min(len(split), size * _BATCHES)).split(min(size, len(split)))
    return [split.stored.rows(part) for part in rows if len(part) == len(rows[0])]


def measure_latencies(
    students: Sequence[Answers], batches: Mapping[int, Sequence[Any]]
) -> tuple[tuple[Latency, ...], ...]:
    """Measure how long students, or teachers, take from stored inputs to logits.

    Args:
        students: Delivered students of the same data.
        batches: By batch size, some batches of inputs as they are stored, which take turns.

    Returns:
        For each student its latency at each batch size.
    """
    with torch.inference_mode(), threads_of(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of examples that look odd, whoever uses a student is told
        by_size = [_measured(students, size, some) for size, some in batches.items()]
    return tuple(zip(*by_size, strict=True))


def _measured(
    students: Sequence[Answers], size: int, batches: Sequence[Any]
) -> tuple[Latency, ...]:
    *_, warm = ([_seconds(student, batches[0]) for student in students] for _ in range(2))
    wanted = [min(_REPETITIONS, max(_FEWEST, int(_SECONDS / each))) for each in warm]
    rounds, taken = max(wanted), [list[tuple[int, float]]() for _ in students]
    for number in range(rounds):
        for student, count, own in zip(students, wanted, taken, strict=True):
            # slower ones are left out of some rounds, at even distances
            if (number + 1) * count // rounds > number * count // rounds:
                own.append((size, _seconds(student, batches[number % len(batches)])))
    return tuple(map(latency_of, taken))


def _seconds(student: Answers, batch: Any) -> float:
    started = time.perf_counter()
    student(batch)
    return time.perf_counter() - started
