"""Running trained networks: logits and predictions of any number of examples.

Evaluation is in float32 on every machine, whatever the training precision: similarity information
of a confident teacher lies in probabilities that bfloat16 logits would round away, and a student's
accuracy is that of the weights it is delivered with.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from goodteacher.data import Normalization
from goodteacher.training.machine import Machine


@torch.inference_mode()
def compute_logits(
    network: nn.Module,
    inputs: Tensor,
    *,
    normalization: Normalization,
    machine: Machine,
    batch_size: int = 2048,
) -> Tensor:
    """Run a network in evaluation mode.

    Args:
        network: A network, or a stack of S.
        inputs: Examples as stored, [N, ...].
        normalization: Turns stored inputs into the network's.
        machine: Where arithmetic happens.
        batch_size: Examples at once; changes memory, not the answer.

    Returns:
        Logits, float32 on the CPU: [N, C], or [S, N, C] for a stack.
    """
    network.eval()
    normalize = normalization.to(machine.device)
    chunks = [
        network(normalize(chunk.to(machine.device))).float().cpu()
        for chunk in inputs.split(batch_size)
    ]
    return torch.cat(chunks, dim=-2)


def compute_predictions(
    network: nn.Module,
    inputs: Tensor,
    *,
    normalization: Normalization,
    machine: Machine,
    batch_size: int = 2048,
) -> Tensor:
    """Run a network as :func:`compute_logits` does and keep the most probable class.

    Returns:
        Class numbers, int16 on the CPU: [N], or [S, N] for a stack.
    """
    logits = compute_logits(
        network, inputs, normalization=normalization, machine=machine, batch_size=batch_size
    )
    return logits.argmax(-1).to(torch.int16)
