"""Does the teacher help this student? Repeated cross-validation, references tuned alike.

For each fold, teacher and students see the other folds alone: the teacher is trained out of fold
once more *within* them, so that nothing which a student learns from has seen the fold that it is
tested on. Students of every arm - each temperature and alpha, each strength of label smoothing,
hard labels - get the same rows, the same seed and the same test rows.

The best arm of a family is chosen, for each fold, by the rows of the other folds; so the accuracies
of families are those of the whole procedure, its choice included. Recipes here soften the teacher's
response alone: a classifier has no temperature of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.model_selection import StratifiedKFold
from sklearn.utils import _safe_indexing
from sklearn.utils.parallel import Parallel, delayed

from goodteacher.config import Recipe, parse
from goodteacher.integrations.sklearn.students import Numbers, Rows, fit_student, probabilities_of
from goodteacher.integrations.sklearn.tables import joined_rows
from goodteacher.integrations.sklearn.teaching import Table, Teaching, some_of
from goodteacher.maths.statistics import (
    Interval,
    accuracy_interval,
    adjusted_level,
    folds_interval,
    folds_mean_interval,
)
from goodteacher.maths.targets import smoothing_targets
from goodteacher.records import CROSS_ENTROPY, Arm, FileSource, SmoothingSource, smoothing_arm
from goodteacher.responses import Response

DISTILLED, HARD_LABELS, SMOOTHING = "distilled", "hard_labels", "label_smoothing"
REFERENCES = (HARD_LABELS, SMOOTHING)
_TEACHER = FileSource(content="teacher")
_SMALLEST = 1e-15  # what a class of probability 0 counts as in a log loss, as scikit-learn once had

Families = Mapping[str, tuple[Arm, ...]]


def families_of(
    temperatures: Sequence[float], alphas: Sequence[float], smoothings: Sequence[float]
) -> Families:
    """Return the arms of each family: what students may learn from.

    Args:
        temperatures: That soften the response.
        alphas: Weights of the response, against the labels.
        smoothings: Strengths of label smoothing.

    Raises:
        ConfigError: A value is out of range.
    """
    recipes = [parse(Recipe, temperature=t, alpha=a) for a in alphas for t in temperatures]
    spread = [parse(SmoothingSource, smoothing=value).smoothing for value in smoothings]
    return {
        DISTILLED: tuple(Arm(source=_TEACHER, recipe=recipe) for recipe in recipes),
        HARD_LABELS: (CROSS_ENTROPY,),
        SMOOTHING: tuple(smoothing_arm(value) for value in spread),
    }


def best_arms(compared: Compared | None, families: Families) -> dict[str, Arm]:
    """Return the best arm of each family; the first one where nothing was compared."""
    return {
        name: arms[0] if compared is None else compared.best(name)
        for name, arms in families.items()
    }


def targets_of(arm: Arm, response: Response, codes: Rows) -> Numbers:
    """Return what a student of an arm learns from, [N, C].

    ``(1 - alpha) * labels + alpha * softmax(logits / T)``; for arms without a teacher the labels,
    smoothed or not.

    Args:
        arm: The arm.
        response: The teacher's, for N rows.
        codes: Class of each row.
    """
    labels, classes = torch.from_numpy(codes), response.num_classes
    strength = arm.source.smoothing if isinstance(arm.source, SmoothingSource) else 0.0
    hot = smoothing_targets(labels, smoothing=strength, num_classes=classes, dtype=torch.float64)
    if not isinstance(arm.source, FileSource):
        return hot.numpy()
    recipe = arm.recipe
    soft = (response.logits.double() / recipe.temperature).softmax(-1)
    mixed: Numbers = ((1 - recipe.alpha) * hot + recipe.alpha * soft).numpy()
    return mixed


@dataclass(frozen=True)
class Lesson:
    """What students learn from: rows, what the teacher says of them, and rows without a label.

    Attributes:
        table: Labelled rows.
        response: The teacher's, of the labelled rows.
        others: Unlabelled rows, or None.
        about_others: What the teacher says of these.
    """

    table: Table
    response: Response
    others: Any = None
    about_others: Response | None = None

    def fit(self, student: Any, arm: Arm, *, smallest: float, seed: int) -> Any:
        """Fit a clone of a student; one of the teacher learns from unlabelled rows too.

        Args:
            student: A classifier that takes sample weights.
            arm: What it learns from.
            smallest: Classes of a smaller probability are left out.
            seed: Where its ``random_state`` is None.
        """
        table, inputs = self.table, self.table.inputs
        targets, weights = targets_of(arm, self.response, table.codes), table.weights
        if isinstance(arm.source, FileSource) and self.about_others is not None:
            more = (self.about_others.logits.double() / arm.recipe.temperature).softmax(-1).numpy()
            inputs, targets = joined_rows(inputs, self.others), np.concatenate([targets, more])
            if weights is not None:
                weights = np.concatenate([weights, np.full(len(more), weights.mean())])
        return fit_student(
            student,
            inputs,
            targets,
            table.classes,
            smallest=smallest,
            weights=weights,
            seed=seed,
        )


def lesson_of(teaching: Teaching, table: Table, others: Any, response: Response) -> Lesson:
    """Return what students learn from, the teacher asked about unlabelled rows too.

    Args:
        teaching: The teacher.
        table: Labelled rows.
        others: Unlabelled rows, or None.
        response: What it says of the labelled ones.
    """
    if others is None:
        return Lesson(table, response)
    said = teaching.about_others(teaching.fitted(table), others, table.classes)
    return Lesson(table, response, others, said)


@dataclass(frozen=True)
class Comparing:
    """How students are compared.

    Attributes:
        student: A classifier that takes sample weights.
        teaching: The teacher.
        families: What students may learn from.
        smallest: Classes of a smaller probability are left out of soft targets.
        folds: Number of folds.
        repeats: How often the rows are divided into folds.
        seed: Of the first division.
        jobs: Folds at a time, as scikit-learn's ``n_jobs``.
    """

    student: Any
    teaching: Teaching
    families: Families
    smallest: float
    folds: int
    repeats: int
    seed: int
    jobs: int | None = None

    @property
    def arms(self) -> tuple[Arm, ...]:
        """Every arm of every family, once."""
        return tuple(dict.fromkeys(arm for arms in self.families.values() for arm in arms))

    def run(self, table: Table, others: Any, response: Response) -> Compared:
        """Train students of every arm in every fold.

        Args:
            table: Labelled rows.
            others: Unlabelled rows, or None.
            response: What the teacher says of the labelled rows; a teacher that is trained here is
                trained in each fold anew.
        """
        work, numbers = [], np.empty((self.repeats, len(table)), np.int64)
        for repeat in range(self.repeats):
            seed = self.seed + repeat
            parts = StratifiedKFold(self.folds, shuffle=True, random_state=seed)
            for number, (seen, test) in enumerate(parts.split(numbers[0], table.codes)):
                numbers[repeat, test] = number
                work.append((repeat, seen, test, seed))
        found = Parallel(n_jobs=self.jobs)(
            delayed(self._fold)(table, others, response, seen, test, seed)
            for _, seen, test, seed in work
        )
        shape = (len(self.arms), self.repeats, len(table))
        correct, losses = np.zeros(shape, bool), np.full(shape, np.nan)
        for (repeat, _, test, _), (right, loss) in zip(work, found, strict=True):
            correct[:, repeat, test], losses[:, repeat, test] = right, loss
        return Compared(self.families, self.arms, correct, losses, numbers)

    def _fold(
        self, table: Table, others: Any, response: Response, seen: Rows, test: Rows, seed: int
    ) -> tuple[npt.NDArray[np.bool_], Numbers]:
        """Return who is right on a fold, and each one's log loss there, [arms, rows]."""
        part, inputs, codes = (
            table.rows(seen),
            _safe_indexing(table.inputs, test),
            table.codes[test],
        )
        teaching = self.teaching.within(part)
        inner = teaching.out_of_fold(part) if teaching.trains else some_of(response, seen)
        lesson = lesson_of(teaching, part, others, inner)
        right, losses = [], []
        for arm in self.arms:
            made = lesson.fit(self.student, arm, smallest=self.smallest, seed=seed)
            right.append(np.asarray(made.predict(inputs)) == table.classes[codes])
            losses.append(_log_losses(probabilities_of(made, inputs, table.classes), codes))
        return np.stack(right), np.stack(losses)


