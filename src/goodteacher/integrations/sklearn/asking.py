"""A table's students, asked for probabilities: as they were fitted, and by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.utils import _safe_indexing

from goodteacher.delivery import BATCH_SIZES, TOLERANCE, Classifier
from goodteacher.errors import RunError, needed_package
from goodteacher.integrations.sklearn.converters import parts_of
from goodteacher.integrations.sklearn.graphs import PROBABILITIES
from goodteacher.integrations.sklearn.networks import network_probabilities
from goodteacher.integrations.sklearn.students import probabilities_of
from goodteacher.integrations.sklearn.table_inputs import Columns, fed, is_frame
from goodteacher.records import Agreement

Numbers = npt.NDArray[np.float64]
Ask = Callable[[Any], Numbers]
"""From rows to probabilities [N, C]."""

_AT_ONCE = 1024
_ROUNDING = 1e-6
"""What sums of a few hundred numbers of 32 bits may differ by."""


def asked(student: Any, classes: npt.NDArray[Any]) -> Ask:
    """Return how a fitted student is asked.

    Args:
        student: Of scikit-learn's kind, with ``predict_proba``, or one of the library's own.
        classes: The classes, in the order of the probabilities.
    """
    if isinstance(student, Classifier):
        return lambda rows: network_probabilities(student, rows)

    def ask(rows: Any) -> Numbers:
        found = probabilities_of(student, rows, classes)
        assert found is not None
        return found

    return ask


class Served:
    """A student in an ONNX file, run by ONNX Runtime.

    Args:
        path: The file.
        columns: That it takes by name; none for one tensor.
        threads: Of ONNX Runtime; 0 takes what it takes by itself.
    """

    def __init__(self, path: Path, columns: Columns, *, threads: int = 0) -> None:
        runtime = needed_package("onnxruntime", extra="onnx", what="Checking an ONNX file")
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        self._session: Any = runtime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self._columns = columns

    def takes(self, rows: Any) -> Mapping[str, npt.NDArray[Any]]:
        """Return rows as the file takes them: an array for each of its inputs."""
        return fed(rows, self._columns)

    def run(self, given: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
        """Return probabilities [N, C] of what :meth:`takes` returned."""
        found: npt.NDArray[np.float32] = self._session.run([PROBABILITIES], given)[0]
        return found

    def __call__(self, rows: Any) -> Numbers:
        """Return the probabilities of rows, [N, C]."""
        starts = range(0, int(rows.shape[0]), _AT_ONCE)
        return np.concatenate([self.run(self.takes(some(rows, n, _AT_ONCE))) for n in starts])


def some(rows: Any, start: int, count: int) -> Any:
    """Return some rows that follow one another."""
    return _safe_indexing(rows, np.arange(start, min(start + count, int(rows.shape[0]))))


def compared(served: Served, expected: Numbers, rows: Any) -> tuple[Agreement, int]:
    """Compare a file with its student, on all rows and at several batch sizes.

    Args:
        served: The file.
        expected: The student's probabilities of the rows, [N, C].
        rows: The rows.

    Returns:
        How they compare; and the number of ties, rows of which file and student name different
        classes that are equally probable to the student, but for rounding: votes of a forest. They
        are no changed predictions.
    """
    found = served(rows)
    largest = _differences(found, expected).max()
    for size in BATCH_SIZES:
        few = served.run(served.takes(some(rows, 0, size)))
        largest = max(largest, _differences(few, expected[:size]).max())
    every, named = np.arange(len(expected)), found.argmax(axis=1)
    lost = expected.max(axis=1) - expected[every, named]
    agreement = Agreement(
        examples=len(expected),
        largest_difference=float(largest),
        allowed_difference=TOLERANCE,
        changed=int((lost > _ROUNDING).sum()),
    )
    return agreement, int(((lost <= _ROUNDING) & (named != expected.argmax(axis=1))).sum())


def _differences(found: npt.NDArray[Any], expected: Numbers) -> Numbers:
    """Return by how much probabilities differ; by 1 what is no number."""
    return np.where(np.isnan(found), 1.0, np.abs(found - expected))


def check(
    agreement: Agreement, served: Served, student: Any, ask: Ask, expected: Numbers, rows: Any
) -> None:
    """Raise where a file does not answer as its student does, with what to do.

    Args:
        agreement: How they compare.
        served: The file.
        student: The student.
        ask: How it is asked.
        expected: Its probabilities of the rows, [N, C].
        rows: The rows.

    Raises:
        RunError: It does not.
    """
    if agreement.holds:
        return
    off = [_apart(each, expected) for each in (served(rows), ask(in_32_bits(rows)))]
    raise RunError(
        "The ONNX file does not give the same answers as the student, so nothing is delivered: "
        f"probabilities differ by up to {agreement.largest_difference:.2g} (allowed: "
        f"{agreement.allowed_difference:.2g}), and {agreement.changed} of {agreement.examples:,} "
        f"predictions changed. {_way_out(student, int((off[0] & off[1]).sum()))}"
    )


def _way_out(student: Any, moved: int) -> str:
    """Say why, as far as that is known, and what to do.

    Args:
        student: The student.
        moved: Rows that the student itself answers otherwise once they are rounded to 32 bits.
    """
    scaler = _scaler_before_trees(student)
    if scaler is not None:
        return (
            f"The file computes with 32 bits, so {scaler} moves some values across the thresholds "
            "of trees. Trees do not need scaled columns: remove it from the student and fit "
            "again."
        )
    if moved:
        return (
            f"The file takes 32-bit numbers. For {moved:,} of these rows the student itself gives "
            "another answer when the numbers are rounded to 32 bits, because different values "
            "become equal. Fit it on rounded numbers, X.astype('float32'), or subtract a "
            "constant from large numbers that differ little."
        )
    return (
        "The student itself gives the same answers with 32-bit numbers, so the file computes "
        "something else or loses precision. Scale the columns in the student (StandardScaler), "
        "try another version of skl2onnx, or deliver another student."
    )


def _scaler_before_trees(student: Any) -> str | None:
    """Return the step that scales columns for trees, if a pipeline has one."""
    names = [type(part).__name__ for part in parts_of(student)]
    scalers = [name for name in names if name.endswith(("Scaler", "Transformer", "Normalizer"))]
    scalers = [name for name in scalers if name not in ("ColumnTransformer", "FunctionTransformer")]
    return scalers[0] if scalers and any(word in names[-1] for word in _TREES) else None


_TREES = ("Tree", "Forest", "Boosting", "LGBM", "XGB")
"""Words in the names of classifiers that are made of trees."""


def _apart(found: npt.NDArray[Any], expected: Numbers) -> npt.NDArray[np.bool_]:
    """Say of each row whether its probabilities are further off than is allowed."""
    return np.asarray(_differences(found, expected).max(axis=1) > TOLERANCE, bool)


def in_32_bits(rows: Any) -> Any:
    """Return rows whose numbers are rounded to 32 bits, in their own types."""
    given: Any = rows
    with np.errstate(over="ignore"):
        if sparse.issparse(rows):
            return given.astype(np.float32).astype(given.dtype)
        if not is_frame(rows):
            return np.asarray(rows).astype(np.float32).astype(np.asarray(rows).dtype)
        floats = rows.select_dtypes(include="floating").columns
        wholes = rows.select_dtypes(include="integer").columns
        kinds = {name: rows[name].dtype for name in floats}
        rounded = rows.astype(dict.fromkeys([*floats, *wholes], np.float32))
        return rounded.astype({**kinds, **dict.fromkeys(wholes, np.float64)})
