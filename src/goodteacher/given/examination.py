"""What may be wrong with a response that can be used: told before training, with the way out.

Every rule is *ours*.

* **Chance**: the most probable class is the label no more often than the commonest class is, plus
  two standard errors.
* **Order**: another order of the classes fits the labels far better
  (:mod:`~goodteacher.class_order`).
* **Seen**: labels of the selection split are as probable as those of the transfer set, and far more
  probable than those of the test split, where the response covers it: in at least 60 % of the pairs
  of a selection and a test example, in a rank test at four standard errors. A teacher that did not
  see the selection split is as good on it as on the test split. Where the response does not cover
  the test split, one without any error on the selection split, with at most one error in a thousand
  on the transfer set and a mean NLL below 0.05 nats on both, is said to be either perfect or seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from scipy.stats import mannwhitneyu
from torch import Tensor

from goodteacher.calibration import LOG_ZERO
from goodteacher.class_order import find_class_order
from goodteacher.data import Finding, Split, StudyData
from goodteacher.data.dataset import shorten
from goodteacher.responses import Response

_MIN_HELD_OUT = 30  # examples that can show what a teacher has seen
_FAR = 0.6  # share of pairs in which the selection example's label is more probable
_BY_CHANCE = 3e-5  # one-sided, four standard errors
_NO_ERROR_NLL = 0.05  # nats
_NO_ERROR = 1e-3  # share of errors on the transfer set
_WAY_OUT = (
    "Students are chosen on the selection split and take the teacher's overconfidence from the "
    "transfer set. Give out-of-fold responses: train the teacher on some folds of the training "
    "data, let it respond to the others, and join these responses by id."
)


def examine_response(response: Response, data: StudyData) -> list[Finding]:
    """Say what may be wrong with a response that fits the data.

    Args:
        response: The fitted response.
        data: The parts of the data. Where the response covers the test split, it is opened for its
            labels, on record.

    Returns:
        Findings of how it was read, of its order, and of what its teacher has seen.
    """
    read = [Finding("info", "response_read", _sentence(note)) for note in response.notes]
    return [*read, *_agreement(response, data), *_seen(response, data)]


def _agreement(response: Response, data: StudyData) -> list[Finding]:
    """Examine it on the transfer set; an independent teacher may cover the selection split only."""
    for split in (data.transfer, data.selection):
        covered = torch.isin(split.ids, response.ids)
        if covered.any():
            logits = response.aligned_to(split.ids[covered])
            return examine_agreement(logits, split.labels[covered], data.class_names)
    return []


def examine_agreement(
    logits: Tensor, labels: Tensor, class_names: tuple[str, ...]
) -> list[Finding]:
    """Say whether a response knows the labels, and whether it would in another order of classes.

    Args:
        logits: [N, C].
        labels: int64 [N]; -1 is unlabelled.
        class_names: The classes in the order of the columns.

    Example:
        >>> labels = torch.arange(60) % 3
        >>> examine_agreement(torch.eye(3)[(labels + 1) % 3], labels, ("a", "b", "c"))[0].code
        'response_order'
    """
    known = (labels >= 0) & (labels < logits.shape[1])
    if not known.any():
        return []
    predicted, truth = logits.argmax(1)[known], labels[known]
    findings = [*_another_order(predicted, truth, class_names)]
    return findings or [*_chance(predicted, truth)]


def _chance(predicted: Tensor, truth: Tensor) -> Iterator[Finding]:
    agreement = float((predicted == truth).double().mean())
    commonest = float(truth.bincount().max() / len(truth))
    if agreement < commonest + 2 * math.sqrt(commonest * (1 - commonest) / len(truth)):
        yield Finding(
            "warning",
            "response_chance",
            f"The response's most probable class is the label for {100 * agreement:.1f} % of the "
            f"examples, no more than chance ({100 * commonest:.1f} %). Are its rows in another "
            "order, or its classes? Rows that carry ids are put in order by them.",
        )


def _another_order(
    predicted: Tensor, truth: Tensor, class_names: tuple[str, ...]
) -> Iterator[Finding]:
    order = find_class_order(predicted, truth, len(class_names))
    if order is None:
        return
    pairs = [
        f"column {order.column_of[c]} fits class {class_names[c]!r} (class {c})"
        for c in order.moved
    ]
    yield Finding(
        "error",
        "response_order",
        f"The response's most probable class is the label for {100 * order.agreement:.1f} % of the "
        f"examples, and would be for {100 * order.agreement_in_order:.1f} % with its columns in "
        f"another order: {shorten(pairs)}. Are they in another order than the data's classes "
        f"({shorten(class_names)})? Reorder the columns, or name them after the classes (the "
        "header of a table, an array 'class_names'): then they are matched by name.",
    )


# --- what the teacher has seen -------------------------------------------------------------------


@dataclass(frozen=True)
class _Fit:
    """How well a response fits the labels of a split."""

    right: Tensor
    log_likelihood: Tensor

    @property
    def accuracy(self) -> float:
        return float(self.right.double().mean())

    @property
    def nll(self) -> float:
        return -float(self.log_likelihood.mean())


def _fit(response: Response, split: Split) -> _Fit | None:
    """Measure a response on the labelled examples of a split; None where it does not cover them."""
    known = split.labels >= 0
    ids, labels = split.ids[known], split.labels[known]
    if len(ids) < _MIN_HELD_OUT or not bool(torch.isin(ids, response.ids).all()):
        return None
    logits = response.aligned_to(ids).double()
    likelihood = logits.log_softmax(1).gather(1, labels[:, None])[:, 0]
    return _Fit(logits.argmax(1) == labels, likelihood.clamp_min(LOG_ZERO))


def _seen(response: Response, data: StudyData) -> Iterator[Finding]:
    selection, transfer = _fit(response, data.selection), _fit(response, data.transfer)
    if selection is None or transfer is None:
        return
    if _covers_test(response, data):
        test = _fit(response, data.test.open("compare what the given teacher knows of each split"))
        if test is not None and _has_seen(selection, transfer, test):
            yield _told_by_test(selection, transfer, test)
    elif _without_error(selection, transfer):
        yield _told_by_perfection(selection, transfer)


def _covers_test(response: Response, data: StudyData) -> bool:
    """Say whether the response has all ids of the test split, and they are no training ids too."""
    seen = torch.cat([data.transfer.ids, data.selection.ids])
    test = data.test.ids
    return bool(torch.isin(test, response.ids).all()) and not bool(torch.isin(test, seen).any())


def _has_seen(selection: _Fit, transfer: _Fit, test: _Fit) -> bool:
    better, chance = _more_probable(selection, test)
    # Were it only the transfer set that the teacher has seen, the selection split would be harder.
    like_transfer = _more_probable(selection, transfer)[0] > 0.5 - (better - 0.5) / 2
    return better >= _FAR and chance < _BY_CHANCE and like_transfer


def _more_probable(one: _Fit, other: _Fit) -> tuple[float, float]:
    """Return in which share of pairs the first is more probable, and a rank test's p-value."""
    first, second = one.log_likelihood.numpy(), other.log_likelihood.numpy()
    found = mannwhitneyu(first, second, alternative="greater", method="asymptotic")
    return float(found.statistic) / (len(first) * len(second)), float(found.pvalue)


