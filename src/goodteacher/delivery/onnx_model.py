"""The format ``onnx``: a file that ONNX Runtime runs, without PyTorch and without goodteacher.

``model.onnx`` takes ``inputs`` as they are stored (fields by their names) and returns ``logits``
and ``probabilities``. What the student is stands in its metadata, as JSON: ``card``, and
``class_names`` alone for those who need no more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from goodteacher.delivery.classifier import Answers, StudentCard
from goodteacher.delivery.companions import noted, read_companion, write_companion
from goodteacher.delivery.graph import OUTPUTS, Graph, as_taken, exported, quiet, reason
from goodteacher.errors import ModelError, StudyError, needed_package
from goodteacher.networks import (
    Network,
    NetworkLike,
    Preparation,
)
from goodteacher.studies import Store, reading

ONNX_FILE = "model.onnx"
OPSET = 20
"""Version of ONNX's operators, of 2023: ONNX Runtime 1.17 and later run it."""

_AT_ONCE = 1024


class Onnx:
    """A graph with its weights in one file; a companion beside it for texts and table rows."""

    name = "onnx"
    file = ONNX_FILE

    def takes(self, card: StudentCard) -> bool:
        """Any."""
        return True

    def write(self, store: Store, folder: str, network: Network, card: StudentCard) -> None:
        """Write the companion where there is one, then the file."""
        needed("onnxscript"), needed("onnxruntime")
        graph = Graph(network, card)
        with quiet("torch.onnx"):
            program = _translated(graph, card)
            _strip(program.model)
            program.model.metadata_props.update(_metadata(graph, card))
            write_companion(store, folder, card.inputs, graph.reader)
            with store.writing(f"{folder}/{ONNX_FILE}") as path:
                program.save(str(path))

    def read(self, folder: Path, *, network: NetworkLike | None = None) -> OnnxClassifier:
        """Return the student, run by ONNX Runtime."""
        return read_onnx(folder / ONNX_FILE)


class OnnxClassifier(Answers):
    """A student in an ONNX file, asked as a `Classifier` is.

    Args:
        session: ONNX Runtime's, of the file.
        card: What the student is.
        reader: What makes numbers of texts; None where examples are numbers.
    """

    def __init__(self, session: Any, card: StudentCard, reader: Preparation | None) -> None:
        self.card = card
        self._session = session
        self._reader = reader
        self._names = [each.name for each in session.get_inputs()]

    def __call__(self, inputs: Any, /) -> Tensor:
        """Return logits [N, C]; see `Classifier.forward` for what is taken."""
        parts = self.arrays(inputs)
        starts = range(0, max(1, len(next(iter(parts.values())))), _AT_ONCE)
        pieces = [{k: part[n : n + _AT_ONCE] for k, part in parts.items()} for n in starts]
        found = [self._session.run([OUTPUTS[0]], piece)[0] for piece in pieces]
        return torch.from_numpy(np.concatenate(found))

    def arrays(self, inputs: Any) -> dict[str, Any]:
        """Return examples as the file takes them: an array [N, ...] for each of its inputs."""
        given = as_taken(inputs, self.card, self._reader)
        parts = given if isinstance(given, Mapping) else {self._names[0]: given}
        return {name: parts[name].numpy() for name in self._names}


def read_onnx(path: Path, *, threads: int = 0) -> OnnxClassifier:
    """Return the student of an ONNX file.

    Args:
        path: The file.
        threads: Of ONNX Runtime; 0 takes what it takes by itself.

    Raises:
        StudyError: The file, or its companion, is missing, damaged or none that goodteacher wrote.
    """
    runtime = needed("onnxruntime")
    if not path.is_file():
        raise StudyError(f"{path} cannot be read: there is no such file. Was it moved?")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of many kinds, none of them exported
        told = str(error).strip().partition("\n")[0][:300]
        raise StudyError(
            f"{path} cannot be run by ONNX Runtime: {told}. Export it again."
        ) from error
    known = session.get_modelmeta().custom_metadata_map
    with reading(path, "a student that goodteacher exported"):
        card = StudentCard.model_validate_json(known["card"])
        reader = read_companion(path.parent, json.loads(known["reads"]), card.inputs)
    return OnnxClassifier(session, card, reader)


def needed(package: str) -> ModuleType:
    """Import a package of the extra ``onnx``.

    Raises:
        PackageError: It is not installed.
    """
    return needed_package(package, extra="onnx", what="The format onnx")


def _translated(graph: Graph, card: StudentCard) -> Any:
    try:
        return torch.onnx.export(
            exported(graph),
            input_names=list(graph.names),
            output_names=list(OUTPUTS),
            opset_version=OPSET,
            verbose=False,
            dynamo=True,
        )
    except Exception as error:  # of many kinds: of the tracer, of an operator, of the module itself
        raise ModelError(
            f"The student {card.architecture!r} cannot be written as ONNX: {reason(error)}. Use "
            "layers that ONNX has, or another format: --format safetensors."
        ) from error


def _strip(model: Any) -> None:
    """Take out what the exporter notes for its developers: where in which file a layer was made.

    It is most of a small file, and says what folders its maker has.
    """
    model.metadata_props.clear()
    for each in (model.graph, *model.functions.values()):
        each.metadata_props.clear()
        for node in each:
            node.metadata_props.clear()
            node.doc_string = None
            for value in node.outputs:
                value.metadata_props.clear()


def _metadata(graph: Graph, card: StudentCard) -> dict[str, str]:
    return {
        "card": card.model_dump_json(),
        "class_names": json.dumps(card.class_names),
        "reads": json.dumps(noted(card.inputs, graph.reader)),
    }
