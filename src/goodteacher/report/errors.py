"""Error transfer: whether students make the errors of their teacher."""

from __future__ import annotations

from goodteacher.records import ErrorArm, ErrorTransfer, percent, target_name
from goodteacher.report.headline import confidence
from goodteacher.report.ladder import shown_estimate, shown_joint
from goodteacher.report.parts import Table

_SPLITS = {"test": "test split", "selection": "selection split"}
_FULL, _PLAIN = "full_response", "one_hot"
_BEYOND = {
    True: "compared with students of hard labels",
    False: "corrected for the errors of an independent teacher",
}


def errors_lead(found: ErrorTransfer) -> tuple[str, ...]:
    """Say in words how often students of the full response make the teacher's errors."""
    arms = {arm.name: arm for arm in found.arms}
    full, plain = arms[_FULL], arms[_PLAIN]
    if full.transfer is None:
        return ()
    low, high = full.transfer.adjusted_interval
    answer = "The interval includes 0, so no error transfer is shown."
    if low > 0:
        answer = "So students learn errors from their teacher."
    if high < 0:
        answer = (
            "So students of the response make the teacher's errors less often than other students."
        )
    return (
        f"The teacher is wrong on {found.num_errors:,} of {found.num_examples:,} examples of the "
        f"{_SPLITS[found.split]}. Students of its full response make the very same error on "
        f"{percent(full.repeated.mean)} % of them, students of hard labels on "
        f"{percent(plain.repeated.mean)} %. Error transfer, "
        f"{_BEYOND[found.independent is None]}: {shown_joint(full.transfer)} points. {answer}",
    )


def errors_table(found: ErrorTransfer, level: float) -> Table:
    """Return how often students of each rung repeat the teacher's errors."""
    head = (
        "students of",
        "same error, %",
        "right there, %",
        "error of the independent teacher, %",
        "same error, minus hard labels",
        "error transfer",
    )
    return Table(_caption(found, level), head, tuple(_row(arm) for arm in found.arms))


def _caption(found: ErrorTransfer, level: float) -> str:
    beside = (
        " There is no independent teacher, so students of hard labels are the comparison: error "
        "transfer is how much more often a student makes the teacher's error than students of "
        "hard labels do."
    )
    if found.independent is not None:
        beside = (
            f" The independent teacher ({found.independent}) is wrong on "
            f"{found.independent_errors:,} examples; on {found.same_errors:,} of them both "
            "teachers make the same error. It has no students of its own. Instead, the table "
            "shows how often these students, which never learned from it, make its errors. Error "
            "transfer is the share of the own teacher's errors minus the share of the independent "
            "teacher's errors, minus the same difference for students of hard labels."
        )
    seen = (
        ""
        if found.teacher_held_out or found.split == "test"
        else (
            " The teacher may have learned from these examples; its errors are then the examples "
            "that it could not fit."
        )
    )
    return (
        f"Examples on which {found.teacher} is wrong ({found.num_errors:,} of "
        f"{found.num_examples:,} examples of the {_SPLITS[found.split]}, {found.num_seeds} paired "
        "seeds): the share for which a student predicts the same wrong class, and the share for "
        f"which it predicts the label.{seen}{beside} Differences are in points, with joint "
        f"intervals over the rungs; brackets: {confidence(level)} intervals over seeds and "
        "examples."
    )


def _row(arm: ErrorArm) -> tuple[str, ...]:
    return (
        target_name(arm.name),
        shown_estimate(arm.repeated),
        percent(arm.right),
        shown_estimate(arm.independent),
        shown_joint(arm.over_cross_entropy),
        shown_joint(arm.excess_over_cross_entropy),
    )
