"""Error transfer: whether students make the errors of their teacher."""

from __future__ import annotations

from goodteacher.records import ErrorArm, ErrorTransfer, percent
from goodteacher.report.headline import confidence
from goodteacher.report.ladder import rung_name, shown_estimate, shown_joint
from goodteacher.report.parts import Table

_SPLITS = {"test": "test split", "selection": "selection split"}
_FULL, _PLAIN = "full_response", "one_hot"
_BEYOND = {
    True: "beyond students of the labels",
    False: "beyond what an independent teacher's students would repeat",
}


def errors_lead(found: ErrorTransfer) -> tuple[str, ...]:
    """Say in words how often students of the full response make the teacher's errors."""
    arms = {arm.name: arm for arm in found.arms}
    full, plain = arms[_FULL], arms[_PLAIN]
    if full.transfer is None:
        return ()
    low, high = full.transfer.adjusted_interval
    answer = "Its interval includes 0: these students do not show it."
    if low > 0:
        answer = "So students take errors over from their teacher."
    if high < 0:
        answer = "So students of the response make the teacher's errors less often than others do."
    return (
        f"The teacher is wrong on {found.num_errors:,} of {found.num_examples:,} examples of the "
        f"{_SPLITS[found.split]}. Students of its full response make the very same error on "
        f"{percent(full.repeated.mean)} % of them, students of the labels on "
        f"{percent(plain.repeated.mean)} %. Error transfer, {_BEYOND[found.independent is None]}: "
        f"{shown_joint(full.transfer)} points. {answer}",
    )


def errors_table(found: ErrorTransfer, level: float) -> Table:
    """Return how often students of each rung repeat the teacher's errors."""
    head = (
        "students of",
        "same error, %",
        "right there, %",
        "errors of the independent, %",
        "same error, minus labels'",
        "beyond an independent teacher's",
    )
    return Table(_caption(found, level), head, tuple(_row(arm) for arm in found.arms))


def _caption(found: ErrorTransfer, level: float) -> str:
    beside = (
        " No independent teacher could be asked, so students of the labels are the comparison: "
        "error transfer is how much more often a student makes the teacher's error than they do."
    )
    if found.independent is not None:
        beside = (
            f" The independent teacher ({found.independent}) is wrong on "
            f"{found.independent_errors:,}; on {found.same_errors:,} both make the same error. "
            "Its students are not trained; instead the table shows how often these students, "
            "which never learned from it, make its errors. The last column, error transfer, is "
            "the share of the own teacher's errors minus that of the independent one's, minus "
            "the same of the labels' students."
        )
    seen = (
        ""
        if found.teacher_held_out or found.split == "test"
        else " A teacher that learned from these examples is wrong where it could not fit them."
    )
    return (
        f"Where {found.teacher} is wrong ({found.num_errors:,} of {found.num_examples:,} examples "
        f"of the {_SPLITS[found.split]}, {found.num_seeds} paired seeds): the share on which a "
        "student predicts the same wrong class, and on which it predicts the label."
        f"{seen}{beside} In points; differences are joint over the rungs; brackets: "
        f"{confidence(level)} intervals over seeds and examples."
    )


def _row(arm: ErrorArm) -> tuple[str, ...]:
    return (
        rung_name(arm.name),
        shown_estimate(arm.repeated),
        percent(arm.right),
        shown_estimate(arm.independent),
        shown_joint(arm.over_cross_entropy),
        shown_joint(arm.excess_over_cross_entropy),
    )
