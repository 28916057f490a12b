"""Networks of the user's own: ``python:package.module:factory``."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable

import torch
from torch import Tensor, nn

from goodteacher.errors import ModelError

DUMMY_BATCH = 2


def load_factory(path: str) -> Callable[..., object]:
    """Import the callable that ``package.module:factory`` names.

    Args:
        path: Module path, a colon, and the name of a callable in it (dots reach into classes).

    Returns:
        The callable.

    Raises:
        ModelError: If the module cannot be imported, has no such name, or it cannot be called, or
            is a network already.

    >>> load_factory("torch.nn:Identity")
    <class 'torch.nn.modules.linear.Identity'>
    """
    module_name, _, name = path.partition(":")
    found = _attribute(_import(module_name), module_name, name)
    if not callable(found) or isinstance(found, nn.Module):  # a network can be called, on inputs
        raise ModelError(
            f"{name!r} in module {module_name!r} is a {type(found).__name__}, but a model factory "
            "must be callable: it gets num_classes and returns an nn.Module. Name the function or "
            "the class that makes the network, not a network."
        )
    return found


def build_from_factory(path: str, *, num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    """Call the user's factory and check that what it returns classifies.

    The factory gets ``num_classes``, by that name if it has it and else as its first argument. One
    that has an argument ``input_shape`` gets that too, by name; one that requires two arguments of
    other names gets ``(num_classes, input_shape)``. Then the network is run on a dummy batch of 2
    examples in eval mode, without gradients, and every module's mode is restored.

    Args:
        path: ``package.module:factory``.
        num_classes: Number of logits that the network must give.
        input_shape: Shape of one example.

    Returns:
        The network, in the mode in which the factory returned it.

    Raises:
        ModelError: If the factory fails, returns something else than an ``nn.Module``, or the
            network's output for the dummy batch is not a finite float tensor ``[2, num_classes]``.
    """
    factory = load_factory(path)
    arguments, keywords = _arguments(factory, num_classes, input_shape)
    try:
        network = factory(*arguments, **keywords)
    except Exception as error:
        given = (*arguments, *(f"{name}={value}" for name, value in keywords.items()))
        raise ModelError(
            f"The model factory {path!r} failed when called with {_listing(given)}: "
            f"{_reason(error)}. It must accept num_classes, or (num_classes, input_shape)."
        ) from error
    if not isinstance(network, nn.Module):
        raise ModelError(
            f"The model factory {path!r} returned a {type(network).__name__}, but it must return "
            "an nn.Module. Does it end with a return statement?"
        )
    check_classifies(network, name=path, num_classes=num_classes, input_shape=input_shape)
    return network


def check_classifies(
    network: nn.Module, *, name: str, num_classes: int, input_shape: tuple[int, ...]
) -> None:
    """Run a network on a dummy batch of 2 examples and check the shape and values of its output.

    Args:
        network: Any module; parameters, buffers and the mode of each module are left as they were.
        name: What error messages call it.
        num_classes: Number of logits that it must give.
        input_shape: Shape of one example.

    Raises:
        ModelError: If the network fails or its output is not finite floats ``[2, num_classes]``.

    >>> check_classifies(nn.Linear(4, 3), name="mine", num_classes=3, input_shape=(4,))
    """
    logits = _dummy_output(network, name, input_shape)
    expected = [DUMMY_BATCH, num_classes]
    if not isinstance(logits, Tensor):
        raise ModelError(
            f"The network {name!r} returned a {type(logits).__name__} for a batch of shape "
            f"{[DUMMY_BATCH, *input_shape]}, but it must return a tensor of logits {expected}. "
            "Does it return extra outputs? Wrap it so that only the logits come back."
        )
    if list(logits.shape) != expected:
        raise ModelError(
            f"The network {name!r} returned shape {list(logits.shape)} for a batch of shape "
            f"{[DUMMY_BATCH, *input_shape]}, but logits must have shape {expected}. Does the "
            "factory use its num_classes argument, and flatten or pool before the last layer?"
        )
    if not logits.is_floating_point() or not bool(torch.isfinite(logits).all()):
        raise ModelError(
            f"The network {name!r} returned logits that are not finite floating point numbers "
            f"(dtype {logits.dtype}) for a batch of random inputs. Check its initial weights, and "
            "that it returns logits and not predicted classes."
        )


def _dummy_output(network: nn.Module, name: str, input_shape: tuple[int, ...]) -> object:
    anchor = next(network.parameters(), torch.zeros(()))
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(DUMMY_BATCH, *input_shape, generator=generator).to(anchor.device)
    modes = [(module, module.training) for module in network.modules()]
    try:
        with torch.no_grad():
            return network.eval()(inputs)
    except Exception as error:
        raise ModelError(
            f"The network {name!r} failed on a batch of shape {list(inputs.shape)}: "
            f"{_reason(error)}. It must map inputs of shape [batch, {_listing(input_shape)}] to "
            "logits. Does it expect another number of channels or another image size?"
        ) from error
    finally:
        for module, training in modes:
            module.training = training


def _import(module_name: str) -> object:
    try:
        return importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # a script that parses arguments on import exits
        raise ModelError(
            f"Module {module_name!r} of the model factory cannot be imported: {_reason(error)}. "
            "Is it installed, or its folder on PYTHONPATH?"
        ) from error


def _attribute(module: object, module_name: str, name: str) -> object:
    found = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise ModelError(
                f"Module {module_name!r} has no {name!r}, so the model factory cannot be loaded. "
                "Check the name after the last colon of the specification."
            )
        found = getattr(found, part)
    return found


def _arguments(
    factory: Callable[..., object], num_classes: int, input_shape: tuple[int, ...]
) -> tuple[tuple[object, ...], dict[str, object]]:
    """Choose what a factory is called with: by name what it names, the rest by position."""
    parameters = _parameters(factory)
    offered = {"num_classes": num_classes, "input_shape": input_shape}
    named = {p.name for p in parameters if p.kind is not inspect.Parameter.POSITIONAL_ONLY}
    required = [p for p in parameters if p.kind in _POSITIONAL and p.default is p.empty]
    if not required and any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
        named.add("num_classes")  # make(pretrained=False, **kwargs) must not be pretrained=10
    if "input_shape" not in named and len(required) == 2:
        return (num_classes, input_shape), {}
    keywords = {name: value for name, value in offered.items() if name in named}
    return (() if "num_classes" in named else (num_classes,)), keywords


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _parameters(factory: Callable[..., object]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(factory).parameters.values())
    except (TypeError, ValueError):  # some built-in callables have no signature
        return []


def _listing(values: tuple[object, ...]) -> str:
    return ", ".join(str(value) for value in values)


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(". ")