@dataclass(frozen=True)
class Compared:
    """What students of every arm reached.

    Attributes:
        families: The arms of each family.
        arms: All of them.
        correct: Who is right, bool [arms, repeats, N]: each row was held out.
        losses: Log loss in nats, likewise; NaN for students that give no probabilities.
        folds: In which fold each row was tested, [repeats, N].
    """

    families: Families
    arms: tuple[Arm, ...]
    correct: npt.NDArray[np.bool_]
    losses: Numbers
    folds: npt.NDArray[np.int64]

    def best(self, family: str, without: npt.NDArray[np.bool_] | None = None) -> Arm:
        """Return the arm of a family with the best accuracy; among equals, the lower log loss.

        Args:
            family: Its name.
            without: Rows that shall have no part in the choice, bool [N].
        """
        chosen = slice(None) if without is None else ~without

        def worth(arm: Arm) -> tuple[float, float]:
            number = self.arms.index(arm)
            loss = float(np.mean(self.losses[number][:, chosen]))
            return float(self.correct[number][:, chosen].mean()), -np.nan_to_num(loss)

        return max(self.families[family], key=worth)

    def reached(self, family: str) -> tuple[npt.NDArray[np.bool_], Numbers]:
        """Return who is right of a family, its arm chosen for each fold by the other folds.

        Args:
            family: Its name.

        Returns:
            Bool [repeats, N], and log losses in nats, likewise.
        """
        correct, losses = np.empty_like(self.correct[0]), np.empty_like(self.losses[0])
        for repeat, row in enumerate(self.folds):
            for number in np.unique(row):
                test = row == number
                arm = self.arms.index(self.best(family, without=test))
                correct[repeat, test] = self.correct[arm, repeat, test]
                losses[repeat, test] = self.losses[arm, repeat, test]
        return correct, losses

    def accuracy(self, family: str, *, level: float) -> Interval:
        """Return the accuracy of a family, with its interval."""
        return accuracy_interval(self.reached(family)[0], level=level)

    def log_loss(self, family: str) -> float | None:
        """Return the mean log loss of a family in nats; None without probabilities."""
        loss = float(self.reached(family)[1].mean())
        return None if np.isnan(loss) else loss

    def gain_over(self, reference: str, *, level: float) -> Interval:
        """Return the accuracy that distilled students gain; all references cover together.

        Args:
            reference: One of ``REFERENCES``.
            level: Of all of them together.
        """
        each = adjusted_level(level, len(REFERENCES))
        ours, theirs = self.reached(DISTILLED)[0], self.reached(reference)[0]
        return folds_interval(ours, theirs, self.folds, level=each)

    def saved_over(self, reference: str, *, level: float) -> Interval | None:
        """Return how much lower the log loss of distilled students is; None without probabilities.

        Args:
            reference: One of ``REFERENCES``.
            level: Of all references together.
        """
        ours, theirs = self.reached(DISTILLED)[1], self.reached(reference)[1]
        if np.isnan(ours).any() or np.isnan(theirs).any():
            return None
        each = adjusted_level(level, len(REFERENCES))
        return folds_mean_interval(theirs - ours, self.folds, level=each)


def _log_losses(probabilities: Numbers | None, codes: Rows) -> Numbers:
    if probabilities is None:
        return np.full(len(codes), np.nan)
    losses: Numbers = -np.log(np.maximum(probabilities[np.arange(len(codes)), codes], _SMALLEST))
    return losses
