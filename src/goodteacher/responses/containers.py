"""Responses and labels in memory: checked on construction, aligned by id."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from goodteacher.data import UNLABELLED
from goodteacher.errors import DataError, InputError, ResponseError
from goodteacher.maths.rows import (
    LazyRows,
    Logits,
    count_unusable,
    in_chunks,
    in_memory,
    select_rows,
)

_SHOWN = 5


@dataclasses.dataclass(frozen=True, eq=False)
class Response:
    """A teacher's logits for a set of examples.

    Attributes:
        logits: ``[num_examples, num_classes]``, float32, at least two classes. ``-inf`` is
            probability 0; every row has a finite logit. A large response stays in its file: its
            logits are then :class:`~goodteacher.maths.rows.LazyRows`, of which ``logits[rows]``
            gives some and :meth:`in_memory` all.
        ids: ``[num_examples]``, int64, unique: the example of each row.
        has_ids: False where the file named no ids and these are row numbers.
        class_names: What the columns are called, in their order; empty where they have no names.
        labels: Labels that stood beside the response, int64 ``[num_examples]``, or None.
        notes: What the user should know of how the response was read.

    Raises:
        ResponseError: A shape, type or value breaks these rules.

    Example:
        >>> response = Response(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([7, 3]))
        >>> response.aligned_to(torch.tensor([3, 7]))
        tensor([[0., 1.],
                [2., 0.]])
    """

    logits: Logits
    ids: Tensor
    has_ids: bool = True
    class_names: tuple[str, ...] = ()
    labels: Tensor | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_logits(self.logits)
        if isinstance(self.logits, LazyRows):  # which need not be looked through again
            object.__setattr__(self, "logits", dataclasses.replace(self.logits, usable=True))
        check_ids(self.ids, len(self.logits), "logits", ResponseError)
        if self.class_names and len(self.class_names) != self.num_classes:
            raise ResponseError(
                f"{len(self.class_names)} classes are named, but the response has "
                f"{self.num_classes}. Give one name for each column, in the order of the columns."
            )

    def arrays(self) -> dict[str, Logits]:
        """Return what is written of it: logits, and ids where it has some."""
        found: dict[str, Logits] = {"logits": self.logits}
        return {**found, "ids": self.ids} if self.has_ids else found

    @property
    def num_examples(self) -> int:
        """Number of examples."""
        return self.logits.shape[0]

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return self.logits.shape[1]

    @property
    def is_one_hot(self) -> bool:
        """Whether every row is a hard label: certain to 1e-6, and all other classes alike.

        Such a response has no similarity information at any temperature.
        """
        return bool(in_chunks(self.logits, _hard).all())

    def in_memory(self) -> Tensor:
        """Return all logits, float32 ``[num_examples, num_classes]``."""
        return in_memory(self.logits)

    def aligned_to(self, ids: Tensor) -> Logits:
        """Give the logits of the examples ``ids``, in that order.

        Args:
            ids: ``[n]``, integers, unique; examples of the response beyond these are left out.

        Returns:
            ``[n, num_classes]``. No copy where ``ids`` equals the response's own, or where the
            response stays in its file.

        Raises:
            ResponseError: An id is asked for twice, or the response has no row for it.
        """
        wanted = ids.to(torch.int64)
        if torch.equal(wanted, self.ids):
            return self.logits
        _refuse_duplicates(wanted, "The ids to align to", ResponseError)
        ordered, rows = self.ids.sort()
        places = torch.searchsorted(ordered, wanted).clamp(max=len(ordered) - 1)
        missing = wanted[ordered[places] != wanted]
        if len(missing):
            raise ResponseError(
                f"The response has no row for {len(missing)} of {len(wanted)} examples: ids "
                f"{_first(missing)}. It covers {self.num_examples} examples with ids from "
                f"{ordered[0]} to {ordered[-1]}"
                + ("" if self.has_ids else ", which are row numbers, since it came without ids")
                + ". Was it computed on another split? Compute the response for these examples."
            )
        return select_rows(self.logits, rows[places])


@dataclasses.dataclass(frozen=True, eq=False)
class Labels:
    """The true classes of a set of examples.

    Attributes:
        labels: ``[num_examples]``, int64, from 0; -1 is unlabelled.
        ids: ``[num_examples]``, int64, unique: the example of each label.
        has_ids: False where the file named no ids and these are row numbers.
        class_names: Where the file named classes instead of numbering them, the name of each
            number; empty otherwise.

    Raises:
        DataError: A shape, type or value breaks these rules.

    Example:
        >>> Labels(torch.tensor([2, 0, 1]), torch.arange(3)).labels
        tensor([2, 0, 1])
    """

    labels: Tensor
    ids: Tensor
    has_ids: bool = True
    class_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.labels.dtype != torch.int64 or self.labels.ndim != 1 or not len(self.labels):
            raise DataError(
                f"Labels must be a non-empty int64 vector, but are {self.labels.dtype} of shape "
                f"{list(self.labels.shape)}. Give class numbers, one for each example."
            )
        if self.labels.min() < UNLABELLED:
            raise DataError(
                f"Labels must be class numbers from 0, but the smallest is {self.labels.min()}. "
                "Only -1 is allowed, for an example without a label."
            )
        check_ids(self.ids, len(self.labels), "labels", DataError)


# --- checks ------------------------------------------------------------------------------------


def _hard(logits: Tensor) -> Tensor:
    top = logits.max(dim=1, keepdim=True)
    others = torch.scatter(logits, 1, top.indices, logits.amin(1, keepdim=True))
    alike = others.amax(1) == others.amin(1)
    return alike & (logits.double().softmax(1).amax(1) > 1 - 1e-6)


def _check_logits(logits: Logits) -> None:
    if len(logits.shape) != 2 or (isinstance(logits, Tensor) and logits.dtype != torch.float32):
        raise ResponseError(
            f"A response must be float32 of shape [num_examples, num_classes], but is "
            f"{logits.dtype} of shape {list(logits.shape)}."
        )
    if logits.shape[0] < 1 or logits.shape[1] < 2:
        raise ResponseError(
            "A response needs at least 1 example and 2 classes, but has shape "
            f"{list(logits.shape)}. If the teacher gives one logit for each example, give both "
            "classes: [0, logit]."
        )
    bad = count_unusable(logits)
    if bad:
        raise ResponseError(
            f"{bad} of {len(logits)} rows of the response contain NaN or infinity (only -inf is "
            "allowed, as probability 0, if another class of the row is finite). Did the teacher "
            "diverge, or did it run in half precision? Compute its logits again in float32."
        )


def check_ids(ids: Tensor, length: int, what: str, error: type[InputError]) -> None:
    """Refuse ids that are not one unique int64 number for each of ``length`` rows."""
    if ids.dtype != torch.int64 or list(ids.shape) != [length]:
        raise error(
            f"There must be one int64 id for each of the {length} rows of {what}, but are "
            f"{ids.dtype} of shape {list(ids.shape)}."
        )
    _refuse_duplicates(ids, f"The ids of {what}", error)


def _refuse_duplicates(ids: Tensor, what: str, error: type[InputError]) -> None:
    values, counts = np.unique(ids.cpu().numpy(), return_counts=True)
    doubled = values[counts > 1]
    if len(doubled):
        raise error(
            f"{what} must be unique, but {len(doubled)} appear more than once: {_first(doubled)}. "
            "Were several splits or views joined? Keep one row for each example."
        )


def _first(ids: Iterable[int] | Tensor) -> str:
    numbers = [int(value) for value in ids]
    return ", ".join(map(str, numbers[:_SHOWN])) + (", ..." if len(numbers) > _SHOWN else "")
