"""From a specification to a network: the grammar, the table of sources, the checks at the door."""

from __future__ import annotations

import dataclasses
import difflib
import numbers
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from goodteacher.data import InputSpec, numbers_spec
from goodteacher.errors import ModelError
from goodteacher.networks import factory, feedforward, given, pretrained, residual, vision
from goodteacher.networks.estimators import ESTIMATORS, about_estimators
from goodteacher.networks.fitting import WITH_PATHS, canonical_clause, split_spec

NUMBER = r"0*[1-9][0-9]{0,6}"  # seven digits: larger widths are typing errors
DEPTH = r"0*[1-9][0-9]{0,3}"  # four digits: larger depths only fill the memory, block by block
MAX_SEED = 2**32 - 1  # PyTorch's CPU generator ignores the higher bits: 2^32 would repeat seed 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSource:
    """The port: one source of networks, how its argument is written, and who builds it.

    Attributes:
        grammar: The specification in words, for error messages.
        example: A complete specification, for error messages.
        pattern: Regular expression that a well-formed argument matches whole, once the spaces
            beside its separators are gone.
        build: ``(argument, num_classes, inputs) -> network``; the argument is canonical.
        canonical: Brings a well-formed argument into the one form that stands for it.
        image: Whether inputs must be images ``(channels, height, width)``.
        users_own: Whether it is the user's, and so may take inputs of any kind.
        depth_rule: ``(multiple, remainder)`` of the first number; ``(6, 2)`` is 6n + 2, n >= 1.
        own: ``(what one example is) -> the preparation that networks come with``: what stands
            behind the ``@`` where a specification does not say; "" for none.
        described: ``(argument, network) -> what a delivered network needs beside its weights``,
            where that lies in files of the user's that may be gone; plain values.
        rebuilt: ``(described, num_classes, inputs) -> network`` without those files.
    """

    grammar: str
    example: str
    pattern: str
    build: Callable[[str, int, InputSpec], nn.Module]
    canonical: Callable[[str], str]
    image: bool = False
    users_own: bool = False
    depth_rule: tuple[int, int] | None = None
    own: Callable[[InputSpec], str] = lambda inputs: ""
    described: Callable[[str, nn.Module], dict[str, Any]] | None = None
    rebuilt: Callable[[dict[str, Any], int, InputSpec], nn.Module] | None = None


def _numbers(argument: str) -> list[int]:
    return [int(number) for number in re.findall(r"[0-9]+", argument)]


def _plain_numbers(argument: str) -> str:
    """Strip leading zeros: ``064`` is 64."""
    return re.sub(r"[0-9]+", lambda match: str(int(match[0])), argument.lower())


def _without_unit_width(argument: str) -> str:
    """``20x1`` is ``20``: a width factor of one is the plain network."""
    return _plain_numbers(argument).removesuffix("x1")


def _linear(argument: str, num_classes: int, inputs: InputSpec) -> nn.Module:
    return feedforward.linear(num_classes=num_classes, input_shape=inputs.shape)


def _mlp(argument: str, num_classes: int, inputs: InputSpec) -> nn.Module:
    return feedforward.mlp(_numbers(argument), num_classes=num_classes, input_shape=inputs.shape)


def _cnn(argument: str, num_classes: int, inputs: InputSpec) -> nn.Module:
    return feedforward.cnn(_numbers(argument), num_classes=num_classes, input_shape=inputs.shape)


def _resnet(argument: str, num_classes: int, inputs: InputSpec) -> nn.Module:
    numbers = _numbers(argument)
    return residual.resnet(*numbers, num_classes=num_classes, input_shape=inputs.shape)


def _wrn(argument: str, num_classes: int, inputs: InputSpec) -> nn.Module:
    depth, width = _numbers(argument)
    return residual.wide_resnet(depth, width, num_classes=num_classes, input_shape=inputs.shape)


def _python(argument: str, num_classes: int, inputs: InputSpec) -> nn.Module:
    return factory.build_from_factory(argument, num_classes=num_classes, inputs=inputs)


def _given(argument: str, num_classes: int, inputs: InputSpec) -> nn.Module:
    return given.build_given(argument, num_classes=num_classes, inputs=inputs)


def _own_of_images(inputs: InputSpec) -> str:
    return "pixels" if inputs.kind == "images" else ""


def _own_of_transformers(inputs: InputSpec) -> str:
    if inputs.kind == "numbers":
        return "waveform" if len(inputs.shape) == 1 else ""
    return {"texts": "tokens", "images": "pixels"}.get(inputs.kind, "")


def _hf(argument: str, num_classes: int, inputs: InputSpec) -> nn.Module:
    return pretrained.build_pretrained(argument, num_classes=num_classes, inputs=inputs)


