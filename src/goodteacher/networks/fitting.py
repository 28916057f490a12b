"""Fitting preparations: what the ``@`` of a specification asks for, and what comes without one.

``mlp:64@resize:14`` sees images at 14x14, ``mlp:64@tfidf:512`` texts by their 512 most frequent
terms, ``mlp:64@raw`` numbers as they are stored, and a network with ``@integers`` whole numbers as
they are. ``hf:folder@tokens:64`` reads texts by its own tokenizer, cut to 64 tokens, and
``timm:resnet18@pixels:96`` sees images as timm prepares them, at 96x96. Without an ``@``, images
and numbers are normalised as the setting ``normalization`` says and texts have ``tfidf_features``
terms, but networks that come with a preparation of their own have that. Rows of a table with words
or gaps are encoded (:mod:`goodteacher.networks.encoding`). Of several fields, those of whole
numbers stay as they are.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import Tensor

from goodteacher.data import Fields, Inputs, InputSpec, Kind, Split, Text, TextColumns, Texts
from goodteacher.errors import ConfigError, ModelError
from goodteacher.networks.encoding import fit_encoding
from goodteacher.networks.image_steps import Resize
from goodteacher.networks.normalization import (
    NORMALIZATIONS,
    TEXT_NORMALIZATIONS,
    Normalization,
    fit_channels,
    make_normalization,
)
from goodteacher.networks.preparation import Chain, Each, Identity, Integers, Preparation
from goodteacher.networks.pretrained import fit_tokenizer
from goodteacher.networks.processing import hugging_face_pixels, hugging_face_waveform
from goodteacher.networks.text import fit_tfidf, fit_tfidf_of_columns
from goodteacher.networks.vectorizing import Vectorize, VectorizeColumns
from goodteacher.networks.vision import own_pixels


@dataclass(frozen=True)
class _Request:
    """What a preparation is fitted to, and for whom.

    Attributes:
        spec: The network's specification, for messages.
        argument: What stands behind the name of the preparation.
        training: The training part.
        normalization: The setting of that name.
        num_terms: The setting ``tfidf_features``.
        labels: The classes of the training part.
    """

    spec: str
    argument: str
    training: Inputs
    normalization: str | Normalization
    num_terms: int | None
    labels: Tensor

    @property
    def kind(self) -> Kind:
        """What the examples are."""
        return self.training.spec.kind

    @property
    def texts(self) -> tuple[Text, ...] | None:
        """The texts, where examples are texts; a tuple each where they have several."""
        return self.training.texts if isinstance(self.training, Texts | TextColumns) else None

    @property
    def source(self) -> str:
        """The source of the network: what stands before the colon."""
        return split_spec(self.spec)[0].partition(":")[0]

    def own_name(self, what: str, sources: tuple[str, ...]) -> str:
        """Return what a network is called that has some preparation of its own.

        Raises:
            ModelError: It comes from a source whose networks have none.
        """
        source, _, name = split_spec(self.spec)[0].partition(":")
        if source not in sources:
            listed = " and ".join(f"'{each}:'" for each in sources)
            raise ModelError(
                f"The network {self.spec!r} has no {what} that an @ could choose, as networks "
                f"with {listed} have. Leave out the part after the @."
            )
        return name

    def refused(self, rule: str) -> ModelError:
        """Say that this preparation is for other examples than these."""
        clause = split_spec(self.spec)[1]
        return ModelError(
            f"The network {self.spec!r} {rule}, but the examples of these data are "
            f"{self.training.spec}. Leave '@{clause}' out."
        )

    def each(self, fit: Callable[[_Request], Chain]) -> Chain:
        """Fit a preparation to each field."""
        parts = cast("Fields", self.training).parts
        chains = {n: fit(dataclasses.replace(self, training=part)) for n, part in parts.items()}
        return Chain(Each(chains))


def _fit_default(request: _Request) -> Chain:
    choice = request.normalization
    if request.kind == "fields":
        return request.each(_fit_field)
    if isinstance(request.training, Texts | TextColumns):
        return _fit_terms(request.training, request)
    if request.kind == "rows":
        return _fit_rows(request)
    return Chain(make_normalization(choice, request.training, table=NORMALIZATIONS))


def _fit_terms(training: Texts | TextColumns, request: _Request) -> Chain:
    labels, count = request.labels, request.num_terms
    if isinstance(training, Texts):
        one = Vectorize(fit_tfidf(training.texts, labels=labels, max_features=count))
        vectorize: Preparation = one
        features = one.read(training.texts)
    else:
        found = fit_tfidf_of_columns(training.columns, labels=labels, max_features=count)
        several = VectorizeColumns(found)
        vectorize, features = several, several.read(training.texts)
    normalization = make_normalization(request.normalization, features, table=TEXT_NORMALIZATIONS)
    return Chain(vectorize, normalization)


def _fit_rows(request: _Request) -> Chain:
    """Encode rows; ``normalization`` says whether numbers are scaled."""
    chunks = cast("Iterator[Tensor]", request.training.chunks())
    if isinstance(request.normalization, Normalization):
        raise ConfigError(
            "A Normalization object applies to numbers, but these examples are "
            f"{request.training.spec}. Use normalization='auto' or 'none'."
        )
    scaled = NORMALIZATIONS[request.normalization] is not NORMALIZATIONS["none"]
    return Chain(fit_encoding(torch.cat([*chunks]), request.training.spec, scaled=scaled))


def _fit_field(request: _Request) -> Chain:
    """Leave whole numbers of a field as they are: they are ids and masks as a rule."""
    return Chain(Integers()) if request.kind == "integers" else _fit_default(request)


def _fit_tfidf(request: _Request) -> Chain:
    if request.texts is None:
        raise request.refused("needs terms of texts")
    wanted = int(request.argument)
    return _fit_default(dataclasses.replace(request, num_terms=wanted))


def _fit_resize(request: _Request) -> Chain:
    images = request.training
    if request.kind != "images":
        raise request.refused("needs images at another size")
    stored, (height, width) = images.spec.shape[1:], _sides(request.argument)
    if height > stored[0] or width > stored[1]:
        raise ModelError(
            f"The network {request.spec!r} needs images of {height}x{width}, but those of these "
            f"data have {stored[0]}x{stored[1]} pixels, and @resize can only make images smaller. "
            "Give at most their size, or enlarge the images when they are read: --resize "
            f"{height},{width}."
        )
    resize = Resize(height, width)

    def fit(images: Tensor | Inputs) -> Normalization:
        return fit_channels(resize(part) for part in cast("Inputs", images).chunks())

    table = {**NORMALIZATIONS, "auto": fit}
    return Chain(resize, make_normalization(request.normalization, images, table=table))


def _fit_raw(request: _Request) -> Chain:
    if request.kind in ("texts", "rows"):
        raise request.refused("needs numbers as they are stored")
    if request.kind == "fields":
        return request.each(_fit_raw_field)
    return Chain(Identity())


def _fit_raw_field(request: _Request) -> Chain:
    return Chain(Integers() if request.kind == "integers" else Identity())


def _fit_integers(request: _Request) -> Chain:
    if request.kind != "integers":
        raise request.refused("needs whole numbers as they are stored")
    return Chain(Integers())


def _fit_tokens(request: _Request) -> Chain:
    name = request.own_name("tokenizer", ("hf",))
    if request.texts is None:
        raise request.refused("reads texts with its tokenizer")
    length = int(request.argument) if request.argument else None
    columns = request.training.spec.columns
    return Chain(fit_tokenizer(name, request.texts, length=length, columns=columns))


_OWN_PIXELS: Mapping[str, Callable[[str, InputSpec, tuple[int, int] | None], Chain]] = {
    "hf": hugging_face_pixels,
    "timm": partial(own_pixels, "timm"),
    "torchvision": partial(own_pixels, "torchvision"),
}
"""How the networks of a source want images: ``(name, stored, size) -> preparation``."""


def _fit_pixels(request: _Request) -> Chain:
    name = request.own_name("processor of images", tuple(_OWN_PIXELS))
    if request.kind != "images":
        raise request.refused("prepares images in its own way")
    size = _sides(request.argument) if request.argument else None
    return _OWN_PIXELS[request.source](name, request.training.spec, size)


def _fit_waveform(request: _Request) -> Chain:
    name = request.own_name("extractor of waveforms", ("hf",))
    spec = request.training.spec
    if request.kind not in ("numbers", "integers") or len(spec.shape) != 1:
        raise request.refused("takes waveforms, rows of numbers")
    return hugging_face_waveform(name, spec)


def _sides(argument: str) -> tuple[int, int]:
    height, _, width = argument.partition("x")
    return int(height), int(width or height)


def _canonical_sides(argument: str) -> str:
    height, width = _sides(argument.lower())
    return f"{height}" if height == width else f"{height}x{width}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationKind:
    """One kind of preparation that a specification can ask for.

    Attributes:
        grammar: What stands behind the ``@``, in words, for error messages.
        example: A complete specification, for error messages.
        pattern: Regular expression that a well-formed argument matches whole; "" where the kind
            has none.
        fit: Fits it to the training part.
        canonical: Brings a well-formed argument into the one form that stands for it.
    """

    grammar: str
    example: str
    pattern: str
    fit: Callable[[_Request], Chain]
    canonical: Callable[[str], str] = str


_SIDE = r"0*[1-9][0-9]{0,3}"  # four digits: larger images are typing errors
PREPARATIONS: Mapping[str, PreparationKind] = {
    "resize": PreparationKind(
        grammar="@resize:SIDE or @resize:HEIGHTxWIDTH with the pixels of each side, 1 to 9999",
        example="mlp:64@resize:14",
        pattern=rf"{_SIDE}([xX]{_SIDE})?",
        fit=_fit_resize,
        canonical=_canonical_sides,
    ),
    "tfidf": PreparationKind(
        grammar="@tfidf:TERMS with the number of terms, 1 to 9999999",
        example="mlp:64@tfidf:512",
        pattern=r"0*[1-9][0-9]{0,6}",
        fit=_fit_tfidf,
        canonical=lambda argument: str(int(argument)),
    ),
    "raw": PreparationKind(
        grammar="@raw, without an argument",
        example="python:package.module:factory@raw",
        pattern="",
        fit=_fit_raw,
    ),
    "integers": PreparationKind(
        grammar="@integers, without an argument",
        example="python:package.module:factory@integers",
        pattern="",
        fit=_fit_integers,
    ),
    "pixels": PreparationKind(
        grammar="@pixels, @pixels:SIDE or @pixels:HEIGHTxWIDTH with pixels of a side, 1 to 9999",
        example="timm:resnet18@pixels:96",
        pattern=rf"({_SIDE}([xX]{_SIDE})?)?",
        fit=_fit_pixels,
        canonical=_canonical_sides,
    ),
    "waveform": PreparationKind(
        grammar="@waveform, without an argument",
        example="hf:folder@waveform",
        pattern="",
        fit=_fit_waveform,
    ),
    "tokens": PreparationKind(
        grammar="@tokens or @tokens:LENGTH with the tokens of each text, 1 to 9999999",
        example="hf:folder@tokens:128",
        pattern=r"(0*[1-9][0-9]{0,6})?",
        fit=_fit_tokens,
        canonical=lambda argument: str(int(argument)),
    ),
}
"""What may stand behind the ``@``: all that a new preparation needs is an entry here."""


OF_THE_NETWORK = ("tokens", "pixels", "waveform")
"""Preparations that come with a network, so that two networks have two of them."""

WITH_PATHS = ("hf", "timm", "torchvision")
"""Sources whose arguments may be any name or path, with an ``@`` and spaces in it."""


def split_spec(spec: str) -> tuple[str, str]:
    """Return the architecture of a specification, and what stands behind its ``@``.

    >>> split_spec("mlp:64@resize:14"), split_spec("mlp:64")
    (('mlp:64', 'resize:14'), ('mlp:64', ''))
    >>> split_spec("hf:runs@home/bert@tokens:64")
    ('hf:runs@home/bert', 'tokens:64')
    """
    if spec.partition(":")[0] in WITH_PATHS:
        architecture, _, clause = spec.rpartition("@")
        asks = architecture and clause.partition(":")[0].strip().lower() in PREPARATIONS
        return (architecture, clause) if asks else (spec, "")
    architecture, _, clause = spec.partition("@")
    return architecture, clause


def canonical_clause(spec: str, clause: str) -> str:
    """Bring what stands behind the ``@`` of a specification into the one form that stands for it.

    Args:
        spec: The whole specification, for messages.
        clause: What stands behind the ``@``, without spaces beside separators.

    Raises:
        ModelError: The kind of preparation is unknown, or its argument is malformed.

    >>> canonical_clause("mlp:8@resize:014x14", "resize:014x14")
    'resize:14'
    """
    name, colon, argument = clause.partition(":")
    name = name.lower()
    if name not in PREPARATIONS:
        nearest = difflib.get_close_matches(name, PREPARATIONS, n=1, cutoff=0.4)
        hint = f" Did you mean {PREPARATIONS[nearest[0]].example!r}?" if nearest else ""
        raise ModelError(
            f"The model specification {spec!r} has the unknown preparation {name!r} after the @: "
            f"it must be one of {', '.join(PREPARATIONS)}.{hint}"
        )
    kind = PREPARATIONS[name]
    if bool(colon) != bool(argument) or not re.fullmatch(kind.pattern, argument):
        raise ModelError(
            f"The model specification {spec!r} is malformed after the @: it must be "
            f"{kind.grammar}. For example {kind.example!r}."
        )
    return f"{name}:{kind.canonical(argument)}" if colon else name


def fit_preparation(
    spec: str,
    training: Split,
    *,
    normalization: str | Normalization = "auto",
    tfidf_features: int | None = None,
) -> Chain:
    """Fit what a network's specification asks for to training examples, and to nothing else.

    Args:
        spec: The specification, in its canonical form.
        training: The training part.
        normalization: A name in `NORMALIZATIONS`, or a `Normalization`.
        tfidf_features: Terms of a text, at most, where the specification does not say; None takes
            `DEFAULT_TERMS`.

    Raises:
        ModelError: It does not go with these examples.
        DataError: No training text has a term.
        ConfigError: There is no such normalization.

    Example:
        >>> training = Split.from_arrays([[0.0], [2.0]], [0, 1])
        >>> fit_preparation("mlp:8", training)(training.inputs).tolist()
        [[-1.0], [1.0]]
    """
    name, _, argument = split_spec(spec)[1].partition(":")
    labels = training.labels
    request = _Request(spec, argument, training.stored, normalization, tfidf_features, labels)
    return PREPARATIONS[name].fit(request) if name else _fit_default(request)
