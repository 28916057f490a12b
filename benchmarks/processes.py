"""Whole searches in one process and in several: how much sooner, and are the numbers the same?

Each search is a process of its own, begun by the command line as a user begins it, with one thread
for each worker. The ways take turns. Widths of stacks are measured by the first search of a round
and taken over by the others, so that all compute the same.

    python benchmarks/processes.py digits mnist=shared/mnist --rounds 3 --out processes.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from goodteacher.studies import Store

COMMON = {"transfer-fraction": "0.1"}
SEARCHES: dict[str, dict[str, str]] = {
    "digits": {"teacher": "mlp:256", "student": "mlp:16"},
    "fashion_mnist": {"teacher": "mlp:400", "student": "mlp:32", **COMMON},
    "banking77": {"teacher": "mlp:256", "student": "mlp:32", **COMMON},
}
"""Teacher and student by the name of the data."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", nargs="+", help="NAME, or NAME=PATH")
    parser.add_argument("--workers", type=int, nargs="+", default=[2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = {
        "machine": {"cores": os.cpu_count(), "processor": platform.processor()},
        "searches": {},
    }
    for each in options.data:
        name, _, path = each.partition("=")
        found["searches"][name] = compare(name, path or name, options.workers, options.rounds)
        print(json.dumps({name: found["searches"][name]}, indent=1), flush=True)
        if options.out:
            options.out.write_text(json.dumps(found, indent=1) + "\n")


def compare(name: str, data: str, workers: list[int], rounds: int) -> dict[str, object]:
    """Return seconds of each way, their ratio to one process, and how many students differ."""
    seconds: dict[int, list[float]] = {count: [] for count in (1, *workers)}
    different = 0
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as place:
            folders = {count: Path(place) / str(count) for count in seconds}
            for count, folder in folders.items():
                if count > 1:
                    take_widths(folders[1], folder)
                seconds[count].append(searched(SEARCHES[name], data, folder, count))
            first = students(folders[1])
            different += sum(students(folder) != first for folder in folders.values())
    ratios = {
        count: [other / one for one, other in zip(seconds[1], seconds[count], strict=True)]
        for count in workers
    }
    return {
        "seconds": {str(count): [round(s, 1) for s in found] for count, found in seconds.items()},
        "ratio": {str(count): round(statistics.median(r), 3) for count, r in ratios.items()},
        "searches_with_other_numbers": different,
    }


def take_widths(source: Path, target: Path) -> None:
    """Begin a study with the widths of another."""
    (target / "students").mkdir(parents=True)
    for file in (source / "students").glob("width-*.json"):
        (target / "students" / file.name).write_bytes(file.read_bytes())
    for name in ("study.toml", "data.json", "networks.json", "environment.json"):
        (target / name).write_bytes((source / name).read_bytes())


def searched(networks: dict[str, str], data: str, folder: Path, workers: int) -> float:
    """Search, and return how many seconds it took."""
    options = [part for name, value in networks.items() for part in (f"--{name}", value)]
    command = [sys.executable, "-m", "goodteacher", "search", data, "--out", str(folder)]
    asked = [*command, *options, "--threads", "1", "--workers", str(workers)]
    began = time.perf_counter()
    subprocess.run(asked, check=True, capture_output=True)
    return time.perf_counter() - began


def students(folder: Path) -> list[dict[str, object]]:
    """Return all that was found of each student but how long it took."""
    rows = pq.read_table(Store.open(folder).path("students.parquet")).to_pylist()
    return [{k: v for k, v in row.items() if k != "student_seconds"} for row in rows]


if __name__ == "__main__":
    main()
