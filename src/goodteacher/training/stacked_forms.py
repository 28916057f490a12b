"""Stacked forms of common layers: S copies of a layer, each with weights of its own, as one.

A value inside a stack has one of three layouts:

- ``shared``    what all students see alike: the inputs [B, ...], and what is computed from them
                without weights;
- ``features``  one vector for each student and example: [S, B, F];
- ``maps``      the students' channels side by side: [B, S*C, H, W].

With ``shared`` inputs S linear layers are one wide matrix product, and S convolutions one wide
convolution. Side-by-side channels make later convolutions one grouped convolution, and batch
normalisation and pooling work on them as they are, exactly: both treat each channel by itself
(horizontal fusion, Wang et al. 2021, arXiv 2102.02344).

To teach the stack a layer, write a function like those below and add it to :data:`STACKED_FORMS`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Layout = Literal["shared", "features", "maps"]


class NoStackedForm(Exception):  # noqa: N818 - a signal, always caught: the stack runs another way
    """A layer or call has no stacked form for the layout it meets."""


class StackedLinear(nn.Module):
    """S linear layers, weights [S, out, in].

    Args:
        layer: The layer to copy.
        num_students: S.
        shared: Whether all students have the same input [B, in]; else it is [S, B, in].
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, layer: nn.Linear, num_students: int, *, shared: bool) -> None:
        super().__init__()
        self.num_students = num_students
        self.shared = shared
        _adopt(self, layer, num_students)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return [S, B, out]."""
        if self.shared:
            flat = F.linear(inputs, _joined(self.weight), _flat(self.bias))
            # One plain copy here spares the slow strided ones that the batched products of the
            # backward pass would make: measured, 12 % of the step of 256 `mlp:64` students.
            return _split_features(flat, self.num_students).contiguous()
        weight = self.weight.transpose(1, 2)
        if self.bias is None:
            return torch.bmm(inputs, weight)
        return torch.baddbmm(self.bias.unsqueeze(1), inputs, weight)


class StackedConv2d(nn.Module):
    """S convolutions, weights [S, out, in / groups, k, k].

    Args:
        layer: The layer to copy.
        num_students: S.
        shared: Whether all students have the same input [B, in, H, W]; else it is [B, S*in, H, W].
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, layer: nn.Conv2d, num_students: int, *, shared: bool) -> None:
        super().__init__()
        self.stride, self.padding, self.dilation = layer.stride, layer.padding, layer.dilation
        self.groups = layer.groups if shared else layer.groups * num_students
        _adopt(self, layer, num_students)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return [B, S*out, H', W']."""
        return F.conv2d(
            inputs,
            _joined(self.weight),
            _flat(self.bias),
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
        )


class StackedBatchNorm(nn.Module):
    """S batch normalisations over channels side by side, running statistics included.

    Args:
        layer: The layer to copy.
        num_students: S.
    """

    weight: Tensor | None
    bias: Tensor | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(self, layer: nn.BatchNorm1d | nn.BatchNorm2d, num_students: int) -> None:
        super().__init__()
        self.momentum, self.eps = layer.momentum or 0.0, layer.eps
        self.tracks = layer.track_running_stats
        _adopt(self, layer, num_students)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the normalised maps [B, S*C, H, W]."""
        return self.normalize(inputs)

    def normalize(self, inputs: Tensor) -> Tensor:
        """Normalise axis 1, which holds S*C channels."""
        training = self.training or not self.tracks
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        return F.batch_norm(
            inputs,
            _flat(self.running_mean),
            _flat(self.running_var),
            _flat(self.weight),
            _flat(self.bias),
            training,
            self.momentum,
            self.eps,
        )


class StackedFeatureNorm(StackedBatchNorm):
    """S batch normalisations of features [S, B, F]."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the normalised features [S, B, F]."""
        num_students = len(inputs)
        normal = self.normalize(inputs.transpose(0, 1).flatten(1))
        return _split_features(normal, num_students)


class MapsToFeatures(nn.Module):
    """Flatten maps [B, S*C, H, W] to features [S, B, C*H*W].

    Args:
        num_students: S.
    """

    def __init__(self, num_students: int) -> None:
        super().__init__()
        self.num_students = num_students

    def forward(self, inputs: Tensor) -> Tensor:
        """Return [S, B, C*H*W]."""
        return _split_features(inputs.flatten(1), self.num_students)


