"""The format ``torch``: a program that PyTorch runs without goodteacher.

``model.pt2`` is what ``torch.export.save`` writes: ``torch.export.load`` gives a program from
examples as they are stored to logits and probabilities. What the student is stands in its extra
file ``card.json``.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from goodteacher.delivery.classifier import Answers, StudentCard
from goodteacher.delivery.companions import noted, read_companion, write_companion
from goodteacher.delivery.graph import Graph, as_taken, exported, quiet, reason
from goodteacher.errors import ModelError
from goodteacher.networks import (
    Network,
    NetworkLike,
    Preparation,
)
from goodteacher.studies import Store, reading

PROGRAM_FILE = "model.pt2"
_CARD, _READS = "card.json", "reads.json"


class ExportedProgram:
    """A traced program with its weights; a companion beside it for texts and table rows."""

    name = "torch"
    file = PROGRAM_FILE

    def takes(self, card: StudentCard) -> bool:
        """Any."""
        return True

    def write(self, store: Store, folder: str, network: Network, card: StudentCard) -> None:
        """Write the companion where there is one, then the file."""
        graph = Graph(network, card)
        with quiet("torch.export"):
            program = _traced(graph, card)
            write_companion(store, folder, card.inputs, graph.reader)
            told = {"fields": graph.names, "reads": noted(card.inputs, graph.reader)}
            extra = {_CARD: card.model_dump_json(), _READS: json.dumps(told)}
            # a file object: PyTorch wants the ending .pt2 of a path, which one under way lacks
            with store.writing(f"{folder}/{PROGRAM_FILE}") as path, path.open("wb") as file:
                torch.export.save(program, file, extra_files=extra)

    def read(self, folder: Path, *, network: NetworkLike | None = None) -> ProgramClassifier:
        """Return the student, run by PyTorch."""
        path = folder / PROGRAM_FILE
        extra = {_CARD: "", _READS: ""}
        with reading(path, "a program that goodteacher exported"), path.open("rb") as file:
            program = _loaded(file, extra)
            card = StudentCard.model_validate_json(extra[_CARD])
            told = json.loads(extra[_READS])
            reader = read_companion(folder, told["reads"], card.inputs)
        return ProgramClassifier(program, card, reader, list(told["fields"]))


class ProgramClassifier(Answers):
    """A student as a traced program, asked as a `Classifier` is.

    Args:
        program: From tensors to logits and probabilities.
        card: What the student is.
        reader: What makes numbers of texts; None where examples are numbers.
        fields: Names of the tensors.
    """

    def __init__(
        self, program: Any, card: StudentCard, reader: Preparation | None, fields: list[str]
    ) -> None:
        self.card = card
        self._program, self._reader, self._fields = program, reader, fields

    @torch.inference_mode()
    def __call__(self, inputs: Any, /) -> Tensor:
        """Return logits [N, C]; see `Classifier.forward` for what is taken."""
        given = as_taken(inputs, self.card, self._reader)
        parts = [given[name] for name in self._fields] if isinstance(given, Mapping) else [given]
        logits: Tensor = self._program(*parts)[0]
        return logits


def _traced(graph: Graph, card: StudentCard) -> torch.export.ExportedProgram:
    try:
        return exported(graph)
    except Exception as error:  # of many kinds, also of the module's own
        raise ModelError(
            f"The student {card.architecture!r} cannot be exported with torch.export: "
            f"{reason(error)}. Use another format: --format safetensors."
        ) from error


_WEIGHTS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


@contextlib.contextmanager
def weights_only() -> Iterator[None]:
    """Have PyTorch load weights alone, where ``torch.export.load`` would unpickle anything."""
    before = os.environ.get(_WEIGHTS_ONLY)
    os.environ[_WEIGHTS_ONLY] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_WEIGHTS_ONLY]
        else:
            os.environ[_WEIGHTS_ONLY] = before


def _loaded(file: Any, extra: dict[str, str]) -> Any:
    try:
        with quiet("torch.export"), weights_only():
            return torch.export.load(file, extra_files=extra).module()
    except Exception as error:  # of many kinds, by what is damaged
        raise ValueError(reason(error)) from error
