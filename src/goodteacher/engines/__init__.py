"""Where tasks run. ``local`` is this process; a cluster will be a module beside it."""

from goodteacher.engines.local import LocalEngine

ENGINES = {"local": LocalEngine}
"""Engines by the name that the ``engine`` setting gives them."""

__all__ = ["ENGINES", "LocalEngine"]
