"""Give every reader and every command damaged and absurd inputs, and count what should not happen.

    python -m benchmarks.fuzz --inputs 6000 --seed 1                 # the short form, as in CI
    python -m benchmarks.fuzz --inputs 1000000 --out fuzz.json       # goes on where it stopped
    python -m benchmarks.fuzz --seed 1 --only 12345 --keep FOLDER    # one input again

An input is made of the seed and its number. It may end with an error of `goodteacher.errors`,
which is what a user sees. Counted are tracebacks (any other exception, and the end of the process),
hangs (10 s of CPU time, or a minute of waiting) and inputs that ask for more memory than 2 GiB
beside what the process has, also where a reader calls that a damaged file. Files may take 0.25 GiB.
With `--out`, inputs that something was found with are kept beside the account: those of studies and
runs contain times, so that one made again is not the same to the byte.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import fuzz_inputs, fuzz_models, fuzz_options
from goodteacher.data.bounds import at_most
from goodteacher.errors import GoodteacherError

HANG = 10
"""Seconds of CPU time that an input may take: time that others use on this machine is not its."""
WAIT = 60
"""Seconds that an input may take, whatever it does, as where it waits for a pipe."""
MEMORY = 2 * 2**30
"""Bytes that an input may ask for beside what the process has."""
RENEWED = 2000
"""Inputs after which a worker is renewed: what libraries keep must not be taken for an input's."""
ALLOWED_GIB = 0.25
"""What files may take: the setting max_memory_gib."""
IN_MEMORY = Path("/dev/shm")
"""Where inputs are written if it is there: on a disk, removing them takes most of the time."""


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


def kind_of(number: int, seed: int, kinds: dict[str, fuzz_inputs.Kind]) -> tuple[str, Any]:
    """Return an input's kind, and the random numbers that the input is made of."""
    rng = random.Random(f"{seed}:{number}")
    return rng.choice([*kinds, "settings", "settings", "command"]), rng


def one(number: int, seed: int, kinds: dict[str, fuzz_inputs.Kind], folder: Path) -> str:
    """Give one input to who reads it; return its kind.

    Raises:
        Exception: What it ended with.
    """
    np.random.seed(number % 2**32)
    kind, rng = kind_of(number, seed, kinds)
    with warnings.catch_warnings(), at_most(ALLOWED_GIB):
        warnings.simplefilter("ignore")
        if kind == "settings":
            fuzz_options.settings(rng)
        elif kind == "command":
            fuzz_options.command(folder, rng, kinds)
        else:
            fuzz_inputs.made(kinds[kind], folder, rng)
            kinds[kind].read(folder)
    return kind


def tried(number: int, seed: int, kinds: dict[str, fuzz_inputs.Kind], folder: Path) -> str | None:
    """Try one input; return what it must not end with, by its kind and place, or None."""
    kind, _ = kind_of(number, seed, kinds)
    signal.setitimer(signal.ITIMER_PROF, HANG)
    signal.setitimer(signal.ITIMER_REAL, WAIT)
    try:
        one(number, seed, kinds, folder)
    except GoodteacherError as error:
        beyond = _memory_error_under(error)
        return None if beyond is None else f"memory: {kind}: {_place(beyond)}"
    except Hang as error:
        return f"hang: {kind}: {_place(error)}"
    except MemoryError as error:
        return f"memory: {kind}: {_place(error)}"
    except BaseException as error:
        return f"traceback: {kind}: {type(error).__name__} at {_place(error)}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
    return None


def _memory_error_under(error: BaseException) -> BaseException | None:
    """Return the MemoryError that a reader turned into a message about the file, if it did."""
    under: BaseException | None = error
    while under is not None and not isinstance(under, MemoryError):
        under = under.__cause__ or under.__context__
    return under


