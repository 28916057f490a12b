"""Which classes gain from similarity, and between which the confusions move.

Both compare the full response with rung 2, which has the teacher's confidence but no similarity,
on the test split. The change of the confusion matrix stands beside the similarity matrix ``qbar``:
do confusions move where the teacher calls classes alike? A correlation can have either sign: below
0 the students tell alike classes apart better, above 0 they take over the teacher's doubt.
Most confusions of *any* student lie between alike classes, so rung 2's own confusion is correlated
with ``qbar`` beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from goodteacher.errors import InputError
from goodteacher.maths.similarity import similarity_information
from goodteacher.maths.statistics import differences_by_class, mantel, rows_by_class
from goodteacher.records import Association, ClassGain, Confusion, PairChange
from goodteacher.students import Correct, Predicted
from goodteacher.verdicts.evidence.case import CONFIDENT, FULL, Case, joint_effect

MOST_CLASSES = 100
"""With more classes only the pairs that change most enter the result, not the matrices."""
MOST_COMPARED = 4000
"""With more classes nothing is compared cell by cell: the matrices would take more than 1 GiB."""
PAIRS = 20
"""Pairs kept in the result."""

Matrix = npt.NDArray[np.float64]

_NO_ROWS = np.zeros(0, dtype=np.int64)


def class_gains(case: Case) -> tuple[ClassGain, ...]:
    """Return what similarity does for every class, in the data's order.

    Args:
        case: The verification.
    """
    return compare_classes(
        case.correct(FULL),
        case.correct(CONFIDENT),
        case.labels,
        case.context.data.class_names,
        level=case.config.level,
    )


def compare_classes(
    full: Correct,
    confident: Correct,
    labels: npt.NDArray[np.int64],
    class_names: Sequence[str],
    *,
    level: float,
) -> tuple[ClassGain, ...]:
    """Compare two arms class by class, with joint intervals over the classes.

    Args:
        full: Who is right with the full response, bool [S, N].
        confident: Who is right with rung 2, bool [S, N].
        labels: Classes of the examples, [N].
        class_names: Names of the C classes.
        level: Level of the intervals, and of the joint ones together.
    """
    rows = rows_by_class(labels, len(class_names))
    members = [rows.get(number, _NO_ROWS) for number in range(len(class_names))]
    found = differences_by_class(full, confident, labels, num_classes=len(class_names), level=level)
    gains = {each.number: joint_effect(each.single, each.joint) for each in found}
    return tuple(
        ClassGain(
            number=number,
            name=class_names[number],
            num_examples=len(member),
            confidence_smoothing=_mean(confident[:, member]),
            full_response=_mean(full[:, member]),
            gain=gains.get(number),
        )
        for number, member in enumerate(members)
    )


def confusion(case: Case) -> Confusion:
    """Return how confusions change, beside the similarity matrix of the response.

    Args:
        case: The verification; with more than `MOST_COMPARED` classes nothing is compared.
    """
    if case.context.data.num_classes > MOST_COMPARED:
        return Confusion(
            pairs=(),
            similarity=(),
            change=(),
            confused_with_similarity=None,
            change_with_similarity=None,
        )
    labels = case.context.data.transfer.labels
    temperature = case.recipe.temperature
    similarity = similarity_information(case.response, labels, temperature=temperature).matrix
    size = case.context.data.num_classes
    before, after = (
        confusion_matrix(case.predicted[name], case.labels, size) for name in (CONFIDENT, FULL)
    )
    return compare_confusions(before, after, similarity.numpy())


def confusion_matrix(
    predicted: Predicted, labels: npt.NDArray[np.int64], num_classes: int
) -> Matrix:
    """Return the mean confusion over seeds: row c says what examples of c are taken for.

    Args:
        predicted: Class numbers [S, N].
        labels: Classes of the examples, [N].
        num_classes: C.

    Returns:
        ``[C, C]``; a row sums to 1, or is 0 for a class without examples.

    Example:
        >>> confusion_matrix(np.array([[0, 1], [1, 1]], dtype=np.int32), np.array([0, 1]), 2)
        array([[0.5, 0.5],
               [0. , 1. ]])
    """
    cells = np.asarray(labels, dtype=np.int64)[None, :] * num_classes + predicted
    counts = np.bincount(cells.ravel(), minlength=num_classes**2).reshape(num_classes, -1)
    return np.asarray(counts / np.maximum(counts.sum(1, keepdims=True), 1), dtype=np.float64)


def compare_confusions(before: Matrix, after: Matrix, similarity: Matrix) -> Confusion:
    """Put the change of a confusion matrix beside the similarity matrix.

    Args:
        before: Mean confusion of rung 2, [C, C].
        after: Mean confusion of the full response, [C, C].
        similarity: ``qbar``, [C, C].
    """
    change = after - before
    small = len(change) <= MOST_CLASSES
    return Confusion(
        pairs=tuple(_pairs(before, after, similarity)),
        similarity=_rows(similarity) if small else (),
        change=_rows(change) if small else (),
        confused_with_similarity=_association(before, similarity),
        change_with_similarity=_association(change, similarity),
    )


def _pairs(before: Matrix, after: Matrix, similarity: Matrix) -> list[PairChange]:
    change = np.abs(after - before)
    np.fill_diagonal(change, 0.0)
    order = np.argsort(-change, axis=None, kind="stable")[:PAIRS]
    cells = [divmod(int(cell), len(change)) for cell in order]
    return [
        PairChange(
            true=true,
            predicted=predicted,
            similarity=float(similarity[true, predicted]),
            confidence_smoothing=float(before[true, predicted]),
            full_response=float(after[true, predicted]),
        )
        for true, predicted in cells
        if change[true, predicted] > 0
    ]


def _association(first: Matrix, second: Matrix) -> Association | None:
    """Correlate two matrices; None where one orders nothing, or there are fewer than 3 classes."""
    try:
        # Ranks of a thousand classes are a million: fewer renumberings keep that within seconds.
        found = mantel(first, second, num_permutations=999 if len(first) <= MOST_CLASSES else 99)
    except InputError:
        return None
    return Association(
        rho=found.rho,
        p_value=found.p_value,
        num_classes=found.num_objects,
        num_pairs=found.num_cells,
    )


def _rows(matrix: Matrix) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in matrix.tolist())


def _mean(hits: Correct) -> float:
    return float(hits.mean()) if hits.size else 0.0
