"""Networks of the user's own: ``python:package.module:factory``."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import operator
import random
from collections.abc import Callable, Iterator
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from goodteacher.data import InputSpec
from goodteacher.errors import ModelError, PackageError
from goodteacher.networks.adapting import (
    adapt,
    keep_logits,
    logits_of,
    take_fields,
    wants_contiguous,
)
from goodteacher.networks.batches import Batch, batch_length, batch_shape, made_up, map_batch
from goodteacher.networks.trusted import given_for

DUMMY_BATCH = 2


def load_factory(path: str) -> Callable[..., object]:
    """Import the callable that ``package.module:factory`` names.

    Args:
        path: Module path, a colon, and the name of a callable in it (dots reach into classes).

    Returns:
        The callable.

    Raises:
        ModelError: If a folder names it and the user does not trust that, its module cannot be
            imported, has no such name, or it cannot be called, or is a network already.

    >>> from goodteacher.networks.trusted import trust
    >>> trust("python:torch.nn:Identity")
    >>> load_factory("torch.nn:Identity")
    <class 'torch.nn.modules.linear.Identity'>
    """
    if (given := given_for(path)) is not None:
        return given
    module_name, _, name = path.partition(":")
    found = _attribute(_import(module_name), module_name, name)
    if not callable(found) or isinstance(found, nn.Module):  # a network can be called, on inputs
        raise ModelError(
            f"{name!r} in module {module_name!r} is a {type(found).__name__}, but a model factory "
            "must be callable: it gets num_classes and returns an nn.Module. Give the function "
            "or the class that makes the network, not a network."
        )
    return found


def build_from_factory(path: str, *, num_classes: int, inputs: InputSpec) -> nn.Module:
    """Call the user's factory, adapt its network and check that it classifies.

    The factory gets ``num_classes``, by that name if it has it and else as its first argument. One
    that has an argument ``input_shape`` gets that too, by name, of several fields as a dictionary;
    one that requires two arguments of other names gets ``(num_classes, input_shape)``. While it
    runs, the generators of NumPy and of Python are seeded as PyTorch's is. Then the network loses
    wrappers such as DataParallel, and is run on a dummy batch of 2 examples in eval mode, without
    gradients, which gives lazy layers their weights; every module's mode is restored.

    Args:
        path: ``package.module:factory``.
        num_classes: Number of logits that the network must give.
        inputs: What one example is.

    Returns:
        The network, in the mode in which the factory returned it. It returns logits alone, whatever
        else the user's own forward returns.

    Raises:
        ModelError: If the factory fails, returns something else than an ``nn.Module``, its weights
            are not float32, or the logits for the dummy batch are not finite ``[2, num_classes]``.
    """
    return build_with(load_factory(path), path, num_classes=num_classes, inputs=inputs)


def build_with(
    factory: Callable[..., object], path: str, *, num_classes: int, inputs: InputSpec
) -> nn.Module:
    """Call a factory as :func:`build_from_factory` does.

    Args:
        factory: The callable.
        path: What error messages call it.
        num_classes: Number of logits that the network must give.
        inputs: What one example is.

    Raises:
        ModelError: As :func:`build_from_factory`.
    """
    arguments, keywords = _arguments(factory, num_classes, inputs.shapes)
    try:
        with _other_generators_seeded():
            network = factory(*arguments, **keywords)
    except (ModelError, PackageError):
        raise  # a source of ours says more
    except Exception as error:
        given = (*arguments, *(f"{name}={value}" for name, value in keywords.items()))
        raise ModelError(
            f"The model factory {path!r} failed when called with {_listing(given)}: "
            f"{reason_of(error)}. It is called with num_classes, or with (num_classes, "
            "input_shape)."
        ) from error
    if not isinstance(network, nn.Module):
        raise ModelError(_no_network(path, network))
    network = adapt(network, name=path)
    if inputs.kind == "fields":
        take_fields(network, tuple(inputs.fields))
    check_classifies(network, name=path, num_classes=num_classes, inputs=inputs)
    _check_materialised(network, path)
    keep_logits(network)
    return network


def check_classifies(network: nn.Module, *, name: str, num_classes: int, inputs: InputSpec) -> None:
    """Run a network on a dummy batch of 2 examples and check the shape and values of its output.

    A network that fails on images in the channels-last order of memory, but not in the plain one,
    gets the plain one from then on.

    Args:
        network: Any module; parameters, buffers and the mode of each module are left as they were.
        name: What error messages call it.
        num_classes: Number of logits that it must give.
        inputs: What one example is.

    Raises:
        ModelError: If the network fails or its output is not finite floats ``[2, num_classes]``.

    >>> four = InputSpec(kind="numbers", shape=(4,))
    >>> check_classifies(nn.Linear(4, 3), name="mine", num_classes=3, inputs=four)
    """
    generator = torch.Generator().manual_seed(0)
    batch = made_up(inputs, DUMMY_BATCH, generator)
    output = _dummy_output(network, name, batch)
    check_logits(output, name=name, inputs=batch, num_classes=num_classes, mode="evaluation")


def check_logits(
    output: object, *, name: str, inputs: Batch, num_classes: int, mode: str
) -> Tensor:
    """Return the logits in a network's output, or say what they are instead.

    Args:
        output: What the network returned.
        name: What error messages call it.
        inputs: What it was given, B examples.
        num_classes: Number C of logits that it must give.
        mode: ``training`` or ``evaluation``.

    Raises:
        ModelError: If the logits are not finite floats [B, C].
    """
    logits = logits_of(output)
    expected = [batch_length(inputs), num_classes]
    given = f"in {mode} mode for a batch of shape {batch_shape(inputs)}"
    if not isinstance(logits, Tensor):
        raise ModelError(
            f"The network {name!r} returned a {type(logits).__name__} {given}, but it must return "
            f"a tensor of logits {expected}, a tuple or list that begins with it, or a dict or "
            "object that has it as 'logits'. Return the logits."
        )
    if list(logits.shape) != expected:
        raise ModelError(
            f"The network {name!r} returned shape {list(logits.shape)} {given}, but logits must "
            f"have shape {expected}. {_shape_hint(list(logits.shape), expected, output)}"
        )
    if not logits.is_floating_point() or not bool(torch.isfinite(logits).all()):
        raise ModelError(
            f"The network {name!r} returned logits {given} that are not finite floating point "
            f"numbers (dtype {logits.dtype}). Check its initial weights, and whether it returns "
            "logits and not predicted classes."
        )
    return logits


def _shape_hint(shape: list[int], expected: list[int], output: object) -> str:
    """Say what to change for logits of the expected shape [B, C]."""
    batch, classes = expected
    if not isinstance(output, Tensor) and isinstance(output, tuple | list):
        fitting = [n for n, x in enumerate(output) if list(getattr(x, "shape", ())) == expected]
        if fitting:
            return (
                f"It is the first of {len(output)} values, and number {fitting[0] + 1} has that "
                "shape: return only that one, or return it first."
            )
    if shape == [batch, 1] and classes == 2:
        return "One output is not enough for two classes: return a logit for each class."
    if shape[:2] == expected and set(shape[2:]) == {1}:
        return "It has extra axes of length 1: add nn.Flatten() after the last layer."
    if shape[:2] == expected:
        return "Average over the axes after the classes, for example with nn.AdaptiveAvgPool2d(1)."
    if len(shape) == 2 and shape[0] == batch:
        return (
            f"There are {shape[1]} outputs for {classes} classes: does the factory use its "
            "num_classes argument, and flatten or pool before the last layer?"
        )
    if shape in ([classes], [1, classes]) or (shape and shape[0] != batch):
        return (
            f"The first axis must be the batch, here of {batch}. Does squeeze(), a fixed "
            "view(...) or an axis of time change it? Use, for example, x.flatten(1), which keeps "
            "the batch."
        )
    return "Flatten or pool before the last layer."


def _dummy_output(network: nn.Module, name: str, inputs: Batch) -> object:
    device = next(network.parameters(), torch.zeros(())).device
    inputs = map_batch(inputs, lambda part: part.to(device))
    modes = [(module, module.training) for module in network.modules()]
    try:
        with torch.no_grad():
            network.eval()
            if not isinstance(inputs, Tensor) or inputs.ndim != 4:
                return network(inputs)
            try:
                # As examples come; clone, since contiguous() keeps the strides of one channel.
                return network(inputs.clone(memory_format=torch.channels_last))
            except RuntimeError:
                output = network(inputs)
                wants_contiguous(network)
                return output
    except Exception as error:
        raise ModelError(
            f"The network {name!r} failed in evaluation mode on a batch of shape "
            f"{batch_shape(inputs)}: {reason_of(error)}. {_wanted(inputs)}"
        ) from error
    finally:
        for module, training in modes:
            module.training = training


def _wanted(inputs: Batch) -> str:
    """Say what a network must take."""
    if not isinstance(inputs, Tensor):
        return (
            "It gets the fields by name if its forward has arguments of these names, otherwise "
            "as one dictionary."
        )
    shape = f"[batch, {_listing(tuple(inputs.shape[1:]))}]"
    if not inputs.is_floating_point():
        return f"It must map whole numbers (int64) of shape {shape} to logits."
    return (
        f"It must map inputs of shape {shape} to logits. Does it expect another number of channels "
        "or another image size?"
    )


def _no_network(path: str, found: object) -> str:
    """Say what a factory returned instead of a network, and what to change."""
    text = f"The model factory {path!r} returned a {type(found).__name__}"
    must = "but it must return an nn.Module."
    if isinstance(found, type) and issubclass(found, nn.Module):
        return (
            f"The model factory {path!r} returned the class {found.__name__}, {must} Call it: "
            f"return {found.__name__}(num_classes)."
        )
    if isinstance(found, tuple | list) and any(isinstance(item, nn.Module) for item in found):
        return f"{text} that contains a network, {must} Return only the network."
    return f"{text}, {must} Does it end with a return statement?"


def _check_materialised(network: nn.Module, name: str) -> None:
    lazy = [key for key, parameter in network.named_parameters() if is_lazy(parameter)]
    if lazy:
        raise ModelError(
            f"The network {name!r} has lazy layers that are not used in evaluation mode, so their "
            f"weights have no shape: {', '.join(lazy)}. Give these layers their sizes."
        )


@contextlib.contextmanager
def _other_generators_seeded() -> Iterator[None]:
    """Seed the generators of NumPy and of Python from PyTorch's, and restore them afterwards."""
    kept = random.getstate(), np.random.get_state()
    seed = torch.initial_seed() % 2**32
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])


