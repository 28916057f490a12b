"""A study of thousands of tasks: how long do its commands take where nothing is left to do?

    python -m benchmarks.many_tasks --tasks 10000 --out benchmarks/results/many_tasks.json

A tiny study is searched, and then gets as many tasks of students as asked for, written by the
store's own functions from those of a real task. The search does not know of these, so it does not
ask whether each is done; it looks through their files, as every command does.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from unittest.mock import patch

from benchmarks.faults import SETTINGS, write_data

import goodteacher
from goodteacher.records import StudentRow
from goodteacher.report import write_report
from goodteacher.studies import TABLE_FILE, Store, health_of, require_whole


def made(folder: Path, tasks: int) -> Path:
    """Make a study of so many tasks; return its folder."""
    study = folder / "study"
    # What is timed is what was written, not that the disk has it.
    with patch.object(os, "fsync", lambda _: None):
        goodteacher.search(str(write_data(folder / "data.npz")), out=study, **SETTINGS)
        store = Store(study)
        first = min(name for name in store.matching("students/search-*/rows.parquet"))
        rows = store.read_table(first, StudentRow)
        for number in range(tasks):
            key = f"search-0-seed-{number + 10}-{number:08x}"
            own = [row.model_copy(update={"task": key, "seed": number + 10}) for row in rows]
            store.write_table(f"students/{key}/rows.parquet", own, StudentRow)
    return study


def _resume(study: Path) -> None:
    goodteacher.search(str(study.parent / "data.npz"), out=study, **SETTINGS)


def _report(study: Path) -> None:
    require_whole(Store(study))
    write_report(Store.open(study))


def _report_of_unfinished(study: Path) -> None:
    """Draw the page from the tables of all tasks, as while the study runs."""
    with _without(study / TABLE_FILE), _without(study / "sweet_spot.json"):
        write_report(Store.open(study))


class _without:  # noqa: N801 - a context manager
    """Take a file away for a while."""

    def __init__(self, path: Path) -> None:
        self.path, self.aside = path, path.with_name(f".{path.name}.aside")

    def __enter__(self) -> None:
        self.path.rename(self.aside)

    def __exit__(self, *_: object) -> None:
        self.aside.rename(self.path)


def _load(study: Path) -> None:
    found = goodteacher.Study(study)
    assert found.finished
    assert found.sweet_spot
    assert found.students()
    assert found.trajectories()
    assert found.student()


COMMANDS: Mapping[str, Callable[[Path], object]] = {
    "doctor": health_of,
    "search again": _resume,
    "report": _report,
    "report, unfinished": _report_of_unfinished,
    "load": _load,
}


def main() -> None:
    """Time each command, and say where the time goes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--profile", action="store_true", help="print the functions that cost most")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        study = made(Path(folder), options.tasks)
        notes = (study / ".checksums.jsonl").stat().st_size
        seconds: dict[str, dict[str, float]] = {}
        for name, command in COMMANDS.items():
            profile, began, cpu = cProfile.Profile(), time.perf_counter(), time.process_time()
            if options.profile:
                profile.enable()
            command(study)
            profile.disable()
            took = {"wall": time.perf_counter() - began, "cpu": time.process_time() - cpu}
            seconds[name] = {what: round(value, 2) for what, value in took.items()}
            print(name, seconds[name], flush=True)
            if options.profile:
                pstats.Stats(profile, stream=sys.stdout).sort_stats("cumulative").print_stats(30)
    result = {"tasks": options.tasks, "bytes_of_notes": notes, "seconds": seconds}
    print(json.dumps(result, indent=1))
    if options.out is not None:
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
