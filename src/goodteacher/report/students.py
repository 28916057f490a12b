"""Students over temperature, and students against their teachers.

Both take the search's first round: later rungs have dropped the losers and trained the rest longer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from goodteacher.errors import InputError
from goodteacher.maths.statistics import spearman
from goodteacher.records import Checkpoint
from goodteacher.report.chart import Axis, Lines, Point, Series
from goodteacher.report.findings import Findings
from goodteacher.report.parts import Panel, Table, View
from goodteacher.report.quantities import QUANTITIES, Quantity
from goodteacher.report.rungs import ArmScore, RungScores
from goodteacher.report.runs import RunAxis, place_of

AGAINST = ("accuracy", "similarity", "similarity_best_temperature", "effective_classes", "best_nll")


@dataclass(frozen=True)
class Level:
    """A reference that has no temperature of the study's: its accuracy in %."""

    name: str
    mean: float


@dataclass(frozen=True)
class TemperatureLine:
    """One loss and alpha over temperature.

    Attributes:
        name: Loss and alpha.
        temperatures: Ascending.
        means: Accuracy in %, mean over seeds.
        deviations: Standard deviation over seeds in points; None for one seed.
    """

    name: str
    temperatures: tuple[float, ...]
    means: tuple[float, ...]
    deviations: tuple[float | None, ...]


@dataclass(frozen=True)
class TemperatureCurves:
    """The students of one checkpoint over temperature.

    Attributes:
        checkpoint: Their teacher.
        lines: One for each loss and alpha.
        levels: Cross-entropy and the best label smoothing, trained alike.
    """

    checkpoint: Checkpoint
    lines: tuple[TemperatureLine, ...]
    levels: tuple[Level, ...]


@dataclass(frozen=True)
class Pairing:
    """A teacher and its best students.

    Attributes:
        checkpoint: The teacher.
        teacher: Something measured of it, in its unit.
        student: Accuracy of its best recipe's students in %, mean over seeds.
        deviation: Standard deviation over seeds in points; None for one seed.
    """

    checkpoint: Checkpoint
    teacher: float
    student: float
    deviation: float | None


def leading(findings: Findings, rung: RungScores) -> Checkpoint | None:
    """Return the sweet spot's teacher, or the first round's best while there is no sweet spot."""
    if findings.chosen is not None:
        return findings.chosen
    scores = rung.best_by_checkpoint()
    return max(scores, key=lambda checkpoint: scores[checkpoint].mean, default=None)


def temperature_curves(rung: RungScores, checkpoint: Checkpoint) -> TemperatureCurves:
    """Return one checkpoint's students over temperature, beside those that have no teacher."""
    groups: dict[str, list[ArmScore]] = {}
    for score in rung.scores:
        if score.checkpoint == checkpoint:
            loss = f"{score.recipe.loss}{'+std' if score.recipe.standardize else ''}"
            groups.setdefault(f"{loss}, alpha = {score.recipe.alpha:g}", []).append(score)
    lines = tuple(_temperature_line(name, scores) for name, scores in groups.items())
    return TemperatureCurves(checkpoint, lines, _levels(rung))


def draw_temperature_curves(curves: TemperatureCurves) -> Lines:
    """Draw accuracy over a logarithmic temperature axis, with levels for the references."""
    ticks = sorted({t for line in curves.lines for t in line.temperatures})
    ends = (ticks[0] / 1.15, ticks[-1] * 1.15)
    levels = tuple(
        Series(
            level.name,
            tuple(Point(x, level.mean, f"{level.name}: {level.mean:.2f} %") for x in ends),
            style=None,
            marked=False,
            dashed=number > 0,
        )
        for number, level in enumerate(curves.levels)
    )
    lines = tuple(
        Series(line.name, _temperature_points(line), style=number)
        for number, line in enumerate(curves.lines)
    )
    return Lines(
        Axis("temperature T", tuple(ticks), log=True), Axis("student accuracy, %"), lines + levels
    )


def _temperature_points(line: TemperatureLine) -> tuple[Point, ...]:
    return tuple(
        Point(t, mean, f"T = {t:g}: {mean:.2f} %", "", _whisker(mean, spread))
        for t, mean, spread in zip(line.temperatures, line.means, line.deviations, strict=True)
    )


