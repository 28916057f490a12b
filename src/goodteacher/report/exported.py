"""The last export of a study: how good, large and fast the student is beside its teacher."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from goodteacher.records import (
    Estimated,
    Export,
    Quality,
    ReliabilityBin,
    Timed,
    latency_title,
    percent,
    points,
    repetitions_of,
)
from goodteacher.report.chart import Axis, Lines, Point, Series
from goodteacher.report.headline import shown_range
from goodteacher.report.parts import Panel, Section, Table, View


def export_sections(found: Export | None) -> tuple[Section, ...]:
    """Return the part of the page on an export; none where there was none.

    Args:
        found: What ``export.json`` holds.
    """
    if found is None:
        return ()
    lead = tuple(filter(None, (_sizes(found), found.teacher.why_not_run, _competitor(found))))
    tables = (quality_table(found), latency_table(found))
    panels = reliability_panels(found)
    return (Section("export", "The exported student", lead, panels, tables, columns=1),)


def reliability_panels(found: Export) -> tuple[Panel, ...]:
    """Return the reliability diagram before and after calibration; none where it was not kept."""
    student = found.student
    kinds = {
        "before calibration": student.uncalibrated_reliability,
        "after calibration": student.reliability,
    }
    if not student.reliability:
        return ()
    caption = (
        "How often the student is right (vertical) for each confidence that it states "
        f"(horizontal), on the test split (n = {student.num_examples:,} examples, bins of about "
        "equal size, no spread). On the dashed line, both are equal. Calibration error: "
        f"{student.uncalibrated_calibration_error:.3f} before, "
        f"{student.calibration_error.value:.3f} after dividing logits by {found.temperature:.3g}."
    )
    rows = tuple(
        (
            name,
            str(each.num_examples),
            percent(each.confidence),
            percent(each.accuracy),
        )
        for name, bins in kinds.items()
        for each in bins
    )
    table = Table("", ("student", "examples", "confidence, %", "accuracy, %"), rows)
    view = View("", draw_reliability(kinds), caption, table)
    return (Panel("reliability", "Is the student as sure as it should be?", (view,)),)


def draw_reliability(kinds: Mapping[str, tuple[ReliabilityBin, ...]]) -> Lines:
    """Draw accuracy over confidence beside the diagonal, a line for each kind."""
    every = [bin for bins in kinds.values() for bin in bins]
    low = 100 * min(min(bin.confidence, bin.accuracy) for bin in every)
    series = tuple(
        Series(
            name,
            tuple(
                Point(
                    100 * each.confidence,
                    100 * each.accuracy,
                    f"{name}: {percent(each.confidence)} % sure, {percent(each.accuracy)} % right",
                )
                for each in bins
            ),
            style=1 - number,
        )
        for number, (name, bins) in enumerate(kinds.items())
    )
    ends = (Point(low, low), Point(100, 100))
    perfect = Series("accuracy equals confidence", ends, style=None, marked=False, dashed=True)
    return Lines(Axis("confidence, %"), Axis("accuracy, %"), (perfect, *series))


def quality_table(found: Export) -> Table:
    """Return accuracy and calibration of the student, that of hard labels, and the teacher."""
    eight = found.teacher.quantized
    models = {
        "student": found.student,
        "student of hard labels": found.hard_labels,
        "teacher": found.teacher.quality,
        "teacher in 8 bits": None if eight is None else eight.quality,
    }
    caption = (
        f"On the test split (n = {found.student.num_examples:,} examples), one model each; "
        "brackets: 95 % intervals over examples. Probabilities are calibrated on the selection "
        f"split. The teacher is the study's most accurate one: {found.teacher.name}."
    )
    head = ("", "accuracy, %", "NLL, nats", "Brier", "calibration error")
    rows = tuple((name, *_cells(quality)) for name, quality in models.items() if quality)
    return Table(caption, head, rows)


def latency_table(found: Export) -> Table:
    """Return how long student and teacher take in each runtime."""
    all_timed = {"student": found.timed, "teacher": found.teacher.timed}
    latencies = [one for each in all_timed.values() for timed in each for one in timed.latencies]
    sizes = [one.batch_size for one in found.timed[0].latencies]
    caption = (
        f"Median of {repetitions_of(latencies)} repetitions, brackets: quartiles; 95 %: the time "
        "that 95 % of the repetitions stay below. All models took turns in one run, on one thread "
        f"of {found.machine}."
    )
    head = ("", *(title for n in sizes for title in (f"batch of {n}, ms", "95 %, ms")))
    rows = tuple(
        (f"{who}, {timed.runtime}", *_times(timed))
        for who, each in all_timed.items()
        for timed in each
    )
    return Table(caption, head, rows)


def speed_sentence(found: Export) -> str:
    """Say how large and how fast the student is beside its teacher."""
    said = _sizes(found)
    if not found.timed or not found.teacher.timed:
        return said
    ours, theirs = found.timed[0].latencies[0], found.teacher.timed[0].latencies[0]
    return (
        f"{said} For {latency_title(ours.batch_size)}, the student takes {_ms(ours.median)} ms "
        f"and the teacher {_ms(theirs.median)} ms (medians, one thread, {found.machine})."
    )


def _sizes(found: Export) -> str:
    text = (
        f"The student ({found.architecture}) has {found.size.parameters:,} parameters and takes "
        f"{found.size.multiply_adds:,} multiply-adds for one example."
    )
    teacher = found.teacher
    if teacher.size is None:
        return text
    return (
        f"{text} The teacher ({teacher.architecture}) has {teacher.size.parameters:,} parameters "
        f"and takes {teacher.size.multiply_adds:,} multiply-adds."
    )


def _competitor(found: Export) -> str:
    eight = found.teacher.quantized
    if eight is None:
        return f"The teacher in 8 bits was not measured. {found.teacher.why_not_quantized or ''}"
    won = "The teacher in 8 bits is the better choice. " if eight.wins else ""
    return (
        f"{won}The student's accuracy minus that of the teacher in 8 bits "
        f"({eight.num_bytes:,} bytes): {points(eight.difference)} points "
        f"{shown_range(eight.interval, points)}."
    )


def _cells(quality: Quality) -> Iterator[str]:
    accuracy = quality.accuracy
    yield f"{percent(accuracy.value)} {shown_range(accuracy.interval, percent)}"
    for each in (quality.nll, quality.brier, quality.calibration_error):
        yield _three_digits(each)


def _three_digits(each: Estimated) -> str:
    def shown(value: float) -> str:
        return f"{value:.3f}"

    return f"{shown(each.value)} {shown_range(each.interval, shown)}"


def _times(timed: Timed) -> Iterator[str]:
    for one in timed.latencies:
        yield f"{_ms(one.median)} {shown_range(one.quartiles, _ms)}"
        yield _ms(one.p95)


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.3g}"
