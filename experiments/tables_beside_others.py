"""`DistilledClassifier` beside AutoGluon's `distill`, plain students and direct fits.

    pip install 'goodteacher[bench]' pandas lightgbm
    python experiments/tables_beside_others.py train FOLDER     # goodteacher, plain, direct fits
    python experiments/tables_autogluon.py FOLDER               # in AutoGluon's own environment
    python experiments/tables_beside_others.py join FOLDER      # results and page
    python experiments/tables_beside_others.py page             # the page's tables again

Six tables that packages ship, at most 600 rows of each; 10 seeds: two divisions into five folds. A
seed's training and test rows are the same for every method, and no choice is made on test rows.
Training goes on where it was stopped: there is a record for each table, seed and method.
"""

from __future__ import annotations

import argparse
import json
import pickle
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from goodteacher import DistilledClassifier
from goodteacher.integrations.sklearn.encoding import encoded
from goodteacher.maths.statistics import (
    Interval,
    adjusted_level,
    folds_interval,
    folds_mean_interval,
)
from shipped_tables import (
    FOLDS,
    SEEDS,
    TABLES,
    division,
    keep_record,
    latencies,
    record_path,
    table,
)
from tables_autogluon import SMALL

ROOT = Path(__file__).parent
RESULTS = ROOT / "results/tables_beside_others.json"
PAGE = ROOT.parent / "docs/tables-compared.md"
SMALLEST = 1e-15
"""What a class of probability 0 counts as in a log loss."""

PLAIN = {
    "goodteacher lightgbm": "plain lightgbm",
    "goodteacher logistic": "plain logistic",
    **{
        f"autogluon {how} {teacher}lightgbm": "autogluon plain lightgbm"
        for how in ("distill", "repaired")
        for teacher in ("", "ensemble, ")
    },
}
"""Each distilled student, and the same student of hard labels."""

DIRECT = ("forest", "tuned", "autogluon forest", "autogluon ensemble")
METHODS = (*dict.fromkeys(each for pair in PLAIN.items() for each in pair[::-1]), *DIRECT)
AGAINST = tuple(
    ("goodteacher lightgbm", other)
    for other in (
        "autogluon distill lightgbm",
        "autogluon repaired lightgbm",
        "autogluon repaired ensemble, lightgbm",
        "tuned",
        "autogluon ensemble",
    )
)
"""Further pairs that are compared."""


# --- training ------------------------------------------------------------------------------------


def lightgbm(trees: int = SMALL["num_boost_round"], leaves: int = SMALL["num_leaves"]) -> Any:
    """Return LightGBM's classifier; by default the small student."""
    from lightgbm import LGBMClassifier

    rate = SMALL["learning_rate"]
    return LGBMClassifier(
        n_estimators=trees, num_leaves=leaves, learning_rate=rate, n_jobs=1, verbose=-1
    )


