"""One teacher's response, one recipe, no search - and always the honest comparison beside it.

Each seed trains two students that differ in nothing but what they learn from: the recipe, and plain
cross-entropy. So the result says what distillation added, and not only what it reached.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from goodteacher.arms import CROSS_ENTROPY, Arm, FileSource
from goodteacher.conclude import correct_by_arm
from goodteacher.config import DistillConfig, Frozen
from goodteacher.data import Dataset, load_dataset
from goodteacher.door import checked_settings
from goodteacher.engines import ENGINES
from goodteacher.errors import ResponseError, StudyError
from goodteacher.export import Classifier, deliver, load_student, make_card
from goodteacher.progress import Progress, Silent
from goodteacher.responses import Response, read_response
from goodteacher.results import Pair
from goodteacher.statistics import accuracy_interval, paired_interval
from goodteacher.students import StudentTask, paired_tasks
from goodteacher.study import DataLike, name_of, prepare_context
from goodteacher.tasks import Context, DataKey

RESPONSE_FILE = "response.safetensors"
RESULT_FILE = "distillation.json"


class Distillation(Frozen):
    """Content of ``distillation.json``: the students of a recipe beside cross-entropy's."""

    schema_version: int = 1
    arm: str
    num_seeds: int
    test_accuracy: float
    interval: Pair
    cross_entropy_test_accuracy: float
    gain: float
    gain_interval: Pair
    covers_seeds: bool
    level: float
    folder: str

    def student(self) -> Classifier:
        """Return the delivered student: the recipe's best on the selection split."""
        return load_student(Path(self.folder) / "student")


