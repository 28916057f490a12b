"""A response as large as ImageNet's: is it measured, and learned from, within little memory?

A transfer set with planted class similarity is written to a temporary folder: logits of 1.28
million examples and 1,000 classes in float16 (2.6 GB). Then, in processes of their own:

- ``score`` reads and measures it, at T = 1 and at its best temperature. Reported are seconds and
  the most memory that the process owned (``RssAnon``, sampled every 20 ms, less what it owned
  before the file was opened; pages of the file are the system's to drop).
- students train on the response from memory and from the file, in turns on the same stretches of
  one epoch. Reported is the rate from the file as a share of the rate from memory.

::

    python benchmarks/large_response.py --out benchmarks/results/large_response.json
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from goodteacher import read_response, score
from goodteacher.config import Optimization, Recipe, RuntimeConfig
from goodteacher.data import Split
from goodteacher.networks import Examples, build_model
from goodteacher.networks.preparation import Identity
from goodteacher.responses import Logits, in_memory
from goodteacher.training import StackObjective, Trainer, choose_machine, stack_networks
from one_epoch import own_mib

NEIGHBOURS, AT_ONCE = 5, 4096
STUDENTS, FEATURES, BATCH = ("mlp:16", "mlp:256"), 64, 256


def write(folder: Path, examples: int, classes: int) -> None:
    """Write logits and labels; each class has a few neighbours that its examples resemble."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(classes, (examples,), generator=draw)
    near = torch.randint(classes, (classes, NEIGHBOURS), generator=draw)
    file = np.lib.format.open_memmap(
        folder / "logits.npy", mode="w+", dtype=np.float16, shape=(examples, classes)
    )
    for first in range(0, examples, AT_ONCE):
        own = labels[first : first + AT_ONCE, None]
        some = torch.randn(len(own), classes, generator=draw)
        some.scatter_add_(1, near[own[:, 0]], torch.full((len(own), NEIGHBOURS), 4.0))
        some.scatter_add_(1, own, torch.full((len(own), 1), 7.0))
        file[first : first + AT_ONCE] = some.half().numpy()
    file.flush()
    np.save(folder / "labels.npy", labels.numpy())


@contextmanager
def peak_memory(found: dict[str, float]) -> Iterator[None]:
    """Note the most memory that this process owns meanwhile, in MiB above what it owns now."""
    before, ended = own_mib(), threading.Event()
    found["peak_mib"] = 0.0

    def watch() -> None:
        while not ended.wait(0.02):
            found["peak_mib"] = max(found["peak_mib"], own_mib() - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def measure_score(folder: Path) -> dict[str, Any]:
    """Score the response; return memory, seconds and what was found."""
    found: dict[str, Any] = {}
    started = time.perf_counter()
    with peak_memory(found):
        scored = score(folder / "logits.npy", labels=folder / "labels.npy", temperatures=(1.0,))
    found["seconds"] = time.perf_counter() - started
    found["cpu_seconds"] = time.process_time()
    best = scored.optimal_temperature
    at_best = next(m for m in scored.measurements if m.temperature == best)
    kept = ("temperature", "accuracy", "nll", "ace", "similarity", "class_part", "instance_part")
    return {**found, "at_best": {name: getattr(at_best, name) for name in kept}}


def measure_training(folder: Path, *, repeats: int, steps: int) -> dict[str, Any]:
    """Train students from memory and from the file in turns; return rates and their ratios."""
    response = read_response(folder / "logits.npy")
    labels = torch.from_numpy(np.load(folder / "labels.npy"))
    features = torch.randn(len(labels), FEATURES, generator=torch.Generator().manual_seed(1))
    ways = {"memory": in_memory(response.logits), "file": response.logits}
    found: dict[str, Any] = {}
    for student in STUDENTS:
        trainers = {way: trainer(student, features, labels, rows) for way, rows in ways.items()}
        for each in trainers.values():
            each.run_until(steps)
        rates: dict[str, list[float]] = {way: [] for way in ways}
        for turn in range(1, repeats + 1):
            losses = set()
            for way, each in trainers.items():
                segment = each.run_until((turn + 1) * steps)
                rates[way].append(steps * BATCH / segment.seconds)
                losses.add(float(segment.mean_loss))
            if len(losses) > 1:
                raise SystemExit(f"the losses differ: {losses}")
        shares = [a / b for a, b in zip(rates["file"], rates["memory"], strict=True)]
        named = {"file as a share of memory": shares} | {f"examples/s, {w}": rates[w] for w in ways}
        found[student] = {name: spread(values) for name, values in named.items()}
    return {"n": repeats, "steps": steps, "batch_size": BATCH, **found}


def trainer(student: str, features: torch.Tensor, labels: torch.Tensor, rows: Logits) -> Trainer:
    """Return the trainer of a student; a tensor is held in memory, other rows are read."""
    machine = choose_machine(RuntimeConfig())
    examples = Examples(Split.from_arrays(features, labels), Identity(), device=machine.device)
    network = build_model(student, num_classes=rows.shape[1], inputs=(FEATURES,), seed=0)
    room = math.inf if isinstance(rows, torch.Tensor) else 0.0
    objective = StackObjective(
        [[rows]],
        [0],
        [Recipe(temperature=4.0, alpha=0.9)],
        examples,
        device=machine.device,
        room=room,
    )
    return Trainer(
        stack_networks([network], example_input=examples.inputs(torch.arange(2))),
        objective,
        examples,
        plan=Optimization(optimizer="adam", learning_rate=1e-3, batch_size=BATCH),
        total_steps=10**6,
        order_seed=0,
        machine=machine,
    )


def spread(values: list[float]) -> dict[str, float]:
    """Return the median with the lowest and the highest."""
    return {"median": median(values), "low": min(values), "high": max(values)}


def in_own_process(folder: Path, what: str, *options: str) -> dict[str, Any]:
    """Measure in a fresh process."""
    command = [sys.executable, __file__, "--folder", str(folder), "--what", what, *options]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(json.loads(output))


def main() -> None:
    """Write the response, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=1_281_167)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--steps", type=int, default=100, help="of each stretch")
    parser.add_argument("--folder", type=Path, help="where the response is (for its own use)")
    parser.add_argument("--what", choices=("score", "training"))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.what == "score":
        print(json.dumps(measure_score(args.folder)))
        return
    if args.what == "training":
        found = measure_training(args.folder, repeats=args.repeats, steps=args.steps)
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, args.examples, args.classes)
        size = (folder / "logits.npy").stat().st_size
        found = {
            "examples": args.examples,
            "classes": args.classes,
            "file_gb": size / 1e9,
            "threads": torch.get_num_threads(),
            "score": in_own_process(folder, "score"),
            "training": in_own_process(
                folder, "training", f"--repeats={args.repeats}", f"--steps={args.steps}"
            ),
        }
    text = json.dumps(found, indent=1)
    print(text)
    if args.out:
        args.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