def _import(module_name: str) -> object:
    # Not pkgutil.resolve_name: it refuses the hyphen of train-net.py.
    try:
        return importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # a script that parses arguments on import exits
        raise ModelError(
            f"Module {module_name!r} of the model factory cannot be imported: {reason_of(error)}. "
            "Is it installed, or is its folder in PYTHONPATH?"
        ) from error


def _attribute(module: object, module_name: str, name: str) -> object:
    try:
        return cast("object", operator.attrgetter(name)(module))
    except AttributeError:
        raise ModelError(
            f"Module {module_name!r} has no {name!r}, so the model factory cannot be loaded. "
            "Check the name after the last colon of the specification."
        ) from None


def _arguments(
    factory: Callable[..., object], num_classes: int, input_shape: Shapes
) -> tuple[tuple[object, ...], dict[str, object]]:
    """Choose what a factory is called with: by name what it names, the rest by position."""
    parameters = _parameters(factory)
    offered: dict[str, object] = {"num_classes": num_classes, "input_shape": input_shape}
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


Shapes = tuple[int, ...] | dict[str, tuple[int, ...]]


def _listing(values: tuple[object, ...]) -> str:
    return ", ".join(str(value) for value in values)


def reason_of(error: BaseException) -> str:
    r"""Return an error's name and its first line: a C++ stack may follow.

    >>> reason_of(ValueError("too large.\nat line 3"))
    'ValueError: too large'
    """
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}".rstrip(". ")