def _told_by_test(selection: _Fit, transfer: _Fit, test: _Fit) -> Finding:
    right = [f"{100 * fit.accuracy:.1f} %" for fit in (selection, transfer, test)]
    return Finding(
        "warning",
        "response_seen",
        f"The response is right on {right[0]} of the selection split, as on the transfer set "
        f"({right[1]}), but on {right[2]} of the test split (mean NLL {selection.nll:.3g}, "
        f"{transfer.nll:.3g} and {test.nll:.3g} nats). Unless the test split is harder by nature, "
        f"its teacher was trained on what is called held-out here. {_WAY_OUT}",
    )


def _without_error(selection: _Fit, transfer: _Fit) -> bool:
    sure = max(selection.nll, transfer.nll) <= _NO_ERROR_NLL
    return selection.accuracy == 1 and transfer.accuracy >= 1 - _NO_ERROR and sure


def _told_by_perfection(selection: _Fit, transfer: _Fit) -> Finding:
    return Finding(
        "warning",
        "response_seen",
        f"The response has no error on the {len(selection.right)} examples of the selection split, "
        f"and is right on {100 * transfer.accuracy:.4g} % of the transfer set (mean NLL "
        f"{selection.nll:.2g} and {transfer.nll:.2g} nats). Either its teacher is perfect, or it "
        "was trained on both; without its response to the test split that cannot be told apart. If "
        f"it was trained on them: {_WAY_OUT}",
    )


def _sentence(note: str) -> str:
    return note[:1].upper() + note[1:]
