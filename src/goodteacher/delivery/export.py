"""Delivering a student: a folder that needs neither the teacher nor the study.

``model.safetensors`` holds the weights of its module, ``config.json`` the architecture, the classes
and the shape of an example as it is stored; ``preparation.json`` says what happens to an example
before the module sees it: size, normalisation, the terms of texts. ONNX and Hugging Face models
will be further formats here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from goodteacher.config import Frozen
from goodteacher.errors import ModelError, StudyError
from goodteacher.networks import (
    Chain,
    Network,
    NetworkLike,
    build_network,
    give_again,
    preparation_from,
)
from goodteacher.networks.intake import as_stored, as_texts, warn_of_dark_images
from goodteacher.studies import Context, load_weights, read_tensors, reading

PREPARATION_FILE = "preparation.json"
"""How a student wants its inputs, in its folder."""


class StudentCard(Frozen):
    """Content of ``student/config.json``."""

    schema_version: int = 1
    architecture: str
    class_names: tuple[str, ...]
    input_shape: tuple[int, ...]
    """Of an example as it is stored; nothing for texts."""
    arm: str
    seed: int
    selection_accuracy: float
    test_accuracy: float


class Classifier(nn.Module):
    """A delivered student: takes inputs as stored (uint8 images, features, texts), gives logits.

    Args:
        network: The student.
        card: What it is.
    """

    def __init__(self, network: Network, card: StudentCard) -> None:
        super().__init__()
        self.network = network
        self.card = card

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
        preparation = self.network.preparation
        if preparation.from_texts:
            of_texts: Tensor = self.network(as_texts(inputs))
            return of_texts
        stored = as_stored(inputs, self.card.input_shape)
        if stored.dtype == torch.uint8:
            warn_of_dark_images(stored, preparation.blank)
        anchor = next(self.network.parameters(), torch.zeros(()))
        logits: Tensor = self.network(stored.to(anchor.device))
        return logits.to(stored.device)

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
    context: Context, network: Network, card: StudentCard, *, folder: str = "student"
) -> None:
    """Write a student into a folder of the study's; ``config.json`` comes last."""
    store = context.store
    store.write_json(f"{folder}/{PREPARATION_FILE}", network.preparation.to_dict())
    store.write_tensors(f"{folder}/model.safetensors", network.module.state_dict())
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
    if network is not None:
        give_again(card.architecture, network)
    preparation = _read_preparation(path / PREPARATION_FILE, card)
    made = _built(card, preparation, card_file)
    load_weights(made.module, read_tensors(weights_file), weights_file)
    return Classifier(made, card).eval()


def _read_preparation(path: Path, card: StudentCard) -> Chain:
    with reading(path, "how a student wants its inputs"):
        preparation = preparation_from(json.loads(path.read_bytes()))
        preparation.output_shape(card.input_shape)
    return preparation


def _built(card: StudentCard, preparation: Chain, path: Path) -> Network:
    try:
        return build_network(
            card.architecture,
            preparation,
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
