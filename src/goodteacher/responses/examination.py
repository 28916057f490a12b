"""What may be wrong with a response that can be used: told before training, with the way out.

Every rule is *ours*.

* **Chance**: the most probable class is the label no more often than the commonest class is, plus
  two standard errors.
* **Order**: another order of the classes fits the labels far better
  (:mod:`~goodteacher.maths.class_order`).
* **Seen**, where the response covers the test split: labels of the transfer set are more probable
  than those of the test split (one-sided p below 3e-5), and so are those of the selection split (p
  below 0.001; and far: in at least 60 % of the pairs of a selection and a test example, or with
  half of the mean NLL), which a teacher that did not see them would find as hard as the test
  split's. The tests are a rank test and a normal one of mean log-likelihoods; either may show it.
* **Alike**, of a teacher of which it is not known what it was trained on: labels of the training
  part are not more probable than those of the selection split (one-sided p of 0.05 or above).
* **Seen or perfect**, where that cannot be told: no error on the selection split, at most one in a
  thousand on the transfer set, and a mean NLL below 0.05 nats on both.
* **Remembered**, of a teacher that is asked about one set of examples alone: no error there and a
  mean NLL below 0.05 nats; or labels that are more probable (one-sided p below 3e-5), and have at
  most half of the mean NLL, than in out-of-fold responses of the same teacher trained anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from scipy.stats import mannwhitneyu, norm
from torch import Tensor

from goodteacher.data import Finding, Split, StudyData, shorten
from goodteacher.maths.calibration import LOG_ZERO
from goodteacher.maths.class_order import find_class_order
from goodteacher.maths.rows import Logits, each_chunk, in_chunks
from goodteacher.responses.containers import Response

_MIN_HELD_OUT = 30  # examples that can show what a teacher has seen
_FAR = 0.6  # share of pairs in which the selection example's label is more probable
_LESS_NLL = 0.5  # NLL on the selection split, as a share of that on the test split
_OVERFITTED = 3e-5  # p-value, four standard errors
_BETTER = 1e-3  # p-value
_ALIKE = 0.05  # p-value
_NO_ERROR_NLL = 0.05  # nats
_NO_ERROR = 1e-3  # share of errors on the transfer set
_WAY_OUT = (
    "Students then copy the teacher's overconfidence on the transfer set, and choices on the "
    "selection split cannot be trusted. Give out-of-fold responses: train the teacher on some "
    "folds of the training data, compute its response to the other folds, and join these "
    "responses by id."
)

_ANEW = (
    "students copy its overconfidence, and look better than they are in comparison with students "
    "of hard labels. Use responses for folds that the teacher was not trained on."
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
    logits: Logits, labels: Tensor, class_names: tuple[str, ...]
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
    predicted, truth = most_probable(logits)[known], labels[known]
    findings = [*_another_order(predicted, truth, class_names)]
    return findings or [*_chance(predicted, truth)]


def most_probable(logits: Logits) -> Tensor:
    """Return the most probable class of each row of [N, C], int64 [N]."""
    return in_chunks(logits, lambda some: some.argmax(1))


def _chance(predicted: Tensor, truth: Tensor) -> Iterator[Finding]:
    agreement = float((predicted == truth).double().mean())
    commonest = float(truth.bincount().max() / len(truth))
    if agreement < commonest + 2 * math.sqrt(commonest * (1 - commonest) / len(truth)):
        yield Finding(
            "warning",
            "response_chance",
            f"The response's most probable class is the label for {100 * agreement:.1f} % of the "
            f"examples, no more than chance ({100 * commonest:.1f} %). Are its rows or its "
            "classes in another order? Add ids, and goodteacher aligns the rows by them.",
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
        f"The response's most probable class is the label for {100 * order.agreement:.1f} % of "
        f"the examples, and would be for {100 * order.agreement_in_order:.1f} % with its columns "
        f"in another order: {shorten(pairs)}. Are they in another order than the data's classes "
        f"({shorten(class_names)})? Reorder the columns, or name them after the classes (the "
        "header of a table, an array 'class_names'), so that they are matched by name.",
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
    logits = response.aligned_to(ids)

    def likelihood(rows: slice) -> Tensor:
        log_probs = logits[rows].double().log_softmax(1)
        return log_probs.gather(1, labels[rows, None])[:, 0].clamp_min(LOG_ZERO)

    fits = each_chunk(len(logits), logits.shape[1], likelihood)
    return _Fit(most_probable(logits) == labels, fits)


def _seen(response: Response, data: StudyData) -> Iterator[Finding]:
    selection, transfer = _fit(response, data.selection), _fit(response, data.transfer)
    if selection is None or transfer is None:
        return
    test = None
    if _covers_test(response, data):
        test = _fit(response, data.test.open("compare how well the given teacher knows each split"))
    if test is not None and _has_seen(selection, transfer, test):
        yield _told_by_test(selection, transfer, test)
    elif _without_error(selection, transfer) and (
        test is None or _chance_of(transfer, test) < _OVERFITTED
    ):
        yield _told_by_perfection(selection, transfer, test)


def look_alike(response: Response, training: Split, selection: Split) -> Finding | None:
    """Say so if a teacher knows the selection split as well as what it should be trained on.

    Args:
        response: Covers the labelled examples of both.
        training: What the teacher was trained on, if all is well.
        selection: What it was not.

    Returns:
        A warning, or None where training examples are clearly easier for it.
    """
    own, held_out = _fit(response, training), _fit(response, selection)
    if own is None or held_out is None or _chance_of(own, held_out) < _ALIKE:
        return None
    return Finding(
        "warning",
        "response_alike",
        f"The teacher's mean NLL is {own.nll:.4g} nats on the training part and "
        f"{held_out.nll:.4g} on the selection split, which is almost the same. Early in training "
        "this is normal. But if the teacher was also trained on the selection split, every "
        "choice made there is unreliable. Train it on the ids that goodteacher split writes.",
    )


def remembered(response: Response, examples: Split, anew: Response | None) -> Finding | None:
    """Say so if a teacher answers as though it was trained on the examples that it is asked about.

    Args:
        response: The teacher's; it covers the examples.
        examples: What it is asked about.
        anew: Out-of-fold responses of the same teacher, trained anew on these examples; None where
            it cannot be trained.

    Returns:
        A warning, or None.

    Example:
        >>> labels = torch.arange(60) % 3
        >>> sure = Response(20 * torch.eye(3)[labels], torch.arange(60))
        >>> remembered(sure, Split.from_arrays(torch.zeros(60, 1), labels), None).code
        'response_remembered'
    """
    own, fresh = _fit(response, examples), None if anew is None else _fit(anew, examples)
    if own is None:
        return None
    told = f"The teacher is right on {100 * own.accuracy:.4g} % of the examples that it is given"
    told += f" (mean NLL {own.nll:.2g} nats)"
    if fresh and own.nll <= _LESS_NLL * fresh.nll and _chance_of(own, fresh) < _OVERFITTED:
        told += (
            f". Trained again on folds without them, it is right on {100 * fresh.accuracy:.4g} % "
            f"({fresh.nll:.2g} nats). It was probably trained on these examples, or on many more "
            "than there are here."
        )
    elif _without_error(own, own) and (fresh is None or not _without_error(fresh, fresh)):
        told += ". It is perfect, or it was trained on these examples."
    else:
        return None
    return Finding("warning", "response_remembered", f"{told} If it was trained on them: {_ANEW}")


def _covers_test(response: Response, data: StudyData) -> bool:
    """Say whether the response has all ids of the test split, and they are no training ids too."""
    seen = torch.cat([data.transfer.ids, data.selection.ids])
    test = data.test.ids
    return bool(torch.isin(test, response.ids).all()) and not bool(torch.isin(test, seen).any())


def _has_seen(selection: _Fit, transfer: _Fit, test: _Fit) -> bool:
    better = _share_more_probable(selection, test)
    far = better >= _FAR or selection.nll <= _LESS_NLL * test.nll
    clear = _chance_of(transfer, test) < _OVERFITTED and _chance_of(selection, test) < _BETTER
    # Were it only the transfer set that the teacher has seen, the selection split would be harder.
    like_transfer = _share_more_probable(selection, transfer) > 0.5 - (better - 0.5) / 2
    return far and clear and like_transfer


def _share_more_probable(one: _Fit, other: _Fit) -> float:
    """Return in which share of pairs of examples the label of the first is more probable."""
    first, second = one.log_likelihood.numpy(), other.log_likelihood.numpy()
    return float(mannwhitneyu(first, second).statistic) / (len(first) * len(second))


def _chance_of(one: _Fit, other: _Fit) -> float:
    """Return the p-value of labels of the first split being no more probable than the second's."""
    first, second = one.log_likelihood.numpy(), other.log_likelihood.numpy()
    ranks = mannwhitneyu(first, second, alternative="greater", method="asymptotic").pvalue
    error = math.sqrt(first.var() / len(first) + second.var() / len(second))
    means = norm.sf((first.mean() - second.mean()) / error) if error else 1.0
    return float(min(ranks, means))


