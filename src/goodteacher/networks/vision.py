"""Networks of timm and torchvision: ``timm:resnet18``, ``torchvision:mobilenet_v3_small``.

    timm:resnet18                      new weights, all of them drawn from the seed
    timm:resnet18.a1_in1k              pretrained, by the name that the library has for the weights
    timm:resnet18+weights.safetensors  pretrained, from a file

Weights come with the library's own name behind a dot, from its cache or, where a machine may, from
where the library publishes them; or from a file of safetensors behind a plus. The head, all layers
whose shapes hang on the number of classes, is drawn from the seed in any case, so seeds of a
pretrained network differ by head, order and dropout. Nothing is unpickled.
"""

from __future__ import annotations

import difflib
import importlib
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from goodteacher.data import InputSpec
from goodteacher.errors import ModelError, PackageError, needed_package
from goodteacher.networks.factory import build_with
from goodteacher.networks.preparation import Chain
from goodteacher.networks.processing import Pixels, pixels_of

ARGUMENT = r"\w+(\.\w+)?(\s*\+.*[^/\s].*)?"
"""What stands behind the colon: a name, the name of weights, a file."""


@dataclass(frozen=True)
class _Asked:
    """What an argument asks for.

    Attributes:
        library: ``timm`` or ``torchvision``.
        name: Of the architecture.
        weights: The library's name of weights; "" for none.
        file: A file of weights; "" for none.
    """

    library: str
    name: str
    weights: str
    file: str

    @property
    def spec(self) -> str:
        """The network as users write it."""
        tag = f".{self.weights}" if self.weights else ""
        file = f"+{self.file}" if self.file else ""
        return f"{self.library}:{self.name}{tag}{file}"

    @property
    def full_name(self) -> str:
        """The name that timm has for the architecture with these weights."""
        return f"{self.name}.{self.weights}" if self.weights else self.name


def canonical_argument(argument: str) -> str:
    """Bring an argument into the one form that stands for it: no spaces beside the plus.

    >>> canonical_argument("resnet18 + my weights.safetensors")
    'resnet18+my weights.safetensors'
    """
    name, plus, file = argument.partition("+")
    return f"{name.strip()}{plus}{file.strip()}"


def build(library: str, argument: str, num_classes: int, inputs: InputSpec) -> nn.Module:
    """Build a classifier of images.

    Args:
        library: ``timm`` or ``torchvision``.
        argument: What stands behind the colon.
        num_classes: Number C of logits.
        inputs: What one example is, prepared.

    Raises:
        ModelError: The package, the network or the weights are not there, the weights are another
            network's, or examples are no images that it takes.
    """
    asked = _asked(library, argument)
    return _checked(partial(_made, asked, inputs=inputs), asked, num_classes, inputs)


def described(argument: str, network: nn.Module) -> dict[str, Any]:
    """Return what a network is beside its weights: its name."""
    return {"name": _asked("", argument).full_name}


def rebuilt(
    library: str, record: Mapping[str, Any], num_classes: int, inputs: InputSpec
) -> nn.Module:
    """Return a network of a name, with any weights.

    Raises:
        ModelError: There is no such network.
    """
    asked = _asked(library, str(record.get("name")))
    return _checked(partial(_new, asked, inputs=inputs), asked, num_classes, inputs)


def own_pixels(
    library: str, argument: str, stored: InputSpec, size: tuple[int, int] | None
) -> Chain:
    """Return what the library does to images before this network sees them.

    Args:
        library: ``timm`` or ``torchvision``.
        argument: What stands behind the colon.
        stored: What a stored image is.
        size: Height and width in pixels, where others than the network's own are wanted.

    Raises:
        ModelError: There is no such network, or its transform does what our steps cannot do.
    """
    asked = _asked(library, argument)
    _check_known(asked)
    candidates, theirs = _READERS[library](asked)
    return pixels_of(asked.spec, candidates, theirs, stored, size)


def _asked(library: str, argument: str) -> _Asked:
    named, _, file = argument.partition("+")
    name, _, weights = named.partition(".")
    return _Asked(library, name, weights, file)


def _checked(
    factory: Callable[[int], nn.Module], asked: _Asked, num_classes: int, inputs: InputSpec
) -> nn.Module:
    if inputs.kind != "numbers" or len(inputs.shape) != 3:
        raise ModelError(
            f"The network {asked.spec!r} classifies images, but the examples are {inputs}."
        )
    _check_known(asked)
    return build_with(factory, asked.spec, num_classes=num_classes, inputs=inputs)


