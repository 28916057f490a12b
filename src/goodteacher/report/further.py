"""The temperature curve, the omitted class and fidelity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from goodteacher.records import (
    CurveArm,
    Estimate,
    Fidelity,
    FidelityArm,
    JointEffect,
    OmittedArm,
    OmittedClass,
    Pair,
    TemperatureCurve,
    percent,
    points,
    target_name,
)
from goodteacher.report.chart import Axis, Interval, Intervals, Lines, Point, Series
from goodteacher.report.headline import confidence, in_points, shown_range
from goodteacher.report.ladder import shown_effect, shown_estimate, shown_joint
from goodteacher.report.parts import Panel, Table, View
from goodteacher.report.theme import power_ticks

_HELD_OUT = {
    True: "It did not learn from these examples, and neither did the students.",
    False: (
        "The students did not learn from these examples, but the teacher may have. A teacher that "
        "learned from them predicts their labels, so agreement with it says hardly more than "
        "accuracy."
    ),
}


@dataclass(frozen=True)
class GainLine:
    """A difference over temperature, in points.

    Attributes:
        name: What it is the gain of.
        temperatures: Ascending.
        means: One for each temperature.
        intervals: Joint intervals.
    """

    name: str
    temperatures: tuple[float, ...]
    means: tuple[float, ...]
    intervals: tuple[Pair, ...]


def gain_lines(curve: TemperatureCurve) -> tuple[GainLine, ...]:
    """Return the gain of each rung over cross-entropy."""
    names = [arm.name for arm in curve.points[0].arms]
    arms = {name: [_arm_of(point.arms, name) for point in curve.points] for name in names}
    return tuple(
        _line(curve, target_name(name), [arm.gain for arm in found]) for name, found in arms.items()
    )


def knowledge_line(curve: TemperatureCurve) -> GainLine:
    """Return the full response minus rung 2 over temperature."""
    return _line(
        curve, ("full response minus confidence smoothing"), [p.knowledge for p in curve.points]
    )


def draw_lines(lines: Sequence[GainLine], *, title: str) -> Lines:
    """Draw differences over a logarithmic temperature axis, with joint intervals."""
    # Side by side, since intervals at one place would hide each other.
    series = tuple(
        Series(line.name, _points(line, 1.04 ** (number - (len(lines) - 1) / 2)), style=number)
        for number, line in enumerate(lines)
    )
    ticks = power_ticks(lines[0].temperatures)
    return Lines(
        Axis("temperature T", tuple(ticks), log=True), Axis(title), series, height=260, zero=True
    )


def _points(line: GainLine, aside: float) -> tuple[Point, ...]:
    return tuple(
        Point(temperature * aside, mean, f"T = {temperature:g}: {mean:+.2f} points", "", interval)
        for temperature, mean, interval in zip(
            line.temperatures, line.means, line.intervals, strict=True
        )
    )


def curve_panels(curve: TemperatureCurve, level: float) -> tuple[Panel, ...]:
    """Return the gains over temperature, and what similarity adds to them."""
    share, count = confidence(level), sum(len(point.arms) for point in curve.points)
    seeds = f"{curve.num_seeds} paired seeds and the test examples"
    gains, knowledge = gain_lines(curve), knowledge_line(curve)
    first = View(
        "",
        draw_lines(gains, title="gain over hard labels, points"),
        "Each rung, made from the response at temperature T and learned at the same T, minus "
        f"hard labels. Whiskers: {share} intervals over {seeds}, joint over all {count} gains.",
        _line_table(gains),
    )
    second = View(
        "",
        draw_lines([knowledge], title="full response minus rung 2, points"),
        "What similarity adds to smoothing with the same confidence for each example, at the "
        f"same T. Whiskers: {share} intervals over {seeds}, joint over {len(curve.points)} "
        "temperatures.",
        _line_table([knowledge]),
    )
    return (
        Panel("curve-gains", "Gain over temperature", (first,)),
        Panel("curve-knowledge", "What similarity adds, over temperature", (second,)),
    )


def omitted_panel(found: OmittedClass, level: float) -> Panel:
    """Return how well students do on a class that they never saw, a row for each rung."""
    kinds: Mapping[str, Callable[[OmittedArm], Estimate]] = {
        "after the bias correction": lambda arm: arm.corrected_class_accuracy,
        "as trained": lambda arm: arm.class_accuracy,
    }
    caption = (
        f"Accuracy of students on the {found.num_class_examples:,} test examples of class "
        f"{found.class_name}. None of their {found.num_transfer:,} training examples is of this "
        f"class. Mean of {found.num_seeds} seeds, {confidence(level)} intervals. Students of hard "
        f"labels that did see the class are right on {shown_estimate(found.seen_accuracy)} %."
    )
    views = tuple(
        View(
            kind, draw_omitted(found, of), f"{caption} Shown: {kind}.", _omitted_numbers(found, of)
        )
        for kind, of in kinds.items()
    )
    return Panel(
        "omitted-class", (f"Recognising class {found.class_name} without having seen it"), views
    )


def draw_omitted(found: OmittedClass, of: Callable[[OmittedArm], Estimate]) -> Intervals:
    """Draw the accuracy on the omitted class, a row for each rung."""
    rows = tuple(
        Interval(
            target_name(arm.name),
            100 * of(arm).mean,
            in_points(of(arm).interval),
            None,
            f"{shown_estimate(of(arm))} %",
        )
        for arm in found.arms
    )
    return Intervals(f"accuracy on {found.class_name}, %", rows)


def _omitted_numbers(found: OmittedClass, of: Callable[[OmittedArm], Estimate]) -> Table:
    rows = tuple(
        (target_name(arm.name), *map(percent, (of(arm).mean, *of(arm).interval)))
        for arm in found.arms
    )
    return Table("", ("students of", "accuracy, %", "low", "high"), rows)


def omitted_table(found: OmittedClass, level: float) -> Table:
    """Return what students know of a class that they never saw."""
    head = (
        "students of",
        f"on {found.class_name}, %",
        "overall, %",
        "bias correction",
        f"on {found.class_name}, corrected, %",
        "overall, corrected, %",
        "corrected, minus hard labels, points",
        "joint interval",
    )
    caption = (
        f"Students that never saw class {found.class_name} (they learned from "
        f"{found.num_transfer:,} examples of other classes; {found.num_seeds} paired seeds), on "
        f"the {found.num_class_examples:,} test examples of this class and on all test examples. "
        "The bias correction adds a constant to the logit of the class, so that the class is "
        "predicted on the selection split as often as it occurs there. Hard labels contain no "
        "information about the class, so their accuracy after correction is the value to compare "
        "with. Students of hard labels that did see the class are right on "
        f"{shown_estimate(found.seen_accuracy)} % of its examples. Full response minus confidence "
        f"smoothing: {shown_joint(found.knowledge)} points as trained, "
        f"{shown_joint(found.corrected_knowledge)} after correction (joint intervals). Brackets: "
        f"{confidence(level)} intervals over seeds and test examples."
    )
    return Table(caption, head, tuple(_omitted_row(arm) for arm in found.arms))


def fidelity_table(found: Fidelity, level: float) -> Table:
    """Return how far students predict what their own teacher predicts."""
    beside = ""
    if found.independent is not None and found.independent_accuracy is not None:
        beside = (
            f" The independent teacher ({found.independent}) is right on "
            f"{percent(found.independent_accuracy)} %; both teachers agree on "
            f"{percent(found.teachers_agree or 0.0)} %. Excess: agreement with the own teacher "
            "minus agreement with the independent one."
        )
    caption = (
        f"Share of the selection split ({found.num_examples:,} examples, {found.num_seeds} paired "
        "seeds) on which a student predicts the same class as a teacher. The own teacher "
        f"({found.teacher}) is right on {percent(found.teacher_accuracy)} % of these examples. "
        f"{_HELD_OUT[found.teacher_held_out]}{beside} Differences to students of hard labels have "
        f"joint intervals over the rungs; brackets: {confidence(level)} intervals."
    )
    head = (
        "students of",
        "accuracy, %",
        "agrees with own teacher, %",
        "agrees with independent, %",
        "excess, points",
        "own, minus hard labels",
        "excess, minus hard labels",
    )
    return Table(caption, head, tuple(_fidelity_row(arm) for arm in found.arms))


def _line(curve: TemperatureCurve, name: str, effects: Sequence[JointEffect]) -> GainLine:
    return GainLine(
        name=name,
        temperatures=tuple(point.temperature for point in curve.points),
        means=tuple(100 * effect.mean for effect in effects),
        intervals=tuple(in_points(effect.adjusted_interval) for effect in effects),
    )


def _arm_of(arms: Sequence[CurveArm], name: str) -> CurveArm:
    return next(arm for arm in arms if arm.name == name)


def _line_table(lines: Sequence[GainLine]) -> Table:
    rows = tuple(
        (
            f"{temperature:g}",
            *(
                f"{line.means[place]:+.2f} [{low:+.2f}, {high:+.2f}]"
                for line in lines
                for low, high in [line.intervals[place]]
            ),
        )
        for place, temperature in enumerate(lines[0].temperatures)
    )
    return Table("", ("T", *(line.name for line in lines)), rows)


def _omitted_row(arm: OmittedArm) -> tuple[str, ...]:
    effect = arm.over_cross_entropy
    return (
        target_name(arm.name),
        shown_estimate(arm.class_accuracy),
        shown_estimate(arm.overall_accuracy),
        f"{arm.mean_offset:+.2f}",
        shown_estimate(arm.corrected_class_accuracy),
        shown_estimate(arm.corrected_overall_accuracy),
        "-" if effect is None else points(effect.mean),
        "-" if effect is None else shown_range(effect.adjusted_interval, points),
    )


def _fidelity_row(arm: FidelityArm) -> tuple[str, ...]:
    return (
        target_name(arm.name),
        percent(arm.accuracy),
        shown_estimate(arm.own),
        shown_estimate(arm.independent),
        shown_effect(arm.excess),
        shown_joint(arm.over_cross_entropy),
        shown_joint(arm.excess_over_cross_entropy),
    )
