"""What the engine of Ray costs for each task, beside the engine of processes, and in memory.

Tasks sleep for a stated time, so that all beyond it is the engines' own. With `--compute` they
multiply matrices instead, with one thread, for about as long on a machine that does nothing else:
then what two workers gain over this process alone is told too. The ways take turns within one run:
on a busy machine compare them with one another, not with another run. First tasks for each worker,
which imports PyTorch for them, come before the clock starts.

    python benchmarks/ray_overhead.py --tasks 20 --seconds 1 --rounds 5
    python benchmarks/ray_overhead.py --tasks 8 --seconds 5 --rounds 3 --compute
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import psutil
import torch

from goodteacher.config import DistillConfig, RuntimeConfig, parse
from goodteacher.data import load_dataset, prepare
from goodteacher.engines import engine_of
from goodteacher.networks import Preparations
from goodteacher.studies import Context, Silent, Store
from goodteacher.training import Machine

WORKERS = 2


@dataclass(frozen=True)
class Sleeping:
    """A task that sleeps, or multiplies matrices."""

    runner: ClassVar[str] = f"{__name__}:Sleeper"
    number: int
    seconds: float
    products: int = 0

    @property
    def key(self) -> str:
        """Its name."""
        return f"sleeping-{self.number}"

    @property
    def work(self) -> float:
        """All are alike."""
        return 1.0


class Sleeper:
    """Does it, and says in which process."""

    def done(self, task: Sleeping, store: Store) -> bool:
        """Say whether it has slept."""
        return store.exists(f"{task.key}.txt")

    def run(self, task: Sleeping, context: Context) -> None:
        """Sleep, or compute."""
        if task.products:
            multiply(task.products)
        else:
            time.sleep(task.seconds)
        context.progress.advance(task.work)
        context.store.write_text(f"{task.key}.txt", str(os.getpid()))


def multiply(products: int) -> None:
    """Multiply matrices that fit into a core's own cache."""
    matrix = torch.full((256, 256), 1 / 256)
    for _ in range(products):
        matrix = matrix @ matrix


def products_in(seconds: float) -> int:
    """Return how many products this process makes in a time, with one thread."""
    torch.set_num_threads(1)
    multiply(100)
    began = time.perf_counter()
    multiply(2000)
    return round(2000 * seconds / (time.perf_counter() - began))


def context_of(folder: Path) -> Context:
    store = Store.create(folder, parse(DistillConfig, data="digits", student="mlp:3"))
    data = prepare(load_dataset("digits"))
    return Context(data, Preparations(data), store, Machine(torch.device("cpu")), Silent())


def measured(way: dict[str, object], tasks: int, seconds: float, products: int) -> dict[str, float]:
    """Return the seconds of some tasks with one engine, and the memory of its processes."""
    with tempfile.TemporaryDirectory() as place:
        context = context_of(Path(place) / "study")
        engine = engine_of(parse(RuntimeConfig, threads=1, **way), context)
        engine.run("first", [Sleeping(-number, 0.5) for number in (1, 2, 3, 4)])
        sleeping = [Sleeping(number, seconds, products) for number in range(1, tasks + 1)]
        began = time.perf_counter()
        engine.run("sleeping", sleeping)
        took = time.perf_counter() - began
        workers = {int(path.read_text()) for path in context.store.root.glob("sleeping-*.txt")}
    return {"seconds": took, **memory(workers)}


def memory(workers: set[int]) -> dict[str, float]:
    """Return MiB that processes have for themselves (USS): this one, a worker, others."""
    here = psutil.Process()
    own = {each.pid: uss(each) for each in here.children(recursive=True)}
    others = [size for pid, size in own.items() if pid not in workers]
    of_worker = [own[pid] for pid in workers & own.keys()]
    return {
        "driver_mib": uss(here),
        "worker_mib": statistics.mean(of_worker) if of_worker else 0.0,
        "others_mib": sum(others),
    }


def uss(process: psutil.Process) -> float:
    try:
        return process.memory_full_info().uss / 2**20
    except psutil.Error:
        return 0.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compute", action="store_true", help="compute instead of sleeping")
    options = parser.parse_args()
    ways: dict[str, dict[str, object]] = {
        "this process": {"engine": "local"},
        "processes": {"engine": "processes", "workers": WORKERS},
        "ray": {"engine": "ray", "workers": WORKERS},
    }
    if not options.compute:
        del ways["this process"]
    products = products_in(options.seconds) if options.compute else 0
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, way in ways.items():
            found[name].append(measured(way, options.tasks, options.seconds, products))
    print(json.dumps({**told(found, options), **found}, indent=1))


def told(
    found: dict[str, list[dict[str, float]]], options: argparse.Namespace
) -> dict[str, dict[str, list[float]]]:
    """Return how much faster several workers are than this process, or what each task costs."""
    if options.compute:
        alone = [each["seconds"] for each in found.pop("this process")]
        gain = {
            name: [round(one / each["seconds"], 3) for one, each in zip(alone, rounds, strict=True)]
            for name, rounds in found.items()
        }
        return {"times_as_fast_as_this_process": gain}
    ideal = options.tasks * options.seconds / WORKERS
    beyond = {
        name: [round((each["seconds"] - ideal) * WORKERS / options.tasks, 4) for each in rounds]
        for name, rounds in found.items()
    }
    return {"seconds_of_overhead_for_each_task": beyond}


if __name__ == "__main__":
    import ray_overhead  # so that tasks are known by a name that workers find

    ray_overhead.main()
