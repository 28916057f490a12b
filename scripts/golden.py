"""Five small studies whose numbers a change of structure must leave alone.

    python scripts/golden.py make before            # about three minutes, one thread
    ... change the structure ...
    python scripts/golden.py make after
    python scripts/golden.py compare before after   # every number, to the last bit

Both folders have to be made on the same machine. Seconds, task names and paths are no numbers of a
study and are left out. MNIST's relatives are found below ``GOODTEACHER_DATA``.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

import goodteacher

SAME = {"threads": 1, "stack_width": 8, "seeds": 3}
"""A stack's width is measured otherwise, and changes the last bits."""

NOT_NUMBERS = ("seconds", "variants", "task", "folder", "created", "machine", "path")
"""Parts of names of what differs from run to run, or names a place."""


def make(folder: Path) -> None:
    """Make the five studies, on a CPU tuned as the command line tunes it."""
    data = Path(os.environ["GOODTEACHER_DATA"])
    digits = goodteacher.search(
        "digits",
        teacher="mlp:64",
        student="mlp:8",
        out=folder / "digits",
        batch_sizes=[32, 256],
        epochs=8,
        variants=["raw", "ema", "cooldown", "average", "blend"],
        **SAME,
    )
    goodteacher.search(
        data / "fashion_mnist",
        teacher="mlp:64",
        student="mlp:16",
        out=folder / "fashion_mnist",
        transfer_fraction=0.1,
        batch_sizes=[256, 2048],
        epochs=4,
        teacher_seeds=[3],
        patience=1,
        student_epochs=6,
        **SAME,
    )
    goodteacher.search(
        data / "cifar10",
        teacher="cnn:8,16",
        student="cnn:4,8",
        out=folder / "cifar10",
        transfer_fraction=0.02,
        batch_sizes=[512],
        epochs=1,
        augment=["flip", "crop:4"],
        views=2,
        student_epochs=4,
        **SAME,
    )
    goodteacher.search(
        data / "banking77",
        teacher="mlp:64",
        student="mlp:16",
        out=folder / "banking77",
        transfer_fraction=0.1,
        batch_sizes=[128],
        epochs=8,
        shortlist_by="probe",
        student_epochs=12,
        **SAME,
    )
    goodteacher.verify(digits, threads=1, seeds=4)
    (response,) = (folder / "digits/teachers").glob(
        "batch-00032-*/responses/epoch-00004.transfer.*"
    )
    goodteacher.distill(
        "digits", responses=response, student="mlp:8", out=folder / "distilled", **SAME
    )


def compare(before: Path, after: Path) -> list[str]:
    """Return what differs, one line for each number, and for each name that only one side has."""
    ours, theirs = dict(_numbers(before)), dict(_numbers(after))
    here, there = (_columns(each) for each in (ours, theirs))
    lines = [f"only in {before}: {name}" for name in sorted(here - there)]
    lines += [f"only in {after}: {name}" for name in sorted(there - here)]
    shared = sorted(ours.keys() & theirs.keys())
    for name in shared:
        if not _same(ours[name], theirs[name]):
            lines.append(f"{name}: {ours[name]!r} before, {theirs[name]!r} after")
    print(f"{len(ours)} numbers before, {len(theirs)} after, {len(shared)} in both")
    return lines


def _columns(names: Iterable[str]) -> set[str]:
    """Return names without the numbers of rows: a new column is one difference, not hundreds."""
    return {re.sub(r"\[\d+\]", "[]", name) for name in names}


def _same(a: Any, b: Any) -> bool:
    both_nan = isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b)
    return both_nan or a == b


def _numbers(folder: Path) -> Iterator[tuple[str, Any]]:
    for study in sorted(path.parent for path in folder.glob("*/study.toml")):
        for file in ("sweet_spot.json", "verdict.json", "evidence.json", "distillation.json"):
            if (study / file).exists():
                yield from _leaves(json.loads((study / file).read_text()), f"{study.name}/{file}")
        for table in study.glob("students.parquet"):
            rows = sorted(pq.read_table(table).to_pylist(), key=_student)
            yield from _leaves(rows, f"{study.name}/students")
        records = [
            json.loads(line)
            for file in study.glob("teachers/**/trajectory.jsonl")
            for line in file.read_text().splitlines()
        ]
        yield from _leaves(sorted(records, key=_teacher), f"{study.name}/teachers")


def _student(row: dict[str, Any]) -> str:
    """Return what tells a row from all others, whatever columns there are."""
    training = (row["student_epochs"], row["student_batch_size"], row["student_learning_rate"])
    return repr((row["stage"], row["rung"], row["seed"], row["arm"], training))


def _teacher(record: dict[str, Any]) -> str:
    return repr((record["measurements"][:1], record["epoch"], record.get("variant")))


def _skipped(name: str) -> bool:
    return any(part in name for part in NOT_NUMBERS)


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not _skipped(key):
                yield from _leaves(inner, f"{name}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{name}[{number}]")
    else:
        yield name, value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("command", choices=("make", "compare"))
    parser.add_argument("folders", nargs="+", type=Path)
    options = parser.parse_args()
    if options.command == "make":
        with goodteacher.tuned_cpu():
            make(options.folders[0])
        return
    differences = compare(*options.folders)
    print("\n".join(differences))
    sys.exit(bool(differences))


if __name__ == "__main__":
    main()
