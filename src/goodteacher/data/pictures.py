"""Small pictures of examples, for pages that show them."""

from __future__ import annotations

import base64
import io

import torch
from PIL import Image
from torch import Tensor

LARGEST = 64
"""Pixels of a picture's longer side; larger images are shrunk, smaller ones kept as they are."""


def picture(image: Tensor) -> str:
    """Return an image as a PNG in base64, ready for a ``data:`` address.

    Args:
        image: As a `Split` holds it, ``uint8 [channels, height, width]``; three channels are
            colour, of any other number the first is shown in grey.

    Example:
        >>> import torch
        >>> picture(torch.zeros(1, 2, 2, dtype=torch.uint8))[:12]
        'iVBORw0KGgoA'
    """
    pixels = image.permute(1, 2, 0).numpy() if len(image) == 3 else image[0].numpy()
    shown = Image.fromarray(pixels)
    shown.thumbnail((LARGEST, LARGEST))
    buffer = io.BytesIO()
    shown.save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def heat_map(numbers: Tensor) -> str | None:
    """Return a table of numbers as a picture in grey, the lowest black and the highest white.

    Args:
        numbers: Any type and shape; axes of length 1 do not count. NaN and infinite values are
            black.

    Returns:
        As :func:`picture`; None unless two axes are longer than 1.

    Example:
        >>> import torch
        >>> heat_map(torch.zeros(3, 4)) is None, heat_map(torch.zeros(12)) is None
        (False, True)
    """
    table = numbers.squeeze()
    if table.ndim != 2:
        return None
    table = table.double()
    finite = table[table.isfinite()]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
    spread = float(high - low) or 1.0
    grey = (255 * (table - low) / spread).nan_to_num(0.0, 255.0, 0.0).clamp(0, 255)
    grey[~table.isfinite()] = 0
    return picture(grey.round().to(torch.uint8)[None])
