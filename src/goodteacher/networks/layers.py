"""Pieces that several families share: the 3x3 convolution, the pooled head, initial weights."""

from __future__ import annotations

from torch import nn


def conv3x3(in_channels: int, out_channels: int, *, stride: int = 1) -> nn.Conv2d:
    """Make a padded 3x3 convolution without bias (batch normalisation follows it or precedes it).

    >>> conv3x3(3, 16).weight.shape
    torch.Size([16, 3, 3, 3])
    """
    return nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)


def conv1x1(in_channels: int, out_channels: int, *, stride: int = 1) -> nn.Conv2d:
    """Make a 1x1 convolution without bias: the projection of a residual shortcut.

    >>> conv1x1(16, 32, stride=2).weight.shape
    torch.Size([32, 16, 1, 1])
    """
    return nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)


def pooled_head(channels: int, num_classes: int) -> nn.Sequential:
    """Average each channel over the image, then classify: maps of any size give logits.

    >>> pooled_head(64, 10)[-1]
    Linear(in_features=64, out_features=10, bias=True)
    """
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes))


def initialise_convolutions(network: nn.Module) -> None:
    """Draw every convolution's weights from N(0, 2 / fan_out); other layers keep PyTorch's own.

    The scheme of He et al., *Delving Deep into Rectifiers* (2015), in its fan-out form, which both
    residual papers' code and RepDistiller use.

    Args:
        network: Changed in place.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
