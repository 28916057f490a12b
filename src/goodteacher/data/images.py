"""Decode images without loss and without silent choices: into one ``uint8`` tensor, if it fits.

The rule for colour: an image becomes **grey** (one channel) or **colour** (three channels, RGB),
whichever it is. Palette, CMYK and YCbCr images are colour; bilevel ones are grey. An alpha channel
is dropped where it is opaque everywhere, and refused where it is not, since what lies behind it is
not known. More than 8 bits per channel is refused, since ``uint8`` would lose them. All images of
a data set must be of one kind and one size; `resize` is the named way to make sizes equal. An
EXIF orientation is applied. The `datasets` library decodes each image as it is, so modes and sizes
mix in one column.
"""

from __future__ import annotations

import math
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import psutil
import torch
from PIL import Image
from torch import Tensor

from goodteacher.data.bounds import check_shape, inherited
from goodteacher.data.encoded import Describe, Many, OnDemand, decoding_threads
from goodteacher.data.listing import shorten
from goodteacher.data.pixels import SMALLER, Pixels, Unsuitable, read_pixels, resize_image
from goodteacher.errors import ConfigError, DataError

_Whole = npt.NDArray[np.int32]
_Rows = npt.NDArray[np.int64]

_IMAGES_AT_ONCE = 256

_SHARE_OF_FREE = 0.25
"""Share of the free memory that decoded images may take: dividing them copies them once more."""


@dataclass(frozen=True)
class ImageOptions:
    """Say how images that are not uniform and sound are treated.

    Attributes:
        resize: ``(height, width)`` in pixels that every image gets (bilinear, antialiased), or
            None: sizes must be equal already.
        skip_corrupt: leave out images that cannot be read, with a warning that counts them, instead
            of refusing the data.
        images_gib: GiB that the decoded images of a split may take; more are decoded whenever they
            are needed. None for a quarter of the memory that is free.

    Raises:
        ConfigError: ``resize`` is not two positive integers, or ``images_gib`` is not above 0.
    """

    resize: tuple[int, int] | None = None
    skip_corrupt: bool = False
    images_gib: float | None = None

    @property
    def most_bytes(self) -> float:
        """Bytes that the decoded images of a split may take."""
        if self.images_gib is not None:
            return self.images_gib * 2**30
        return _SHARE_OF_FREE * float(psutil.virtual_memory().available)

    def __post_init__(self) -> None:
        if self.images_gib is not None and not self.images_gib > 0:
            raise ConfigError(f"images_gib must be above 0, but is {self.images_gib}.")
        given: object = self.resize
        pair = isinstance(given, tuple | list) and len(given) == 2
        if given is not None and not (pair and min(self.resize or ()) >= 1):
            raise ConfigError(
                f"resize must be (height, width) in pixels, both at least 1, but is {self.resize}."
                " For example resize=(32, 32)."
            )


def decode_images(
    encoded: Many, *, describe: Describe, options: ImageOptions
) -> tuple[Tensor | OnDemand, npt.NDArray[np.int64]]:
    """Decode all images, and keep them decoded where they fit into the memory they may take.

    Args:
        encoded: bytes-like objects, paths, or None (which counts as corrupt).
        describe: names an image in messages, given its position.
        options: see `ImageOptions`.

    Returns:
        The images, ``uint8 [num_kept, channels, height, width]`` or `OnDemand`, and the positions
        kept, ``int64 [num_kept]``: all of them, unless corrupt images were skipped.

    Raises:
        DataError: Images are corrupt, differ in size or kind, or would lose information.

    Example:
        >>> import io
        >>> buffer = io.BytesIO()
        >>> Image.new("L", (3, 2), color=7).save(buffer, "PNG")
        >>> images, kept = decode_images(
        ...     [buffer.getvalue()], describe="image {}".format, options=ImageOptions()
        ... )
        >>> images.shape, images.unique().item(), kept.tolist()
        (torch.Size([1, 1, 2, 3]), 7, [0])
    """
    decoder = _Decoder(encoded, options)
    decoder.run()
    _check_suitable(decoder.unsuitable, len(encoded), describe)
    _check_corrupt(decoder.corrupt, len(encoded), describe, options)
    kept = np.flatnonzero(decoder.shapes[:, 0]).astype(np.int64)
    _check_uniform(decoder.shapes[kept, 0], kept, "kind", describe)
    _check_uniform(decoder.shapes[kept, 1:], kept, "size", describe)
    if decoder.images is None:
        return OnDemand(encoded, kept, decoder.shape, describe, options.resize), kept
    images = torch.from_numpy(decoder.images)
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
    shape = (*images.shape[:2], *size)
    check_shape(shape, 1, f"{len(images)} images resized to {size[0]}x{size[1]}", advice=SMALLER)
    resized = np.empty(shape, dtype=np.uint8)
    for target, image in zip(resized, images.numpy(), strict=True):
        for target_channel, channel in zip(target, image, strict=True):
            target_channel[:] = resize_image(Image.fromarray(channel), size)
    return torch.from_numpy(resized)


