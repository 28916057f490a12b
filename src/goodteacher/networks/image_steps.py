"""Steps that bring stored images into the form that a network was made for.

All are exact about positions: sizes and windows are numbers that were worked out once, from the
size of the stored images. Images stay in the units of bytes, as floats, until `Normalization`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from goodteacher.data import InputSpec, numbers_spec
from goodteacher.errors import DataError

MODES = ("area", "nearest", "bilinear", "bicubic")
"""How images are resized. All but ``nearest`` take the mean over what a smaller pixel covers."""


class Resize(nn.Module):
    """Images at another size.

    ``area`` is the mean over the area that each new pixel covers, and makes images smaller only.
    The others are those of Pillow, which transformers, timm and torchvision use: ``bilinear`` and
    ``bicubic`` widen their filter where images become smaller. Pillow rounds to whole bytes, twice;
    here nothing is rounded, so a pixel differs from Pillow's by less than 2 of 255.

    Args:
        height: Of the new images.
        width: Of the new images.
        mode: One of `MODES`.

    Example:
        >>> Resize(1, 1)(torch.tensor([[[[0, 2], [4, 6]]]], dtype=torch.uint8)).item()
        3.0
    """

    from_texts = False

    def __init__(self, height: int, width: int, mode: str = "area") -> None:
        super().__init__()
        if min(height, width) < 1 or mode not in MODES:
            raise DataError(
                f"Images are resized to at least 1x1 pixels, by {', '.join(MODES)}, but this asks "
                f"for {height}x{width} by {mode!r}. Was the file edited?"
            )
        self.size = (height, width)
        self.mode = mode

    @property
    def blank(self) -> Tensor:
        """Zero."""
        return torch.zeros(())

    def output(self, spec: InputSpec) -> InputSpec:
        """Return the shape of a resized image."""
        return numbers_spec((_channels_of(spec), *self.size))

    def forward(self, raw: Tensor) -> Tensor:
        """Return float32 images in the units of those given, in the channels-last order."""
        resized = self._resized(raw.float())
        # clone: to() would keep the strides of a single channel, which mean either order
        return resized.clone(memory_format=torch.channels_last)

    def _resized(self, images: Tensor) -> Tensor:
        if self.mode == "area":
            return F.interpolate(images, size=self.size, mode="area")
        if self.mode == "nearest":
            rows, columns = map(_nearest, images.shape[-2:], self.size)
            return images[..., rows[:, None], columns]
        # Along rows and then along columns, as Pillow does: bicubic goes beyond what a byte can
        # hold, and is cut there each time.
        for size in ((images.shape[-2], self.size[1]), self.size):
            images = F.interpolate(images, size=size, mode=self.mode, antialias=True)
            images = images.clamp_(0, 255) if self.mode == "bicubic" else images
        return images

    def extra_repr(self) -> str:
        """Tell size and mode."""
        return f"{self.size[0]}x{self.size[1]}, {self.mode}"

    def to_dict(self) -> dict[str, Any]:
        """Return size and mode."""
        return {"size": list(self.size), "mode": self.mode}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Resize:
        """Return one of what :meth:`to_dict` returned."""
        height, width = (int(side) for side in record["size"])
        return cls(height, width, str(record["mode"]))


class Crop(nn.Module):
    """A window of each image; what of it lies outside is black.

    Args:
        top: Row of the window's first pixel; below zero where it begins above the image.
        left: Its column.
        height: Of the window.
        width: Of the window.

    Example:
        >>> Crop(0, 1, 1, 2)(torch.tensor([[[[1, 2]]]])).tolist()
        [[[[2.0, 0.0]]]]
    """

    from_texts = False

    def __init__(self, top: int, left: int, height: int, width: int) -> None:
        super().__init__()
        if min(height, width) < 1:
            raise DataError(
                f"A window of an image has at least 1x1 pixels, not {height}x{width}. Was the file "
                "edited?"
            )
        self.window = (top, left, height, width)

    @property
    def blank(self) -> Tensor:
        """Zero."""
        return torch.zeros(())

    def output(self, spec: InputSpec) -> InputSpec:
        """Return the shape of a window."""
        return numbers_spec((_channels_of(spec), *self.window[2:]))

    def forward(self, raw: Tensor) -> Tensor:
        """Return float32 windows, in the channels-last order."""
        top, left, height, width = self.window
        right, bottom = left + width - raw.shape[-1], top + height - raw.shape[-2]
        cut = F.pad(raw.float(), (-left, right, -top, bottom))
        return cut.clone(memory_format=torch.channels_last)

    def extra_repr(self) -> str:
        """Tell the window."""
        top, left, height, width = self.window
        return f"{height}x{width} at row {top}, column {left}"

    def to_dict(self) -> dict[str, Any]:
        """Return the window."""
        return {"window": list(self.window)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Crop:
        """Return one of what :meth:`to_dict` returned."""
        top, left, height, width = (int(number) for number in record["window"])
        return cls(top, left, height, width)


class Channels(nn.Module):
    """The channels of images in another order, or one of them several times.

    Args:
        order: Which stored channel each new one is: (0, 0, 0) makes gray images red, green and
            blue, (2, 1, 0) turns these three round.

    Example:
        >>> Channels((0, 0))(torch.tensor([[[[7]]]])).flatten().tolist()
        [7.0, 7.0]
    """

    from_texts = False

    def __init__(self, order: Sequence[int]) -> None:
        super().__init__()
        self.order = tuple(int(channel) for channel in order)
        if not self.order or min(self.order) < 0:
            raise DataError(
                f"The order of channels must be whole numbers from 0, but is {list(order)}. Was "
                "the file edited?"
            )

    @property
    def blank(self) -> Tensor:
        """Zero."""
        return torch.zeros(())

    def output(self, spec: InputSpec) -> InputSpec:
        """Return the shape of an image with as many channels as the order has.

        Raises:
            ValueError: Stored images lack a channel.
        """
        if _channels_of(spec) <= max(self.order):
            raise ValueError(f"{spec} have no channel {max(self.order)}")
        return numbers_spec((len(self.order), *spec.shape[1:]))

    def stored_blank(self, blank: Tensor) -> Tensor:
        """Return what stands, in a stored image, for a value of each new channel.

        Args:
            blank: Values of the new channels, ``[channels, 1, 1]`` or one for all.

        Returns:
            Of each stored channel, or one for all; where one becomes several, their mean.
        """
        if not blank.dim():
            return blank
        stored = blank.new_zeros(max(self.order) + 1, 1, 1)
        for channel in set(self.order):
            stored[channel] = blank[[new == channel for new in self.order]].mean()
        return stored

    def forward(self, raw: Tensor) -> Tensor:
        """Return float32 images, in the channels-last order."""
        return raw[:, list(self.order)].float().clone(memory_format=torch.channels_last)

    def extra_repr(self) -> str:
        """Tell the order."""
        return str(self.order)

    def to_dict(self) -> dict[str, Any]:
        """Return the order."""
        return {"order": list(self.order)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Channels:
        """Return one of what :meth:`to_dict` returned."""
        return cls(record["order"])


def _nearest(before: int, after: int) -> Tensor:
    """Return which old pixel each new one is, int64 [after]; rounded as Pillow's running sum is."""
    step = before / after
    places = np.add.accumulate([0.5 * step, *[step] * (after - 1)])
    return torch.from_numpy(places.astype(np.int64)).clamp_(max=before - 1)


def _channels_of(spec: InputSpec) -> int:
    if len(spec.shape) != 3:
        raise ValueError(f"{spec} are not images")
    return spec.shape[0]
