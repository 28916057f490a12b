"""What `batch_and_rate.py` found: docs/study-batch-and-rate.md and its figure, from committed rows.

python experiments/batch_and_rate_page.py
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from batch_and_rate import (
    COLD,
    COLD_ONE,
    GROUP,
    ONE,
    PAIRS,
    REPETITIONS,
    TUNED,
    WAYS,
    Point,
    config_of,
)
from batch_and_rate_results import FILE, MARGIN
from docs_pages import NOT_RUN
from goodteacher.records.words import listed, percent
from pairs import NAMES as OTHERS
from panels import Panel, Series
from summaries import in_points, table

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "benchmarks"))

from pages import filled  # noqa: E402  (it fills the pages of the benchmarks, too)

PAGE, FIGURE = ROOT / "docs/study-batch-and-rate.md", ROOT / "docs/figures/batch_and_rate.svg"

Row = Mapping[str, Any]
Rows = Sequence[Row]
Ends = Sequence[float]
"""Mean, low and high of a difference."""

TITLES = {**OTHERS, "cifar100": "CIFAR-100"}
NAMES = {
    TUNED: "everything tuned",
    ONE: "one learning rate",
    COLD: "T = 1",
    COLD_ONE: "T = 1, one learning rate",
}


def main() -> None:
    rows = json.loads(FILE.read_text())
    PAGE.write_text(page_of(PAGE.read_text(), rows))
    from figures import Kind, draw  # needs Matplotlib: the extra bench

    words = "teacher's batch size", "students, points below the best batch size"
    draw(Kind(lambda _: [], *words, log_x=2, from_zero=0.0), panels_of(rows), FIGURE)


def page_of(text: str, rows: Rows) -> str:
    """Return the page with every place filled anew."""
    return filled(text, lambda name: PLACES[name](rows))


# --- the rules -----------------------------------------------------------------------------------


def enough(row: Row) -> bool:
    """Say whether a data set has a whole group of repetitions: with fewer, nothing is decided."""
    return len(row["repetitions"]) >= GROUP


def loss_status(loss: Ends) -> str:
    """Say what rule 1 makes of a batch size's loss.

    Example:
        >>> loss_status([0.01, 0.005, 0.015]), loss_status([0, -0.001, 0.001])
        ('worse', 'as good')
    """
    _, low, high = loss
    if low > 0:
        return "worse"
    return "as good" if high < MARGIN else "undecided"


def way_status(row: Row, way: str) -> str:
    """Say what rule 2 makes of a way to choose.

    Args:
        row: A data set's.
        way: One of `WAYS`.
    """
    if not enough(row):
        return "undecided"
    sizes = row["ways"][way]["sizes"]
    statuses = {int(size): loss_status(of["loss"]) for size, of in sizes.items()}
    left = [size for size, status in statuses.items() if status != "worse"]
    if len(left) == 1:
        inside = min(statuses) < left[0] < max(statuses)
        return f"{'sweet spot' if inside else 'best batch size'}: {left[0]}"
    if all(status == "as good" for status in statuses.values()):
        return "no best batch size"
    return "some are worse" if "worse" in statuses.values() else "undecided"


def rate_explains(row: Row) -> str:
    """Say what rule 3 makes of the two spreads: whether the learning rate explains the effect.

    Args:
        row: A data set's.
    """
    one, tuned = (row["ways"][way]["spread"] for way in (ONE, TUNED))
    if not enough(row):
        return "undecided"
    if one[1] > 0 and tuned[2] < MARGIN and row["rate_takes_away"][1] > 0:
        return "yes"
    return "no" if tuned[1] > 0 else "undecided"


def lead_status(lead: Ends) -> str:
    """Say what rule 4 makes of a lead.

    Example:
        >>> [lead_status(e) for e in ([0.01, 0.005, 0.015], [0, -0.01, 0.001], [0, -0.01, 0.01])]
        ['yes', 'no', 'undecided']
    """
    mean, low, high = lead
    if low > 0 and mean >= MARGIN:
        return "yes"
    return "no" if high < MARGIN else "undecided"


# --- the page ------------------------------------------------------------------------------------


def answer(rows: Rows) -> str:
    """Return the sentences that open the page."""
    told = [_answer(row) for row in rows if enough(row)]
    if not told:
        told = [
            "**Whether there is a best batch size once the learning rate is tuned for each is not "
            f"known yet**: no data set has {GROUP} repetitions.\n"
        ]
    return "\n".join([*told, *(_begun(row) for row in rows if not enough(row))]).strip()


def _answer(row: Row) -> str:
    """Say of a data set what the batch size is worth, and what is left of the sweet spot."""
    tuned, one = (row["ways"][way] for way in (TUNED, ONE))
    return (
        f"- **{TITLES[row['data']]}: with the learning rate tuned for each batch size, the best "
        f"batch size is {_points(tuned['spread'])} points above the worst "
        f"({way_status(row, TUNED)})**; with one learning rate for all it is "
        f"{_points(one['spread'])} ({way_status(row, ONE)}). Does the learning rate explain the "
        f"effect of the batch size: {rate_explains(row)}. With every axis tuned the best teacher "
        f"leads the converged one by {_lead(row, 'converged')}, the best last epoch by "
        f"{_lead(row, 'last')}. n = {len(row['repetitions'])} teacher seeds."
    )


def _begun(row: Row) -> str:
    return f"- {TITLES[row['data']]}: {len(row['repetitions'])} of {GROUP} repetitions are judged."


def _lead(row: Row, reference: str) -> str:
    lead = row["over"][reference]
    return f"{_points(lead)} points ({lead_status(lead)})"


def _points(ends: Ends) -> str:
    mean, low, high = ends
    return in_points(mean, low, high)


def sizes_table(rows: Rows) -> str:
    """Show what each batch size reaches and loses, for each way to choose."""
    head = [
        "data",
        "tuned",
        "batch size",
        "chosen teachers",
        "students, %",
        "loss, points",
        "it is",
    ]
    lines = [
        [
            TITLES[row["data"]] if first else "",
            NAMES[way] if first else "",
            size,
            _chosen(of["cells"]),
            percent(of["accuracy"]),
            _points(of["loss"]),
            loss_status(of["loss"]) if enough(row) else "undecided",
        ]
        for row in rows
        for way in WAYS
        for first, (size, of) in _firsts(row["ways"][way]["sizes"])
    ]
    return table(head, lines) if lines else NOT_RUN


def _firsts(sizes: Mapping[str, Any]) -> list[tuple[bool, tuple[str, Any]]]:
    """Mark the first of several."""
    return [(not number, each) for number, each in enumerate(sizes.items())]


def _chosen(cells: Sequence[Sequence[float]]) -> str:
    """Name the learning rates, epochs and temperatures that the repetitions were given."""
    rates, epochs, temperatures = (sorted({cell[axis] for cell in cells}) for axis in (1, 2, 3))

    def several(values: Sequence[float]) -> str:
        return " or ".join(f"{value:g}" for value in values)

    return f"lr {several(rates)}, epoch {several(epochs)}, T {several(temperatures)}"


def spreads_table(rows: Rows) -> str:
    """Show the spread of each way, and how many teacher seeds would decide."""
    head = ["data", *NAMES.values(), "what tuning the rate takes away", "seeds for 0.2 points", "n"]
    lines = [
        [
            TITLES[row["data"]],
            *(_points(row["ways"][way]["spread"]) for way in WAYS),
            _points(row["rate_takes_away"]),
            ", ".join(_needed(row["needed"][way]) for way in (TUNED, ONE)),
            str(len(row["repetitions"])),
        ]
        for row in rows
    ]
    return table(head, lines) if lines else NOT_RUN


def _needed(repetitions: int | None) -> str:
    return "no number would do" if repetitions is None else str(repetitions)


def pairs(rows: Rows) -> str:
    """Say who teaches whom, over which axes."""
    head = ["data", "teacher", "student", "batch sizes", "learning rates", "epochs", "temperatures"]
    lines = []
    for data in PAIRS:
        config = config_of(Point(data, 0), data, {})
        axes = (
            config.batch_sizes,
            config.learning_rates,
            config.recorded_epochs,
            config.temperatures,
        )
        named = (f"`{name}`" for name in (config.teacher, config.student))
        values = (", ".join(f"{value:g}" for value in axis) for axis in axes)
        lines.append([TITLES[data], *named, *values])
    return table(head, lines)


def missing(rows: Rows) -> str:
    """Say what has not been run."""
    done = {row["data"]: len(row["repetitions"]) for row in rows}
    left = [
        f"{TITLES[data]} ({REPETITIONS - done.get(data, 0)} of {REPETITIONS})"
        for data in PAIRS
        if done.get(data, 0) < REPETITIONS
    ]
    return f"Repetitions of {listed(left)}." if left else "Nothing: all has been run."


PLACES = {
    "answer": answer,
    "sizes": sizes_table,
    "spreads": spreads_table,
    "pairs": pairs,
    "missing": missing,
}


# --- the figure ----------------------------------------------------------------------------------


def panels_of(rows: Rows) -> list[Panel]:
    """Return a panel for each data set: what batch sizes lose, a line for each way to choose."""
    return [
        Panel(
            f"{TITLES[row['data']]}\nteacher seeds: {len(row['repetitions'])}",
            [_series(row["ways"][way]["sizes"], way) for way in WAYS],
        )
        for row in rows
    ]


def _series(sizes: Mapping[str, Any], way: str) -> Series:
    lost = [[-100 * end for end in of["loss"]] for of in sizes.values()]
    return Series(
        NAMES[way],
        list(map(float, sizes)),
        [mean for mean, _, _ in lost],
        [high for _, _, high in lost],
        [low for _, low, _ in lost],
        "line" if way in (TUNED, COLD) else "dashed",
    )


if __name__ == "__main__":
    main()
