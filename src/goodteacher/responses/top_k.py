"""Responses of which a file holds the k largest classes of each example, and what the others share.

Of each example are stored the k most probable classes, their log-probabilities at T = 1, and one
number for all other classes. These share evenly what they have. With k = 32 a response of 1,000
classes takes a tenth of its room in float16. Which of the others are alike is lost.

An even spread keeps the others' probability at one temperature: softened further, evenly spread
classes have more of it than others. So the spread is fitted at the temperature at which students
learn (``temperature``), where the k classes and the others together then have exactly the
probabilities that they had. What is lost is the divergence of the stored from the whole response,
``KL(p || stored)`` in nats per example, measured while writing at T = 1 and at that temperature; at
the latter it is what the others' probabilities say beyond an even spread, ``m * KL(q || u)``.

====================  ======================================================================
``top_classes``       [N, k], the classes from the most probable on, int32
``top_values``        [N, k], ``log p`` of each at T = 1, float16
``top_rest``          [N], ``log p`` of each other class at T = 1, float32
====================  ======================================================================
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from goodteacher.data import check_shape
from goodteacher.errors import ResponseError
from goodteacher.maths.rows import LazyRows, Logits, row_chunks
from goodteacher.responses.stored import is_large

Array = npt.NDArray[Any]

CLASSES, VALUES, REST, NUM_CLASSES = "top_classes", "top_values", "top_rest", "num_classes"


@dataclass(frozen=True)
class TopK:
    """The k largest classes of each example, and what was lost with the others.

    Attributes:
        arrays: What is stored, by name (see the module).
        num_classes: C.
        temperature: Where the others' share is exact.
        lost: ``KL(p || stored)`` at that temperature, mean over the examples, nats.
        lost_at_one: The same at T = 1.
    """

    arrays: Mapping[str, Tensor]
    num_classes: int
    temperature: float
    lost: float
    lost_at_one: float

    @property
    def logits(self) -> Logits:
        """The response as it is read back, [N, C]."""
        classes, values, rest = (self.arrays[name] for name in (CLASSES, VALUES, REST))
        rows = _rows(classes, values, rest, self.num_classes)
        return rows if is_large(*rows.shape) else rows.whole()

    @property
    def notes(self) -> dict[str, str]:
        """What the file's header says."""
        return {
            NUM_CLASSES: str(self.num_classes),
            "top_k": str(self.arrays[CLASSES].shape[1]),
            "temperature": f"{self.temperature:g}",
            "lost_nats": f"{self.lost:.6g}",
            "lost_nats_at_1": f"{self.lost_at_one:.6g}",
        }


def top_k(logits: Logits, k: int, *, temperature: float = 1.0) -> TopK:
    """Keep the k most probable classes of each example, and what the others share.

    Args:
        logits: The response, [N, C].
        k: Classes kept, 1 to C - 1.
        temperature: At which the others' share is kept, where students learn.

    Raises:
        ResponseError: k or the temperature is out of range.

    Example:
        >>> kept = top_k(torch.tensor([[0.6, 0.3, 0.1, 0.0]]).log(), 2)
        >>> round(kept.lost, 4)  # 0.1 * log(2): which of two classes had the rest
        0.0693
    """
    count, num_classes = logits.shape
    if not 1 <= k < num_classes:
        raise ResponseError(
            f"top_k must be in 1..{num_classes - 1} for {num_classes} classes, but is {k}. Leave "
            "it out to keep all classes."
        )
    if not (temperature > 0 and math.isfinite(temperature)):
        raise ResponseError(f"temperature must be positive and finite, but is {temperature}.")
    kept = {
        CLASSES: torch.empty(count, k, dtype=torch.int32),
        VALUES: torch.empty(count, k, dtype=torch.float16),
        REST: torch.empty(count),
    }
    lost = torch.zeros(2, dtype=torch.float64)
    for rows in row_chunks(count, num_classes):
        log_probs = logits[rows].cpu().double().log_softmax(1)
        some = _kept(log_probs, k, temperature)
        for array, part in zip(kept.values(), some, strict=True):
            array[rows] = part
        stored = _spread(*some, num_classes).double()
        lost += torch.stack([_divergence(log_probs, stored, t) for t in (temperature, 1.0)])
    there, at_one = (lost / count).tolist()
    return TopK(kept, num_classes, float(temperature), there, at_one)


