"""Networks given in Python: an ``nn.Module``, or a function that makes one.

A study names its networks by specification, so that settings, tasks and files can hold them. A
network given in Python gets one too: ``given:make_net``, or ``given:Sequential-1f0c22aa`` for an
object. What it stands for lives in the process that gave it; whoever opens the study elsewhere
gives the network again, and :mod:`~goodteacher.networks.identity` says whether it is the same.
"""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Callable, Mapping

from torch import nn

from goodteacher.config import digest_of
from goodteacher.data import InputSpec
from goodteacher.errors import ModelError
from goodteacher.networks.factory import build_with
from goodteacher.networks.identity import identity_of
from goodteacher.networks.trusted import factory_of, stand_in, trust

NetworkLike = str | nn.Module | Callable[..., nn.Module]
"""What names a network, is one, or makes one from ``num_classes`` (and ``input_shape``)."""

PREFIX = "given:"

_GIVEN: dict[str, nn.Module | Callable[..., object]] = {}
"""What specifications of networks given in Python stand for, in this process."""


def specification_of(network: NetworkLike) -> str:
    """Return the specification of a network; one given in Python is remembered under it.

    It is called with what the user names, so a factory ``python:...`` may be imported from then on.

    Args:
        network: A specification; an ``nn.Module``, of which copies are trained, with the weights
            that it has; or a callable that makes one for each seed.

    Example:
        >>> specification_of("mlp:64")
        'mlp:64'
        >>> def small(num_classes):
        ...     return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes))
        >>> specification_of(small)
        'given:small'
    """
    if isinstance(network, nn.Module):
        name = f"{type(network).__name__}-{digest_of(identity_of(network).identity())[:8]}"
    elif callable(network):
        name = _name_of(network)
    else:
        trust(network)
        return network
    _GIVEN[name] = network
    return f"{PREFIX}{name}"


def give_again(spec: str, network: NetworkLike) -> None:
    """Let a specification stand for a network given in Python once more, in this process.

    Args:
        spec: The specification that a study or a delivered student names.
        network: The network, or the function that makes it; or, of a factory ``python:...``, its
            specification, which is trusted then.

    Raises:
        ModelError: The specification needs no network, or another specification was given.
    """
    path = factory_of(spec)
    if path is not None:
        _give_factory(path, network)
        return
    if not spec.startswith(PREFIX):
        raise ModelError(
            f"The network {spec!r} is made from its name, so no network may be given for it. "
            "Leave that out."
        )
    if isinstance(network, str):
        raise ModelError(
            f"The network {spec!r} was given in Python. Give the same object or function again, "
            f"not the name {network!r}."
        )
    _GIVEN[spec.removeprefix(PREFIX)] = network


def _give_factory(path: str, network: NetworkLike) -> None:
    if isinstance(network, nn.Module):
        stand_in(path, functools.partial(_copied, network))
    elif callable(network):
        stand_in(path, network)
    elif factory_of(network) == path:
        trust(network)
    else:
        raise ModelError(
            f"The network is 'python:{path}', but {network!r} was given in its place. Give the "
            "function, or this name."
        )


def given_networks() -> dict[str, nn.Module | Callable[..., object]]:
    """Return the networks given in this process, by name, for a process that works for it."""
    return dict(_GIVEN)


def take_given(networks: Mapping[str, nn.Module | Callable[..., object]]) -> None:
    """Know the networks that were given in the process for which this one works.

    Args:
        networks: From :func:`given_networks`.
    """
    _GIVEN.update(networks)


def build_given(name: str, *, num_classes: int, inputs: InputSpec) -> nn.Module:
    """Return a network given in Python: a copy of the object, or a new one from the function.

    Args:
        name: What stands after ``given:``.
        num_classes: Number of logits that it must give.
        inputs: What one example is.

    Raises:
        ModelError: It was not given in this process, or it does not classify.
    """
    found = _GIVEN.get(name)
    if found is None:
        raise ModelError(
            f"The network {PREFIX + name!r} was given in Python, in another process. Give it "
            "again in Python: goodteacher.verify(study, student=..., teacher=...), or "
            "goodteacher.load_student(folder, network=...)."
        )
    if isinstance(found, nn.Module):
        made: Callable[..., object] = functools.partial(_copied, found)
        return build_with(made, name, num_classes=num_classes, inputs=inputs)
    return build_with(found, name, num_classes=num_classes, inputs=inputs)


def _copied(network: nn.Module, num_classes: int) -> nn.Module:
    return copy.deepcopy(network)


def _name_of(factory: Callable[..., object]) -> str:
    while isinstance(factory, functools.partial):
        factory = factory.func
    name = getattr(factory, "__qualname__", type(factory).__name__)
    # A function made in another has "outer.<locals>.inner" for a name, a lambda "<lambda>".
    return re.sub(r"[^\w.]", "", name.rpartition("<locals>.")[2]) or "network"
