"""How a student is written, so that it runs somewhere: the port `Format`, and the table of them.

Every format passes ``tests/contracts/test_formats.py``. Several may lie in one folder: no two write
a file of the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from goodteacher.delivery.classifier import Answers, StudentCard
from goodteacher.delivery.exported_program import ExportedProgram
from goodteacher.delivery.hugging_face import HuggingFace
from goodteacher.delivery.onnx_model import Onnx
from goodteacher.delivery.safetensors_folder import Safetensors
from goodteacher.networks import Network, NetworkLike
from goodteacher.studies import Store


class Format(Protocol):
    """A way of writing a student into a folder, and of reading it back."""

    @property
    def name(self) -> str:
        """What users call it."""

    @property
    def file(self) -> str:
        """The file that holds the student, or the folder that all of its files are in."""

    def takes(self, card: StudentCard) -> bool:
        """Say whether a student of this kind can be written so."""

    def write(self, store: Store, folder: str, network: Network, card: StudentCard) -> None:
        """Write a student into a folder below a study's, its card last.

        Args:
            store: The study.
            folder: Where, below the study's folder.
            network: The student, trained.
            card: What it is.
        """

    def read(self, folder: Path, *, network: NetworkLike | None = None) -> Answers:
        """Return the student of a folder, ready to answer.

        Args:
            folder: What :meth:`write` wrote.
            network: Its network, where that was given in Python.

        Raises:
            StudyError: A file is missing or damaged; the message names it.
        """


FORMATS: Mapping[str, Format] = {
    form.name: form for form in (Safetensors(), Onnx(), ExportedProgram(), HuggingFace())
}
"""Formats by name."""
