"""The doctor, for data and a response to them."""

from __future__ import annotations

import math
from typing import Any

from goodteacher.config import ReadingConfig, parse
from goodteacher.data import Dataset, Finding, StudyData, at_most, load_for, prepare
from goodteacher.data import doctor as examine_data
from goodteacher.errors import DataError, ResponseError
from goodteacher.responses import (
    Logits,
    Response,
    ResponseLike,
    as_response,
    examine_agreement,
    examine_response,
    fitted_response,
    row_chunks,
)
from goodteacher.studies import DataLike, name_of_data

_ORDER = ("error", "warning", "info")


def doctor(
    data: DataLike,
    *,
    responses: ResponseLike | None = None,
    probabilities: bool = False,
    **settings: Any,
) -> list[Finding]:
    """Examine a data set, and a teacher's response to it, before anything is trained.

    Args:
        data: A data set, or what :func:`~goodteacher.data.load_dataset` understands.
        responses: What ``distill`` takes: a file, an array, a tensor; None examines the data alone.
        probabilities: The response holds probabilities rather than logits.
        **settings: Any field of :class:`~goodteacher.config.ReadingConfig`, such as ``target``.

    Returns:
        Findings, errors first, then warnings, then infos. A response that ``distill`` would refuse
        is an error of code ``response``.

    Raises:
        DataError: The data cannot be read.
        ConfigError: A setting is not allowed.

    Example:
        >>> import torch
        >>> from goodteacher.data import load_dataset
        >>> digits = load_dataset("digits")
        >>> one_off = torch.eye(10)[(digits.train.labels + 1) % 10] * 5 - 1
        >>> doctor(digits, responses=one_off)[0].code
        'response_order'
    """
    config = parse(ReadingConfig, data=name_of_data(data), **settings)
    dataset = load_for(config, data)
    findings = examine_data(dataset)
    if responses is not None:
        with at_most(config.max_memory_gib):
            findings += _of_response(dataset, responses, probabilities)
    return sorted(findings, key=lambda finding: _ORDER.index(finding.severity))


def _of_response(dataset: Dataset, responses: ResponseLike, probabilities: bool) -> list[Finding]:
    names = dataset.class_names
    try:
        response = as_response(responses, probabilities=probabilities, class_names=names)
        response = fitted_response(response, dataset)
        return [_described(response, dataset), *_examined(response, dataset)]
    except ResponseError as error:
        return [Finding("error", "response", str(error))]


def _examined(response: Response, dataset: Dataset) -> list[Finding]:
    """Examine it on the parts that a search has by default, or on all rows where there are none."""
    parts = _parts(dataset)
    transfer = dataset.train if parts is None else parts.transfer
    logits = response.aligned_to(transfer.ids)
    if parts is None:
        return examine_agreement(logits, transfer.labels, dataset.class_names)
    return examine_response(response, parts)


def _parts(dataset: Dataset) -> StudyData | None:
    try:
        return prepare(dataset)
    except DataError:
        return None


def _described(response: Response, dataset: Dataset) -> Finding:
    covered = set(response.ids.tolist())
    train = sum(id_ in covered for id_ in dataset.train.ids.tolist())
    lowest, highest, zeros = _range(response.logits)
    nothing = f"; {100 * zeros:.1f} % of its probabilities are 0" if zeros else ""
    return Finding(
        "info",
        "response",
        f"The response covers {train} of {len(dataset.train)} training examples, with logits from "
        f"{lowest:.4g} to {highest:.4g}{nothing}.",
    )


def _range(logits: Logits) -> tuple[float, float, float]:
    """Return the lowest finite logit, the highest, and which share is probability 0."""
    lowest, highest, zeros = math.inf, -math.inf, 0
    for rows in row_chunks(*logits.shape):
        some = logits[rows]
        zeros += int((some == -math.inf).sum())
        highest = max(highest, float(some.max()))
        lowest = min(lowest, float(some.masked_fill(some == -math.inf, math.inf).min()))
    return lowest, highest, zeros / (logits.shape[0] * logits.shape[1])
