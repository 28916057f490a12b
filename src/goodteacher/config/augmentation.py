"""What may happen to images: the value of the setting ``augment``.

How it is done to images is in :mod:`goodteacher.data.views`; this module loads without PyTorch, as
settings must.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType

from goodteacher.errors import ConfigError


@dataclass(frozen=True)
class Augmentation:
    """What may happen to an image. Nothing does by default.

    Attributes:
        flip: Mirror left and right, for half of the images.
        crop: Pad each side with this many black pixels, and cut a window of the old size.
        cutout: Side in pixels of a square that is set to the mean of the training images (0 after
            normalisation). Its centre lies anywhere, so part of it may fall outside.
        mixup: Parameter a of Beta(a, a): an image and the labels are mixed with another's in a
            share drawn from it.

    Sources: DeVries & Taylor, *Improved Regularization of Convolutional Neural Networks with
    Cutout*, 2017 (arXiv 1708.04552); Zhang et al., *mixup*, 2018 (arXiv 1710.09412).
    """

    flip: bool = False
    crop: int = 0
    cutout: int = 0
    mixup: float = 0.0

    @classmethod
    def parse(cls, specs: Sequence[str]) -> Augmentation:
        """Read names with sizes, as the setting ``augment`` gives them.

        Args:
            specs: Any of ``flip``, ``crop:PIXELS`` (4 if left out), ``cutout:PIXELS`` (8) and
                ``mixup:A`` (0.2), each at most once.

        Raises:
            ConfigError: A name is unknown or comes twice, or a size is not allowed.

        Example:
            >>> Augmentation.parse(["flip", "crop"])
            Augmentation(flip=True, crop=4, cutout=0, mixup=0.0)
        """
        found: dict[str, bool | int | float] = {}
        for spec in specs:
            name, _, size = spec.partition(":")
            if name not in _READERS:
                raise ConfigError(
                    f"augment can be {', '.join(_READERS)}, but got {spec!r}. A size is given "
                    "after a colon, as in crop:4."
                )
            if name in found:
                raise ConfigError(f"augment may name {name} once, but got {', '.join(specs)}.")
            found[name] = _READERS[name](size)
        return cls(**found)  # type: ignore[arg-type]  # each reader gives its field's type

    def __bool__(self) -> bool:
        """Say whether anything may happen to an image."""
        return self != Augmentation()

    def __str__(self) -> str:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        shown = [n if v is True else f"{n}:{v:g}" for n, v in values.items() if v]
        return ",".join(shown) or "none"


def _read_flip(size: str) -> bool:
    if size:
        raise ConfigError(f"flip has no size, but got flip:{size}. Give flip.")
    return True


def _reader(name: str, default: float, kind: type[int] | type[float]) -> Callable[[str], float]:
    def read(size: str) -> float:
        try:
            value = kind(size) if size else kind(default)
        except ValueError:
            value = kind(-1)
        if not (value > 0 and math.isfinite(value)):
            unit = "a whole number of pixels" if kind is int else "a number"
            raise ConfigError(
                f"{name} takes {unit} above 0 after the colon, but got {name}:{size}. Write, for "
                f"example, {name}:{default:g}."
            )
        return value

    return read


_READERS: Mapping[str, Callable[[str], bool | float]] = MappingProxyType(
    {
        "flip": _read_flip,
        "crop": _reader("crop", 4, int),
        "cutout": _reader("cutout", 8, int),
        "mixup": _reader("mixup", 0.2, float),
    }
)
