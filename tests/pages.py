"""Pieces of code of the pages, as readers copy them."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"

_BLOCK = re.compile(r"^```python (?P<name>[\w-]+)\n(?P<code>.*?)^```", re.DOTALL | re.MULTILINE)
_QUICK = (
    "student_epochs=2, seeds=2, search_seeds=1, temperatures=[1], alphas=[1], smoothings=[0.1], "
    "shortlist=1, rungs=1, extend=False, stack_width=4"
)


def blocks(page):
    """Every named piece of code of a page, by the name behind its language."""
    return {found["name"]: found["code"] for found in _BLOCK.finditer(page.read_text())}


def block(page, name):
    """A piece of code of a page, by the name behind its language."""
    return blocks(page)[name]


def quick(code, **further):
    """The same code with searches of few students and, if named, further settings."""
    settings = ", ".join([_QUICK, *(f"{name}={value!r}" for name, value in further.items())])
    hurried = re.sub(r'out="study"', f'out="study", {settings}', code)
    assert hurried != code, "no search in it"
    return hurried
