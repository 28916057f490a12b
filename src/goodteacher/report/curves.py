"""Curves: a quantity over epochs, one line for each run."""

from __future__ import annotations

from dataclasses import dataclass

from goodteacher.config import Run
from goodteacher.report.chart import Axis, Lines, Point, Series
from goodteacher.report.findings import Findings
from goodteacher.report.maps import epoch_title
from goodteacher.report.parts import Panel, Table, View
from goodteacher.report.quantities import QUANTITIES, Quantity
from goodteacher.report.runs import RunAxis
from goodteacher.report.theme import power_ticks

OVER_EPOCHS = (
    "similarity",
    "class_part",
    "instance_part",
    "similarity_best_temperature",
    "effective_classes",
    "accuracy",
    "nll",
    "best_nll",
    "optimal_temperature",
)


@dataclass(frozen=True)
class Curve:
    """A quantity along one trajectory.

    Attributes:
        run: The trajectory.
        epochs: Recorded epochs at which it was measured.
        values: The quantity there, in its unit.
    """

    run: Run
    epochs: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Curves:
    """A quantity along all trajectories.

    Attributes:
        quantity: What is shown.
        epoch_title: Title of the epoch axis.
        axis: The runs.
        lines: One for each run, in order; a run without a value has none.
        chosen: Epoch and value at the sweet spot, if there is one.
    """

    quantity: Quantity
    epoch_title: str
    axis: RunAxis
    lines: tuple[Curve, ...]
    chosen: tuple[int, float] | None


def curves_of(findings: Findings, quantity: Quantity) -> Curves:
    """Return a quantity along all trajectories; diverged records have no value."""
    known: dict[str, list[tuple[int, float]]] = {}
    for record in findings.records:
        value = quantity.of(record)
        if value is not None:
            known.setdefault(record.run, []).append((record.epoch, value))
    lines = tuple(
        Curve(run, tuple(epoch for epoch, _ in pairs), tuple(value for _, value in pairs))
        for run in findings.axis.runs
        if (pairs := known.get(run.name))
    )
    chosen = _chosen(findings, quantity)
    return Curves(quantity, epoch_title(findings.config), findings.axis, lines, chosen)


def draw_curves(curves: Curves) -> Lines:
    """Draw one line for each run over a logarithmic epoch axis."""
    ticks = power_ticks([epoch for line in curves.lines for epoch in line.epochs])
    return Lines(
        x=Axis(curves.epoch_title, tuple(ticks), log=True),
        y=Axis(curves.quantity.axis),
        series=tuple(
            Series(curves.axis.label(line.run), _points(curves.quantity, line), style=number)
            for number, line in enumerate(curves.lines)
        ),
        height=200,
        legend=curves.axis.title,
        star=curves.chosen,
    )


def curve_panel(findings: Findings, name: str) -> Panel:
    """Return a quantity over epochs with its caption and numbers."""
    quantity = QUANTITIES[name]
    curves = curves_of(findings, quantity)
    star = " Star: the sweet spot." if curves.chosen else ""
    caption = f"{quantity.meaning} {quantity.setting(findings.data)}{star}"
    view = View("", draw_curves(curves), caption, curves_table(curves))
    return Panel(f"curve-{name.replace('_', '-')}", quantity.title, (view,))


def curves_table(curves: Curves) -> Table:
    """Return the numbers of all lines, an epoch a row."""
    values = {
        (line.run.name, epoch): value
        for line in curves.lines
        for epoch, value in zip(line.epochs, line.values, strict=True)
    }
    runs = [line.run for line in curves.lines]
    rows = tuple(
        (str(epoch), *(_shown(curves.quantity, values.get((run.name, epoch))) for run in runs))
        for epoch in sorted({epoch for _, epoch in values})
    )
    return Table("", ("epoch", *(curves.axis.named(run) for run in runs)), rows)


def _points(quantity: Quantity, line: Curve) -> tuple[Point, ...]:
    return tuple(
        Point(epoch, value, f"{line.run.name} epoch {epoch}: {quantity.shown(value)}")
        for epoch, value in zip(line.epochs, line.values, strict=True)
    )


def _chosen(findings: Findings, quantity: Quantity) -> tuple[int, float] | None:
    record = findings.record_of(findings.chosen) if findings.chosen else None
    value = quantity.of(record) if record else None
    return None if record is None or value is None else (record.epoch, value)


def _shown(quantity: Quantity, value: float | None) -> str:
    return "-" if value is None else quantity.shown(value)
