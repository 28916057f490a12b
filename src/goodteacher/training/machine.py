"""Choosing where to compute, and how precisely."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import time
import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from goodteacher.config import RuntimeConfig, parse
from goodteacher.data import at_most, inherited
from goodteacher.errors import ConfigError


@dataclass(frozen=True)
class Machine:
    """Where arithmetic happens, and how precise it is while training."""

    device: torch.device
    autocast: torch.dtype | None = None
    compiles: bool = False
    sharing: int = 1
    """Processes that share its memory, of which this is one."""
    teacher_workers: int = 1
    """Processes over which each teacher is trained."""

    def ready(self, network: nn.Module) -> Callable[[Any], Tensor]:
        """Return what runs a network's forward pass in training: the network, or it compiled.

        ``reduce-overhead`` records CUDA graphs on a GPU; on a CPU it is the default mode.
        """
        if not self.compiles:
            return network
        return torch.compile(network, mode="reduce-overhead", dynamic=False)

    def arithmetic(self) -> contextlib.AbstractContextManager[object]:
        """Return the context in which networks train."""
        if self.autocast is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self.autocast)

    def wait(self) -> None:
        """Wait until the device has done its work, so that a clock means something."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def seconds_of(self, work: Callable[[], object]) -> float:
        """Return what some work takes: with one CPU thread, only what that thread computes.

        So a short trial says the same while other programs run. A step that is longer than a turn
        of the processor would else look slower than a few short ones. Threads that wait for one
        another, and GPUs, have no such clock: there it is the time that passes.
        """
        alone = self.device.type == "cpu" and torch.get_num_threads() == 1
        clock = time.thread_time if alone else time.perf_counter
        began = clock()
        work()
        self.wait()
        return clock() - began

    def __str__(self) -> str:
        name = "float32" if self.autocast is None else str(self.autocast).removeprefix("torch.")
        over = f" over {self.teacher_workers} processes" if self.teacher_workers > 1 else ""
        return f"{self.device} {name}{' compiled' if self.compiles else ''}{over}"


def choose_machine(runtime: RuntimeConfig) -> Machine:
    """Return the machine that the settings name; nothing of the process is set.

    ``precision = auto`` takes bfloat16 where the hardware multiplies it faster (a CUDA GPU since
    Ampere, a CPU with AVX512-BF16 or AMX) and float32 elsewhere.

    Raises:
        ConfigError: The device named is not there, or cannot train one teacher in several
            processes.
    """
    device = _device(runtime.device)
    if runtime.teacher_workers > 1:
        _check_several(runtime, device)
    wants_bfloat16 = runtime.precision == "bfloat16" or (
        runtime.precision == "auto" and _multiplies_bfloat16(device)
    )
    autocast = torch.bfloat16 if wants_bfloat16 else None
    return Machine(
        device,
        autocast,
        compiles=runtime.compile,
        teacher_workers=runtime.teacher_workers,
    )


def _check_several(runtime: RuntimeConfig, device: torch.device) -> None:
    """Refuse what does not go with several processes that train one teacher."""
    asked = f"teacher_workers = {runtime.teacher_workers}"
    if _is_one_of_several():
        raise ConfigError(
            f"{asked} starts its own processes, but this process was already started as one of "
            "several by torch.distributed. Run the command without torchrun."
        )
    if runtime.compile:
        raise ConfigError(f"{asked} cannot be combined with compile. Leave one of them out.")
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(
            f"{asked} needs CPUs or CUDA GPUs, but device is {device.type!r}. Use --device cpu, "
            "or leave it out."
        )
    on_ray = runtime.engine == "ray" or runtime.address is not None  # which knows its own GPUs
    if device.type == "cuda" and not on_ray and torch.cuda.device_count() < runtime.teacher_workers:
        raise ConfigError(
            f"{asked} needs as many GPUs, but this machine has {torch.cuda.device_count()}. Use "
            "at most that many, or --device cpu."
        )


def _is_one_of_several() -> bool:
    """Say whether somebody else has made this process one of a group."""
    begun = torch.distributed.is_available() and torch.distributed.is_initialized()
    return begun or "TORCHELASTIC_RUN_ID" in os.environ


def _device(name: str) -> torch.device:
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(kind for kind, there in present.items() if there)
    if not present[name]:
        there = ", ".join(kind for kind, is_there in present.items() if is_there)
        raise ConfigError(
            f"device = {name!r} is not available here: this PyTorch sees {there}. "
            "Use --device auto, or install a PyTorch build for that device."
        )
    return torch.device(name)


