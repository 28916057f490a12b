"""Settings in and out: from keywords and TOML, into TOML, and what differs between two."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import (
    ValidationError,
)

from goodteacher.config.values import ConfigT, Frozen
from goodteacher.errors import ConfigError

RUNTIME_SETTINGS = frozenset({"threads", "engine", "memory_gib", "stack_width", "teachers_of"})
"""Settings that may differ when a study is resumed: they move the work, not the answer."""


def parse(kind: type[ConfigT], /, **settings: Any) -> ConfigT:
    """Build settings, turning every complaint into one :class:`ConfigError`.

    Args:
        kind: The settings class to build.
        **settings: Values by name; strings are read as the command line reads them.

    Raises:
        ConfigError: A name is unknown, missing, or its value breaks its rule.
    """
    try:
        return kind(**settings)
    except ValidationError as error:
        items = error.errors(include_url=False)
        unknown = [str(item["loc"][0]) for item in items if item["type"] == "extra_forbidden"]
        others = [item for item in items if item["type"] != "extra_forbidden"]
        lines = [*_unknown(unknown, list(kind.model_fields)), *map(_complaint, others)]
        raise ConfigError("\n".join(lines)) from None


def _unknown(names: Sequence[str], known: Sequence[str]) -> Iterator[str]:
    """Yield what to say of names that are no settings; what is known is listed once at most."""
    strange = []
    for name in names:
        near = difflib.get_close_matches(name, known, n=1)
        if near:
            yield f"{name} is not a setting. Did you mean {near[0]}?"
        else:
            strange.append(name)
    if strange:
        are = "is not a setting" if len(strange) == 1 else "are not settings"
        yield f"{', '.join(strange)} {are}. Known settings: {', '.join(known)}."


def _complaint(item: Mapping[str, Any]) -> str:
    name = str(item["loc"][0]) if item["loc"] else ""
    if item["type"] == "missing":
        return f"{name} is missing: it has no default and must be given."
    message = str(item["msg"]).removeprefix("Value error, ").removesuffix(".")
    if not name:
        return f"{message}."
    return f"{name} = {item['input']!r} is not allowed: {message[0].lower()}{message[1:]}."


def read_toml(path: Path) -> dict[str, Any]:
    """Read settings from a TOML file.

    Raises:
        ConfigError: The file is missing or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}. Is the path right?") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}. Settings look like: epochs = 32") from None


def to_toml(config: Frozen) -> str:
    """Write settings as TOML, every one of them; settings that are None are left out.

    Example:
        >>> from goodteacher.config import Recipe
        >>> print(to_toml(Recipe(temperature=4)), end="")
        loss = "kl"
        temperature = 4.0
        alpha = 1.0
        standardize = false
    """
    return tomli_w.dumps(config.model_dump(mode="json", exclude_none=True))


def differences(old: Frozen, new: Frozen) -> dict[str, tuple[Any, Any]]:
    """Return the settings that differ, as ``name -> (old, new)``, leaving out what may."""
    before, after = old.model_dump(mode="json"), new.model_dump(mode="json")
    free = RUNTIME_SETTINGS | new.may_differ
    names = [name for name in {**before, **after} if name not in free]
    return {
        name: (before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    }
