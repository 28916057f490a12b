"""Memory of a study whose examples lie in a file: does it stay flat, and what does reading cost?

One epoch of a student over float32 examples, from memory and from a mapped ``.npy`` file, in
processes of their own. Reported are the growth of memory that a process owns (``RssAnon``; pages
of the file are the system's to drop) and examples a second.

    python benchmarks/mapped_inputs.py --gib 2 --out mapped.json
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from goodteacher.data import Split
from one_epoch import one_epoch, own_mib

FEATURES, CLASSES, BATCH = 1024, 10, 256


def measure(folder: Path, *, mapped: bool) -> dict[str, float]:
    """Fit a preparation and train one epoch; return memory and speed."""
    before = own_mib()
    inputs = np.load(folder / "x.npy", mmap_mode="r" if mapped else None)
    split = Split.from_arrays(inputs, np.load(folder / "y.npy"))
    started = time.perf_counter()
    epoch = one_epoch(split, "mlp:32", num_classes=CLASSES, batch_size=BATCH, every=100)
    peak = max(own_mib() for _ in epoch)
    seconds = time.perf_counter() - started
    return {"mib": peak - before, "examples_per_second": len(split) / seconds}


def write(folder: Path, gib: float) -> int:
    """Write a file of examples a few thousand at a time; return their number."""
    count = int(gib * 2**30 / (FEATURES * 4))
    file = np.lib.format.open_memmap(
        folder / "x.npy", mode="w+", dtype=np.float32, shape=(count, FEATURES)
    )
    draw = np.random.default_rng(0)
    for first in range(0, count, 8192):
        last = min(first + 8192, count)
        file[first:last] = draw.standard_normal((last - first, FEATURES), dtype=np.float32)
    file.flush()
    np.save(folder / "y.npy", draw.integers(0, CLASSES, count))
    return count


def main() -> None:
    """Measure both ways and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=2.0, help="size of the file")
    parser.add_argument("--folder", type=Path, help="where the file is (for its own use)")
    parser.add_argument("--way", choices=("memory", "mapped"))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.way:
        print(json.dumps(measure(args.folder, mapped=args.way == "mapped")))
        return
    with tempfile.TemporaryDirectory() as folder:
        found = {"examples": write(Path(folder), args.gib), "gib": args.gib}
        for way in ("memory", "mapped"):
            command = [sys.executable, __file__, "--folder", folder, "--way", way]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found[way] = json.loads(output)
    text = json.dumps(found, indent=1)
    print(text)
    if args.out:
        args.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
