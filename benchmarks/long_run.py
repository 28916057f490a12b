"""Small studies in one process for hours: do memory, threads, open files, temporary files grow?

    python -m benchmarks.long_run --minutes 120 --out long_run.json     # with the extra onnx

Each study is searched, verified, exported, loaded and removed. After each, this process is asked
what it holds. Caches fill at first, so the first quarter is left out; then a line through the rest
says how much memory a study costs for good. What is open is compared between the first and the last
study after that quarter.
"""

from __future__ import annotations

import argparse
import gc
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
from tests.made import SETTINGS, arrays

import goodteacher
from goodteacher.config import Frozen

WARM_UP = 0.25


class Held(Frozen):
    """What the process holds after a study.

    Attributes:
        seconds: Since the beginning.
        memory: Resident, in MiB.
        threads: Of the system; those of Python are among them.
        files: That are open.
        temporary: Files and folders of goodteacher in the folder for temporary files.
        objects: That Python's garbage collector knows.
    """

    seconds: float
    memory: float
    threads: int
    files: int
    temporary: int
    objects: int


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    held = run(60 * options.minutes, options.threads)
    table = {"summary": summed_up(held), "studies": [each.model_dump() for each in held[::10]]}
    options.out.write_text(json.dumps(table, indent=1) + "\n")
    print(json.dumps(table["summary"], indent=1))


def run(seconds: float, threads: int) -> list[Held]:
    """Make studies for so long; return what was held after each."""
    held: list[Held] = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "circle.npz", **arrays())
        while not held or time.monotonic() - began < seconds:
            study(folder, threads)
            gc.collect()
            held.append(now(time.monotonic() - began))
            print(len(held), held[-1], flush=True)
    return held


def study(folder: Path, threads: int) -> None:
    """Make a study, use it, and remove it."""
    out, shipped = folder / "study", folder / "shipped"
    data = str(folder / "circle.npz")
    made = goodteacher.search(data, out=out, threads=threads, **SETTINGS)  # type: ignore[arg-type]
    goodteacher.verify(out, seeds=3)
    made.export(shipped)
    made.student().predict(np.zeros((4, 6), dtype=np.float32))
    shutil.rmtree(out)
    shutil.rmtree(shipped)


def now(seconds: float) -> Held:
    """Ask the system and Python what this process holds."""
    process = psutil.Process()
    return Held(
        seconds=round(seconds, 1),
        memory=round(process.memory_info().rss / 2**20, 1),
        threads=process.num_threads(),
        files=process.num_fds(),
        temporary=sum(1 for _ in Path(tempfile.gettempdir()).glob("goodteacher-*")),
        objects=len(gc.get_objects()),
    )


def summed_up(held: Sequence[Held]) -> dict[str, object]:
    """Return what studies leave for good.

    Args:
        held: After each study.
    """
    kept = held[int(WARM_UP * len(held)) :]
    numbers = np.arange(len(kept))
    memory = [each.memory for each in kept]
    slope = float(np.polyfit(numbers, memory, 1)[0]) if len(kept) > 1 else 0.0
    growth = {
        name: getattr(kept[-1], name) - getattr(kept[0], name)
        for name in ("threads", "files", "temporary", "objects")
    }
    return {
        "studies": len(held),
        "minutes": round(held[-1].seconds / 60, 1),
        "memory": {"first": memory[0], "last": memory[-1], "most": max(memory)},
        "MiB for each study": round(slope, 4),
        "python threads": threading.active_count(),
        "growth after the first quarter": growth,
    }


if __name__ == "__main__":
    main()
