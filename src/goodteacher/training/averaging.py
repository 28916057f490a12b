"""Moving averages of weights, and batch-norm statistics that are right for them.

A teacher at a constant learning rate jitters around where it would settle. The average of its
weights over the last steps takes that noise out, as a falling rate does, and costs no further
training (Polyak & Juditsky 1992). Its activations are those of no network that was trained, so
batch-norm statistics have to be taken anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from goodteacher.networks import Batch


def decay_at(step: int, window: float) -> float:
    """Return how much of an average of weights stays at a step.

    `min(exp(-1 / window), (1 + t) / (10 + t))` after t steps: a weight from w steps ago counts
    `exp(-w / window)`. While the run is young, the average spans about its last ninth instead, so
    that it does not hold on to the first weights.

    Args:
        step: Steps taken, t, from 1.
        window: Steps after which a weight counts 1/e, above 0.

    Returns:
        In [0, 1).

    Example:
        >>> round(decay_at(1, 100.0), 3), round(decay_at(10_000, 100.0), 3)
        (0.182, 0.99)

    Source: the ramp is that of TensorFlow's ``ExponentialMovingAverage`` with ``num_updates``. A
    window in place of a decay is *ours*: in epochs, it means the same at every batch size.
    """
    return min(math.exp(-1 / window), (1 + step) / (10 + step))


class WeightAverage:
    """Exponential moving average of a network's weights, updated after each step.

    ``torch.optim.swa_utils.AveragedModel`` gives the same weights to the last bit, but copies the
    whole network, which fails for one that keeps activations or a lock, or was wrapped by
    ``torch.nn.utils.weight_norm``.

    Args:
        network: The network, on its device; buffers are not averaged.
        window: Steps after which a weight counts 1/e, above 0.
    """

    def __init__(self, network: nn.Module, *, window: float) -> None:
        self.window = window
        self._weights = dict(network.named_parameters())
        self._average = {name: w.detach().clone() for name, w in self._weights.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the network's weights, after ``step`` steps in all."""
        averages, weights = tuple(self._average.values()), tuple(self._weights.values())
        torch._foreach_lerp_(averages, weights, 1 - decay_at(step, self.window))

    def state(self) -> dict[str, Tensor]:
        """Return the averaged weights, named as the network's."""
        return dict(self._average)

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what :meth:`state` returned."""
        for name, average in self._average.items():
            average.copy_(state[name])


@torch.no_grad()
def refresh_batch_norm(network: nn.Module, batches: Iterable[Batch]) -> None:
    """Set a network's batch-norm statistics to the mean over batches, in place.

    ``torch.optim.swa_utils.update_bn`` runs the whole network in training mode, dropout included.

    Args:
        network: Left in evaluation mode. Only its batch-norm layers see the batches in training
            mode: there is no dropout, as there will be none when the statistics are used, and so
            no draw that another run would have to repeat.
        batches: Inputs as the network takes them. Not looked at if no layer keeps statistics.

    Source: the last step of stochastic weight averaging (Izmailov et al., *Averaging Weights Leads
    to Wider Optima and Better Generalization*, UAI 2018).
    """
    network.eval()
    layers = [
        module
        for module in network.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats
    ]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # every batch counts the same
        layer.train()
    for inputs in batches:
        network(inputs)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    network.eval()
