"""What an export wrote, and how good, how large and how fast the student is beside its teacher."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from goodteacher.config import Frozen
from goodteacher.records.latencies import Latency
from goodteacher.records.results import Pair


class Agreement(Frozen):
    """How what was written compares with the student."""

    examples: int
    largest_difference: float = Field(description="of any logit")
    allowed_difference: float
    changed: int = Field(description="examples whose predicted class is another")

    @property
    def holds(self) -> bool:
        """Whether it answers as the student does."""
        return not self.changed and self.largest_difference <= self.allowed_difference


class ExportedFile(Frozen):
    """What was written of one format."""

    format: str
    file: str = Field(description="or folder, below that of the export")
    num_bytes: int = Field(description="of all its files")
    agreement: Agreement = Field(description="with the student, on the test split")


class Estimated(Frozen):
    """A value of one model with its 95 % interval over test examples."""

    value: float
    interval: Pair


class Covered(Frozen):
    """How often a model is right about the examples that it is surest of."""

    coverage: float = Field(description="their share")
    accuracy: float


class ReliabilityBin(Frozen):
    """Examples of which a model is about equally sure."""

    num_examples: int
    confidence: float = Field(description="mean probability of the predicted class")
    accuracy: float


class Quality(Frozen):
    """A model on the test split."""

    num_examples: int
    accuracy: Estimated
    nll: Estimated = Field(description="negative log-likelihood, nats, of calibrated probabilities")
    brier: Estimated = Field(description="0 to 2, of calibrated probabilities")
    calibration_error: Estimated = Field(
        description="of calibrated probabilities, 15 bins of equal size"
    )
    uncalibrated_nll: float
    uncalibrated_calibration_error: float
    reliability: tuple[ReliabilityBin, ...] = Field(
        default=(), description="calibrated, bins of equal size by confidence, the least sure first"
    )
    uncalibrated_reliability: tuple[ReliabilityBin, ...] = ()
    covered: tuple[Covered, ...] = Field(
        description="accuracy where less sure answers are left out"
    )


class ClassChange(Frozen):
    """A class about which one student is right more, or less, often than another."""

    name: str
    num_examples: int
    difference: float
    interval: Pair = Field(description="joint over all classes")


class Size(Frozen):
    """How large a network is."""

    parameters: int
    multiply_adds: int = Field(
        description="for one example: of matrix products and convolutions, which are nearly all"
    )


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
    """How long a model takes in one runtime, on one thread."""

    runtime: str
    latencies: tuple[Latency, ...]


class QuantizedTeacher(Frozen):
    """The competitor of every student: its teacher in 8 bits, made as a student's file is."""

    num_bytes: int = Field(description="of the ONNX file")
    quality: Quality
    difference: float = Field(description="accuracy on the test split, student minus this teacher")
    interval: Pair = Field(description="of that difference, over examples")
    student_smaller: bool = Field(description="the smallest ONNX file of the student is")
    student_faster: bool = Field(
        description="an ONNX file of the student is, for one of the batch sizes, by quartiles that "
        "do not overlap"
    )

    @property
    def student_more_accurate(self) -> bool:
        """Whether it is shown that the student is right more often: by all of the interval."""
        return self.interval[0] > 0

    @property
    def wins(self) -> bool:
        """Whether nothing is shown that speaks for the student: size, speed or accuracy."""
        return not (self.student_smaller or self.student_faster or self.student_more_accurate)


class ExportedTeacher(Frozen):
    """The study's most accurate teacher, measured as the student is."""

    name: str
    architecture: str | None = None
    size: Size | None = None
    num_bytes: int | None = Field(default=None, description="of its checkpoint")
    quality: Quality | None = Field(default=None, description="on the test split")
    timed: tuple[Timed, ...] = ()
    why_not_run: str | None = Field(
        default=None, description="why size and times are missing, where they are"
    )
    quantized: QuantizedTeacher | None = None
    why_not_quantized: str | None = None


class Export(Frozen):
    """Content of ``export.json``."""

    schema_version: Literal[1] = 1
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
    teacher: ExportedTeacher
    files: tuple[ExportedFile, ...]
    int8: Int8 | None = None
    machine: str = Field(description="where times were measured")
    timed: tuple[Timed, ...]
