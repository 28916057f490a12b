"""What `planted_truth.py` found: docs/study-planted-truth.md, made of the committed verdicts.

python experiments/planted_truth_page.py
"""

from __future__ import annotations

import json
import math
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from scipy import stats

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "benchmarks"))

from goodteacher.records.words import points  # noqa: E402
from pages import filled  # noqa: E402
from pairs import NAMES as TITLES  # noqa: E402
from panels import Panel, Series  # noqa: E402
from planted_responses import CASES, FAINT, KINDS, WRONG  # noqa: E402
from planted_truth import DRAWS, FILE, SEEDS, SHARES, SIZES  # noqa: E402
from summaries import table  # noqa: E402

PAGE = ROOT / "docs/study-planted-truth.md"
FIGURE = ROOT / "docs/figures/planted_truth.svg"
MOST_FALSE, LEAST_FOUND = 0.05, 0.9
HALF, NEAR = 0.005, (0.004, 0.006)
UNDERTRAINED, CLEARLY = 0.005, 0.01
BINS = (-math.inf, 0.0, 0.002, 0.004, 0.006, 0.01, math.inf)
"""Of the true gain, in the figure."""
VERDICTS = ("knowledge", "regularization", "no_gain", "inconclusive")

Row = Mapping[str, Any]
Found = Mapping[str, Sequence[Row]]
"""The draws of each data set."""


@dataclass(frozen=True)
class Share:
    """How often something happened.

    Attributes:
        count: How often.
        of: Out of how many.
    """

    count: int
    of: int

    @property
    def interval(self) -> tuple[float, float]:
        """The exact 95 % interval (Clopper-Pearson).

        Example:
            >>> [round(end, 3) for end in Share(0, 72).interval]
            [0.0, 0.05]
        """
        found = stats.binomtest(self.count, self.of).proportion_ci(method="exact")
        return float(found.low), float(found.high)

    def text(self) -> str:
        """Say it with its interval.

        Example:
            >>> Share(1, 40).text()
            '1 of 40, 2.5 % [0.1, 13.2]'
        """
        if not self.of:
            return "0 of 0"
        low, high = (100 * end for end in self.interval)
        return (
            f"{self.count} of {self.of}, {100 * self.count / self.of:.1f} % [{low:.1f}, {high:.1f}]"
        )

    def ruling(self, *, at_most: float | None = None, at_least: float | None = None) -> str:
        """Say whether a share lies on its side of a number; one of them is given.

        Example:
            >>> Share(0, 20).ruling(at_most=0.05), Share(36, 36).ruling(at_least=0.9)
            ('does not decide yet', 'holds')
        """
        if not self.of:
            return "does not decide yet"
        low, high = self.interval
        if at_most is not None:
            holds, fails = high <= at_most, low > at_most
        else:
            assert at_least is not None
            holds, fails = low >= at_least, high < at_least
        return "holds" if holds else "fails" if fails else "does not decide yet"


def verdicts(found: Found, seeds: int, data: str | None = None) -> list[Row]:
    """Return the verdicts of so many seeds on fully trained students, of one data set or of all."""
    return [
        {**row, "data": name, "draw": draw["draw"]}
        for name, draws in found.items()
        for draw in draws
        for row in draw["verdicts"]
        if row["seeds"] == seeds and data in (None, name)
    ]


def early(found: Found) -> list[Row]:
    """Return the verdicts on students of shorter trainings."""
    return [
        {**row, "data": name}
        for name, draws in found.items()
        for draw in draws
        for row in draw["early"]
    ]


def false_knowledge(rows: Sequence[Row]) -> Share:
    """Return how often responses without right similarity are called knowledge, by the rule."""
    null = [row for row in rows if row["kind"] in WRONG]
    return Share(sum(row["rule"] == "knowledge" for row in null), len(null))


def found_knowledge(rows: Sequence[Row], low: float = HALF, high: float = 1.0) -> Share:
    """Return how often knowledge is found where the true gain lies in a range."""
    some = [row for row in rows if low <= row["gain"] < high]
    return Share(sum(row["rule"] == "knowledge" for row in some), len(some))


def judged_all_the_same(rows: Sequence[Row], least: float) -> Share:
    """Return how often students are judged whom longer training makes better by so much."""
    some = [row for row in rows if row["patience"] > least]
    return Share(sum(row["verdict"] != "undertrained" for row in some), len(some))


# --- the page ------------------------------------------------------------------------------------


def answer(found: Found) -> str:
    """Answer by the three rules."""
    if not any(found.values()):
        return "*Not run yet.*"
    rows, default, few = early(found), SIZES[0], SIZES[1]
    said = [_first(found, default), _second(found, default), _third(found, rows)]
    less = verdicts(found, few)
    said.append(
        f"- *With {few} seeds a verdict* (the same students): false knowledge "
        f"{false_knowledge(less).text()}; found at half a point or more "
        f"{found_knowledge(less).text()}."
    )
    return "\n".join(said)


def _first(found: Found, seeds: int) -> str:
    rows = verdicts(found, seeds)
    share, faint = (false_knowledge(some) for some in (rows, [r for r in rows if _is_faint(r)]))
    wrong = {(r["data"], r["draw"], r["group"]) for r in rows if _is_false(r)}
    groups = {(r["data"], r["draw"], r["group"]) for r in rows}
    return (
        f"- **False `knowledge`, at most 5 %: {share.ruling(at_most=MOST_FALSE)}.** Where no right "
        f"similarity was left, the rule said knowledge in {share.text()} ({seeds} seeds; of faint "
        f"ones {faint.text()}; "
        f"{Share(len(wrong), len(groups)).text()} of the groups of students had such an error)."
    )


def _is_faint(row: Row) -> bool:
    return row["kind"] in FAINT