NETWORK_SOURCES: Mapping[str, NetworkSource] = {
    "linear": NetworkSource(
        grammar="linear, without an argument",
        example="linear",
        pattern="",
        build=_linear,
        canonical=str,
    ),
    "mlp": NetworkSource(
        grammar="mlp:WIDTH,WIDTH,... with the units of each hidden layer, 1 to 9999999",
        example="mlp:1200,1200",
        pattern=rf"{NUMBER}(,{NUMBER})*",
        build=_mlp,
        canonical=_plain_numbers,
    ),
    "cnn": NetworkSource(
        grammar="cnn:WIDTH,WIDTH,... with the channels of each convolution, 1 to 9999999",
        example="cnn:32,64,128",
        pattern=rf"{NUMBER}(,{NUMBER})*",
        build=_cnn,
        canonical=_plain_numbers,
        image=True,
    ),
    "resnet": NetworkSource(
        grammar="resnet:DEPTH or resnet:DEPTHxWIDTH with DEPTH = 6n + 2 of at most 4 digits",
        example="resnet:20",
        pattern=rf"{DEPTH}([xX]{NUMBER})?",
        build=_resnet,
        canonical=_without_unit_width,
        image=True,
        depth_rule=(6, 2),
    ),
    "wrn": NetworkSource(
        grammar="wrn:DEPTH-WIDTH with DEPTH = 6n + 4 of at most 4 digits",
        example="wrn:16-2",
        pattern=rf"{DEPTH}-{NUMBER}",
        build=_wrn,
        canonical=_plain_numbers,
        image=True,
        depth_rule=(6, 4),
    ),
    "python": NetworkSource(
        grammar="python:package.module:factory, a callable num_classes -> nn.Module",
        example="python:mypackage.networks:small",
        pattern=r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*",
        build=_python,
        canonical=str,
        users_own=True,
    ),
    "given": NetworkSource(
        grammar="given:NAME, the name that goodteacher gives to a network that you pass in Python",
        example="given:make_net",
        pattern=r"[\w.\-]+",
        build=_given,
        canonical=str,
        users_own=True,
    ),
    "hf": NetworkSource(
        grammar="hf:NAME_OR_FOLDER, a folder or a hub name of a model of transformers",
        example="hf:models/bert",
        pattern=r".*[^/\s].*",
        build=_hf,
        canonical=pretrained.canonical_name,
        users_own=True,
        own=_own_of_transformers,
        described=pretrained.described,
        rebuilt=pretrained.rebuilt,
    ),
    "timm": NetworkSource(
        grammar=(
            "timm:NAME, for pretrained weights followed by .WEIGHTS of timm or +FILE.safetensors"
        ),
        example="timm:resnet18",
        pattern=vision.ARGUMENT,
        build=partial(vision.build, "timm"),
        canonical=vision.canonical_argument,
        users_own=True,
        own=_own_of_images,
        described=vision.described,
        rebuilt=partial(vision.rebuilt, "timm"),
    ),
    "torchvision": NetworkSource(
        grammar=(
            "torchvision:NAME, for pretrained weights followed by .WEIGHTS of torchvision or "
            "+FILE.safetensors"
        ),
        example="torchvision:mobilenet_v3_small",
        pattern=vision.ARGUMENT,
        build=partial(vision.build, "torchvision"),
        canonical=vision.canonical_argument,
        users_own=True,
        own=_own_of_images,
        described=vision.described,
        rebuilt=partial(vision.rebuilt, "torchvision"),
    ),
}
"""Every source by the name before the colon: all that a new architecture needs is an entry here."""


def canonical_spec(spec: str) -> str:
    """Bring a specification into the one form that stands for the architecture.

    Spaces beside separators go, the family is lower case, numbers lose leading zeros, a width
    factor of 1 is dropped. Two specifications of equal canonical form make equal networks from
    equal seeds, so this is the form to compare and to hash.

    Args:
        spec: ``family:argument``, and ``@preparation`` behind it where inputs are not prepared as
            usual.

    Returns:
        The canonical specification.

    Raises:
        ModelError: If the family is unknown, its argument malformed, or the depth none of its own;
            or see `canonical_clause`.

    >>> canonical_spec(" MLP: 1200, 0800 "), canonical_spec("mlp:64 @ resize:014")
    ('mlp:1200,800', 'mlp:64@resize:14')
    """
    name, argument, clause = _parse(spec)
    return name + (f":{argument}" if argument else "") + (f"@{clause}" if clause else "")