@contextlib.contextmanager
def threads_of(count: int | None) -> Iterator[None]:
    """Compute with so many CPU threads while the block runs, and with as many as before after it.

    Args:
        count: None leaves them alone.
    """
    if count is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def borrowed(runtime: RuntimeConfig | None = None) -> Iterator[None]:
    """Give the process back as it was: its threads, random generators and warning filters.

    Networks with dropout draw from PyTorch's generator, and a user's own may draw from any. The
    generators of accelerators other than CUDA's are not given back.

    Args:
        runtime: Its threads are those of the block to begin with, and what it says of memory
            (``max_memory_gib``) holds there; without it, they are as they were.
    """
    runtime = runtime or parse(RuntimeConfig)
    threads = runtime.threads or torch.get_num_threads()
    on_gpu = runtime.device in ("auto", "cuda") and torch.cuda.is_available()
    devices = [torch.cuda.current_device()] if on_gpu else []
    python, arrays = random.getstate(), np.random.get_state()
    try:
        with (
            warnings.catch_warnings(),  # a package imported here may add filters of its own
            torch.random.fork_rng(devices=devices),
            threads_of(threads),
            at_most(getattr(runtime, "max_memory_gib", None)),
        ):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(arrays)


_THREADS_NAMED = ContextVar("_THREADS_NAMED", default=False)
_PROCESSES_ALLOWED = ContextVar("_PROCESSES_ALLOWED", default=False)
"""What :func:`tuned_cpu` says of the block that it is around."""


def threads_are_named() -> bool:
    """Say whether the threads here are those that :func:`tuned_cpu` was asked for."""
    return _THREADS_NAMED.get()


def may_start_processes() -> bool:
    """Say whether processes may be started though nobody asks for a number of them."""
    return _PROCESSES_ALLOWED.get()


@contextlib.contextmanager
def tuned_cpu(*, threads: int | None = None, processes: bool = False) -> Iterator[None]:
    """Make training on a CPU faster, by settings of the whole process, while the block runs.

    The command line always does this; a library leaves them to its host. Numbers too small for
    float32's full precision become zero, and glibc keeps freed memory for the next step. Enter the
    block before PyTorch has computed anything: the threads with which it computes inherit how the
    one that starts them treats small numbers, and keep to it. Afterwards this thread and the number
    of threads are as they were; glibc cannot be asked how it was, and goes on keeping memory.

    Args:
        threads: CPU threads in the block; None leaves them alone.
        processes: Let what is called in the block start processes where it measures that they pay,
            as the command line does. Otherwise only ``workers`` or ``engine`` ask for them.

    Raises:
        ConfigError: ``threads`` is no positive whole number.

    Example:
        >>> with tuned_cpu(threads=1):
        ...     torch.get_num_threads()
        1
    """
    count = parse(RuntimeConfig, threads=threads).threads
    flushed = _flushes_small_numbers()
    # Moments of weights that get no gradient any more (a unit gone silent, a pixel that is always
    # dark) decay into subnormal numbers, with which an Intel CPU is slow: after 1,600 steps a
    # teacher's step took 2.5 times as long (experiments/LOG.md).
    torch.set_flush_denormal(True)
    _keep_freed_memory()
    named = _THREADS_NAMED.set(count is not None or threads_are_named())
    allowed = _PROCESSES_ALLOWED.set(processes)
    try:
        with threads_of(count):
            yield
    finally:
        _PROCESSES_ALLOWED.reset(allowed)
        _THREADS_NAMED.reset(named)
        torch.set_flush_denormal(flushed)


def _flushes_small_numbers() -> bool:
    """Say whether this thread takes subnormal numbers for zero; PyTorch sets it and cannot tell."""
    return not bool(torch.full((1,), torch.finfo(torch.float32).tiny) / 2)


@dataclass(frozen=True)
class Share:
    """What of the machine each of several processes takes, and how it treats small numbers.

    Attributes:
        processes: How many there are.
        threads: CPU threads of each.
        flushes: Whether numbers too small for full precision become zero, as where they are begun.
        allow: Lets what is read and expanded there take as much memory as here.
    """

    processes: int
    threads: int
    flushes: bool
    allow: Callable[[], None] = field(default_factory=inherited)

    @classmethod
    def of_host(cls, *, processes: int, threads: int) -> Share:
        """Return a share for processes that are to compute the same numbers as this one."""
        return cls(processes, threads, _flushes_small_numbers())


def take_share(share: Share) -> None:
    """Set this process, which was begun for the work, up for it."""
    torch.set_num_threads(share.threads)
    torch.set_flush_denormal(share.flushes)
    share.allow()
    _keep_freed_memory()


_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def _keep_freed_memory() -> None:
    """Ask glibc to reuse large freed blocks instead of giving them back to the system.

    Every training step frees and allocates the same tensors. By default each large one is mapped
    and its pages faulted in anew: measured, that is 10 to 20 % of the time of a wide stack.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    except (OSError, AttributeError):
        return  # another C library: nothing to ask for


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if device.type != "cpu":
        return False
    # PyTorch has no public question for this; where the private one is missing, float32 is safe.
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, probe, lambda: False)()) for probe in probes)
