"""What the delivered student saves beside a teacher that predicts and was asked once."""

from __future__ import annotations

import torch

from goodteacher.delivery.classifier import Classifier
from goodteacher.delivery.latency import batches_of, measure_latencies
from goodteacher.networks import parameter_count
from goodteacher.records import Latency, Savings, TeacherChoice
from goodteacher.sweet_spot.search import Search


def savings_of(
    search: Search, teacher: TeacherChoice, student: Classifier, folder: str
) -> Savings | None:
    """Measure the delivered student beside its teacher, which was timed when it was asked.

    Args:
        search: The search.
        teacher: The sweet spot's.
        student: The one that is delivered.
        folder: Where it is in the study.

    Returns:
        None where the teacher is no single one that predicts.
    """
    predictor = search.teachers.predictor(teacher.run)
    if predictor is None or teacher.members:
        return None
    files = [path for path in search.context.store.path(folder).rglob("*") if path.is_file()]
    theirs = predictor.latency
    return Savings(
        teacher=teacher.run,
        student_parameters=parameter_count(student.network.module),
        student_bytes=sum(path.stat().st_size for path in files),
        teacher_bytes=predictor.num_bytes,
        student_latency=None if theirs is None else _latency(search, student, theirs.batch_size),
        teacher_latency=theirs,
    )


def _latency(search: Search, student: Classifier, size: int) -> Latency | None:
    """Return how long the student takes for a batch; None where there are not so many examples."""
    training = search.context.data.training
    if len(training) < size:
        return None
    on_cpu = student.to(torch.device("cpu")).eval()
    ((latency,),) = measure_latencies([on_cpu], {size: batches_of(training, size)})
    return latency
