"""What the search's students reached: means and spread of each arm on a rung.

Students of different rungs trained for different numbers of epochs, so only students of one rung
are compared. The first round is the one on which every arm of the search was trained alike.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from goodteacher.config import Recipe
from goodteacher.records import Checkpoint, StudentRow


@dataclass(frozen=True)
class ArmScore:
    """The students of one arm on one rung.

    Attributes:
        arm: The arm's key.
        source: Kind of source: ``one_hot``, ``smoothing``, ``checkpoint``, ``blend`` or ``file``.
        checkpoint: The teacher; None where the target needs none.
        smoothing: Smoothing strength; None where the target is not smoothed.
        recipe: How the students learned.
        accuracies: Accuracy on the selection split of each seed's student, in [0, 1]; a student
            that diverged counts as 0, as it does in the search.
    """

    arm: str
    source: str
    checkpoint: Checkpoint | None
    smoothing: float | None
    recipe: Recipe
    accuracies: tuple[float, ...]

    @property
    def n(self) -> int:
        """Number of seeds."""
        return len(self.accuracies)

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return statistics.fmean(self.accuracies)

    @property
    def deviation(self) -> float | None:
        """Standard deviation over seeds (n - 1 in the denominator); None for one seed."""
        return deviation(self.accuracies)


@dataclass(frozen=True)
class RungScores:
    """All arms of one rung: equal seeds, equal epochs.

    Attributes:
        student_epochs: Epochs that the students have behind them.
        num_seeds: Student seeds of each arm.
        scores: One entry for each arm, in the order trained.
    """

    student_epochs: int
    num_seeds: int
    scores: tuple[ArmScore, ...]

    def best_by_checkpoint(self, recipe: Recipe | None = None) -> Mapping[Checkpoint, ArmScore]:
        """Return each teacher's best students.

        Args:
            recipe: Only students of this recipe; by default each teacher has its own best one.
        """
        found: dict[Checkpoint, ArmScore] = {}
        for score in self.scores:
            if score.checkpoint is None or recipe not in (None, score.recipe):
                continue
            if score.checkpoint not in found or score.mean > found[score.checkpoint].mean:
                found[score.checkpoint] = score
        return found

    def best_of(self, source: str) -> ArmScore | None:
        """Return the best arm of a kind of source, if there is one."""
        arms = [score for score in self.scores if score.source == source]
        return max(arms, key=lambda score: score.mean, default=None)


def first_rung(rows: Iterable[StudentRow]) -> RungScores | None:
    """Return what every arm of the search reached after equal training.

    Args:
        rows: Rows of any stage; those of the search's first round are taken.

    Returns:
        The first round; None where no student of the search has been trained.
    """
    arms: dict[str, list[StudentRow]] = defaultdict(list)
    for row in rows:
        if row.stage == "search" and row.rung == 0:
            arms[row.arm].append(row)
    if not arms:
        return None
    scores = tuple(_score(found) for found in arms.values())
    some_row = next(iter(arms.values()))[0]
    return RungScores(some_row.student_epochs, max(score.n for score in scores), scores)


def longest_training(rows: Iterable[StudentRow]) -> Mapping[Checkpoint, int]:
    """Return up to which epoch any student of each checkpoint trained in the search."""
    found: dict[Checkpoint, int] = {}
    for row in rows:
        checkpoint = checkpoint_of(row)
        if row.stage == "search" and checkpoint is not None:
            found[checkpoint] = max(row.student_epochs, found.get(checkpoint, 0))
    return found


def checkpoint_of(row: StudentRow) -> Checkpoint | None:
    """Return the teacher of a student; None where it had none of the study's."""
    if row.variant != "raw" or row.run is None or row.epoch is None:
        return None
    return Checkpoint(run=row.run, epoch=row.epoch)


def deviation(values: Iterable[float]) -> float | None:
    """Return the standard deviation with n - 1 in the denominator; None for fewer than two.

    Example:
        >>> round(deviation([0.80, 0.82, 0.84]), 6)
        0.02
        >>> deviation([0.8]) is None
        True
    """
    known = list(values)
    return statistics.stdev(known) if len(known) > 1 else None


def _score(rows: list[StudentRow]) -> ArmScore:
    row = rows[0]
    fields = ("loss", "temperature", "alpha", "standardize")
    return ArmScore(
        arm=row.arm,
        source=row.source,
        checkpoint=checkpoint_of(row),
        smoothing=row.smoothing,
        recipe=Recipe(**{name: getattr(row, name) for name in fields}),
        accuracies=tuple(row.selection_accuracy for row in rows),
    )
