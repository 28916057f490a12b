"""A learning rate for each student of a stack.

An optimizer has one learning rate for a whole tensor, and a stack keeps all students in one tensor.
The step of every optimizer here is proportional to its learning rate - weight decay included, and
independent of what is kept for momentum - so a student takes its share of the step that the largest
learning rate would take.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class OwnLearningRates:
    """Scales the steps of stacked students.

    Args:
        parameters: Stacked parameters, each ``[S, ...]``.
        shares: Each student's learning rate as a share of the optimizer's, in (0, 1], [S].
    """

    def __init__(self, parameters: Sequence[nn.Parameter], shares: Tensor) -> None:
        self._parameters = list(parameters)
        self._shares = [
            shares.to(p.device, p.dtype).reshape(-1, *([1] * (p.dim() - 1))) for p in parameters
        ]

    @torch.no_grad()
    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Let an optimizer take its step, then keep of it what each student's rate allows.

        A student whose share is 1 ends where the optimizer put it, to the last bit.
        """
        before = [parameter.clone() for parameter in self._parameters]
        optimizer.step()
        for parameter, start, share in zip(self._parameters, before, self._shares, strict=True):
            torch.lerp(start, parameter, share, out=parameter)
