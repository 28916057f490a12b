"""How often intervals of repeated cross-validation hold the truth.

    python benchmarks/fold_coverage.py      # half a minute

Tables of n rows, two classes, 20 features, are drawn again and again. Two students are compared on
5 folds, repeated or not: linear discriminants on two bootstrap samples (no difference on average),
or one with little and one with much shrinkage. The truth is the mean difference over training sets
of the folds' size, on a large test set.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import product

import numpy as np
from scipy import stats

from goodteacher.maths.statistics import folds_interval, paired_interval

FEATURES, FOLDS = 20, 5
SHIFT = np.linspace(0, 0.5, FEATURES)
MIX = np.linalg.qr(np.random.default_rng(7).normal(size=(FEATURES, FEATURES)))[0]
MIX = MIX * np.linspace(0.3, 2, FEATURES)

Student = Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, float]]
Table = tuple[np.ndarray, np.ndarray]


def drawn(n: int, rng: np.random.Generator) -> Table:
    """Draw a table."""
    y = rng.permutation(np.arange(n) % 2)
    return (rng.normal(size=(n, FEATURES)) + (2 * y[:, None] - 1) * SHIFT) @ MIX, y


def discriminant(x: np.ndarray, y: np.ndarray, shrinkage: float) -> tuple[np.ndarray, float]:
    """Return weights and threshold of a linear discriminant."""
    means = x[y == 0].mean(axis=0), x[y == 1].mean(axis=0)
    spread = np.cov((x - np.stack(means)[y]).T)
    weights = np.linalg.solve(spread + shrinkage * np.eye(FEATURES), means[1] - means[0])
    return weights, float(weights @ (means[0] + means[1]) / 2)


def bootstrapped(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> tuple:
    rows = rng.integers(0, len(y), len(y))
    return discriminant(x[rows], y[rows], 0.1)


PAIRS: dict[str, tuple[Student, Student]] = {
    "no difference": (bootstrapped, bootstrapped),
    "shrinkage": (lambda x, y, _: discriminant(x, y, 0.01), lambda x, y, _: discriminant(x, y, 30)),
}


def right(student: Student, train: Table, test: Table, rng: np.random.Generator) -> np.ndarray:
    weights, threshold = student(*train, rng)
    return (test[0] @ weights > threshold) == test[1]


def truth(pair: tuple[Student, Student], n: int, rng: np.random.Generator, times: int) -> float:
    """Return the mean difference over training sets of the folds' size."""
    test = drawn(20_000, rng)
    trains = (drawn(n * (FOLDS - 1) // FOLDS, rng) for _ in range(times))
    found = [np.subtract(*(right(s, t, test, rng).mean() for s in pair)) for t in trains]
    return float(np.mean(found))


def crossvalidated(
    pair: tuple[Student, Student], table: Table, repeats: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return who is right, of both students, and the folds: each [repeats, n]."""
    x, y = table
    correct = np.zeros((2, repeats, len(y)), bool)
    folds = np.stack([rng.permutation(len(y)) % FOLDS for _ in range(repeats)])
    for repeat, number in product(range(repeats), range(FOLDS)):
        test = folds[repeat] == number
        for which, student in enumerate(pair):
            train = x[~test], y[~test]
            correct[which, repeat, test] = right(student, train, (x[test], y[test]), rng)
    return correct[0], correct[1], folds


def resampled(a: np.ndarray, b: np.ndarray, folds: np.ndarray) -> tuple[float, float]:
    """Return the ends of Nadeau and Bengio's 95 % interval over the folds."""
    difference = a.astype(float) - b
    rows = zip(difference, folds, strict=True)
    parts = [row[fold == number].mean() for row, fold in rows for number in range(FOLDS)]
    error = np.sqrt((1 / len(parts) + 1 / (FOLDS - 1)) * np.var(parts, ddof=1))
    reach = stats.t.ppf(0.975, len(parts) - 1) * error
    return difference.mean() - reach, difference.mean() + reach


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--experiments", type=int, default=1000)
    number = parser.parse_args().experiments
    rng = np.random.default_rng(0)
    print("n    repeats  students       ours           crossed model  Nadeau-Bengio")
    for n, repeats, (name, pair) in product((60, 150, 600), (1, 5), PAIRS.items()):
        aim = 0.0 if pair[0] is pair[1] else truth(pair, n, rng, 2000)
        found = np.zeros((number, 3, 2))
        for one in range(number):
            a, b, folds = crossvalidated(pair, drawn(n, rng), repeats, rng)
            both = [
                (each.low, each.high)
                for each in (folds_interval(a, b, folds), paired_interval(a, b))
            ]
            ends = [*both, resampled(a, b, folds)]
            found[one] = [(low <= aim <= high, (high - low) / 2) for low, high in ends]
        told = [f"{100 * held:5.1f} +-{100 * width:5.2f}" for held, width in found.mean(axis=0)]
        print(f"{n:<4} {repeats:<8} {name:14} {'  '.join(told)}", flush=True)


if __name__ == "__main__":
    main()
