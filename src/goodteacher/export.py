"""Delivering a student: a folder that needs neither the teacher nor the study.

``model.safetensors`` holds the weights; ``config.json`` what is needed to run them: architecture,
classes, input shape and normalisation. ONNX and Hugging Face models will be further formats here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from goodteacher.config import Frozen
from goodteacher.data import Normalization
from goodteacher.errors import StudyError
from goodteacher.models import build_model
from goodteacher.store import Store
from goodteacher.tasks import Context


class StudentCard(Frozen):
    """Content of ``student/config.json``."""

    schema_version: int = 1
    architecture: str
    class_names: tuple[str, ...]
    input_shape: tuple[int, ...]
    normalization: dict[str, Any]
    arm: str
    seed: int
    selection_accuracy: float
    test_accuracy: float


class Classifier(nn.Module):
    """A delivered student: takes inputs as stored (uint8 images, raw features), gives logits.

    Args:
        network: The student.
        card: What it is.
    """

    def __init__(self, network: nn.Module, card: StudentCard) -> None:
        super().__init__()
        self.network = network
        self.card = card
        self._normalization = Normalization.from_dict(card.normalization)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits [N, C] of examples as stored, [N, ...]."""
        logits: Tensor = self.network(self._normalization(inputs))
        return logits

    @torch.inference_mode()
    def predict(self, inputs: Tensor) -> list[str]:
        """Return the names of the most probable classes."""
        names = self.card.class_names
        return [names[number] for number in self(inputs).argmax(-1).tolist()]


def deliver(store: Store, network: nn.Module, card: StudentCard) -> None:
    """Write a student into the study's ``student`` folder; ``config.json`` comes last."""
    store.write_tensors("student/model.safetensors", network.state_dict())
    store.write_json("student/config.json", card)


def make_card(
    context: Context, *, architecture: str, arm: str, seed: int, accuracies: tuple[float, float]
) -> StudentCard:
    """Describe a student for delivery.

    Args:
        context: The study's data.
        architecture: Its specification.
        arm: What it learned from.
        seed: Its seed.
        accuracies: On the selection and on the test split.
    """
    return StudentCard(
        architecture=architecture,
        class_names=context.data.class_names,
        input_shape=context.data.input_shape,
        normalization=context.data.normalization.to_dict(),
        arm=arm,
        seed=seed,
        selection_accuracy=accuracies[0],
        test_accuracy=accuracies[1],
    )


def load_student(folder: Path | str) -> Classifier:
    """Load a delivered student, ready to classify.

    Args:
        folder: A ``student`` folder.

    Raises:
        StudyError: The folder holds no student.
    """
    path = Path(folder)
    try:
        card = StudentCard.model_validate(json.loads((path / "config.json").read_text()))
        weights = load_file(path / "model.safetensors")
    except OSError as error:
        raise StudyError(
            f"{path} holds no student: {error.strerror}. Has the search finished?"
        ) from None
    network = build_model(
        card.architecture,
        num_classes=len(card.class_names),
        input_shape=card.input_shape,
        seed=card.seed,
    )
    network.load_state_dict(weights)
    return Classifier(network, card).eval()
