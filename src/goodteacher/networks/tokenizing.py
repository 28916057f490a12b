"""Texts as token ids: a network's own tokenizer, with everything it needs in one record.

The record is the content of a ``tokenizer.json``, padding and truncation included, so that a
delivered student asks neither the hub nor the folder that its tokenizer came from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from goodteacher.data import AT_ONCE, Fields, InMemory, InputSpec, check_texts
from goodteacher.errors import DataError, ModelError

FIELDS = ("input_ids", "attention_mask", "token_type_ids")
"""What tokenizers make of a text, as far as classifiers take it."""


class Tokenize(nn.Module):
    """Texts as whole numbers of a fixed length: token ids, and which of them are no padding.

    Args:
        content: Of a ``tokenizer.json``, with padding to a fixed length.
        fields: Which of `FIELDS` the network takes.
    """

    from_texts = True

    def __init__(self, content: Mapping[str, Any], fields: Sequence[str]) -> None:
        super().__init__()
        self._tokenizer = _tokenizer_of(content)
        self.fields = tuple(fields)
        padding = self._tokenizer.padding
        if not self.fields or not set(self.fields) <= set(FIELDS):
            raise DataError(f"A tokenizer makes fields of {', '.join(FIELDS)}, not {list(fields)}.")
        if not padding or not padding["length"]:
            raise DataError("A tokenizer must pad texts to a fixed length. Was the file edited?")
        self.length = int(padding["length"])

    @property
    def blank(self) -> Tensor:
        """Zero: texts have no holes."""
        return torch.zeros(())

    def output(self, spec: InputSpec) -> InputSpec:
        """Say what a text becomes.

        Raises:
            ValueError: Stored examples are no texts.
        """
        if spec.kind != "texts":
            raise ValueError(f"{spec} are no texts")
        highest = {"input_ids": self._tokenizer.get_vocab_size() - 1, "attention_mask": 1}
        shape = (self.length,)
        made = {
            name: InputSpec(kind="integers", shape=shape, high=highest.get(name, 0))
            for name in self.fields
        }
        return InputSpec(kind="fields", fields=made)

    def forward(self, raw: Sequence[str]) -> dict[str, Tensor]:
        """Return the fields of texts, int64 [N, length] each."""
        return {name: part.tensor.long() for name, part in self._parts(raw).items()}

    def read(self, texts: Sequence[str]) -> Fields:
        """Return the fields of texts, in as few bytes as their numbers need."""
        return Fields(self._parts(texts))

    def count_truncated(self, texts: Sequence[str]) -> int:
        """Return how many texts lose tokens."""
        encoded = self._encoded(texts)
        return sum(bool(each.overflowing) for each in encoded)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of a ``tokenizer.json``, and the fields."""
        return {"inputs": list(self.fields), "tokenizer": json.loads(self._tokenizer.to_str())}

    def as_transformers(self, package: Any) -> Any:
        """Return a tokenizer of transformers that does the same.

        Args:
            package: The module ``transformers``.
        """
        pad = str(self._tokenizer.padding["pad_token"])
        return package.PreTrainedTokenizerFast(
            tokenizer_object=self._tokenizer,
            pad_token=pad,
            model_max_length=self.length,
            model_input_names=list(self.fields),
            padding_side=self._tokenizer.padding["direction"],
        )

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Tokenize:
        """Return one of what :meth:`to_dict` returned."""
        return cls(record["tokenizer"], [str(name) for name in record["inputs"]])

    def _encoded(self, texts: Sequence[str]) -> list[Any]:
        check_texts(texts)
        # half of a pair is no UTF-8, but a str may hold it
        clean = [text.encode("utf-8", "replace").decode() for text in texts]
        found: list[Any] = self._tokenizer.encode_batch(clean)
        return found

    def _parts(self, texts: Sequence[str]) -> dict[str, InMemory]:
        spec = self.output(InputSpec(kind="texts"))
        types = {name: _smallest(field.high) for name, field in spec.fields.items()}
        rows = {name: np.zeros((len(texts), self.length), types[name]) for name in self.fields}
        for first in range(0, len(texts), AT_ONCE):
            for row, each in enumerate(self._encoded(texts[first : first + AT_ONCE]), first):
                made = {
                    "input_ids": each.ids,
                    "attention_mask": each.attention_mask,
                    "token_type_ids": each.type_ids,
                }
                for name in self.fields:
                    rows[name][row] = made[name]
        return {n: InMemory(torch.from_numpy(part), spec.fields[n]) for n, part in rows.items()}


def longest(content: Mapping[str, Any], texts: Sequence[str]) -> int:
    """Return the number of tokens of the longest text, its special tokens included.

    Args:
        content: Of a ``tokenizer.json``; its padding and truncation do not count.
        texts: [N].
    """
    tokenizer = _tokenizer_of(content)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    clean = [text.encode("utf-8", "replace").decode() for text in texts]
    return max((len(each.ids) for each in tokenizer.encode_batch(clean)), default=1)


def padded(content: Mapping[str, Any], length: int, *, pad: tuple[int, str], side: str) -> Any:
    """Return the content of a ``tokenizer.json`` that pads and truncates to a length.

    Args:
        content: Of a ``tokenizer.json``.
        length: Tokens of each text.
        pad: The token that fills short texts: its number and name.
        side: Where that goes: ``left`` or ``right``.
    """
    tokenizer = _tokenizer_of(content)
    number, token = pad
    tokenizer.enable_padding(direction=side, pad_id=number, pad_token=token, length=length)
    tokenizer.enable_truncation(length)
    return json.loads(tokenizer.to_str())


def _smallest(highest: int) -> type[np.integer[Any]]:
    if highest <= np.iinfo(np.uint8).max:
        return np.uint8
    return np.int16 if highest <= np.iinfo(np.int16).max else np.int32


def _tokenizer_of(content: Mapping[str, Any]) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ModelError(
            "A network that reads tokens needs the package tokenizers: "
            "pip install 'goodteacher[hf]'"
        ) from error
    try:
        return Tokenizer.from_str(json.dumps(content))
    except Exception as error:  # the package raises Exception itself
        raise DataError(
            f"This is not the content of a tokenizer.json: {error}. Was the file edited?"
        ) from error
