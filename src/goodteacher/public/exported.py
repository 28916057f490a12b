"""What an export wrote, how it compares with the student, and how good that is."""

from __future__ import annotations

from pydantic import Field

from goodteacher.config import Frozen
from goodteacher.delivery import Agreement, ClassChange, Quality, Size
from goodteacher.records import Latency, Pair


class ExportedFile(Frozen):
    """What was written of one format."""

    format: str
    file: str = Field(description="or folder, below that of the export")
    num_bytes: int = Field(description="of all its files")
    agreement: Agreement = Field(description="with the student, on the test split")


class Int8(Frozen):
    """The student in 8 bits beside itself in floats."""

    delivered: bool
    selection_loss: float = Field(description="accuracy lost on the selection split")
    max_loss: float = Field(description="what it may be")
    num_bytes: int
    test_difference: float | None = Field(
        default=None, description="accuracy on the test split, 8 bits minus floats"
    )
    interval: Pair | None = Field(default=None, description="of that difference, over examples")
    changed: int | None = Field(default=None, description="test examples predicted otherwise")
    examples: int | None = None


class Timed(Frozen):
    """How long the student takes in one runtime, on one thread."""

    runtime: str
    latencies: tuple[Latency, ...]


class Export(Frozen):
    """Content of ``export.json``."""

    schema_version: int = 1
    architecture: str
    size: Size
    temperature: float = Field(description="by which logits are divided for probabilities")
    student: Quality = Field(description="of the delivered student, on the test split")
    hard_labels: Quality | None = Field(
        default=None, description="of the student of hard labels, where another one is delivered"
    )
    changed_classes: tuple[ClassChange, ...] = Field(
        default=(), description="about which it is right more, or less, often than that one"
    )
    files: tuple[ExportedFile, ...]
    int8: Int8 | None = None
    machine: str = Field(description="where times were measured")
    timed: tuple[Timed, ...]
