"""Pages of the documentation that hold tables of results, each between two marks.

A place is `<!-- NAME -->`, a line with the table or several, and `<!-- end -->`. The benchmarks and
the study fill their pages with it, and tests hold the pages to their results.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_PLACE = re.compile(r"<!-- (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def filled(text: str, body_of: Callable[[str], str | None]) -> str:
    r"""Return the page with every place filled anew.

    Args:
        text: The page.
        body_of: What stands in the place of a name; None leaves it as it is, since a page may be
            filled from several results.

    Example:
        >>> print(filled("<!-- a -->\nold\n<!-- end -->", lambda name: name + " new"))
        <!-- a -->
        a new
        <!-- end -->
    """

    def new(place: re.Match[str]) -> str:
        body = body_of(place[1])
        return place[0] if body is None else _place(place[1], body)

    return _PLACE.sub(new, text)


def places(text: str) -> list[str]:
    """Return the names of a page's places, in order."""
    return [place[1] for place in _PLACE.finditer(text)]


def _place(name: str, body: str) -> str:
    return f"<!-- {name} -->\n{body}\n<!-- end -->"