def distill(
    data: DataLike,
    *,
    responses: str | Path | Response | Tensor,
    student: str,
    out: str | Path,
    probabilities: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> Distillation:
    """Train a student from a teacher's response on the training data.

    Args:
        data: A data set, or what :func:`~goodteacher.data.load_dataset` understands.
        responses: Raw logits for the training examples, aligned by id: a file, a
            :class:`~goodteacher.responses.Response`, or a tensor [N, C] in the data's own order.
        student: Student architecture, such as ``"mlp:64"``.
        out: Folder for the student and the result. With the same settings, work that was stopped
            goes on there.
        probabilities: The file holds probabilities rather than logits.
        progress: Told how far the work is.
        **settings: Any field of :class:`~goodteacher.config.DistillConfig`.

    Returns:
        Accuracies of the recipe's students and of cross-entropy's on the test split, and the paired
        difference.

    Raises:
        InputError: Something given cannot work; raised before any training.

    Example:
        >>> import torch
        >>> from goodteacher.data import load_dataset
        >>> digits = load_dataset("digits")
        >>> logits = 4.0 * torch.nn.functional.one_hot(digits.train.labels, 10).float()
        >>> result = distill(digits, responses=logits, student="mlp:4", student_epochs=1,
        ...                  out=getfixture("tmp_path"), temperature=2)
        >>> result.num_seeds
        1
    """
    networks = {"student": student}
    config = checked_settings(DistillConfig, networks=networks, data=name_of(data), **settings)
    response, dataset = load_pair(responses, data, config, probabilities=probabilities)
    context = prepare_context(config, out, data=dataset, progress=progress or Silent())
    config = context.store.config(DistillConfig)
    with context.store.lock():
        source = keep_response(context, response)
        tasks = paired_tasks(
            config,
            DataKey.of(config, context.data, context.machine),
            (Arm(source=source, recipe=config.recipe), CROSS_ENTROPY),
            stage="distill",
            seeds=range(config.seeds),
            memory_gib=config.memory_gib,
            stack_width=config.stack_width,
        )
        ENGINES[config.engine](context).run("students", tasks)
        if not context.store.exists(RESULT_FILE):
            _conclude(config, context, tasks)
    return context.store.read_json(RESULT_FILE, Distillation)


def load_pair(
    responses: str | Path | Response | Tensor,
    data: DataLike,
    config: DistillConfig,
    *,
    probabilities: bool,
) -> tuple[Response, Dataset]:
    """Read a response and the data it is for, and check that they fit."""
    response = read_any_response(responses, probabilities=probabilities)
    dataset = load_dataset(data, resize=config.resize, skip_corrupt=config.skip_corrupt)
    return fitted_response(response, dataset), dataset


def read_any_response(
    responses: str | Path | Response | Tensor, *, probabilities: bool
) -> Response:
    """Return a response, from a file where it is one; a tensor's rows are in the data's order."""
    if isinstance(responses, Response):
        return responses
    if isinstance(responses, Tensor):
        return Response(responses.float(), torch.arange(len(responses)), has_ids=False)
    return read_response(responses, probabilities=probabilities)


def fitted_response(response: Response, dataset: Dataset) -> Response:
    """Refuse a response for other classes or other examples; give it ids if it has none."""
    if response.num_classes != dataset.num_classes:
        raise ResponseError(
            f"The response has {response.num_classes} classes, but the data have "
            f"{dataset.num_classes}. Was the teacher trained on another label set?"
        )
    if response.has_ids:
        return response
    if response.num_examples != len(dataset.train):
        raise ResponseError(
            f"The response has {response.num_examples} rows and no ids, but the training data have "
            f"{len(dataset.train)} examples. Without ids, rows must be the training examples in "
            "order. Add an array or column 'ids', or compute the response on the training data."
        )
    return Response(response.logits, dataset.train.ids)


def keep_response(context: Context, response: Response) -> FileSource:
    """Copy the response, aligned with the transfer set, into the folder."""
    ids = context.data.transfer.ids
    logits = response.aligned_to(ids).contiguous()
    content = hashlib.sha256(logits.numpy().tobytes()).hexdigest()[:16]
    store = context.store
    if store.exists(RESPONSE_FILE) and store.read_notes(RESPONSE_FILE)["content"] != content:
        raise StudyError(
            f"{store.root} holds students of another response. Name a new folder with --out."
        )
    _note_chance(context, logits)
    store.write_tensors(RESPONSE_FILE, {"logits": logits, "ids": ids}, content=content)
    return FileSource(content=content)


def _note_chance(context: Context, logits: Tensor) -> None:
    """Say so where a response agrees with the labels no more than the commonest class does."""
    labels = context.data.transfer.labels
    known = labels >= 0
    agreement = float((logits.argmax(1) == labels)[known].double().mean())
    commonest = float(labels[known].bincount().max() / known.sum())
    if agreement < commonest + 2 * math.sqrt(commonest / int(known.sum())):
        context.progress.note(
            f"the response's most probable class is the label for {100 * agreement:.1f} % of the "
            f"examples, no more than chance ({100 * commonest:.1f} %). Are its rows in another "
            "order, or its classes? Rows that carry ids are put in order by them."
        )


def _conclude(config: DistillConfig, context: Context, tasks: tuple[StudentTask, ...]) -> None:
    """Measure on the test split, deliver the best student, and write the result last."""
    correct = correct_by_arm(context, tasks)
    arm = tasks[0].arms[0]
    ours, plain = correct[arm], correct[CROSS_ENTROPY]
    level = config.level
    reached = accuracy_interval(ours, level=level)
    gain = paired_interval(ours, plain, level=level)
    rows = [task.rows(context.store)[0] for task in tasks]
    number = max(range(len(rows)), key=lambda i: rows[i].selection_accuracy)
    card = make_card(
        context,
        architecture=config.student,
        arm=arm.key,
        seed=rows[number].seed,
        accuracies=(rows[number].selection_accuracy, float(ours[number].mean())),
    )
    deliver(context, tasks[number].load_student(context, arm), card)
    result = Distillation(
        arm=arm.key,
        num_seeds=len(tasks),
        test_accuracy=reached.mean,
        interval=(reached.low, reached.high),
        cross_entropy_test_accuracy=float(plain.mean()),
        gain=gain.mean,
        gain_interval=(gain.low, gain.high),
        covers_seeds=gain.covers_seeds,
        level=level,
        folder=str(context.store.root),
    )
    context.store.write_json(RESULT_FILE, result)