def _place(error: BaseException) -> str:
    """Return the innermost line of the package that a traceback goes through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "goodteacher" in frame.filename]
    frame = own[-1] if own else frames[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def limit_memory() -> None:
    """Let the process ask for so much memory more, and let what goes beyond be a MemoryError.

    Limited is what it can write to, not its address space: of this, each thread reserves 64 MiB,
    and where nothing is left, a new thread of Python waits for ever.
    """
    used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (used + MEMORY, resource.RLIM_INFINITY))


def work(
    worker: int, limit: float, seed: int, kinds: Any, shared: Any, queue: Any, kept: Path | None
) -> None:
    """Try inputs, each the next that nobody has taken, and report what they end with."""
    signal.signal(signal.SIGPROF, _ring)
    signal.signal(signal.SIGALRM, _ring)
    torch.set_num_threads(1)
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123
    limit_memory()
    folder = work_folder(worker)
    folder.mkdir(exist_ok=True)
    os.chdir(folder)
    for _ in range(RENEWED):
        with shared.get_lock():
            number = shared[0]
            if number >= limit:
                return
            shared[0] += 1
            shared[2 * worker + 1], shared[2 * worker + 2] = number, int(time.time())
        before = time.process_time()
        found = tried(int(number), seed, kinds, folder / "input")
        took = time.process_time() - before
        if found is not None:
            keep(worker, int(number), kept)
        queue.put((int(number), found, took))
        shared[2 * worker + 2] = 0


def work_folder(worker: int) -> Path:
    """Return where a worker of this run writes its inputs, in memory where that is possible."""
    place = IN_MEMORY if IN_MEMORY.is_dir() else Path(tempfile.gettempdir())
    return place / f"goodteacher-fuzz-{_RUN}-{worker}"


_RUN = os.getpid()


def keep(worker: int, number: int, kept: Path | None) -> None:
    """Copy the input that a worker is at, so that what it ended with can be looked into."""
    if kept is not None and (work_folder(worker) / "input").exists():
        shutil.copytree(work_folder(worker) / "input", kept / str(number), dirs_exist_ok=True)


class Fuzzing:
    """Workers that try inputs, and the account of what they ended with.

    Args:
        account: What is known so far; the inputs below its ``inputs`` were tried.
        workers: How many processes try inputs.
        kinds: Of inputs.
        limit: The number of the first input that is not tried.
        out: Where the account is written, if anywhere; beside it, inputs that something was found
            with.
    """

    def __init__(
        self,
        account: dict[str, Any],
        workers: int,
        kinds: Any,
        limit: float,
        out: Path | None = None,
    ) -> None:
        self.account, self.kinds, self.limit, self.out = account, kinds, limit, out
        self.kept = None if out is None else out.absolute().with_suffix(".inputs")
        context = multiprocessing.get_context("fork")
        self.shared = context.Array("q", [account["inputs"], *[0] * (2 * workers)])
        self.queue, self.context = context.SimpleQueue(), context
        self.waiting: dict[int, tuple[str | None, float]] = {}
        self.processes = [self._start(worker) for worker in range(workers)]

    def _start(self, worker: int) -> Any:
        given = (worker, self.limit, self.account["seed"], self.kinds)
        shared = (self.shared, self.queue, self.kept)
        process = self.context.Process(target=work, args=(*given, *shared), daemon=True)
        process.start()
        return process

    def run(self, *, until: float) -> None:
        """Go on until all inputs were tried or the time has come; keep the account."""
        out = self.out
        saved = begun = time.time()
        before = self.account["seconds"]
        while self.account["inputs"] < self.limit and time.time() < until:
            self._drain()
            self._watch()
            self.account["seconds"] = round(before + time.time() - begun)
            if out is not None and time.time() > saved + 20:
                saved = time.time()
                out.write_text(json.dumps(self.account, indent=1) + "\n")
            time.sleep(0.05)
        for worker, process in enumerate(self.processes):
            process.kill()
            shutil.rmtree(work_folder(worker), ignore_errors=True)
        if out is not None:
            out.write_text(json.dumps(self.account, indent=1) + "\n")

    def _drain(self) -> None:
        """Take what workers reported; noted in the order of numbers, so that none is left out."""
        while not self.queue.empty():
            number, found, took = self.queue.get()
            self.waiting[number] = found, took
        while (number := self.account["inputs"]) in self.waiting:
            self._note(number, *self.waiting.pop(number))

    def _note(self, number: int, found: str | None, took: float) -> None:
        kind, _ = kind_of(number, self.account["seed"], self.kinds)
        self.account["inputs"] += 1
        noted = self.account["kinds"].setdefault(kind, {"inputs": 0, "cpu_seconds": 0.0})
        noted["inputs"] += 1
        noted["cpu_seconds"] = round(noted["cpu_seconds"] + took, 4)
        if found is None:
            return
        self.account[_COUNTED[found.partition(":")[0]]] += 1
        seen = self.account["found"].setdefault(found, {"times": 0, "first": number})
        seen["times"] += 1

    def _watch(self) -> None:
        """Put another in the place of a worker that ended or hangs where no signal reaches it."""
        for worker, process in enumerate(self.processes):
            number, since = self.shared[2 * worker + 1 : 2 * worker + 3]
            hangs = since and time.time() > since + 2 * WAIT
            if process.is_alive() and not hangs:
                continue
            if process.exitcode == 0 and self.shared[0] >= self.limit:
                continue
            process.kill()
            process.join()
            self._drain()
            if since and number not in self.waiting and number >= self.account["inputs"]:
                kind, _ = kind_of(number, self.account["seed"], self.kinds)
                keep(worker, number, self.kept)
                ended = f"traceback: {kind}: the process ended with {process.exitcode}"
                self.waiting[number] = f"hang: {kind}: killed" if hangs else ended, 0.0
            self.shared[2 * worker + 2] = 0
            self.processes[worker] = self._start(worker)


_COUNTED = {"traceback": "tracebacks", "hang": "hangs", "memory": "over_memory"}


def new_account(seed: int) -> dict[str, Any]:
    """Return an account in which nothing has been tried."""
    counted: dict[str, Any] = dict.fromkeys(["inputs", *_COUNTED.values(), "seconds"], 0)
    return {"seed": seed, **counted, "kinds": {}, "found": {}}


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
    parser.add_argument("--keep", type=Path, help="with --only: where that input is written")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kinds = fuzz_inputs.kinds(recorded_run(Path(folder))) | fuzz_models.kinds(Path(folder))
        if given.only is not None:
            where = (given.keep or Path(folder)).absolute() / "input"
            where.parent.mkdir(parents=True, exist_ok=True)
            print(one(given.only, given.seed, kinds, where))
            return 0
        going_on = given.out is not None and given.out.exists()
        account = json.loads(given.out.read_text()) if going_on else new_account(given.seed)
        fuzzing = Fuzzing(account, given.workers, kinds, given.inputs, given.out)
        fuzzing.run(until=time.time() + given.seconds)
    print(json.dumps(account, indent=1))
    return int(any(account[name] for name in _COUNTED.values()))


if __name__ == "__main__":
    raise SystemExit(main())
