"""Whole searches in one process and in several, with one thread and with two: how long each takes.

Each search is a process of its own, begun by the command line as a user begins it. The ways take
turns. Stacks have one width in all of them, so ways that compute with as many threads find the same
numbers, which is checked. A search that has ended is not run again: after a stop, the same command
goes on, and more rounds may be asked for later.

    python benchmarks/processes.py digits fashion_mnist banking77 --out FOLDER

Data sets other than digits lie below `GOODTEACHER_DATA`. `FOLDER/summary.json` has the seconds, the
ratios to one process with one thread, in each round, and what was chosen where nothing was named.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from goodteacher.config import Frozen
from goodteacher.studies import Store, environments

TENTH = {"transfer-fraction": "0.1", "epochs": "4"}
SEARCHES: dict[str, dict[str, str]] = {
    "digits": {"teacher": "mlp:256", "student": "mlp:16", "student-epochs": "60"},
    "fashion_mnist": {"teacher": "mlp:256", "student": "mlp:16", "student-epochs": "15", **TENTH},
    "banking77": {"teacher": "mlp:256", "student": "mlp:16", "student-epochs": "15", **TENTH},
}
"""Settings by the name of the data: searches of about a minute of CPU time each, or less."""

COMMON = {"stack-width": "64"}

ONE = "one process, one thread"
WAYS: dict[str, dict[str, str]] = {
    ONE: {"workers": "1", "threads": "1"},
    "one process, two threads": {"workers": "1", "threads": "2"},
    "two processes": {"workers": "2", "threads": "1"},
    "nothing named": {},
}
"""Settings of the machine by what they are called."""


class Searched(Frozen):
    """One search that has ended.

    Attributes:
        data: Its data set.
        round: Of the turns, from 0.
        way: How it ran.
        seconds: From the command to its end.
        threads: Of each process.
        processes: How many worked, where that was chosen; None where it was named.
        numbers: Hash of all that was found of every student.
    """

    data: str
    round: int
    way: str
    seconds: float
    threads: int
    processes: int | None
    numbers: str


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", nargs="+", choices=SEARCHES)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="to see that it works: short searches")
    options = parser.parse_args()
    found = run(options.data, options.ways, options.rounds, options.out, quick=options.quick)
    summary = {"machine": machine(), "searches": summarize(found)}
    (options.out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    print(json.dumps(summary, indent=1))


def run(
    data: Sequence[str], ways: Sequence[str], rounds: int, out: Path, *, quick: bool = False
) -> list[Searched]:
    """Return what was measured, after searching where that has not been done yet."""
    out.mkdir(parents=True, exist_ok=True)
    lines = out / "searches.jsonl"
    found = [
        Searched.model_validate_json(line)
        for line in (lines.read_text().splitlines() if lines.exists() else [])
    ]
    done = {(each.data, each.round, each.way) for each in found}
    for number in range(rounds):
        for name in data:
            for way in ways:
                if (name, number, way) not in done:
                    found.append(searched(name, number, way, out / "study", quick=quick))
                    with lines.open("a") as file:
                        file.write(found[-1].model_dump_json() + "\n")
                    print(found[-1], file=sys.stderr, flush=True)
    return found


def searched(name: str, number: int, way: str, folder: Path, *, quick: bool) -> Searched:
    """Search in a folder that goes again, and return how long it took and what it found."""
    shutil.rmtree(folder, ignore_errors=True)
    settings = {**SEARCHES[name], **COMMON, **WAYS[way], **(QUICK if quick else {})}
    path = name if name == "digits" else str(Path(os.environ["GOODTEACHER_DATA"]) / name)
    command = [sys.executable, "-m", "goodteacher", "search", path, f"--out={folder}"]
    began = time.perf_counter()
    ended = subprocess.run(
        [*command, *(f"--{key}={value}" for key, value in settings.items())],
        # The number of threads is what is measured: nothing else may set it.
        env={key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - began
    if ended.returncode:
        sys.exit(f"{name}, {way}: {ended.stderr}")
    store = Store.open(folder)
    chosen = [event for event in store.events() if event["event"] == "threads_chosen"]
    result = Searched(
        data=name,
        round=number,
        way=way,
        seconds=round(seconds, 2),
        threads=environments(store)[-1].threads,
        processes=chosen[-1]["workers"] if chosen else None,
        numbers=numbers_of(store),
    )
    shutil.rmtree(folder)
    return result


QUICK = {
    "epochs": "2",
    "student-epochs": "2",
    "search-seeds": "2",
    "seeds": "2",
    "shortlist": "1",
    "transfer-fraction": "0.02",
    "batch-sizes": "512",
}


def numbers_of(store: Store) -> str:
    """Return a hash of all that was found of each student but how long it took."""
    rows = pq.read_table(store.path("students.parquet")).to_pylist()
    kept = [{k: v for k, v in row.items() if k != "student_seconds"} for row in rows]
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def summarize(found: Sequence[Searched]) -> dict[str, object]:
    """Return for each data set what the ways took, also beside one process with one thread."""
    summary: dict[str, object] = {}
    for name in dict.fromkeys(each.data for each in found):
        own = [each for each in found if each.data == name]
        by_way = {way: [e for e in own if e.way == way] for way in WAYS}
        base = {each.round: each for each in by_way[ONE]}
        summary[name] = {
            way: _of_a_way(searches, base) for way, searches in by_way.items() if searches
        }
    return summary


def _of_a_way(searches: Sequence[Searched], base: Mapping[int, Searched]) -> dict[str, object]:
    paired = [(each, base[each.round]) for each in searches if each.round in base]
    ratios = [each.seconds / one.seconds for each, one in paired]
    return {
        "n": len(searches),
        "seconds": [each.seconds for each in searches],
        "ratios": [round(ratio, 3) for ratio in ratios],
        "median_ratio": round(statistics.median(ratios), 3) if ratios else None,
        "threads": sorted({each.threads for each in searches}),
        "processes": sorted({each.processes for each in searches if each.processes}),
        "same_numbers": all(each.numbers == one.numbers for each, one in paired),
    }


def machine() -> dict[str, object]:
    """Return what ran."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), "")
    return {"cores": os.cpu_count(), "processor": model, "load": os.getloadavg()[0]}


if __name__ == "__main__":
    main()
