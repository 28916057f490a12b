"""What the judged repetitions of `batch_and_rate.py` come to: losses, spreads, leads, and power."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_and_rate import (
    LABELS,
    ONE,
    PAIRS,
    REPETITIONS,
    TUNED,
    WAYS,
    Cell,
    Judged,
    Point,
    Way,
    read_judged,
)
from goodteacher.maths.statistics import Interval, crossed_interval, seeds_needed, simultaneous

FILE = Path(__file__).parent / "results/batch_and_rate.json"
MARGIN = 0.002
"""Differences below it do not matter: 0.2 points, as everywhere in the study."""

Json = dict[str, Any]
Shares = npt.NDArray[np.float64]
Chosen = Callable[[Judged], Cell | str]
"""Which students of a repetition are meant."""


def collected(out: Path) -> list[Json]:
    """Return a row for each data set of which repetitions are judged.

    Args:
        out: Folder of all studies.
    """
    rows = []
    for data in PAIRS:
        found = {n: read_judged(Point(data, n), out) for n in range(REPETITIONS)}
        judged = {n: each for n, each in found.items() if each is not None}
        if judged:
            rows.append(
                {"data": data, "repetitions": list(judged), **row_of(list(judged.values()))}
            )
    return rows


def row_of(judged: Sequence[Judged]) -> Json:
    """Return what is kept of a data set.

    Args:
        judged: Its repetitions.
    """
    spread, one = (spread_of(judged, way) for way in (TUNED, ONE))
    best = _best(TUNED)
    changed = crossed_interval(
        _difference(judged, _best(ONE), _worst(ONE)) - _difference(judged, best, _worst(TUNED))
    )
    return {
        "test": int(judged[0].right[LABELS].size),
        "labels": mean_of(judged, lambda each: LABELS),
        "ways": {way: _way(judged, way) for way in WAYS},
        "rate_takes_away": _told(changed),
        "over": {
            name: _told(crossed_interval(_difference(judged, best, reference)))
            for name, reference in REFERENCES.items()
        },
        "needed": {TUNED: needed(spread), ONE: needed(one)},
    }


REFERENCES: dict[str, Chosen] = {
    "converged": lambda each: each.choices.converged,
    "last": lambda each: each.choices.last,
    "labels": lambda each: LABELS,
}


def _way(judged: Sequence[Judged], way: Way) -> Json:
    """Return what is kept of a way to choose."""
    sizes = list(judged[0].choices.cells[way])
    lost = losses(judged, way)
    return {
        "sizes": {
            str(size): {
                "accuracy": mean_of(judged, lambda each, s=size: each.choices.cells[way][s]),
                "loss": _told(lost[size]),
                "cells": [list(each.choices.cells[way][size]) for each in judged],
            }
            for size in sizes
        },
        "best": [each.choices.best[way] for each in judged],
        "worst": [each.choices.worst[way] for each in judged],
        "spread": _told(spread_of(judged, way)),
    }


def losses(judged: Sequence[Judged], way: Way) -> dict[int, Interval]:
    """Return what each batch size loses against the one that was chosen, joint over batch sizes.

    Args:
        judged: The repetitions of a data set.
        way: What was tuned.
    """
    sizes = list(judged[0].choices.cells[way])
    each = [
        crossed_interval(
            _difference(judged, _best(way), lambda one, s=size: one.choices.cells[way][s])
        )
        for size in sizes
    ]
    return dict(zip(sizes, simultaneous(each), strict=True))


def spread_of(judged: Sequence[Judged], way: Way) -> Interval:
    """Return the accuracy with the best batch size minus that with the worst.

    Args:
        judged: The repetitions of a data set.
        way: What was tuned.
    """
    return crossed_interval(_difference(judged, _best(way), _worst(way)))


def mean_of(judged: Sequence[Judged], chosen: Chosen) -> float:
    """Return the accuracy of students in the mean over repetitions.

    Args:
        judged: The repetitions of a data set.
        chosen: Which students.
    """
    return float(np.mean([each.right[chosen(each)] for each in judged]))


def _best(way: Way) -> Chosen:
    return lambda each: each.choices.cells[way][each.choices.best[way]]


def _worst(way: Way) -> Chosen:
    return lambda each: each.choices.cells[way][each.choices.worst[way]]


def _difference(judged: Sequence[Judged], one: Chosen, other: Chosen) -> Shares:
    """Return by how much one kind of students is more often right, [repetitions, examples]."""
    return np.stack([each.right[one(each)] - each.right[other(each)] for each in judged])


def needed(seen: Interval) -> int | None:
    """Return the repetitions with which a true difference of `MARGIN` would be told from 0.

    Args:
        seen: A difference with the spread over the repetitions that there are.

    Returns:
        None of one repetition, and where the test examples alone leave too much doubt.
    """
    if not seen.covers_seeds:
        return None
    return seeds_needed(dataclasses.replace(seen, mean=MARGIN)).seeds


def _told(found: Interval) -> list[float]:
    """Return mean, low and high."""
    return [found.mean, found.low, found.high]