class _Decoder:
    """Decode all, into one array if it may be so large, and note the shape of each or its fault.

    Threads write to rows and keys of their own only.
    """

    def __init__(self, encoded: Many, options: ImageOptions) -> None:
        self.images: Pixels | None = None
        self.shape = (0, 0, 0)
        self.shapes = np.zeros((len(encoded), 3), dtype=np.int32)
        self.corrupt: dict[int, str] = {}
        self.unsuitable: dict[int, str] = {}
        self._encoded = encoded
        self._options = options

    def run(self) -> None:
        """Decode up to the first sound image, which fixes the shape, then the rest at once."""
        num_images = len(self._encoded)
        start = 0
        while start < num_images and not any(self.shape):
            self._decode(start)
            start += 1
        chunks = [
            range(first, min(first + _IMAGES_AT_ONCE, num_images))
            for first in range(start, num_images, _IMAGES_AT_ONCE)
        ]
        threads = decoding_threads(self.shape[1] * self.shape[2])
        with ThreadPoolExecutor(threads, initializer=inherited()) as pool:
            try:
                list(pool.map(self._decode_all, chunks))
            except BaseException:  # such as Ctrl-C: what has not been begun is not waited for
                pool.shutdown(cancel_futures=True)
                raise

    def _decode_all(self, rows: range) -> None:
        for row in rows:
            self._decode(row)

    def _decode(self, row: int) -> None:
        try:
            pixels = read_pixels(self._encoded[row], self._options.resize)
        except Unsuitable as error:
            self.unsuitable[row] = str(error)
            return
        except DataError:
            raise
        except Exception as error:  # Pillow raises many types for bytes that are no image
            self.corrupt[row] = f"{type(error).__name__}: {error}"
            return
        if not any(self.shape):
            self._begin(pixels)
        self.shapes[row] = pixels.shape
        if self.images is not None and pixels.shape == self.shape:
            self.images[row] = pixels

    def _begin(self, first: Pixels) -> None:
        channels, height, width = self.shape = first.shape
        whole = (len(self._encoded), channels, height, width)
        if math.prod(whole) <= self._options.most_bytes:
            self.images = np.empty(whole, dtype=np.uint8)


def _check_suitable(unsuitable: dict[int, str], num_images: int, describe: Describe) -> None:
    if unsuitable:
        row = min(unsuitable)
        raise DataError(
            f"{len(unsuitable)} of {num_images} images cannot be kept as 8-bit grey or RGB "
            f"without loss (first: {describe(row)}: {unsuitable[row]}). Put transparent images on "
            "a background, and reduce images with more than 8 bits per channel to 8 bits, before "
            "loading them."
        )


def _check_corrupt(
    corrupt: dict[int, str], num_images: int, describe: Describe, options: ImageOptions
) -> None:
    if not corrupt:
        return
    rows = sorted(corrupt)
    found = (
        f"{len(rows)} of {num_images} images cannot be read: {shorten(map(describe, rows))} (the "
        f"first: {corrupt[rows[0]]})"
    )
    if not options.skip_corrupt or len(rows) == num_images:
        raise DataError(
            f"{found}. Is the download incomplete? Download the data again, or set "
            "skip_corrupt=True to leave these images out."
        )
    warnings.warn(
        f"skip_corrupt is set, so these were left out: {found}.", UserWarning, stacklevel=2
    )


def _check_uniform(
    values: _Whole, rows: npt.NDArray[np.int64], noun: str, describe: Describe
) -> None:
    """Refuse images that differ.

    Args:
        values: What must be the same, int [num_images, ...].
        rows: Which images these are.
        noun: What it is.
        describe: names an image in messages.
    """
    found, first, counts = np.unique(values, axis=0, return_index=True, return_counts=True)
    if len(found) <= 1:
        return
    order = np.lexsort((first, -counts))
    told = [f"{_shown(found[n])}: {counts[n]} images" for n in order]
    one, other = (describe(int(row)) for row in rows[np.sort(first)[:2]])
    raise DataError(
        f"Images must all be of one {noun}, but there are {len(found)} ({shorten(told)}), for "
        f"example {one} and {other}. {_UNIFORM_ADVICE[noun]}"
    )


def _shown(value: _Whole) -> str:
    """Return the size, or the kind by the number of channels."""
    return "x".join(map(str, value)) if value.ndim else ("grey" if value == 1 else "colour")


_UNIFORM_ADVICE = {
    "size": "Nothing is resized silently: set resize=(height, width) to make them equal.",
    "kind": "Nothing is converted silently: save all of them as grey, "
    "Image.open(path).convert('L'), or all as colour, Image.open(path).convert('RGB').",
}
