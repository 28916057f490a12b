"""The ladder as a waterfall, and the controls beside it."""

from __future__ import annotations

from dataclasses import dataclass

from goodteacher.records import (
    Effect,
    Estimate,
    JointEffect,
    Pair,
    Rung,
    Verdict,
    percent,
    points,
    target_name,
)
from goodteacher.report.chart import Step, Waterfall
from goodteacher.report.headline import confidence, in_points, shown_range
from goodteacher.report.parts import Panel, Table, View

KINDS = ("regularization", "knowledge", "total")
"""What a bar of the waterfall stands for; rungs 1 and 2 regularize, rungs 3 and 4 teach."""


@dataclass(frozen=True)
class Bar:
    """A step of the waterfall, in points over cross-entropy.

    Attributes:
        name: The rung that the step leads to, or the whole gain.
        kind: One of ``KINDS``.
        start: Where the step begins.
        step: How far it goes.
        interval: Interval of the step itself.
    """

    name: str
    kind: str
    start: float
    step: float
    interval: Pair

    @property
    def end(self) -> float:
        """Where the step ends."""
        return self.start + self.step


def waterfall_of(verdict: Verdict) -> tuple[Bar, ...]:
    """Return the steps of the ladder and their sum, the gain."""
    bars: list[Bar] = []
    level = 0.0
    for rung in verdict.ladder:
        if rung.step is None:
            continue
        kind = KINDS[rung.rung > 2]
        step = 100 * rung.step.mean
        bars.append(Bar(target_name(rung.name), kind, level, step, in_points(rung.step.interval)))
        level += step
    gain = verdict.gain
    whole = Bar("total gain", KINDS[2], 0.0, 100 * gain.mean, in_points(gain.interval))
    return (*bars, whole)


def draw_waterfall(bars: tuple[Bar, ...]) -> Waterfall:
    """Draw each step from where the one before ended, with its interval at its end."""
    steps = tuple(
        Step(
            name=bar.name,
            start=bar.start,
            end=bar.end,
            interval=(bar.start + bar.interval[0], bar.start + bar.interval[1]),
            style=KINDS.index(bar.kind),
            shown=f"{bar.step:+.2f}",
            note=f"{bar.name}: {bar.step:+.2f} points "
            f"[{bar.interval[0]:+.2f}, {bar.interval[1]:+.2f}]",
        )
        for bar in bars
    )
    return Waterfall("gain over hard labels, points", steps, KINDS)


def ladder_panel(verdict: Verdict) -> Panel:
    """Return the waterfall with its caption and numbers."""
    caption = (
        "Test accuracy that each rung of the ladder adds to the one before, in points; the steps "
        "add up to the total gain over hard labels. Rungs 1 and 2 smooth the labels according to "
        "the teacher's confidence (regularization); rungs 3 and 4 add what the teacher says about "
        f"other classes (knowledge). Whiskers: {confidence(verdict.level)} interval of each step, "
        f"over {verdict.num_seeds} paired seeds and the test examples."
    )
    head = ("rung", "students, test %", "step, points", "interval")
    table = Table("", head, tuple(_ladder_row(rung) for rung in verdict.ladder))
    view = View("", draw_waterfall(waterfall_of(verdict)), caption, table)
    return Panel("ladder", "The ladder", (view,))


def controls_table(verdict: Verdict) -> Table:
    """Return the controls beside the ladder."""
    rows = tuple(
        (
            target_name(control.name),
            percent(control.test_accuracy),
            percent(control.selection_accuracy),
            shown_effect(control.full_response_minus_it),
        )
        for control in verdict.controls
    )
    caption = (
        "Controls: the response with wrong similarity, and label smoothing tuned on the selection "
        f"split. Mean of {verdict.num_seeds} paired seeds; brackets: {confidence(verdict.level)} "
        "intervals over seeds and test examples."
    )
    head = ("students of", "test %", "selection %", "gain of the full response, points")
    return Table(caption, head, rows)


def shown_effect(effect: Effect | None) -> str:
    """Format a difference in points with its interval; "-" for none."""
    if effect is None:
        return "-"
    return f"{points(effect.mean)} {shown_range(effect.interval, points)}"


def shown_joint(effect: JointEffect | None) -> str:
    """Format a difference in points with its joint interval; "-" for none."""
    if effect is None:
        return "-"
    return f"{points(effect.mean)} {shown_range(effect.adjusted_interval, points)}"


def shown_estimate(found: Estimate | None) -> str:
    """Format a share in per cent with its interval; "-" for none."""
    if found is None:
        return "-"
    return f"{percent(found.mean)} {shown_range(found.interval, percent)}"


def _ladder_row(rung: Rung) -> tuple[str, ...]:
    name = f"{rung.rung} {target_name(rung.name)}"
    if rung.step is None:
        return (name, percent(rung.test_accuracy), "-", "-")
    step = points(rung.step.mean), shown_range(rung.step.interval, points)
    return (name, percent(rung.test_accuracy), *step)
