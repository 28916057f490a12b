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
    ["cli", "integrations"],
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


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_have_at_most_500_lines_and_functions_40(path):
    text = path.read_text()
    assert text.count("\n") <= 500
    long = {node.name: _length(node) for node in ast.walk(ast.parse(text)) if _is_function(node)}
    assert max(long.values(), default=0) <= 40, {k: n for k, n in long.items() if n > 40}


def _is_function(node):
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def _length(function):
    """Lines of a function, without its docstring."""
    told = function.body[0]
    has_docstring = ast.get_docstring(function) is not None
    docstring = told.end_lineno - told.lineno + 1 if has_docstring else 0
    return function.end_lineno - function.lineno + 1 - docstring


def test_the_page_says_what_is_counted():
    counted = house.count()
    page = (PACKAGE.parent.parent / "CONTRIBUTING.md").read_text()
    expected = f"{counted.rooms} rooms on {counted.floors} floors with {counted.imports} imports"
    assert expected in page
