"""Delivered students of several studies, compared on the test examples that they share.

A difference is paired only where it is honest: both studies tested on the same examples (the data
have one fingerprint and the test split the same ids, in one order), and they share seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from goodteacher.maths.statistics import Interval, paired_interval, simultaneous
from goodteacher.records import ComparedStudy, PairedDifference, listed
from goodteacher.studies import CONFIRMED_FILE, Store


@dataclass(frozen=True)
class Confirmed:
    """Who of a study's delivered students is right on the test split.

    Attributes:
        study: The study.
        right: Bool ``[num_seeds, num_examples]``.
        seeds: Of the students, in the order of the rows.
        ids: Of the test examples, in the order of the columns.
    """

    study: ComparedStudy
    right: npt.NDArray[np.bool_]
    seeds: tuple[int, ...]
    ids: tuple[int, ...]

    def at(self, seeds: Sequence[int]) -> npt.NDArray[np.bool_]:
        """Return the rows of some seeds."""
        return self.right[[self.seeds.index(seed) for seed in seeds]]


def paired_differences(
    stores: Sequence[Store], studies: Sequence[ComparedStudy]
) -> tuple[tuple[PairedDifference, ...], tuple[str, ...]]:
    """Return each study minus the first one on the same data, and why others are not paired.

    Args:
        stores: Where the studies are.
        studies: What they found, in the same order.

    Returns:
        The differences, and a sentence for each reason why there are not more.
    """
    firsts: dict[str, Confirmed] = {}
    pairs: list[tuple[Confirmed, Confirmed, Interval]] = []
    reasons: list[str] = []
    not_kept: list[str] = []
    for store, study in zip(stores, studies, strict=True):
        if not study.finished:
            continue
        confirmed = read_confirmed(store, study)
        if confirmed is None:
            not_kept.append(study.name)
            continue
        first = firsts.setdefault(study.fingerprint, confirmed)
        if first is confirmed:
            continue
        if problem := _unlike(first, confirmed):
            reasons.append(problem)
            continue
        pairs.append((confirmed, first, _interval(confirmed, first)))
    if not_kept:
        reasons.append(_not_kept(not_kept))
    return tuple(_written(pairs)), tuple(reasons)


def read_confirmed(store: Store, study: ComparedStudy) -> Confirmed | None:
    """Read who of the delivered students is right; None where a study did not keep it."""
    if not store.exists(CONFIRMED_FILE):
        return None
    found = store.read_tensors(CONFIRMED_FILE)
    if study.delivered not in found:
        return None
    return Confirmed(
        study,
        found[study.delivered].numpy().astype(bool),
        tuple(found["seeds"].tolist()),
        tuple(found["ids"].tolist()),
    )


def _unlike(first: Confirmed, other: Confirmed) -> str:
    """Say why two studies of the same data are not paired; nothing where they are."""
    names = f"{first.study.name} and {other.study.name}"
    if first.ids != other.ids:
        return f"{names} are not paired: they tested on different examples."
    if not set(first.seeds) & set(other.seeds):
        return f"{names} are not paired: their students have no seed in common."
    return ""


def _not_kept(names: Sequence[str]) -> str:
    return (
        f"Not paired with others: {listed(names)}, finished by a version that did not keep which "
        "test examples the students are right about."
    )


def _interval(one: Confirmed, other: Confirmed) -> Interval:
    shared = [seed for seed in one.seeds if seed in other.seeds]
    return paired_interval(one.at(shared), other.at(shared), level=other.study.level)


def _written(
    pairs: Sequence[tuple[Confirmed, Confirmed, Interval]],
) -> Iterator[PairedDifference]:
    if not pairs:
        return
    single = [interval for _, _, interval in pairs]
    joint = simultaneous(single, level=max(interval.level for interval in single))
    for (one, other, interval), wide in zip(pairs, joint, strict=True):
        yield PairedDifference(
            study=one.study.name,
            minus=other.study.name,
            difference=interval.mean,
            interval=(interval.low, interval.high),
            joint_interval=(wide.low, wide.high),
            num_seeds=interval.n_seeds,
            num_test=interval.n_examples,
        )
