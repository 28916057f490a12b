"""What trained students predict, and who of them is right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from goodteacher.data import Split
from goodteacher.records import Arm
from goodteacher.students.kept import Shelf
from goodteacher.students.plan import StudentTask, by_arm
from goodteacher.students.stacks import predict
from goodteacher.studies import Context

Correct = npt.NDArray[np.bool_]


Predicted = npt.NDArray[np.int32]


def correct_by_arm(context: Context, tasks: Sequence[StudentTask]) -> dict[Arm, Correct]:
    """Open the test split and say who is right on it.

    Args:
        context: The study.
        tasks: Finished tasks that kept their students, each arm with the same seeds.

    Returns:
        For each arm, bool [num_seeds, num_examples].
    """
    test = context.data.test.open("all choices are made: measure the students")
    predicted = predicted_by_arm(context, tasks, test, "test")
    return {arm: classes == test.labels.numpy() for arm, classes in predicted.items()}


def predicted_by_arm(
    context: Context, tasks: Sequence[StudentTask], split: Split, name: str
) -> dict[Arm, Predicted]:
    """Return the classes that students predict, running them where that has not been done.

    Args:
        context: The study.
        tasks: Finished tasks that kept their students, each arm with the same seeds.
        split: The examples.
        name: What the predictions are kept as: ``selection`` or ``test``.

    Returns:
        For each arm, int32 [num_seeds, num_examples].
    """
    for task in tasks:
        if not Shelf(context.store, task.key).has_predictions(name):
            predict(context, task, split, name)
    shelves = {task.key: Shelf(context.store, task.key) for task in tasks}
    classes = {key: shelf.predictions(name).numpy() for key, shelf in shelves.items()}
    return {
        arm: np.stack([classes[task.key][place] for task, place in places])
        for arm, places in by_arm(tasks).items()
    }
