"""What are synthetic rows worth as further transfer examples?

    python experiments/synthetic_rows.py          # eight tables that packages ship, some minutes
    python experiments/synthetic_rows.py --page   # writes the table of the page again

A forest teaches a tree and a logistic regression from the labelled rows alone, or from three
synthetic rows for each of them as well, made by munge or by spunge; "chosen" takes for each fold
whatever did best on the others. T = 1 and alpha = 1 throughout, the same folds, the same seeds;
test rows are seen by nobody; of large tables 500 rows are taken. Needs `pip install
'goodteacher[bench]' pandas`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier

from goodteacher.config import Recipe
from goodteacher.integrations.sklearn.comparing import (
    HARD_LABELS,
    TEACHER,
    Comparing,
    with_synthetic,
)
from goodteacher.integrations.sklearn.teaching import Table, Teaching
from goodteacher.maths.statistics import folds_interval, folds_mean_interval
from goodteacher.records import CROSS_ENTROPY, Arm
from out_of_fold import FOLDS, LOGISTIC, PAGE, ROOT, TREE, TREES, tables

RESULTS: Path = ROOT / "results/synthetic_rows.json"
PER_ROW, REPEATS, MOST = 3.0, 2, 500
STUDENTS: dict[str, BaseEstimator] = {"tree": TREE, "logistic": LOGISTIC}
TAUGHT = Arm(source=TEACHER, recipe=Recipe(alpha=1.0))
ARMS = {"none": TAUGHT, **{k: with_synthetic(TAUGHT, k) for k in ("munge", "spunge")}}
FAMILIES = {
    HARD_LABELS: (CROSS_ENTROPY,),
    **{name: (arm,) for name, arm in ARMS.items()},
    "chosen": tuple(ARMS.values()),
}


def row(student: Any, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Measure one table and student."""
    classes, codes = np.unique(y, return_inverse=True)
    table = Table(x, codes.astype(np.int64), classes)
    folds = min(FOLDS, int(np.bincount(codes).min()))
    teaching = Teaching(RandomForestClassifier(TREES), folds=folds, prefit="auto", seed=0)
    plan = Comparing(student, teaching, FAMILIES, 0.001, folds, REPEATS, seed=0, per_row=PER_ROW)
    compared = plan.run(table, None, teaching.out_of_fold(table))
    reached = {name: compared.reached(name) for name in FAMILIES}
    right, loss = reached["none"]
    found: dict[str, Any] = {
        "n": len(y),
        "classes": len(classes),
        "accuracy": {name: float(each[0].mean()) for name, each in reached.items()},
        "log_loss": {name: float(each[1].mean()) for name, each in reached.items()},
        "gain": {},
        "saved": {},
    }
    for name in ("munge", "spunge", "chosen"):
        gain = folds_interval(reached[name][0], right, compared.folds)
        saved = folds_mean_interval(loss - reached[name][1], compared.folds)
        found["gain"][name] = [gain.mean, gain.low, gain.high]
        found["saved"][name] = [saved.mean, saved.low, saved.high]
    return found


def table_of(found: dict[str, Any]) -> str:
    """Return the table of the page."""
    lines = [
        "| table (n, classes) | student | hard labels | teacher | munge adds | spunge adds | "
        "chosen adds | munge saves, nats | spunge saves, nats |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for student in STUDENTS:
        for name, one in ((name, each[student]) for name, each in found["tables"].items()):
            gains = [
                "{:+.2f} [{:+.2f}, {:+.2f}]".format(*(100 * v for v in one["gain"][kind]))
                for kind in ("munge", "spunge", "chosen")
            ]
            saved = [
                "{:+.3f} [{:+.3f}, {:+.3f}]".format(*one["saved"][kind])
                for kind in ("munge", "spunge")
            ]
            levels = [f"{100 * one['accuracy'][kind]:.1f}" for kind in (HARD_LABELS, "none")]
            about = f"{name} ({one['n']}, {one['classes']})"
            lines.append(f"| {about} | {student} | {' | '.join([*levels, *gains, *saved])} |")
    return "\n".join(lines)


def page_of(text: str, found: dict[str, Any]) -> str:
    """Return the page with its table made of results."""
    begin, end = "<!-- synthetic_rows -->\n", "\n<!-- end -->"
    before, _, rest = text.partition(begin)
    return f"{before}{begin}{table_of(found)}{end}{rest.partition(end)[2]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--page", action="store_true", help="write the page's table again")
    if not parser.parse_args().page:
        found: dict[str, Any] = {
            "folds": FOLDS,
            "repeats": REPEATS,
            "trees": TREES,
            "per_row": PER_ROW,
            "tables": {},
        }
        if RESULTS.exists():  # goes on where it was stopped
            found = json.loads(RESULTS.read_text())
        for name, (x, y) in tables().items():
            done = found["tables"].setdefault(name, {})
            for kind, student in STUDENTS.items():
                if kind not in done:
                    done[kind] = row(student, x[:MOST], y[:MOST])
                    print(name, kind, json.dumps(done[kind]), flush=True)
                    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    PAGE.write_text(page_of(PAGE.read_text(), json.loads(RESULTS.read_text())))


if __name__ == "__main__":
    main()
