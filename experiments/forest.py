"""Differences with their intervals, a line for each pair: what they are, and how they are drawn.

Two figures of the story: what the sweet spot's students gain over those without a teacher, and how
far they lead those of the converged teacher, before and after students were tuned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from left_of_lead import LeftOfLead
from outcomes import Lead, lead_of
from pairs import NAMES, Pair

WORTH = {"cross_entropy": "over hard labels", "label_smoothing": "over label smoothing"}
UNTUNED, TUNED = "untuned students", "tuned students"

LOOKS: Mapping[str, Mapping[str, Any]] = {
    WORTH["cross_entropy"]: {"color": "#0072B2", "marker": "s"},
    WORTH["label_smoothing"]: {"color": "#D55E00", "marker": "^"},
    UNTUNED: {"color": "#6B6B6B", "marker": "o", "markerfacecolor": "white"},
    TUNED: {"color": "#0072B2", "marker": "D"},
}
WIDTH, ROW, TITLE = 5.2, 0.25, 0.32
"""Inches: as wide as a page on a phone can show in letters of 9 pixels."""


@dataclass(frozen=True)
class Line:
    """A pair.

    Attributes:
        name: Teacher, student, and how much of the data the student saw.
        marks: What is drawn: what the legend calls it, and the difference.
        note: What stands at its end.
    """

    name: str
    marks: Sequence[tuple[str, Lead]]
    note: str = ""


Groups = Mapping[str, Sequence[Line]]
"""The lines of each data set, by what a reader calls it."""


def worth(study: Sequence[Pair]) -> Groups:
    """Return what the sweet spot's students gain over those without a teacher."""
    found = {}
    for pair in study:
        if pair.exhaustive is not None:
            references = pair.exhaustive.references
            marks = [(words, lead_of(getattr(references, name))) for name, words in WORTH.items()]
            verdict = pair.verdict.verdict.replace("_", " ") if pair.verdict else ""
            found[pair.name] = (marks, verdict)
    return _grouped(found)


def leads(left: LeftOfLead) -> Groups:
    """Return the sweet spot's lead over the converged teacher, with both kinds of students."""
    found = {}
    for pair in left.pairs:
        before = [(UNTUNED, pair.before)] if pair.before is not None else []
        found[pair.name] = ([*before, *((TUNED, lead) for lead in pair.left.values())], "")
    return _grouped(found)


def _grouped(found: Mapping[str, tuple[list[tuple[str, Lead]], str]]) -> Groups:
    """Sort lines by data set; those of students that saw a tenth of the data come first."""
    groups: dict[str, list[Line]] = {name: [] for name in NAMES.values()}
    for folder in sorted(found, key=lambda folder: (folder.endswith("full"), folder)):
        data, _, rest = folder.partition("/")
        teacher, student, transfer = rest.split("--")
        seen = {"tenth": "a tenth", "full": "all"}[transfer]
        line = Line(f"{teacher} to {student}, {seen}", *found[folder])
        groups.setdefault(NAMES.get(data, data), []).append(line)
    return {name: lines for name, lines in groups.items() if lines}


def draw(groups: Groups, words: str, path: Path, *, alike: bool) -> None:
    """Draw the lines, a panel for each data set.

    Args:
        groups: The lines.
        words: On the horizontal axis.
        path: The SVG file.
        alike: Whether all panels have the same scale.
    """
    from figures import FONT, STYLE, matplotlib, pyplot, save  # needs Matplotlib

    with matplotlib.rc_context(STYLE | FONT):
        heights = [ROW * len(lines) + TITLE for lines in groups.values()] or [2.0]
        figure, axes = pyplot.subplots(
            len(heights),
            1,
            figsize=(WIDTH, sum(heights) + 0.9),
            height_ratios=heights,
            sharex=alike,
            squeeze=False,
            layout="constrained",
        )
        for axis, (name, lines) in zip(axes.flat, groups.items(), strict=False):
            _draw_group(axis, name, lines)
        axes.flat[-1].set_xlabel(words)
        handles = _legend(axis for axis in axes.flat)
        if handles:
            place = "outside upper left"
            figure.legend(handles.values(), handles.keys(), loc=place, ncols=2, frameon=False)
        else:
            figure.text(0.5, 0.5, "not run", ha="center")
        save(figure, path)


def _draw_group(axis: Any, name: str, lines: Sequence[Line]) -> None:
    axis.set_title(name, loc="left", fontweight="bold")
    axis.set_yticks(range(len(lines)), [line.name for line in lines])
    axis.set_ylim(len(lines) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    axis.grid(visible=False, axis="y")
    axis.axvline(0.0, color="#343A40", linewidth=0.9, zorder=1)
    for row, line in enumerate(lines):
        if row % 2:
            axis.axhspan(row - 0.5, row + 0.5, color="#F4F5F7", zorder=0)
        _draw_marks(axis, row, line.marks)
        axis.text(1.02, row, line.note, transform=axis.get_yaxis_transform(), va="center")


def _draw_marks(axis: Any, row: int, marks: Sequence[tuple[str, Lead]]) -> None:
    step = 0.4 if len(marks) <= 2 else 0.7 / (len(marks) - 1)
    for number, (label, lead) in enumerate(marks):
        height = row + step * (number - (len(marks) - 1) / 2)
        look = LOOKS[label]
        if lead.low is not None and lead.high is not None:
            ends = (100 * lead.low, 100 * lead.high)
            axis.hlines(height, *ends, color=look["color"], linewidth=1.0)
        place = [100 * lead.mean], [height]
        axis.plot(*place, linestyle="none", markersize=4, label=label, **look)


def _legend(axes: Iterable[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for axis in axes:
        handles, labels = axis.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    return found
