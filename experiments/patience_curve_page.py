"""What `patience_curve.py` found: docs/study-patience.md and its figure, made of committed rows.

python experiments/patience_curve_page.py
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from amount_of_data import PAIRS, settings_of_pair
from amount_of_data_page import NOT_RUN, TITLES
from goodteacher.records.words import listed, percent
from panels import Look, Panel, Series
from patience_curve import (
    BUDGETS,
    CONVERGED,
    FAMILIES,
    FILE,
    LABELS,
    MARGIN,
    REPETITIONS,
    SMOOTHING,
    SPOT,
)
from repeated import Estimate, over_repetitions
from summaries import table

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "benchmarks"))

from pages import filled  # noqa: E402  (it fills the pages of the benchmarks, too)

PAGE, FIGURE = ROOT / "docs/study-patience.md", ROOT / "docs/figures/patience_curve.svg"

Row = Mapping[str, Any]
Rows = Sequence[Row]
Status = Literal["matters", "does not matter", "undecided"]

NAMES = {
    LABELS: "hard labels",
    SMOOTHING: "label smoothing",
    SPOT: "sweet-spot teacher",
    CONVERGED: "converged teacher",
}
NOTHING = Estimate(0.0, 0.0, 0.0)
"""The difference between students and themselves."""


def main() -> None:
    rows = json.loads(FILE.read_text())
    PAGE.write_text(page_of(PAGE.read_text(), rows))
    from figures import Kind, draw  # needs Matplotlib: the extra bench

    words = "student's steps, in multiples of the default", "gain, points"
    draw(Kind(lambda _: [], *words, log_x=2, from_zero=0.0), panels_of(rows), FIGURE)


def page_of(text: str, rows: Rows) -> str:
    """Return the page with every place filled anew."""
    return filled(text, lambda name: PLACES[name](rows))


# --- what the rows come to -------------------------------------------------------------------


def budgets_of(rows: Rows, data: str) -> dict[int, list[Row]]:
    """Return what was measured of a data set by budget, one row for each repetition."""
    found = [each for row in rows if row["data"] == data for each in row["budgets"]]
    return {
        budget: same
        for budget in BUDGETS
        if (same := [each for each in found if each["budget"] == budget])
    }


def leads(rows: Rows, data: str) -> dict[int, Estimate]:
    """Return the sweet spot's lead over the converged teacher at each budget."""
    found = budgets_of(rows, data)
    return {
        budget: over_repetitions([_estimate(e["lead"]) for e in each], comparisons=len(found))
        for budget, each in found.items()
    }


def _estimate(ends: Sequence[float] | None) -> Estimate:
    return NOTHING if ends is None else Estimate(*ends)


def status(lead: Estimate) -> Status:
    """Say whether the sweet spot matters at a budget, by the rule of `patience_curve.py`.

    Example:
        >>> status(Estimate(0.01, 0.005, 0.015)), status(Estimate(0.0, -0.001, 0.001))
        ('matters', 'does not matter')
    """
    if lead.high < MARGIN:
        return "does not matter"
    return "matters" if lead.low > 0 else "undecided"


def stops_at(found: Mapping[int, Estimate]) -> int | None:
    """Return the smallest budget from which on the sweet spot does not matter; None of none.

    Args:
        found: The lead at each budget.
    """
    stop = None
    for budget in sorted(found, reverse=True):
        if status(found[budget]) != "does not matter":
            break
        stop = budget
    return stop


def left(rows: Rows, data: str) -> dict[str, Estimate]:
    """Return the sweet spot's lead over each other family, all at their best budgets."""
    found = [row["left"] for row in rows if row["data"] == data]
    return {
        name: over_repetitions([_estimate(each[name]) for each in found], comparisons=3)
        for name in FAMILIES
        if found and name != SPOT
    }


# --- the page ----------------------------------------------------------------------------------


def answer(rows: Rows) -> str:
    """Say for each data set when the sweet spot stops mattering, and what is left of it."""
    lines = [f"- {TITLES[data]}: {_said(rows, data)}" for data in PAIRS if budgets_of(rows, data)]
    return "\n".join(lines) if lines else NOT_RUN


