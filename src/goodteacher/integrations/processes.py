"""What callbacks share: recording an epoch, missing packages, several processes that train."""

from __future__ import annotations

import time
from typing import Any, Literal, get_args

import torch.distributed

from goodteacher.errors import ConfigError
from goodteacher.public.recording import Recorder
from goodteacher.studies import logger

Weights = Literal["raw", "ema"]
"""Which weights are recorded: those that are trained, or the average that the trainer keeps."""


class Epochs:
    """Records epochs for a callback, and knows how long the training itself has taken.

    Args:
        recorder: Where to.
        every: Record each epoch that this divides.

    Raises:
        ConfigError: There is no recorder, or no epoch is such a multiple.
    """

    def __init__(self, recorder: Recorder, every: int) -> None:
        if not hasattr(recorder, "record"):
            raise ConfigError(
                "RecorderCallback needs a recorder, goodteacher.Recorder(folder, data), but got "
                f"{recorder!r}."
            )
        if not isinstance(every, int) or every < 1:
            raise ConfigError(f"every must be a whole number from 1, but is {every!r}.")
        self.recorder, self._every = recorder, every
        self._count, self._aside = 0, 0.0
        self._began: float | None = None

    def begin(self, *, from_the_start: bool) -> None:
        """Start the clock; of a training that goes on, nobody knows how long it took before."""
        self._began = time.perf_counter() if from_the_start else None

    def wants(self, epoch: int) -> bool:
        """Say whether an epoch, from 1, is to be recorded."""
        return epoch % self._every == 0

    def record(self, model: Any, epoch: int, *, first: bool, **facts: Any) -> None:
        """Record an epoch, on the first of the processes that train together.

        Args:
            model: What the recorder asks.
            epoch: From 1.
            first: Whether this process is that one.
            **facts: What the trainer knows of the epoch; see `Recorder.record`.
        """
        self._count += 1
        if not first:
            return
        started = time.perf_counter()
        seconds = None if self._began is None else started - self._began - self._aside
        self.recorder.record(model, epoch, seconds=seconds, **facts)
        self._aside += time.perf_counter() - started

    def end(self, *, first: bool) -> None:
        """Warn where no epoch was recorded."""
        if not self._count and first:
            logger.warning(
                "the training has ended, but no epoch was recorded. Did it have an epoch?"
            )


def checked_weights(weights: Weights) -> Weights:
    """Return which weights are to be recorded.

    Raises:
        ConfigError: There is no such choice.
    """
    if weights in get_args(Weights):
        return weights
    raise ConfigError(f"weights must be 'raw' or 'ema', but is {weights!r}.")


def is_first() -> bool:
    """Say whether this is the first of the processes that train together, or the only one."""
    return not _several() or torch.distributed.get_rank() == 0


def agreed(stop: bool) -> bool:
    """Return what the first process says, in each of them: all must stop together.

    Args:
        stop: What this process would say.

    Example:
        >>> agreed(True)
        True
    """
    if not _several():
        return stop
    said = [stop]
    torch.distributed.broadcast_object_list(said, src=0)
    return said[0]


def _several() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
