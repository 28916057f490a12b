"""Time and memory of boosted trees that learn soft targets, with and without copies of rows.

    python benchmarks/soft_objectives.py --out benchmarks/results/soft_objectives.json

10,000 rows of 20 numbers, 10 classes, soft targets of a random teacher at T = 1; LightGBM and
XGBoost with 10 trees a class and one thread. *labels* is the package's own training on hard labels,
*objective* ours, *weighted rows* a row for each class of at least 0.001. Each is run in a process
of its own, in turn, three times; time is the processor's, of the fit alone; memory is what the
process grew by at most.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

WAYS, PACKAGES, TIMES = ("labels", "objective", "weighted rows"), ("lightgbm", "xgboost"), 3
ROWS, FEATURES, CLASSES, TREES = 10_000, 20, 10, 10


def student(package: str) -> Any:
    """Return the student, one thread."""
    if package == "lightgbm":
        from lightgbm import LGBMClassifier

        return LGBMClassifier(n_estimators=TREES, n_jobs=1, verbose=-1, random_state=0)
    from xgboost import XGBClassifier

    return XGBClassifier(n_estimators=TREES, n_jobs=1, random_state=0)


def once(package: str, way: str) -> dict[str, float]:
    """Fit one student here; return seconds of the processor, and bytes."""
    from time import process_time

    from goodteacher.integrations.sklearn import students
    from goodteacher.integrations.sklearn.soft_targets import SoftTargets

    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, FEATURES))
    logits = x @ rng.normal(size=(FEATURES, CLASSES)) / 3
    codes = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    hot = np.eye(CLASSES)[codes]
    alphas = np.full(ROWS, 0.0 if way == "labels" else 1.0)
    targets = SoftTargets(codes, hot, logits, alphas, 1.0)
    made = student(package)
    made.fit(x[:500], np.arange(500) % CLASSES)  # what is loaded once is no part of it
    if way == "weighted rows":
        students.needs_no_copies = lambda *_: False
    before, start = _peak(), process_time()
    students.fit_student(made, x, targets, np.arange(CLASSES), smallest=0.001)
    return {"seconds": process_time() - start, "bytes": _peak() - before}


def _peak() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB on Linux


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--once", nargs=2, metavar=("PACKAGE", "WAY"))
    given = parser.parse_args()
    if given.once:
        print(json.dumps(once(*given.once)))
        return
    found: dict[str, Any] = {p: {w: [] for w in WAYS} for p in PACKAGES}
    for _ in range(TIMES):
        for package in PACKAGES:
            for way in WAYS:
                command = [sys.executable, __file__, "--once", package, way]
                told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                found[package][way].append(json.loads(told.splitlines()[-1]))
    for package, ways in found.items():
        for unit in ("seconds", "bytes"):
            ratios = {
                way: [a[unit] / b[unit] for a, b in zip(runs, ways["objective"], strict=True)]
                for way, runs in ways.items()
            }
            told = [
                f"{way} {statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f})"
                for way, each in ratios.items()
                if way != "objective"
            ]
            print(f"{package}, {unit} against the objective's: {', '.join(told)}")
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
