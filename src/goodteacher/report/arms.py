"""Every arm in one table, and the learning curves of the students that the answer rests on."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from goodteacher.records import (
    LearningPoint,
    Reference,
    StudentResult,
    StudentRow,
    SweetSpot,
    called,
)
from goodteacher.report.chart import Axis, Lines, Point, Series
from goodteacher.report.findings import Findings
from goodteacher.report.parts import ROWS_IN_PAGE, Panel, Section, Table, View
from goodteacher.report.rungs import deviation
from goodteacher.report.theme import power_ticks

_BY = "selection, %"
_STAGES = {"search": "search, round {}", "confirm": "confirmation", "probe": "probe"}


@dataclass(frozen=True)
class LearningCurve:
    """Students of one arm on their way.

    Attributes:
        name: What the students learn from.
        epochs: At which they were measured.
        means: Accuracy on the selection split in %, mean over seeds.
        num_seeds: Students.
    """

    name: str
    epochs: tuple[int, ...]
    means: tuple[float, ...]
    num_seeds: int

    @property
    def last_gain(self) -> float | None:
        """Points gained over the second half of the epochs; None where it was not measured."""
        early = [
            m for e, m in zip(self.epochs, self.means, strict=True) if 2 * e <= self.epochs[-1]
        ]
        return self.means[-1] - early[-1] if early else None


def arms_section(findings: Findings) -> tuple[Section, ...]:
    """Return the table of all arms; none where no student was trained."""
    table = arms_table(findings.students)
    return (Section("arms", "All arms", tables=(table,)),) if table.rows else ()


def arms_table(rows: Sequence[StudentRow]) -> Table:
    """Return a row for each arm, stage and training, the most accurate first.

    Args:
        rows: Students of any stage.
    """
    groups: dict[tuple[str, int, str, int, float], list[StudentRow]] = defaultdict(list)
    for row in rows:
        key = (row.stage, row.rung, row.arm, row.student_epochs, row.student_learning_rate)
        groups[key].append(row)
    ordered = sorted(groups.values(), key=_mean, reverse=True)
    caption = (
        "Accuracy on the selection split, mean over the seeds of an arm; SD: standard deviation "
        "over them. Students that diverged count as 0."
    )
    if len(ordered) > ROWS_IN_PAGE:
        caption += (
            f" The {ROWS_IN_PAGE} most accurate of {len(ordered):,} are shown at first; sorting, "
            "filtering and the download cover all of them."
        )
    head = (
        "learned from",
        "loss",
        "T",
        "alpha",
        "stage",
        "epochs",
        "learning rate",
        "seeds",
        _BY,
        "SD, points",
        "test, %",
    )
    return Table(caption, head, tuple(map(_cells, ordered)), sortable=True, falling=_BY)


def learning_curves(findings: Findings, found: SweetSpot) -> tuple[LearningCurve, ...]:
    """Return how the confirmed students of each family learned, each arm once."""
    families: dict[str, StudentResult | Reference] = {"the sweet spot": found.student}
    for key, reference in found.references:
        families.setdefault(called(key, reference), reference)
    curves, shown = [], set()
    for name, family in families.items():
        rows = [r for r in findings.students if r.stage == "confirm" and _is_of(r, family)]
        identity = (family.arm, family.training)
        if rows and identity not in shown:
            shown.add(identity)
            curves.append(_curve(name, [row.curve for row in rows]))
    return tuple(curves)


def draw_learning_curves(curves: Sequence[LearningCurve]) -> Lines:
    """Draw accuracy over a logarithmic axis of student epochs."""
    ticks = power_ticks([epoch for curve in curves for epoch in curve.epochs])
    series = tuple(
        Series(
            curve.name,
            tuple(
                Point(epoch, mean, f"{curve.name}, epoch {epoch}: {mean:.2f} %")
                for epoch, mean in zip(curve.epochs, curve.means, strict=True)
            ),
            style=number,
        )
        for number, curve in enumerate(curves)
    )
    return Lines(
        Axis("student epoch", tuple(ticks), log=True),
        Axis("accuracy on the selection split, %"),
        series,
    )


def learning_panel(findings: Findings, found: SweetSpot) -> Panel | None:
    """Return the learning curves; None where no student was followed."""
    curves = learning_curves(findings, found)
    if not curves:
        return None
    gains = [(c.name, c.last_gain) for c in curves if c.last_gain is not None]
    done = "; ".join(f"{name} {gain:+.2f}" for name, gain in gains)
    improving = (
        "The search found students that were still improving, so longer training may change the "
        "answer."
        if found.improving
        else "The search found no students that were still improving."
    )
    caption = (
        f"Accuracy on the selection split (n = {findings.data.selection:,} examples) while the "
        f"confirmed students trained, mean over {curves[0].num_seeds} seeds. {improving} "
        + (f"Points gained over the second half of the epochs: {done}." if done else "")
    )
    view = View("", draw_learning_curves(curves), caption.strip(), _curves_table(curves))
    return Panel("learning", "How the students learned", (view,))


def _curves_table(curves: Sequence[LearningCurve]) -> Table:
    rows = tuple(
        (curve.name, f"{epoch:,}", f"{mean:.2f}", str(curve.num_seeds))
        for curve in curves
        for epoch, mean in zip(curve.epochs, curve.means, strict=True)
    )
    return Table("", ("students of", "epoch", "selection accuracy, %", "seeds"), rows)


def _is_of(row: StudentRow, family: StudentResult | Reference) -> bool:
    return (row.arm, row.training) == (family.arm, family.training)


def _curve(name: str, curves: Sequence[Sequence[LearningPoint]]) -> LearningCurve:
    """Return the mean of several students' curves, at the epochs that all have."""
    accuracies = [{point.epoch: point.accuracy for point in curve} for curve in curves]
    epochs = sorted(set.intersection(*(set(each) for each in accuracies)))
    means = tuple(100 * statistics.fmean(each[epoch] for each in accuracies) for epoch in epochs)
    return LearningCurve(name, tuple(epochs), means, len(curves))


def _mean(rows: Sequence[StudentRow]) -> float:
    return statistics.fmean(row.selection_accuracy for row in rows)


def _cells(rows: Sequence[StudentRow]) -> tuple[str, ...]:
    row, spread = rows[0], deviation(row.selection_accuracy for row in rows)
    tests = [each.test_accuracy for each in rows if each.test_accuracy is not None]
    return (
        _target(row),
        row.loss,
        f"{row.temperature:g}",
        f"{row.alpha:g}",
        _STAGES.get(row.stage, row.stage).format(row.rung + 1),
        f"{row.student_epochs:,}",
        f"{row.student_learning_rate:g}",
        str(len(rows)),
        f"{100 * _mean(rows):.2f}",
        "-" if spread is None else f"{100 * spread:.2f}",
        f"{100 * statistics.fmean(tests):.2f}" if tests else "-",
    )


def _target(row: StudentRow) -> str:
    if row.smoothing is not None:
        return f"label smoothing {row.smoothing:g}"
    return "hard labels" if row.source == "one_hot" else row.teacher or row.source
