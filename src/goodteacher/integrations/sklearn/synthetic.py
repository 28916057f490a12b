"""Synthetic rows: further transfer examples, of which the teacher says what they are.

**munge** is after MUNGE (C. Bucila, R. Caruana, A. Niculescu-Mizil, "Model Compression", KDD 2006).
A row meets its nearest neighbour and takes each value from it with probability 1/2: a number is
drawn from a normal distribution around the neighbour's, with their distance as standard deviation;
any other value is taken as it is. In the paper the two exchange values, and the next row meets rows
that are changed already; here every synthetic row starts from rows as they were, so that all are
made at once. The paper leaves probability and width open; ours are the defaults of AutoGluon.

**spunge** is after AutoGluon's simpler version, which needs no neighbours
(https://auto.gluon.ai, `TabularPredictor.distill`, `augment_method`). In each row a tenth of the
columns, at least one, takes the value of any other row; and each number gets, with probability 0.1,
noise of a tenth of its column's standard deviation.

Whole numbers stay whole, gaps travel with the values, categories stay categories.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

from goodteacher.errors import ConfigError, DataError
from goodteacher.integrations.sklearn.encoding import encoder
from goodteacher.integrations.sklearn.soft_targets import Numbers, Rows

Spread = Callable[[int, Numbers], Numbers]
"""From a column and its values [N] to the standard deviation of the noise of each new row, [M]."""

_FROM_NEIGHBOUR = 0.5  # probability of each value, in munge
_CHANGED = 0.1  # share of the columns, and probability of noise, in spunge
_NOISE = 0.1  # of a column's standard deviation, in spunge


def ways_of(synthetic: str | Sequence[str | None] | None) -> tuple[str | None, ...]:
    """Return each way of making synthetic rows once; None among them is to make none.

    Args:
        synthetic: One, or several.

    Example:
        >>> ways_of("munge"), ways_of((None, "munge", None))
        (('munge',), (None, 'munge'))
    """
    several = (synthetic,) if synthetic is None or isinstance(synthetic, str) else synthetic
    return tuple(dict.fromkeys(several))


def check_synthetic(
    synthetic: str | Sequence[str | None] | None, per_row: float, *, several: bool
) -> None:
    """Refuse ways of making synthetic rows that are none.

    Args:
        synthetic: One, or several.
        per_row: Number of synthetic rows for each labelled one.
        several: Whether folds can choose among several.

    Raises:
        ConfigError: There are none, one is unknown, or there are several where one can be.
    """
    ways = ways_of(synthetic)
    if not ways:
        raise ConfigError("synthetic must contain at least one value, for example (None, 'munge').")
    for way in ways:
        if way is not None and way not in SYNTHETIC:
            raise ConfigError(
                f"synthetic must be None, {' or '.join(map(repr, SYNTHETIC))}, or a list of these "
                f"from which the folds choose, but contains {way!r}."
            )
    if not per_row > 0:
        raise ConfigError(
            f"synthetic_per_row must be above 0, but is {per_row!r}: the number of synthetic rows "
            "for each labelled one."
        )
    if len(ways) > 1 and not several:
        raise ConfigError(
            "With a network as student, there is only one transfer set: give one way of making "
            f"synthetic rows, or None, but not {', '.join(map(repr, ways))}."
        )


def synthetic_rows(kind: str, inputs: Any, count: int, *, seed: int) -> Any:
    """Make rows that are like others.

    Args:
        kind: ``"munge"`` or ``"spunge"``.
        inputs: N rows of F columns, at least two: an array, or a data frame of pandas.
        count: Number M of rows to make.
        seed: Of what is drawn.

    Returns:
        M rows of the same kind and columns.

    Raises:
        DataError: The rows are sparse, texts, or of another kind.

    Example:
        >>> synthetic_rows("munge", np.array([[0.0, 1.0], [0.0, 1.0]]), 3, seed=0).tolist()
        [[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]
    """
    is_array = isinstance(inputs, np.ndarray) and inputs.ndim == 2
    if sparse.issparse(inputs) or not (is_array or hasattr(inputs, "iloc")):
        raise DataError(
            "Synthetic rows can be made only from arrays and data frames of pandas, but X is a "
            f"{type(inputs).__name__}. Leave synthetic out, or convert X to an array or a data "
            "frame."
        )
    rng = np.random.default_rng(seed)
    passes = -(-count // len(inputs))
    own = np.concatenate([rng.permutation(len(inputs)) for _ in range(passes)])[:count]
    source, spread = SYNTHETIC[kind](inputs, own, rng)
    if is_array:
        return _new_array(inputs, source, spread, rng)
    return _new_frame(inputs, source, spread, rng)


def _munge(inputs: Any, own: Rows, rng: np.random.Generator) -> tuple[Rows, Spread]:
    """Return which row each value is taken from, [M, F], and the noise of numbers."""
    nearest = NearestNeighbors(n_neighbors=1).fit(_points(inputs))
    near = nearest.kneighbors(return_distance=False)[own, 0]
    taken = rng.random((len(own), inputs.shape[1])) < _FROM_NEIGHBOUR

    def spread(column: int, values: Numbers) -> Numbers:
        apart = np.nan_to_num(np.abs(values[own] - values[near]))
        return np.where(taken[:, column], apart, 0.0)

    return np.where(taken, near[:, None], own[:, None]), spread


def _spunge(inputs: Any, own: Rows, rng: np.random.Generator) -> tuple[Rows, Spread]:
    """Return which row each value is taken from, [M, F], and the noise of numbers."""
    shape = len(own), inputs.shape[1]
    changed = max(1, round(_CHANGED * shape[1]))
    taken = rng.random(shape).argsort(axis=1) < changed
    anyone, noisy = rng.integers(len(inputs), size=shape), rng.random(shape) < _CHANGED

    def spread(column: int, values: Numbers) -> Numbers:
        known = values[~np.isnan(values)]
        return np.where(noisy[:, column], _NOISE * (known.std() if len(known) else 0.0), 0.0)

    return np.where(taken, anyone, own[:, None]), spread


SYNTHETIC: Mapping[str, Callable[[Any, Rows, np.random.Generator], tuple[Rows, Spread]]] = {
    "munge": _munge,
    "spunge": _spunge,
}
"""Ways of making synthetic rows."""


def _points(inputs: Any) -> Numbers:
    """Return rows as points: numbers have a standard deviation of 1, another word is 1 away."""
    if isinstance(inputs, np.ndarray) and inputs.dtype.kind in "buif":
        numbers, words = _filled(inputs.astype(np.float64)), np.zeros((len(inputs), 0))
    else:
        made = encoder()
        points = np.asarray(made.fit_transform(_framed(inputs)), np.float64)
        numbers, words = (points[:, made.output_indices_[name]] for name in ("numbers", "words"))
    deviation = numbers.std(axis=0)
    scaled = numbers / np.where(deviation > 0, deviation, 1.0)
    return np.hstack([scaled, np.sqrt(0.5) * words])


def _framed(inputs: Any) -> Any:
    if hasattr(inputs, "iloc"):
        return inputs
    import pandas as pd  # arrays of words need it, as everywhere

    return pd.DataFrame(inputs)


def _filled(values: Numbers) -> Numbers:
    """Put the median of its column into each gap; a column of gaps alone becomes 0."""
    gaps = np.isnan(values)
    if not gaps.any():
        return values
    known = [column[~np.isnan(column)] for column in values.T]
    middles = np.array([np.median(each) if len(each) else 0.0 for each in known])
    return np.where(gaps, middles, values)


def _new_array(
    inputs: npt.NDArray[Any], source: Rows, spread: Spread, rng: np.random.Generator
) -> npt.NDArray[Any]:
    found = np.take_along_axis(inputs, source, axis=0)
    if inputs.dtype.kind not in "iuf":
        return found
    for column in range(inputs.shape[1]):
        values = inputs[:, column].astype(np.float64)
        taken = values[source[:, column]]
        found[:, column] = _noisy(taken, values, spread(column, values), rng)
    return found


def _new_frame(inputs: Any, source: Rows, spread: Spread, rng: np.random.Generator) -> Any:
    import pandas as pd  # where a data frame is, pandas is

    columns = []
    for number in range(inputs.shape[1]):
        column = inputs.iloc[:, number]
        taken = column.iloc[source[:, number]].reset_index(drop=True)
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            values = column.to_numpy(np.float64, na_value=np.nan)
            drawn = _noisy(
                taken.to_numpy(np.float64, na_value=np.nan), values, spread(number, values), rng
            )
            taken = pd.Series(drawn, name=column.name).astype(column.dtype)
        columns.append(taken)
    return pd.concat(columns, axis=1)


def _noisy(taken: Numbers, values: Numbers, width: Numbers, rng: np.random.Generator) -> Numbers:
    """Return numbers with noise; whole ones where all values of the column are whole."""
    drawn: Numbers = taken + width * rng.standard_normal(len(taken))
    known = values[~np.isnan(values)]
    return np.rint(drawn) if bool((known == np.rint(known)).all()) else drawn
