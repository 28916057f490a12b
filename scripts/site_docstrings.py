"""An extension of griffe, named in mkdocs.yml: docstrings as the site shows them."""

import re
from typing import Any

import griffe


class AsShown(griffe.Extension):
    """Gives examples the name under which griffe shows code, and references the form of code."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Change the docstring, if the object has one."""
        if obj.docstring:
            obj.docstring.value = as_shown(obj.docstring.value)


def as_shown(text: str) -> str:
    """Return a docstring with ``Examples`` for ``Example``, and names for Sphinx's roles.

    >>> as_shown("What :func:`~goodteacher.data.load_dataset` understands.")
    'What `load_dataset` understands.'
    """
    text = re.sub(r"(?m)^( *)Example:$", r"\1Examples:", text)
    return re.sub(r":\w+:`(?:~[\w.]*\.)?([^`]+)`", r"`\1`", text)
