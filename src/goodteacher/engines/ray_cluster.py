"""A cluster of Ray: one that runs at an address, or one that is started on this machine.

A cluster that was started here is kept for the next study of this process and stopped when the
process ends; Ray sees to it that it ends too if the process is killed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import signal
import socket
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from goodteacher.engines.cores import usable_cores
from goodteacher.engines.ray_working import named
from goodteacher.errors import ConfigError, RunError

_ANSWER = 5.0
"""Seconds in which something must answer at the address."""

_LOOK = 60.0
"""Seconds in which every node must say which versions it has."""

_OBJECTS = 100 * 2**20
"""Bytes of Ray's object store on this machine: arrays never pass through it."""

_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""What Ray is told in the environment of a cluster that is started here: report nothing to its
makers, and leave GPUs visible to tasks that reserve none."""


@dataclass(frozen=True)
class Resources:
    """What a node must have free for one task.

    Attributes:
        cpus: Threads.
        gpus: GPUs, or a fraction of one.
        memory: Bytes; 0 where it is not known.
    """

    cpus: int
    gpus: float
    memory: int

    def fit_on(self, resources: Mapping[str, float]) -> int:
        """Return how many such tasks a node has room for at the same time."""
        rooms = [resources.get("CPU", 0.0) / self.cpus]
        if self.gpus:
            rooms.append(resources.get("GPU", 0.0) / self.gpus)
        if self.memory:
            rooms.append(resources.get("memory", 0.0) / self.memory)
        return int(min(rooms) + 1e-9)

    def __str__(self) -> str:
        parts = [f"{self.cpus} CPU" + ("s" if self.cpus > 1 else "")]
        if self.gpus:
            parts.append(f"{self.gpus:g} GPU" + ("s" if self.gpus > 1 else ""))
        if self.memory:
            parts.append(f"{self.memory / 2**30:.3g} GiB of memory")
        return ", ".join(parts)


def join(address: str | None, *, cpus: int) -> None:
    """Connect this process with a cluster.

    Args:
        address: Where it runs, host:port, or ``auto``; None starts one on this machine, unless this
            process is connected already.
        cpus: CPUs that a cluster on this machine has, at least.

    Raises:
        ConfigError: There is no cluster at the address, or one of other versions of Ray or Python.
    """
    if address is None:
        _start(cpus)
        return
    _check_form(address)
    if ray.is_initialized():
        here = ray.get_runtime_context().gcs_address
        if address not in ("auto", here):
            raise ConfigError(
                f"address = {address!r} cannot be used, because this process is already connected "
                f"to the cluster at {here}. Leave address out, or call ray.shutdown() first."
            )
        return
    if address != "auto":
        _check_answers(address)
    with _translated(address), _undisturbed():
        ray.init(address=address, log_to_driver=False, configure_logging=False)


class _Started:
    """The cluster that this process has started, if it has.

    Attributes:
        cpus: How many it has; 0 where there is none.
    """

    cpus = 0


def _start(cpus: int) -> None:
    if ray.is_initialized():
        if not _Started.cpus or _Started.cpus >= cpus:
            return
        leave()
    count = max(cpus, usable_cores())
    with _undisturbed():
        ray.init(
            address="local",
            num_cpus=count,
            object_store_memory=_OBJECTS,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
        )
    _Started.cpus = count


def leave() -> bool:
    """Stop the cluster if this process has started it, else leave it as it is; say whether it was.

    The processes of a cluster that ends stop at once, with their files half written, which nobody
    takes for whole.
    """
    if not _Started.cpus:
        return False
    _Started.cpus = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.shutdown()
    return True


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Let Ray set up what it needs, quietly, and leave this process's signals as they were."""
    handled = signal.getsignal(signal.SIGTERM)
    logger = logging.getLogger("ray")
    logger.setLevel(max(logger.level, logging.ERROR))
    new = {name: value for name, value in _QUIET.items() if name not in os.environ}
    os.environ.update(new)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name in new:
            os.environ.pop(name, None)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handled)


def _check_form(address: str) -> None:
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdecimal():
        raise ConfigError(
            f"address = {address!r} is not allowed: give host:port as ray start prints it, for "
            "example 10.0.0.1:6379, or auto on a machine of the cluster. Ray's client (ray://) "
            "is not supported: start the search on a machine of the cluster."
        )


def _check_answers(address: str) -> None:
    """See whether a server of Ray's kind is there; Ray itself would try for two minutes.

    Its servers speak HTTP/2 and answer a client's first frames with settings of their own.
    """
    host, _, port = address.rpartition(":")
    encrypted = os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER) as line:
            line.settimeout(_ANSWER)
            if encrypted:
                return
            line.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)))
            answer = line.recv(9)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "no answer"
        raise ConfigError(
            f"There is no Ray cluster at {address}: {reason}. Start one there with ray start "
            f"--head --port={port}, or check the address that ray start printed."
        ) from None
    if len(answer) < 4 or answer[3] != 4:
        raise ConfigError(
            f"There is no Ray cluster at {address}: another kind of server answers there. Give "
            "the port that ray start printed, 6379 by default, and not that of the dashboard."
        )


