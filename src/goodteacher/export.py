"""Delivering a student: a folder that needs neither the teacher nor the study.

``model.safetensors`` holds the weights; ``config.json`` what is needed to run them: architecture,
classes, input shape and normalisation. A student of texts has ``vocabulary.json`` beside them: the
terms that are its features, and their idf. ONNX and Hugging Face models will be further formats
here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import Tensor, nn

from goodteacher.config import Frozen
from goodteacher.data import Normalization, Tfidf
from goodteacher.errors import DataError, StudyError
from goodteacher.models import build_model
from goodteacher.tasks import Context

VOCABULARY_FILE = "vocabulary.json"
"""What turns texts into a student's features, in its folder."""


class StudentCard(Frozen):
    """Content of ``student/config.json``."""

    schema_version: int = 1
    architecture: str
    class_names: tuple[str, ...]
    input_shape: tuple[int, ...]
    normalization: dict[str, Any]
    vocabulary: str | None = None
    """The file beside it that turns texts into features; None where inputs are no texts."""
    arm: str
    seed: int
    selection_accuracy: float
    test_accuracy: float


class Classifier(nn.Module):
    """A delivered student: takes inputs as stored (uint8 images, features, texts), gives logits.

    Args:
        network: The student.
        card: What it is.
        tfidf: Turns texts into features; None where inputs are no texts.
    """

    def __init__(self, network: nn.Module, card: StudentCard, tfidf: Tfidf | None = None) -> None:
        super().__init__()
        self.network = network
        self.card = card
        self.tfidf = tfidf
        self._normalization = Normalization.from_dict(card.normalization)

    def forward(self, inputs: Tensor | Sequence[str]) -> Tensor:
        """Return logits [N, C] of examples as stored.

        Args:
            inputs: Images or features, [N, ...]; of a student of texts, a list of N strings. Words
                that are not among its terms count for nothing, so a text without a known word, an
                empty one too, gets the logits of no words at all.

        Raises:
            DataError: Texts are given to a student of something else, or the reverse, or what is
                given is not a list of strings.
        """
        logits: Tensor = self.network(self._normalization(self._numbers(inputs)))
        return logits

    def _numbers(self, inputs: Tensor | Sequence[str]) -> Tensor:
        if self.tfidf is not None:
            if isinstance(inputs, Tensor):
                raise DataError(
                    f"This student takes a list of strings, but got a tensor {list(inputs.shape)}. "
                    "Give it the texts themselves: it makes their features with its own vocabulary."
                )
            anchor = next(self.network.parameters(), None)
            return self.tfidf(inputs).to(anchor.device if anchor is not None else "cpu")
        if not isinstance(inputs, Tensor):
            raise DataError(
                f"This student takes a tensor of inputs [N, "
                f"{', '.join(map(str, self.card.input_shape))}], but got "
                f"{type(inputs).__name__}. Was it trained on other data than these?"
            )
        return inputs

    @torch.inference_mode()
    def predict(self, inputs: Tensor | Sequence[str]) -> list[str]:
        """Return the names of the most probable classes."""
        names = self.card.class_names
        return [names[number] for number in self(inputs).argmax(-1).tolist()]


def deliver(
    context: Context, network: nn.Module, card: StudentCard, *, folder: str = "student"
) -> None:
    """Write a student into a folder of the study's; ``config.json`` comes last."""
    store = context.store
    if context.data.tfidf is not None:
        store.write_json(f"{folder}/{VOCABULARY_FILE}", context.data.tfidf)
    store.write_tensors(f"{folder}/model.safetensors", network.state_dict())
    store.write_json(f"{folder}/config.json", card)


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
        vocabulary=VOCABULARY_FILE if context.data.tfidf else None,
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
        StudyError: The folder holds no student, or its vocabulary is damaged.
    """
    path = Path(folder)
    try:
        card = StudentCard.model_validate(json.loads((path / "config.json").read_text()))
        weights = load_file(path / "model.safetensors")
        tfidf = None if card.vocabulary is None else _read_vocabulary(path / card.vocabulary)
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
    return Classifier(network, card, tfidf).eval()


def _read_vocabulary(path: Path) -> Tfidf:
    try:
        return Tfidf.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise StudyError(
            f"{path} must hold the terms and idf of a student of texts, but cannot be read as such "
            f"({error.errors()[0]['msg']}). Was it edited or cut short? Copy the whole student "
            "folder again."
        ) from error
