"""Stacks that were stopped in their training: what is kept of them now and then, to go on from.

students/<key>/halfway-<first student>-<number>.safetensors    removed once the task has its rows

A stack of students may train for hours, and whoever stops it - a time limit, a machine that is
taken away - shall lose a minute. What is kept is the trainer's state and what was measured so far;
a stack that goes on takes the very same steps as one that was never stopped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from goodteacher.records import LearningPoint
from goodteacher.students.kept import Shelf
from goodteacher.training import Trainer

EVERY = 60.0
"""Seconds of training after which a stack is kept again."""
AT_MOST = 0.05
"""The share of the time that keeping may take: where it takes long, it is done more rarely."""

Curve = tuple[LearningPoint, ...]


@dataclass
class Halfway:
    """Keeps a stack of a task's students as it trains.

    Attributes:
        shelf: The place of the task.
        students: Their numbers in the task, one after another.
    """

    shelf: Shelf
    students: Sequence[int]
    _since: float = field(init=False, default=0.0)
    _took: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._since = time.monotonic()

    @property
    def name(self) -> str:
        """The file's name; another grouping of the students has other files."""
        return f"halfway-{self.students[0]}-{len(self.students)}"

    def resume(
        self, trainer: Trainer, per_epoch: int
    ) -> tuple[int, float, list[list[LearningPoint]]]:
        """Put a new trainer where the stack was, if something of it was kept.

        Args:
            trainer: Of the stack, before its first step.
            per_epoch: Steps of an epoch.

        Returns:
            Epochs that are done, the seconds that they took, and the points that were measured,
            each with one for each student; 0, 0 and none where nothing was kept.
        """
        if not self.shelf.has_part(self.name):
            return 0, 0.0, []
        kept = self.shelf.part(self.name)
        epoch = int(kept.pop("epoch"))
        seconds, epochs, values = float(kept.pop("seconds")), kept.pop("epochs"), kept.pop("curves")
        trainer.load(kept, epoch * per_epoch)
        return (
            epoch,
            seconds,
            [[_point(int(at), own) for own in of] for at, of in zip(epochs, values, strict=True)],
        )

    def keep(
        self,
        trainer: Trainer,
        epoch: int,
        seconds: float,
        points: Sequence[Sequence[LearningPoint]],
    ) -> None:
        """Keep the stack, unless that was done a moment ago.

        Args:
            trainer: At the end of an epoch.
            epoch: Epochs that are done.
            seconds: That they took.
            points: What was measured so far, each time one for each student.
        """
        started = time.monotonic()
        if started - self._since < max(EVERY, self._took / AT_MOST):
            return
        curves = [[_numbers(own) for own in of] for of in points]
        shape = (len(points), len(self.students), 3)
        self.shelf.write_part(
            self.name,
            {
                **trainer.state(),
                "epoch": torch.tensor(epoch),
                "seconds": torch.tensor(seconds, dtype=torch.float64),
                "epochs": torch.tensor([of[0].epoch for of in points], dtype=torch.int64),
                "curves": torch.tensor(curves, dtype=torch.float64).reshape(shape),
            },
        )
        self._since = time.monotonic()
        self._took = self._since - started


def _numbers(point: LearningPoint) -> tuple[float, float, float]:
    """Return a point as numbers; what is not known is not a number."""
    nll, loss = (math.nan if v is None else v for v in (point.nll, point.training_loss))
    return point.accuracy, nll, loss


def _point(epoch: int, numbers: Tensor) -> LearningPoint:
    accuracy, nll, loss = (None if math.isnan(v) else v for v in numbers.tolist())
    return LearningPoint(epoch=epoch, accuracy=accuracy or 0.0, nll=nll, training_loss=loss)
