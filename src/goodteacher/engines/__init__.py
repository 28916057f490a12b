"""Where tasks run: ``local`` is this process, ``processes`` are several on this machine."""

from __future__ import annotations

from collections.abc import Callable

from goodteacher.config import RuntimeConfig
from goodteacher.engines.local import LocalEngine
from goodteacher.studies import Context, Engine


def _local(config: RuntimeConfig, context: Context) -> Engine:
    return LocalEngine(context)


def _processes(config: RuntimeConfig, context: Context) -> Engine:
    # Here, since loky takes as long to import as the rest of the engines, and few searches need it.
    import loky

    from goodteacher.engines.processes import ProcessesEngine

    cores = loky.cpu_count()
    workers = config.workers or max(1, cores // config.teacher_workers)
    threads = config.threads or max(1, cores // workers)
    return ProcessesEngine(context, workers=workers, threads=threads)


ENGINES: dict[str, Callable[[RuntimeConfig, Context], Engine]] = {
    "local": _local,
    "processes": _processes,
}
"""What makes an engine for one study, by the name that the ``engine`` setting gives it."""


def engine_of(config: RuntimeConfig, context: Context) -> Engine:
    """Return the engine that the settings name, for one study.

    Args:
        config: The settings.
        context: The study.
    """
    name = config.engine
    if name == "auto":
        name = "processes" if (config.workers or 1) > 1 else "local"
    return ENGINES[name](config, context)


__all__ = ["ENGINES", "LocalEngine", "engine_of"]