def logistic(strength: float = 1.0) -> Any:
    """Return a scaled logistic regression, which is also the default of `DistilledClassifier`."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))


def forest(trees: int = 50) -> Any:
    """Return the teacher."""
    return RandomForestClassifier(trees)


def candidates() -> dict[str, Any]:
    """Return what the direct fit is chosen from."""
    return {
        "logistic, C=0.1": logistic(0.1),
        "logistic, C=1": logistic(),
        "forest": RandomForestClassifier(100, min_samples_leaf=1),
        "forest, leaves of 3": RandomForestClassifier(100, min_samples_leaf=3),
        "extra trees": ExtraTreesClassifier(100, min_samples_leaf=2),
        "lightgbm, 50 trees": lightgbm(50, 15),
        "lightgbm, 100 trees": lightgbm(100, 15),
    }


def whole(model: Any, rows: Any, seed: int) -> Any:
    """Return a model with what encodes words and gaps, and a seed."""
    made = encoded(clone(model), rows, always=isinstance(model, type(logistic())))
    seeds = {name: seed for name in made.get_params() if name.endswith("random_state")}
    return made.set_params(**seeds)


def tuned(rows: Any, labels: np.ndarray, seed: int) -> tuple[Any, str]:
    """Return the candidate of the lowest log loss in three folds, and its name."""
    parts = StratifiedKFold(3, shuffle=True, random_state=seed)
    found = {
        name: cross_val_score(
            whole(model, rows, seed), rows, labels, cv=parts, scoring="neg_log_loss"
        ).mean()
        for name, model in candidates().items()
    }
    best = max(found, key=lambda name: found[name])
    return whole(candidates()[best], rows, seed).fit(rows, labels), best


def distilled(student: Any, rows: Any, labels: np.ndarray, seed: int) -> Any:
    """Return `DistilledClassifier` with its defaults, taught by the forest."""
    return DistilledClassifier(forest(), student, random_state=seed).fit(rows, labels)


def run(work: Path, name: str, seed: int) -> None:
    """Record every method on one division of a table, unless it is there."""
    rows, labels = table(name)
    seen, held_out = division(labels, seed)
    train, known, test = rows.iloc[seen], labels[seen], rows.iloc[held_out]
    fits: dict[str, Callable[[], tuple[Any, Any, str]]] = {
        "plain lightgbm": lambda: _direct(lightgbm(), train, known, seed),
        "plain logistic": lambda: _direct(logistic(), train, known, seed),
        "forest": lambda: _direct(forest(), train, known, seed),
        "tuned": lambda: _chosen(*tuned(train, known, seed)),
        "goodteacher lightgbm": lambda: _taught(lightgbm(), train, known, seed),
        "goodteacher logistic": lambda: _taught(None, train, known, seed),
    }
    for method, fit in fits.items():
        path = record_path(work, name, seed, method)
        if not path.exists():
            asked, stored, choice = fit()
            keep(path, asked, pickle.dumps(stored), test, choice)


def _direct(model: Any, rows: Any, labels: np.ndarray, seed: int) -> tuple[Any, Any, str]:
    made = whole(model, rows, seed).fit(rows, labels)
    return made, made, ""


def _chosen(made: Any, choice: str) -> tuple[Any, Any, str]:
    return made, made, choice


def _taught(student: Any, rows: Any, labels: np.ndarray, seed: int) -> tuple[Any, Any, str]:
    made = distilled(student, rows, labels, seed)
    return made, made.student_, f"{made.report_.delivered}, {made.answer_}"


def keep(path: Path, asked: Any, stored: bytes, rows: Any, choice: str) -> None:
    """Record what a model says, how fast, and its size."""
    keep_record(
        path,
        rows,
        np.asarray(asked.predict_proba(rows)),
        latency=latencies(asked.predict_proba, rows),
        bytes=len(stored),
        choice=choice,
    )


# --- joining -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reached:
    """What a method reached on a table.

    Attributes:
        correct: Whether each row was predicted right by the model that did not see it, bool [R, N].
        losses: Log loss of these rows in nats, [R, N].
        records: One for each seed.
    """

    correct: np.ndarray
    losses: np.ndarray
    records: list[dict[str, Any]]


def folds_of(labels: np.ndarray, seeds: int = SEEDS) -> np.ndarray:
    """Return in which fold each row is tested, [R, N]."""
    numbers = np.full((seeds // FOLDS, len(labels)), -1)
    for seed in range(seeds):
        numbers[seed // FOLDS, division(labels, seed)[1]] = seed % FOLDS
    return numbers


def reached(records: list[dict[str, Any]], ids: np.ndarray, labels: np.ndarray) -> Reached:
    """Join the records of a method by the ids of their rows.

    Args:
        records: One for each seed.
        ids: Of the table's rows, [N].
        labels: Their classes.

    Raises:
        ValueError: A record is of other rows or classes than its seed's.
    """
    classes, codes = np.unique(labels, return_inverse=True)
    shape = (len(records) // FOLDS, len(labels))
    correct, losses = np.zeros(shape, bool), np.full(shape, np.nan)
    for seed, record in enumerate(records):
        test = division(labels, seed)[1]
        said = np.asarray(record["probabilities"])
        if record["rows"] != ids[test].tolist() or said.shape != (len(test), len(classes)):
            raise ValueError(f"the record of seed {seed} is of other rows or classes")
        correct[seed // FOLDS, test] = said.argmax(axis=1) == codes[test]
        given = said[np.arange(len(test)), codes[test]]
        # AutoGluon's students of two classes are regressions, which may leave 0 to 1
        losses[seed // FOLDS, test] = -np.log(np.clip(given, SMALLEST, 1.0))
    return Reached(correct, losses, records)


def records_of(work: Path, name: str, method: str) -> list[dict[str, Any]] | None:
    """Return a method's records of all seeds on a table; None if any is missing."""
    paths = [record_path(work, name, seed, method) for seed in range(SEEDS)]
    if not all(path.exists() for path in paths):
        return None
    return [json.loads(path.read_text()) for path in paths]


