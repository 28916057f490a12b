"""Which factories may be imported: those that the user named in this process, or said to trust.

A specification ``python:module:factory`` is code. What the user writes in a call, or in settings
that he passes, is his own. What a folder names - a study, a student, a repository of the hub - is
somebody else's: its module is not imported until the user says so, or gives the function himself.
Other processes get what is trusted from the process that they work for, never from a folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from goodteacher.errors import ModelError, StudyError

Factory = Callable[..., object]

FAMILY = "python"

_TRUSTED: dict[str, Factory | None] = {}
"""By ``module:name``: the function that was given in its place; None where it is imported."""


def factory_of(spec: object) -> str | None:
    """Return the factory that a specification names, ``module:name``; None where it names none.

    >>> factory_of(" Python: my.networks:small @raw"), factory_of("mlp:64")
    ('my.networks:small', None)
    """
    if not isinstance(spec, str):
        return None
    family, _, path = spec.partition(":")
    if family.strip().lower() != FAMILY:
        return None
    return "".join(path.partition("@")[0].split())


def trust(spec: object) -> None:
    """Let the factory of a specification be imported in this process: the user has named it.

    Args:
        spec: Of any network; of others than factories nothing is imported.
    """
    path = factory_of(spec)
    if path is not None:
        _TRUSTED[path] = None


def stand_in(path: str, factory: Factory) -> None:
    """Let a function stand for a factory, which is then not imported.

    Args:
        path: ``module:name``.
        factory: The function, which the user has given.
    """
    _TRUSTED[path] = factory


def check_code(specs: Iterable[object], *, where: object, trust_code: bool) -> None:
    """Refuse to go on with a folder that names factories, unless the user trusts them.

    Args:
        specs: Specifications that the folder names; None is none.
        where: The folder, for the message.
        trust_code: Whether the user says that he trusts it.

    Raises:
        StudyError: One is a factory that the user has neither named in this process nor given.
    """
    for spec in specs:
        path = factory_of(spec)
        if path is None or path in _TRUSTED:
            continue
        if not trust_code:
            raise StudyError(f"{where} names the network 'python:{path}'. {_ADVICE}")
        _TRUSTED[path] = None


def given_for(path: str) -> Factory | None:
    """Return the function that was given for a factory; None where it may be imported.

    Raises:
        ModelError: A folder named it, and the user did not say that he trusts it.
    """
    if path not in _TRUSTED:
        raise ModelError(f"A folder names the network 'python:{path}'. {_ADVICE}")
    return _TRUSTED[path]


_ADVICE = (
    "That is code, and nothing of it has run. If you trust it, say so with trust_code=True "
    "(--trust-code), or give the function that makes the network."
)


def trusted() -> dict[str, Factory | None]:
    """Return what is trusted in this process, for one that works for it."""
    return dict(_TRUSTED)


def take_trusted(factories: Mapping[str, Factory | None]) -> None:
    """Trust what the process does for which this one works.

    Args:
        factories: From :func:`trusted`.
    """
    _TRUSTED.update(factories)
