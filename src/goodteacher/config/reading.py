"""Settings in and out: from keywords and TOML, into TOML, and what differs between two."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import ValidationError
from pydantic_core import PydanticUndefined

from goodteacher.config.common import RuntimeConfig
from goodteacher.config.files import check_regular
from goodteacher.config.values import ConfigT, Frozen
from goodteacher.errors import ConfigError

RUNTIME_SETTINGS = frozenset(
    {*RuntimeConfig.model_fields, "images_gib", "max_memory_gib", "teachers_of", "trajectories"}
)
"""Settings that may differ when a study is resumed: they move the work, not the answer."""


def parse(kind: type[ConfigT], /, **settings: Any) -> ConfigT:
    """Build settings, turning every complaint into one :class:`ConfigError`.

    Args:
        kind: The settings class to build.
        **settings: Values by name; strings are read as the command line reads them.

    Raises:
        ConfigError: A name is unknown, missing, or its value breaks its rule; the message has a
            line for each that does.
    """
    try:
        return kind(**settings)
    except ValidationError:
        raise ConfigError("\n".join(_complaints(kind, settings))) from None


def _complaints(kind: type[Frozen], settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield all that is wrong with settings.

    Rules that join several settings are checked only where each is allowed by itself. So what was
    found is taken out, and the rest is tried again; a complaint that names a setting which was
    taken out would speak of its default, and is left out.
    """
    left, wrong, missing = dict(settings), set[str](), dict[str, str]()
    while True:
        try:
            kind(**left, **missing)
            return
        except ValidationError as error:
            items = error.errors(include_url=False)
        unknown = [str(item["loc"][0]) for item in items if item["type"] == "extra_forbidden"]
        alone = [item for item in items if item["loc"] and item["type"] != "extra_forbidden"]
        joined = [item for item in items if not item["loc"]]
        yield from unknown_settings(unknown, list(kind.model_fields))
        yield from (_complaint(kind, item) for item in alone)
        yield from (_complaint(kind, item) for item in joined if not _named(item, wrong))
        before = len(left), len(missing)
        left = {name: x for name, x in left.items() if name not in unknown}
        wrong |= {str(item["loc"][0]) for item in alone}
        optional = {name for name in left if not kind.model_fields[name].is_required()}
        wrong |= {name for item in joined for name in _named(item, optional)}
        # Any text will do for a name that has no default: no rule joins it with others.
        missing |= {name: "" for name in wrong if kind.model_fields[name].is_required()}
        left = {name: x for name, x in left.items() if name not in wrong}
        if (len(left), len(missing)) == before:
            return


def _named(item: Mapping[str, Any], names: Collection[str]) -> set[str]:
    """Return those of some settings that a complaint speaks of."""
    return set(names) & set(re.findall(r"\w+", str(item["msg"])))


def unknown_settings(names: Sequence[str], known: Sequence[str]) -> Iterator[str]:
    """Yield what to say of names that are no settings; what is known is listed once at most.

    Args:
        names: Names that were given.
        known: Names of the settings there are.
    """
    strange = []
    for name in names:
        near = difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1)
        if near:
            yield f"{name} is not a setting. Did you mean {near[0]}?"
        else:
            strange.append(name)
    if strange:
        are = "is not a setting" if len(strange) == 1 else "are not settings"
        yield f"{', '.join(strange)} {are}. Known settings: {', '.join(known)}."


def _complaint(kind: type[Frozen], item: Mapping[str, Any]) -> str:
    name = str(item["loc"][0]) if item["loc"] else ""
    if item["type"] == "missing" and len(item["loc"]) > 1:
        about = kind.model_fields[name].description
        return f"{name} = {item['input']!r} is not allowed: it has too few values. It is {about}."
    if item["type"] == "missing":
        return (
            f"{name} is missing. Give it as --{name.replace('_', '-')}, or as {name} in the file "
            "of --config."
        )
    message = str(item["msg"]).removeprefix("Value error, ").removesuffix(".")
    if not name:
        return f"{message}."
    return (
        f"{name} = {item['input']!r} is not allowed: {message[0].lower()}{message[1:]}."
        f"{_way_out(kind, name)}"
    )


def _way_out(kind: type[Frozen], name: str) -> str:
    """Name the default, where there is one, as a value that works."""
    default = kind.model_fields[name].get_default()
    if default is None or default is PydanticUndefined or default == ():
        return ""
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
    return f" The default is {shown}."


def read_toml(path: Path) -> dict[str, Any]:
    """Read settings from a TOML file.

    Raises:
        ConfigError: The file is missing, no regular file, or not TOML.
    """
    check_regular(path, ConfigError)
    try:
        # Some editors put a byte-order mark in front, which TOML does not know.
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}. Is the path right?") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} is not TOML: {error}. A setting looks like this: epochs = 32"
        ) from None


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
