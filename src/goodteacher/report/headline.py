"""The answer: the table of confirmed students, and the plot of their differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from goodteacher.records import (
    Pair,
    Reference,
    StudentResult,
    StudentRow,
    SweetSpot,
    called,
    percent,
    points,
)
from goodteacher.report.chart import Interval, Intervals
from goodteacher.report.findings import Findings
from goodteacher.report.parts import Panel, Table, View
from goodteacher.report.rungs import deviation

_NO_BREAK = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Difference:
    """The sweet spot minus one reference, on the test split, in points.

    Attributes:
        name: The reference.
        arm: Its arm, chosen like the sweet spot.
        mean: Mean of the paired differences.
        interval: Its interval; None where the reference is the very arm of the sweet spot.
        joint_interval: Its interval when all references are looked at together.
    """

    name: str
    arm: str
    mean: float
    interval: Pair | None
    joint_interval: Pair | None


def differences_of(found: SweetSpot) -> tuple[Difference, ...]:
    """Return the four differences in points, in the order of the table."""
    return tuple(
        Difference(
            name=called(key, reference),
            arm=reference.arm,
            mean=100 * reference.difference,
            interval=reference.interval and in_points(reference.interval),
            joint_interval=reference.adjusted_interval and in_points(reference.adjusted_interval),
        )
        for key, reference in found.references
    )


def draw_differences(
    differences: Sequence[Difference], *, title: str = "sweet spot minus reference, points"
) -> Intervals:
    """Draw a point, its interval (thick) and its joint interval (thin) for each difference."""
    return Intervals(
        title,
        tuple(
            Interval(d.name, d.mean, d.interval, d.joint_interval, _written(d)) for d in differences
        ),
    )


def differences_panel(found: SweetSpot) -> Panel:
    """Return the forest plot with its caption and numbers."""
    differences = differences_of(found)
    share = confidence(found.level)
    caption = (
        f"Difference in test accuracy, sweet spot minus reference, over {seeds(found)}: mean, "
        f"{share} interval (thick) and {share} joint interval of all four (thin, with caps). "
        "Right of the dashed zero line, the sweet spot's students are better; an interval that "
        "crosses the line shows no clear difference."
    )
    head = ("sweet spot minus", "points", "low", "high", "joint low", "joint high")
    rows = tuple(
        (d.name, points(d.mean / 100), *_ends(d.interval), *_ends(d.joint_interval))
        for d in differences
    )
    view = View("", draw_differences(differences), caption, Table("", head, rows))
    return Panel("differences", "Compared with the four references", (view,))


def comparison_table(findings: Findings, found: SweetSpot) -> Table:
    """Return the sweet spot and its references as a table."""
    head = (
        "students of",
        "target and recipe",
        "teacher, test %",
        "student, test %",
        "SD over seeds, points",
        "gain of the sweet spot, points",
        "joint interval",
        "seeds",
    )
    first = (
        "the sweet spot",
        found.student.arm,
        "-" if (own := found.teacher.test_accuracy) is None else percent(own),
        f"{percent(found.student.test_accuracy)} {shown_range(found.student.interval, percent)}",
        spread(findings.students, found.student),
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
        f"Accuracy on the test split (n = {data.test:,} examples), which was opened after all "
        f"choices were made; mean of {seeds(found)}. Brackets: {share} intervals "
        f"{_population(found)}; joint: simultaneous over all four references. SD: standard "
        "deviation over the seeds only."
    )
    return Table(caption, head, (first, *others))


def spread(rows: Iterable[StudentRow], result: StudentResult | Reference) -> str:
    """Format the standard deviation over confirmation seeds in points; "-" for fewer than two."""
    found = [
        row.test_accuracy
        for row in rows
        if row.stage == "confirm"
        and (row.arm, row.training) == (result.arm, result.training)
        and row.test_accuracy is not None
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
    return "over test examples only, because one seed says nothing about others"


def _reference_cells(
    findings: Findings, found: SweetSpot, name: str, reference: Reference
) -> tuple[str, ...]:
    teacher = reference.teacher_test_accuracy
    shown, joint = "the same students", "-"
    if reference.interval is not None and reference.adjusted_interval is not None:
        shown = f"{points(reference.difference)} {shown_range(reference.interval, points)}"
        joint = shown_range(reference.adjusted_interval, points)
    return (
        name,
        reference.arm,
        "-" if teacher is None else percent(teacher),
        percent(reference.test_accuracy),
        spread(findings.students, reference),
        shown,
        joint,
        str(found.student.num_seeds),
    )


def _ends(interval: Pair | None) -> tuple[str, str]:
    if interval is None:
        return ("-", "-")
    return (points(interval[0] / 100), points(interval[1] / 100))


def _written(difference: Difference) -> str:
    if difference.interval is None:
        return "the same students"
    low, high = difference.interval
    return f"{difference.mean:+.2f} {shown_range((low, high), '{:+.2f}'.format)}"


def in_points(interval: Pair) -> Pair:
    """Return an interval of fractions in points."""
    return (100 * interval[0], 100 * interval[1])


def shown_range(interval: Pair, form: Callable[[float], str]) -> str:
    """Format an interval, never broken over lines."""
    return f"[{form(interval[0])},{_NO_BREAK}{form(interval[1])}]"
