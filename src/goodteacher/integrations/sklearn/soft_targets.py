"""What a student of an arm learns from: soft targets, and the loss of students with scores.

The loss of a row is that of the whole library, with scores ``z`` of the student,

    (1 - alpha) * CE(labels, softmax(z)) + alpha * T^2 * KL(softmax(logits / T) || softmax(z / T))

A student that gives the loss no scores learns from one mixture of both instead
(:attr:`SoftTargets.mixed`): the temperature then softens the response alone. At T = 1 the two are
the same. A row without a label learns from the response alone, with the full weight of a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import softmax

from goodteacher.data import UNLABELLED
from goodteacher.maths.targets import FALSIFICATION, LADDER, logits_of, smoothing_targets
from goodteacher.records import Arm, FileSource, SmoothingSource, TargetSource
from goodteacher.responses import Response

Numbers = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SoftTargets:
    """What a student learns from, for N rows and C classes.

    Attributes:
        codes: The class of each row, [N]; where it has no label, the teacher's most probable one.
        labels: Probabilities that stand for the labels, smoothed or not, [N, C].
        logits: The teacher's response or a rung made of it, [N, C]; zeros where nobody asks it.
        alphas: Weight of the response against the labels, for each row, [N].
        temperature: T of the loss, above 0.
        weights: Of each row, [N], or None for 1.
    """

    codes: Rows
    labels: Numbers
    logits: Numbers
    alphas: Numbers
    temperature: float
    weights: Numbers | None = None

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def are_labels(self) -> bool:
        """Whether they are the labels and nothing else."""
        return not self.alphas.any() and bool((self.labels.max(axis=1) == 1).all())

    @cached_property
    def softened(self) -> Numbers:
        """The response at the temperature, probabilities [N, C]."""
        return _softmax(self.logits / self.temperature)

    @property
    def mixed(self) -> Numbers:
        """Labels and softened response in one, probabilities [N, C]."""
        return self._mixture(self.softened)

    @property
    def prior(self) -> Numbers:
        """Mean probability of each class at T = 1, [C]; rows count by their weight."""
        found: Numbers = np.average(
            self._mixture(_softmax(self.logits)), axis=0, weights=self.weights
        )
        return found

    def derivatives(self, scores: Numbers) -> tuple[Numbers, Numbers]:
        """Return gradient and diagonal of the Hessian of each row's loss.

        Args:
            scores: The student's, [N, C]; softmax makes them probabilities.

        Returns:
            Both [N, C], times the rows' weights.
        """
        alphas = self.alphas[:, None]
        plain, soft = _softmax(scores), _softmax(scores / self.temperature)
        gradient = (1 - alphas) * (plain - self.labels)
        gradient += alphas * self.temperature * (soft - self.softened)
        curvature = (1 - alphas) * plain * (1 - plain) + alphas * soft * (1 - soft)
        if self.weights is None:
            return gradient, curvature
        return gradient * self.weights[:, None], curvature * self.weights[:, None]

    def _mixture(self, response: Numbers) -> Numbers:
        alphas = self.alphas[:, None]
        return (1 - alphas) * self.labels + alphas * response


def targets_of(
    arm: Arm, response: Response, codes: Rows, *, weights: Numbers | None = None, seed: int = 0
) -> SoftTargets:
    """Return what a student of an arm learns from.

    Args:
        arm: The arm: of the labels, smoothed or not, of the response, or of a target made of it.
        response: The teacher's, for N rows.
        codes: Class of each row, [N]; -1 for rows without a label.
        weights: Of each row, [N], or None.
        seed: Of targets that are made by chance.
    """
    labels, source = torch.from_numpy(codes), arm.source
    strength = source.smoothing if isinstance(source, SmoothingSource) else 0.0
    known = labels.where(labels != UNLABELLED, response.in_memory().argmax(dim=1))
    hot = smoothing_targets(
        known, smoothing=strength, num_classes=response.num_classes, dtype=torch.float64
    ).numpy()
    if not isinstance(source, FileSource | TargetSource):
        nobody = np.zeros(len(codes))
        return SoftTargets(known.numpy(), hot, np.zeros_like(hot), nobody, 1.0, weights)
    alphas = np.where(codes == UNLABELLED, 1.0, arm.recipe.alpha)
    logits = response.in_memory().double()
    if isinstance(source, TargetSource):
        logits = logits_of(_made(source, logits, labels, seed), temperature=source.temperature)
    return SoftTargets(known.numpy(), hot, logits.numpy(), alphas, arm.recipe.temperature, weights)


def _made(
    source: TargetSource, logits: torch.Tensor, labels: torch.Tensor, seed: int
) -> torch.Tensor:
    if source.target in LADDER:
        return LADDER[source.target](logits, labels, temperature=source.temperature)
    make = FALSIFICATION[source.target]
    return make(logits, labels, temperature=source.temperature, seed=seed)


def _softmax(scores: Numbers) -> Numbers:
    found: Numbers = softmax(scores, axis=1)
    return found