def pairings(findings: Findings, rung: RungScores, quantity: Quantity) -> tuple[Pairing, ...]:
    """Return each tried teacher's measurement with its best students' accuracy."""
    found = []
    for checkpoint, score in rung.best_by_checkpoint().items():
        record = findings.record_of(checkpoint)
        value = quantity.of(record) if record else None
        if value is not None:
            spread = None if score.deviation is None else 100 * score.deviation
            found.append(Pairing(checkpoint, value, 100 * score.mean, spread))
    runs = findings.axis.runs
    return tuple(
        sorted(found, key=lambda p: (place_of(runs, p.checkpoint.run), p.checkpoint.epoch))
    )


def draw_pairings(
    pairs: Sequence[Pairing], quantity: Quantity, axis: RunAxis, chosen: Checkpoint | None
) -> Lines:
    """Draw a point for each teacher, a symbol for each run, a star on the sweet spot."""
    tried = {pair.checkpoint.run for pair in pairs}
    series = tuple(
        Series(
            axis.label(run),
            tuple(_pairing_point(p, quantity) for p in pairs if p.checkpoint.run == run.name),
            style=number,
            joined=False,
        )
        for number, run in enumerate(run for run in axis.runs if run.name in tried)
    )
    stars = [(pair.teacher, pair.student) for pair in pairs if pair.checkpoint == chosen]
    return Lines(
        Axis(quantity.axis),
        Axis("student accuracy, %"),
        series,
        legend=axis.title,
        star=stars[0] if stars else None,
    )


def _pairing_point(pair: Pairing, quantity: Quantity) -> Point:
    note = (
        f"{pair.checkpoint}, {quantity.title}: {quantity.shown(pair.teacher)}; "
        f"students: {pair.student:.2f} %"
    )
    whisker = _whisker(pair.student, pair.deviation)
    return Point(pair.teacher, pair.student, note, str(pair.checkpoint.epoch), whisker)


def _whisker(mean: float, deviation: float | None) -> tuple[float, float] | None:
    return None if deviation is None else (mean - deviation, mean + deviation)


def rank_sentence(pairs: Sequence[Pairing]) -> str:
    """Say how well the teacher's measurement orders its students."""
    try:
        found = spearman([pair.teacher for pair in pairs], [pair.student for pair in pairs])
    except InputError:
        return f"The points (n = {len(pairs)}) are too few or too similar for a rank correlation."
    return (
        f"Spearman's rank correlation: {found.rho:+.2f} over n = {found.n} checkpoints. "
        "Checkpoints of one run are not independent, so this only describes these checkpoints."
    )


def most_accurate_sentence(pairs: Sequence[Pairing]) -> str:
    """Say whether the most accurate teachers have the most accurate students; ties are all named.

    Args:
        pairs: Teachers by accuracy in %, at least one.

    Example:
        >>> far = Pairing(Checkpoint(run="batch 32", epoch=9), 97.0, 90.0, None)
        >>> near = Pairing(Checkpoint(run="batch 32", epoch=4), 95.0, 91.0, None)
        >>> for sentence in most_accurate_sentence([far, near]).split(". "):
        ...     print(sentence)
        Most accurate teacher tried (97.00 %): batch 32 epoch 9
        Its students are right on 90.00 %
        Most accurate students (91.00 %): students of batch 32 epoch 4.
    """
    teacher, student = max(p.teacher for p in pairs), max(p.student for p in pairs)
    teachers = [pair for pair in pairs if math.isclose(pair.teacher, teacher)]
    students = [pair for pair in pairs if math.isclose(pair.student, student)]
    one = len(teachers) == 1
    whose = "Its students" if one else "Their best students"
    return (
        f"Most accurate teacher{'' if one else 's'} tried ({teacher:.2f} %): {_named(teachers)}. "
        f"{whose} are right on {max(p.student for p in teachers):.2f} %. "
        f"Most accurate students ({student:.2f} %): students of {_named(students)}."
    )


def temperature_panel(findings: Findings, rung: RungScores, checkpoint: Checkpoint) -> Panel:
    """Return the students of one checkpoint over temperature."""
    curves = temperature_curves(rung, checkpoint)
    role = (
        "the sweet spot's teacher"
        if findings.chosen
        else ("the best teacher of the first round so far")
    )
    caption = (
        f"Students of {checkpoint} ({role}), compared with students of hard labels and of the "
        f"best label smoothing, which need no teacher. {_basis(findings, rung)}"
    )
    view = View("", draw_temperature_curves(curves), caption, _temperature_table(curves))
    return Panel("temperature", "Students over temperature", (view,))


