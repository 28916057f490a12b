"""A student as other runtimes want it: a graph from tensors to logits and probabilities.

The graph begins with examples as they are stored, and holds everything that is done to them: bytes
of images are scaled, resized and normalised in it. Only what becomes of a text before it is numbers
(terms, tokens) is no arithmetic; the graph of a student of texts begins behind that step, and a
companion file says what the step does. Words of a table's rows come in as their places among those
of their column, which a companion file lists.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from goodteacher.data import InputSpec
from goodteacher.delivery.classifier import StudentCard
from goodteacher.networks import Batch, Chain, Network, Preparation, as_stored, as_texts

INPUT = "inputs"
"""Name of a graph's input, where examples have no fields; fields have their own names."""

OUTPUTS = ("logits", "probabilities")
"""Names of a graph's outputs."""


class Graph(nn.Module):
    """A student from tensors to logits and probabilities, ready to be exported.

    Args:
        network: The student.
        card: What it is.

    Attributes:
        reader: What makes numbers of texts, before the graph; None where examples are numbers.
        spec: What the graph takes for one example.
        names: Of its inputs.
    """

    def __init__(self, network: Network, card: StudentCard) -> None:
        super().__init__()
        self.reader: Preparation | None = None
        self.spec, preparation = card.inputs, network.preparation
        if preparation.from_texts and isinstance(preparation, Chain):
            self.reader, preparation = preparation.apart(card.inputs)
            self.spec = self.reader.output(card.inputs)
        self.network = Network(preparation, network.module).eval()
        self.temperature = card.temperature
        self.names = tuple(self.spec.fields) or (INPUT,)

    def forward(self, *parts: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and calibrated probabilities, [N, C] each.

        Args:
            parts: Examples as the graph takes them: a tensor [N, ...] for each of `names`.
        """
        given: Batch = dict(zip(self.names, parts, strict=True)) if self.spec.fields else parts[0]
        logits = self.network(given)
        return logits, (logits / self.temperature).softmax(-1)

    def example(self) -> tuple[Tensor, ...]:
        """Return two made up examples, of the types that the graph takes."""
        specs = tuple(self.spec.fields.values()) or (self.spec,)
        return tuple(_made_up(spec) for spec in specs)


def as_taken(inputs: Any, card: StudentCard, reader: Preparation | None) -> Batch:
    """Return examples as a graph takes them.

    Args:
        inputs: N examples as they are stored.
        card: What the student is.
        reader: What makes numbers of texts; None where examples are numbers.

    Raises:
        DataError: They are not such examples as it was trained on.
    """
    if reader is None:
        return as_stored(inputs, card.inputs)
    read: Batch = reader(as_texts(inputs, card.inputs.columns))
    return read


def exported(graph: Graph) -> torch.export.ExportedProgram:
    """Trace a graph for any number of examples.

    Raises:
        Exception: PyTorch cannot trace the module; of many kinds.
    """
    sizes = {0: torch.export.Dim("batch")}
    return torch.export.export(
        graph.eval(),
        graph.example(),
        dynamic_shapes={"parts": tuple(sizes for _ in graph.names)},
    )


def _made_up(spec: InputSpec) -> Tensor:
    shape = (2, *spec.shape)
    if spec.kind == "images":
        return torch.zeros(shape, dtype=torch.uint8)
    if spec.kind == "integers":
        return torch.full(shape, spec.low, dtype=torch.int64)
    return torch.zeros(shape)


def reason(error: BaseException) -> str:
    """Return the kind and the first line of the innermost error."""
    while error.__cause__ is not None:
        error = error.__cause__
    first = str(error).strip().partition("\n")[0][:300].rstrip(".")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


@contextmanager
def quiet(logger: str) -> Iterator[None]:
    """Keep a part of PyTorch from telling what concerns its developers only.

    Args:
        logger: Name of its logger.
    """
    level = logging.getLogger(logger).level
    logging.getLogger(logger).setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.getLogger(logger).setLevel(level)
