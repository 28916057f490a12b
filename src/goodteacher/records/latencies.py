"""How long students and teachers take for a batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from goodteacher.config import Frozen


class Latency(Frozen):
    """How long a student, or a teacher that predicts, takes for a batch, preparation included."""

    batch_size: int
    median: float = Field(description="seconds for the whole batch")
    quartiles: tuple[float, float] = Field(description="seconds")
    p95: float = Field(description="seconds that 19 of 20 batches stay below")
    repetitions: int
    on_front: bool = Field(
        default=False, description="no other student is as accurate in less time (medians)"
    )


def latency_title(batch_size: int) -> str:
    """Name what a latency is of.

    Example:
        >>> latency_title(128)
        'a batch of 128'
    """
    return "one example" if batch_size == 1 else f"a batch of {batch_size}"


def latency_of(times: Sequence[tuple[int, float]]) -> Latency:
    """Return how long batches took; smaller ones than the largest are left out.

    Args:
        times: Examples and seconds of each batch, at least one.

    Example:
        >>> latency_of([(64, 0.25), (64, 0.25), (3, 0.01)]).median
        0.25
    """
    size = max(count for count, _ in times)
    seconds = [taken for count, taken in times if count == size]
    low, middle, high, most = map(float, np.quantile(seconds, (0.25, 0.5, 0.75, 0.95)))
    return Latency(
        batch_size=size,
        median=middle,
        quartiles=(low, high),
        p95=most,
        repetitions=len(seconds),
    )
