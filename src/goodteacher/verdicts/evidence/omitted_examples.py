"""Examples of an omitted class: those recognised and missed, and those it was learned from.

The students are those of the full response, as trained. The examples of the class are of the test
split, which this verification has opened; the others are of the transfer set.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from goodteacher.records import OmittedExamples, RecognisedExample, ResemblingExample
from goodteacher.responses import Logits
from goodteacher.students import Predicted
from goodteacher.studies import shown_examples
from goodteacher.verdicts.evidence.case import Case

MOST_CLASSES = 4
"""Classes whose probabilities are kept of an example, the omitted one among them."""
MOST_RESEMBLING = 6
"""Examples of other classes."""
_ROWS_AT_ONCE = 4096


def omitted_examples(case: Case, number: int, says: Predicted) -> OmittedExamples | None:
    """Return examples that show what was learned of a class; None where none shall be kept.

    Args:
        case: The verification; ``keep_examples`` says how many of each kind at most.
        number: The class.
        says: What the students predict on the test split, [S, N].
    """
    asked = case.config.keep_examples
    if not asked:
        return None
    rows = np.flatnonzero(case.labels == number)
    right = (says[:, rows] == number).sum(0)
    many = 2 * right > len(says)
    recognised = [int(rows[i]) for i in np.argsort(-right, kind="stable") if many[i]]
    missed = [int(rows[i]) for i in np.argsort(right, kind="stable") if not many[i]]
    return OmittedExamples(
        num_recognised=len(recognised),
        recognised=_of_class(case, recognised[:asked], number, says),
        missed=_of_class(case, missed[:asked], number, says),
        resembling=_resembling(case, number, min(asked, MOST_RESEMBLING)),
    )


def most_resembling(response: Logits, labels: Tensor, number: int, count: int) -> list[int]:
    """Return the labelled examples of other classes that a response gives a class most at T = 1.

    Args:
        response: Raw logits [N, C].
        labels: int64 [N], below 0 where there is none.
        number: The class.
        count: Examples at most.

    Example:
        >>> logits = torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 2.0], [0.0, 0.0, 9.0]])
        >>> most_resembling(logits, torch.tensor([1, 0, 2]), 2, 5)
        [1, 0]
    """
    parts = [
        response[start : start + _ROWS_AT_ONCE].double().softmax(1)[:, number]
        for start in range(0, len(response), _ROWS_AT_ONCE)
    ]
    shares = torch.cat(parts)
    others = (labels >= 0) & (labels != number)
    order = shares.where(others, torch.tensor(-1.0)).argsort(descending=True, stable=True)
    return order[: min(count, int(others.sum()))].tolist()


def _of_class(
    case: Case, rows: list[int], number: int, says: Predicted
) -> tuple[RecognisedExample, ...]:
    return tuple(
        RecognisedExample(
            id=int(case.test.ids[row]),
            right=int((says[:, row] == number).sum()),
            says=int(np.bincount(says[:, row]).argmax()),
            shown=shown,
        )
        for row, shown in zip(rows, shown_examples(case.test, rows), strict=True)
    )


def _resembling(case: Case, number: int, count: int) -> tuple[ResemblingExample, ...]:
    transfer, temperature = case.context.data.transfer, case.recipe.temperature
    rows = most_resembling(case.response, transfer.labels, number, count)
    logits = case.response[torch.tensor(rows, dtype=torch.int64)].double()
    plain, softened = logits.softmax(1), (logits / temperature).softmax(1)
    found = []
    for place, shown in enumerate(shown_examples(transfer, rows)):
        label = int(transfer.labels[rows[place]])
        others = plain[place].argsort(descending=True, stable=True).tolist()
        classes = list(dict.fromkeys((number, label, *others)))[:MOST_CLASSES]
        found.append(
            ResemblingExample(
                id=int(transfer.ids[rows[place]]),
                label=label,
                classes=tuple(classes),
                plain=tuple(plain[place, classes].tolist()),
                softened=tuple(softened[place, classes].tolist()),
                shown=shown,
            )
        )
    return tuple(found)
