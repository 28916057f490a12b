"""Running trained networks: logits and predictions of any number of examples.

Evaluation is in float32 on every machine, whatever the training precision: similarity information
of a confident teacher lies in probabilities that bfloat16 logits would round away, and a student's
accuracy is that of the weights it is delivered with.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from goodteacher.networks import Examples
from goodteacher.training.memory import unless_memory_runs_out

_BYTES = 2**25
"""Inputs at once, at most: what layers make of large images is ten times as large and more."""


@torch.inference_mode()
def compute_logits(
    network: nn.Module, examples: Examples, *, view: int = 0, batch_size: int = 2048
) -> Tensor:
    """Run a network in evaluation mode.

    Args:
        network: A network, or a stack of S, on the device of the examples.
        examples: N examples.
        view: Which view of them the network sees.
        batch_size: Examples at once, if they are no more than 32 MiB; changes memory, not the
            answer, and is halved if memory runs out.

    Returns:
        Logits, float32 on the CPU: [N, C], or [S, N, C] for a stack.
    """
    network.eval()
    batch_size = min(batch_size, max(1, _BYTES // examples.bytes_each))
    while batch_size > 1:
        logits = unless_memory_runs_out(partial(_logits, network, examples, view, batch_size))
        if logits is not None:
            return logits
        batch_size //= 2
    return _logits(network, examples, view, 1)


def _logits(network: nn.Module, examples: Examples, view: int, batch_size: int) -> Tensor:
    positions = torch.arange(len(examples), device=examples.device)
    chunks = [
        network(examples.inputs(chunk, view)).float().cpu() for chunk in positions.split(batch_size)
    ]
    return torch.cat(chunks, dim=-2)


def compute_predictions(
    network: nn.Module, examples: Examples, *, batch_size: int = 2048
) -> Tensor:
    """Run a network as :func:`compute_logits` does and keep the most probable class.

    Returns:
        Class numbers, int16 on the CPU: [N], or [S, N] for a stack.
    """
    logits = compute_logits(network, examples, batch_size=batch_size)
    return logits.argmax(-1).to(torch.int16)
