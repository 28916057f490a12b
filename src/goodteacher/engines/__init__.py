"""Where tasks run. ``local`` is this process; a cluster will be a module beside it."""

from goodteacher.config import RuntimeConfig
from goodteacher.engines.local import LocalEngine
from goodteacher.studies import Context, Engine

ENGINES = {"local": LocalEngine}
"""Engines by the name that the ``engine`` setting gives them."""


def engine_of(config: RuntimeConfig, context: Context) -> Engine:
    """Return the engine that the settings name, for one study.

    Args:
        config: The settings.
        context: The study.
    """
    return ENGINES[config.engine](context)


__all__ = ["ENGINES", "LocalEngine", "engine_of"]
