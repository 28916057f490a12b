"""Write docs/licences.md: under which licence each package is that goodteacher needs.

What is installed here is read from its own metadata. Packages of extras that are not installed keep
the line that the page has, so run it in each environment that has others:

    .venv/bin/python scripts/licences.py
    .venv-extras/bin/python scripts/licences.py
    .venv-vision/bin/python scripts/licences.py
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "licences.md"
NOT_FOR_USERS = {"dev", "docs", "bench", "test-extras", "test-vision"}
"""Extras for work on goodteacher itself, which nobody else installs."""

UNKNOWN = "not installed where this was written"

HEAD = """# Licences

goodteacher is under the Apache License 2.0. The packages that it needs come from their own
authors, and none of them is contained in its wheel. `python scripts/licences.py` makes this list
from the metadata of the packages. Those without an extra are always installed, the others with
`pip install 'goodteacher[EXTRA]'`.

What these need in turn follows, as far as it is installed where the list was made; versions and
systems differ in a few. PyTorch needs NVIDIA's libraries on Linux, unless its build for CPUs is
installed.

"""


def declared() -> dict[str, list[str]]:
    """Return the packages that are declared, by extra; ``""`` for those that are always needed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {n: r for n, r in project["optional-dependencies"].items() if n not in NOT_FOR_USERS}
    wanted = {"": project["dependencies"], **extras}
    return {extra: [_name(each) for each in those] for extra, those in wanted.items()}


def _name(requirement: str) -> str:
    return canonicalize_name(Requirement(requirement).name)


def licence_of(package: str) -> str | None:
    """Return a package's licence by its metadata; None where it is not installed."""
    try:
        found = metadata.metadata(package)
    except metadata.PackageNotFoundError:
        return None
    if found.get("License-Expression"):
        return str(found["License-Expression"])
    named = [each for each in found.get_all("Classifier", []) if each.startswith("License ::")]
    plain = [each.rpartition(" :: ")[2] for each in named if each.count(" :: ") > 1]
    if plain:
        return " and ".join(sorted(plain))
    text = str(found.get("License") or "").strip().partition("\n")[0]
    return text if 0 < len(text) <= 60 else "see the package"


def needed_by(packages: list[str]) -> Iterator[str]:
    """Yield what packages need in turn, as far as it is installed."""
    seen, waiting = set(packages), list(packages)
    while waiting:
        for each in _requirements(waiting.pop()):
            if each not in seen:
                seen.add(each)
                waiting.append(each)
                yield each


def _requirements(package: str) -> Iterator[str]:
    try:
        required = metadata.requires(package) or []
    except metadata.PackageNotFoundError:
        return
    for text in required:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            name = canonicalize_name(requirement.name)
            if licence_of(name) is not None:
                yield name


def known(page: str) -> dict[str, str]:
    """Return the licence of each package that a page has."""
    rows = re.findall(r"^\| ([\w.-]+) (?:\| [^|]* )?\| ([^|]+) \|$", page, re.MULTILINE)
    return {n: licence for n, licence in rows if n != "package" and licence != UNKNOWN}


def written(before: str) -> str:
    """Return the page.

    Args:
        before: The page as it was.
    """
    old, by_extra = known(before), declared()
    extras: dict[str, list[str]] = {}
    for extra, packages in by_extra.items():
        for package in packages:
            extras.setdefault(package, []).append(extra)
    lines = ["| package | extra | licence |", "|---|---|---|"]
    for package, those in sorted(extras.items(), key=lambda each: ("" not in each[1], each[0])):
        licence = licence_of(package) or old.get(package, UNKNOWN)
        lines.append(f"| {package} | {', '.join(filter(None, those))} | {licence} |")
    further = {name: licence_of(name) or "" for name in needed_by(list(extras))}
    kept = {name: licence for name, licence in old.items() if name not in extras}
    lines += ["", "## What these need in turn", "", "| package | licence |", "|---|---|"]
    lines += [f"| {name} | {text} |" for name, text in sorted((kept | further).items())]
    return HEAD + "\n".join(lines) + "\n"


def main() -> None:
    PAGE.write_text(written(PAGE.read_text() if PAGE.exists() else ""))


if __name__ == "__main__":
    main()
