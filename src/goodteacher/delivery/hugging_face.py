"""The format ``hf``: a folder that ``from_pretrained`` of transformers reads, for ``hf:`` students.

``hf/`` holds configuration, weights, and tokenizer or processor as ``save_pretrained`` writes them,
with the names of the classes; ``hf/card.json`` says what the student is. The model gives raw
logits: divide them by the card's temperature for calibrated probabilities.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from goodteacher.delivery.classifier import TOLERANCE, Answers, StudentCard
from goodteacher.delivery.graph import Graph, quiet, reason
from goodteacher.delivery.processors import (
    ROUNDED,
    image_settings,
    pictures,
    sound_settings,
)
from goodteacher.errors import ModelError, StudyError, needed_package
from goodteacher.networks import Network, NetworkLike, Tokenize, as_stored, as_texts, encoded_by
from goodteacher.studies import Store, reading

FOLDER = "hf"
_CARD, _PROCESSOR = "card.json", "preprocessor_config.json"
_AT_ONCE = 256


@dataclass(frozen=True)
class _Kind:
    """What transformers calls the parts of a classifier of one kind of examples.

    Attributes:
        model: Loads the model.
        reader: Loads what prepares examples.
        files: What of that must be there.
    """

    model: str
    reader: str
    files: tuple[str, ...]


_KINDS = {
    "texts": _Kind(
        "AutoModelForSequenceClassification",
        "AutoTokenizer",
        ("tokenizer.json", "tokenizer_config.json"),
    ),
    "images": _Kind("AutoModelForImageClassification", "AutoImageProcessor", (_PROCESSOR,)),
    "sound": _Kind("AutoModelForAudioClassification", "AutoFeatureExtractor", (_PROCESSOR,)),
}


def _kind_of(card: StudentCard) -> str | None:
    """Say what a student classifies, where the format holds it."""
    if not card.architecture.startswith("hf:"):
        return None
    if card.inputs.kind == "numbers" and len(card.inputs.shape) == 1:
        return "sound"
    return card.inputs.kind if card.inputs.kind in _KINDS else None


class HuggingFace:
    """What ``save_pretrained`` writes, of the model and of what prepares its examples."""

    name = "hf"
    file = FOLDER

    def takes(self, card: StudentCard) -> bool:
        """Say whether a student is a model of transformers that classifies what it can read."""
        return _kind_of(card) is not None

    def write(self, store: Store, folder: str, network: Network, card: StudentCard) -> None:
        """Write configuration, weights, and tokenizer or processor, and the card last."""
        kind, place = _kind_of(card), f"{folder}/{FOLDER}"
        if kind is None:
            raise ModelError(
                "The format hf can only store models of transformers that classify texts, images "
                f"or sound, but the student is {card.architecture!r}. Use --format onnx, torch or "
                "safetensors."
            )
        package = _transformers()
        if kind == "images":
            settings = image_settings(network.preparation, card.architecture)
            store.write_json(f"{place}/{_PROCESSOR}", settings)
        elif kind == "sound":
            settings = sound_settings(network.preparation, card.architecture)
            store.write_json(f"{place}/{_PROCESSOR}", settings)
        model: Any = network.module
        names = dict(enumerate(card.class_names))
        model.config.update({"id2label": names, "label2id": {v: k for k, v in names.items()}})
        own = store.files.draft(place)
        with quiet("transformers"):
            model.save_pretrained(own)
            reader = Graph(network, card).reader
            if isinstance(reader, Tokenize):
                reader.as_transformers(package).save_pretrained(own)
        store.files.publish(place, own)
        store.write_json(f"{place}/{_CARD}", card)

    def read(self, folder: Path, *, network: NetworkLike | None = None) -> HuggingFaceClassifier:
        """Return the student as transformers loads it."""
        package, place = _transformers(), folder / FOLDER
        path = place / _CARD
        if not path.is_file():
            raise StudyError(f"{path} cannot be read: there is no such file. Was it moved?")
        with reading(path, "the card of a student"):
            card = StudentCard.model_validate_json(path.read_bytes())
        name = _kind_of(card)
        if name is None:
            raise StudyError(f"{path} is the card of a student that this folder cannot hold.")
        kind = _KINDS[name]
        for file in ("config.json", "model.safetensors", *kind.files):
            _check_whole(place / file)
        try:
            with quiet("transformers"):
                model, reader = (
                    getattr(package, each).from_pretrained(place, trust_remote_code=False)
                    for each in (kind.model, kind.reader)
                )
        except Exception as error:
            raise StudyError(
                f"{place} cannot be read by transformers: {reason(error)}. Export it again."
            ) from error
        return _CLASSIFIERS[name](model.eval(), reader, card)


class HuggingFaceClassifier(Answers):
    """A student as transformers loads it, asked as a `Classifier` is.

    Args:
        model: The model.
        reader: What prepares its examples: a tokenizer, an image processor, a feature extractor.
        card: What the student is.
    """

    def __init__(self, model: Any, reader: Any, card: StudentCard) -> None:
        self.card = card
        self._model, self._reader = model, reader

    @torch.inference_mode()
    def __call__(self, inputs: Any, /) -> Tensor:
        """Return logits [N, C]; see `Classifier.forward` for what is taken."""
        examples = self._examples(inputs)
        starts = range(0, max(1, len(examples)), _AT_ONCE)
        return torch.cat([self._logits(examples[n : n + _AT_ONCE]) for n in starts])

    def _examples(self, inputs: Any) -> Any:
        return as_texts(inputs, self.card.inputs.columns)

    def _given(self, examples: Any) -> Mapping[str, Any]:
        """Return what the model takes of some examples."""
        found: Mapping[str, Any] = encoded_by(
            self._reader,
            examples,
            separator=self._reader.sep_token or "",
            padding=True,
            truncation=True,
            return_tensors="pt",
        )
        return found

    def _logits(self, examples: Any) -> Tensor:
        logits: Tensor = self._model(**self._given(examples)).logits
        return logits


class _OfImages(HuggingFaceClassifier):
    """A student of images."""

    @property
    def tolerance(self) -> float:
        """More than usual where pixels are rounded."""
        return ROUNDED if self._reader.do_resize else TOLERANCE

    def _examples(self, inputs: Any) -> Any:
        return as_stored(inputs, self.card.inputs)

    def _given(self, examples: Any) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._reader(pictures(examples), return_tensors="pt")
        return {"pixel_values": found["pixel_values"]}


class _OfSound(HuggingFaceClassifier):
    """A student of waveforms."""

    def _examples(self, inputs: Any) -> Any:
        return as_stored(inputs, self.card.inputs)

    def _given(self, examples: Any) -> Mapping[str, Any]:
        rate, waves = self._reader.sampling_rate, list(examples.numpy())
        found: Mapping[str, Any] = self._reader(waves, sampling_rate=rate, return_tensors="pt")
        return {"input_values": found["input_values"]}


_CLASSIFIERS = {"texts": HuggingFaceClassifier, "images": _OfImages, "sound": _OfSound}


def _check_whole(path: Path) -> None:
    """Say which file is gone or cut, where transformers would make up its own."""
    if not path.is_file():
        raise StudyError(f"{path} cannot be read: there is no such file. Was it moved?")
    if path.suffix == ".json":
        try:
            json.loads(path.read_bytes())
        except ValueError as error:
            raise StudyError(f"{path} is not complete JSON: {error}. Export it again.") from error
        return
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt"):
            pass
    except (OSError, SafetensorError) as error:
        raise StudyError(f"{path} is damaged: {error}. Export it again.") from error


def _transformers() -> Any:
    return needed_package("transformers", extra="hf", what="The format hf")
