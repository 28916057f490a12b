"""The runs of a study as an axis: which attributes tell them apart, and what each is called.

Runs that differ by nothing but their batch size stand together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from goodteacher.config import Run, group_of, run_order, shown_attribute

_FIRST = ("batch_size", "learning_rate", "seed")


@dataclass(frozen=True)
class RunAxis:
    """Runs in order.

    Attributes:
        runs: Every run, in order.
    """

    runs: tuple[Run, ...]

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The attributes that vary, in words; the run's name where they do not tell runs apart."""
        words = tuple(_words(name) for name in self._varying)
        told = {tuple(map(run.attributes.get, self._varying)) for run in self.runs}
        known = all(name in run.attributes for run in self.runs for name in self._varying)
        return words if words and known and len(told) == len(self.runs) else ("run", *words)

    def cells(self, run: Run) -> tuple[str, ...]:
        """Return what the columns say of a run."""
        shown = tuple(_shown(run, name) for name in self._varying)
        return (run.name, *shown) if self.columns[0] == "run" else shown

    @property
    def title(self) -> str:
        """What the axis is of: the one attribute that tells runs apart, or else the run."""
        return self.columns[0] if len(self.columns) == 1 else "run"

    def label(self, run: Run) -> str:
        """Return what a run is called on the axis."""
        return self.cells(run)[0] if len(self.columns) == 1 else run.name

    def named(self, run: Run) -> str:
        """Return what a run is called where the axis is not named beside it."""
        return f"{self.title} {self.label(run)}" if self.title != "run" else run.name

    @property
    def breaks(self) -> tuple[int, ...]:
        """Places of runs before which another group begins; none where groups are single runs."""
        groups = [group_of(run) for run in self.runs]
        if len(set(groups)) == len(groups):
            return ()
        return tuple(n for n in range(1, len(groups)) if groups[n] != groups[n - 1])

    @cached_property
    def _varying(self) -> tuple[str, ...]:
        """Names of the attributes that vary; where none does, the batch size if it is known."""
        every = {name for run in self.runs for name in run.attributes}
        ordered = [*(name for name in _FIRST if name in every), *sorted(every - set(_FIRST))]
        values = {n: {r.attributes[n] for r in self.runs if n in r.attributes} for n in ordered}
        varying = [name for name in ordered if len(values[name]) > 1]
        known = [name for name in ordered if name == "batch_size"]
        return tuple(varying or known)


def axis_of(runs: Iterable[Run]) -> RunAxis:
    """Return the axis of some runs; of those of one name the first counts."""
    known: dict[str, Run] = {}
    for run in runs:
        known.setdefault(run.name, run)
    return RunAxis(tuple(sorted(known.values(), key=run_order)))


def place_of(runs: Sequence[Run], name: str) -> int:
    """Return the place of a run of a name, past the last one where there is none."""
    return next((n for n, run in enumerate(runs) if run.name == name), len(runs))


def _words(name: str) -> str:
    return name.replace("_", " ")


def _shown(run: Run, name: str) -> str:
    value = run.attributes.get(name)
    return "-" if value is None else shown_attribute(value)
