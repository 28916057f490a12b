"""Error transfer: do students make the errors of *their* teacher?

Where the teacher is wrong, how often does a student predict the very class that the teacher
predicts? Some of that says nothing about the teacher: hard and mislabelled examples mislead any
network in the same way. So that share is compared with the one that students of an **independent**
teacher would reach. The question is that of arXiv 2510.12615; the definition is *ours*:

    repeated(s, t)  share of the errors of teacher t on which student s makes the same error
    error transfer  repeated(s, own) - repeated(s, independent), minus the same of students of
                    the labels

Students of the independent teacher are not trained for it. Instead the *same* students are asked
about the independent teacher's errors: if both teachers are alike, how often students of one
repeat the errors of the other is the same in both directions. Where the teachers are not quite
alike, the errors of one are easier to repeat than those of the other, and students of the labels,
who learned from neither, say by how much: that is subtracted. A study's independent teacher is the
one of `fidelity`: another of its runs, and not wholly independent, since it had the same examples.
Without one, students of the labels are the whole comparison, and error transfer is how much more
often than they a student repeats the teacher's errors.

It is measured on the test split where the teacher's answers there are known, else on the selection
split. Shares of fewer than `MIN_ERRORS` errors are not given. Intervals are over the paired seeds
and the examples, joint over the rungs, for the teachers at hand.

Source of the question: arXiv 2510.12615.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from goodteacher.maths.statistics import crossed_interval, paired_interval
from goodteacher.records import ErrorArm, ErrorTransfer, JointEffect, TeacherSource
from goodteacher.students import Predicted, predicted_by_arm
from goodteacher.verdicts.evidence.case import PLAIN, Case, Teachers, estimate, joint_effects
from goodteacher.verdicts.rule import RUNGS

MIN_ERRORS = 20
"""Errors of a teacher below which no share of them is given: one example would be 5 points."""

Classes = npt.NDArray[np.int64]
Hits = npt.NDArray[np.bool_]


def error_transfer(case: Case) -> tuple[ErrorTransfer | None, str | None]:
    """Return how often the rungs' students repeat the teacher's errors, and what is missing, why.

    Args:
        case: The verification.
    """
    asked = _asked(case)
    own, independent = _classes(asked.teachers.own), _classes(asked.teachers.independent)
    if own is None:
        return None, asked.teachers.missing
    errors = own != asked.labels
    if (few := _too_few(errors, "the teacher")) is not None:
        return None, few
    missing = asked.teachers.missing if independent is None else None
    if independent is not None:
        missing = _too_few(independent != asked.labels, "the independent teacher")
        independent = None if missing else independent
    other = None if independent is None else independent != asked.labels
    found = ErrorTransfer(
        split=asked.split,
        num_examples=len(asked.labels),
        num_seeds=case.num_seeds,
        teacher_held_out=isinstance(case.source, TeacherSource),
        teacher=str(case.source),
        num_errors=int(errors.sum()),
        independent=None if independent is None else asked.teachers.independent_name,
        independent_errors=None if other is None else int(other.sum()),
        same_errors=None if independent is None else int((errors & (own == independent)).sum()),
        arms=compare_errors(
            asked.predicted, asked.labels, own, independent, level=case.config.level
        ),
    )
    return found, missing


def compare_errors(
    predicted: Mapping[str, Predicted],
    labels: Classes,
    own: Classes,
    independent: Classes | None,
    *,
    level: float,
) -> tuple[ErrorArm, ...]:
    """Compare how often students repeat a teacher's errors, arm by arm.

    Args:
        predicted: Classes that students predict, [S, N] by arm; ``one_hot`` must be among them.
        labels: Classes of the examples, [N].
        own: Classes that the own teacher predicts, [N]; wrong on two examples at least.
        independent: The same of the independent teacher, if there is one.
        level: Level of the intervals; differences to ``one_hot`` are joint over the other arms.
    """
    wrong = own != labels
    repeated = _repeated(predicted, labels, own)
    others = [name for name in predicted if name != PLAIN]
    over = [paired_interval(repeated[n], repeated[PLAIN], level=level) for n in others]
    over_plain = dict(zip(others, joint_effects(over, level=level), strict=True))
    elsewhere: dict[str, Hits] = {}
    net: dict[str, JointEffect] = {}
    if independent is not None:
        elsewhere = _repeated(predicted, labels, independent)
        shares = {
            n: _difference_of_shares(p, labels, own, independent) for n, p in predicted.items()
        }
        excess = [crossed_interval(shares[n] - shares[PLAIN], level=level) for n in others]
        net = dict(zip(others, joint_effects(excess, level=level), strict=True))
    return tuple(
        ErrorArm(
            name=name,
            repeated=estimate(hits, level=level),
            right=float((predicted[name] == labels)[:, wrong].mean()),
            independent=estimate(elsewhere[name], level=level) if elsewhere else None,
            over_cross_entropy=over_plain.get(name),
            excess_over_cross_entropy=net.get(name),
        )
        for name, hits in repeated.items()
    )


@dataclass(frozen=True)
class _Asked:
    """A split, and what teachers and the rungs' students, [S, N] by name, predict on it."""

    split: Literal["test", "selection"]
    labels: Classes
    teachers: Teachers
    predicted: Mapping[str, Predicted]


def _asked(case: Case) -> _Asked:
    """Return predictions on the test split if the own teacher's are known, else the selection's."""
    on_test = None if case.teachers.on_test is None else case.teachers.on_test(case.test)
    if on_test is not None and on_test.own is not None:
        predicted = {name: case.predicted[name] for name in RUNGS}
        return _Asked("test", case.labels, on_test, predicted)
    selection = case.context.data.selection
    found = predicted_by_arm(case.context, case.tasks, selection, "selection")
    predicted = {name: found[case.arms[name]] for name in RUNGS}
    return _Asked("selection", selection.labels.numpy(), case.teachers, predicted)


def _classes(predicted: object) -> Classes | None:
    return None if predicted is None else np.asarray(predicted, dtype=np.int64)


def _too_few(errors: Hits, who: str) -> str | None:
    """Say that a teacher makes too few errors; None where it makes enough."""
    if (count := int(errors.sum())) >= MIN_ERRORS:
        return None
    return (
        f"Error transfer was not measured: {who} is wrong on {count} of {len(errors):,} examples, "
        f"and fewer than {MIN_ERRORS} errors are too few."
    )


def _repeated(
    predicted: Mapping[str, Predicted], labels: Classes, teacher: Classes
) -> dict[str, Hits]:
    """Return who makes a teacher's error, [S, number of errors] by arm."""
    wrong = teacher != labels
    return {name: classes[:, wrong] == teacher[wrong] for name, classes in predicted.items()}


def _difference_of_shares(
    predicted: Predicted, labels: Classes, own: Classes, independent: Classes
) -> npt.NDArray[np.float64]:
    """Return values [S, M] whose mean is the share repeated of the own errors minus the other's.

    The shares are of different examples, and each is a ratio. Over the M examples on which either
    teacher is wrong, the values are the difference itself plus what each example moves it by, so
    that their spread is that of the difference (the ratio's linearization).
    """
    either = (own != labels) | (independent != labels)
    value = np.zeros((len(predicted), int(either.sum())))
    for teacher, sign in ((own, 1.0), (independent, -1.0)):
        wrong = (teacher != labels)[either]
        repeated = wrong & (predicted == teacher)[:, either]
        share = repeated.sum() / (len(predicted) * wrong.sum())
        value += sign * (share + (repeated - share * wrong) / wrong.mean())
    return value
