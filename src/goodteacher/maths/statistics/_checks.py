"""What the statistics refuse at the door, and how they say so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from goodteacher.errors import ConfigError, InputError

FloatArray = npt.NDArray[np.float64]
_Rule = TypeVar("_Rule")


def check_level(level: float) -> float:
    if not 0 < level < 1:
        raise ConfigError(
            f"level must be above 0 and below 1, but is {level}. It is the error level: "
            "0.05 gives a 95 % interval."
        )
    return level


def look_up(table: Mapping[str, _Rule], name: str) -> _Rule:
    if name not in table:
        raise ConfigError(f"method is {name!r}, but must be one of: {', '.join(sorted(table))}.")
    return table[name]


def check_matrix(values: npt.ArrayLike, name: str) -> FloatArray:
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] < 1 or matrix.shape[1] < 2:
        raise InputError(
            f"{name} must be [num_seeds, num_examples] with at least 1 seed and 2 examples, but "
            f"has shape {list(matrix.shape)}. For a single seed, add a leading axis of length 1."
        )
    bad = int(np.count_nonzero(~np.isfinite(matrix)))
    if bad:
        raise InputError(
            f"{name} contains {bad} values that are NaN or infinite. Did a student diverge? Leave "
            "its seed out of every arm, so that the arms stay paired."
        )
    return matrix


def check_correct(correct: npt.ArrayLike, name: str) -> FloatArray:
    matrix = check_matrix(correct, name)
    if not np.isin(matrix, (0.0, 1.0)).all():
        raise InputError(
            f"{name} must contain only 0 and 1 (whether this student is right on this example), "
            f"but contains values from {matrix.min():g} to {matrix.max():g}. Were predictions or "
            "probabilities passed? Compare predictions with labels first."
        )
    return matrix


def check_vectors(
    scores: npt.ArrayLike, values: npt.ArrayLike, *, minimum: int
) -> tuple[FloatArray, FloatArray]:
    first, second = (np.asarray(side, dtype=np.float64) for side in (scores, values))
    if first.ndim != 1 or first.shape != second.shape or first.size < minimum:
        raise InputError(
            f"scores and values must be vectors of equal length, at least {minimum}, but have "
            f"shapes {list(first.shape)} and {list(second.shape)}."
        )
    bad = int(np.count_nonzero(~np.isfinite(first) | ~np.isfinite(second)))
    if bad:
        raise InputError(
            f"scores and values must be finite, but {bad} of {first.size} pairs hold NaN or "
            "infinity. Leave out the candidates that diverged."
        )
    return first, second
