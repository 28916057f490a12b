"""What a user's network needs so that it can be trained, stacked, saved and delivered.

Wrappers that only say how a network runs (data parallelism, compilation) go: they rename every
weight and cannot be copied or stacked. What a network returns beside its logits is left out by a
hook on the network itself, so that the names of its weights stay as they are.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from goodteacher.errors import ModelError
from goodteacher.networks.batches import Batch

LOGIT_KEYS = ("logits", "out")
"""Names under which libraries return logits: Hugging Face and timm, torchvision."""


def logits_of(output: Any) -> Any:
    """Return the logits in what a network returned.

    A tensor is the logits; of a mapping ``logits`` or ``out``, of an object ``.logits``, of a tuple
    or list the first. What is none of these is returned as it is.

    >>> logits_of({"logits": 1, "hidden": 2}), logits_of((3, 4))
    (1, 3)
    """
    if isinstance(output, Tensor):
        return output
    if isinstance(output, Mapping):
        return next((output[key] for key in LOGIT_KEYS if key in output), output)
    if hasattr(output, "logits"):
        return output.logits
    if isinstance(output, tuple | list) and output:
        return logits_of(output[0])
    return output


def kind_of(output: Any) -> str | None:
    """Say in words which part of an output is the logits; None where it is all of it.

    >>> kind_of((1, 2))
    'the first of the 2 values of a tuple'
    """
    if isinstance(output, Tensor) or logits_of(output) is output:
        return None
    name = type(output).__name__
    if isinstance(output, Mapping):
        key = next(key for key in LOGIT_KEYS if key in output)
        return f"{key!r} of a {name}"
    if hasattr(output, "logits"):
        return f"'logits' of a {name}"
    return f"the first of the {len(output)} values of a {name}"


def adapt(network: nn.Module, *, name: str) -> nn.Module:
    """Bring a network into the form that is trained: unwrapped, float32, on the CPU.

    Args:
        network: Changed in place.
        name: What error messages call it.

    Raises:
        ModelError: Its weights are not float32, have no values, share memory in a way that training
            together would undo, or are hidden in a plain list.
    """
    network = unwrapped(network)
    if isinstance(network, torch.jit.ScriptModule):
        raise ModelError(
            f"The network {name!r} is a compiled TorchScript program, which cannot be trained "
            "here. Return the nn.Module that was given to torch.jit.script or torch.jit.trace."
        )
    try:
        network = network.to("cpu")
    except NotImplementedError as error:  # tensors on the device "meta" have shapes only
        raise ModelError(
            f"The weights of the network {name!r} have no values, because they are on the device "
            "'meta'. Make the network on the CPU, outside torch.device('meta')."
        ) from error
    _check_weights(network, name)
    _check_ties(network, name)
    _check_none_hidden(network, name)
    return network


def keep_logits(network: nn.Module) -> None:
    """Have a network return its logits alone, see :func:`logits_of`."""
    network.register_forward_hook(_keep_logits)


def take_fields(network: nn.Module, names: tuple[str, ...]) -> None:
    """Have a network that names fields among its arguments get each by its name.

    Any other network gets one dictionary.

    Args:
        network: Changed in place.
        names: The fields of an example.

    Raises:
        ModelError: It names some of the fields, but has no place for another.
    """
    parameters = inspect.signature(network.forward).parameters.values()
    known = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    unknown = [name for name in names if name not in known]
    if len(unknown) == len(names):
        return
    if unknown and not takes_any:
        raise ModelError(
            f"The forward of {type(network).__name__} has no argument named {', '.join(unknown)}, "
            f"but examples have the fields {', '.join(names)}. Leave these fields out of the "
            "data, or add them to the arguments of forward."
        )
    network.register_forward_pre_hook(_by_name, with_kwargs=True)


def with_whole_output(network: nn.Module, inputs: Batch) -> tuple[Any, Any]:
    """Run a network; return its logits, and all that its forward returned."""
    returned: list[Any] = []
    handle = network.register_forward_hook(
        lambda module, given, output: returned.append(output), prepend=True
    )
    try:
        return network(inputs), returned[0]
    finally:
        handle.remove()


def unwrapped(network: nn.Module) -> nn.Module:
    """Return a network without DataParallel, DistributedDataParallel and torch.compile.

    Parts of it that are wrapped are unwrapped too, in place.

    >>> unwrapped(nn.DataParallel(nn.Linear(2, 3)))
    Linear(in_features=2, out_features=3, bias=True)
    """
    network = inside(network)
    for module in list(network.modules()):
        for key, child in module._modules.items():
            if child is not None and _inner(child) is not None:
                module._modules[key] = unwrapped(child)
    return network


def inside(network: nn.Module) -> nn.Module:
    """Return what the wrappers around a network hold; nothing is changed.

    >>> inside(nn.DataParallel(nn.Linear(2, 3)))
    Linear(in_features=2, out_features=3, bias=True)
    """
    while (inner := _inner(network)) is not None:
        network = inner
    return network


def wants_contiguous(network: nn.Module) -> None:
    """Have a network see its images in the plain order of memory.

    Examples come in the channels-last order, in which convolutions are fastest, but ``view`` behind
    a convolution works in the plain order only.
    """
    network.register_forward_pre_hook(_contiguous)


def _inner(module: nn.Module) -> nn.Module | None:
    if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return module._modules["module"]
    # The class is private, and importing it takes seconds.
    return module._modules.get("_orig_mod") if _is_compiled(module) else None


def _is_compiled(module: nn.Module) -> bool:
    return type(module).__name__ == "OptimizedModule"


def _check_weights(network: nn.Module, name: str) -> None:
    wrong = sorted(
        {
            str(parameter.dtype)
            for parameter in network.parameters()
            if parameter.requires_grad and parameter.dtype != torch.float32
        }
    )
    if wrong:
        raise ModelError(
            f"The network {name!r} has weights of type {', '.join(wrong)}, but weights are "
            "trained in torch.float32. Return network.float(). For speed, use --precision "
            "bfloat16, which keeps the weights in float32."
        )


def _check_ties(network: nn.Module, name: str) -> None:
    """Refuse weights in one place in memory that are not one parameter."""
    places: dict[int, str] = {}
    for key, parameter in network.named_parameters():
        if is_lazy(parameter) or not parameter.numel():
            continue
        other = places.setdefault(parameter.data_ptr(), key)
        if other != key:
            raise ModelError(
                f"The weights {other} and {key} of the network {name!r} share memory but are two "
                "parameters, so they would become different in students that are trained "
                "together. Assign the parameter itself, as in self.b.weight = self.a.weight, or "
                "use F.linear with self.a.weight.T."
            )


def _check_none_hidden(network: nn.Module, name: str) -> None:
    """Refuse trainable weights in plain lists and dicts, which nobody would train or save."""
    known = {id(parameter) for parameter in network.parameters()}
    for path, module in network.named_modules():
        for key, value in vars(module).items():
            if key.startswith("_") or not isinstance(value, list | tuple | dict):
                continue
            items = value.values() if isinstance(value, dict) else value
            hidden = [p for item in items for p in _weights(item) if p.requires_grad]
            if any(id(parameter) not in known for parameter in hidden):
                place = f"{path}.{key}".lstrip(".")
                raise ModelError(
                    f"The network {name!r} has layers in {place!r}, a plain "
                    f"{type(value).__name__}, where PyTorch does not find them, so they would not "
                    "be trained or saved. Use nn.ModuleList, nn.ModuleDict or nn.Sequential."
                )


def _weights(item: object) -> list[nn.Parameter]:
    if isinstance(item, nn.Parameter):
        return [item]
    return list(item.parameters()) if isinstance(item, nn.Module) else []


def _keep_logits(module: nn.Module, inputs: Any, output: Any) -> Any:
    return logits_of(output)


def _by_name(
    module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return (), {**named, **inputs[0]}


def _contiguous(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    # contiguous() would keep the strides of one channel, which mean either order.
    plain = torch.contiguous_format
    return tuple(x.clone(memory_format=plain) if isinstance(x, Tensor) else x for x in inputs)
