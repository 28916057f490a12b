"""The port `Preparation`: how one network wants its inputs.

A preparation belongs to its network, never to the data: teacher and student of one study may see
different inputs, and have only the ids of examples in common. It is fitted to the training part and
frozen then (`fitting`); it is stored and delivered with the network's weights.

    stored images, numbers or texts  ->  preparation  ->  a tensor [N, ...]  ->  module  ->  logits

Of examples with several fields it makes a tensor for each.

Each step below is a preparation, and so is a chain of steps. A new one is a class here and a line
of `STEPS`; `tests/contracts/test_preparations.py` says what it must hold to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, Self, cast

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from goodteacher.data import Inputs, InputSpec, Text, numbers_spec
from goodteacher.errors import DataError
from goodteacher.networks.encoding import Encode
from goodteacher.networks.image_steps import Channels, Crop, Resize
from goodteacher.networks.normalization import Normalization
from goodteacher.networks.tokenizing import Tokenize
from goodteacher.networks.vectorizing import Vectorize, VectorizeColumns
from goodteacher.networks.waveforms import Waveform


class Preparation(Protocol):
    """Turns examples as stored into what a network takes; each alone, and always in the same way.

    Implementations are modules without parameters, so that they move with their network.
    """

    @property
    def from_texts(self) -> bool:
        """Whether it takes texts.

        That is costly, so it is done once and kept; all else is prepared a few thousand examples at
        a time.
        """

    @property
    def blank(self) -> Tensor:
        """The stored value that becomes 0, and so fills a hole in an image.

        float32, broadcastable to one example.
        """

    def output(self, spec: InputSpec) -> InputSpec:
        """Say what a prepared example is.

        Args:
            spec: What a stored one is.

        Raises:
            ValueError: It does not take such examples.
        """

    def __call__(self, raw: Any) -> Any:
        """Prepare examples.

        Args:
            raw: uint8 images [N, C, H, W] (or floats in their units), numbers [N, ...], rows of a
                table [N, F] (see `TableRows`), a sequence of N texts (of tuples, where an example
                has several), or a dictionary of fields.

        Returns:
            float32 or int64 [N, ...], on the device of ``raw``; of texts, on the CPU; of fields,
            and of texts as tokens, a dictionary of such.
        """

    def to(self, device: torch.device | str, /) -> Any:
        """Move what it holds to a device."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON; a class method ``from_dict`` restores it."""


class Reader(Preparation, Protocol):
    """A preparation that takes texts, and is the first of a chain."""

    def read(self, texts: Sequence[Any]) -> Inputs:
        """Return what it makes of texts, in as little memory as that needs."""

    def notes(
        self, training: Sequence[Any], others: Mapping[str, Sequence[Any]], name: str
    ) -> Iterator[str]:
        """Yield what it loses of texts.

        Args:
            training: Texts of the training part.
            others: Texts of other splits, by their names.
            name: Of the network, for messages.
        """


class _Stateless(nn.Module):
    """What keeps nothing, so that there is nothing to store or to set."""

    from_texts = False

    @property
    def blank(self) -> Tensor:
        """Zero."""
        return torch.zeros(())

    def to_dict(self) -> dict[str, Any]:
        """Return nothing: there is nothing to keep."""
        return {}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """Return it."""
        return cls()


class Identity(_Stateless):
    """Numbers as they are stored, as float32: for networks that do the rest themselves."""

    def output(self, spec: InputSpec) -> InputSpec:
        """Say that numbers have the shape of a stored example.

        Raises:
            ValueError: Stored examples are texts or fields.
        """
        return numbers_spec(_shape_of_numbers(spec))

    def forward(self, raw: Tensor) -> Tensor:
        """Return float32 numbers of the same shape and value; a copy."""
        return raw.to(torch.float32, copy=True)


class Integers(_Stateless):
    """Whole numbers as they are stored, as int64: token ids, which no arithmetic may change.

    Example:
        >>> Integers()(torch.tensor([[3, 0]], dtype=torch.uint8)).dtype
        torch.int64
    """

    def output(self, spec: InputSpec) -> InputSpec:
        """Say that whole numbers stay what they are.

        Raises:
            ValueError: Stored examples are no whole numbers.
        """
        if spec.kind != "integers":
            raise ValueError(f"{spec} are not whole numbers")
        return spec

    def forward(self, raw: Tensor) -> Tensor:
        """Return int64 numbers of the same shape and value; a copy."""
        return raw.to(torch.int64, copy=True)


