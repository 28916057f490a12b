"""What `student_tuning.py` and plain searches found: the tables of docs/practice.md on students.

    python experiments/student_tuning_page.py --rows tuning --searches FOLDER...

Collecting keeps means over the seeds of each setting in `results/student_tuning.json`; a search's
folder is called as the case is. Without options, the tables are made again from that file.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from docs_pages import DOCS, filled
from goodteacher import Study
from goodteacher.records.words import percent, points
from goodteacher.students.families import LONGER, MUCH
from goodteacher.students.finished import STEEP
from pairs import RESULTS
from summaries import table

FILE = RESULTS / "student_tuning.json"
PAGE = DOCS / "practice.md"
SHORT, ENOUGH = 0.01, 0.003
"""Test accuracy that `LONGER` times the epochs add to a training that was too short, and at most to
one that was long enough (nine times counts there, too)."""

TOO_SMALL = ("wine",)
"""Data whose test split cannot show what is too short: one of 35 examples is 2.9 points."""

Grid = Mapping[tuple[str, int, float, int], Mapping[str, float]]
"""Arm, batch size, learning rate and epochs to what was reached: means over seeds."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=Path, help="folder that student_tuning.py filled")
    parser.add_argument("--searches", type=Path, nargs="*", default=[], help="finished studies")
    options = parser.parse_args()
    found = json.loads(FILE.read_text()) if FILE.exists() else {"grid": {}, "searches": {}}
    if options.rows:
        files = sorted(options.rows.glob("*.jsonl"))
        found["grid"] = {file.stem: compact(_lines(file)) for file in files}
    for folder in options.searches:
        found["searches"][folder.name] = searched(Study(folder))
    if options.rows or options.searches:
        FILE.write_text(_shown(found))
    PAGE.write_text(page_of(PAGE.read_text(), found))


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def _shown(found: Mapping[str, Any]) -> str:
    """Return JSON with a line for each setting, so that changes can be read."""
    between = ",\n"
    grid = between.join(
        f"{json.dumps(name)}: [\n{between.join(map(json.dumps, rows))}\n]"
        for name, rows in found["grid"].items()
    )
    return f'{{"grid": {{\n{grid}\n}},\n"searches": {json.dumps(found["searches"], indent=1)}}}\n'


def compact(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each setting: means over seeds, and what the curve's second half brought."""
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        key = (row["arm"], row["batch_size"], row["learning_rate"], row["epochs"])
        groups[key].append(row)
    return [
        {
            "arm": arm,
            "batch_size": batch_size,
            "learning_rate": rate,
            "epochs": epochs,
            "n": len(group),
            "selection": _mean(row["curve"][-1][1] for row in group),
            "test": _mean(row["test"] for row in group),
            "second_half": _mean(row["curve"][3][3] - row["curve"][7][3] for row in group),
        }
        for (arm, batch_size, rate, epochs), group in sorted(groups.items())
    ]


def _mean(values: Iterable[float]) -> float:
    return round(statistics.fmean(values), 5)


def searched(study: Study) -> dict[str, Any]:
    """Return what a plain search made of the student of hard labels, and how long that took."""
    spot, rows = study.sweet_spot, study.students()
    labels = spot.references.cross_entropy
    confirmed = [
        row.test_accuracy
        for row in rows
        if row.stage == "confirm" and (row.arm, row.training) == (labels.arm, labels.training)
    ]
    plain = [row for row in rows if row.source == "one_hot" and row.stage in ("tune", "search")]
    return {
        "examples": study.data.transfer,
        "training": str(labels.training),
        "test": confirmed,
        "tuning_seconds": round(sum(row.student_seconds for row in plain), 1),
        "seconds": round(spot.cost.teacher_seconds + spot.cost.student_seconds, 1),
    }


def page_of(text: str, found: Mapping[str, Any]) -> str:
    """Return the page with its two tables made anew."""
    tables = {"student_tuning": tuning_table(found), "curves": curves_table(found["grid"])}
    return filled(text, tables.get)


def tuning_table(found: Mapping[str, Any]) -> str:
    """Compare plain searches with the best of the grid, chosen on the selection split."""
    rows = []
    for name, search in found["searches"].items():
        grid = [row for row in found["grid"].get(name, ()) if row["arm"] == "labels"]
        if not grid:
            continue
        top = max(grid, key=lambda row: row["selection"])
        mean, spread = statistics.fmean(search["test"]), 100 * statistics.stdev(search["test"])
        rows.append(
            [
                f"`{name}`",
                f"{search['examples']:,}",
                f"{top['epochs']} epochs of {top['batch_size']} at {top['learning_rate']:g}",
                percent(top["test"]),
                search["training"].replace("batch ", ""),
                f"{percent(mean)} ({spread:.2f}, {len(search['test'])})",
                points(mean - top["test"]),
                f"{100 * search['tuning_seconds'] / search['seconds']:.0f} %",
            ]
        )
    head = [
        "data", "examples", "best of the grid", "its accuracy, %", "plain search",
        "its accuracy, % (SD, n)", "difference", "tuning's share",
    ]  # fmt: skip
    return table(head, rows)


def curves_table(grid: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Say how many trainings that were too short, and that were not, each rule names."""
    short, enough = [], []
    for name, rows in grid.items():
        for row, longer, longest in _pairs(rows) if name not in TOO_SMALL else ():
            gain = longer["test"] - row["test"]
            most = max(gain, longest["test"] - row["test"])
            seen = (row["second_half"], longer["selection"] - row["selection"])
            if gain > SHORT:
                short.append(seen)
            elif most < ENOUGH:
                enough.append(seen)
    fell = f"the curve: the loss fell in the second half by more than {STEEP:g} nats"
    both = f"both: this, and {LONGER} times the epochs add more than {100 * MUCH:g} points"
    rules = {fell: lambda s: s[0] > STEEP, both: lambda s: s[0] > STEEP and s[1] > MUCH}
    rows = [
        [name, *(f"{100 * statistics.fmean(map(rule, each)):.1f} %" for each in (short, enough))]
        for name, rule in rules.items()
    ]
    found = f"too short: detected (of {len(short)})"
    return table(["rule", found, f"long enough: false alarms (of {len(enough)})"], rows)


def _pairs(
    rows: Sequence[Mapping[str, Any]],
) -> Iterable[tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]]:
    """Yield each setting with the same at three and, where it was run, nine times the epochs."""

    def key(row: Mapping[str, Any], times: int = 1) -> tuple[Any, ...]:
        return row["arm"], row["batch_size"], row["learning_rate"], row["epochs"] * times

    known = {key(row): row for row in rows}
    for row in rows:
        longer = known.get(key(row, LONGER))
        if longer is not None:
            yield row, longer, known.get(key(row, LONGER**2), longer)


if __name__ == "__main__":
    main()
