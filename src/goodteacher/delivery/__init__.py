"""Students that leave: written to a folder, read from one, checked, quantized and timed."""

from __future__ import annotations

from goodteacher.delivery.best import deliver_best, savings_of
from goodteacher.delivery.checks import (
    BATCH_SIZES,
    batches,
    check,
    compare,
    logits_on,
)
from goodteacher.delivery.classifier import TOLERANCE, Answers, Classifier, StudentCard
from goodteacher.delivery.export import load_student
from goodteacher.delivery.formats import FORMATS, Format
from goodteacher.delivery.graph import OUTPUTS, quiet, reason
from goodteacher.delivery.latency import batches_of, measure_latencies
from goodteacher.delivery.onnx_model import ONNX_FILE, OPSET, Onnx, read_onnx
from goodteacher.delivery.quality import class_changes, quality_of
from goodteacher.delivery.quantization import INT8_FILE, in_8_bits
from goodteacher.delivery.size import size_of

__all__ = [
    "BATCH_SIZES",
    "FORMATS",
    "INT8_FILE",
    "ONNX_FILE",
    "OPSET",
    "OUTPUTS",
    "TOLERANCE",
    "Answers",
    "Classifier",
    "Format",
    "Onnx",
    "StudentCard",
    "batches",
    "batches_of",
    "check",
    "class_changes",
    "compare",
    "deliver_best",
    "in_8_bits",
    "load_student",
    "logits_on",
    "measure_latencies",
    "quality_of",
    "quiet",
    "read_onnx",
    "reason",
    "savings_of",
    "size_of",
]
