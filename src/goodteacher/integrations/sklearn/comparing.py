"""Does the teacher help this student? Repeated cross-validation, references tuned alike.

For each fold, teacher and students see the other folds alone: the teacher is trained out of fold
once more *within* them, so that nothing which a student learns from has seen the fold that it is
tested on. Students of every arm - each temperature and alpha, each strength of label smoothing,
hard labels - get the same rows, the same seed and the same test rows.

The best arm of a family is chosen, for each fold, by the rows of the other folds; so the accuracies
of families are those of the whole procedure, its choice included. What an arm learns is in
`soft_targets`, how a student learns it in `students`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from sklearn.model_selection import StratifiedKFold
from sklearn.utils import _safe_indexing
from sklearn.utils.parallel import Parallel, delayed

from goodteacher.config import Recipe, parse
from goodteacher.data import UNLABELLED
from goodteacher.integrations.sklearn.soft_targets import Numbers, Rows, targets_of
from goodteacher.integrations.sklearn.students import fit_student, probabilities_of
from goodteacher.integrations.sklearn.synthetic import synthetic_rows
from goodteacher.integrations.sklearn.tables import joined_rows
from goodteacher.integrations.sklearn.teaching import Table, Teaching, some_of
from goodteacher.maths.statistics import (
    Interval,
    accuracy_interval,
    adjusted_level,
    folds_interval,
    folds_mean_interval,
)
from goodteacher.records import (
    CROSS_ENTROPY,
    Arm,
    FileSource,
    SmoothingSource,
    TargetSource,
    smoothing_arm,
)
from goodteacher.responses import Response

DISTILLED, HARD_LABELS, SMOOTHING = "distilled", "hard_labels", "label_smoothing"
REFERENCES = (HARD_LABELS, SMOOTHING)
TEACHER = FileSource(content="teacher")
_SMALLEST = 1e-15  # what a class of probability 0 counts as in a log loss, as scikit-learn once had

Families = Mapping[str, tuple[Arm, ...]]


class SyntheticArm(Arm):
    """An arm whose students learn from synthetic rows too, of which the teacher says what they are.

    Attributes:
        synthetic: How these are made.
    """

    synthetic: Literal["munge", "spunge"]

    @property
    def key(self) -> str:
        """A readable name that no other arm has."""
        return f"{super().key} | {self.synthetic}"


def with_synthetic(arm: Arm, synthetic: str | None) -> Arm:
    """Return an arm whose students learn from synthetic rows too; itself for None.

    Args:
        arm: One that asks the teacher.
        synthetic: How synthetic rows are made.
    """
    if synthetic is None:
        return arm
    return parse(SyntheticArm, source=arm.source, recipe=arm.recipe, synthetic=synthetic)


def families_of(
    temperatures: Sequence[float],
    alphas: Sequence[float],
    smoothings: Sequence[float],
    synthetic: Sequence[str | None] = (None,),
) -> Families:
    """Return the arms of each family: what students may learn from.

    Args:
        temperatures: That soften the response.
        alphas: Weights of the response, against the labels.
        smoothings: Strengths of label smoothing.
        synthetic: How synthetic rows are made; None for none.

    Raises:
        ConfigError: A value is out of range.
    """
    recipes = [parse(Recipe, temperature=t, alpha=a) for a in alphas for t in temperatures]
    spread = [parse(SmoothingSource, smoothing=value).smoothing for value in smoothings]
    taught = [Arm(source=TEACHER, recipe=recipe) for recipe in recipes]
    return {
        DISTILLED: tuple(with_synthetic(arm, kind) for kind in synthetic for arm in taught),
        HARD_LABELS: (CROSS_ENTROPY,),
        SMOOTHING: tuple(smoothing_arm(value) for value in spread),
    }


def best_arms(compared: Compared | None, families: Families) -> dict[str, Arm]:
    """Return the best arm of each family; the first one where nothing was compared."""
    return {
        name: arms[0] if compared is None else compared.best(name)
        for name, arms in families.items()
    }


@dataclass(frozen=True)
class Unlabelled:
    """Rows without a label, and what the teacher says of them.

    Attributes:
        inputs: M rows.
        response: The teacher's.
    """

    inputs: Any
    response: Response


@dataclass(frozen=True)
class Lesson:
    """What students learn from: rows, what the teacher says of them, and rows without a label.

    Attributes:
        table: Labelled rows.
        response: The teacher's, of the labelled rows.
        others: Unlabelled rows that the user gave, or None.
        synthetic: Those that were made, by how they were.
    """

    table: Table
    response: Response
    others: Unlabelled | None
    synthetic: Mapping[str, Unlabelled]

    def fit(self, student: Any, arm: Arm, *, smallest: float, seed: int) -> Any:
        """Fit a clone of a student; one of the teacher learns from rows without a label too.

        Args:
            student: A classifier that takes sample weights.
            arm: What it learns from.
            smallest: Classes of a smaller probability are left out.
            seed: Where its ``random_state`` is None.
        """
        table, inputs, codes = self.table, self.table.inputs, self.table.codes
        logits, weights = self.response.in_memory(), self.table.weights
        for more in self._further(arm):
            inputs, logits = (
                joined_rows(inputs, more.inputs),
                torch.cat([logits, more.response.in_memory()]),
            )
            added = len(logits) - len(codes)
            codes = np.concatenate([codes, np.full(added, UNLABELLED)])
            if weights is not None and table.weights is not None:
                weights = np.concatenate([weights, np.full(added, table.weights.mean())])
        response = Response(logits, torch.arange(len(logits)))
        targets = targets_of(arm, response, codes, weights=weights, seed=seed)
        return fit_student(student, inputs, targets, table.classes, smallest=smallest, seed=seed)

    def _further(self, arm: Arm) -> tuple[Unlabelled, ...]:
        """Return the rows without a label that students of an arm learn from."""
        if not isinstance(arm.source, FileSource | TargetSource):
            return ()
        given = () if self.others is None else (self.others,)
        made = (self.synthetic[arm.synthetic],) if isinstance(arm, SyntheticArm) else ()
        return given + made


def lesson_of(
    teaching: Teaching,
    table: Table,
    others: Any,
    response: Response,
    *,
    synthetic: Sequence[str] = (),
    per_row: float = 1.0,
    seed: int = 0,
) -> Lesson:
    """Return what students learn from, the teacher asked about rows without a label too.

    Args:
        teaching: The teacher.
        table: Labelled rows.
        others: Unlabelled rows, or None.
        response: What it says of the labelled ones.
        synthetic: How synthetic rows are made, each way for itself.
        per_row: Number of synthetic rows for each labelled one.
        seed: Of the synthetic rows.
    """
    if others is None and not synthetic:
        return Lesson(table, response, None, {})
    teacher = teaching.fitted(table)

    def asked(inputs: Any) -> Unlabelled:
        return Unlabelled(inputs, teaching.about_others(teacher, inputs, table.classes))

    count = max(1, round(per_row * len(table)))
    made = {kind: synthetic_rows(kind, table.inputs, count, seed=seed) for kind in synthetic}
    return Lesson(
        table,
        response,
        None if others is None else asked(others),
        {kind: asked(inputs) for kind, inputs in made.items()},
    )


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
        per_row: Number of synthetic rows for each labelled one.
    """

    student: Any
    teaching: Teaching
    families: Families
    smallest: float
    folds: int
    repeats: int
    seed: int
    jobs: int | None = None
    per_row: float = 1.0

    @property
    def arms(self) -> tuple[Arm, ...]:
        """Every arm of every family, once."""
        return tuple(dict.fromkeys(arm for arms in self.families.values() for arm in arms))

    def lesson(self, teaching: Teaching, table: Table, others: Any, response: Response) -> Lesson:
        """Return what students of every arm learn from.

        Args:
            teaching: The teacher, of these rows.
            table: Labelled rows.
            others: Unlabelled rows, or None.
            response: What the teacher says of the labelled ones.
        """
        kinds = [arm.synthetic for arm in self.arms if isinstance(arm, SyntheticArm)]
        return lesson_of(
            teaching,
            table,
            others,
            response,
            synthetic=tuple(dict.fromkeys(kinds)),
            per_row=self.per_row,
            seed=self.seed,
        )

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
        lesson = self.lesson(teaching, part, others, inner)
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
