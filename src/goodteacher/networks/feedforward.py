"""Networks without shortcuts: ``mlp:`` and ``cnn:``."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

from torch import nn

from goodteacher.networks.layers import conv3x3, initialise_convolutions, pooled_head


def mlp(widths: Sequence[int], *, num_classes: int, input_shape: Sequence[int]) -> nn.Sequential:
    """Make a multi-layer perceptron: flatten, then linear and ReLU for each width, then linear.

    Initial weights are PyTorch's own (uniform, bounded by ``1 / sqrt(fan_in)``).

    Args:
        widths: Units of each hidden layer; ``(1200, 1200)`` is the teacher of Hinton et al. (2015).
        num_classes: Number of logits.
        input_shape: Shape of one example, of any rank; images are flattened.

    Returns:
        A network from ``[B, *input_shape]`` to logits ``[B, num_classes]``.

    >>> mlp((64,), num_classes=10, input_shape=(1, 28, 28))[1]
    Linear(in_features=784, out_features=64, bias=True)
    """
    sizes = (math.prod(input_shape), *widths)
    hidden = itertools.chain.from_iterable(
        (nn.Linear(fan_in, fan_out), nn.ReLU()) for fan_in, fan_out in itertools.pairwise(sizes)
    )
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(sizes[-1], num_classes))


def linear(*, num_classes: int, input_shape: Sequence[int]) -> nn.Sequential:
    """Make a linear classifier: flatten, then one linear layer.

    Args:
        num_classes: Number of logits.
        input_shape: Shape of one example, of any rank.

    >>> linear(num_classes=10, input_shape=(1, 28, 28))[1]
    Linear(in_features=784, out_features=10, bias=True)
    """
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), num_classes))


def cnn(widths: Sequence[int], *, num_classes: int, input_shape: Sequence[int]) -> nn.Sequential:
    """Make a plain convolutional network of one 3x3 layer for each width.

    Each layer is convolution (padded, no bias), batch normalisation, 2x2 max pooling and ReLU; the
    pooling is left out once a side of the map is a single pixel. (Pooling first gives the same
    numbers as ReLU first, on a quarter of the map.) Then the map is averaged over space, and a
    linear layer classifies. Convolutions start from N(0, 2 / fan_out). Ours.

    Args:
        widths: Output channels of each convolution.
        num_classes: Number of logits.
        input_shape: ``(channels, height, width)``.

    Returns:
        A network from ``[B, channels, height, width]`` to logits ``[B, num_classes]``.

    >>> net = cnn((16, 32), num_classes=10, input_shape=(1, 8, 8))
    >>> [type(module).__name__ for module in net[:4]]
    ['Conv2d', 'BatchNorm2d', 'MaxPool2d', 'ReLU']
    """
    layers = itertools.chain.from_iterable(_cnn_layers(widths, input_shape))
    network = nn.Sequential(*layers, *pooled_head(widths[-1], num_classes))
    initialise_convolutions(network)
    return network


def _cnn_layers(widths: Sequence[int], input_shape: Sequence[int]) -> Iterator[list[nn.Module]]:
    in_channels, *sides = input_shape
    side = min(sides)
    for width in widths:
        pooling = [nn.MaxPool2d(2)] if side > 1 else []
        yield [conv3x3(in_channels, width), nn.BatchNorm2d(width), *pooling, nn.ReLU()]
        in_channels, side = width, max(1, side // 2)
