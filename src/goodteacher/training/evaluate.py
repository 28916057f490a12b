"""Running trained networks: logits and predictions of any number of examples.

Evaluation is in float32 on every machine, whatever the training precision: similarity information
of a confident teacher lies in probabilities that bfloat16 logits would round away, and a student's
accuracy is that of the weights it is delivered with.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from goodteacher.data import Normalization
from goodteacher.training.machine import Machine


def _outputs(
    network: nn.Module,
    inputs: Tensor,
    *,
    normalization: Normalization,
    machine: Machine,
    batch_size: int,
) -> Iterator[Tensor]:
    network.eval()
    normalize = normalization.to(machine.device)
    for chunk in inputs.split(batch_size):
        yield network(normalize(chunk.to(machine.device))).float()


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
    chunks = _outputs(
        network, inputs, normalization=normalization, machine=machine, batch_size=batch_size
    )
    return torch.cat([chunk.cpu() for chunk in chunks], dim=-2)


@torch.inference_mode()
def compute_predictions(
    network: nn.Module,
    inputs: Tensor,
    *,
    normalization: Normalization,
    machine: Machine,
    batch_size: int = 2048,
) -> Tensor:
    """Run a network in evaluation mode and keep the most probable class.

    Args:
        network: A network, or a stack of S.
        inputs: Examples as stored, [N, ...].
        normalization: Turns stored inputs into the network's.
        machine: Where arithmetic happens.
        batch_size: Examples at once; changes memory, not the answer.

    Returns:
        Class numbers, int16 on the CPU: [N], or [S, N] for a stack.
    """
    chunks = _outputs(
        network, inputs, normalization=normalization, machine=machine, batch_size=batch_size
    )
    return torch.cat([chunk.argmax(-1).to(torch.int16).cpu() for chunk in chunks], dim=-1)
