"""What `patience_curve.py` found: docs/study-patience.md and its figure, made of committed rows.

python experiments/patience_curve_page.py
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from amount_of_data import PAIRS, settings_of_pair
from docs_pages import (
    DOCS,
    FIGURES,
    NOT_RUN,
    ResultsPage,
    Row,
    Rows,
    in_panels,
    points_series,
    still_to_run,
)
from goodteacher.records.words import percent
from pairs import NAMES
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

Status = Literal["matters", "does not matter", "undecided"]

TARGETS = {
    LABELS: "hard labels",
    SMOOTHING: "label smoothing",
    SPOT: "sweet-spot teacher",
    CONVERGED: "converged teacher",
}
NOTHING = Estimate(0.0, 0.0, 0.0)
"""The difference between students and themselves."""


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
    lines = [f"- {NAMES[data]}: {_said(rows, data)}" for data in PAIRS if budgets_of(rows, data)]
    return "\n".join(lines) if lines else NOT_RUN


def _said(rows: Rows, data: str) -> str:
    found, over = leads(rows, data), left(rows, data)
    first, last = min(found), max(found)
    later = f", and {found[last].text()} at {_times(last)}" * (last != first)
    return (
        f"**{_stopped(found, last)}.** Its lead over the converged teacher is "
        f"{found[first].text()} points at {_times(first)}{later}. Each at its best number of "
        f"steps, its students lead those of the converged teacher by {over[CONVERGED].text()} "
        f"points, those of hard labels by {over[LABELS].text()} and those of label smoothing by "
        f"{over[SMOOTHING].text()} (repetitions: {max(e.repetitions for e in found.values())}; up "
        f"to {last} of {BUDGETS[-1]} times the default)."
    )


def _stopped(found: Mapping[int, Estimate], last: int) -> str:
    stop = stops_at(found)
    if stop is not None:
        return f"The sweet spot does not matter from {_times(stop)} on"
    if status(found[last]) == "matters":
        return f"The sweet spot still matters at {_times(last)}"
    return "Undecided"


def _times(budget: int) -> str:
    return "the default number of steps" if budget == 1 else f"{budget} times the default"


def budgets_table(rows: Rows) -> str:
    """Show every budget of every data set."""
    head = [
        "data",
        "steps of students",
        *TARGETS.values(),
        "the two teachers",
        "lead",
        "the sweet spot",
    ]
    lines = [
        [
            NAMES[data],
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
    """Say which runs are still to come: one for each budget and repetition."""
    done = {data: sum(map(len, budgets_of(rows, data).values())) for data in PAIRS}
    return still_to_run(done, REPETITIONS * len(BUDGETS))


def pairs(rows: Rows) -> str:
    """Say who teaches whom."""
    head = ["data", "teacher", "student", "teacher's batch sizes", "teacher's epochs"]
    lines = []
    for data in PAIRS:
        of = settings_of_pair(data)
        sizes = ", ".join(map(str, of["batch_sizes"]))
        named = (f"`{of[name]}`" for name in ("teacher", "student"))
        lines.append([NAMES[data], *named, sizes, str(of["epochs"])])
    return table(head, lines)


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
            found.append(Panel(f"{NAMES[data]}\nrepetitions: {most}", series))
    return found


def _series(each: Mapping[int, Rows], family: str) -> Series:
    gains = [
        over_repetitions([_estimate(row["students"][family]["gain"]) for row in same])
        for same in each.values()
    ]
    return points_series(TARGETS[family], list(each), gains, LOOKS[family])


PAGE = ResultsPage(
    DOCS / "study-patience.md",
    FILE,
    {"answer": answer, "budgets": budgets_table, "missing": missing, "pairs": pairs},
    FIGURES / "patience_curve.svg",
    in_panels(
        panels_of,
        x="steps of the student, as multiples of the default",
        y="gain, points",
        log_x=2,
        from_zero=0.0,
    ),
)

if __name__ == "__main__":
    PAGE.write()
