"""Runs of a teacher: each has a name, and attributes that say how it differs from the others.

A teacher is one recorded epoch of one run, so a run's name is in every result. Names are short
where little varies: `batch 32` where one learning rate and one seed are tried, `batch 32 lr 0.003`,
`batch 32 seed 1` or `batch 32 lr 0.003 seed 1` where several are.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from pydantic import Field

from goodteacher.config.values import Frozen

Attribute = int | float | str
"""What is noted of a run: a batch size, a learning rate, a seed, or whatever its owner noted."""


class Run(Frozen):
    """One training of a teacher."""

    name: str
    attributes: dict[str, Attribute] = Field(
        default={},
        description="batch_size, learning_rate, seed, or anything else that was noted for the run",
    )


class PlannedRun(Frozen):
    """A run that a study trains."""

    name: str
    batch_size: int
    learning_rate: float = Field(description="at reference_batch_size")
    seed: int

    @property
    def run(self) -> Run:
        """The run, as results describe it."""
        return Run(name=self.name, attributes=self.model_dump(exclude={"name"}))


def planned_runs(
    batch_sizes: Sequence[int], learning_rates: Sequence[float], seeds: Sequence[int]
) -> tuple[PlannedRun, ...]:
    """Return a run for each combination; the batch size changes first.

    Args:
        batch_sizes: One or more.
        learning_rates: One or more; only where there are several do names tell them.
        seeds: The same of the teacher's seeds.

    Example:
        >>> [run.name for run in planned_runs([32, 128], [0.001], [0, 1])]
        ['batch 32 seed 0', 'batch 128 seed 0', 'batch 32 seed 1', 'batch 128 seed 1']
    """
    return tuple(
        PlannedRun(
            name=_name(
                size,
                rate if len(learning_rates) > 1 else None,
                seed if len(seeds) > 1 else None,
            ),
            batch_size=size,
            learning_rate=rate,
            seed=seed,
        )
        for rate, seed, size in product(learning_rates, seeds, batch_sizes)
    )


def runs_of_other_batches(
    runs: Sequence[PlannedRun], name: str, *, larger: bool
) -> tuple[str, ...]:
    """Return the runs that differ from one by a larger or smaller batch alone, larger ones first.

    Args:
        runs: All runs of a study.
        name: The one.
        larger: Whether those of larger batches are wanted, or those of smaller ones.
    """
    (own,) = (run for run in runs if run.name == name)
    found = [
        run
        for run in runs
        if (run.learning_rate, run.seed) == (own.learning_rate, own.seed)
        and run.batch_size != own.batch_size
        and (run.batch_size > own.batch_size) == larger
    ]
    return tuple(run.name for run in sorted(found, key=lambda run: run.batch_size, reverse=True))


def _name(batch_size: int, learning_rate: float | None, seed: int | None) -> str:
    rate = "" if learning_rate is None else f" lr {shown_attribute(learning_rate)}"
    return f"batch {batch_size}{rate}{'' if seed is None else f' seed {seed}'}"


def shown_attribute(value: Attribute) -> str:
    """Write an attribute with all its digits, so that what differs reads differently.

    Example:
        >>> shown_attribute(0.003), shown_attribute(1.0), shown_attribute(32)
        ('0.003', '1', '32')
    """
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def in_words(run: str) -> str:
    """Write a run's name as a sentence says it.

    Example:
        >>> in_words("batch 32 lr 0.003"), in_words("night of the 3rd")
        ('batch size 32 lr 0.003', 'night of the 3rd')
    """
    return f"batch size {run.removeprefix('batch ')}" if run.startswith("batch ") else run


def run_order(run: Run) -> tuple[object, ...]:
    """Return where a run stands among others, as a key to sort by.

    Runs that differ by nothing but their batch size stand together, smaller ones first.

    Example:
        >>> some = [planned.run for planned in planned_runs([128, 32], [0.01, 0.001], [0])]
        >>> [run.name for run in sorted(some, key=run_order)][:3]
        ['batch 32 lr 0.001', 'batch 128 lr 0.001', 'batch 32 lr 0.01']
    """
    return (*group_of(run), _place(run.attributes.get("batch_size")), run.name)


def group_of(run: Run) -> tuple[object, ...]:
    """Return what runs share that differ by nothing but their batch size."""
    known = {name: _place(value) for name, value in run.attributes.items() if name != "batch_size"}
    first = [known.pop(name, _place(None)) for name in ("learning_rate", "seed")]
    return (*first, tuple(sorted(known.items())))


def _place(value: Attribute | None) -> tuple[int, float, str]:
    """Order values of several types: what is missing, numbers, words."""
    if value is None:
        return (0, 0.0, "")
    return (2, 0.0, value) if isinstance(value, str) else (1, float(value), "")
