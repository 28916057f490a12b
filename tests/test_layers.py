"""The house: a module imports only from wings below its own, and there are few of them."""

import ast
import sys
from pathlib import Path

import pytest

import goodteacher

PACKAGE = Path(goodteacher.__file__).parent
sys.path.insert(0, str(PACKAGE.parent.parent / "scripts"))

import house  # noqa: E402

LAYERS = [
    ["errors"],
    ["maths", "config"],
    ["records", "data"],
    ["networks", "responses"],
    ["training"],
    ["studies"],
    ["teachers", "engines"],
    ["students"],
    ["delivery", "verdicts"],
    ["sweet_spot", "report"],
    ["public"],
    ["cli"],
    ["__init__", "__main__"],
]
LAYER_OF = {name: number for number, names in enumerate(LAYERS) for name in names}


def _top(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def _imports(path: Path) -> set[str]:
    """Return the first-level goodteacher modules that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("goodteacher"):
            found.add(_top(node.module or ""))
        if isinstance(node, ast.Import):
            found |= {_top(a.name) for a in node.names if a.name.startswith("goodteacher")}
    return found


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_imports_only_from_lower_layers(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert own in LAYER_OF, f"{own} has no place in the table of layers"
    for other in _imports(path) - {own}:
        assert LAYER_OF[other] < LAYER_OF[own], f"{own} must not import {other}"


def test_every_name_in_the_table_exists():
    present = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in FILES}
    assert set(LAYER_OF) == present


def test_house_stays_small():
    counted = house.count()
    assert counted.rooms <= 25
    assert counted.floors <= 12
    assert counted.imports <= 165