def _joined(tensor: Tensor) -> Tensor:
    """Lay the students' outputs side by side: [S, out, ...] to [S*out, ...], a view."""
    return tensor.flatten(0, 1)


def _split_features(flat: Tensor, num_students: int) -> Tensor:
    """Turn [B, S*F] into features [S, B, F], a view."""
    return flat.reshape(len(flat), num_students, -1).transpose(0, 1)


def _flat(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else _joined(tensor)


def _adopt(stacked: nn.Module, layer: nn.Module, num_students: int) -> None:
    """Give a stacked layer the parameters and buffers of a layer, S times, under their names.

    Registration keeps the names, so the stack's state is the plain network's with a leading axis.
    """
    for name, parameter in layer.named_parameters(recurse=False):
        values = repeated(parameter, num_students)
        stacked.register_parameter(name, nn.Parameter(values, parameter.requires_grad))
    for name, buffer in layer.named_buffers(recurse=False):
        stacked.register_buffer(name, repeated(buffer, num_students))
    for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
        if not hasattr(stacked, name):
            stacked.register_parameter(name, None)


def repeated(tensor: Tensor, num_students: int) -> Tensor:
    """Return S copies of a tensor along a new first axis, in memory of their own."""
    return tensor.detach().unsqueeze(0).repeat(num_students, *[1] * tensor.dim())


def _linear(layer: nn.Linear, num_students: int, layout: Layout) -> tuple[nn.Module, Layout]:
    if layout == "maps":
        raise NoStackedForm("nn.Linear on maps")
    return StackedLinear(layer, num_students, shared=layout == "shared"), "features"


def _conv2d(layer: nn.Conv2d, num_students: int, layout: Layout) -> tuple[nn.Module, Layout]:
    if layout == "features" or layer.padding_mode != "zeros":
        raise NoStackedForm(f"nn.Conv2d on {layout} with {layer.padding_mode} padding")
    return StackedConv2d(layer, num_students, shared=layout == "shared"), "maps"


def _batch_norm(
    layer: nn.BatchNorm1d | nn.BatchNorm2d, num_students: int, layout: Layout
) -> tuple[nn.Module, Layout]:
    if layout == "shared" or (layer.track_running_stats and layer.momentum is None):
        raise NoStackedForm(f"{type(layer).__name__} on {layout} with momentum {layer.momentum}")
    if layout == "maps":
        return StackedBatchNorm(layer, num_students), layout
    return StackedFeatureNorm(layer, num_students), layout


def _each_channel(layer: nn.Module, num_students: int, layout: Layout) -> tuple[nn.Module, Layout]:
    if layout == "features":
        raise NoStackedForm(f"{type(layer).__name__} on features")
    return layer, layout


def _each_number(layer: nn.Module, num_students: int, layout: Layout) -> tuple[nn.Module, Layout]:
    return layer, layout


def _flatten(layer: nn.Flatten, num_students: int, layout: Layout) -> tuple[nn.Module, Layout]:
    if (layer.start_dim, layer.end_dim) != (1, -1):
        raise NoStackedForm(f"nn.Flatten from axis {layer.start_dim} to {layer.end_dim}")
    if layout == "maps":
        return MapsToFeatures(num_students), "features"
    return (nn.Identity() if layout == "features" else layer), layout


StackedForm = Callable[[Any, int, Layout], tuple[nn.Module, Layout]]
"""(layer, num_students, layout of its input) -> the stacked layer and the layout of its output."""

STACKED_FORMS: Mapping[type[nn.Module], StackedForm] = {
    nn.Linear: _linear,
    nn.Conv2d: _conv2d,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.Flatten: _flatten,
    **dict.fromkeys((nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d), _each_channel),
    **dict.fromkeys(
        (nn.ReLU, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.ELU, nn.Hardswish),
        _each_number,
    ),
    **dict.fromkeys((nn.Identity, nn.Dropout), _each_number),
}
"""How each type of layer is stacked."""

EACH_NUMBER: frozenset[Callable[..., Any]] = frozenset(
    {operator.add, operator.iadd, torch.add, operator.mul, torch.mul, torch.relu, F.relu}
)
"""Functions of tensors of one layout that work number by number, and so on stacks as they are."""
