"""Residual networks for small images: ``resnet:`` and ``wrn:``.

Both have three stages; the second and the third halve the map. Where a shortcut changes shape it is
a 1x1 convolution (option B of He et al.), so that parameter counts agree with RepDistiller, whose
students and teachers the distillation literature reports.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

from goodteacher.networks.layers import conv1x1, conv3x3, initialise_convolutions, pooled_head


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut: ``relu(shortcut(x) + bn(conv(relu(bn(conv(x))))))``.

    He et al., *Deep Residual Learning for Image Recognition* (2016), figure 2. The shortcut is the
    identity, or a 1x1 convolution and batch normalisation where the shape changes (option B).
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = conv3x3(in_channels, out_channels, stride=stride)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv3x3(out_channels, out_channels)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            projection = conv1x1(in_channels, out_channels, stride=stride)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(out_channels))

    def forward(self, inputs: Tensor) -> Tensor:
        """Map ``[B, in_channels, H, W]`` to ``[B, out_channels, H / stride, W / stride]``."""
        hidden = self.relu(self.bn1(self.conv1(inputs)))
        output: Tensor = self.relu(self.bn2(self.conv2(hidden)) + self.shortcut(inputs))
        return output


class PreActivationBlock(nn.Module):
    """Normalise and rectify *before* each convolution: ``shortcut + conv(relu(bn(conv(a))))``.

    ``a = relu(bn(x))``. Where the number of channels is kept the shortcut is ``x``; elsewhere it is
    a 1x1 convolution of ``a``, as in the code of Zagoruyko & Komodakis.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = conv3x3(in_channels, out_channels, stride=stride)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv3x3(out_channels, out_channels)
        self.relu = nn.ReLU()
        self.projection: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.projection = conv1x1(in_channels, out_channels, stride=stride)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map ``[B, in_channels, H, W]`` to ``[B, out_channels, H / stride, W / stride]``."""
        active = self.relu(self.bn1(inputs))
        shortcut = inputs if self.projection is None else self.projection(active)
        hidden = self.relu(self.bn2(self.conv1(active)))
        output: Tensor = self.conv2(hidden) + shortcut
        return output


def resnet(
    depth: int, width: int = 1, *, num_classes: int, input_shape: Sequence[int]
) -> nn.Sequential:
    """Make a ResNet of ``depth = 6n + 2`` layers for small images.

    A 3x3 convolution, three stages of n :class:`BasicBlock` with 16k, 32k and 64k channels (k is
    ``width``), global average pooling and a linear layer. The first convolution has
    ``max(16, 8k)`` channels: 16 in the paper (k = 1), and 32 in RepDistiller's ``resnet8x4`` and
    ``resnet32x4`` (k = 4); for other k the rule is ours.

    Args:
        depth: Number of layers with weights, shortcuts not counted: 20, 32, 44, 56, 110 in the
            paper. At least 8.
        width: Factor k of the channels.
        num_classes: Number of logits.
        input_shape: ``(channels, height, width)``.

    Returns:
        A network from ``[B, channels, height, width]`` to logits ``[B, num_classes]``.

    He et al., *Deep Residual Learning for Image Recognition* (2016), section 4.2, with shortcut
    option B; the paper's own small networks use option A, which has 2,752 parameters fewer.

    >>> net = resnet(20, num_classes=10, input_shape=(3, 32, 32))
    >>> sum(parameter.numel() for parameter in net.parameters())
    272474
    """
    stem = max(16, 8 * width)
    channels = (stem, 16 * width, 32 * width, 64 * width)
    stages = _stages(BasicBlock, channels, blocks=(depth - 2) // 6)
    network = nn.Sequential(
        conv3x3(input_shape[0], stem),
        nn.BatchNorm2d(stem),
        nn.ReLU(),
        *stages,
        *pooled_head(channels[-1], num_classes),
    )
    initialise_convolutions(network)
    return network


def wide_resnet(
    depth: int, width: int, *, num_classes: int, input_shape: Sequence[int]
) -> nn.Sequential:
    """Make a wide residual network WRN-d-k of ``depth = 6n + 4`` layers, without dropout.

    A 3x3 convolution of 16 channels, three stages of n :class:`PreActivationBlock` with 16k, 32k
    and 64k channels, batch normalisation, ReLU, global average pooling and a linear layer whose
    biases start at zero.

    Args:
        depth: Number d of layers as the paper counts them: 10, 16, 22, 28, 40.
        width: Factor k of the channels.
        num_classes: Number of logits.
        input_shape: ``(channels, height, width)``.

    Returns:
        A network from ``[B, channels, height, width]`` to logits ``[B, num_classes]``.

    Zagoruyko & Komodakis, *Wide Residual Networks* (2016), table 1.

    >>> net = wide_resnet(16, 2, num_classes=10, input_shape=(3, 32, 32))
    >>> sum(parameter.numel() for parameter in net.parameters())
    691674
    """
    channels = (16, 16 * width, 32 * width, 64 * width)
    head = pooled_head(channels[-1], num_classes)
    nn.init.zeros_(head[-1].bias)  # type: ignore[arg-type]  # nn.Sequential forgets the types
    network = nn.Sequential(
        conv3x3(input_shape[0], channels[0]),
        *_stages(PreActivationBlock, channels, blocks=(depth - 4) // 6),
        nn.BatchNorm2d(channels[-1]),
        nn.ReLU(),
        *head,
    )
    initialise_convolutions(network)
    return network


def _stages(
    block: type[BasicBlock] | type[PreActivationBlock], channels: Sequence[int], *, blocks: int
) -> list[nn.Sequential]:
    """Chain ``blocks`` blocks a stage; the first of each stage changes channels and resolution."""
    stages = []
    for (before, after), stride in zip(itertools.pairwise(channels), (1, 2, 2), strict=True):
        rest = (block(after, after) for _ in range(blocks - 1))
        stages.append(nn.Sequential(block(before, after, stride=stride), *rest))
    return stages
