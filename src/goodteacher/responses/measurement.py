"""What one response says on one split at one temperature."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from goodteacher.maths.calibration import BestTemperature, accuracy, best_temperature, calibration
from goodteacher.maths.similarity import (
    conditional_mutual_information,
    mean_entropy,
    similarity_information,
    wrong_class_variance,
)
from goodteacher.records import Measurement


def measure(logits: Tensor, labels: Tensor, *, split: str, temperature: float) -> Measurement:
    """Measure a response at one temperature.

    Args:
        logits: Raw logits [N, C].
        labels: int64 [N]; -1 where unknown.
        split: Name of the split, for the record.
        temperature: T > 0.
    """
    known = labels >= 0
    fit = calibration(logits[known], labels[known], temperature=temperature)
    similarity = similarity_information(logits, labels, temperature=temperature)
    return Measurement.model_validate(
        {
            "split": split,
            "temperature": temperature,
            "accuracy": accuracy(logits[known], labels[known]),
            "nll": fit.nll,
            "brier": fit.brier,
            "ace": fit.ace,
            "similarity": similarity.total,
            "class_part": similarity.class_part,
            "instance_part": similarity.instance_part,
            "effective_classes": similarity.effective_classes,
            "share_one_hot": similarity.share_one_hot,
            "off_class_mass": similarity.off_class_mass,
            "entropy": mean_entropy(logits, labels, temperature=temperature),
            "wrong_class_variance": wrong_class_variance(logits, labels, temperature=temperature),
            "cmi": conditional_mutual_information(logits, labels, temperature=temperature),
        }
    )


def measure_splits(
    responses: Mapping[str, Tensor],
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
