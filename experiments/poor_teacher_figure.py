"""Draw what `poor_teacher.py` found: gains and error transfer of each teacher, for each data set.

    python experiments/poor_teacher_figure.py        # writes docs/figures/poor_teacher.svg again

Needs Matplotlib (the extra `bench`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poor_teacher import FIGURE, FILE, TEACHERS, Json, data_name

ORDER = ("sweet_spot", "converged", "own_self", "one_epoch")
"""From below to above: the poorest teacher is on top."""


@dataclass(frozen=True)
class Marks:
    """Differences of one kind, one for each teacher: mean and interval in points.

    Attributes:
        label: What the legend calls them.
        teachers: Whose they are.
        values: (mean, low, high) of each.
    """

    label: str
    teachers: Sequence[str]
    values: Sequence[tuple[float, float, float]]


def gains(each: Json) -> tuple[Marks, Marks]:
    """Return the gain over the labels and over rung 2 of a data set's teachers."""
    told = each["teachers"]
    return (
        _marks("gain over the labels", told, lambda teacher: teacher["gain"]),
        _marks("over own confidence (rung 2): similarity", told, lambda t: t["knowledge"]),
    )


def transfers(each: Json) -> tuple[Marks, Marks]:
    """Return the error transfer of the full response and of rung 2."""
    told = {kind: t for kind, t in each["teachers"].items() if "errors" in t}

    def of(rung: str) -> Any:
        return lambda teacher: teacher["errors"]["rungs"][rung]["transfer"]

    return (
        _marks("full response", told, of("full_response")),
        _marks("own confidence (rung 2)", told, of("confidence_smoothing")),
    )


def _marks(label: str, told: Mapping[str, Json], effect_of: Any) -> Marks:
    kinds = [kind for kind in ORDER if kind in told]
    values = [tuple(100 * value for value in effect_of(told[kind])) for kind in kinds]
    return Marks(label, kinds, values)


ROWS = ((gains, "points of test accuracy"), (transfers, "error transfer, points"))


def draw(found: Json, path: Path) -> None:
    """Draw two panels for each data set, one above the other.

    Args:
        found: The results by data set.
        path: The SVG file.
    """
    from figures import COLORS, STYLE, matplotlib, pyplot, shortened

    with matplotlib.rc_context(STYLE):
        figure, axes = pyplot.subplots(
            2,
            len(found),
            figsize=(1.2 + 2.5 * len(found), 4.4),
            squeeze=False,
            layout="constrained",
        )
        for column, (name, each) in enumerate(found.items()):
            for row, (marks_of, words) in enumerate(ROWS):
                axis = axes[row, column]
                for number, marks in enumerate(marks_of(each)):
                    _draw_marks(axis, marks, number, COLORS[number])
                axis.axvline(0, color="#868E96", linewidth=0.8, zorder=0)
                axis.set_ylim(-0.5, len(ORDER) - 0.5)
                first = column == 0
                names = [TEACHERS[kind] if first else "" for kind in ORDER]
                axis.set_yticks(range(len(ORDER)), names)
                axis.set_xlabel(words)
                axis.set_title(data_name(name) if row == 0 else "")
        for row in range(2):
            axes[row, 0].legend(fontsize=6, loc="best", frameon=False)
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)
    path.write_text(shortened(path.read_text()))


def _draw_marks(axis: Any, marks: Marks, number: int, color: str) -> None:
    places = [ORDER.index(kind) + (0.12, -0.12)[number] for kind in marks.teachers]
    means = [mean for mean, _, _ in marks.values]
    reach = [
        [mean - low for mean, low, _ in marks.values],
        [high - mean for mean, _, high in marks.values],
    ]
    axis.errorbar(
        means,
        places,
        xerr=reach,
        fmt="os"[number],
        color=color,
        markerfacecolor=(color, "white")[number],
        label=marks.label,
        linewidth=1.0,
    )


if __name__ == "__main__":
    draw(json.loads(FILE.read_text()), FIGURE)
