"""How another tool trains, as our settings of students; what a factor of the loss does to them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from goodteacher.config import MULTISTEP, OptimizerName, ScheduleName

OPTIMIZERS: dict[str, OptimizerName] = {"sgd": "sgd", "adam": "adam", "adamw": "adamw"}
SCHEDULES: tuple[ScheduleName, ...] = get_args(ScheduleName)


@dataclass
class Schooling:
    """How long and how a student trains elsewhere; None is not given.

    Args:
        optimizer: Its name in lower case.
        schedule: One of ours, or, in words, one that we do not have.
        warmup: How long the learning rate first rises, in words.
        momentum: Of SGD.
        nesterov: Whether SGD's momentum is Nesterov's.
        spares_biases: Whether weight decay leaves out biases and normalisation.
    """

    epochs: int | None = None
    batch_size: int | None = None
    optimizer: str | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    schedule: str | None = None
    warmup: str | None = None
    momentum: float | None = None
    nesterov: bool = True
    spares_biases: bool = False

    def settings(self, scale: float) -> dict[str, Any]:
        """Return our settings, by name.

        Args:
            scale: Their loss is this many times ours.
        """
        ours = OPTIMIZERS.get(self.optimizer or "")
        known = ours is not None
        found = {
            "student_epochs": self.epochs,
            "student_batch_size": self.batch_size,
            "student_optimizer": ours,
            "student_learning_rate": self._learning_rate(scale) if known else None,
            "student_weight_decay": self._weight_decay(scale) if known else None,
            "student_schedule": self.schedule if self.schedule in SCHEDULES else None,
        }
        return {name: value for name, value in found.items() if value is not None}

    def _learning_rate(self, scale: float) -> float | None:
        if self.learning_rate is None or self.optimizer != "sgd":
            return self.learning_rate
        return tidy(self.learning_rate * scale)

    def _weight_decay(self, scale: float) -> float | None:
        if self.weight_decay is None or self.optimizer == "adamw":
            return self.weight_decay
        return tidy(self.weight_decay / scale)

    def notes(self, scale: float) -> Iterator[str]:
        """Yield what differs, in sentences.

        Args:
            scale: Their loss is this many times ours.
        """
        yield from self._of_scale(scale)
        yield from self._of_optimizer()
        if self.schedule is not None and self.schedule not in SCHEDULES:
            yield (
                f"Its learning rate follows {self.schedule}, which goodteacher does not have: "
                "student_schedule stays cosine, and may be constant, linear or multistep (divided "
                "by 10 after 5/8, 3/4 and 7/8 of the epochs)."
            )
        if self.warmup is not None:
            yield (
                f"Its learning rate first rises for {self.warmup}. In goodteacher it starts at "
                "its peak, and there is no setting for that."
            )
        if self.epochs is not None or self.learning_rate is not None:
            yield (
                "Setting student_epochs or student_learning_rate switches the tuning of students "
                "off: remove both lines to have students tuned."
            )

    def _of_scale(self, scale: float) -> Iterator[str]:
        if abs(scale - 1) < 1e-9:
            return
        yield f"Its loss is {scale:.6g} times as large as ours, whose two weights add up to 1."
        by, decay = self.learning_rate, self.weight_decay
        if self.optimizer == "sgd":
            rate = "" if by is None else f" ({by:g} is {by * scale:.6g} here)"
            kept = "" if not decay else f" ({decay:g} is {decay / scale:.6g} here)"
            yield (
                f"Under SGD the same steps need a learning rate {scale:.6g} times as high{rate} "
                f"and a weight decay divided by {scale:.6g}{kept}."
            )
        elif self.optimizer == "adam":
            kept = f": {decay:g} is {decay / scale:.6g} here" if decay else ""
            yield (
                "Adam divides each gradient by its size, so the learning rate stays (all but the "
                f"small constant that Adam adds), and weight decay is divided by {scale:.6g}{kept}."
            )
        elif self.optimizer == "adamw":
            yield (
                "AdamW divides each gradient by its size, so learning rate and weight decay stay "
                "(all but the small constant that it adds)."
            )
        else:
            yield (
                f"With SGD, multiply its learning rate by {scale:.6g} and divide its weight decay "
                "by the same number. With Adam and AdamW the learning rate stays, but divide "
                "Adam's weight decay as well."
            )

    def _of_optimizer(self) -> Iterator[str]:
        if self.optimizer is not None and self.optimizer not in OPTIMIZERS:
            yield (
                f"goodteacher does not have its optimizer {self.optimizer} (only sgd, adam and "
                "adamw). Optimizer, learning rate and weight decay are left out, so adam with "
                "the learning rates of goodteacher is used."
            )
        if self.spares_biases and self.weight_decay and self.optimizer in OPTIMIZERS:
            yield (
                "Its weight decay excludes biases and normalisation; that of goodteacher applies "
                "to all weights."
            )
        if self.optimizer != "sgd":
            return
        if self.momentum is not None and abs(self.momentum - 0.9) > 1e-9:
            yield (
                f"Its momentum is {self.momentum:g}. The momentum of our students is always 0.9. "
                "To get steps of the same size, multiply student_learning_rate by "
                f"{_step(self.momentum):.4g}."
            )
        if not self.nesterov and self.momentum:
            yield "Its momentum is not Nesterov's. Our students always use Nesterov momentum."


def stairs(by: float, stages: str, epochs: int | None) -> str:
    """Return the schedule that multiplies the learning rate after some epochs.

    Args:
        by: What it is multiplied by each time.
        stages: After which epochs, as given.
        epochs: Epochs of the whole training; None is not given.

    Returns:
        Ours, or where it is not ours, words.

    Example:
        >>> stairs(0.1, "150,180,210", 240), stairs(0.2, "60,120", 200)
        ('multistep', 'steps (times 0.2 after epochs 60,120)')
    """
    after = sorted(map(int, re.findall(r"\d+", stages)))
    if abs(by - 0.1) < 1e-9 and epochs and after == [share * epochs for share in MULTISTEP]:
        return "multistep"
    return f"steps (times {by:g} after epochs {stages})"


def _step(momentum: float) -> float:
    """Return by how much momentum 0.9 needs a smaller or larger learning rate than another."""
    return 0.1 / (1 - momentum) if momentum < 1 else 1.0


def tidy(number: float) -> float:
    """Return a number without the last digits that only rounding has put there.

    Example:
        >>> tidy(0.1 * 3)
        0.3
    """
    return float(f"{number:.12g}")
