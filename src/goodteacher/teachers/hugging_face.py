"""Models of transformers that were trained elsewhere, asked as they are: ``hf:NAME_OR_FOLDER``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from goodteacher.data import Text, are_texts
from goodteacher.errors import ConfigError, DataError, ModelError
from goodteacher.networks import (
    Finished,
    encoded_by,
    finished_classifier,
    separator_of,
    split_spec,
)
from goodteacher.responses import Scored

HUGGING_FACE = "hf:"
"""How the name of such a model begins."""


class HuggingFaceTeacher:
    """A predict function: texts in, the logits of the model's own head out, classes by name.

    Args:
        spec: ``hf:`` and the name of a folder or of a model of the hub; ``@tokens:64`` behind it
            says how many tokens of a text it reads.
        classes: The name of each class; by default those of its ``id2label``.

    Raises:
        ModelError: See `finished_classifier`; or something else stands behind the ``@``.
        ConfigError: ``classes`` names another number of classes.
    """

    def __init__(self, spec: str, classes: Sequence[str] = ()) -> None:
        name, clause = split_spec(spec)
        kind, _, length = clause.partition(":")
        if kind not in ("", "tokens"):
            raise ModelError(
                f"A model without checkpoints reads texts with its own tokenizer, so '@{clause}' "
                f"has no meaning in {spec!r}. Leave it out."
            )
        self._finished: Finished = finished_classifier(name.removeprefix(HUGGING_FACE))
        own = self._finished.limit
        self.limit = min(int(length), own or int(length)) if length else own
        self.classes = tuple(classes) or self._finished.class_names
        known = self._finished.class_names
        if len(self.classes) != len(known):
            raise ConfigError(
                f"classes names {len(self.classes)} classes, but {spec!r} has {len(known)} "
                f"({', '.join(known[:5])}). Give a name for each of them, in the model's order."
            )
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._finished.model.to(self._device)

    def __call__(self, texts: Sequence[Text]) -> Scored:
        """Return logits of texts.

        Args:
            texts: [N]; a tuple of an example's texts where it has several.

        Raises:
            DataError: Examples are no texts.
            ModelError: Its tokenizer does not take so many texts of an example.
        """
        if not are_texts(texts):
            raise DataError(
                f"{self._finished.name!r} classifies texts, but the examples are not texts. Pass "
                "teacher_inputs=, a text for each example, or prepare=, a function that converts "
                "examples to texts."
            )
        settings = {"padding": True, "truncation": True, "max_length": self.limit}
        tokens = self._encoded(texts, return_tensors="pt", **settings).to(self._device)
        with torch.inference_mode():
            logits = self._finished.model(**tokens).logits
        return Scored(logits.double().cpu().numpy(), self.classes)

    def note_of(self, texts: Sequence[Text], name: str) -> str | None:
        """Say how many texts are cut, if any is.

        Args:
            texts: [N]; a tuple of an example's texts where it has several.
            name: Of the split that they are of.
        """
        limit = self.limit
        if limit is None or not are_texts(texts):
            return None
        ids = self._encoded(texts, verbose=False)["input_ids"]
        cut = sum(len(each) > limit for each in ids)
        if not cut:
            return None
        return (
            f"{self._finished.name!r} reads {limit} tokens: {cut} of {len(texts)} {name} examples "
            f"({cut / len(texts):.1%}) are longer and lose their end."
        )

    def _encoded(self, texts: Sequence[Text], **settings: Any) -> Any:
        count = 0 if isinstance(texts[0], str) else len(texts[0])
        tokenizer, name = self._finished.tokenizer, self._finished.name
        columns = [f"text {number + 1}" for number in range(count)]
        separator = separator_of(tokenizer, columns, name=name)
        return encoded_by(tokenizer, texts, separator=separator, **settings)
