"""How many students fit in one stack."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

_WEIGHT_BYTES = 4 * 4 + 2
"""Weight, gradient and two optimizer moments in float32, and a bfloat16 copy."""

_ACTIVATION_BYTES = 2 * 4
"""An output and its gradient, in float32."""


def stack_width(
    network: nn.Module, example_input: Tensor, *, batch_size: int, memory_bytes: float
) -> int:
    """Return how many copies of a network train together within a budget of memory.

    A student takes 18 bytes for each parameter (weight, gradient, two moments, a half-precision
    copy) and 8 bytes for each number that a layer puts out over the batch.

    Args:
        network: One student.
        example_input: A few normalised examples [n, ...].
        batch_size: Examples of a step.
        memory_bytes: The budget in bytes.

    Returns:
        A number of students, at least 1.

    Example:
        >>> from torch import nn
        >>> linear = nn.Linear(4, 2)  # 10 parameters, 2 outputs
        >>> stack_width(linear, torch.zeros(3, 4), batch_size=8, memory_bytes=3100)
        10
    """
    parameters = sum(p.numel() for p in network.parameters())
    outputs = _outputs_per_example(network, example_input) * batch_size
    each = parameters * _WEIGHT_BYTES + outputs * _ACTIVATION_BYTES
    return max(1, int(memory_bytes // max(each, 1)))


def _outputs_per_example(network: nn.Module, example_input: Tensor) -> int:
    counted: list[int] = []

    def count(module: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            counted.append(output.numel() // len(example_input))

    probe = copy.deepcopy(network).eval()
    leaves = [module for module in probe.modules() if not list(module.children())]
    handles = [leaf.register_forward_hook(count) for leaf in leaves]
    with torch.inference_mode():
        probe(example_input)
    for handle in handles:
        handle.remove()
    return sum(counted)