def _made(asked: _Asked, num_classes: int, *, inputs: InputSpec) -> nn.Module:
    network = _new(asked, num_classes, inputs=inputs)
    if not (asked.weights or asked.file):
        return network
    head = _head(network, _new(asked, num_classes + 1, inputs=inputs))
    with _explained(asked, "has weights that cannot be read"):
        state = _STATES[asked.library](asked, network)
    _check_state(asked, network, state, head)
    state = {name: value for name, value in state.items() if name not in head}
    network.load_state_dict(state, strict=False)
    _soften(network, head)
    return network


def _soften(network: nn.Module, head: set[str]) -> None:
    """Bring new weights of a head that are far too large down to what PyTorch gives such a layer.

    EfficientNets of both libraries draw a head as its number of classes says: for ten classes ten
    times as large as for a thousand, so that a pretrained network begins with confident guesses,
    and the first steps wash out what it knows.
    """
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name not in head or weight.dim() < 2:
                continue
            usual = 1 / math.sqrt(3 * weight[0].numel())
            if (spread := float(weight.std())) > 2 * usual:
                weight.mul_(usual / spread)


def _new(asked: _Asked, num_classes: int, *, inputs: InputSpec) -> nn.Module:
    with _explained(asked, f"cannot be made for {inputs}"):
        return _MAKERS[asked.library](asked, num_classes, inputs)


def _head(network: nn.Module, wider: nn.Module) -> set[str]:
    """Return the names of all tensors whose shapes hang on the number of classes."""
    other = wider.state_dict()
    return {n for n, tensor in network.state_dict().items() if tensor.shape != other[n].shape}


def _check_state(
    asked: _Asked, network: nn.Module, state: Mapping[str, Tensor], head: set[str]
) -> None:
    wanted = {n: tensor for n, tensor in network.state_dict().items() if n not in head}
    wrong = [n for n, tensor in wanted.items() if n in state and state[n].shape != tensor.shape]
    missing = [n for n in wanted if n not in state and not n.endswith("num_batches_tracked")]
    if wrong or missing:
        told = f"{missing[0]} is missing" if missing else f"{wrong[0]} has another shape"
        raise ModelError(
            f"The weights of {asked.spec!r} are those of another network: {told}, and "
            f"{len(missing) + len(wrong)} of {len(wanted)} tensors do not fit. Give the network "
            "that the weights were trained in, with the same image size if the weights depend on "
            "it."
        )


# timm ---------------------------------------------------------------------------------------------


def _new_timm(asked: _Asked, num_classes: int, inputs: InputSpec) -> nn.Module:
    channels, *size = inputs.shape
    settings = _timm_settings(asked)
    given: dict[str, Any] = {} if channels == 3 else {"in_chans": channels}
    if settings["fixed_input_size"] and tuple(size) != tuple(settings["input_size"][1:]):
        given["img_size"] = tuple(size)
    timm = _package("timm")
    made: nn.Module = timm.create_model(asked.full_name, num_classes=num_classes, **given)
    module: Any
    for module in made.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = False  # the plain attention, which students can be stacked with
    return made


def _timm_state(asked: _Asked, network: nn.Module) -> dict[str, Tensor]:
    """Return weights as timm fits them to a network: renamed, and for the size of its images."""
    state = load_file(_file(asked) if asked.file else _published(asked))
    # timm's own way into a network checks nothing once the number of classes is another one.
    fit = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    return dict(fit(state, network)) if fit else state


def _published(asked: _Asked) -> Path:
    """Return timm's file of weights on the hub, from the cache where it is there."""
    repository = _timm_settings(asked).get("hf_hub_id")
    if not repository:
        raise ModelError(
            f"timm does not publish the weights of {asked.spec!r} as safetensors. Save them as "
            f"safetensors and give the file: timm:{asked.full_name}+FILE.safetensors."
        )
    hub = importlib.import_module("huggingface_hub")
    return Path(hub.hf_hub_download(repository, "model.safetensors"))


def _timm_settings(asked: _Asked) -> dict[str, Any]:
    found = _package("timm").get_pretrained_cfg(asked.full_name)
    if found is None:
        return {"fixed_input_size": False, "input_size": (3, 224, 224)}
    return {"fixed_input_size": found.fixed_input_size, **found.to_dict()}


def _read_timm(asked: _Asked) -> tuple[list[Pixels], Callable[[Any], Tensor]]:
    data = importlib.import_module("timm.data")
    settings = data.resolve_data_config(pretrained_cfg=_timm_settings(asked))
    side = tuple(int(length) for length in settings["input_size"][1:])
    larger = tuple(math.floor(length / settings["crop_pct"]) for length in side)
    plain = Pixels(
        resize=larger[0],
        mode=str(settings["interpolation"]),
        crop=(side[0], side[1]),
        mean=tuple(settings["mean"]),
        std=tuple(settings["std"]),
    )
    whole = Pixels(**{**vars(plain), "resize": larger})
    return [plain, whole], data.create_transform(**settings)


