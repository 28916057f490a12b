"""Measure how often a 95 % interval for a paired accuracy difference contains the truth.

    python benchmarks/coverage.py                      the table in statistics/intervals.py
    python benchmarks/coverage.py --comparators        the resampling rules too (slow)
    python benchmarks/coverage.py --experiments 100    a quick look
    python benchmarks/coverage.py --looks              the table in docs/verdict.md: adding seeds

Each experiment draws fresh seeds and fresh test examples of a planted world and compares two arms:
a share of the examples flips between them (a few often, most never), each example leans one way,
and each seed moves the difference by 0.3 points (standard deviation). The true difference is known
exactly, so coverage is a plain count. Results do not depend on the machine; the time does.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import stats

from goodteacher.maths.statistics import (
    crossed_interval,
    paired_interval,
    pigeonhole_resamples,
    plan_looks,
)

Matrix = npt.NDArray[np.float64]
CONCENTRATION = 6.0  # of the Beta distribution of flip rates: most examples near 0, a few often


def draw_differences(
    rng: np.random.Generator,
    num_seeds: int,
    num_examples: int,
    *,
    flips: float,
    effect: float,
    lean: float = 0.7,
    seed_spread: float = 0.003,
) -> Matrix:
    """Draw ``[num_seeds, num_examples]`` in {-1, 0, 1}; the population mean is ``effect``.

    Examples lean towards one arm by up to the share ``lean`` of their flips. A world in which
    lean + |shift of a seed| / flips exceeds 1 is cut there, and its mean no longer exact.
    """
    rate = rng.beta(flips * CONCENTRATION, (1 - flips) * CONCENTRATION, num_examples)
    leaning = rng.uniform(-lean, lean, num_examples)
    by_seed = rng.normal(effect, seed_spread, num_seeds)
    towards_a = rate * (1 + np.clip(leaning + by_seed[:, None] / flips, -1, 1)) / 2
    chance = rng.random((num_seeds, num_examples))
    return (chance < towards_a).astype(float) - (chance > 1 - rate + towards_a)


def as_arms(difference: Matrix) -> tuple[Matrix, Matrix]:
    """Give two arms with this difference; which examples both get right does not matter."""
    return (difference > 0).astype(float), (difference < 0).astype(float)


def ours(difference: Matrix) -> tuple[float, float]:
    """Give the default interval of goodteacher."""
    interval = paired_interval(*as_arms(difference))
    return interval.low, interval.high


def corrected_bootstrap(difference: Matrix) -> tuple[float, float]:
    """Give goodteacher's pigeonhole bootstrap, corrected for few seeds."""
    interval = paired_interval(*as_arms(difference), method="bootstrap", num_resamples=400)
    return interval.low, interval.high


def percentile_bootstrap(difference: Matrix) -> tuple[float, float]:
    """Give the uncorrected pigeonhole percentiles."""
    low, high = np.quantile(
        pigeonhole_resamples(difference, num_resamples=400).both, (0.025, 0.975)
    )
    return float(low), float(high)


def seeds_alone(difference: Matrix) -> tuple[float, float]:
    """Give Student's t over the seeds' means: the usual error bar."""
    means = difference.mean(axis=1)
    reach = stats.t.ppf(0.975, len(means) - 1) * means.std(ddof=1) / math.sqrt(len(means))
    return float(means.mean() - reach), float(means.mean() + reach)


def first_seed_alone(difference: Matrix) -> tuple[float, float]:
    """Give the interval over examples from one seed: a paired test of two single runs."""
    interval = crossed_interval(difference[:1])
    return interval.low, interval.high


DEFAULT_RULES: dict[str, Callable[[Matrix], tuple[float, float]]] = {
    "goodteacher": ours,
    "seeds alone (t)": seeds_alone,
    "one seed, examples": first_seed_alone,
}
SLOW_RULES: dict[str, Callable[[Matrix], tuple[float, float]]] = {
    "corrected bootstrap": corrected_bootstrap,
    "percentile bootstrap": percentile_bootstrap,
}