def summary_of(one: Reached, folds: np.ndarray) -> dict[str, Any]:
    """Return what the results hold of a method on a table."""
    return {
        "accuracy": three(folds_mean_interval(one.correct.astype(float), folds)),
        "log_loss": three(folds_mean_interval(one.losses, folds)),
        "ms_1": [round(each["latency"]["1"], 3) for each in one.records],
        "ms_64": [round(each["latency"]["64"], 3) for each in one.records],
        "bytes": [each["bytes"] for each in one.records],
        "choices": [each.get("choice", "") for each in one.records],
    }


def pair_of(ours: Reached, theirs: Reached, folds: np.ndarray, level: float) -> dict[str, Any]:
    """Return how much more accurate ours is, and how much log loss it saves.

    Args:
        ours: What is compared.
        theirs: With what.
        folds: Of both.
        level: Of intervals that hold together, for each of them.
    """
    gain = partial(folds_interval, ours.correct, theirs.correct, folds)
    saved = partial(folds_mean_interval, theirs.losses - ours.losses, folds)
    return {
        "gain": three(gain(level=0.05)),
        "gain_together": three(gain(level=level)),
        "saved": three(saved(level=0.05)),
        "saved_together": three(saved(level=level)),
    }


def three(interval: Interval) -> list[float]:
    return [float(f"{each:.6g}") for each in (interval.mean, interval.low, interval.high)]


def join(work: Path) -> dict[str, Any]:
    """Return the results: every method and pair on every table where all its seeds are there."""
    found: dict[str, dict[str, Reached]] = {}
    about: dict[str, dict[str, Any]] = {}
    folds = {}
    for name in TABLES:
        rows, labels = table(name)
        folds[name] = folds_of(labels)
        about[name] = {"n": len(rows), "columns": rows.shape[1], "classes": len(set(labels))}
        records = {method: records_of(work, name, method) for method in METHODS}
        found[name] = {
            method: reached(each, rows.index.to_numpy(), labels)
            for method, each in records.items()
            if each is not None
        }
    pairs = [
        (name, *pair)
        for pair in (*PLAIN.items(), *AGAINST)
        for name in TABLES
        if set(pair) <= set(found[name])
    ]
    level = adjusted_level(0.05, 2 * len(pairs))  # accuracy and log loss of each
    for name, each in about.items():
        each["methods"] = {m: summary_of(one, folds[name]) for m, one in found[name].items()}
        each["pairs"] = {
            f"{ours} - {theirs}": pair_of(
                found[name][ours], found[name][theirs], folds[name], level
            )
            for where, ours, theirs in pairs
            if where == name
        }
    return {"seeds": SEEDS, "comparisons": 2 * len(pairs), "tables": about}


# --- the page ------------------------------------------------------------------------------------


def counted(results: dict[str, Any]) -> str:
    """Return how many tables decide each pair."""
    lines = [
        "| compared | with | tables | accuracy: better, worse | log loss: better, worse | "
        "of these, held together: accuracy | log loss |",
        "|---|---|---|---|---|---|---|",
    ]
    for ours, theirs in (*PLAIN.items(), *AGAINST):
        key = f"{ours} - {theirs}"
        each = [one["pairs"][key] for one in results["tables"].values() if key in one["pairs"]]
        if each:
            told = [
                f"{sum(one[kind][1] > 0 for one in each)}, {sum(one[kind][2] < 0 for one in each)}"
                for kind in ("gain", "saved", "gain_together", "saved_together")
            ]
            lines.append(f"| {ours} | {theirs} | {len(each)} | {' | '.join(told)} |")
    return "\n".join(lines)