@contextlib.contextmanager
def _translated(address: str) -> Iterator[None]:
    """Say in one line why Ray does not connect."""
    try:
        yield
    except (ConnectionError, RuntimeError, ValueError, OSError, SystemExit) as error:
        text = " ".join(str(error).split())
        if "ersion mismatch" in text:
            raise ConfigError(
                f"The Ray cluster at {address} has other versions than this process: {text} "
                "Use the same environment on all machines."
            ) from error
        if address == "auto":
            raise ConfigError(
                "address = 'auto' finds no Ray cluster that this machine belongs to. Start one "
                "with ray start --head, or leave address out."
            ) from error
        raise ConfigError(
            f"Ray cannot connect to the cluster at {address}: {text[:300].rstrip('. ')}. Start "
            f"the search on a machine of the cluster: ray start --address={address} adds this "
            "machine to it."
        ) from error


def nodes() -> dict[str, Mapping[str, float]]:
    """Return what each living node has in all, by its id."""
    return {node["NodeID"]: node["Resources"] for node in ray.nodes() if node["Alive"]}


def versions_here() -> dict[str, str | None]:
    """Return the versions on which it depends that two processes understand each other."""
    return _versions()()


def check_nodes(wanted: Resources, together: int = 1) -> None:
    """See whether the nodes of a cluster can do what a study asks of them.

    Args:
        wanted: What one process of a task needs.
        together: Processes that train one teacher together, on whichever nodes.

    Raises:
        ConfigError: A node has other versions, no node has room for a task, or all of them
            together have none for a teacher.
        RunError: A node does not answer.
    """
    known = nodes()
    rooms = sum(wanted.fit_on(resources) for resources in known.values())
    if not rooms:
        cpus, gpus, memory = (
            max(each.get(kind, 0.0) for each in known.values()) for kind in ("CPU", "GPU", "memory")
        )
        most = Resources(int(cpus), gpus, int(memory))
        raise ConfigError(
            f"No node of the Ray cluster has room for a task, which needs {wanted}: the largest "
            f"node has {most}. Lower --threads, --gpus-per-task or --memory-gib, or start a "
            "larger node."
        )
    if rooms < together:
        raise ConfigError(
            f"teacher_workers = {together} needs room for this many processes, each with "
            f"{wanted}, but the nodes of the Ray cluster have room for {rooms}. Lower "
            "teacher_workers, or start more nodes."
        )
    here = versions_here()
    for node, found in _asked(known).items():
        check_versions(here, found, node)


def check_versions(
    here: Mapping[str, str | None], there: Mapping[str, str | None], at: str
) -> None:
    """Refuse a node that has other versions.

    Args:
        here: Versions where the study was begun.
        there: Versions on the node.
        at: Name of the node.

    Raises:
        ConfigError: They differ.
    """
    parts = [
        f"it has no {name}"
        if there.get(name) is None
        else f"{name} {there[name]} instead of {ours}"
        for name, ours in here.items()
        if there.get(name) != ours
    ]
    if parts:
        raise ConfigError(
            f"The node {at} of the Ray cluster cannot work for this study: {', '.join(parts)}. Use "
            "the same environment on all machines."
        )


def _asked(known: Mapping[str, Any]) -> dict[str, dict[str, str | None]]:
    """Ask every node which versions it has; return them by the node's name."""
    ask = ray.remote(num_cpus=0, max_retries=0)(_versions())  # Ray's own know no end
    asked = {
        ask.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node_id=node, soft=False)
        ).remote(): node
        for node in known
    }
    hosts = {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes()}
    done, silent = ray.wait(list(asked), num_returns=len(asked), timeout=_LOOK)
    if silent:
        node = asked[silent[0]]
        raise RunError(
            f"The node {named(hosts[node], node)} of the Ray cluster did not answer within "
            f"{_LOOK:.0f} seconds. Is it overloaded, or not reachable?"
        )
    found = {}
    for answer in done:
        node = asked[answer]
        with contextlib.suppress(ray.exceptions.RayError):  # a node that was just lost
            found[named(hosts[node], node)] = ray.get(answer)
    return found


def _versions() -> Callable[[], dict[str, str | None]]:
    """Return a function that goes to a node as it is, so that it needs no goodteacher there."""
    names = ("goodteacher", "ray", "torch", "numpy")

    def ask() -> dict[str, str | None]:
        found: dict[str, str | None] = {"Python": platform.python_version()}
        for name in names:
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                found[name] = None
        return found

    return ask


def size_in_bytes(gib: float | None) -> int:
    """Return a size in bytes; 0 where it is not known."""
    return 0 if gib is None else int(gib * 2**30)


__all__ = ["Resources", "check_nodes", "join", "leave", "nodes", "size_in_bytes", "versions_here"]
