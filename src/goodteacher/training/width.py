"""How many students train in one stack: as many as fit, and no more than are fast.

The memory a student takes is computed; how fast a stack of some width runs is measured, since it
depends on the network, the batch and the machine: wide stacks of small perceptrons are an order of
magnitude faster per student, stacks of convolutions soon gain nothing.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from goodteacher.config import Frozen
from goodteacher.networks import Batch, batch_length

_WEIGHT_BYTES = 4 * 4 + 2
"""Weight, gradient and two optimizer moments in float32, and a bfloat16 copy."""

_ACTIVATION_BYTES = 2 * 4
"""An output and its gradient, in float32."""

_FACTOR = 4
"""Each width tried is this many times the one before."""

_WORTH = 0.05
"""A wider stack must be faster per student by this share to be taken: it costs memory."""

_PATIENCE = 2
"""Widths in a row that may fail to be faster before no wider one is tried."""


class WidthTrial(Frozen):
    """What a stack of some width was measured to cost."""

    width: int
    milliseconds_per_student_step: float


class WidthChoice(Frozen):
    """How many students train together, and why."""

    width: int
    trials: tuple[WidthTrial, ...] = ()

    def __str__(self) -> str:
        if not self.trials:
            if self.width == 1:
                return "one student at a time"
            return f"stacks of {self.width}, as memory allows"
        cost = {trial.width: trial.milliseconds_per_student_step for trial in self.trials}
        others = ", ".join(f"{ms:.2f} in stacks of {w}" for w, ms in cost.items())
        return f"stacks of {self.width} (ms per student-step: {others})"


def widest_stack(
    network: nn.Module, example_input: Batch, *, batch_size: int, memory_bytes: float
) -> int:
    """Return how many copies of a network train together within a budget of memory.

    A student takes 18 bytes for each parameter (weight, gradient, two moments, a half-precision
    copy) and 8 bytes for each number that a layer puts out over the batch.

    Args:
        network: One student.
        example_input: A few examples as the network takes them.
        batch_size: Examples of a step.
        memory_bytes: The budget in bytes.

    Returns:
        A number of students, at least 1.

    Example:
        >>> from torch import nn
        >>> linear = nn.Linear(4, 2)  # 10 parameters, 2 outputs
        >>> widest_stack(linear, torch.zeros(3, 4), batch_size=8, memory_bytes=3100)
        10
    """
    parameters = sum(p.numel() for p in network.parameters())
    outputs = _outputs_per_example(network, example_input) * batch_size
    each = parameters * _WEIGHT_BYTES + outputs * _ACTIVATION_BYTES
    return max(1, int(memory_bytes // max(each, 1)))


def fastest_width(seconds_per_step: Callable[[int], float | None], *, limit: int) -> WidthChoice:
    """Try stacks of 1, 4, 16, ... students, up to a limit, and choose the fastest per student.

    Wider ones are tried until two in a row are not 5 % faster per student than the best before
    them. Those numbers are *ours*.

    Args:
        seconds_per_step: Measures a step of a stack of some width; None where memory runs out.
        limit: The widest stack allowed, at least 1.

    Returns:
        The choice, with all that was measured.

    Example:
        >>> fastest_width(lambda width: 1.0 + 0.5 * width, limit=64).width  # seconds
        64
        >>> fastest_width(lambda width: 2.0 * width, limit=64).width
        1
    """
    trials: list[WidthTrial] = []
    best, failures = WidthTrial(width=1, milliseconds_per_student_step=float(2**62)), 0
    for width in _widths(limit):
        seconds = seconds_per_step(width)
        if seconds is None:
            break
        cost = 1e3 * seconds / width
        trial = WidthTrial(width=width, milliseconds_per_student_step=cost)
        trials.append(trial)
        if cost < (1 - _WORTH) * best.milliseconds_per_student_step:
            best, failures = trial, 0
        else:
            failures += 1
        if failures == _PATIENCE:
            break
    return WidthChoice(width=best.width, trials=tuple(trials))


def even_groups(count: int, width: int) -> Iterator[range]:
    """Divide numbers 0 to count - 1 into as few groups as the width allows, of even sizes.

    Example:
        >>> [len(group) for group in even_groups(300, 200)]
        [150, 150]
    """
    groups = -(-count // width)
    size = -(-count // groups)
    for begin in range(0, count, size):
        yield range(begin, min(begin + size, count))


def _widths(limit: int) -> Iterator[int]:
    powers = (_FACTOR**k for k in itertools.count())
    yield from itertools.takewhile(lambda width: width < limit, powers)
    yield limit


def _outputs_per_example(network: nn.Module, example_input: Batch) -> int:
    counted: list[int] = []

    def count(module: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            counted.append(output.numel() // batch_length(example_input))

    probe = copy.deepcopy(network)
    probe.eval()
    leaves = [module for module in probe.modules() if not list(module.children())]
    handles = [leaf.register_forward_hook(count) for leaf in leaves]
    with torch.inference_mode():
        probe(example_input)
    for handle in handles:
        handle.remove()
    return sum(counted)
