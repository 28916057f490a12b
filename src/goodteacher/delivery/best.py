"""Which student of an arm is delivered, and what it saves beside a teacher that predicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch

from goodteacher.delivery.classifier import Classifier
from goodteacher.delivery.export import deliver, make_card
from goodteacher.delivery.latency import batches_of, measure_latencies
from goodteacher.networks import parameter_count
from goodteacher.records import Arm, Predictor, Savings
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
    network = trained_student(context, task, arm)
    card = make_card(
        context,
        network,
        architecture=task.student,
        arm=arm.key,
        seed=task.seed,
        accuracies=(rows[number].selection_accuracy, float(correct[arm][number].mean())),
    )
    deliver(context, network, card, folder=folder)
    return Classifier(network, card)


def savings_of(
    context: Context, student: Classifier, folder: str, predictor: Predictor, *, name: str
) -> Savings:
    """Measure a delivered student beside its teacher, which was timed when it was asked.

    Args:
        context: The study.
        student: The student; afterwards it is on the CPU.
        folder: Where in the study's folder it is.
        predictor: What is known of the teacher.
        name: Of the teacher's run.
    """
    theirs, training, ours = predictor.latency, context.data.training, None
    if theirs is not None and len(training) >= theirs.batch_size:
        batches = {theirs.batch_size: batches_of(training, theirs.batch_size)}
        ((ours,),) = measure_latencies([student.to(torch.device("cpu")).eval()], batches)
    return Savings(
        teacher=name,
        student_parameters=parameter_count(student.network.module),
        student_bytes=context.store.num_bytes(folder),
        teacher_bytes=predictor.num_bytes,
        student_latency=ours,
        teacher_latency=theirs,
    )
