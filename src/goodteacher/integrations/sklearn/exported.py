"""What the export of a table's student wrote, how it compares, and how good the student is."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from goodteacher.config import Frozen
from goodteacher.integrations.sklearn.table_inputs import Columns
from goodteacher.records import Answer, ClassChange, ExportedFile, Quality, Size, Timed


class TableCard(Frozen):
    """What a table's student is: in ``export.json``, and in the metadata of its file."""

    schema_version: Literal[1] = 1
    student: str = Field(description="its steps, or the specification of a network")
    class_names: tuple[str, ...] = Field(description="in the order of the probabilities")
    columns: Columns = Field(description="that the file takes by name; none for one tensor, inputs")
    num_columns: int
    learned_from: str = Field(description="distilled, hard_labels or label_smoothing")
    recipe: str = Field(description="the best of the temperatures and alphas that were tried")
    fingerprint: str = Field(default="", description="of the data, where there is one")
    opsets: dict[str, int] = Field(description="of the file, by domain")
    versions: dict[str, str] = Field(description="of the packages that made it")


class TableExport(Frozen):
    """Content of ``export.json`` of a table's student."""

    schema_version: Literal[1] = 1
    card: TableCard
    answer: Answer = Field(description="whether to distill, as the fit found")
    summary: str
    files: tuple[ExportedFile, ...]
    ties: int = Field(
        description="rows for which file and student predict different classes that are equally "
        "probable to the student (within 1e-6)"
    )
    size: Size | None = Field(default=None, description="of one of the library's own")
    student: Quality | None = Field(default=None, description="where the rows came with classes")
    hard_labels: Quality | None = Field(
        default=None, description="of the student of hard labels, where another one is delivered"
    )
    changed_classes: tuple[ClassChange, ...] = Field(
        default=(), description="for which it is right more, or less, often than that one"
    )
    machine: str = Field(description="where times were measured")
    timed: tuple[Timed, ...]

    def __str__(self) -> str:
        file = self.files[0]
        told = (
            f"{file.file} ({file.num_bytes:,} bytes) answers as the student does on "
            f"{file.agreement.examples:,} rows."
        )
        if self.student is None:
            return told
        return f"{told} Accuracy there: {100 * self.student.accuracy.value:.2f} %."
