"""Knowledge or regularization, for students of scikit-learn's kind: ladder and rule on folds.

The rungs and the rule are those of the library's own students (`verdicts.rule`); what differs is
where arms are compared. There is no test split: every row is held out once in each repetition, as
in the comparison of `fit` and on the same folds. Each rung, and label smoothing, is tuned over the
same recipes, its recipe chosen for each fold by the rows of the other folds, and so is the best
regularizer: what a choice gains by luck has no part in what is judged. Intervals are those of
repeated folds (`maths.statistics.folds`).

With two classes rungs 2, 3 and 4 are the same, and are trained once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import Any

from goodteacher.config import Recipe
from goodteacher.errors import ConfigError
from goodteacher.integrations.sklearn.comparing import (
    DISTILLED,
    SMOOTHING,
    TEACHER,
    Compared,
    Comparing,
    Families,
    SyntheticArm,
    with_synthetic,
)
from goodteacher.integrations.sklearn.reports import about_teacher
from goodteacher.integrations.sklearn.teaching import Table
from goodteacher.maths.statistics import folds_interval
from goodteacher.maths.targets import FALSIFICATION
from goodteacher.records import CROSS_ENTROPY, Arm, Verdict
from goodteacher.responses import Response
from goodteacher.verdicts.rule import (
    PSEUDO_LABELS,
    REGULARIZERS,
    RUNGS,
    TUNED,
    Design,
    judge_tuned,
    target_arm,
)

_BEST = "best_regularizer"
_TWO_CLASSES = (
    "With two classes, a response contains no class similarity, so the verdict cannot be knowledge."
)


@dataclass(frozen=True)
class Judging:
    """A teacher's gain for a student of scikit-learn's kind, and what it takes to judge it.

    Attributes:
        plan: How `fit` compared students.
        table: Labelled rows.
        others: Unlabelled rows, or None.
        response: What the teacher says of the labelled rows.
        best: The best arm of the teacher.
        memory: What the check for memory told, or None; then nothing is decided.
        level: Of the intervals, unless another is asked for.
    """

    plan: Comparing
    table: Table
    others: Any
    response: Response
    best: Arm
    memory: str | None
    level: float

    def judge(
        self, *, repeats: int = 5, margin: float = 0.002, level: float | None = None, **others: Any
    ) -> Verdict:
        """Train students of every rung in every fold, and apply the rule.

        Args:
            repeats: How often the rows are divided into folds, at least 2.
            margin: Of practical equivalence, a difference of accuracies in [0, 1).
            level: Of the intervals; None for that of the fit.
            **others: Refused, by name.

        Raises:
            ConfigError: A setting is unknown or out of range.
        """
        level = self.level if level is None else level
        _check(repeats, margin, level, others)
        classes = len(self.table.classes)
        families = self._families(classes)
        plan = dataclasses.replace(self.plan, families=families, repeats=int(repeats))
        compared = plan.run(self.table, self.others, self.response)
        found = verdict_of(
            compared, teacher=_name(self.plan.teaching.teacher), level=level, margin=margin
        )
        doubts = about_teacher(self.memory, trained_here=self.plan.teaching.trains)
        told = (*doubts, *((_TWO_CLASSES,) if classes == 2 else ()), found.explanation)
        changes: dict[str, Any] = {"explanation": " ".join(told), "num_unlabelled": self._further}
        if self.memory:
            changes |= {"verdict": "inconclusive", "more_seeds": None}
        return found.model_copy(update=changes)

    @property
    def _synthetic(self) -> str | None:
        return self.best.synthetic if isinstance(self.best, SyntheticArm) else None

    @property
    def _further(self) -> int:
        """Number of rows without a label that students of the teacher learn from."""
        made = round(self.plan.per_row * len(self.table)) if self._synthetic else 0
        return made + (0 if self.others is None else int(self.others.shape[0]))

    def _families(self, classes: int) -> Families:
        """Return the arms of every rung and control, and of the regularizers together."""
        taught = self.plan.families[DISTILLED]
        recipes = tuple(dict.fromkeys(arm.recipe for arm in taught))
        found = {RUNGS[0]: (CROSS_ENTROPY,), TUNED: self.plan.families[SMOOTHING]}
        for name in RUNGS[1:]:
            same = RUNGS[4] if classes == 2 and name != RUNGS[1] else name
            found[name] = tuple(self._arm(same, recipe) for recipe in recipes)
        for name in FALSIFICATION:
            found[name] = (self._arm(name, self.best.recipe),)
        if self._further:
            found[PSEUDO_LABELS] = (self._arm("one_hot", Recipe()),)
        named = [name for name in (*REGULARIZERS, PSEUDO_LABELS) if name in found]
        return {**found, _BEST: tuple(arm for name in named for arm in found[name])}

    def _arm(self, target: str, recipe: Recipe) -> Arm:
        return with_synthetic(target_arm(TEACHER, target, recipe), self._synthetic)


def verdict_of(compared: Compared, *, teacher: str, level: float, margin: float) -> Verdict:
    """Apply the rule of the verdict to a ladder that was compared on folds.

    Args:
        compared: Families of the rungs' names, of tuned label smoothing, of the controls, and of
            all regularizers together.
        teacher: What the teacher is called.
        level: Of the intervals.
        margin: Of practical equivalence.
    """
    names = [name for name in compared.families if name != _BEST]
    arms: Mapping[str, Arm] = {name: compared.best(name) for name in names}
    accuracies = {
        name: float(compared.correct[compared.arms.index(arm)].mean()) for name, arm in arms.items()
    }
    design = Design(
        interval=partial(_difference, folds=compared.folds),
        repetitions="repetitions",
        examples="a table of {} rows",
        best=compared.reached(_BEST)[0],
    )
    found = judge_tuned(
        {name: compared.reached(name)[0] for name in names},
        accuracies,
        arms=arms,
        teacher=teacher,
        level=level,
        margin=margin,
        design=design,
    )
    return found.model_copy(update={"tuned_arms": True, "error_level": level})


def _difference(ours: Any, theirs: Any, *, folds: Any, level: float) -> Any:
    return folds_interval(ours, theirs, folds, level=level)


def _name(teacher: Any) -> str:
    return getattr(teacher, "__name__", type(teacher).__name__)


def _check(repeats: Any, margin: Any, level: Any, others: Mapping[str, Any]) -> None:
    if others:
        raise ConfigError(
            f"{', '.join(sorted(others))} cannot be set for a scikit-learn student, because its "
            "ladder is compared on folds: set repeats, margin and level."
        )
    if isinstance(repeats, bool) or not isinstance(repeats, Integral) or repeats < 2:
        raise ConfigError(
            f"repeats must be a whole number from 2, but is {repeats!r}: a single division into "
            "folds does not show how much the division matters."
        )
    if not 0 <= margin < 1:
        raise ConfigError(f"margin must be in 0..1, but is {margin!r}. 0.002 is 0.2 points.")
    if not 0 < level < 0.5:
        raise ConfigError(f"level must be between 0 and 0.5, but is {level!r}.")
