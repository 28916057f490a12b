"""Images that are decoded on demand: how fast beside the decoder alone, and does memory stay flat?

Speed: JPEG files of 224x224 pixels, in the order of an epoch, are decoded by a plain loop over
Pillow (in as many processes, and in as many threads, as decode on demand), into batches or thrown
away one by one; and read on demand, in parts as large as training asks for. All are set up as the
command line does. Rounds take turns; reported are medians of images and of CPU seconds, and the
quartiles of each way's speed beside that of plain loops in processes into batches, of which that by
CPU seconds hardly depends on what else the machine does.

Memory: what a process owns at most (``RssAnon``) while it loads images and trains on all of them,
for a number of images and for four times as many, in processes of their own.

    python benchmarks/images_on_demand.py --images 4000 --out images_on_demand.json
    python benchmarks/images_on_demand.py --images 500 --only speed --photos
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from goodteacher.data import load_dataset
from goodteacher.networks import Examples
from goodteacher.networks.preparation import Identity
from goodteacher.training.loop import example_order
from goodteacher.training.machine import tuned_cpu
from one_epoch import one_epoch, own_mib

SIDE, CLASSES, BATCH, LITTLE = 224, 4, 64, 1e-6
HELD_OUT = 40
BASE = "processes, into batches"


def write(folder: Path, count: int, kind: str, *, photos: bool = False) -> None:
    """Write random smooth pictures: files in class folders, or shards of Parquet.

    Photos are larger and noisy, as a camera's.
    """
    size = (500, 375) if photos else (SIDE, SIDE)
    draw = np.random.default_rng(0)
    for split, number in (("train", count), ("test", HELD_OUT)):
        paths = [folder / split / f"c{n % CLASSES}" / f"{n:06d}.jpg" for n in range(number)]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            coarse = Image.fromarray(draw.integers(0, 256, (28, 28, 3), dtype=np.uint8))
            picture = coarse.resize(size, Image.Resampling.BICUBIC)
            if photos:
                noisy = np.asarray(picture) + draw.normal(0, 12, (*size[::-1], 3))
                picture = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
            picture.save(path, quality=90)
        if kind == "parquet":
            _write_shards(folder, split, paths)


def _write_shards(folder: Path, split: str, paths: list[Path]) -> None:
    shards = [paths[first : first + 1000] for first in range(0, len(paths), 1000)]
    for number, files in enumerate(shards):
        images = [{"bytes": file.read_bytes(), "path": file.name} for file in files]
        table = pa.table({"image": images, "label": [file.parent.name for file in files]})
        name = f"{split}-{number:05d}-of-{len(shards):05d}.parquet"
        pq.write_table(table, folder / name, row_group_size=100)
        for file in files:
            file.unlink()


def into_batches(paths: list[str]) -> None:
    """Decode files one after another into batches, as a training loop needs them."""
    for first in range(0, len(paths), BATCH):
        batch = np.empty((BATCH, 3, SIDE, SIDE), dtype=np.uint8)
        for pixels, path in zip(batch, paths[first : first + BATCH], strict=False):
            pixels[:] = _decoded(path)


def thrown_away(paths: list[str]) -> None:
    """Decode files one after another, each over the one before."""
    pixels = np.empty((3, SIDE, SIDE), dtype=np.uint8)
    for path in paths:
        pixels[:] = _decoded(path)


def _decoded(path: str) -> np.ndarray:
    with Image.open(path) as image:
        sized = image.size == (SIDE, SIDE)
        fitting = image if sized else image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        return np.asarray(fitting).transpose(2, 0, 1)


def measure_speed(folder: Path, rounds: int, threads: int) -> dict[str, object]:
    """Return images a second of each way, and of the ratio to plain loops in processes."""
    torch.set_num_threads(threads)
    split = load_dataset(folder, images_gib=LITTLE, resize=(SIDE, SIDE)).train
    files = [str(split.stored.encoded[row]) for row in range(len(split))]
    order = example_order(len(split), 0, 0)
    shares = [[files[row] for row in order[begin::threads].tolist()] for begin in range(threads)]
    examples = Examples(split, Identity())
    parts = order.split(max(1, examples.at_once(8192) // BATCH) * BATCH)
    context = multiprocessing.get_context("spawn")
    with (
        tuned_cpu(threads=threads),
        ProcessPoolExecutor(threads, context, _tune) as processes,
        ThreadPoolExecutor(threads) as pool,
    ):
        ways: dict[str, Callable[[], object]] = {
            BASE: lambda: list(processes.map(into_batches, shares)),
            "processes, thrown away": lambda: list(processes.map(thrown_away, shares)),
            "threads, into batches": lambda: list(pool.map(into_batches, shares)),
            "on demand": lambda: [len(rows) for rows in split.stored.reads(parts)],
        }
        return _in_turns(ways, len(split), rounds)


def _tune() -> None:
    """Set a process up as the command line does, for as long as it lives."""
    tuned_cpu(threads=1).__enter__()


def cpu_seconds() -> float:
    """Return the CPU time of this process and of its children so far."""
    children = psutil.Process().children()
    return time.process_time() + sum(sum(child.cpu_times()[:2]) for child in children)


def _in_turns(ways: dict[str, Callable[[], object]], count: int, rounds: int) -> dict[str, object]:
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    costs: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        names = list(ways) if turn % 2 else list(ways)[::-1]
        for name in names:
            started, used = time.perf_counter(), cpu_seconds()
            ways[name]()
            if turn:  # the first warms processes and the file cache up
                speeds[name].append(count / (time.perf_counter() - started))
                costs[name].append((cpu_seconds() - used) / count)
    return {
        name: {
            "images_per_second": round(statistics.median(speeds[name])),
            "cpu_ms": round(1000 * statistics.median(costs[name]), 3),
            "speed_ratio": _ratios(speeds[name], speeds[BASE]),
            "cpu_speed_ratio": _ratios(costs[BASE], costs[name]),
        }
        for name in ways
    }


def _ratios(ours: list[float], theirs: list[float]) -> list[float]:
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    return [round(quartile, 3) for quartile in statistics.quantiles(ratios, n=4)]


def measure_memory(folder: Path, gib: float | None, threads: int) -> dict[str, float]:
    """Load, fit a preparation and train one epoch; return the memory that this takes."""
    torch.set_num_threads(threads)
    before = own_mib()
    split = load_dataset(folder, images_gib=gib).train
    loaded = own_mib() - before
    epoch = one_epoch(split, "mlp:2", num_classes=CLASSES, batch_size=BATCH, every=5)
    peak = max(own_mib() for _ in epoch)
    return {"loaded_mib": loaded, "peak_mib": peak - before}


def all_memory(kinds: list[str], count: int, threads: int) -> list[dict[str, object]]:
    """Measure memory of kinds of sources, on demand and in memory, in other processes."""
    found: list[dict[str, object]] = []
    for kind in kinds:
        for number in (count, 4 * count):
            with tempfile.TemporaryDirectory() as folder:
                write(Path(folder), number, kind)
                for way in ("on demand", "in memory"):
                    command = [sys.executable, __file__, "--folder", folder, "--way", way]
                    command += ["--threads", str(threads)]
                    output = subprocess.run(command, check=True, capture_output=True, text=True)
                    row = {"kind": kind, "images": number, "way": way}
                    found.append(row | json.loads(output.stdout))
                    print(found[-1], flush=True)
    return found


def main() -> None:
    """Measure speed and memory, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--kinds", nargs="+", default=["folder", "parquet"])
    parser.add_argument("--folder", type=Path, help="where images are (for its own use)")
    parser.add_argument("--way", choices=("on demand", "in memory"))
    parser.add_argument("--photos", action="store_true", help="of 500x375, for the speed")
    parser.add_argument("--only", choices=("speed", "memory"))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.way:
        gib = LITTLE if args.way == "on demand" else None
        print(json.dumps(measure_memory(args.folder, gib, args.threads)))
        return
    found: dict[str, object] = {"images": args.images, "threads": args.threads, "n": args.rounds}
    if args.only != "memory":
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), args.images, "folder", photos=args.photos)
            found["speed"] = measure_speed(Path(folder), args.rounds, args.threads)
    if args.only != "speed":
        found["memory"] = all_memory(args.kinds, args.images, args.threads)
    text = json.dumps(found, indent=1)
    print(text)
    if args.out:
        args.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