def _is_false(row: Row) -> bool:
    return row["kind"] in WRONG and row["rule"] == "knowledge"


def _second(found: Found, seeds: int) -> str:
    rows = verdicts(found, seeds)
    share = found_knowledge(rows)
    return (
        f"- **Found at half a point, at least 90 %: {share.ruling(at_least=LEAST_FOUND)}.** Where "
        f"the true gain was half a point or more, knowledge was found in {share.text()}; where it "
        f"was 0.4 to 0.6 points, in {found_knowledge(rows, *NEAR).text()}."
    )


def _third(found: Found, rows: Sequence[Row]) -> str:
    clear, all_of_them = (judged_all_the_same(rows, each) for each in (CLEARLY, UNDERTRAINED))
    whole = verdicts(found, SIZES[0])
    refused = Share(sum(row["verdict"] == "undertrained" for row in whole), len(whole))
    state = "holds so far" if not clear.count else "fails"
    return (
        f"- **Undertrained students never judged: {state}.** Students whom three times the epochs "
        f"made better by more than a point were judged in {clear.text()}; by more than half a "
        f"point, in {all_of_them.text()}. Of the verdicts on fully trained students "
        f"{refused.text()} were refused."
    )


def planted(found: Found) -> str:
    """Show what the rule said of each planted response."""
    head = ["data", "planted", "n", *(v.replace("_", " ") for v in VERDICTS), "refused"]
    head += ["similarity adds, points", "true gain, points"]
    lines = [
        _line(data, kind, rows)
        for data in CASES
        for kind in KINDS
        if (rows := [r for r in verdicts(found, SIZES[0], data) if r["kind"] == kind])
    ]
    return table(head, lines) if lines else "*Not run yet.*"


def _line(data: str, kind: str, rows: Sequence[Row]) -> list[str]:
    said = Counter(row["rule"] for row in rows)
    refused = sum(row["verdict"] == "undertrained" for row in rows)
    counts = [str(said[name]) for name in VERDICTS]
    true = [_ranged([row[name] for row in rows]) for name in ("knowledge", "gain")]
    return [TITLES[data], f"`{kind}`", str(len(rows)), *counts, str(refused), *true]


def _ranged(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{points(statistics.fmean(values))} ({points(low)} to {points(high)})"


def budgets(found: Found) -> str:
    """Show what became of students of shorter trainings."""
    head = ["data", "epochs", "n", "refused", "three times the epochs add, points (range)"]
    head += ["more than a point to gain, judged", "the rule alone would say knowledge of a null"]
    lines = []
    for data, share in ((data, share) for data in CASES for share in SHARES if found.get(data)):
        rows = [r for r in early(found) if (r["data"], r["share"]) == (data, share)]
        epochs = max(1, round(CASES[data].training.epochs / share))
        refused = sum(row["verdict"] == "undertrained" for row in rows)
        patience = _ranged([row["patience"] for row in rows])
        judged = judged_all_the_same(rows, CLEARLY)
        null = false_knowledge(rows)
        which = [TITLES[data], f"{epochs} (1/{share})", str(len(rows)), str(refused), patience]
        lines.append([*which, f"{judged.count} of {judged.of}", f"{null.count} of {null.of}"])
    return table(head, lines) if lines else "*Not run yet.*"


def missing(found: Found) -> str:
    """Say how much has been run."""
    counts = [f"{TITLES[data]} {len(found.get(data, ()))} of {DRAWS} draws" for data in CASES]
    return (
        f"Run so far: {', '.join(counts)}; a draw has {SEEDS} student seeds. The command goes on "
        "where it stopped."
    )


def setting(_: Found) -> str:
    """Say who teaches whom."""
    head = ["data", "teacher, of how many examples", "student", "learns from", "T", "training"]
    head += ["test examples of a verdict", "`less`, `more` keep"]
    lines = [
        [
            TITLES[data],
            f"`{case.teacher}`, {case.taught:,}",
            f"`{case.student}`",
            f"{case.transfer:,}",
            f"{case.temperature:g}",
            str(case.training),
            f"{case.block:,}",
            ", ".join(f"{100 * share:g} %" for share in case.shares),
        ]
        for data, case in CASES.items()
    ]
    return table(head, lines)


PLACES: Mapping[str, Callable[[Found], str]] = {
    "answer": answer,
    "planted": planted,
    "budgets": budgets,
    "missing": missing,
    "setting": setting,
}


def page_of(text: str, found: Found) -> str:
    """Return the page with every place filled anew."""
    return filled(text, lambda name: PLACES[name](found))


def panels_of(found: Found) -> list[Panel]:
    """Return a panel for each data set: how often the rule says knowledge, over the true gain."""
    return [
        Panel(TITLES[data], [_series(verdicts(found, seeds, data), seeds) for seeds in SIZES])
        for data in CASES
        if found.get(data)
    ]


def _series(rows: Sequence[Row], seeds: int) -> Series:
    bins = [[r for r in rows if low <= r["gain"] < high] for low, high in pairwise(BINS)]
    some = [each for each in bins if each]
    shares = [found_knowledge(each, -math.inf, math.inf) for each in some]
    return Series(
        f"{seeds} seeds",
        [100 * statistics.fmean(row["gain"] for row in each) for each in some],
        [100 * share.count / share.of for share in shares],
        [100 * share.interval[0] for share in shares],
        [100 * share.interval[1] for share in shares],
    )


def main() -> None:
    found = json.loads(FILE.read_text())
    PAGE.write_text(page_of(PAGE.read_text(), found))
    from figures import Kind, draw  # needs Matplotlib: the extra bench

    kind = Kind(lambda _: [], "true gain, points", "called knowledge, %")
    draw(kind, panels_of(found), FIGURE)


if __name__ == "__main__":
    main()
