"""The format ``hf``: a folder that ``from_pretrained`` of transformers reads, for ``hf:`` students.

``hf/`` holds configuration, weights and tokenizer as ``save_pretrained`` writes them, with the
names of the classes; ``hf/card.json`` says what the student is. The model gives raw logits: divide
them by the card's temperature for calibrated probabilities.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from goodteacher.delivery.classifier import Answers, StudentCard
from goodteacher.delivery.graph import Graph, quiet, reason
from goodteacher.errors import ModelError, StudyError, needed_package
from goodteacher.networks import Network, NetworkLike, Tokenize, as_texts, encoded_by
from goodteacher.studies import Store, reading

FOLDER = "hf"
_CARD = "card.json"
_AT_ONCE = 256


class HuggingFace:
    """What ``save_pretrained`` writes, of the model and of its tokenizer."""

    name = "hf"
    file = FOLDER

    def takes(self, card: StudentCard) -> bool:
        """Say whether a student is a model of transformers that classifies texts."""
        return card.architecture.startswith("hf:") and card.inputs.kind == "texts"

    def write(self, store: Store, folder: str, network: Network, card: StudentCard) -> None:
        """Write configuration, weights and tokenizer, and the card last."""
        if not self.takes(card):
            raise ModelError(
                f"The format hf is for models of transformers that classify texts, but the student "
                f"is {card.architecture!r}. Use --format onnx, torch or safetensors."
            )
        package, place = _transformers(), store.path(folder, FOLDER)
        model: Any = network.module
        names = dict(enumerate(card.class_names))
        model.config.update({"id2label": names, "label2id": {v: k for k, v in names.items()}})
        with quiet("transformers"):
            model.save_pretrained(place)
            reader = Graph(network, card).reader
            if isinstance(reader, Tokenize):
                reader.as_transformers(package).save_pretrained(place)
        store.write_json(f"{folder}/{FOLDER}/{_CARD}", card)

    def read(self, folder: Path, *, network: NetworkLike | None = None) -> HuggingFaceClassifier:
        """Return the student as transformers loads it."""
        package, place = _transformers(), folder / FOLDER
        path = place / _CARD
        if not path.is_file():
            raise StudyError(f"{path} cannot be read: there is no such file. Was it moved?")
        with reading(path, "the card of a student"):
            card = StudentCard.model_validate_json(path.read_bytes())
        for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
            _check_whole(place / name)
        try:
            with quiet("transformers"):
                model = package.AutoModelForSequenceClassification.from_pretrained(place)
                tokenizer = package.AutoTokenizer.from_pretrained(place)
        except Exception as error:
            raise StudyError(
                f"{place} is none that transformers reads: {reason(error)}. Export it again."
            ) from error
        return HuggingFaceClassifier(model.eval(), tokenizer, card)


class HuggingFaceClassifier(Answers):
    """A student as transformers loads it, asked as a `Classifier` is.

    Args:
        model: For the classification of texts.
        tokenizer: Its own.
        card: What the student is.
    """

    def __init__(self, model: Any, tokenizer: Any, card: StudentCard) -> None:
        self.card = card
        self._model, self._tokenizer = model, tokenizer

    @torch.inference_mode()
    def __call__(self, inputs: Any, /) -> Tensor:
        """Return logits [N, C] of N texts."""
        texts = as_texts(inputs, self.card.inputs.columns)
        pieces = [texts[n : n + _AT_ONCE] for n in range(0, len(texts), _AT_ONCE)]
        return torch.cat([self._logits(piece) for piece in pieces])

    def _logits(self, texts: Sequence[Any]) -> Tensor:
        given = encoded_by(
            self._tokenizer,
            texts,
            separator=self._tokenizer.sep_token or "",
            padding=True,
            truncation=True,
            return_tensors="pt",
        )
        logits: Tensor = self._model(**given).logits
        return logits


def _check_whole(path: Path) -> None:
    """Say which file is gone or cut, where transformers would make up its own."""
    if not path.is_file():
        raise StudyError(f"{path} cannot be read: there is no such file. Was it moved?")
    if path.suffix == ".json":
        try:
            json.loads(path.read_bytes())
        except ValueError as error:
            raise StudyError(f"{path} is no whole JSON: {error}. Export it again.") from error
        return
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt"):
            pass
    except (OSError, SafetensorError) as error:
        raise StudyError(f"{path} is damaged: {error}. Export it again.") from error


def _transformers() -> Any:
    return needed_package("transformers", extra="hf", what="The format hf")