def build_model(
    spec: str, *, num_classes: int, inputs: InputSpec | Sequence[int], seed: int
) -> nn.Module:
    """Build the network of a specification, with initial weights that the seed determines.

    Args:
        spec: ``mlp:1200,1200``, ``cnn:32,64,128``, ``resnet:20``, ``resnet:8x4``, ``wrn:16-2`` or
            ``python:package.module:factory``, a callable that gets ``num_classes``, and
            ``input_shape`` if it takes that, of fields a dictionary; it must have been named by the
            user, see `specification_of`. What stands behind an ``@`` says how inputs are prepared,
            and changes nothing here.
        num_classes: Number C of logits; at least 2.
        inputs: What one example is, as it is prepared; a shape stands for numbers of it, such as
            ``(features,)`` or ``(channels, height, width)``.
        seed: Seeds PyTorch's CPU generator while the network is made, 0 to 2^32 - 1. Afterwards
            that generator is as it was.

    Returns:
        A network from batches of such examples to raw logits ``[B, C]``, on the CPU.

    Raises:
        ModelError: If the specification, the number of classes, the shape or the seed is not
            allowed, or a user's factory does not give a classifier.

    >>> network = build_model("mlp:64", num_classes=10, inputs=(1, 28, 28), seed=0)
    >>> parameter_count(network)
    50890
    """
    name, argument, _ = _parse(spec)
    family = NETWORK_SOURCES[name]
    _check_classes(num_classes)
    if not isinstance(inputs, InputSpec):
        _check_shape(inputs)
        inputs = numbers_spec(inputs)
    if not family.users_own:
        _check_inputs(inputs, spec, image=family.image)
    _check_seed(seed)
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would also reseed the accelerators, which fork_rng does not restore.
        torch.default_generator.manual_seed(int(seed))
        try:
            return family.build(argument, int(num_classes), inputs)
        except (MemoryError, RuntimeError) as error:
            reason = str(error).partition("\n")[0].rstrip(". ")  # a C++ stack may follow
            raise ModelError(
                f"The network {spec!r} for {inputs} cannot be made: {reason}. If there is not "
                "enough memory, choose a smaller network."
            ) from error


def described(spec: str, network: nn.Module) -> dict[str, Any] | None:
    """Return what a delivered network needs beside its weights; None where that is its name."""
    name, argument, _ = _parse(spec)
    source = NETWORK_SOURCES[name]
    return source.described(argument, network) if source.described else None


def rebuilt(spec: str, record: dict[str, Any], *, num_classes: int, inputs: InputSpec) -> nn.Module:
    """Return a network of which :func:`described` returned the record; its weights are not set.

    Raises:
        ModelError: It cannot be made of the record.
    """
    source = NETWORK_SOURCES[_parse(spec)[0]]
    if source.rebuilt is None:
        raise ModelError(f"The network {spec!r} is made from its name only.")
    with torch.random.fork_rng(devices=[]):
        return source.rebuilt(record, num_classes, inputs)


def own_clause(spec: str, inputs: InputSpec) -> str:
    """Return what stands behind the ``@`` of a network that comes with a preparation of its own.

    Args:
        spec: The specification, which says nothing itself.
        inputs: What one stored example is.

    >>> texts = InputSpec(kind="texts")
    >>> own_clause("hf:models/bert", texts), own_clause("mlp:64", texts)
    ('tokens', '')
    """
    return NETWORK_SOURCES[_parse(spec)[0]].own(inputs)


def needs_description(spec: str) -> bool:
    """Say whether a delivered network needs more than its name and its weights."""
    return NETWORK_SOURCES[_parse(spec)[0]].described is not None


def parameter_count(module: nn.Module) -> int:
    """Count a network's parameters (buffers such as running means are not parameters).

    >>> parameter_count(nn.Linear(4, 3))
    15
    """
    return sum(parameter.numel() for parameter in module.parameters())


def weight_bytes(module: nn.Module) -> int:
    """Return the size of a network's parameters and buffers in bytes.

    >>> weight_bytes(nn.Linear(4, 3))
    60
    """
    return sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))


def is_users_own(spec: str) -> bool:
    """Say whether a specification names a network of the user's.

    >>> is_users_own("python:package.module:factory"), is_users_own("mlp:64")
    (True, False)
    """
    return NETWORK_SOURCES[_parse(spec)[0]].users_own


