"""What one response says on one split at one temperature."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from goodteacher.maths.calibration import BestTemperature, CalibrationSums, best_temperature
from goodteacher.maths.rows import Logits
from goodteacher.maths.similarity import (
    EntropySums,
    MutualInformationSums,
    SimilaritySums,
    VarianceSums,
    add_up,
)
from goodteacher.records import Measurement


def measure(logits: Logits, labels: Tensor, *, split: str, temperature: float) -> Measurement:
    """Measure a response at one temperature, in one pass over its rows.

    Args:
        logits: Raw logits [N, C].
        labels: int64 [N]; -1 where unknown.
        split: Name of the split, for the record.
        temperature: T > 0.
    """
    count = len(labels)
    calibrated, alike = CalibrationSums(labels, temperature), SimilaritySums(*logits.shape)
    others = EntropySums(count), VarianceSums(count), MutualInformationSums(count)
    add_up(logits, labels, temperature, calibrated, alike, *others)
    fit, similarity = calibrated.found(), alike.found()
    entropy, variance, information = (each.found() for each in others)
    return Measurement.model_validate(
        {
            "split": split,
            "temperature": temperature,
            "accuracy": calibrated.accuracy,
            "nll": fit.nll,
            "brier": fit.brier,
            "ace": fit.ace,
            "similarity": similarity.total,
            "class_part": similarity.class_part,
            "instance_part": similarity.instance_part,
            "effective_classes": similarity.effective_classes,
            "share_one_hot": similarity.share_one_hot,
            "off_class_mass": similarity.off_class_mass,
            "entropy": entropy,
            "wrong_class_variance": variance,
            "cmi": information,
        }
    )


def measure_splits(
    responses: Mapping[str, Logits],
    labels: Mapping[str, Tensor],
    *,
    temperatures: Iterable[float],
) -> tuple[BestTemperature, tuple[Measurement, ...]]:
    """Measure a teacher on several splits: at T = 1, at given temperatures and at its own best.

    Args:
        responses: Raw logits [N, C] by split; ``selection`` must be among them.
        labels: int64 [N] by split; -1 where unknown.
        temperatures: Where to measure beside 1 and the best one.

    Returns:
        The temperature that minimises the NLL on ``selection``, and every measurement.
    """
    best = best_temperature(responses["selection"], labels["selection"])
    return best, tuple(
        measure(responses[name], labels[name], split=name, temperature=temperature)
        for name in responses
        for temperature in sorted({1.0, *temperatures, best.value})
    )
