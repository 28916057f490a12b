"""The answer: the table of confirmed students, and the plot of their differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from goodteacher.report.findings import Findings
from goodteacher.report.parts import Panel, Table, View
from goodteacher.report.rungs import deviation
from goodteacher.report.theme import NEUTRAL, new_figure
from goodteacher.results import (
    Pair,
    Reference,
    StudentRow,
    SweetSpot,
    called,
    percent,
    points,
)

_NO_BREAK = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Difference:
    """The sweet spot minus one reference, on the test split, in points.

    Attributes:
        name: The reference.
        arm: Its arm, chosen like the sweet spot.
        mean: Mean of the paired differences.
        interval: Its interval.
        joint_interval: Its interval when all references are looked at together.
        same: Whether the reference is the very arm of the sweet spot.
    """

    name: str
    arm: str
    mean: float
    interval: Pair
    joint_interval: Pair
    same: bool


def differences_of(found: SweetSpot) -> tuple[Difference, ...]:
    """Return the four differences in points, in the order of the table."""
    return tuple(
        Difference(
            name=called(key, reference),
            arm=reference.arm,
            mean=100 * reference.difference,
            interval=in_points(reference.interval),
            joint_interval=in_points(reference.adjusted_interval),
            same=reference.arm == found.student.arm,
        )
        for key, reference in found.references
    )


def draw_differences(
    differences: Sequence[Difference], *, title: str = "sweet spot minus reference, points"
) -> go.Figure:
    """Draw a point, its interval (thick) and its joint interval (thin) for each difference."""
    names = [_row_name(difference) for difference in differences]
    means = [difference.mean for difference in differences]
    figure = new_figure(height=90 + 52 * len(differences))
    figure.add_scatter(
        x=means,
        y=names,
        mode="markers",
        marker={"size": 11},
        error_x=error_bars(means, [d.interval for d in differences], width=0, thickness=5),
        hovertemplate="%{y}: %{x:+.2f} points<extra></extra>",
        name="interval",
    )
    figure.add_scatter(
        x=means,
        y=names,
        mode="markers",
        marker={"size": 1, "color": NEUTRAL},
        error_x=error_bars(means, [d.joint_interval for d in differences], width=6, thickness=1.5),
        hoverinfo="skip",
        name="joint interval",
    )
    figure.add_vline(x=0, line={"color": NEUTRAL, "dash": "dash", "width": 1.5})
    figure.update_xaxes(title_text=title)
    # Names may be numerals: without the type they would be places on an axis of numbers.
    return figure.update_yaxes(autorange="reversed", type="category").update_layout(
        showlegend=False
    )


def differences_panel(found: SweetSpot) -> Panel:
    """Return the forest plot with its caption and numbers."""
    differences = differences_of(found)
    share = confidence(found.level)
    caption = (
        f"Difference in test accuracy, sweet spot minus reference, over {seeds(found)}: mean, "
        f"{share} interval (thick) and {share} joint interval of all four (thin, with caps). "
        "Right of the dashed zero line the sweet spot's students are better; an interval that "
        "crosses it leaves the sign open."
    )
    head = ("sweet spot minus", "points", "low", "high", "joint low", "joint high")
    rows = tuple(
        (d.name, *(f"{value:+.2f}" for value in (d.mean, *d.interval, *d.joint_interval)))
        for d in differences
    )
    view = View("", draw_differences(differences), caption, Table("", head, rows))
    return Panel("differences", "Against the four references", (view,))


def comparison_table(findings: Findings, found: SweetSpot) -> Table:
    """Return the sweet spot and its references as a table."""
    head = (
        "students of",
        "target and recipe",
        "teacher, test %",
        "student, test %",
        "SD over seeds, points",
        "sweet spot minus it, points",
        "joint interval",
        "seeds",
    )
    first = (
        "the sweet spot",
        found.student.arm,
        percent(found.teacher.test_accuracy),
        f"{percent(found.student.test_accuracy)} {shown_range(found.student.interval, percent)}",
        spread(findings.students, found.student.arm),
        "-",
        "-",
        str(found.student.num_seeds),
    )
    others = (
        _reference_cells(findings, found, called(key, reference), reference)
        for key, reference in found.references
    )
    share, data = confidence(found.level), findings.data
    caption = (
        f"Accuracy on the test split (n = {data.test:,} examples), opened after every choice was "
        f"made; mean of {seeds(found)}. Brackets: {share} intervals "
        f"{_population(found)}; joint: simultaneous over all four references. "
        "SD: standard deviation over the seeds, without the chance of the test examples."
    )
    return Table(caption, head, (first, *others))


def spread(rows: Iterable[StudentRow], arm: str) -> str:
    """Format the standard deviation over confirmation seeds in points; "-" for fewer than two."""
    found = [
        row.test_accuracy
        for row in rows
        if row.stage == "confirm" and row.arm == arm and row.test_accuracy is not None
    ]
    value = deviation(found)
    return "-" if value is None else f"{100 * value:.2f}"


def confidence(level: float) -> str:
    """Format a level as the share that its interval covers.

    Example:
        >>> confidence(0.05)
        '95 %'
    """
    return f"{100 * (1 - level):g} %"


def seeds(found: SweetSpot) -> str:
    """Name the seeds of the confirmation."""
    n = found.student.num_seeds
    return "1 fresh seed" if n == 1 else f"{n} fresh paired seeds"


def _population(found: SweetSpot) -> str:
    if found.student.num_seeds > 1:
        return "over seeds and test examples"
    return "over test examples only, since one seed says nothing about others"


def _reference_cells(
    findings: Findings, found: SweetSpot, name: str, reference: Reference
) -> tuple[str, ...]:
    same = reference.arm == found.student.arm
    teacher = reference.teacher_test_accuracy
    difference = f"{points(reference.difference)} {shown_range(reference.interval, points)}"
    return (
        name,
        reference.arm,
        "-" if teacher is None else percent(teacher),
        percent(reference.test_accuracy),
        spread(findings.students, reference.arm),
        "same arm" if same else difference,
        "-" if same else shown_range(reference.adjusted_interval, points),
        str(found.student.num_seeds),
    )


def _row_name(difference: Difference) -> str:
    return f"{difference.name}<br>(same arm)" if difference.same else difference.name


def in_points(interval: Pair) -> Pair:
    """Return an interval of fractions in points."""
    return (100 * interval[0], 100 * interval[1])


def shown_range(interval: Pair, form: Callable[[float], str]) -> str:
    """Format an interval, never broken over lines."""
    return f"[{form(interval[0])},{_NO_BREAK}{form(interval[1])}]"


def error_bars(
    means: Sequence[float], intervals: Sequence[Pair], *, width: int, thickness: float
) -> dict[str, object]:
    """Return Plotly's error bars for intervals around means."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - mean for mean, (_, high) in zip(means, intervals, strict=True)],
        "arrayminus": [mean - low for mean, (low, _) in zip(means, intervals, strict=True)],
        "width": width,
        "thickness": thickness,
    }
