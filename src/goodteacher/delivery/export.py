"""Delivering a student: a folder that needs neither the teacher nor the study.

``model.safetensors`` holds the weights; ``config.json`` what is needed to run them: architecture,
classes, input shape and normalisation. A student of texts has ``vocabulary.json`` beside them: the
terms that are its features, and their idf. ONNX and Hugging Face models will be further formats
here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from goodteacher.config import Frozen
from goodteacher.data import Normalization, Tfidf
from goodteacher.errors import ModelError, StudyError
from goodteacher.networks import NetworkLike, build_model, give_again
from goodteacher.networks.intake import as_stored, as_texts, warn_of_dark_images
from goodteacher.studies import Context, load_weights, read_tensors, reading

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

    @property
    def class_names(self) -> tuple[str, ...]:
        """The name of each class, in the order of the logits."""
        return self.card.class_names

    def forward(self, inputs: Any) -> Tensor:
        """Return logits [N, C] of examples as stored: on their device, if they are a tensor.

        Args:
            inputs: A tensor or an array of images [N, channels, height, width] with values 0 to
                255, or of features [N, D]; of a student of texts, a list of N strings. One example
                without the axis N is a batch of one, and gray images may come without their
                channel. Words that are not among a student's terms count for nothing, so a text
                without a known word, an empty one too, gets the logits of no words at all.

        Raises:
            DataError: Type, range or shape are not those that the student was trained on; the
                message says how to convert them.
        """
        anchor = next(self.network.parameters(), torch.zeros(()))
        if self.tfidf is not None:
            stored, home = self.tfidf(as_texts(inputs)), anchor.device
        else:
            stored = as_stored(inputs, self.card.input_shape)
            home = stored.device
            if stored.dtype == torch.uint8:
                warn_of_dark_images(stored, self._normalization)
        logits: Tensor = self.network(self._normalization(stored.to(anchor.device)))
        return logits.to(home)

    @torch.inference_mode()
    def predict(self, inputs: Any) -> list[str]:
        """Return the names of the most probable classes.

        Args:
            inputs: N examples, see :meth:`forward`.
        """
        return [self.class_names[number] for number in self(inputs).argmax(-1).tolist()]

    @torch.inference_mode()
    def predict_proba(self, inputs: Any) -> Tensor:
        """Return the probability of each class, [N, C], in the order of ``class_names``.

        Args:
            inputs: N examples, see :meth:`forward`.
        """
        logits: Tensor = self(inputs)
        return logits.softmax(-1)


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


def load_student(folder: Path | str, *, network: NetworkLike | None = None) -> Classifier:
    """Load a delivered student, ready to classify.

    Args:
        folder: A ``student`` folder.
        network: Where the student's network was given in Python, that network or the function
            that makes it; its weights are those of the folder.

    Raises:
        StudyError: The folder holds no student, or a file of it is damaged; the message names it.
    """
    path = Path(folder)
    _check_student_folder(path)
    card_file, weights_file = path / "config.json", path / "model.safetensors"
    with reading(card_file, "the card of a student"):
        card = StudentCard.model_validate_json(card_file.read_bytes())
        normalization = Normalization.from_dict(card.normalization)
        np.broadcast_shapes(tuple(normalization.mean.shape), card.input_shape)
    if network is not None:
        give_again(card.architecture, network)
    made = _built(card, card_file)
    load_weights(made, read_tensors(weights_file), weights_file)
    tfidf = None if card.vocabulary is None else _read_vocabulary(path / card.vocabulary, card)
    return Classifier(made, card, tfidf).eval()


def _built(card: StudentCard, path: Path) -> nn.Module:
    try:
        return build_model(
            card.architecture,
            num_classes=len(card.class_names),
            input_shape=card.input_shape,
            seed=card.seed,
        )
    except ModelError as error:
        raise StudyError(f"{path} names a network that cannot be made here. {error}") from error


def _check_student_folder(path: Path) -> None:
    if (path / "config.json").exists():
        return
    if (path / "student" / "config.json").exists():
        raise StudyError(f"{path} is a study; its student is in {path / 'student'}. Load that.")
    if not path.exists():
        reason = "there is no such folder. Is the path right? A student is delivered last."
    elif not path.is_dir():
        reason = "it is a file. Name the folder that it is in."
    else:
        reason = "it has no config.json. Has the search finished?"
    raise StudyError(f"{path} holds no student: {reason}")


def _read_vocabulary(path: Path, card: StudentCard) -> Tfidf:
    with reading(path, "the vocabulary of a student of texts"):
        tfidf = Tfidf.model_validate_json(path.read_bytes())
        if (len(tfidf.terms),) != card.input_shape:
            raise ValueError(
                f"it has {len(tfidf.terms)} terms, but the student takes "
                f"{list(card.input_shape)} features"
            )
    return tfidf
