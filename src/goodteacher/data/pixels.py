"""One encoded image as pixels, by the rules of :mod:`goodteacher.data.images`."""

from __future__ import annotations

import io
import stat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

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
        Unsuitable: It can be read, but not kept as 8-bit grey or RGB without loss.
        Exception: It cannot be read; Pillow raises many types.
    """
    if encoded is None:
        raise ValueError("no image")
    with _opened(encoded) as opened:
        image: Image.Image = opened
        if image.mode not in ("L", "RGB") or "transparency" in image.info:
            image = _to_grey_or_colour(image)
        if "exif" in image.info:
            image = ImageOps.exif_transpose(image)
        if size is not None:
            image = resize_image(image, size)
        pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def resize_image(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Resize an image to (height, width): bilinear, antialiased."""
    height, width = size
    return image.resize((width, height), Image.Resampling.BILINEAR)


def _opened(encoded: Encoded) -> Image.Image:
    if isinstance(encoded, Path) and not stat.S_ISREG(encoded.stat().st_mode):
        raise ValueError("it is not a file")  # opening a pipe would wait for ever
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