def measure(
    rules: dict[str, Callable[[Matrix], tuple[float, float]]],
    experiments: int,
    num_seeds: int,
    num_examples: int,
    *,
    flips: float,
    effect: float,
    lean: float,
    seed_spread: float,
) -> dict[str, tuple[float, float]]:
    """Give coverage (percent) and mean half-width (points) of each rule."""
    rng = np.random.default_rng([num_seeds, num_examples, round(1e4 * flips), round(1e4 * effect)])
    hits = dict.fromkeys(rules, 0)
    widths = dict.fromkeys(rules, 0.0)
    for _ in range(experiments):
        difference = draw_differences(
            rng,
            num_seeds,
            num_examples,
            flips=flips,
            effect=effect,
            lean=lean,
            seed_spread=seed_spread,
        )
        for name, rule in rules.items():
            low, high = rule(difference)
            hits[name] += low <= effect <= high
            widths[name] += (high - low) / 2
    return {
        name: (100 * hits[name] / experiments, 100 * widths[name] / experiments) for name in rules
    }


def measure_looks(experiments: int, num_examples: int, *, flips: float) -> dict[str, float]:
    """Give how often (percent) some look at 20, 40 or 60 seeds excludes the truth, 0.5 points.

    That is what a wrong verdict takes: an interval on the wrong side of what it is compared with.
    """
    planned = plan_looks(20, 60, level=0.05)
    rules = {
        "planned": {look.seeds: look.level for look in planned},
        "not corrected": {look.seeds: 0.05 for look in planned},
        "one look": {60: 0.05},
    }
    rng = np.random.default_rng([num_examples, round(1e4 * flips)])
    wrong = dict.fromkeys(rules, 0)
    for _ in range(experiments):
        difference = draw_differences(rng, 60, num_examples, flips=flips, effect=0.005)
        intervals = {n: paired_interval(*as_arms(difference[:n])) for n in (20, 40, 60)}
        for name, levels in rules.items():
            at_level = [intervals[n].with_level(level) for n, level in levels.items()]
            wrong[name] += any(not look.low <= 0.005 <= look.high for look in at_level)
    return {name: 100 * count / experiments for name, count in wrong.items()}


def print_looks(experiments: int, examples: list[int]) -> None:
    """Print the table of looks as Markdown."""
    print(
        "| examples | flips | planned looks | not corrected | one look at 60 |\n" + "|---" * 5 + "|"
    )
    for num_examples, flips in itertools.product(examples, (0.03, 0.08)):
        cell = measure_looks(experiments, num_examples, flips=flips)
        shares = " | ".join(f"{share:.1f}" for share in cell.values())
        print(f"| {num_examples} | {flips} | {shares} |", flush=True)
    print(f"\nPercent of n = {experiments} experiments in which some look excludes the truth.")


def main() -> None:
    """Print the coverage table, or that of looks, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiments", type=int, default=3000)
    parser.add_argument("--examples", type=int, nargs="+", default=[500, 2000, 10000])
    parser.add_argument("--lean", type=float, default=0.7)
    parser.add_argument("--seed-spread", type=float, default=0.003)
    parser.add_argument("--comparators", action="store_true")
    parser.add_argument("--looks", action="store_true", help="adding seeds, instead of coverage")
    arguments = parser.parse_args()
    if arguments.looks:
        print_looks(arguments.experiments, arguments.examples)
        return
    rules = DEFAULT_RULES | (SLOW_RULES if arguments.comparators else {})
    started = time.perf_counter()
    print("| seeds | examples | flips | effect | " + " | ".join(rules) + " |")
    print("|---|---|---|---|" + "---|" * len(rules))
    for num_seeds, num_examples, flips, effect in itertools.product(
        (3, 5, 20), arguments.examples, (0.03, 0.08), (0.0, 0.005)
    ):
        cell = measure(
            rules,
            arguments.experiments,
            num_seeds,
            num_examples,
            flips=flips,
            effect=effect,
            lean=arguments.lean,
            seed_spread=arguments.seed_spread,
        )
        columns = " | ".join(f"{hit:.1f} (+-{width:.2f})" for hit, width in cell.values())
        print(f"| {num_seeds} | {num_examples} | {flips} | {effect} | {columns} |", flush=True)
    error = 100 * math.sqrt(0.05 * 0.95 / arguments.experiments)
    print(
        f"\nCoverage in percent (mean half-width in points); n = {arguments.experiments} "
        f"experiments a cell, binomial standard error {error:.1f}; "
        f"{time.perf_counter() - started:.0f} s."
    )


if __name__ == "__main__":
    main()