# torchvision --------------------------------------------------------------------------------------


def _new_torchvision(asked: _Asked, num_classes: int, inputs: InputSpec) -> nn.Module:
    side = inputs.shape[1]
    given: dict[str, Any] = {}
    if asked.name.startswith("vit_"):
        given["image_size"] = side
    if asked.name.startswith("maxvit"):
        given["input_size"] = tuple(inputs.shape[1:])
    models = _torchvision_models()
    made = models.get_model(asked.name, weights=None, num_classes=num_classes, **given)
    return cast("nn.Module", made)


def _torchvision_state(asked: _Asked, network: nn.Module) -> dict[str, Tensor]:
    if asked.file:
        return load_file(_file(asked))
    weights = _torchvision_weights(asked)
    found: dict[str, Tensor] = weights.get_state_dict(
        progress=False, check_hash=True, weights_only=True
    )
    return found


def _torchvision_weights(asked: _Asked) -> Any:
    known = _torchvision_models().get_model_weights(asked.name)
    if not asked.weights:
        return known.DEFAULT
    if asked.weights not in known.__members__:
        raise ModelError(
            f"torchvision has no weights {asked.weights!r} for {asked.name!r}: it has "
            f"{', '.join(known.__members__)}."
        )
    return known[asked.weights]


def _read_torchvision(asked: _Asked) -> tuple[list[Pixels], Callable[[Any], Tensor]]:
    transform = _torchvision_weights(asked).transforms()
    side = int(transform.crop_size[0])
    found = Pixels(
        resize=int(transform.resize_size[0]),
        mode=str(transform.interpolation.value),
        crop=(side, side),
        mean=tuple(transform.mean),
        std=tuple(transform.std),
    )
    return [found], transform


def _torchvision_models() -> ModuleType:
    _package("torchvision")
    return importlib.import_module("torchvision.models")


# Both ---------------------------------------------------------------------------------------------

_MAKERS: Mapping[str, Callable[[_Asked, int, InputSpec], nn.Module]] = {
    "timm": _new_timm,
    "torchvision": _new_torchvision,
}
_STATES: Mapping[str, Callable[[_Asked, nn.Module], dict[str, Tensor]]] = {
    "timm": _timm_state,
    "torchvision": _torchvision_state,
}
_READERS: Mapping[str, Callable[[_Asked], tuple[list[Pixels], Callable[[Any], Tensor]]]] = {
    "timm": _read_timm,
    "torchvision": _read_torchvision,
}


def _check_known(asked: _Asked) -> None:
    """Refuse what the library does not have, before anything is made of it."""
    known = _known(asked.library)
    if asked.name not in known:
        near = difflib.get_close_matches(asked.name, known, n=3)
        hint = f" Did you mean {', '.join(near)}?" if near else ""
        raise ModelError(
            f"{asked.library} has no network {asked.name!r} among its {len(known)} classifiers of "
            f"images.{hint}"
        )
    if asked.library == "torchvision":
        _torchvision_weights(asked)
    elif asked.weights and asked.weights not in _timm_tags(asked.name):
        there = ", ".join(_timm_tags(asked.name)) or "none"
        raise ModelError(
            f"timm has no weights {asked.weights!r} for {asked.name!r}: it has {there}."
        )


def _known(library: str) -> list[str]:
    if library == "timm":
        return [str(name) for name in _package("timm").list_models()]
    models = _torchvision_models()
    return [str(name) for name in models.list_models(module=models)]


def _timm_tags(name: str) -> list[str]:
    found = _package("timm").list_pretrained(f"{name}.*")
    return [str(each).partition(".")[2] for each in found]


def _file(asked: _Asked) -> Path:
    path = Path(asked.file).expanduser()
    if path.suffix != ".safetensors":
        raise ModelError(
            f"The weights of {asked.spec!r} must be a .safetensors file, because a pickle could "
            "run code. Write one: safetensors.torch.save_file(network.state_dict(), "
            f"{path.with_suffix('.safetensors').name!r})."
        )
    if not path.is_file():
        raise ModelError(
            f"The file of weights for {asked.spec!r} does not exist: {path.absolute()}."
        )
    return path


def _package(name: str) -> ModuleType:
    return needed_package(name, extra="vision", what=f"A network that begins with '{name}:'")


@contextmanager
def _explained(asked: _Asked, what: str) -> Iterator[None]:
    """Say in our words what a library could not do."""
    try:
        yield
    except (ModelError, PackageError, MemoryError):
        raise
    except Exception as error:  # each of the libraries' networks has its own
        told = " ".join(str(error).split())[:300].rstrip(". ")
        raise ModelError(f"The network {asked.spec!r} {what}: {told}.") from error