def _said(rows: Rows, data: str) -> str:
    found, over = leads(rows, data), left(rows, data)
    repetitions = max(each.repetitions for each in found.values())
    last = max(found)
    ends = "".join(f", at {b} times {found[b].text()}" for b in (last,) if b != min(found))
    return (
        f"**{_stopped(found, last)}** (lead at {_times(min(found))} {found[min(found)].text()} "
        f"points{ends}). With each at its best budget the "
        f"sweet spot's students are {over[CONVERGED].text()} points ahead of the converged "
        f"teacher's, {over[LABELS].text()} of hard labels', {over[SMOOTHING].text()} of label "
        f"smoothing's. Repetitions: {repetitions}; budgets up to {last} of {BUDGETS[-1]}."
    )


def _stopped(found: Mapping[int, Estimate], last: int) -> str:
    stop = stops_at(found)
    if stop is not None:
        return f"the sweet spot does not matter from {_times(stop)} on"
    if status(found[last]) == "matters":
        return f"the sweet spot still matters at {_times(last)}"
    return "undecided"


def _times(budget: int) -> str:
    return "the default budget" if budget == 1 else f"{budget} times the default budget"


def budgets_table(rows: Rows) -> str:
    """Show every budget of every data set."""
    head = ["data", "steps", *NAMES.values(), "sweet spot, converged", "lead", "the sweet spot"]
    lines = [
        [
            TITLES[data],
            f"{budget} x",
            *(percent(_mean(each, name)) for name in FAMILIES),
            "; ".join(map(_teachers, each)),
            lead.text(),
            status(lead),
        ]
        for data in PAIRS
        for (budget, each), lead in zip(
            budgets_of(rows, data).items(), leads(rows, data).values(), strict=True
        )
    ]
    return table(head, lines) if lines else NOT_RUN


def _mean(each: Rows, family: str) -> float:
    return math.fsum(row["students"][family]["test"] for row in each) / len(each)


def _teachers(row: Row) -> str:
    """Name both teachers, each with its temperature."""
    both = (row["students"][name] for name in (SPOT, CONVERGED))
    return ", ".join(f"{one['source']} at T = {one['temperature']:g}" for one in both)


def missing(rows: Rows) -> str:
    """Say which budgets have not been run."""
    lines = []
    for data in PAIRS:
        done = {budget: len(each) for budget, each in budgets_of(rows, data).items()}
        open_ = [f"{b} x ({REPETITIONS - done.get(b, 0)})" for b in BUDGETS]
        open_ = [
            said for b, said in zip(BUDGETS, open_, strict=True) if done.get(b, 0) < REPETITIONS
        ]
        if open_:
            lines.append(f"- {TITLES[data]}: {listed(open_)}.")
    return "\n".join(lines) if lines else "Nothing: all has been run."


def pairs(rows: Rows) -> str:
    """Say who teaches whom."""
    head = ["data", "teacher", "student", "teacher's batch sizes", "teacher's epochs"]
    lines = []
    for data in PAIRS:
        of = settings_of_pair(data)
        sizes = ", ".join(map(str, of["batch_sizes"]))
        named = (f"`{of[name]}`" for name in ("teacher", "student"))
        lines.append([TITLES[data], *named, sizes, str(of["epochs"])])
    return table(head, lines)


PLACES = {"answer": answer, "budgets": budgets_table, "missing": missing, "pairs": pairs}


# --- the figure --------------------------------------------------------------------------------


LOOKS: Mapping[str, Look] = {LABELS: "line", SMOOTHING: "line", SPOT: "line", CONVERGED: "dashed"}


def panels_of(rows: Rows) -> list[Panel]:
    """Return a panel for each data set: gains in points over the budget."""
    found = []
    for data in PAIRS:
        each = budgets_of(rows, data)
        if each:
            most = max(map(len, each.values()))
            series = [_series(each, family) for family in FAMILIES]
            found.append(Panel(f"{TITLES[data]}\nrepetitions: {most}", series))
    return found


def _series(each: Mapping[int, Rows], family: str) -> Series:
    gains = [
        over_repetitions([_estimate(row["students"][family]["gain"]) for row in same])
        for same in each.values()
    ]
    return Series(
        NAMES[family],
        list(each),
        [100 * gain.mean for gain in gains],
        [100 * gain.low for gain in gains],
        [100 * gain.high for gain in gains],
        LOOKS[family],
    )


if __name__ == "__main__":
    main()
