"""Running trained networks: logits and predictions of any number of examples.

Evaluation is in float32 on every machine, whatever the training precision: similarity information
of a confident teacher lies in probabilities that bfloat16 logits would round away, and a student's
accuracy is that of the weights it is delivered with.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from goodteacher.networks import Examples
from goodteacher.training.group import ALONE, Group
from goodteacher.training.memory import unless_memory_runs_out


@torch.inference_mode()
def compute_logits(
    network: nn.Module,
    examples: Examples,
    *,
    view: int = 0,
    batch_size: int = 2048,
    group: Group = ALONE,
) -> Tensor:
    """Run a network in evaluation mode.

    Args:
        network: A network, or a stack of S, on the device of the examples.
        examples: N examples.
        view: Which view of them the network sees.
        batch_size: Examples at once; changes memory, not the answer, and is halved if memory runs
            out; fewer where they are large.
        group: The processes that compute them together; of a stack, one process alone.

    Returns:
        Logits, float32 on the CPU: [N, C], or [S, N, C] for a stack. Processes other than the
        first one of the group have their own share of them only.
    """
    network.eval()
    rows = torch.arange(len(examples), device=examples.device)[group.part(len(examples))]
    batch_size = examples.at_once(batch_size)
    while batch_size > 1:
        parts = rows.split(batch_size)
        logits = unless_memory_runs_out(partial(_logits, network, examples, view, parts))
        if logits is not None:
            return group.collected(logits, len(examples))
        batch_size //= 2
    return group.collected(_logits(network, examples, view, rows.split(1)), len(examples))


def _logits(network: nn.Module, examples: Examples, view: int, parts: Sequence[Tensor]) -> Tensor:
    batches = examples.each(parts, view)
    chunks = [network(inputs).float().cpu() for inputs in batches]
    return torch.cat(chunks, dim=-2)


def compute_predictions(
    network: nn.Module, examples: Examples, *, batch_size: int = 2048
) -> Tensor:
    """Run a network as :func:`compute_logits` does and keep the most probable class.

    Returns:
        Class numbers, int32 on the CPU: [N], or [S, N] for a stack.
    """
    return most_probable(compute_logits(network, examples, batch_size=batch_size))


def most_probable(logits: Tensor) -> Tensor:
    """Return the most probable class, int32 [..., N], of logits [..., N, C]."""
    return logits.argmax(-1).to(torch.int32)
