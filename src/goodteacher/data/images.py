"""Decode encoded images once, without loss and without silent choices, into one ``uint8`` tensor.

The rule for colour: an image becomes **grey** (one channel) or **colour** (three channels, RGB),
whichever it is. Palette, CMYK and YCbCr images are colour; bilevel ones are grey. An alpha channel
is dropped where it is opaque everywhere, and refused where it is not, since what lies behind it is
not known. More than 8 bits per channel is refused, since ``uint8`` would lose them. All images of
a data set must be of one kind and one size; `resize` is the named way to make sizes equal. An
EXIF orientation is applied. The `datasets` library decodes each image as it is, so modes and sizes
mix in one column.
"""

from __future__ import annotations

import io
import os
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps
from torch import Tensor

from goodteacher.data.listing import shorten
from goodteacher.errors import ConfigError, DataError

Encoded = Any
"""An encoded image: a bytes-like object or the `Path` of a file."""

_Describe = Callable[[int], str]

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
_KINDS = {"L": "grey", "RGB": "colour"}

# Below this size Pillow's decoder is done before another thread could take over, and handing the
# interpreter lock to and fro costs more than it gains (28x28 PNG, 2 cores: 2.7 s alone, 4.1 s with
# two threads; 128x128 PNG: 1.9 times faster with two).
_THREADED_PIXELS = 96 * 96
_IMAGES_AT_ONCE = 256


@dataclass(frozen=True)
class ImageOptions:
    """Say how images that are not uniform and sound are treated.

    Attributes:
        resize: ``(height, width)`` in pixels that every image gets (bilinear, antialiased), or
            None: sizes must be equal already.
        skip_corrupt: leave out images that cannot be read, with a warning that counts them, instead
            of refusing the data.

    Raises:
        ConfigError: ``resize`` is not two positive integers.
    """

    resize: tuple[int, int] | None = None
    skip_corrupt: bool = False

    def __post_init__(self) -> None:
        if self.resize is not None and (len(self.resize) != 2 or min(self.resize) < 1):
            raise ConfigError(
                f"resize must be (height, width) in pixels, both at least 1, but is {self.resize}."
                " For example resize=(32, 32)."
            )


class _Unsuitable(Exception):  # noqa: N818 - a signal within this module
    """The image can be read, but not kept without a choice that is the user's."""


def decode_images(
    encoded: Sequence[Encoded], *, describe: _Describe, options: ImageOptions
) -> tuple[Tensor, npt.NDArray[np.int64]]:
    """Decode images into one tensor.

    Args:
        encoded: bytes-like objects, paths, or None (which counts as corrupt).
        describe: names an image in messages, given its position.
        options: see `ImageOptions`.

    Returns:
        The images, ``uint8 [num_kept, channels, height, width]``, and the positions kept,
        ``int64 [num_kept]``: all of them, unless corrupt images were skipped.

    Raises:
        DataError: Images are corrupt, differ in size or kind, or would lose information.

    Example:
        >>> buffer = io.BytesIO()
        >>> Image.new("L", (3, 2), color=7).save(buffer, "PNG")
        >>> images, kept = decode_images(
        ...     [buffer.getvalue()], describe="image {}".format, options=ImageOptions()
        ... )
        >>> images.shape, images.unique().item(), kept.tolist()
        (torch.Size([1, 1, 2, 3]), 7, [0])
    """
    decoder = _Decoder(encoded, options.resize)
    decoder.run()
    _check_suitable(decoder.unsuitable, len(encoded), describe)
    _check_corrupt(decoder.corrupt, len(encoded), describe, options)
    _check_uniform(decoder.modes, "kind", describe)
    _check_uniform(decoder.sizes, "size", describe)
    images = torch.from_numpy(decoder.images)
    kept = np.array(sorted(decoder.sizes), dtype=np.int64)
    return (images if len(kept) == len(encoded) else images[torch.from_numpy(kept)]), kept


def resize_images(images: Tensor, size: tuple[int, int] | None) -> Tensor:
    """Resize decoded images as `decode_images` does (bilinear, antialiased); None changes nothing.

    Args:
        images: ``uint8 [num_examples, channels, height, width]``.
        size: ``(height, width)`` in pixels.

    Example:
        >>> resize_images(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), (4, 6)).shape
        torch.Size([2, 3, 4, 6])
    """
    if size is None or tuple(images.shape[2:]) == size:
        return images
    resized = np.empty((*images.shape[:2], *size), dtype=np.uint8)
    for target, image in zip(resized, images.numpy(), strict=True):
        for target_channel, channel in zip(target, image, strict=True):
            target_channel[:] = _resize(Image.fromarray(channel), size)
    return torch.from_numpy(resized)