def _parse(spec: str) -> tuple[str, str, str]:
    """Return family, argument and what stands behind the ``@``, each in its canonical form."""
    if callable(spec):
        raise ModelError(
            f"A model specification must be a string, but got a {type(spec).__name__}. To get the "
            "specification of a network, or of a function that makes one, call "
            "goodteacher.networks.specification_of."
        )
    if not isinstance(spec, str):
        raise ModelError(
            f"A model specification must be a string, but got {spec!r} of type "
            f"{type(spec).__name__}. Write it as in {NETWORK_SOURCES['mlp'].example!r}."
        )
    name, argument, at, clause = _divided(spec)
    if name not in NETWORK_SOURCES:
        raise ModelError(_unknown_family(spec, name))
    family = NETWORK_SOURCES[name]
    if not re.fullmatch(family.pattern, argument):
        raise ModelError(
            f"The model specification {spec!r} is malformed: it must be {family.grammar}. "
            f"For example {family.example!r}."
        )
    argument = family.canonical(argument)
    _check_depth(spec, family, argument)
    return name, argument, canonical_clause(spec, clause) if at else ""


def _divided(spec: str) -> tuple[str, str, str, str]:
    """Return family, argument, the ``@`` if there is one, and what stands behind it."""
    family, _, path = spec.strip().partition(":")
    family = family.strip().lower()
    if family in WITH_PATHS:
        name, clause = split_spec(f"{family}:{path.strip()}")
        return family, name.removeprefix(f"{family}:").strip(), clause, _without_spaces(clause)
    architecture, at, clause = _without_spaces(spec).partition("@")
    name, _, argument = architecture.partition(":")
    return name.lower(), argument, at, clause


def _without_spaces(spec: str) -> str:
    """Drop spaces at the ends and beside separators; ``64 32`` keeps its own and is refused."""
    return re.sub(r"(?<!\w)\s+|\s+(?!\w)", "", spec)


def _meant(spec: str, family: str) -> str:
    """Return a specification with another family, or the family's example where that is none."""
    _, colon, argument = spec.strip().partition(":")
    try:
        return canonical_spec(f"{family}{colon}{argument}")
    except ModelError:
        return NETWORK_SOURCES[family].example


def _unknown_family(spec: str, name: str) -> str:
    if name in ESTIMATORS:
        return about_estimators(spec)
    nearest = difflib.get_close_matches(name, [*NETWORK_SOURCES, *ESTIMATORS], n=1, cutoff=0.4)
    network = bool(nearest) and nearest[0] in NETWORK_SOURCES
    hint = f" Did you mean {_meant(spec, nearest[0])!r}?" if network else ""
    return (
        f"The model specification {spec!r} names the unknown family {name!r}: it must be one of "
        f"{', '.join(source for source in NETWORK_SOURCES if source != 'given')}, followed by a "
        f"colon and its argument (linear has none).{hint}{about_estimators(spec)}"
    )


def _check_depth(spec: str, family: NetworkSource, argument: str) -> None:
    if family.depth_rule is None:
        return
    multiple, remainder = family.depth_rule
    depth = _numbers(argument)[0]
    if depth % multiple != remainder or depth <= multiple:
        blocks = max(1, round((depth - remainder) / multiple))
        raise ModelError(
            f"The model specification {spec!r} has depth {depth}, but it must be "
            f"{family.grammar}, n = 1, 2, ... The nearest depth is {multiple * blocks + remainder}."
        )


def _is_int(value: object) -> bool:
    """Tell whether a value is a whole number; NumPy's count, since labels and shapes have them."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _check_classes(num_classes: int) -> None:
    if not _is_int(num_classes) or num_classes < 2:
        raise ModelError(
            f"num_classes must be a whole number of at least 2, but got {num_classes!r}. Does the "
            "data set have a single label?"
        )


def _check_seed(seed: int) -> None:
    if not _is_int(seed) or not 0 <= seed <= MAX_SEED:
        raise ModelError(
            f"seed must be a whole number from 0 to 2^32 - 1, but got {seed!r}. Choose a small "
            "one, for example 0."
        )


def _check_shape(shape: Sequence[int]) -> None:
    sizes = list(shape) if isinstance(shape, Sequence) else []
    if not sizes or not all(_is_int(size) and size >= 1 for size in sizes):
        raise ModelError(
            f"The input shape must be positive whole numbers, but is {shape!r}. "
            "Give the shape of one example, without the batch: (784,) or (1, 28, 28)."
        )


def _check_inputs(inputs: InputSpec, spec: str, *, image: bool) -> None:
    """Refuse what the library's own networks cannot take."""
    if inputs.kind != "numbers":
        raise ModelError(
            f"The model {spec!r} takes numbers in one array, but the examples are {inputs}. Use a "
            "network of your own that takes them: python:package.module:factory."
        )
    if image and len(inputs.shape) != 3:
        raise ModelError(
            f"The model {spec!r} needs images of shape (channels, height, width), but the "
            f"examples have shape {list(inputs.shape)}. For other numbers, choose an 'mlp:' "
            f"model, for example {NETWORK_SOURCES['mlp'].example!r}."
        )
