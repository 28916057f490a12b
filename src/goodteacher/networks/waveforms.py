"""Waveforms as networks of transformers want them: each brought to one loudness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from goodteacher.data import InputSpec, numbers_spec
from goodteacher.errors import DataError

_ROOM = 1e-7
"""Added to the variance, as transformers' extractors do, so that silence stays finite."""


class Waveform(nn.Module):
    """Samples of sound, and each example with mean 0 and variance 1 where that is wanted.

    Args:
        rate: Samples a second that the network was made for; nothing is resampled.
        standardize: Whether each example is standardised: ``(x - mean) / sqrt(variance + 1e-7)``.

    Example:
        >>> Waveform(16_000, standardize=True)(torch.tensor([[1.0, 3.0]])).tolist()
        [[-1.0, 1.0]]
    """

    from_texts = False

    def __init__(self, rate: int, *, standardize: bool) -> None:
        super().__init__()
        if rate < 1:
            raise DataError(
                f"Sound must have at least one sample per second, but has {rate}. Was "
                "the file edited?"
            )
        self.rate, self.standardize = rate, standardize

    @property
    def blank(self) -> Tensor:
        """Zero, which is silence."""
        return torch.zeros(())

    def output(self, spec: InputSpec) -> InputSpec:
        """Say that samples stay samples.

        Raises:
            ValueError: Stored examples are no rows of numbers.
        """
        if spec.kind not in ("numbers", "integers") or len(spec.shape) != 1:
            raise ValueError(f"{spec} are not waveforms, which are rows of numbers")
        return numbers_spec(spec.shape)

    def forward(self, raw: Tensor) -> Tensor:
        """Return float32 waveforms [N, L]; a copy."""
        waves = raw.to(torch.float32, copy=True)
        if not self.standardize:
            return waves
        centred = waves - waves.mean(dim=1, keepdim=True)
        variance = centred.square().mean(dim=1, keepdim=True)
        return centred / (variance + _ROOM).sqrt()

    def extra_repr(self) -> str:
        """Tell what is done."""
        return f"{self.rate} samples per second, standardize={self.standardize}"

    def to_dict(self) -> dict[str, Any]:
        """Return what it was made of."""
        return {"rate": self.rate, "standardize": self.standardize}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Waveform:
        """Return one of what :meth:`to_dict` returned."""
        return cls(int(record["rate"]), standardize=bool(record["standardize"]))
