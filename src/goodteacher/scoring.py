"""Measuring any teacher's response: similarity information and calibration at several temperatures.

For responses that goodteacher did not make; trajectories are measured by the same function.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from goodteacher.calibration import optimal_temperature
from goodteacher.config import Frozen, PositiveFloats, parse
from goodteacher.errors import ResponseError
from goodteacher.measurement import measure
from goodteacher.responses import Labels, Response, read_labels, read_response
from goodteacher.results import Measurement


class _Settings(Frozen):
    temperatures: PositiveFloats


class Score(Frozen):
    """What a response says, at several temperatures."""

    num_examples: int
    num_classes: int
    optimal_temperature: float
    measurements: tuple[Measurement, ...]


def score(
    responses: str | Path | Response,
    *,
    labels: str | Path | Labels | Tensor,
    temperatures: object = (1.0, 2.0, 4.0, 8.0),
    probabilities: bool = False,
) -> Score:
    """Measure a response at several temperatures, and at the one that minimises its NLL.

    Args:
        responses: Raw logits: a file or a response.
        labels: The true classes of the same examples: a file, or int64 [N] in the same order.
        temperatures: Where to measure.
        probabilities: The file holds probabilities rather than logits.

    Raises:
        InputError: A file or value cannot be used.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[4.0, 2.0, 0.0], [0.0, 4.0, 2.0]])
        >>> found = score(Response(logits, torch.arange(2)), labels=torch.tensor([0, 1]))
        >>> {m.temperature: round(m.similarity, 4) for m in found.measurements}[1.0]
        0.0437
    """
    grid = parse(_Settings, temperatures=temperatures).temperatures
    response = responses if isinstance(responses, Response) else _read(responses, probabilities)
    known = _labels_for(response, labels)
    best = optimal_temperature(response.logits, known)
    return Score(
        num_examples=response.num_examples,
        num_classes=response.num_classes,
        optimal_temperature=best,
        measurements=tuple(
            measure(response.logits, known, split="given", temperature=temperature)
            for temperature in sorted({*grid, best})
        ),
    )


def _read(path: str | Path, probabilities: bool) -> Response:
    return read_response(path, probabilities=probabilities)


def _labels_for(response: Response, labels: str | Path | Labels | Tensor) -> Tensor:
    """Return the label of every row of the response, matched by id where both name ids."""
    if isinstance(labels, Tensor):
        labels = Labels(labels, response.ids)
    elif not isinstance(labels, Labels):
        labels = read_labels(labels)
    if len(labels.labels) != response.num_examples:
        raise ResponseError(
            f"The response has {response.num_examples} rows, but there are {len(labels.labels)} "
            "labels. Were they taken from another split?"
        )
    if not (response.has_ids and labels.has_ids):
        return labels.labels
    place = {int(number): row for row, number in enumerate(labels.ids.tolist())}
    missing = [number for number in response.ids.tolist() if number not in place]
    if missing:
        raise ResponseError(
            f"{len(missing)} examples of the response have no label, such as id {missing[0]}. "
            "Were the labels taken from another split?"
        )
    return labels.labels[[place[number] for number in response.ids.tolist()]]
