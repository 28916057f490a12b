"""Measuring any teacher's response: similarity information and calibration at several temperatures.

For responses that goodteacher did not make; trajectories are measured by the same function.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from goodteacher.config import Frozen, PositiveFloat, Temperatures, parse
from goodteacher.data import at_most, shorten
from goodteacher.errors import ResponseError
from goodteacher.maths.calibration import best_temperature
from goodteacher.records import Measurement
from goodteacher.responses import (
    Labels,
    Logits,
    Response,
    ResponseLike,
    as_response,
    class_columns,
    columns_of,
    examine_agreement,
    read_labels,
    select_classes,
    select_rows,
)
from goodteacher.responses.measurement import measure


class _Settings(Frozen):
    temperatures: Temperatures
    max_memory_gib: PositiveFloat | None = None


class Score(Frozen):
    """What a response says, at several temperatures.

    Attributes:
        num_examples: Examples that have a response and a label.
        num_classes: Classes of the response.
        optimal_temperature: Where the NLL is lowest, one of those measured.
        optimal_temperature_limit: Not None where no finite temperature is best: the NLL falls as T
            goes to ``zero`` (every prediction is right) or ``infinity`` (the response is no better
            than a uniform one). ``optimal_temperature`` is then one that is nearly there.
        measurements: One for each temperature.
        notes: How response and labels were read, and what may be wrong with them.
    """

    num_examples: int
    num_classes: int
    optimal_temperature: float
    optimal_temperature_limit: Literal["zero", "infinity"] | None = None
    measurements: tuple[Measurement, ...]
    notes: tuple[str, ...] = ()


def score(
    responses: ResponseLike,
    *,
    labels: str | Path | Labels | Tensor | npt.NDArray[Any],
    temperatures: object = (1.0, 2.0, 4.0, 8.0),
    probabilities: bool = False,
    max_memory_gib: float | None = None,
) -> Score:
    """Measure a response at several temperatures, and at the one that minimises its NLL.

    Responses and labels are matched by id. Where only one side has ids, the rows of the other count
    from 0, and both must be the same examples: the ids are exactly 0..N-1, in any order.

    Args:
        responses: Raw logits: a file, a response, a tensor, an array or a data frame.
        labels: The true classes of the same examples: a file, or integers [N]; -1 is unlabelled.
        temperatures: Where to measure.
        probabilities: ``responses`` are probabilities rather than logits.
        max_memory_gib: Memory that each file may take; None for half of the free memory.

    Raises:
        InputError: A file or value cannot be used, or they do not fit.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[4.0, 2.0, 0.0], [0.0, 4.0, 2.0]])
        >>> found = score(logits, labels=torch.tensor([0, 1]))
        >>> {m.temperature: round(m.similarity, 4) for m in found.measurements}[1.0]
        0.0437
    """
    settings = parse(_Settings, temperatures=temperatures, max_memory_gib=max_memory_gib)
    with at_most(settings.max_memory_gib):
        response = as_response(responses, probabilities=probabilities)
        given = _labels(labels)
    return _scored(response, given, settings.temperatures)


def _scored(response: Response, given: Labels, grid: tuple[float, ...]) -> Score:
    rows, places, matched = _matched(response, given)
    columns, named = _class_columns(response, given)
    logits, known = (
        select_classes(select_rows(response.logits, rows), columns),
        given.labels[places],
    )
    if given.class_names:
        known = torch.tensor(columns_of(given.class_names, response.class_names))[known]
    logits, known, unlabelled = _labelled(logits, known)
    names = response.class_names or tuple(map(str, range(response.num_classes)))
    ordered = tuple(names[column] for column in columns)
    agreement = [finding.message for finding in examine_agreement(logits, known, ordered)]
    best = best_temperature(logits, known)
    return Score(
        num_examples=len(logits),
        num_classes=response.num_classes,
        optimal_temperature=best.value,
        optimal_temperature_limit=best.limit,
        measurements=tuple(
            measure(logits, known, split="given", temperature=temperature)
            for temperature in sorted({*grid, best.value})
        ),
        notes=(*response.notes, *named, *matched, *unlabelled, *agreement),
    )


def _labels(labels: str | Path | Labels | Tensor | npt.NDArray[Any]) -> Labels:
    if isinstance(labels, Labels):
        return labels
    if isinstance(labels, str | Path):
        return read_labels(labels)
    numbers = torch.as_tensor(np.asarray(labels) if not isinstance(labels, Tensor) else labels)
    if numbers.ndim == 2 and numbers.shape[1] == 1:
        numbers = numbers[:, 0]
    if not numbers.is_floating_point() and numbers.dtype != torch.bool:
        numbers = numbers.long()
    return Labels(numbers, torch.arange(len(numbers)), has_ids=False)


# --- which row is which label's ------------------------------------------------------------------


def _matched(response: Response, labels: Labels) -> tuple[Tensor, Tensor, list[str]]:
    """Return rows of the response and places of their labels, and what was left out."""
    if response.has_ids != labels.has_ids:
        _check_rows_are_ids(response, labels)
    elif not response.has_ids and response.num_examples != len(labels.labels):
        raise ResponseError(
            f"The response has {response.num_examples} rows, but there are {len(labels.labels)} "
            "labels, and neither has ids. Are they from another split? Give ids for both, or "
            "labels for exactly the rows of the response."
        )
    common = np.intersect1d(response.ids.numpy(), labels.ids.numpy(), return_indices=True)
    found, rows, places = (torch.from_numpy(part) for part in common)
    _check_one_holds_the_other(response, labels, found)
    in_order = rows.argsort()
    without_label = response.num_examples - len(found)
    without_row = len(labels.ids) - len(found)
    notes = []
    if without_label:
        notes.append(f"{without_label} rows of the response have no label and were left out.")
    if without_row:
        notes.append(f"{without_row} labels have no row in the response and were left out.")
    return rows[in_order], places[in_order], notes


def _check_rows_are_ids(response: Response, labels: Labels) -> None:
    """Where one side has ids only, they must be the row numbers of the other."""
    ids, rows = (
        (response.ids, len(labels.ids)) if response.has_ids else (labels.ids, len(response.ids))
    )
    if torch.equal(ids.sort().values, torch.arange(rows)):
        return
    one, other = ("response", "labels") if response.has_ids else ("labels", "response")
    raise ResponseError(
        f"The {one} has {len(ids)} rows with ids ({shorten(ids.tolist())}), but the {other} has "
        f"{rows} rows without ids. Without ids on one side, the ids must be exactly "
        f"0..{rows - 1}. Give the {other} ids as well."
    )


def _check_one_holds_the_other(response: Response, labels: Labels, common: Tensor) -> None:
    if len(common) and len(common) in (len(response.ids), len(labels.ids)):
        return
    alone = [ids[~torch.isin(ids, common)] for ids in (response.ids, labels.ids)]
    raise ResponseError(
        f"{len(alone[0])} of {len(response.ids)} ids of the response have no label "
        f"({shorten(alone[0].tolist())}), and {len(alone[1])} of {len(labels.ids)} labels have no "
        f"row ({shorten(alone[1].tolist())}). Are they numbered from different starts, or from "
        "different splits?"
    )


# --- which column is which label's ---------------------------------------------------------------


def _class_columns(response: Response, labels: Labels) -> tuple[list[int], list[str]]:
    """Return the order of the columns that labels count by, and a note where it is assumed."""
    own = list(range(response.num_classes))
    names = response.class_names
    if labels.class_names and not names:
        raise ResponseError(
            f"Labels are names ({shorten(labels.class_names)}), but the columns of the response "
            "have no names, so they cannot be matched. Name the columns after the classes, or "
            "give labels as column numbers from 0."
        )
    if labels.class_names or not names:
        return own, []
    try:
        return class_columns(names, list(map(str, own)), "the response"), []
    except ResponseError:
        shown = shorten(f"{number} = {name!r}" for number, name in enumerate(names))
        note = f"labels are numbers and were taken as column numbers: {shown}."
        return own, [note]


def _labelled(logits: Logits, labels: Tensor) -> tuple[Logits, Tensor, list[str]]:
    known = labels >= 0
    if not known.any():
        raise ResponseError("Every label is -1 (unlabelled), so the response cannot be measured.")
    if known.all():
        return logits, labels, []
    note = f"{int((~known).sum())} of {len(known)} examples are unlabelled (-1) and were left out."
    return select_rows(logits, known.nonzero()[:, 0]), labels[known], [note]
