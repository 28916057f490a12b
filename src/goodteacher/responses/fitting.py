"""Fit a response to the data: its classes by name, its rows by id; refuse what does not fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from goodteacher.config import DataConfig
from goodteacher.data import Dataset, Frame, Split, at_most, load_for, shorten
from goodteacher.errors import ResponseError
from goodteacher.maths.rows import Logits, select_classes
from goodteacher.responses.columns import class_columns, difference
from goodteacher.responses.containers import Response
from goodteacher.responses.files import ResponseLike, as_response

_LABELS_OF_OTHERS = 0.5  # agreement of the response's own labels below which it is refused


def fitted_response(response: Response, dataset: Dataset) -> Response:
    """Put a response in the data's order of classes, and give it ids if it has none.

    Columns with names are matched by name. Rows with ids must be examples of the data; rows without
    must be the training examples in order, which their number has to say.

    Args:
        response: As it was read.
        dataset: What it is for.

    Returns:
        The response with the data's classes in the data's order, and ids of its own.

    Raises:
        ResponseError: It has other classes, ids that the data do not have, or a number of rows that
            does not say which examples they are.

    Example:
        >>> from goodteacher.data import load_dataset
        >>> fitted_response(Response(torch.zeros(1437, 10), torch.arange(1437), False),
        ...                 load_dataset("digits")).has_ids
        True
    """
    response = _in_class_order(response, dataset)
    ids = _checked_ids(response, dataset) if response.has_ids else _row_ids(response, dataset)
    fitted = dataclasses.replace(response, ids=ids, has_ids=True)
    return dataclasses.replace(
        fitted, labels=None, notes=(*fitted.notes, *_own_labels_note(fitted, dataset))
    )


def fitted_to_part(response: Response, dataset: Dataset, part: Split, name: str) -> Logits:
    """Return what a response says about a part of the data, in the part's order.

    Args:
        response: As it was read; rows without ids must be the part's examples in order.
        dataset: What the part is of; its classes are those wanted, in its order.
        part: The examples.
        name: What the part is called, such as ``selection split``.

    Returns:
        Logits, float32 [len(part), C].

    Raises:
        ResponseError: It has other classes, or a number of rows or ids that do not fit.

    Example:
        >>> from goodteacher.data import load_dataset
        >>> digits = load_dataset("digits")
        >>> fitted_to_part(Response(torch.zeros(360, 10), torch.arange(360), False),
        ...                digits, digits.test, "test split").shape
        torch.Size([360, 10])
    """
    response = _in_class_order(response, dataset)
    if response.has_ids:
        return response.aligned_to(part.ids)
    rows, wanted = response.num_examples, len(part)
    if rows == wanted:
        return response.logits
    raise ResponseError(
        f"The response has {rows} rows and no ids, but the {name} has {wanted} examples. "
        f"{_why_rows_of_part(response, dataset, wanted)} Give a row for each of its examples, in "
        "the same order, or add ids."
    )


def _why_rows_of_part(response: Response, dataset: Dataset, wanted: int) -> str:
    rows = response.num_examples
    if rows == len(dataset.train):
        return "This is the number of all training examples: select the rows of this part."
    return _why_surplus(response, wanted) or "Were they computed on another part of the data?"


# --- classes -------------------------------------------------------------------------------------


def _in_class_order(response: Response, dataset: Dataset) -> Response:
    names = response.class_names
    if response.num_classes != dataset.num_classes:
        raise ResponseError(
            f"The response has {response.num_classes} classes, but the data have "
            f"{dataset.num_classes}{_which(response, dataset)}. {_why_classes(response, dataset)}"
        )
    if not names:
        return response
    columns = class_columns(names, dataset.class_names, "the response")
    if columns == list(range(len(columns))):
        return dataclasses.replace(response, class_names=())
    return dataclasses.replace(
        response,
        logits=select_classes(response.logits, columns),
        class_names=(),
        notes=(
            *response.notes,
            "the classes of the response are not in the order of the data's classes and were "
            "reordered by name.",
        ),
    )


def _which(response: Response, dataset: Dataset) -> str:
    if not response.class_names:
        return ""
    return f" ({difference(response.class_names, dataset.class_names)})"


def _why_classes(response: Response, dataset: Dataset) -> str:
    rows, columns = response.logits.shape
    if rows == dataset.num_classes and columns in (len(dataset.train), len(dataset.test)):
        return "It has one row for each class. Give the transpose, with one row for each example."
    if columns == dataset.num_classes + 1:
        return (
            "Is one of the columns not a class of the data, for example a row number, a label "
            "or a background class?"
        )
    return "Was the teacher trained on another label set?"


# --- examples ------------------------------------------------------------------------------------


def _row_ids(response: Response, dataset: Dataset) -> Tensor:
    """Return the training ids, if there are as many rows; the number must say what rows are."""
    train, test, rows = len(dataset.train), len(dataset.test), response.num_examples
    if rows == train:
        return dataset.train.ids
    raise ResponseError(
        f"The response has {rows} rows and no ids, but the training data have {train} examples "
        f"(test: {test}, both: {train + test}). Without ids, the rows must be all training "
        f"examples in order. {_why_other_rows(response, train, test)} Add an array or column "
        "'ids', or compute the response on the training data."
    )


def _why_other_rows(response: Response, train: int, test: int) -> str:
    rows = response.num_examples
    if rows == test:
        return "The number is that of the test examples: was it computed on the test split?"
    if rows == train + test:
        return "The number is that of both splits together."
    other = "Were they computed on another split or selection of the data?"
    return _why_surplus(response, train) or other


def _why_surplus(response: Response, wanted: int) -> str | None:
    """Say why there are a few rows more or less than wanted, where that can be seen."""
    extra = response.num_examples - wanted
    logits, few = response.logits, min(extra, 1000)
    if 0 < extra < wanted and torch.equal(logits[wanted : wanted + few], logits[:few]):
        return (
            f"The last {extra} repeat the first, because a distributed sampler fills its last "
            "batch: remove them."
        )
    if -wanted / 2 < extra < 0:
        return (
            f"{-extra} are missing: was the last, smaller batch dropped (drop_last=True), or part "
            "of the data held out?"
        )
    return None


def _checked_ids(response: Response, dataset: Dataset) -> Tensor:
    """Refuse ids that no example of the data has."""
    train, test, ids = dataset.train.ids, dataset.test.ids, response.ids
    _check_not_shifted(ids, train)
    apart = not bool(torch.isin(train, test).any())
    known = torch.cat([train, test]) if apart else train
    unknown = ids[~torch.isin(ids, known)]
    if len(unknown):
        raise ResponseError(
            f"{len(unknown)} of {len(ids)} ids of the response are not in the data: "
            f"{shorten(unknown.tolist())}. {_described_ids(dataset, apart=apart)} Was it computed "
            "on other data, or are examples numbered in another way? Give each row the id of its "
            "example. Row numbers of the training data start from 0."
        )
    if not bool(torch.isin(ids, train).any()):
        raise ResponseError(
            f"The response has only ids of the test split ({shorten(ids.tolist())}), but students "
            f"learn from the training data. {_described_ids(dataset, apart=apart)} Compute it on "
            "the training data."
        )
    return ids


def _check_not_shifted(ids: Tensor, train: Tensor) -> None:
    """Name what is most often wrong with ids: that they count from 1 instead of 0."""
    if len(ids) != len(train):
        return
    shift = int(ids.min()) - int(train.min())
    if shift and torch.equal(ids.sort().values - shift, train.sort().values):
        by = f"{abs(shift)} {'above' if shift > 0 else 'below'}"
        raise ResponseError(
            f"Every id of the response is {by} an id of the training data: they run from "
            f"{int(ids.min())} to {int(ids.max())}, those of the data from {int(train.min())} to "
            f"{int(train.max())}. Each row would be matched with the wrong example. Use the ids "
            "of the data (row numbers start from 0)."
        )


def _described_ids(dataset: Dataset, *, apart: bool) -> str:
    train, test = dataset.train.ids, dataset.test.ids
    described = f"Training ids run from {int(train.min())} to {int(train.max())}"
    if apart:
        return f"{described}, test ids from {int(test.min())} to {int(test.max())}."
    return f"{described}. Test ids overlap with them, so an id means a training example."


def _own_labels_note(response: Response, dataset: Dataset) -> tuple[str, ...]:
    """Compare labels that stand beside the response with the data's: rows may be others."""
    if response.labels is None:
        return ()
    known = torch.isin(dataset.train.ids, response.ids) & (dataset.train.labels >= 0)
    ids, truth = dataset.train.ids[known], dataset.train.labels[known]
    own = response.labels[_rows_of(response, ids)]
    ids, truth, own = ids[own >= 0], truth[own >= 0], own[own >= 0]
    if not len(own) or torch.equal(own, truth):
        return ()
    agreement = float((own == truth).double().mean())
    found = (
        f"labels given with the response agree with those of the data for {100 * agreement:.1f} % "
        f"of {len(own)} examples"
    )
    if agreement < _LABELS_OF_OTHERS:
        raise ResponseError(
            f"The {found} only. So its rows are other examples (as from a shuffled loader without "
            "ids), or its classes have other numbers. Give ids, keep the data's order "
            "(shuffle=False), or remove the labels from the file if they are not meaningful."
        )
    return (f"{found}. Were labels corrected, or do some rows belong to other examples?",)


def _rows_of(response: Response, ids: Tensor) -> Tensor:
    """Return the rows of examples that the response has."""
    ordered, rows = response.ids.sort()
    return rows[torch.searchsorted(ordered, ids)]


def load_pair(
    responses: ResponseLike,
    data: str | Path | Mapping[str, Any] | Frame | Dataset,
    config: DataConfig,
    *,
    probabilities: bool,
) -> tuple[Response, Dataset]:
    """Read a response and the data it is for, and check that they fit.

    Args:
        responses: What :func:`~goodteacher.responses.as_response` understands.
        data: A data set, or what :func:`~goodteacher.data.load_dataset` understands.
        config: How data are read.
        probabilities: The response holds probabilities rather than logits.

    Raises:
        InputError: One cannot be read, or they do not fit.
    """
    dataset = load_for(config, data)
    names = dataset.class_names
    with at_most(config.max_memory_gib):
        response = as_response(responses, probabilities=probabilities, class_names=names)
    return fitted_response(response, dataset), dataset
