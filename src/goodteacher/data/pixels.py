"""One encoded image as pixels, by the rules of :mod:`goodteacher.data.images`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from goodteacher.config import check_regular
from goodteacher.data.bounds import check_shape
from goodteacher.errors import DataError

Encoded = Any
"""An encoded image: a bytes-like object or the `Path` of a file."""

Pixels = npt.NDArray[np.uint8]

_TARGET_MODES = {
    "1": "L",
    "L": "L",
    "LA": "L",
    "P": "RGB",
    "PA": "RGB",
    "RGB": "RGB",
    "RGBA": "RGB",
    "CMYK": "RGB",
    "YCbCr": "RGB",
    "LAB": "RGB",
    "HSV": "RGB",
}


_BYTES = 4  # that Pillow takes for a pixel of colour

SMALLER = "Give a smaller resize."


class Unsuitable(Exception):  # noqa: N818 - a signal, not an error of a user's
    """The image can be read, but not kept without a choice that is the user's."""


def read_pixels(encoded: Encoded, size: tuple[int, int] | None = None) -> Pixels:
    """Decode an image.

    Args:
        encoded: The image, or None.
        size: (height, width) that it gets; None keeps its own.

    Returns:
        [channels, height, width].

    Raises:
        DataError: It is no regular file, or does not fit into memory.
        Unsuitable: It can be read, but not kept as 8-bit grey or RGB without loss.
        Exception: It cannot be read; Pillow raises many types.
    """
    if encoded is None:
        raise ValueError("no image")
    with _opened(encoded) as opened:
        image: Image.Image = opened
        _check_fits(image, size)
        if image.mode not in ("L", "RGB") or "transparency" in image.info:
            image = _to_grey_or_colour(image)
        if "exif" in image.info:
            image = ImageOps.exif_transpose(image)
        if size is not None:
            image = resize_image(image, size)
        pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _check_fits(image: Image.Image, size: tuple[int, int] | None) -> None:
    """Refuse an image that declares more pixels than fit, or would get them."""
    width, height = image.size
    check_shape((height, width, _BYTES), 1, f"An image of {width}x{height} pixels")
    if size is not None:
        check_shape((*size, _BYTES), 1, f"An image resized to {size[0]}x{size[1]}", advice=SMALLER)


def resize_image(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Resize an image to (height, width): bilinear, antialiased."""
    height, width = size
    return image.resize((width, height), Image.Resampling.BILINEAR)


def _opened(encoded: Encoded) -> Image.Image:
    if isinstance(encoded, Path):
        check_regular(encoded, DataError)
    try:
        return Image.open(encoded if isinstance(encoded, Path) else io.BytesIO(encoded))
    except UnidentifiedImageError:  # whose message names a buffer by its address
        raise UnidentifiedImageError("it is not an image that Pillow can read") from None


def _to_grey_or_colour(image: Image.Image) -> Image.Image:
    if image.mode not in _TARGET_MODES:
        raise Unsuitable(f"mode {image.mode} has more than 8 bits per channel")
    if image.has_transparency_data:
        alpha = np.asarray(image.convert("RGBA").getchannel("A"))
        if alpha.min() < 255:
            raise Unsuitable("it has transparent pixels")
        image.info.pop("transparency", None)
    return image.convert(_TARGET_MODES[image.mode])
