"""One teacher's response, one recipe, no search - and always the honest comparison beside it.

Each seed trains two students that differ in nothing but what they learn from: the recipe, and plain
cross-entropy. So the result says what distillation added, and not only what it reached.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from goodteacher.arms import CROSS_ENTROPY, Arm
from goodteacher.conclude import correct_by_arm
from goodteacher.config import DistillConfig, Frozen, parse
from goodteacher.data import Dataset
from goodteacher.engines import ENGINES
from goodteacher.export import Classifier, deliver, load_student, make_card
from goodteacher.given import keep_response, load_pair
from goodteacher.models import canonical_spec
from goodteacher.progress import Progress, Silent
from goodteacher.responses import ResponseLike
from goodteacher.results import Pair
from goodteacher.statistics import accuracy_interval, paired_interval
from goodteacher.students import StudentTask, paired_tasks
from goodteacher.study import prepare_context
from goodteacher.tasks import Context, DataKey

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
    data: str | Path | Dataset,
    *,
    responses: ResponseLike,
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
            :class:`~goodteacher.responses.Response`, a data frame, or a tensor or array [N, C] in
            the data's own order.
        student: Student architecture, such as ``"mlp:64"``.
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
    name = data.name if isinstance(data, Dataset) else str(data)
    config = parse(DistillConfig, data=name, student=canonical_spec(student), **settings)
    response, dataset = load_pair(responses, data, config, probabilities=probabilities)
    context = prepare_context(config, out, data=dataset, progress=progress or Silent())
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
