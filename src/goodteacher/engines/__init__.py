"""Where tasks run: in this process, in several of this machine, or on a cluster of Ray."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import replace

import torch

from goodteacher.config import RuntimeConfig
from goodteacher.engines.choosing import chosen_division
from goodteacher.engines.cores import usable_cores
from goodteacher.engines.local import LocalEngine
from goodteacher.engines.pooled import PooledEngine
from goodteacher.engines.simulating import Simulated, SimulatedEngine, longest_chain
from goodteacher.errors import ConfigError, needed_package
from goodteacher.studies import Context, Engine, enter_anew


def _local(config: RuntimeConfig, context: Context) -> Engine:
    return LocalEngine(context)


def _processes(config: RuntimeConfig, context: Context) -> Engine:
    from goodteacher.engines.processes import ProcessesEngine

    if multiprocessing.current_process().daemon:
        raise ConfigError(
            "Python does not let this process start other processes, because it is a daemon "
            "process of multiprocessing, for example of a Pool. Leave out engine and workers, or "
            "use another kind of process, for example one of concurrent.futures."
        )
    cores = usable_cores()
    each = max(config.threads or 1, config.teacher_workers)
    workers = config.workers or max(1, cores // each)
    threads = config.threads or max(1, cores // workers)
    return ProcessesEngine(context, workers=workers, threads=threads)


def _ray(config: RuntimeConfig, context: Context) -> Engine:
    needed_package("ray", extra="ray", what="engine = 'ray'")
    from goodteacher.engines.ray_cluster import Resources, size_in_bytes
    from goodteacher.engines.ray_engine import RayEngine, Where

    cores, gpus = usable_cores(), float(context.machine.device.type == "cuda")
    here = config.address is None  # what other machines have is not known here
    resources = Resources(
        cpus=config.threads or (max(1, cores // (config.workers or cores)) if here else 1),
        gpus=gpus if config.gpus_per_task is None else config.gpus_per_task,
        memory=size_in_bytes(config.memory_gib),
    )
    together = context.machine.teacher_workers
    return RayEngine(context, Where(config.address, config.workers, resources, together))


ENGINES: dict[str, Callable[[RuntimeConfig, Context], Engine]] = {
    "local": _local,
    "processes": _processes,
    "ray": _ray,
}
"""What makes an engine for one study, by the name that the ``engine`` setting gives it."""

_MEASURED = frozenset({"auto", "local", "processes"})
"""Engines whose processes and threads are chosen by measurement, where they are not named."""


def engine_of(config: RuntimeConfig, context: Context) -> Engine:
    """Return the engine that the settings name, for one study.

    Where they name no number of threads and none of processes, both are chosen by what a few steps
    of the study's networks take: see :mod:`~goodteacher.engines.choosing`. Then this process
    computes with as many threads, until :func:`~goodteacher.training.borrowed` gives it back.

    Args:
        config: The settings.
        context: The study.

    Raises:
        ConfigError: Processes are asked for where none can be started.
    """
    named = config.threads or config.workers or config.address
    if named is None and config.engine in _MEASURED:
        division = chosen_division(config, context, cores=usable_cores)
        if division is not None:
            config = config.model_copy(update=division.settings)
            context = _settled(context, division.threads)
    name = config.engine
    if name == "auto":
        several = (config.workers or 1) > 1
        name = "ray" if config.address is not None else "processes" if several else "local"
    return ENGINES[name](config, context)


def threads_for(config: RuntimeConfig, context: Context) -> int:
    """Return how many CPU threads a study's tasks compute with; see :func:`engine_of`."""
    engine = engine_of(config, context)
    return engine.pool.threads if isinstance(engine, PooledEngine) else torch.get_num_threads()


def _settled(context: Context, threads: int) -> Context:
    """Return a study that is computed with a number of threads, in this process as elsewhere."""
    torch.set_num_threads(threads)
    number = enter_anew(context.store, context.environment, str(context.machine))
    return replace(context, environment=number)


__all__ = [
    "ENGINES",
    "LocalEngine",
    "Simulated",
    "SimulatedEngine",
    "engine_of",
    "longest_chain",
    "threads_for",
    "usable_cores",
]
