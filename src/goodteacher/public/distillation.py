"""One teacher's response, one recipe, no search - and always the honest comparison beside it.

Each seed trains two students that differ in nothing but what they learn from: the recipe, and plain
cross-entropy. So the result says what distillation added, and not only what it reached.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from goodteacher.config import DistillConfig, Frozen, Training
from goodteacher.delivery import Classifier, deliver_best, load_student
from goodteacher.engines import engine_of
from goodteacher.maths.statistics import Interval, accuracy_interval, paired_interval
from goodteacher.networks import NetworkLike
from goodteacher.records import CROSS_ENTROPY, MARGIN, Answer, Arm, Pair, StudentRow
from goodteacher.report import tracked
from goodteacher.responses import Response, ResponseLike, load_pair
from goodteacher.students import (
    Students,
    StudentTask,
    Tuned,
    check_diverged,
    correct_by_arm,
    keep_response,
    rows_by_arm,
    told_doubts,
    tune,
    unfinished,
    without_learning,
)
from goodteacher.studies import (
    RESULT_FILE,
    Context,
    DataKey,
    DataLike,
    Progress,
    Silent,
    checked_settings,
    name_of_data,
    place_of,
    prepare_context,
)
from goodteacher.training import borrowed


class Distillation(Frozen):
    """Content of ``distillation.json``: the students of a recipe beside those of hard labels.

    Recipes are to be compared by ``selection_accuracy``: whoever chooses by the test accuracies has
    nothing left that says how good the choice is.
    """

    schema_version: Literal[1] = 1
    answer: Answer = Field(description="whether the recipe beats hard labels")
    delivered: Literal["recipe", "hard_labels"]
    doubts: tuple[str, ...] = Field(
        default=(), description="what makes this answer uncertain, and what to do"
    )
    arm: str
    training: Training
    hard_labels_training: Training
    num_seeds: int
    selection_accuracy: float
    hard_labels_selection_accuracy: float
    test_accuracy: float
    interval: Pair
    cross_entropy_test_accuracy: float
    gain: float
    gain_interval: Pair
    covers_seeds: bool
    level: float
    folder: str

    def student(self) -> Classifier:
        """Return the delivered student: the best on the selection split."""
        return load_student(place_of(self.folder) / "student")

    def baseline(self) -> Classifier:
        """Return the best student of hard labels."""
        return load_student(place_of(self.folder) / "baseline")


def distill(
    data: DataLike,
    *,
    responses: ResponseLike,
    student: NetworkLike,
    out: str | Path,
    probabilities: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> Distillation:
    """Train a student from a teacher's response on the training data.

    Args:
        data: A data set, or what :func:`~goodteacher.data.load_dataset` understands.
        responses: Raw logits for the training examples, aligned by id: a file, a
            :class:`~goodteacher.responses.Response`, a data frame, or a tensor or array [N, C] in
            the data's own order.
        student: Student architecture, such as ``"mlp:64"``; or a function that makes a network; or
            a network, with whose weights every seed then starts.
        out: Folder for the student and the result. With the same settings, work that was stopped
            goes on there.
        probabilities: ``responses`` are probabilities rather than logits.
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
    config = checked_settings(DistillConfig, networks=networks, data=name_of_data(data), **settings)
    with borrowed(config), tracked(config.tracker, out, progress or Silent()) as told:
        response, dataset = load_pair(responses, data, config, probabilities=probabilities)
        context = prepare_context(config, out, data=dataset, progress=told)
        with context.store.lock(context.progress):
            _work(context, response)
    return context.store.read_json(RESULT_FILE, Distillation)


def _work(context: Context, response: Response) -> None:
    """Tune and train the students, and conclude if that is not done yet."""
    config = context.store.config(DistillConfig)
    source = keep_response(context, response)
    key = DataKey.of(config, context.data)
    students = Students(config, context, engine_of(config, context), key)
    arms = {"recipe": Arm(source=source, recipe=config.recipe), "hard_labels": CROSS_ENTROPY}
    tuned = tune(students, {name: (arm,) for name, arm in arms.items()})
    tasks = students.tasks(
        tuned.winners.values(), tuned.training, stage="distill", seeds=range(config.seeds)
    )
    students.train("students", tasks)
    if not context.store.exists(RESULT_FILE):
        _conclude(students, tuned, tasks)


def _conclude(students: Students, tuned: Tuned, tasks: Sequence[StudentTask]) -> None:
    """Measure on the test split, deliver the best student, and write the result last."""
    context, level = students.context, students.config.level
    rows = rows_by_arm(context.store, tasks)
    by_name = {name: rows[arm] for name, arm in tuned.winners.items()}
    diverged = check_diverged(by_name)
    improving = tuned.improving
    if not tuned.measured:
        improving = unfinished(students, tuned.winners, tasks)
    failed = without_learning(by_name, context.data.selection.labels)
    correct = correct_by_arm(context, tasks)
    ours, plain = (correct[tuned.winners[name]] for name in ("recipe", "hard_labels"))
    reached = accuracy_interval(ours, level=level)
    gain = paired_interval(ours, plain, level=level)
    selected = {name: _mean(each) for name, each in by_name.items()}
    better = selected["recipe"] > selected["hard_labels"]
    delivered: Literal["recipe", "hard_labels"] = "recipe" if better else "hard_labels"
    for folder, name in (("student", delivered), ("baseline", "hard_labels")):
        deliver_best(context, tuned.winners[name], tasks, correct, folder)
    result = Distillation(
        answer="undecided" if improving or "hard_labels" in failed else _answer(gain),
        delivered=delivered,
        doubts=told_doubts(by_name, improving, diverged, failed, tuned=tuned.measured),
        arm=tuned.winners["recipe"].trained(None).key,
        training=by_name["recipe"][0].training,
        hard_labels_training=by_name["hard_labels"][0].training,
        num_seeds=len(by_name["recipe"]),
        selection_accuracy=selected["recipe"],
        hard_labels_selection_accuracy=selected["hard_labels"],
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


def _answer(gain: Interval) -> Answer:
    if gain.low > 0:
        return "yes"
    return "no" if gain.high < MARGIN else "undecided"


def _mean(rows: Sequence[StudentRow]) -> float:
    return math.fsum(row.selection_accuracy for row in rows) / len(rows)
