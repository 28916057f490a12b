"""How much memory is free, and what to do when there is none left."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

import psutil
import torch

Result = TypeVar("Result")

_SHARE_OF_FREE = 0.5
"""Share of the free memory that one stack may take; the rest is for everything beside it."""


def stack_memory(device: torch.device, wish_gib: float | None, *, sharing: int = 1) -> float:
    """Return the bytes that one stack of students may take.

    Args:
        device: Where it trains.
        wish_gib: The setting ``memory_gib``; None takes half of what is free.
        sharing: Processes that share what is free.
    """
    if wish_gib is not None:
        return wish_gib * 2**30
    return _SHARE_OF_FREE * free_memory(device) / sharing


def target_memory(device: torch.device, wish_gib: float | None, *, sharing: int = 1) -> float:
    """Return the bytes that targets may take on a device; larger ones are read batch by batch.

    Args:
        device: Where students train.
        wish_gib: The setting ``memory_gib``; None takes a quarter of what is free.
        sharing: Processes that share what is free.

    Example:
        >>> target_memory(torch.device("cpu"), 1.0) / 2**20
        512.0
    """
    return stack_memory(device, wish_gib, sharing=sharing) / 2


def free_memory(device: torch.device) -> float:
    """Return the free bytes of a device; of the machine where the device shares its memory."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return float(psutil.virtual_memory().available)


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that a device or the machine has no memory left.

    PyTorch raises ``OutOfMemoryError`` on a GPU, and a plain ``RuntimeError`` on a CPU.

    Example:
        >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
        True
        >>> is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
        False
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "allocate memory" in text or "not enough memory" in text
    )


def unless_memory_runs_out(work: Callable[[], Result]) -> Result | None:
    """Do work; if memory runs out, give back what it held and return None.

    Args:
        work: What to do. It must not matter that it has been begun.

    Example:
        >>> unless_memory_runs_out(lambda: 3)
        3
    """
    try:
        return work()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    # Outside of the handler: an error that is being handled keeps every frame's tensors alive.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None
