"""A delivered student, ready to classify: it takes examples as they are stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn

from goodteacher.config import Frozen
from goodteacher.data import InputSpec
from goodteacher.networks import (
    Network,
    NetworkLike,
    as_stored,
    as_texts,
    batch_device,
    map_batch,
    warn_of_dark_images,
)


class StudentCard(Frozen):
    """Content of ``student/config.json``."""

    schema_version: Literal[1] = 1
    architecture: str
    class_names: tuple[str, ...]
    inputs: InputSpec
    """What an example is, as it is stored."""
    arm: str
    seed: int
    selection_accuracy: float
    test_accuracy: float
    temperature: PositiveFloat = 1.0
    """By which logits are divided for probabilities: that of the lowest negative log-likelihood on
    the selection split, or 1 where every temperature is beaten by a higher or a lower one."""
    fingerprint: str = ""
    """Of the data that it was trained on."""


TOLERANCE = 1e-4
"""Largest difference of logits between a student and what was written of it, for logits up to 10;
in proportion for larger ones, since rounding of float32 is."""


class Answers(Protocol):
    """What a delivered student can be asked, whatever runs it."""

    card: StudentCard

    @property
    def tolerance(self) -> float:
        """How much its logits may differ from the student's, for logits up to 10."""
        return TOLERANCE

    def __call__(self, inputs: Any, /) -> Tensor:
        """Return logits [N, C] of examples as they are stored."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The name of each class, in the order of the logits."""
        return self.card.class_names

    @torch.inference_mode()
    def predict(self, inputs: Any) -> list[str]:
        """Return the names of the most probable classes.

        Args:
            inputs: N examples as they are stored.
        """
        return [self.class_names[number] for number in self(inputs).argmax(-1).tolist()]

    @torch.inference_mode()
    def predict_proba(self, inputs: Any) -> Tensor:
        """Return the probability of each class, [N, C], in the order of ``class_names``.

        They are calibrated: the logits are divided by the card's temperature.

        Args:
            inputs: N examples as they are stored.
        """
        logits: Tensor = self(inputs)
        return (logits / self.card.temperature).softmax(-1)


class Classifier(nn.Module, Answers):
    """A delivered student: takes inputs as stored (uint8 images, features, texts), gives logits.

    Args:
        network: The student.
        card: What it is.
    """

    def __init__(self, network: Network, card: StudentCard) -> None:
        super().__init__()
        self.network = network
        self.card = card

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        revision: str | None = None,
        local_files_only: bool = False,
        network: NetworkLike | None = None,
        trust_code: bool = False,
    ) -> Classifier:
        """Load a delivered student from a folder or from the Hugging Face hub.

        Args:
            name: A folder that ``goodteacher export --format safetensors`` or a search wrote; or a
                repository of the hub that holds one, ``owner/name``.
            revision: A branch, tag or commit of the repository.
            local_files_only: Fetch nothing: take what was fetched before.
            network: Where the student's network was given in Python, that network or the function
                that makes it.
            trust_code: See :func:`goodteacher.load_student`; no code of a repository is fetched.

        Raises:
            InputError: There is no student of that name, or a file of it is damaged.
        """
        from goodteacher.delivery.export import load_student
        from goodteacher.delivery.hub import folder_of

        place = folder_of(name, revision=revision, local_files_only=local_files_only)
        return load_student(place, network=network, trust_code=trust_code)

    def forward(self, inputs: Any) -> Tensor:
        """Return logits [N, C] of examples as stored: on their device, if they are a tensor.

        Args:
            inputs: A tensor or an array of images [N, channels, height, width] with values 0 to
                255, or of numbers [N, ...]; of a student of a table, also a data frame of pandas or
                Polars, an Arrow table or a list of dictionaries: columns are found by their names,
                others are not looked at. Of a student of texts, a list of N strings; of one of
                several texts each, a list of N tuples in the order of ``card.inputs.columns``, or a
                dictionary or data frame with a column for each; of one of several fields, a
                dictionary. One example without the axis N is a batch of one, and gray images may
                come without their channel. Words that are not among a student's terms count for
                nothing, so a text without a known word, an empty one too, gets the logits of no
                words at all.

        Raises:
            DataError: Type, range or shape are not those that the student was trained on; the
                message says how to convert them.
        """
        preparation = self.network.preparation
        if preparation.from_texts:
            of_texts: Tensor = self.network(as_texts(inputs, self.card.inputs.columns))
            return of_texts
        stored = as_stored(inputs, self.card.inputs)
        if isinstance(stored, Tensor) and self.card.inputs.kind == "images":
            warn_of_dark_images(stored, preparation.blank)
        device = next(self.network.parameters(), torch.zeros(())).device
        logits: Tensor = self.network(map_batch(stored, lambda part: part.to(device)))
        return logits.to(batch_device(stored))
