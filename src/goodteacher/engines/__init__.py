"""Where tasks run: in this process, in several of this machine, or on a cluster of Ray."""

from __future__ import annotations

from collections.abc import Callable

from goodteacher.config import RuntimeConfig
from goodteacher.engines.local import LocalEngine
from goodteacher.errors import needed_package
from goodteacher.studies import Context, Engine


def _local(config: RuntimeConfig, context: Context) -> Engine:
    return LocalEngine(context)


def _processes(config: RuntimeConfig, context: Context) -> Engine:
    # Here, since loky takes as long to import as the rest of the engines, and few searches need it.
    import loky

    from goodteacher.engines.processes import ProcessesEngine

    cores = loky.cpu_count()
    workers = config.workers or cores
    threads = config.threads or max(1, cores // workers)
    return ProcessesEngine(context, workers=workers, threads=threads)


def _ray(config: RuntimeConfig, context: Context) -> Engine:
    needed_package("ray", extra="ray", what="engine = 'ray'")
    import loky

    from goodteacher.engines.ray_cluster import Needs, size_in_bytes
    from goodteacher.engines.ray_engine import RayEngine, Where

    cores, gpus = loky.cpu_count(), float(context.machine.device.type == "cuda")
    here = config.address is None  # what other machines have is not known here
    needs = Needs(
        cpus=config.threads or (max(1, cores // (config.workers or cores)) if here else 1),
        gpus=gpus if config.gpus_per_task is None else config.gpus_per_task,
        memory=size_in_bytes(config.memory_gib),
    )
    return RayEngine(context, Where(config.address, config.workers, needs))


ENGINES: dict[str, Callable[[RuntimeConfig, Context], Engine]] = {
    "local": _local,
    "processes": _processes,
    "ray": _ray,
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
        several = (config.workers or 1) > 1
        name = "ray" if config.address is not None else "processes" if several else "local"
    return ENGINES[name](config, context)


__all__ = ["ENGINES", "LocalEngine", "engine_of"]
