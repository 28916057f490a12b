"""How the cores are divided: so many processes, with so many threads each.

Two small trainings beside one another, with a thread each, take about as long as one of them; one
training with two threads often takes longer than with one. For large networks it is the other way
round, and a few long tasks keep few processes busy. So a study times a few steps of its networks
first (`trials`), and what it will have to do (`expected`) then says which division takes least.

The number of threads changes the last bits of sums, so it is kept in the study, for each machine.
The number of processes changes nothing, and is chosen again whenever the study goes on.
"""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from goodteacher.config import Frozen, RuntimeConfig, digest_of
from goodteacher.engines.expected import Job, Jobs, Kind, expected_stages, steps_by_kind
from goodteacher.engines.trials import StepTrial, measure
from goodteacher.studies import Context, described_machine
from goodteacher.training import free_memory, may_start_processes, threads_are_named

START = 3.0
"""Seconds until processes work: they import PyTorch, and read the data (1.5 to 3 on two cores)."""

CROWDED = 1.1
"""How much longer a task takes where all cores are busy: they share memory and caches (two searches
beside one another took 1.09 times as long as one of them)."""

_BETTER = 0.95
"""What more processes or threads must bring the time down to, to be taken: they cost memory."""

_MEMORY = 2**30
"""Bytes of free memory for each process."""

_FEW = 2000
"""Steps of a study up to which nothing is measured: building the networks would take too long."""

_MINOR = 100
"""A kind of step is tried if a trial of three such steps, one of them with one thread, is at most
one in so many of its steps."""


@dataclass(frozen=True)
class Division:
    """Processes and their threads.

    Attributes:
        workers: Processes that work at the same time.
        threads: CPU threads of each.
    """

    workers: int
    threads: int

    @property
    def settings(self) -> dict[str, int]:
        """The same as settings of a study."""
        return {"workers": self.workers, "threads": self.threads}

    def __str__(self) -> str:
        workers = "1 process" if self.workers == 1 else f"{self.workers} processes"
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{workers} with {threads}{' each' if self.workers > 1 else ''}"


