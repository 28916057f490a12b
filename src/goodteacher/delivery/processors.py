"""How an ``hf:`` student of images or sound wants its inputs, as transformers' own processors say.

An image processor of transformers resizes by Pillow, which rounds to bytes; a student's own steps
round nothing. So where images are resized, logits differ a little, and `ROUNDED` is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from goodteacher.errors import ModelError
from goodteacher.networks import Preparation

ROUNDED = 0.05
"""Largest difference of logits up to 10 where a processor rounds pixels that are resized."""

_FILTERS = {"nearest": 0, "bilinear": 2, "bicubic": 3}
"""The numbers that Pillow gives its filters."""

_WAY_OUT = "Use --format onnx, torch or safetensors."


def image_settings(preparation: Preparation, name: str) -> dict[str, Any]:
    """Return the settings of an image processor that does what a preparation does.

    Args:
        preparation: Of a student of images: size, window, channels, mean and standard deviation.
        name: Of the student, for messages.

    Raises:
        ModelError: It does something that such a processor does not do.
    """
    found: dict[str, Any] = {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": False,
        "do_center_crop": False,
        "do_rescale": True,
        "do_normalize": True,
    }
    for step in preparation.to_dict().get("steps", ()):
        settings = _of_image_step(step)
        if settings is None:
            raise ModelError(
                f"What {name!r} does to images ({step['kind']}) cannot be done in the same way by "
                f"an image processor of transformers. {_WAY_OUT}"
            )
        found |= settings
    if "image_mean" not in found:
        raise ModelError(f"{name!r} does not normalise images, but transformers does. {_WAY_OUT}")
    return found


def sound_settings(preparation: Preparation, name: str) -> dict[str, Any]:
    """Return the settings of a feature extractor of waveforms.

    Args:
        preparation: Of a student of sound.
        name: Of the student, for messages.

    Raises:
        ModelError: It does more than standardising each waveform.
    """
    steps = preparation.to_dict().get("steps", ())
    if [step["kind"] for step in steps] != ["waveform"]:
        raise ModelError(
            f"What {name!r} does to sound cannot be done by a feature extractor of transformers. "
            f"{_WAY_OUT}"
        )
    return {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "sampling_rate": steps[0]["rate"],
        "padding_value": 0.0,
        "do_normalize": steps[0]["standardize"],
        "return_attention_mask": False,
    }


def pictures(images: torch.Tensor) -> list[Any]:
    """Return images of Pillow.

    Args:
        images: uint8 [N, 1 or 3, height, width].
    """
    from PIL import Image

    return [
        Image.fromarray(np.ascontiguousarray(one[0] if len(one) == 1 else one.transpose(1, 2, 0)))
        for one in images.numpy()
    ]


def _of_image_step(step: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a step sets; None where no setting does the same."""
    kind = step["kind"]
    if kind == "resize" and step["mode"] in _FILTERS:
        size = _size(step["size"])
        return {"do_resize": True, "size": size, "resample": _FILTERS[step["mode"]]}
    if kind == "crop":
        size = _size(step["window"][2:])
        return {"do_center_crop": True, "crop_size": size}
    if kind == "channels" and list(step["order"]) == [0, 0, 0]:
        return {}  # gray images become red, green and blue
    if kind == "normalize":
        mean, std = (np.array(step[part]).reshape(-1).tolist() for part in ("mean", "std"))
        scale = {"rescale_factor": 1 / float(step["unit"])}
        return {**scale, "image_mean": _three(mean), "image_std": _three(std)}
    return None


def _size(sides: Sequence[int]) -> dict[str, int]:
    return {"height": int(sides[0]), "width": int(sides[1])}


def _three(values: list[float]) -> list[float]:
    return values * 3 if len(values) == 1 else values