def _told_by_test(selection: _Fit, transfer: _Fit, test: _Fit) -> Finding:
    right = [f"{100 * fit.accuracy:.1f} %" for fit in (selection, transfer, test)]
    return Finding(
        "warning",
        "response_seen",
        f"The response is right on {right[0]} of the selection split, as on the transfer set "
        f"({right[1]}), but on {right[2]} of the test split (mean NLL {selection.nll:.3g}, "
        f"{transfer.nll:.3g} and {test.nll:.3g} nats). Unless the test split is simply harder, "
        f"the teacher was trained on examples that are meant to be held out. {_WAY_OUT}",
    )


def _without_error(selection: _Fit, transfer: _Fit) -> bool:
    sure = max(selection.nll, transfer.nll) <= _NO_ERROR_NLL
    return selection.accuracy == 1 and transfer.accuracy >= 1 - _NO_ERROR and sure


def _told_by_perfection(selection: _Fit, transfer: _Fit, test: _Fit | None) -> Finding:
    known = (
        "only its response to the test split could show which"
        if test is None
        else f"its {100 * test.accuracy:.1f} % on the test split do not show which"
    )
    return Finding(
        "warning",
        "response_seen",
        f"The response has no error on the {len(selection.right)} examples of the selection "
        f"split, and is right on {100 * transfer.accuracy:.4g} % of the transfer set (mean NLL "
        f"{selection.nll:.2g} and {transfer.nll:.2g} nats). The teacher is perfect, or it was "
        f"trained on both; {known}. If it was trained on them: {_WAY_OUT}",
    )


def _sentence(note: str) -> str:
    return note[:1].upper() + note[1:]
