"""One teacher over several processes of a Ray cluster, on one node or on several.

What all of them need is reserved at once, so that no two teachers wait for one another. The task
itself is the first of the group; it starts the others, which end with it. If one of them is lost,
the task runs again from its last recorded epoch.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import cloudpickle
import ray
from ray.exceptions import RayError
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from goodteacher.engines.ray_cluster import Resources
from goodteacher.engines.ray_working import SharedStudy, context_of
from goodteacher.studies import READY, Context, GroupWork, Told
from goodteacher.training import Group, Share, joined, meeting_at, meeting_here, take_share

_GRACE = 20.0
"""Seconds that this process has to notice that another is lost, before it ends itself: a machine
that is cut off closes no connection."""


def options_for(wanted: Resources) -> dict[str, Any]:
    """Return Ray's options for what is to have some resources."""
    return {"num_cpus": wanted.cpus, "num_gpus": wanted.gpus, "memory": wanted.memory or None}


@dataclass(frozen=True)
class Places:
    """What several processes have reserved on a cluster, all at once.

    Attributes:
        group: Ray's, with a bundle for each process.
        each: What each of them has.
    """

    group: PlacementGroup
    each: Resources

    @classmethod
    def reserved(cls, each: Resources, count: int, *, name: str) -> Places:
        """Ask for them, on few nodes if that is possible; what is placed there waits for them."""
        bundle = {"CPU": each.cpus, "GPU": each.gpus, "memory": each.memory}
        bundles = [{kind: amount for kind, amount in bundle.items() if amount}] * count
        return cls(placement_group(bundles, strategy="PACK", name=name), each)

    def options(self, number: int) -> dict[str, Any]:
        """Return Ray's options for the process that has one of the places."""
        strategy = PlacementGroupSchedulingStrategy(self.group, placement_group_bundle_index=number)
        return {**options_for(self.each), "scheduling_strategy": strategy}

    def leave(self) -> None:
        """Give them back."""
        with contextlib.suppress(RayError):
            remove_placement_group(self.group)


@dataclass(frozen=True)
class _Orders:
    study: SharedStudy
    share: Share
    rank: int
    size: int
    address: str
    port: int


class _Helper:
    """An actor: another process of the group."""

    def prepare(self, orders: _Orders, work: bytes) -> object:
        """Read the study; say that this process is ready, or how it failed."""
        logging.disable()  # the first process says the same
        warnings.simplefilter("ignore")
        take_share(orders.share)
        try:
            context = context_of(orders.study)
            machine = replace(context.machine, sharing=orders.share.processes)
            self._context = replace(context, machine=machine)
            self._orders, self._work = orders, cast("GroupWork", cloudpickle.loads(work))
        except Exception as error:
            return Told.of(error)
        return READY

    def work(self) -> Told | None:
        """Take part; say how it failed, if it did."""
        orders = self._orders
        try:
            with joined(
                meeting_at(orders.address, orders.port),
                rank=orders.rank,
                size=orders.size,
                device=self._context.machine.device,
                address=_address_here(),
            ) as group:
                return self._told(group)
        except Exception as error:
            return Told.of(error)

    def _told(self, group: Group) -> Told | None:
        try:
            self._work(self._context, group)
        except Exception as error:
            return Told.of(error)
        return None


@dataclass(frozen=True)
class RayRecruiter:
    """Starts processes on a cluster; see :class:`~goodteacher.studies.Recruiter`.

    Attributes:
        study: What they work with.
        share: What of its node each may take.
        places: Where they are.
    """

    study: SharedStudy
    share: Share
    places: Places

    @contextlib.contextmanager
    def recruited(self, work: GroupWork, context: Context) -> Iterator[RayHelpers]:
        """Start them; they have ended when the block has, or this process."""
        size, address = context.machine.teacher_workers, _address_here()
        meeting = meeting_here(address)
        actor, sent = ray.remote(max_restarts=0)(_Helper), cloudpickle.dumps(work)
        actors = [actor.options(**self.places.options(rank)).remote() for rank in range(1, size)]
        try:
            ready = [
                each.prepare.remote(
                    _Orders(self.study, self.share, rank, size, address, meeting.port), sent
                )
                for rank, each in enumerate(actors, start=1)
            ]
            yield RayHelpers(actors, ready, meeting, context)
        finally:
            for each in actors:
                ray.kill(each)


class RayHelpers:
    """The other processes of a group; see :class:`~goodteacher.studies.Helpers`."""

    def __init__(self, actors: list[Any], ready: list[Any], meeting: Any, context: Context) -> None:
        self._actors, self._ready, self._meeting, self._context = actors, ready, meeting, context
        self._ends: list[Any] = []

    def first_words(self) -> Iterator[object]:
        """Return what each says first, as soon as it does."""
        return map(_said, self._ready)

    @contextlib.contextmanager
    def joined(self) -> Iterator[Group]:
        """Make this process the first of the group."""
        self._ends = [each.work.remote() for each in self._actors]
        over = threading.Event()
        threading.Thread(target=_watch, args=(self._ends, over), daemon=True).start()
        machine = self._context.machine
        try:
            with joined(
                self._meeting,
                rank=0,
                size=machine.teacher_workers,
                device=machine.device,
                address=_address_here(),
            ) as group:
                yield group
        finally:
            over.set()

    def last_words(self, seconds: float, pause: float) -> list[object]:
        """Return how those failed that did."""
        ended, _ = ray.wait(self._ends, timeout=seconds)
        if not ended:
            return []
        time.sleep(pause)  # others may have lost their connection to that one, too
        ended, _ = ray.wait(self._ends, num_returns=len(self._ends), timeout=0)
        return [_said(each) for each in ended]


def _said(reference: Any) -> object:
    """Return what a process says; None if it has died."""
    with contextlib.suppress(RayError):
        return cast("object", ray.get(reference))
    return None


def _watch(ends: list[Any], over: threading.Event) -> None:
    """End this process if another is lost and nobody notices; the task then runs again."""
    while not over.is_set():
        ended, _ = ray.wait(ends, timeout=1.0)
        if ended and _said(ended[0]) is None:
            if not over.wait(_GRACE):
                os._exit(1)
            return
        if ended:
            return


def _address_here() -> str:
    return str(ray.util.get_node_ip_address())


__all__ = ["Places", "RayRecruiter", "options_for"]