def pairing_panel(findings: Findings, rung: RungScores) -> Panel:
    """Return students against teachers: accuracy first, other quantities to select."""
    views = tuple(_pairing_view(findings, rung, QUANTITIES[name]) for name in AGAINST)
    return Panel("pairings", "Is the best model the best teacher?", views)


def _pairing_view(findings: Findings, rung: RungScores, quantity: Quantity) -> View:
    pairs = pairings(findings, rung, quantity)
    is_accuracy = quantity is QUANTITIES["accuracy"]
    answer = f"{most_accurate_sentence(pairs)} " if is_accuracy and pairs else ""
    caption = (
        f"{answer}Each point is a teacher and the students of its best recipe; the number is the "
        f"teacher's epoch; star: the sweet spot. {rank_sentence(pairs)} {_basis(findings, rung)} "
        f"{_teacher_basis(findings, quantity)}"
    )
    figure = draw_pairings(pairs, quantity, findings.axis, findings.chosen)
    return View(quantity.label, figure, caption, _pairing_table(pairs, quantity, findings.axis))


def _named(pairs: Sequence[Pairing]) -> str:
    return " and ".join(str(pair.checkpoint) for pair in pairs)


def _teacher_basis(findings: Findings, quantity: Quantity) -> str:
    return f"{quantity.title}: {quantity.meaning} {quantity.setting(findings.data)}"


def _basis(findings: Findings, rung: RungScores) -> str:
    bars = (
        f"mean of n = {rung.num_seeds} seeds, bars: standard deviation over them. All arms share "
        "their seeds, so their differences vary less than the bars suggest"
        if rung.num_seeds > 1
        else "n = 1 seed, no spread"
    )
    return (
        f"Accuracy on the selection split (n = {findings.data.selection:,} examples) after "
        f"{rung.student_epochs} student epochs, the first round; {bars}."
    )


def _temperature_line(name: str, scores: Iterable[ArmScore]) -> TemperatureLine:
    ordered = sorted(scores, key=lambda score: score.recipe.temperature)
    return TemperatureLine(
        name,
        tuple(score.recipe.temperature for score in ordered),
        tuple(100 * score.mean for score in ordered),
        tuple(None if s.deviation is None else 100 * s.deviation for s in ordered),
    )


def _levels(rung: RungScores) -> tuple[Level, ...]:
    plain, smooth = rung.best_of("one_hot"), rung.best_of("smoothing")
    levels = []
    if plain is not None:
        levels.append(Level("hard labels", 100 * plain.mean))
    if smooth is not None:
        levels.append(Level(f"label smoothing {smooth.smoothing:g}", 100 * smooth.mean))
    return tuple(levels)


def _temperature_table(curves: TemperatureCurves) -> Table:
    rows = [
        (line.name, f"{temperature:g}", f"{mean:.2f}", _points(spread))
        for line in curves.lines
        for temperature, mean, spread in zip(
            line.temperatures, line.means, line.deviations, strict=True
        )
    ]
    levels = [(level.name, "-", f"{level.mean:.2f}", "-") for level in curves.levels]
    return Table("", ("students", "T", "accuracy, %", "SD, points"), (*rows, *levels))


def _pairing_table(pairs: Sequence[Pairing], quantity: Quantity, axis: RunAxis) -> Table:
    # Where one attribute varies it is in the teacher's name, and needs no column.
    several = len(axis.columns) > 1
    cells = {run.name: axis.cells(run) if several else () for run in axis.runs}
    rows = tuple(
        (
            str(pair.checkpoint),
            *cells[pair.checkpoint.run],
            quantity.shown(pair.teacher),
            f"{pair.student:.2f}",
            _points(pair.deviation),
        )
        for pair in pairs
    )
    columns = axis.columns if several else ()
    return Table("", ("teacher", *columns, quantity.axis, "students, %", "SD, points"), rows)


def _points(deviation: float | None) -> str:
    return "-" if deviation is None else f"{deviation:.2f}"
