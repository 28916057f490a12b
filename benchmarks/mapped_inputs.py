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
import torch
from torch.nn import functional as F

from goodteacher.config import Optimization
from goodteacher.data import Split
from goodteacher.networks import Examples, build_model, fit_preparation
from goodteacher.training.loop import Trainer
from goodteacher.training.machine import Machine

FEATURES, CLASSES, BATCH = 1024, 10, 256


def own_mib() -> float:
    """Return the memory that this process owns, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1024


def measure(folder: Path, *, mapped: bool) -> dict[str, float]:
    """Fit a preparation and train one epoch; return memory and speed."""
    before = own_mib()
    inputs = np.load(folder / "x.npy", mmap_mode="r" if mapped else None)
    split = Split.from_arrays(inputs, np.load(folder / "y.npy"))
    preparation = fit_preparation("mlp:32", split)
    examples = Examples(split, preparation)
    network = build_model("mlp:32", num_classes=CLASSES, inputs=(FEATURES,), seed=0)

    def cross_entropy(logits, positions, view):
        return F.cross_entropy(logits, examples.labels(positions, num_classes=CLASSES))

    trainer = Trainer(
        network,
        cross_entropy,
        examples,
        plan=Optimization(optimizer="adam", learning_rate=0.001, batch_size=BATCH),
        total_steps=-(-len(split) // BATCH),
        order_seed=0,
        machine=Machine(torch.device("cpu")),
    )
    started = time.perf_counter()
    peak = 0.0
    for step in range(0, trainer.total_steps, 100):
        trainer.run_until(min(step + 100, trainer.total_steps))
        peak = max(peak, own_mib())
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
