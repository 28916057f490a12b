"""Count the house: rooms, floors and imports between rooms.

A room is a folder or a module directly below ``src/goodteacher``. It stands one floor above the
highest room that it imports. An import is counted once for each pair of a room that imports and a
file, of another room, that it imports from.

    python scripts/house.py            # the figures
    python scripts/house.py --rooms    # and who imports whom
"""

from __future__ import annotations

import argparse
import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "src/goodteacher"
FACES = {"__init__", "__main__"}
"""Modules that only hand names on; they are no rooms."""


def room_of(module: str) -> str:
    """Return the room that a module is in, by its dotted name below the package.

    Example:
        >>> room_of("training.loop")
        'training'
    """
    return module.partition(".")[0]


def imports(package: Path) -> set[tuple[str, str]]:
    """Return every import of one module by another, across rooms or not."""
    files = {_name(path, package): path for path in sorted(package.rglob("*.py"))}
    return {
        (module, target)
        for module, path in files.items()
        for target in _targets(path, set(files))
        if target != module
    }


def _name(path: Path, package: Path) -> str:
    parts = path.relative_to(package).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def _targets(path: Path, known: set[str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("goodteacher"):
            base = (node.module or "").removeprefix("goodteacher").removeprefix(".")
            for alias in node.names:
                below = f"{base}.{alias.name}".removeprefix(".")
                yield below if below in known else base or "__init__"


def between_rooms(found: set[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Return how many files of one room another one imports from, by (importing, imported)."""
    pairs = {
        (room_of(module), target)
        for module, target in found
        if not {room_of(module), room_of(target)} & FACES and room_of(module) != room_of(target)
    }
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for room, target in pairs:
        counts[room, room_of(target)] += 1
    return dict(counts)


def floors(arrows: Mapping[tuple[str, str], int], rooms: set[str]) -> dict[str, int]:
    """Return the floor of each room, from 1; circles are refused."""
    below: dict[str, set[str]] = {room: set() for room in rooms}
    for room, target in arrows:
        below[room].add(target)
    found: dict[str, int] = {}
    while len(found) < len(rooms):
        ready = {r for r in rooms - set(found) if below[r] <= set(found)}
        if not ready:
            raise ValueError(f"rooms import one another in a circle: {sorted(rooms - set(found))}")
        for room in ready:
            found[room] = 1 + max((found[b] for b in below[room]), default=0)
    return found


@dataclass(frozen=True)
class Count:
    """The figures of a house."""

    rooms: int
    floors: int
    imports: int


def count(package: Path = PACKAGE) -> Count:
    """Count the rooms, floors and imports between rooms of a package."""
    rooms, arrows = rooms_of(package), between_rooms(imports(package))
    return Count(len(rooms), max(floors(arrows, rooms).values()), sum(arrows.values()))


def rooms_of(package: Path) -> set[str]:
    """Return the rooms of a package."""
    return {room_of(_name(path, package)) for path in package.rglob("*.py")} - FACES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rooms", action="store_true", help="say who imports whom")
    options = parser.parse_args()
    if options.rooms:
        arrows, rooms = between_rooms(imports(PACKAGE)), rooms_of(PACKAGE)
        floor = floors(arrows, rooms)
        for room in sorted(rooms, key=lambda name: (-floor[name], name)):
            uses = sorted(target for source, target in arrows if source == room)
            print(f"{floor[room]:2} {room}: {', '.join(uses) or 'nothing'}")
    found = count()
    print(f"{found.rooms} rooms on {found.floors} floors, {found.imports} imports between them")


if __name__ == "__main__":
    main()