@dataclass(frozen=True)
class Bounds:
    """What may be chosen.

    Attributes:
        cores: Cores of which this process may use all.
        threads: Threads of one process at most.
        fewest: Processes at least.
        most: Processes at most.
    """

    cores: int
    threads: int
    fewest: int = 1
    most: int = 1

    def divisions(self, *, threads: int | None = None) -> Iterator[Division]:
        """Yield what may be chosen, fewer processes and threads first.

        Args:
            threads: Of each process, where that is settled.

        Example:
            >>> for division in Bounds(cores=2, threads=2, most=2).divisions():
            ...     print(division)
            1 process with 1 thread
            1 process with 2 threads
            2 processes with 1 thread each
        """
        for workers in range(self.fewest, max(self.fewest, self.most) + 1):
            share = max(1, min(self.threads, self.cores // workers))
            settled = {1, share} if threads is None else {threads}
            for count in sorted(settled):
                if workers == self.fewest or workers * count <= self.cores:
                    yield Division(workers, count)


class ThreadChoice(Frozen):
    """How many threads each process computes with, and what was measured for that."""

    threads: int
    trials: tuple[StepTrial, ...]

    def __str__(self) -> str:
        """Say what all threads gain."""
        if self.trials[0].threads == 1:
            return "PyTorch uses 1 thread"
        told = []
        for role in ("teacher", "student"):
            own = [trial for trial in self.trials if trial.role == role]
            if own:
                gains = [f"{trial.one / trial.all:.1f}" for trial in (own[0], own[-1])]
                shown = gains[0] if gains[0] == gains[1] else f"{min(gains)} to {max(gains)}"
                told.append(f"a {role}'s step {shown} times as fast")
        return f"{self.trials[0].threads} threads make {' and '.join(told)} as 1 thread"


def best_division(
    stages: Sequence[Jobs],
    trials: Sequence[StepTrial],
    bounds: Bounds,
    *,
    threads: int | None = None,
) -> Division:
    """Return the division with which the work takes least; nearly the same time takes fewer.

    Of a stage, the time is that of its longest task, or that of all divided by the processes. The
    rule is *ours*.

    Args:
        stages: What there is to do.
        trials: How long steps take; at least one.
        bounds: What may be chosen.
        threads: Of each process, where that is settled.
    """
    timed = [
        (predicted(stages, trials, division), division)
        for division in bounds.divisions(threads=threads)
    ]
    least = min(seconds for seconds, _ in timed)
    return next(division for seconds, division in timed if _BETTER * seconds <= least)


def predicted(stages: Sequence[Jobs], trials: Sequence[StepTrial], division: Division) -> float:
    """Return about how many seconds the work takes.

    Args:
        stages: What there is to do.
        trials: How long steps take; at least one.
        division: Processes and threads.
    """
    total = START if division.workers > 1 else 0.0
    for stage in stages:
        tasks = [_seconds(job, trials, division.threads) for job in stage]
        busy = min(division.workers, len(tasks))
        total += max(max(tasks), sum(tasks) / busy) * (CROWDED if busy > 1 else 1.0)
    return total


def _seconds(job: Job, trials: Sequence[StepTrial], threads: int) -> float:
    own = [trial for trial in trials if trial.role == job.kind.role]
    if not own:
        return 0.0
    size = job.kind.plan.batch_size
    nearest = min(own, key=lambda trial: abs(math.log(trial.batch_size / size)))
    return job.steps * nearest.seconds(threads) * max(1.0, job.networks / nearest.networks)


def chosen_division(
    config: RuntimeConfig, context: Context, *, cores: Callable[[], int]
) -> Division | None:
    """Return how the cores are divided, as the study knows it or as is measured now.

    Args:
        config: The settings; neither threads nor processes are named.
        context: The study.
        cores: Counts the cores that this process may use.

    Returns:
        The division; None where nothing is to be chosen, or the work is too little for measuring.
    """
    machine = context.machine
    if machine.device.type != "cpu" or machine.compiles or threads_are_named():
        return None
    stages = expected_stages(config, context)
    if sum(steps_by_kind(stages).values()) < _FEW:
        return None
    bounds = _bounds(config, stages, cores())
    if len(list(bounds.divisions())) == 1:
        return None
    store, file = context.store, _file(context, bounds)
    if store.exists(file):
        known = store.read_json(file, ThreadChoice)
        return best_division(stages, known.trials, bounds, threads=known.threads)
    kinds = worth_measuring(stages, threads=bounds.threads)
    trials = measure(kinds, context, config, threads=bounds.threads) if kinds else ()
    if not trials:
        return None
    division = best_division(stages, trials, bounds)
    choice = ThreadChoice(threads=division.threads, trials=trials)
    store.write_json(file, choice)
    store.log("threads_chosen", workers=division.workers, **choice.model_dump(mode="json"))
    context.note(f"{division}: {choice}")
    return division


def worth_measuring(stages: Sequence[Jobs], *, threads: int) -> dict[Kind, float]:
    """Return the kinds of step that are worth a trial, each with the number of such steps.

    Of teachers, only those of the smallest batches and of the largest: the first take most of the
    time, of the last threads make most.

    Args:
        stages: What there is to do.
        threads: All threads.
    """
    steps, fewest = steps_by_kind(stages), _MINOR * (threads + 2)
    large = {kind: count for kind, count in steps.items() if count >= fewest}
    teachers = sorted(
        (kind for kind in large if kind.role == "teacher"), key=lambda kind: kind.plan.batch_size
    )
    left_out = set(teachers[1:-1])
    return {kind: count for kind, count in large.items() if kind not in left_out}


def _bounds(config: RuntimeConfig, stages: Sequence[Jobs], cores: int) -> Bounds:
    """Return what may be chosen under the settings, in this process."""
    threads = min(cores, torch.get_num_threads())
    beside = max((len(stage) for stage in stages), default=1)
    held = int(free_memory(torch.device("cpu")) // _MEMORY)
    most = max(1, min(cores, beside, held))
    if config.engine == "processes":
        return Bounds(cores, threads, fewest=min(2, most), most=most)
    # A process that another one has begun for its work leaves it to that how many there are.
    alone = multiprocessing.parent_process() is None
    several = config.engine == "auto" and may_start_processes() and alone
    return Bounds(cores, threads, most=most if several else 1)


def _file(context: Context, bounds: Bounds) -> str:
    """Return where the choice is kept that was made on this machine."""
    here = [described_machine(str(context.machine)), bounds.cores, bounds.threads]
    return f"threads-{digest_of(here)[:8]}.json"
