"""A network's own processor of images or sound, as steps of ours.

A processor of transformers, or a transform of timm or torchvision, is read once, while a study is
set up: sizes, filter, window, mean and standard deviation. What is stored and delivered are those
numbers (`image_steps`, `waveforms`), so that a student asks for no package, folder or hub. Whether
the steps do what the processor does is not believed but tried, on images of noise: one that does
anything else is refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from goodteacher.data import InputSpec
from goodteacher.errors import ModelError
from goodteacher.networks.image_steps import Channels, Crop, Resize
from goodteacher.networks.normalization import Normalization
from goodteacher.networks.preparation import Chain, Preparation
from goodteacher.networks.pretrained import _explained, _quiet, _source, _transformers
from goodteacher.networks.waveforms import Waveform

_TRIED = 2
"""Images of noise on which steps and processor must agree."""

LEVELS = 2.0
"""Of 255: what rounding to bytes, twice, may change in Pillow."""

_FILTERS = {0: "nearest", 2: "bilinear", 3: "bicubic"}
"""The numbers that Pillow gives its filters, of those that we have."""

_PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pixels:
    """What a library does with an image of bytes.

    Attributes:
        resize: Height and width, or the length of the shorter side; None keeps the size.
        mode: One of `MODES`.
        crop: Height and width of the window in the middle; None takes the whole image.
        mean: Of each channel, after division by the unit.
        std: Of each channel.
        unit: What bytes are divided by.
        turned: Whether channels are in the order blue, green, red.
        rounds: Where the middle is, if it is between two pixels: down, or to the even one.
    """

    resize: tuple[int, int] | int | None
    mode: str
    crop: tuple[int, int] | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    unit: float = 255.0
    turned: bool = False
    rounds: Literal["down", "even"] = "even"

    def steps(self, stored: InputSpec) -> Chain:
        """Return the steps for images of one size.

        Args:
            stored: What a stored image is: gray ones become red, green and blue.
        """
        size, steps = stored.shape[1:], list[Preparation]()
        if self.resize is not None:
            wanted = self._whole(*size)
            steps += [Resize(*wanted, self.mode)] if wanted != size else []
            size = wanted
        if self.crop is not None and self.crop != size:
            steps.append(Crop(*self._corner(size, self.crop), *self.crop))
        if stored.shape[0] == 1:  # last, so that one channel is resized and not three
            steps.append(Channels((0, 0, 0)))
        elif self.turned:
            steps.append(Channels((2, 1, 0)))
        mean, std = (torch.tensor(values)[:, None, None] for values in (self.mean, self.std))
        return Chain(*steps, Normalization(mean, std, self.unit))

    def at(self, size: tuple[int, int]) -> Pixels:
        """Return the same for whole images of a size, in pixels."""
        return dataclasses.replace(self, resize=size, crop=None)

    def _whole(self, height: int, width: int) -> tuple[int, int]:
        if isinstance(self.resize, tuple):
            return self.resize
        shorter, wanted = min(height, width), int(self.resize or 0)
        long = int(wanted * max(height, width) / shorter)
        return (wanted, long) if height <= width else (long, wanted)

    def _corner(self, size: tuple[int, ...], crop: tuple[int, int]) -> tuple[int, int]:
        gaps = [there - wanted for there, wanted in zip(size, crop, strict=True)]
        if self.rounds == "down":
            return gaps[0] // 2, gaps[1] // 2
        return round(gaps[0] / 2), round(gaps[1] / 2)


def pixels_of(
    name: str,
    candidates: Iterable[Pixels],
    theirs: Callable[[Any], Tensor],
    stored: InputSpec,
    size: tuple[int, int] | None,
) -> Chain:
    """Return the steps that do what a library's own processing does.

    Args:
        name: The network's, for messages.
        candidates: What the processing may be, the likeliest first.
        theirs: The processing itself: from an image of Pillow to float32 [3, height, width].
        stored: What a stored image is.
        size: Height and width in pixels, where the network asks for other ones than its own.

    Raises:
        ModelError: Stored images have neither one channel nor three, or no candidate does the same.
    """
    if stored.shape[0] not in (1, 3):
        raise ModelError(
            f"The network {name!r} takes images with red, green and blue, but the images of these "
            f"data have {stored.shape[0]} channels ({stored}). Convert them, or leave out the "
            "channels that it cannot use."
        )
    images = _noise(stored)
    expected = torch.stack([theirs(_picture(image)) for image in images])
    for candidate in candidates:
        if _agree(candidate, candidate.steps(stored)(images), expected):
            return (candidate.at(size) if size else candidate).steps(stored)
    raise ModelError(
        f"{name!r} prepares images with more than resizing, a crop in the middle, and a mean and "
        "standard deviation of each channel, so its preparation cannot be stored with a student. "
        "Choose another one, @resize:SIDE, or python:package.module:factory with a factory that "
        "returns a network that includes its preparation."
    )


def hugging_face_pixels(name: str, stored: InputSpec, size: tuple[int, int] | None) -> Chain:
    """Return what the image processor of a model of transformers does.

    Args:
        name: Of the folder, or of the model of the hub.
        stored: What a stored image is.
        size: Height and width in pixels, where others than the processor's are wanted.

    Raises:
        ModelError: There is no processor, or it does what our steps cannot do.
    """
    processor = _processor(name, "AutoImageProcessor", "images")

    def theirs(image: Any) -> Tensor:
        with _explained(name, "has a processor that does not take images"):
            found = processor(image, return_tensors="pt")["pixel_values"]
            return torch.as_tensor(found)[0].float()

    fields = processor.to_dict()
    return pixels_of(f"hf:{name}", _pixels_in(fields), theirs, stored, size)


def hugging_face_waveform(name: str, stored: InputSpec) -> Chain:
    """Return what the feature extractor of a model of transformers does to waveforms.

    Args:
        name: Of the folder, or of the model of the hub.
        stored: What a stored waveform is: a row of numbers.

    Raises:
        ModelError: There is no extractor, or it makes something else of them: a spectrogram.
    """
    extractor = _processor(name, "AutoFeatureExtractor", "sound")
    rate = int(getattr(extractor, "sampling_rate", 0) or 0)
    waves = torch.randn(_TRIED, *stored.shape, generator=torch.Generator().manual_seed(0)) + 0.5
    given = [wave.numpy() for wave in waves]
    found: Mapping[str, Any] = {}
    with _explained(name, "has a feature extractor that does not take waveforms"):
        found = extractor(given, sampling_rate=rate, return_tensors="np")
    expected = torch.as_tensor(np.asarray(found.get("input_values", [])))
    for standardize in (True, False):
        step = Waveform(max(rate, 1), standardize=standardize)
        if expected.shape == waves.shape and torch.allclose(step(waves), expected, atol=1e-4):
            return Chain(step)
    raise ModelError(
        f"The feature extractor of 'hf:{name}' ({type(extractor).__name__}) turns a waveform into "
        "something else, for example a spectrogram. Compute that once and give it as the data, "
        "with python:package.module:factory as the network; or choose a model that takes "
        "waveforms, for example Wav2Vec2 or HuBERT."
    )


def _processor(name: str, kind: str, what: str) -> Any:
    package, source = _transformers(), _source(name)
    if isinstance(source, Path) and not any((source / file).exists() for file in _PROCESSOR_FILES):
        raise ModelError(
            f"The folder of 'hf:{name}' does not say how to prepare {what}: neither "
            f"{' nor '.join(_PROCESSOR_FILES)} is there. Save it in the same folder: "
            "processor.save_pretrained(folder)."
        )
    with (
        _explained(name, f"has no processor of {what} that transformers can read"),
        _quiet(package),
    ):
        # By Pillow, whether or not torchvision is here too: the two place ties at other pixels.
        backend = {"backend": "pil"} if kind == "AutoImageProcessor" else {}
        return getattr(package, kind).from_pretrained(source, trust_remote_code=False, **backend)


def _pixels_in(fields: Mapping[str, Any]) -> list[Pixels]:
    """Return what a processor with these fields may do to an image."""
    mode = _FILTERS.get(int(fields.get("resample") or 0))
    size = dict(fields.get("size") or {})
    if mode is None or not set(size) <= {"height", "width", "shortest_edge"}:
        return []
    factor = float(fields.get("rescale_factor") or 1) if fields.get("do_rescale", True) else 1.0
    normalised = bool(fields.get("do_normalize", True)) and bool(fields.get("image_mean"))
    mean, std = (fields.get(f"image_{name}") if normalised else None for name in ("mean", "std"))
    resize, crop = _side(size), None
    if fields.get("do_center_crop") and fields.get("crop_size"):
        crop = _pair(_side(fields["crop_size"]))
    plain = Pixels(
        resize=resize if fields.get("do_resize", True) else None,
        mode=mode,
        crop=crop,
        mean=_three(mean, 0.0),
        std=_three(std, 1.0),
        unit=round(1 / factor, 6),
        turned=bool(fields.get("do_flip_channel_order")),
    )
    found = [plain, *_with_share(plain, fields, resize)]
    if fields.get("include_top"):  # EfficientNet's divides by the standard deviation twice
        twice = tuple(value**2 for value in plain.std)
        found += [dataclasses.replace(each, std=twice) for each in found]
    if normalised:  # MobileViT's keeps a mean that it never uses
        found += [dataclasses.replace(each, mean=(0.0,) * 3, std=(1.0,) * 3) for each in found]
    return [dataclasses.replace(each, rounds=rule) for each in found for rule in ("down", "even")]


def _with_share(
    plain: Pixels, fields: Mapping[str, Any], resize: tuple[int, int] | int
) -> list[Pixels]:
    """Return what a processor may do that keeps a share of the image, as ConvNeXt's does.

    LeViT's keeps 224 of 256 pixels, without a setting for that.
    """
    if not isinstance(resize, int):
        return []
    window = (resize, resize)
    larger = int(resize / fields["crop_pct"]) if fields.get("crop_pct") else int(256 / 224 * resize)
    return [
        dataclasses.replace(plain, resize=larger, crop=plain.crop or window),
        dataclasses.replace(plain, resize=window, crop=None),
    ]


def _side(size: Any) -> tuple[int, int] | int:
    if isinstance(size, int):
        return size
    if "shortest_edge" in size:
        return int(size["shortest_edge"])
    return int(size.get("height", 0)), int(size.get("width", 0))


def _pair(size: tuple[int, int] | int) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _three(values: Any, usual: float) -> tuple[float, ...]:
    if values is None:
        return (usual,) * 3
    listed = [float(value) for value in values] if isinstance(values, Sequence) else [float(values)]
    return tuple(listed * 3 if len(listed) == 1 else listed)


def _noise(stored: InputSpec) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (_TRIED, *stored.shape), generator=generator, dtype=torch.uint8)


def _picture(image: Tensor) -> Any:
    """Return an image of Pillow, gray ones with three channels."""
    from PIL import Image

    return Image.fromarray(image.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy())


def _agree(candidate: Pixels, found: Tensor, expected: Tensor) -> bool:
    if found.shape != expected.shape:
        return False
    room = LEVELS / candidate.unit / min(candidate.std) + 1e-4
    return bool((found - expected).abs().max() <= room)
