"""How good a delivered student is on the test split: right, calibrated, and for which classes.

Intervals are over test examples: it is one student, whose seed will not change any more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from goodteacher.maths.calibration import adaptive_calibration_error, negative_log_likelihood
from goodteacher.maths.statistics import accuracy_interval, differences_by_class
from goodteacher.records import ClassChange, Covered, Estimated, Quality, ReliabilityBin

COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)
"""Shares of the examples, the surest ones, on which accuracy is measured."""

RELIABILITY_BINS = 10
"""Bins of a reliability diagram."""

_Z = 1.959964
_RESAMPLES = 200


def quality_of(logits: Tensor, labels: Tensor, *, temperature: float) -> Quality:
    """Measure a model.

    Args:
        logits: Of the test split, [N, C].
        labels: Its classes, [N].
        temperature: By which the model divides its logits.
    """
    wide, right = logits.double() / temperature, logits.argmax(-1) == labels
    log_probs = wide.log_softmax(-1)
    nll = -log_probs.gather(1, labels[:, None])[:, 0]
    truth = torch.nn.functional.one_hot(labels, logits.shape[1])
    brier = (log_probs.exp() - truth).square().sum(-1)
    found = accuracy_interval(right.numpy()[None])
    return Quality(
        num_examples=len(labels),
        accuracy=Estimated(value=found.mean, interval=(found.low, found.high)),
        nll=_mean(nll),
        brier=_mean(brier),
        calibration_error=_calibration_error(wide, labels),
        uncalibrated_nll=negative_log_likelihood(logits, labels),
        uncalibrated_calibration_error=adaptive_calibration_error(logits, labels),
        reliability=reliability(wide, labels),
        uncalibrated_reliability=reliability(logits.double(), labels),
        covered=_covered(log_probs.amax(-1), right),
    )


def class_changes(
    ours: Tensor, theirs: Tensor, labels: Tensor, names: Sequence[str]
) -> tuple[ClassChange, ...]:
    """Return the classes of which it is sure that one student is right more often than the other.

    Args:
        ours: Predicted classes of a student, [N].
        theirs: Predicted classes of the other one, [N].
        labels: The classes, [N].
        names: Of the C classes.

    Returns:
        Those whose joint interval does not hold 0, the largest loss first.
    """
    truth = labels.numpy()
    right, other = ((each.numpy() == truth)[None] for each in (ours, theirs))
    changes = [
        ClassChange(
            name=names[each.number],
            num_examples=int((truth == each.number).sum()),
            difference=each.joint.mean,
            interval=(each.joint.low, each.joint.high),
        )
        for each in differences_by_class(right, other, truth, num_classes=len(names))
        if each.joint.low > 0 or each.joint.high < 0
    ]
    return tuple(sorted(changes, key=lambda change: change.difference))


def reliability(logits: Tensor, labels: Tensor) -> tuple[ReliabilityBin, ...]:
    """Return how often a model is right among examples of which it is about equally sure.

    Args:
        logits: [N, C].
        labels: The classes, [N].

    Returns:
        Bins of equal size, or one for each example where there are fewer; the least sure first.
    """
    confidence, predicted = logits.softmax(-1).max(-1)
    order = confidence.argsort(stable=True)
    right = (predicted == labels).double()
    return tuple(
        ReliabilityBin(
            num_examples=len(rows),
            confidence=float(confidence[rows].mean()),
            accuracy=float(right[rows].mean()),
        )
        for rows in order.tensor_split(min(RELIABILITY_BINS, len(order)))
    )


def _mean(values: Tensor) -> Estimated:
    middle, error = float(values.mean()), float(values.std() / len(values) ** 0.5)
    return Estimated(value=middle, interval=(max(0.0, middle - _Z * error), middle + _Z * error))


def _calibration_error(logits: Tensor, labels: Tensor) -> Estimated:
    """Return the error with a basic bootstrap interval: resampling alone makes it larger."""
    value = adaptive_calibration_error(logits, labels)
    random = np.random.default_rng(0)
    drawn = [
        adaptive_calibration_error(logits[rows], labels[rows])
        for rows in (random.integers(0, len(labels), len(labels)) for _ in range(_RESAMPLES))
    ]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Estimated(
        value=value, interval=(max(0.0, 2 * value - float(high)), max(0.0, 2 * value - float(low)))
    )


def _covered(confidence: Tensor, right: Tensor) -> tuple[Covered, ...]:
    ordered = right[confidence.argsort(descending=True, stable=True)].double()
    counts = [max(1, round(share * len(ordered))) for share in COVERAGES]
    return tuple(
        Covered(coverage=share, accuracy=float(ordered[:count].mean()))
        for share, count in zip(COVERAGES, counts, strict=True)
    )
