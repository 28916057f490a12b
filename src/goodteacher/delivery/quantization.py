"""ONNX files in 8 bits: weights for each channel, activations by what real examples make of them.

Static quantization: the ranges of activations are measured on transfer examples beforehand, and
stand in the file. Dynamic quantization, which measures them for each batch, is not offered: it
slows convolutions down and has cost students many points.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from goodteacher.data import Split
from goodteacher.delivery.checks import batches
from goodteacher.delivery.graph import quiet, reason
from goodteacher.delivery.onnx_model import ONNX_FILE, OnnxClassifier, needed, read_onnx
from goodteacher.errors import ModelError

INT8_FILE = "model.int8.onnx"

_OPERATORS = ("Conv", "MatMul", "Gemm")
"""What is quantized: where nearly all arithmetic is. Scaling of images stays in floats."""


_RANGES = 512
"""Transfer examples that say in which range activations lie."""


def in_8_bits(folder: Path, transfer: Split) -> OnnxClassifier:
    """Write a folder's ``model.onnx`` in 8 bits beside it, and return what was written.

    Args:
        folder: Where ``model.onnx`` is.
        transfer: The transfer set; a few of its examples say in which range activations lie.

    Raises:
        ModelError: It cannot be quantized.
    """
    floats = read_onnx(folder / ONNX_FILE)
    places = torch.linspace(0, len(transfer) - 1, min(len(transfer), _RANGES)).round().long()
    few = batches(transfer.subset(places), 64)
    quantize(folder / ONNX_FILE, folder / INT8_FILE, (floats.arrays(batch) for batch in few))
    return read_onnx(folder / INT8_FILE)


def quantize(source: Path, target: Path, examples: Iterable[Mapping[str, Any]]) -> None:
    """Write an ONNX file in 8 bits.

    Args:
        source: The file in floats.
        target: The file in 8 bits.
        examples: Batches of what the graph takes, as arrays by the names of its inputs; they say
            in which range activations lie.

    Raises:
        ModelError: It cannot be quantized.
    """
    quantization: Any = needed("onnxruntime.quantization")
    with TemporaryDirectory() as scratch, quiet("onnxruntime"), _silent_root():
        prepared = Path(scratch) / "prepared.onnx"
        try:
            needed("onnxruntime.quantization.shape_inference").quant_pre_process(
                str(source), str(prepared), skip_symbolic_shape=True
            )
            quantization.quantize_static(
                str(prepared),
                str(target),
                _reader(quantization, examples),
                quant_format=quantization.QuantFormat.QDQ,
                activation_type=quantization.QuantType.QInt8,
                weight_type=quantization.QuantType.QInt8,
                per_channel=True,
                op_types_to_quantize=list(_OPERATORS),
            )
        except Exception as error:  # of many kinds, by operator
            raise ModelError(
                f"{source.name} cannot be quantized: {reason(error)}. Export it without --int8."
            ) from error


def _reader(quantization: Any, examples: Iterable[Mapping[str, Any]]) -> Any:
    rows: Iterator[Mapping[str, Any]] = iter(examples)

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        """Gives the package one batch after another, as it asks for them."""

        def get_next(self) -> Mapping[str, Any] | None:
            """Return the next batch, or None."""
            return next(rows, None)

    return Reader()


@contextmanager
def _silent_root() -> Iterator[None]:
    """Keep the package, which logs to the root logger, from advising what was chosen not to do."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
