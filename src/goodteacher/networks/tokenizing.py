"""Texts as token ids: a network's own tokenizer, with everything it needs in one record.

The record is the content of a ``tokenizer.json``, padding and truncation included, so that a
delivered student asks neither the hub nor the folder that its tokenizer came from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from goodteacher.data import (
    AT_ONCE,
    Fields,
    InMemory,
    InputSpec,
    Text,
    check_rows_of_texts,
    check_texts,
)
from goodteacher.errors import DataError, needed_package

FIELDS = ("input_ids", "attention_mask", "token_type_ids")
"""What tokenizers make of a text, as far as classifiers take it."""


class Tokenize(nn.Module):
    """Texts as whole numbers of a fixed length: token ids, and which of them are no padding.

    Two texts of an example are encoded as the tokenizer encodes pairs. Of more, the second to the
    last are joined by the separator and are the second text of the pair. What is too long loses
    the end of its longer text.

    Args:
        content: Of a ``tokenizer.json``, with padding to a fixed length.
        fields: Which of `FIELDS` the network takes.
        columns: The names of an example's texts, where it has several.
        separator: The token that stands between texts; needed for more than two.
    """

    from_texts = True

    def __init__(
        self,
        content: Mapping[str, Any],
        fields: Sequence[str],
        *,
        columns: Sequence[str] = (),
        separator: str = "",
    ) -> None:
        super().__init__()
        self._tokenizer = _tokenizer_of(content)
        self.fields = tuple(fields)
        self.columns, self.separator = tuple(columns), separator
        padding = self._tokenizer.padding
        if not self.fields or not set(self.fields) <= set(FIELDS):
            raise DataError(
                f"A tokenizer can make the fields {', '.join(FIELDS)}, not {list(fields)}."
            )
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
            ValueError: Stored examples are no texts, or other columns of them.
        """
        if spec.kind != "texts" or spec.columns != self.columns:
            wanted = f"the texts {', '.join(self.columns)}" if self.columns else "one text"
            raise ValueError(f"{spec} are not {wanted}")
        one = ("a",) * len(self.columns) if self.columns else "a"
        (sample,) = self._encoded([one])
        highest = {
            "input_ids": self._tokenizer.get_vocab_size() - 1,
            "attention_mask": 1,
            "token_type_ids": max(sample.type_ids),
        }
        shape = (self.length,)
        made = {
            name: InputSpec(kind="integers", shape=shape, high=highest[name])
            for name in self.fields
        }
        return InputSpec(kind="fields", fields=made)

    def forward(self, raw: Sequence[Text]) -> dict[str, Tensor]:
        """Return the fields of texts, int64 [N, length] each."""
        return {name: part.tensor.long() for name, part in self._parts(raw).items()}

    def read(self, texts: Sequence[Text]) -> Fields:
        """Return the fields of texts, in as few bytes as their numbers need."""
        return Fields(self._parts(texts))

    def count_truncated(self, texts: Sequence[Text]) -> int:
        """Return how many texts lose tokens."""
        encoded = self._encoded(texts)
        return sum(bool(each.overflowing) for each in encoded)

    def notes(
        self, training: Sequence[Text], others: Mapping[str, Sequence[Text]], name: str
    ) -> Iterator[str]:
        """Yield how many texts of each split lose tokens, and whether several run together."""
        if self.columns and not self._tokenizer.num_special_tokens_to_add(True):
            yield (
                f"The tokenizer of {name!r} puts no token between the texts of an example, so "
                f"nothing separates {' and '.join(self.columns)}."
            )
        what, all_of_them, loss = (
            ("an example's texts", "examples", "the end of their longest text")
            if self.columns
            else ("a text", "texts", "their end")
        )
        for split, some in {"training": training, **others}.items():
            cut = self.count_truncated(some)
            if cut:
                yield (
                    f"{name!r} reads {self.length} tokens of {what}: {cut} of {len(some)} {split} "
                    f"{all_of_them} ({cut / len(some):.1%}) are longer and lose {loss}."
                )

    def to_dict(self) -> dict[str, Any]:
        """Return the content of a ``tokenizer.json``, and the fields."""
        made = {"inputs": list(self.fields), "tokenizer": json.loads(self._tokenizer.to_str())}
        several = {"columns": list(self.columns), "separator": self.separator}
        return {**made, **several} if self.columns else made

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
            **({"sep_token": self.separator} if self.separator else {}),
        )

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Tokenize:
        """Return one of what :meth:`to_dict` returned."""
        return cls(
            record["tokenizer"],
            [str(name) for name in record["inputs"]],
            columns=[str(name) for name in record.get("columns", ())],
            separator=str(record.get("separator", "")),
        )

    def _encoded(self, texts: Sequence[Text]) -> list[Any]:
        if self.columns:
            check_rows_of_texts(texts, self.columns)
        else:
            check_texts(texts)
        found: list[Any] = self._tokenizer.encode_batch(as_pairs(texts, self.separator))
        return found

    def _parts(self, texts: Sequence[Text]) -> dict[str, InMemory]:
        spec = self.output(InputSpec(kind="texts", columns=self.columns))
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


def as_pairs(texts: Sequence[Text], separator: str) -> list[str | tuple[str, str]]:
    """Return texts as a tokenizer takes them: each a string, or a pair of strings.

    Args:
        texts: [N]; a tuple of an example's texts where it has several.
        separator: Joins the second to the last of more than two.

    >>> as_pairs([("a", "b", "c")], "[SEP]"), as_pairs(["a"], "")
    ([('a', 'b [SEP] c')], ['a'])
    """

    def pair(text: Text) -> str | tuple[str, str]:
        if isinstance(text, str):
            # half of a pair is no UTF-8, but a str may hold it
            return text.encode("utf-8", "replace").decode()
        first, *others = (each.encode("utf-8", "replace").decode() for each in text)
        return first, f" {separator} ".join(others)

    return [pair(text) for text in texts]


def longest(content: Mapping[str, Any], texts: Sequence[Text], *, separator: str = "") -> int:
    """Return the number of tokens of the longest text, its special tokens included.

    Args:
        content: Of a ``tokenizer.json``; its padding and truncation do not count.
        texts: [N]; a tuple of an example's texts where it has several.
        separator: See `as_pairs`.
    """
    tokenizer = _tokenizer_of(content)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    encoded = tokenizer.encode_batch(as_pairs(texts, separator))
    return max((len(each.ids) for each in encoded), default=1)


def encoded_by(
    tokenizer: Any, texts: Sequence[Text], *, separator: str = "", **settings: Any
) -> Any:
    """Return what a tokenizer of transformers makes of texts.

    Args:
        tokenizer: Of transformers.
        texts: [N]; a tuple of an example's texts where it has several, which are encoded as a pair.
        separator: See `as_pairs`.
        **settings: Of the tokenizer, such as ``truncation``.
    """
    pairs = as_pairs(texts, separator)
    firsts = [pair if isinstance(pair, str) else pair[0] for pair in pairs]
    seconds = [pair[1] for pair in pairs if not isinstance(pair, str)]
    return tokenizer(firsts, seconds or None, **settings)


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
    package = needed_package("tokenizers", extra="hf", what="A network that reads tokens")
    try:
        return package.Tokenizer.from_str(json.dumps(content))
    except Exception as error:  # the package raises Exception itself
        raise DataError(
            f"This tokenizer.json cannot be read: {error}. Was the file edited?"
        ) from error
