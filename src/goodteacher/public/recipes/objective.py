"""A loss of another tool as a weighted sum of the labels' cross-entropy and one of our terms."""

from __future__ import annotations

from dataclasses import dataclass, field

from goodteacher.config import LossName, Recipe, parse
from goodteacher.errors import ConfigError


@dataclass
class Objective:
    """What another tool minimises: ``labels * CE(labels, student) + teacher * term``.

    ``term`` is one of :data:`goodteacher.maths.losses.TEACHER_TERMS`, at ``temperature``, so every
    factor that the other tool has or lacks, such as T^2, is in the weight ``teacher``.

    Args:
        source: Where the settings came from, for messages.
    """

    source: str
    labels: float = 0.0
    teacher: float = 0.0
    loss: LossName = "kl"
    temperature: float = 1.0
    standardize: bool = False
    smoothing: float = 0.0
    exact: bool = True
    notes: list[str] = field(default_factory=list)
    _kind: tuple[object, ...] | None = None

    def add_labels(self, weight: float, *, smoothing: float = 0.0) -> None:
        """Add a cross-entropy with the labels, with label smoothing or without."""
        if weight == 0:
            return
        if self.labels and smoothing != self.smoothing:
            raise ConfigError(
                f"{self.source} has two terms for the labels, with label smoothing "
                f"{self.smoothing:g} and {smoothing:g}. goodteacher has only one: leave out one "
                "of them."
            )
        self.labels += weight
        self.smoothing = smoothing

    def add_teacher(
        self, weight: float, *, loss: LossName, temperature: float, standardize: bool = False
    ) -> None:
        """Add a term of the teacher, in units of ours."""
        if weight == 0:
            return
        kind = loss, temperature, standardize
        if self._kind not in (None, kind):
            raise ConfigError(
                f"{self.source} has two terms for the teacher, {self.loss} at temperature "
                f"{self.temperature:g} and {loss} at {temperature:g}. A recipe of goodteacher has "
                "only one: leave out one of them."
            )
        self._kind = kind
        self.loss, self.temperature, self.standardize = kind
        self.teacher += weight

    def soften_labels(self, temperature: float) -> None:
        """Tell that the term of labels sees the student's logits divided by the temperature."""
        self.exact = self.exact and not self.labels
        self.notes.append(
            f"Its term for the labels also divides the student's logits by {temperature:g}, which "
            "weakens the labels. Ours uses the logits as they are, and no alpha is equivalent."
        )

    @property
    def scale(self) -> float:
        """What our loss is multiplied by to get theirs."""
        return self.labels + self.teacher

    def recipe(self) -> Recipe:
        """Return ours.

        Raises:
            ConfigError: A weight is negative, or there is no term of the teacher.
        """
        if self.labels < 0 or self.teacher < 0:
            raise ConfigError(
                f"the loss of {self.source} weights the labels by {self.labels:g} and the teacher "
                f"by {self.teacher:g}, but a negative weight rewards mistakes, and alpha must be "
                "in 0..1. Correct the weights."
            )
        if self.teacher == 0:
            raise ConfigError(
                f"the loss of {self.source} has no term in which the student learns from the "
                "teacher's response, so there is no recipe to translate. Students of the labels "
                "alone need no recipe: goodteacher distill always trains them for comparison."
            )
        return parse(
            Recipe,
            loss=self.loss,
            temperature=self.temperature,
            alpha=self.teacher / self.scale,
            standardize=self.standardize,
        )


def over_classes(reduction: str, num_classes: int | None, batch_size: int | None) -> float:
    """Return what a reduction of ``KLDivLoss`` multiplies the mean over the batch by.

    Args:
        reduction: PyTorch's name: ``batchmean``, ``mean`` (over batch *and classes*) or ``sum``.
        num_classes: C, which ``mean`` divides by.
        batch_size: N, which ``sum`` multiplies by.

    Raises:
        ConfigError: The reduction is not known, or what it needs is not.

    Example:
        >>> over_classes("mean", 10, None)
        0.1
    """
    if reduction == "batchmean":
        return 1.0
    if reduction == "mean":
        return 1 / needed(num_classes, "reduction = mean divides by the number of classes")
    if reduction == "sum":
        if batch_size is None:
            raise ConfigError(
                "reduction = sum multiplies the loss by the batch size, which is not given. Add "
                "it, for example batch_size=64."
            )
        return float(batch_size)
    raise ConfigError(
        f"reduction = {reduction!r} does not give a single loss value, so it cannot be "
        "translated. batchmean, mean and sum can."
    )


def of_reduction(reduction: str, by: float) -> str:
    """Say what a reduction other than ``batchmean`` does to KL.

    Args:
        reduction: PyTorch's name.
        by: What it multiplies by.
    """
    if reduction == "mean":
        return (
            f"reduction = mean also divides its KL by the number of classes ({by:.6g} of ours). "
            "PyTorch has announced that a later version will no longer do that; this translation "
            "is for a version that does."
        )
    return (
        f"reduction = {reduction} multiplies its KL by the batch size, {by:g}; a smaller last "
        "batch counts less there, but counts as much as any other here."
    )


def needed(num_classes: int | None, why: str) -> int:
    """Return the number of classes, or refuse where it is not given.

    Raises:
        ConfigError: It is None, and the message says what it is needed for; or it is below 2.
    """
    if num_classes is not None and num_classes < 2:
        raise ConfigError(
            f"the number of classes must be at least 2, but is {num_classes}. Give the number of "
            "the student's logits."
        )
    if num_classes is None:
        raise ConfigError(
            f"{why}, which is not in the settings. Give it, for example --classes 100, or "
            "num_classes=100 in Python."
        )
    return num_classes
