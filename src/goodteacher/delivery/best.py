"""Which student of an arm is delivered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from goodteacher.delivery.classifier import Classifier
from goodteacher.delivery.export import deliver, make_card
from goodteacher.records import Arm
from goodteacher.students import StudentTask, by_arm, rows_by_arm, trained_student
from goodteacher.studies import Context


def deliver_best(
    context: Context,
    arm: Arm,
    tasks: Sequence[StudentTask],
    correct: Mapping[Arm, npt.NDArray[np.bool_]],
    folder: str,
) -> Classifier:
    """Deliver an arm's student that does best on the selection split.

    Args:
        context: The study.
        arm: What it learned from.
        tasks: Finished tasks that kept their students.
        correct: Who of them is right on the test split, bool [seeds, N] by arm.
        folder: Where in the study's folder it goes.

    Returns:
        The student.
    """
    rows = rows_by_arm(context.store, tasks)[arm]
    number = max(range(len(rows)), key=lambda i: rows[i].selection_accuracy)
    task, _ = by_arm(tasks)[arm][number]
    card = make_card(
        context,
        architecture=task.student,
        arm=arm.key,
        seed=task.seed,
        accuracies=(rows[number].selection_accuracy, float(correct[arm][number].mean())),
    )
    network = trained_student(context, task, arm)
    deliver(context, network, card, folder=folder)
    return Classifier(network, card)