def differences(results: dict[str, Any], pairs: Iterable[tuple[str, str]]) -> str:
    """Return the paired differences on every table."""
    lines = [
        "| compared, with | table | gains, points | saves, nats | teacher's student delivered |",
        "|---|---|---|---|---|",
    ]
    for ours, theirs in pairs:
        for name, one in results["tables"].items():
            pair = one["pairs"].get(f"{ours} - {theirs}")
            if pair is not None:
                gain = "{:+.2f} [{:+.2f}, {:+.2f}]".format(*(100 * v for v in pair["gain"]))
                saved = "{:+.3f} [{:+.3f}, {:+.3f}]".format(*pair["saved"])
                chosen = delivered(ours, one["methods"][ours]["choices"])
                lines.append(f"| {ours}, {theirs} | {name} | {gain} | {saved} | {chosen} |")
    return "\n".join(lines)


def delivered(method: str, choices: list[str]) -> str:
    """Return how often `DistilledClassifier` delivered a student of the teacher."""
    if method not in ("goodteacher lightgbm", "goodteacher logistic"):
        return ""
    return f"{sum(each.startswith('distilled') for each in choices)} of {len(choices)}"


def reached_table(results: dict[str, Any], figure: str, scale: float, digits: int) -> str:
    """Return a figure of every method on every table, half of its interval behind it."""
    names = list(results["tables"])
    about = [f"{n} ({o['n']}, {o['classes']})" for n, o in results["tables"].items()]
    lines = [f"| | {' | '.join(about)} |", "|---" * (len(names) + 1) + "|"]
    for method in METHODS:
        cells = []
        for one in results["tables"].values():
            mean, low, high = one["methods"].get(method, {}).get(figure, [None] * 3)
            told = "" if mean is None else f"{scale * mean:.{digits}f}"
            cells.append(told and f"{told} ± {scale * (high - low) / 2:.{digits}f}")
        if any(cells):
            lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def costs(results: dict[str, Any]) -> str:
    """Return milliseconds and bytes: geometric means over the tables."""
    lines = [
        "| | tables | ms, 1 row | ms, 64 rows | kB |",
        "|---|---|---|---|---|",
    ]
    for method in METHODS:
        each = [o["methods"][method] for o in results["tables"].values() if method in o["methods"]]
        if each:
            cells = [
                "{:.3g} [{:.3g}, {:.3g}]".format(*geometric([one[kind] for one in each], unit))
                for kind, unit in (("ms_1", 1), ("ms_64", 1), ("bytes", 1e3))
            ]
            lines.append(f"| {method} | {len(each)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def geometric(values: list[list[float]], unit: float) -> tuple[float, float, float]:
    """Return the geometric mean over tables, and its 95 % interval over the seeds.

    Args:
        values: Positive, [tables, seeds].
        unit: What they are divided by.
    """
    seeds = np.log(np.asarray(values) / unit).mean(axis=0)
    reach = stats.t.ppf(0.975, len(seeds) - 1) * seeds.std(ddof=1) / np.sqrt(len(seeds))
    middle = seeds.mean()
    return float(np.exp(middle)), float(np.exp(middle - reach)), float(np.exp(middle + reach))


def page_of(text: str, results: dict[str, Any]) -> str:
    """Return the page with its tables made of results, each between its own marks."""
    blocks = {
        "counted": counted(results),
        "beside_plain": differences(results, PLAIN.items()),
        "beside_others": differences(results, AGAINST),
        "accuracy": reached_table(results, "accuracy", 100, 1),
        "log_loss": reached_table(results, "log_loss", 1, 3),
        "costs": costs(results),
    }
    for name, block in blocks.items():
        before, mark, rest = text.partition(f"<!-- {name} -->\n")
        if not mark:
            raise ValueError(f"the page has no mark <!-- {name} -->")
        text = f"{before}{mark}{block}\n<!-- end -->{rest.partition('<!-- end -->')[2]}"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("train", "join", "page"))
    parser.add_argument("work", type=Path, nargs="?", default=Path("tables"), help="the records")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    given = parser.parse_args()
    if given.what == "train":
        warnings.simplefilter("ignore")
        for seed in range(given.seeds):
            for name in TABLES:
                run(given.work, name, seed)
                print(name, seed, flush=True)
        return
    if given.what == "join":
        RESULTS.write_text(json.dumps(join(given.work), indent=1) + "\n")
    PAGE.write_text(page_of(PAGE.read_text(), json.loads(RESULTS.read_text())))


if __name__ == "__main__":
    main()