def _kept(log_probs: Tensor, k: int, temperature: float) -> tuple[Tensor, Tensor, Tensor]:
    top = log_probs.topk(k, dim=1)
    others = log_probs.scatter(1, top.indices, -torch.inf)
    share = (others / temperature).logsumexp(1) - math.log(log_probs.shape[1] - k)
    # The rest is as precise as it can be: it stands for many classes.
    return top.indices.int(), top.values.half(), (temperature * share).float()


def _spread(classes: Tensor, values: Tensor, rest: Tensor, num_classes: int) -> Tensor:
    """Return logits [n, C] of what is stored."""
    whole = rest[:, None].expand(-1, num_classes).clone()
    return whole.scatter_(1, classes.long(), values.float())


def _divergence(log_probs: Tensor, stored: Tensor, temperature: float) -> Tensor:
    p, s = ((each / temperature).log_softmax(1) for each in (log_probs, stored))
    lowest = torch.finfo(p.dtype).min
    return (p.exp() * (p.clamp_min(lowest) - s.clamp_min(lowest))).sum(1).clamp_min(0).sum()


def told_of(header: Mapping[str, str], what: str) -> str:
    """Return what a reader should know of such a file, as its header says."""
    kept, temperature = header.get("top_k", "some"), header.get("temperature", "?")
    lost = header.get("lost_nats", "an unknown number of")
    return (
        f"{what} keeps the {kept} most probable of {header.get(NUM_CLASSES, '?')} classes of each "
        "example; the other classes share the rest of the probability evenly at T = "
        f"{temperature}. This loses {lost} nats per example at that temperature, and "
        f"{header.get('lost_nats_at_1', lost)} at T = 1."
    )


def is_top_k(arrays: Mapping[str, Array]) -> bool:
    """Say whether a file holds such a response."""
    return CLASSES in arrays


def read_top_k(arrays: Mapping[str, Array], num_classes: str | None, what: str) -> LazyRows:
    """Return the rows of a stored response, the others' share spread evenly.

    Args:
        arrays: What the file holds.
        num_classes: C, as the header says.
        what: The file, for messages.

    Raises:
        ResponseError: An array or the number of classes is missing, or they do not fit.
    """
    missing = [name for name in (VALUES, REST) if name not in arrays]
    if missing or num_classes is None or not num_classes.isdigit():
        lacks = ", ".join(missing) or f"{NUM_CLASSES} in its header"
        raise ResponseError(
            f"{what} holds {CLASSES!r}, but not {lacks}. Is the file incomplete, or was it edited?"
        )
    classes, values, rest = (torch.from_numpy(arrays[name]) for name in (CLASSES, VALUES, REST))
    width = int(num_classes)
    check_shape((width, 8), 8, f"One row of {what}, of {width} classes,", error=ResponseError)
    fits = classes.ndim == 2 and classes.shape == values.shape
    if not fits or rest.shape != classes.shape[:1] or not 1 <= classes.shape[1] < width:
        raise ResponseError(
            f"{what}: {CLASSES} {list(classes.shape)}, {VALUES} {list(values.shape)}, {REST} "
            f"{list(rest.shape)} and {width} classes do not fit. Write the response again."
        )
    if int(classes.min()) < 0 or int(classes.max()) >= width:
        raise ResponseError(
            f"{what} has a class outside 0..{width - 1} in {CLASSES}. Write the response again."
        )
    return _rows(classes, values, rest, width)


def _rows(classes: Tensor, values: Tensor, rest: Tensor, num_classes: int) -> LazyRows:
    shape = (len(classes), num_classes)
    return LazyRows(shape, lambda i: _spread(classes[i], values[i], rest[i], num_classes))
