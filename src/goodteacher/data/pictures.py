"""Small pictures of examples, for pages that show them."""

from __future__ import annotations

import base64
import io

from PIL import Image
from torch import Tensor

LARGEST = 96
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