class _Decoder:
    """Decode into one array, keeping for every image its size and mode, or what is wrong with it.

    Threads write to rows and keys of their own only.
    """

    def __init__(self, encoded: Sequence[Encoded], resize: tuple[int, int] | None) -> None:
        self.images: npt.NDArray[np.uint8] = np.empty((0, 1, 1, 1), dtype=np.uint8)
        self.sizes: dict[int, str] = {}
        self.modes: dict[int, str] = {}
        self.corrupt: dict[int, str] = {}
        self.unsuitable: dict[int, str] = {}
        self._encoded = encoded
        self._resize = resize

    def run(self) -> None:
        """Decode up to the first sound image, which fixes the shape, then the rest at once."""
        num_images = len(self._encoded)
        start = 0
        while start < num_images and not self.images.size:
            self._decode(start)
            start += 1
        chunks = [
            range(first, min(first + _IMAGES_AT_ONCE, num_images))
            for first in range(start, num_images, _IMAGES_AT_ONCE)
        ]
        threads = min(8, os.cpu_count() or 1)
        if threads == 1 or self._pixels < _THREADED_PIXELS:
            for chunk in chunks:
                self._decode_all(chunk)
            return
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(self._decode_all, chunks))

    @property
    def _pixels(self) -> int:
        return int(self.images.shape[2] * self.images.shape[3])

    def _decode_all(self, rows: range) -> None:
        for row in rows:
            self._decode(row)

    def _decode(self, row: int) -> None:
        try:
            pixels = _read_pixels(self._encoded[row], self._resize)
        except _Unsuitable as error:
            self.unsuitable[row] = str(error)
            return
        except Exception as error:  # Pillow raises many types for bytes that are no image
            self.corrupt[row] = f"{type(error).__name__}: {error}"
            return
        self._keep(row, pixels)

    def _keep(self, row: int, pixels: npt.NDArray[np.uint8]) -> None:
        channels, height, width = pixels.shape
        self.sizes[row] = f"{height}x{width}"
        self.modes[row] = _KINDS["L" if channels == 1 else "RGB"]
        if not self.images.size:
            self.images = np.empty((len(self._encoded), *pixels.shape), dtype=np.uint8)
        if pixels.shape == self.images.shape[1:]:
            self.images[row] = pixels


def _read_pixels(encoded: Encoded, resize: tuple[int, int] | None) -> npt.NDArray[np.uint8]:
    """Return ``[channels, height, width]``."""
    if encoded is None:
        raise ValueError("no image")
    with Image.open(encoded if isinstance(encoded, Path) else io.BytesIO(encoded)) as opened:
        image: Image.Image = opened
        if image.mode not in ("L", "RGB") or "transparency" in image.info:
            image = _to_grey_or_colour(image)
        if "exif" in image.info:
            image = ImageOps.exif_transpose(image)
        if resize is not None:
            image = _resize(image, resize)
        pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    height, width = size
    return image.resize((width, height), Image.Resampling.BILINEAR)


def _to_grey_or_colour(image: Image.Image) -> Image.Image:
    if image.mode not in _TARGET_MODES:
        raise _Unsuitable(f"mode {image.mode} has more than 8 bits per channel")
    if image.has_transparency_data:
        alpha = np.asarray(image.convert("RGBA").getchannel("A"))
        if alpha.min() < 255:
            raise _Unsuitable("it is transparent in places")
        image.info.pop("transparency", None)
    return image.convert(_TARGET_MODES[image.mode])


def _check_suitable(unsuitable: dict[int, str], num_images: int, describe: _Describe) -> None:
    if unsuitable:
        row = min(unsuitable)
        raise DataError(
            f"{len(unsuitable)} of {num_images} images cannot be kept as 8-bit grey or RGB without"
            f" loss (first: {describe(row)}: {unsuitable[row]}). What to lose is your choice: put"
            " transparent images on a background and reduce deep ones to 8 bits before loading."
        )


def _check_corrupt(
    corrupt: dict[int, str], num_images: int, describe: _Describe, options: ImageOptions
) -> None:
    if not corrupt:
        return
    rows = sorted(corrupt)
    found = (
        f"{len(rows)} of {num_images} images cannot be read: {shorten(map(describe, rows))}"
        f" (the first: {corrupt[rows[0]]})"
    )
    if not options.skip_corrupt or len(rows) == num_images:
        raise DataError(
            f"{found}. Is the download incomplete? Fetch the data again, or set skip_corrupt=True"
            " to leave such images out."
        )
    warnings.warn(f"Left out what skip_corrupt allows: {found}.", UserWarning, stacklevel=2)


def _check_uniform(values: dict[int, str], noun: str, describe: _Describe) -> None:
    counts = Counter(values.values())
    if len(counts) <= 1:
        return
    listed = shorten(f"{value}: {count} images" for value, count in counts.most_common())
    first_rows: dict[str, int] = {}
    for row in sorted(values):
        first_rows.setdefault(values[row], row)
    one, other = (describe(row) for row in list(first_rows.values())[:2])
    raise DataError(
        f"Images must all be of one {noun}, but there are {len(counts)} ({listed}), for example"
        f" {one} and {other}. {_UNIFORM_ADVICE[noun]}"
    )


_UNIFORM_ADVICE = {
    "size": "Nothing is resized silently: set resize=(height, width) to make them equal.",
    "kind": "Nothing is converted silently: save all as grey, Image.open(path).convert('L'), or all"
    " as colour, convert('RGB').",
}
