"""Variants of checkpoints: ema, cooldowns, averages and the blend, beside their students."""

from __future__ import annotations

from goodteacher.records import Arm, TeacherRecord, TeacherSource
from goodteacher.report.findings import Findings
from goodteacher.report.parts import Section, Table
from goodteacher.report.quantities import QUANTITIES
from goodteacher.report.rungs import RungScores

SHOWN = (
    "best_nll",
    "accuracy",
    "similarity",
    "similarity_best_temperature",
    "effective_classes",
)
LEAD = (
    "An ema is the moving average of a teacher's weights, with batch-norm statistics of its own. "
    "A cooldown is the end of a short branch of training on which the learning rate falls to "
    "zero. An average or a blend is a weighted mean of recorded responses, as probabilities at T "
    "= 1, and needs no training. A blend's weights were chosen on the selection split, so its NLL "
    "on that split is slightly too low."
)


def means_sections(findings: Findings, rung: RungScores | None) -> tuple[Section, ...]:
    """Return the part of the page on variants; none where there are none."""
    if not (findings.blends or findings.branches):
        return ()
    return (
        Section("means", "Variants of checkpoints", (LEAD,), tables=(means_table(findings, rung),)),
    )


def means_table(findings: Findings, rung: RungScores | None) -> Table:
    """Return what was measured of each variant, and what its best students reached.

    Args:
        findings: The study.
        rung: Its first round, if students have been trained.
    """
    shown = [QUANTITIES[name] for name in SHOWN]
    head = ("variant", *(quantity.axis for quantity in shown), "students, %")
    caption = (
        "NLL and accuracy on the selection split, S and effective classes on the transfer set; "
        "students: selection accuracy of the best recipe after the first round, mean over seeds; "
        "-: not shortlisted. One teacher run for each "
        f"{findings.axis.title} (n = 1, so no spread)."
    )
    variants: tuple[TeacherRecord, ...] = (*findings.branches, *findings.blends)
    rows = tuple(
        (
            str(record.source),
            *(_shown(record, name) for name in SHOWN),
            _students(record.source, rung),
        )
        for record in variants
    )
    return Table(caption, head, rows)


def _shown(record: TeacherRecord, name: str) -> str:
    quantity = QUANTITIES[name]
    value = quantity.of(record)
    return "-" if value is None else quantity.shown(value)


def _students(source: TeacherSource, rung: RungScores | None) -> str:
    scores = rung.scores if rung is not None else ()
    own = [s.mean for s in scores if s.arm == Arm(source=source, recipe=s.recipe).key]
    return f"{100 * max(own):.2f}" if own else "-"