class Chain(nn.Module):
    """Preparations one after another.

    Args:
        *steps: The first takes what is stored, each other what the one before it gives.
    """

    def __init__(self, *steps: Preparation) -> None:
        super().__init__()
        self.steps = nn.ModuleList(cast("Sequence[nn.Module]", steps))

    @property
    def _in_order(self) -> tuple[Preparation, ...]:
        return tuple(cast("Sequence[Preparation]", self.steps))

    @property
    def from_texts(self) -> bool:
        """Whether the first one takes texts."""
        return self._in_order[0].from_texts

    def read(self, texts: Sequence[Text]) -> tuple[Inputs, Preparation]:
        """Do once what is costly: return what the first one makes of texts, and what is left.

        Args:
            texts: [N]; a tuple each where an example has several.

        Returns:
            Numbers, sparse, or fields of tokens, and the preparation that they want still.
        """
        first = self._in_order[0]
        read = cast("Reader", first).read(texts)
        return read, self._behind_reading(read.spec)

    def apart(self, spec: InputSpec) -> tuple[Preparation, Chain]:
        """Return the step that takes texts, and what is done to the numbers it makes of them.

        Args:
            spec: What a stored example is: texts.
        """
        first = self._in_order[0]
        return first, self._behind_reading(first.output(spec))

    def _behind_reading(self, made: InputSpec) -> Chain:
        others = self._in_order[1:]
        if made.kind == "fields":
            return Chain(Each({name: Chain(Integers()) for name in made.fields}), *others)
        return Chain(*others)

    def notes(
        self, training: Sequence[Text], others: Mapping[str, Sequence[Text]], name: str
    ) -> Iterator[str]:
        """Yield what the first one loses of texts, see `Reader`."""
        yield from cast("Reader", self._in_order[0]).notes(training, others, name)

    @property
    def blank(self) -> Tensor:
        """The value that the last one makes 0: those before it leave what is even as it is.

        Where a gray channel becomes several that are normalised differently, it is the mean of
        their values, and not all of them become 0.
        """
        blank = self._in_order[-1].blank
        for step in self._in_order:
            if isinstance(step, Channels):
                blank = step.stored_blank(blank)
        return blank

    def output(self, spec: InputSpec) -> InputSpec:
        """Say what the last one gives."""
        for step in self._in_order:
            spec = step.output(spec)
        return spec

    def forward(self, raw: Any) -> Any:
        """Prepare examples, a step after another."""
        for step in self._in_order:
            raw = step(raw)
        return raw

    def to_dict(self) -> dict[str, Any]:
        """Return every step, with its kind."""
        return {"steps": [{"kind": kind_of(step), **step.to_dict()} for step in self._in_order]}


class Each(nn.Module):
    """A preparation for each of several fields.

    Args:
        preparations: By the name of the field.

    Example:
        >>> each = Each({"ids": Chain(Integers()), "ages": Chain(Identity())})
        >>> each({"ids": torch.ones(1, 2).int(), "ages": torch.ones(1)})["ids"].dtype
        torch.int64
    """

    from_texts = False

    def __init__(self, preparations: Mapping[str, Chain]) -> None:
        super().__init__()
        # Fields may have names that a module's attribute cannot have.
        self._names = tuple(preparations)
        self._chains = nn.ModuleList(preparations.values())

    @property
    def _by_name(self) -> dict[str, Chain]:
        return dict(zip(self._names, cast("Sequence[Chain]", self._chains), strict=True))

    @property
    def blank(self) -> Tensor:
        """Zero: fields have no holes."""
        return torch.zeros(())

    def output(self, spec: InputSpec) -> InputSpec:
        """Say what each field becomes.

        Raises:
            ValueError: Stored examples have other fields.
        """
        if spec.fields.keys() != self._by_name.keys():
            raise ValueError(f"{spec} are not the fields {', '.join(self._names)}")
        fields = {name: chain.output(spec.fields[name]) for name, chain in self._by_name.items()}
        return InputSpec(kind="fields", fields=fields)

    def forward(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Prepare each field."""
        return {name: chain(raw[name]) for name, chain in self._by_name.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return the preparation of each field."""
        return {"fields": {name: chain.to_dict() for name, chain in self._by_name.items()}}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Each:
        """Return one of what :meth:`to_dict` returned."""
        return cls({str(name): preparation_from(each) for name, each in record["fields"].items()})


STEPS: Mapping[str, Any] = {
    "normalize": Normalization,
    "resize": Resize,
    "crop": Crop,
    "channels": Channels,
    "waveform": Waveform,
    "tfidf": Vectorize,
    "tfidf_columns": VectorizeColumns,
    "tokenizer": Tokenize,
    "encode": Encode,
    "identity": Identity,
    "integers": Integers,
    "fields": Each,
}
"""Every kind of step by the name that it has in files."""


def kind_of(step: Preparation) -> str:
    """Return the name that a step has in files.

    >>> kind_of(Resize(14, 14))
    'resize'
    """
    return next(name for name, kind in STEPS.items() if type(step) is kind)


def _shape_of_numbers(spec: InputSpec) -> tuple[int, ...]:
    if spec.kind in ("texts", "rows", "fields"):
        raise ValueError(f"{spec} are not numbers")
    return spec.shape


def preparation_from(record: Mapping[str, Any]) -> Chain:
    """Return the chain of which :meth:`Chain.to_dict` returned the record.

    Raises:
        DataError: Something is missing, unknown or not allowed.

    >>> stored = InputSpec(kind="images", shape=(1, 28, 28))
    >>> preparation_from(Chain(Resize(14, 14)).to_dict()).output(stored).shape
    (1, 14, 14)
    """
    steps = record.get("steps") if isinstance(record, dict) and len(record) == 1 else None
    if not isinstance(steps, list) or not steps:
        raise DataError(
            "A preparation must be a list of steps under the key 'steps', which must be the only "
            "key. Was the file edited, or is it from another version?"
        )
    return Chain(*map(_step_from, steps))


def _step_from(record: Any) -> Preparation:
    kind = str(record.get("kind")) if isinstance(record, dict) else "nothing"
    if kind not in STEPS:
        raise DataError(
            f"A step of a preparation must be one of {', '.join(STEPS)}, but this one is "
            f"{kind!r}. Is the file from another version?"
        )
    try:
        step = STEPS[kind].from_dict({key: v for key, v in record.items() if key != "kind"})
    except DataError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        told = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise DataError(
            f"The step {kind!r} of a preparation cannot be read: {told}. Was the file edited, or "
            "is it incomplete?"
        ) from error
    return cast("Preparation", step)
