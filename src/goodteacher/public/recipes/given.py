"""Settings of another tool, and which of them were understood."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from goodteacher.errors import ConfigError

Path = tuple[str, ...]

_OFF: tuple[object, ...] = (None, False, "", [], {})
_MOST_SETTINGS, _DEEPEST = 20_000, 60


class Given:
    """Settings as they were given: each that is asked for counts as understood.

    Paths are written with dots, such as ``train.optimizer.key``. Lists are values.

    Args:
        values: The settings, nested.
        name: What they came from, for messages.
        known: Settings that count as understood from the start.
    """

    def __init__(self, values: Mapping[Any, Any], name: str) -> None:
        self.name = name
        self._leaves: dict[Path, Any] = dict(_flat(values, (), [0]))
        self._used: set[Path] = set()

    def __contains__(self, path: str) -> bool:
        return any(leaf[: len(wanted)] == wanted for wanted in (_path(path),) for leaf in self)

    def __iter__(self) -> Iterator[Path]:
        return iter(self._leaves)

    def below(self, path: str) -> list[str]:
        """Return the names directly below a path, in their order."""
        start = _path(path)
        depth = len(start)
        return list(dict.fromkeys(p[depth] for p in self if len(p) > depth and p[:depth] == start))

    def value(self, path: str, default: Any = None) -> Any:
        """Return a setting, or the default where it is missing or null."""
        leaf = _path(path)
        self._used.add(leaf)
        found = self._leaves.get(leaf)
        return default if found is None else found

    def glance(self, path: str) -> str:
        """Return a setting as text, without that it counts as understood."""
        return str(self._leaves.get(_path(path), ""))

    def text(self, path: str, default: str = "") -> str:
        """Return a setting as text.

        Raises:
            ConfigError: It is a list or a group.
        """
        value = self.value(path, default)
        if isinstance(value, list | tuple | Mapping):
            raise ConfigError(
                f"{path} in {self.name} is {brief(value)}, but it must be one value. Correct it "
                "in that file."
            )
        return str(value)

    def shown(self, path: str, default: str) -> str:
        """Return a setting, a list for instance, as a message shows it."""
        value = self.value(path)
        return default if value is None else brief(value)

    def yes(self, path: str) -> bool:
        """Return whether a switch is on."""
        value = self.value(path, False)
        return value if isinstance(value, bool) else str(value).lower() in ("1", "yes", "true")

    def number(
        self, path: str, *, low: float = -math.inf, high: float = math.inf, above: bool = False
    ) -> float | None:
        """Return a setting as a finite number, or None where it is missing or null.

        Args:
            path: Which.
            low: It must be at least this.
            high: It must be at most this.
            above: Whether it must be above ``low`` instead.

        Raises:
            ConfigError: It is no such number.
        """
        value = self.value(path)
        if value is None:
            return None
        number = _as_number(value)
        if number is None:
            raise ConfigError(
                f"{path} = {brief(value)} in {self.name} is not a finite number, but the recipe "
                "needs it. Replace it by the number that the program runs with."
            )
        if number > high or number < low or (above and number == low):
            rule = (
                f"above {low:g}, because no training works with such a value"
                if above
                else (f"at least {low:g}, because a lower value would have the opposite effect")
            )
            rule = rule if high == math.inf else f"in {low:g}..{high:g}, because it is a share"
            raise ConfigError(f"{path} = {brief(value)} in {self.name} must be {rule}. Correct it.")
        return number

    def whole(self, path: str, default: int | None = None) -> int | None:
        """Return a setting as a whole number above 0.

        Raises:
            ConfigError: It is no such number.
        """
        number = self.number(path, low=0, above=True)
        if number is None:
            return default
        if number != int(number):
            raise ConfigError(
                f"{path} = {number:g} in {self.name} must be a whole number, because it is a "
                "count. Correct it."
            )
        return int(number)

    def unused(self) -> tuple[str, ...]:
        """Return what nobody asked for; a group of which nothing was is named once.

        Settings that are off or empty say nothing, and are left out.
        """
        read = {leaf[:depth] for leaf in self._used for depth in range(len(leaf) + 1)}
        found = {}
        for leaf in self:
            if leaf not in self._used and self._leaves[leaf] not in _OFF:
                parts = next((leaf[:n] for n in range(1, len(leaf)) if leaf[:n] not in read), leaf)
                found[".".join(parts)] = self._leaves[leaf] if parts == leaf else None
        return tuple(_shown(name, value) for name, value in found.items())


def brief(value: Any) -> str:
    """Return a value as a message shows it, however large it is.

    Example:
        >>> brief([150, 180, 210])
        '150, 180, 210'
    """
    if isinstance(value, list | tuple):
        simple = len(value) <= 20 and all(isinstance(x, str | int | float) for x in value)
        return ", ".join(str(x)[:40] for x in value) if simple else f"a list of {len(value)}"
    if isinstance(value, Mapping):
        return f"a group of {len(value)} settings"
    return str(value)[:60]


def _shown(name: str, value: Any) -> str:
    short = isinstance(value, str | int | float) and len(str(value)) <= 40
    return f"{name} = {value}" if short else name


def _as_number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)  # YAML 1.1 reads 1e-4 as text
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _path(path: str) -> Path:
    return tuple(path.split(".")) if path else ()


def _flat(values: Mapping[Any, Any], start: Path, count: list[int]) -> Iterator[tuple[Path, Any]]:
    """Yield every value below a mapping; aliases that repeat it without end are refused."""
    for key, value in values.items():
        count[0] += 1
        if count[0] > _MOST_SETTINGS or len(start) > _DEEPEST:
            raise ConfigError(
                f"there are more than {_MOST_SETTINGS} settings, or they are nested more than "
                f"{_DEEPEST} deep, so this is not a training configuration. Does an alias in the "
                "file contain itself? Give only the part that describes the distillation."
            )
        path = (*start, str(key))
        if isinstance(value, Mapping) and value:
            yield from _flat(value, path, count)
        else:
            yield path, value
