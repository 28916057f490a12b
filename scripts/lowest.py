"""Print the lowest version that each dependency of the package is declared to work with.

    python scripts/lowest.py > lowest.txt
    pip install --constraint lowest.txt .

``make test-lowest`` runs the tests with these.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parent.parent / "pyproject.toml"
_DECLARED = re.compile(r"([\w.-]+)(?:\[[\w,-]+\])?\s*>=\s*([\w.]+)")


def lowest(requirements: list[str]) -> dict[str, str]:
    """Return the lowest version of each requirement, by name.

    Args:
        requirements: As ``pyproject.toml`` has them.

    Raises:
        ValueError: One has no lowest version.

    Example:
        >>> lowest(["torch>=2.6", "mkdocs>=1.6.1,<2"])
        {'torch': '2.6', 'mkdocs': '1.6.1'}
    """
    found = {}
    for requirement in requirements:
        match = _DECLARED.match(requirement)
        if match is None:
            raise ValueError(f"{requirement!r} declares no lowest version: write name>=version")
        found[match[1]] = match[2]
    return found


def main() -> None:
    project = tomllib.loads(PROJECT.read_text())["project"]
    for name, version in lowest(project["dependencies"]).items():
        print(f"{name}=={version}")


if __name__ == "__main__":
    main()
