"""Give every reader and every command damaged and absurd inputs, and count what should not happen.

    python -m benchmarks.fuzz --seconds 120 --out fuzz.json          # the short form
    python -m benchmarks.fuzz --inputs 1000000 --out fuzz.json       # goes on where it stopped
    python -m benchmarks.fuzz --only 12345                           # one input again

An input is made of the seed and its number. It may end with an error of `goodteacher.errors`, which
is what a user sees. Counted are tracebacks (any other exception), hangs (no end within 10 s) and
inputs that ask for more memory than 2 GiB beside what the process has. Files may take 0.25 GiB.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import fuzz_inputs, fuzz_options
from goodteacher.data.bounds import at_most
from goodteacher.errors import GoodteacherError

HANG = 10
"""Seconds that an input may take."""
MEMORY = 2 * 2**30
"""Bytes that an input may ask for beside what the process has."""
RENEWED = 2000
"""Inputs after which a worker is renewed: threads that ended keep parts of its address space."""
ALLOWED_GIB = 0.25
"""What files may take: the setting max_memory_gib."""


class Hang(BaseException):
    """An input took too long; no handler of exceptions may hold it up."""


def _ring(*_: object) -> None:
    raise Hang


def recorded_run(folder: Path) -> Path:
    """Record a run of one epoch on eight examples of three classes, and return its folder."""
    from goodteacher import Recorder
    from goodteacher.data import Dataset, Split

    def split(rows: int) -> Split:
        labels = torch.arange(rows) % 3
        return Split.from_arrays(torch.eye(3)[labels] + 0.1, labels)

    data = Dataset("tiny", split(30), split(9), ("a", "b", "c"))
    weights = torch.eye(3)
    recorder = Recorder(folder / "run", data, selection_fraction=0.4)
    recorder.record(lambda inputs: inputs @ weights, epoch=1)
    return folder / "run"


def one(number: int, seed: int, kinds: dict[str, fuzz_inputs.Kind], folder: Path) -> str:
    """Give one input to who reads it; return its kind.

    Raises:
        Exception: What it ended with.
    """
    rng = random.Random(f"{seed}:{number}")
    np.random.seed(number % 2**32)
    kind = rng.choice([*kinds, "settings", "settings", "command"])
    _current[0] = kind
    with warnings.catch_warnings(), at_most(ALLOWED_GIB):
        warnings.simplefilter("ignore")
        if kind == "settings":
            fuzz_options.settings(rng)
        elif kind == "command":
            folder.mkdir(exist_ok=True)
            fuzz_options.command(folder, rng)
        else:
            fuzz_inputs.made(kinds[kind], folder, rng)
            kinds[kind].read(folder)
    return kind


_current = [""]


def tried(number: int, seed: int, kinds: dict[str, fuzz_inputs.Kind], folder: Path) -> str | None:
    """Try one input; return what it must not end with, by its kind and place, or None."""
    signal.setitimer(signal.ITIMER_REAL, HANG)
    try:
        one(number, seed, kinds, folder)
    except GoodteacherError:
        return None
    except Hang:
        return f"hang: {_current[0]}"
    except MemoryError as error:
        return f"memory: {_current[0]}: {_place(error)}"
    except BaseException as error:
        return f"traceback: {_current[0]}: {type(error).__name__} at {_place(error)}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return None


def _place(error: BaseException) -> str:
    """Return the innermost line of the package that a traceback goes through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "goodteacher" in frame.filename]
    frame = own[-1] if own else frames[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def work(worker: int, workers: int, seed: int, kinds: Any, shared: Any, queue: Any) -> None:
    """Try inputs from the worker's place on, and report what they end with."""
    signal.signal(signal.SIGALRM, _ring)
    torch.set_num_threads(1)
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    os.chdir(folder)
    for _ in range(RENEWED):
        number = shared[2 * worker]
        shared[2 * worker + 1] = int(time.time())
        found = tried(int(number), seed, kinds, folder / "input")
        shared[2 * worker] = number + workers
        queue.put((_current[0], int(number), found))


class Fuzzing:
    """Workers that try inputs, and the account of what they ended with."""

    def __init__(self, account: dict[str, Any], workers: int, kinds: Any) -> None:
        self.account, self.workers, self.kinds = account, workers, kinds
        context = multiprocessing.get_context("fork")
        first = account["inputs"]
        self.shared = context.Array("q", [x for w in range(workers) for x in (first + w, 0)])
        self.queue, self.context = context.SimpleQueue(), context
        self.processes = [self._start(worker) for worker in range(workers)]

    def _start(self, worker: int) -> Any:
        given = (worker, self.workers, self.account["seed"], self.kinds, self.shared, self.queue)
        process = self.context.Process(target=work, args=given, daemon=True)
        process.start()
        return process

    def run(self, *, inputs: int, until: float, out: Path | None) -> None:
        """Go on until so many inputs were tried or the time has come; keep the account."""
        saved = begun = time.time()
        before = self.account["seconds"]
        while self.account["inputs"] < inputs and time.time() < until:
            while not self.queue.empty():
                self._note(*self.queue.get())
            self._watch()
            self.account["seconds"] = round(before + time.time() - begun)
            if out is not None and time.time() > saved + 20:
                saved = time.time()
                out.write_text(json.dumps(self.account, indent=1) + "\n")
            time.sleep(0.05)
        for process in self.processes:
            process.kill()
        if out is not None:
            out.write_text(json.dumps(self.account, indent=1) + "\n")

    def _note(self, kind: str, number: int, found: str | None) -> None:
        self.account["inputs"] += 1
        self.account["kinds"][kind] = self.account["kinds"].get(kind, 0) + 1
        if found is None:
            return
        self.account[_COUNTED[found.partition(":")[0]]] += 1
        seen = self.account["found"].setdefault(found, {"times": 0, "first": number})
        seen["times"] += 1

    def _watch(self) -> None:
        """Put another in the place of a worker that ended or hangs where no signal reaches it."""
        for worker, process in enumerate(self.processes):
            number, since = self.shared[2 * worker : 2 * worker + 2]
            hangs = since and time.time() > since + 3 * HANG
            if process.is_alive() and not hangs:
                continue
            process.kill()
            process.join()
            if process.exitcode == 0:
                self.processes[worker] = self._start(worker)
                continue
            what = "hang: killed" if hangs else f"traceback: process ended {process.exitcode}"
            self._note("?", number, what)
            self.shared[2 * worker], self.shared[2 * worker + 1] = number + self.workers, 0
            self.processes[worker] = self._start(worker)


_COUNTED = {"traceback": "tracebacks", "hang": "hangs", "memory": "over_memory"}


def new_account(seed: int) -> dict[str, Any]:
    """Return an account in which nothing has been tried."""
    counted: dict[str, Any] = dict.fromkeys(["inputs", *_COUNTED.values(), "seconds"], 0)
    return {"seed": seed, **counted, "kinds": dict(Counter()), "found": {}}


def main() -> int:
    """Fuzz, and say what was found; the exit code is 1 where anything was."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--inputs", type=float, default=float("inf"), help="in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, help="the account; one that exists goes on")
    parser.add_argument("--only", type=int, help="one input, in this process")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kinds = fuzz_inputs.kinds(recorded_run(Path(folder)))
        if given.only is not None:
            print(one(given.only, given.seed, kinds, Path(folder) / "input"))
            return 0
        going_on = given.out is not None and given.out.exists()
        account = json.loads(given.out.read_text()) if going_on else new_account(given.seed)
        fuzzing = Fuzzing(account, given.workers, kinds)
        fuzzing.run(inputs=given.inputs, until=time.time() + given.seconds, out=given.out)
    print(json.dumps(account, indent=1))
    return int(any(account[name] for name in _COUNTED.values()))


if __name__ == "__main__":
    raise SystemExit(main())
