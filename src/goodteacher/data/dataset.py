"""A data set: splits of one table of examples, checked at the door.

Images stay ``uint8`` (a quarter of the memory of ``float32``) and are normalised when a batch is
used; other numbers stay ``float32`` or whole; texts stay texts, and what lies in a file that is
larger than memory stays there: what becomes of any of them is a network's affair.
Everything that would spoil a study silently - a missing class, a
NaN, a label that is out of range - is refused here, before any training, so that code in the layers
above may rely on it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from goodteacher.config import check_name
from goodteacher.data.inputs import (
    InMemory,
    Inputs,
    Text,
    are_inputs,
    as_inputs,
    as_tensor,
)
from goodteacher.data.listing import shorten
from goodteacher.data.notes import Note
from goodteacher.data.spec import InputSpec
from goodteacher.data.texts import TextColumns, Texts, as_text_inputs
from goodteacher.errors import DataError
from goodteacher.maths._checks import UNLABELLED


@dataclass(frozen=True, eq=False)
class Split:
    """Hold the examples of one split, row by row.

    Attributes:
        stored: the examples, as they are stored; a tensor stands for itself, a dictionary of
            tensors or arrays for fields.
        labels: class numbers, ``int64 [num_examples]``; -1 marks an unlabelled example.
        ids: the name of every example within its split, ``int64 [num_examples]``, unique: its row
            number in the source, unless the source names ids. Responses are aligned by it.

    Raises:
        DataError: The split is empty, a tensor has another type or shape, or an id comes twice.

    Example:
        >>> split = Split.from_arrays([[0.0, 1.0], [2.0, 3.0]], [1, 0])
        >>> len(split), split.subset([1]).ids.tolist()
        (2, [1])
    """

    stored: Inputs
    labels: Tensor
    ids: Tensor

    def __post_init__(self) -> None:
        object.__setattr__(self, "stored", as_inputs(self.stored))
        self.stored.check()
        _check_integer_vector(self.labels, "labels", len(self.stored))
        _check_integer_vector(self.ids, "ids", len(self.stored))
        _check_unique(self.ids)

    @classmethod
    def from_arrays(cls, inputs: Any, labels: Any, ids: Any = None) -> Split:
        """Build a split from anything that NumPy or torch reads as arrays.

        ``uint8`` with four axes are images. All else are numbers of any shape: fractions are kept
        as ``float32``, whole numbers as they are, and a memory-mapped array in its file. A
        dictionary of arrays gives each example several inputs by name. Labels may be any integer
        type, also as a column ``[num_examples, 1]``.

        Args:
            inputs: ``[num_examples, channels, height, width]``, ``[num_examples, ...]``, or a
                dictionary of such.
            labels: ``[num_examples]``, integers.
            ids: ``[num_examples]``, unique integers; row numbers when omitted.

        Raises:
            DataError: See `Split`; also for labels or ids that are not integers.

        Example:
            >>> Split.from_arrays(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), [0, 1]).inputs.shape
            torch.Size([2, 1, 8, 8])
        """
        readable = are_inputs(inputs) or isinstance(inputs, Mapping | Tensor | np.ndarray)
        stored = as_inputs(inputs if readable else as_tensor(inputs, "inputs"))
        rows = torch.arange(len(stored)) if ids is None else _as_int64(ids, "ids")
        return cls(stored, _as_int64(labels, "labels"), rows)

    @classmethod
    def from_texts(cls, texts: Any, labels: Any, ids: Any = None) -> Split:
        """Build a split of texts.

        Args:
            texts: ``[num_examples]``, strings; they may be empty. Several texts of each example are
                tuples of strings, or a dictionary with a list for each column.
            labels: ``[num_examples]``, integers.
            ids: ``[num_examples]``, unique integers; row numbers when omitted.

        Raises:
            DataError: See `Split`; also for texts that are not strings.

        Example:
            >>> split = Split.from_texts(["where is my card", "top up failed"], [0, 1])
            >>> split.subset([1]).texts
            ('top up failed',)
        """
        return cls.from_arrays(as_text_inputs(texts), labels, ids)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def inputs(self) -> Tensor:
        """The tensor of all examples, where one is in memory.

        Raises:
            DataError: They are texts, fields or in a file.
        """
        if not isinstance(self.stored, InMemory):
            raise DataError(
                f"The examples are {self.stored.spec}, which are not one tensor in memory. Use "
                "split.stored.rows(positions) for some of them, or split.stored.chunks() for all."
            )
        return self.stored.tensor

    @property
    def texts(self) -> tuple[Text, ...] | None:
        """The texts that the examples are, a tuple each where they have several; or None."""
        return self.stored.texts if isinstance(self.stored, Texts | TextColumns) else None

    @property
    def text_columns(self) -> dict[str, tuple[str, ...]]:
        """The texts by the name of their column, which is empty where there is one alone."""
        if isinstance(self.stored, TextColumns):
            return dict(self.stored.columns)
        return {"": self.stored.texts} if isinstance(self.stored, Texts) else {}

    def subset(self, indices: Tensor | Sequence[int]) -> Split:
        """Return the examples at ``indices`` (row positions, not ids), in that order.

        Args:
            indices: ``[num_chosen]``, each in ``0..len(self) - 1``, none twice.

        Raises:
            DataError: ``indices`` is empty or names a row twice.
        """
        rows = torch.as_tensor(indices, dtype=torch.int64)
        return Split(self.stored.subset(rows), self.labels[rows], self.ids[rows])


@dataclass(frozen=True, eq=False)
class Dataset:
    """Hold a classification data set: a training split, a test split and the names of the classes.

    Attributes:
        name: how the user knows it; no part of its identity.
        train: what teachers and students learn from; may contain unlabelled examples (-1), or
            nothing else.
        test: what the final evaluation uses, once; every example is labelled.
        class_names: the name of class ``c`` at position ``c``; unique.
        validation: what every choice is made on, each example labelled, or None: then it is carved
            from ``train``. Its ids differ from those of ``train``, so that one response may cover
            both.
        feature_names: the names of the features, for messages, or nothing.
        notes: what reading the source had to tell.

    Raises:
        DataError: There is only one class, a label is out of range, an input is NaN or infinite,
            the splits have different input shapes, an id of ``train`` is one of ``validation`` too,
            or a class has no example in ``train`` although others have.

    Example:
        >>> def split():
        ...     return Split.from_arrays([[0.0], [1.0]], [0, 1])
        >>> data = Dataset("tiny", split(), split(), ("cat", "dog"))
        >>> data.num_classes, data.input_shape, data.is_image
        (2, (1,), False)
    """

    name: str
    train: Split
    test: Split
    class_names: tuple[str, ...]
    validation: Split | None = None
    feature_names: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()

    def __post_init__(self) -> None:
        _check_class_names(self.class_names)
        for split_name, split in self.splits.items():
            _check_same_inputs(self.train, split, split_name)
            _check_finite(split, split_name, self.feature_names)
            lowest = UNLABELLED if split_name == "train" else 0
            _check_label_range(split, split_name, lowest, self.num_classes)
        _check_classes_present(self.train, self.class_names)
        if self.validation is not None:
            _check_own_ids(self.train, self.validation)

    @property
    def splits(self) -> dict[str, Split]:
        """Every split by its name: train, validation where there is one, test."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: split for name, split in named.items() if split is not None}

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def spec(self) -> InputSpec:
        """What one example is, with the names of the columns of a table of numbers."""
        spec, names = self.train.stored.spec, self.feature_names
        if spec.kind != "numbers" or spec.shape != (len(names),) or len({*names}) < len(names):
            return spec
        return spec.model_copy(update={"columns": names})

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example: ``(channels, height, width)`` or ``(num_features,)``.

        Texts and examples of several fields have none.
        """
        return self.spec.shape

    @property
    def is_image(self) -> bool:
        """Whether the inputs are images."""
        return self.spec.kind == "images"

    @property
    def is_text(self) -> bool:
        """Whether the inputs are texts."""
        return self.spec.kind == "texts"

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 (hexadecimal) of contents, shapes, labels, ids and class names.

        The name does not enter: the same data under another name is the same data.
        """
        digest = hashlib.sha256()
        for split in self.splits.values():
            split.stored.digest_into(digest)
            for tensor in (split.labels, split.ids):
                digest.update(f"{tensor.dtype}{tuple(tensor.shape)};".encode())
                digest.update(np.ascontiguousarray(tensor.numpy()).data)
        # repr() quotes each name, so that ("a", "b") and ("a, b",) differ
        digest.update(repr(self.class_names).encode())
        return digest.hexdigest()


def _as_int64(values: Any, role: str) -> Tensor:
    tensor = as_tensor(values, role)
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        raise DataError(
            f"{role} must be integers, but their type is {tensor.dtype}. Are they a column of a "
            "table of floats, or probabilities? Convert them, for example with "
            f"{role}.astype('int64')."
        )
    if tensor.ndim == 2 and tensor.shape[1] == 1:
        tensor = tensor[:, 0]
    return tensor.to(torch.int64)


def _check_integer_vector(values: Tensor, role: str, num_examples: int) -> None:
    if values.dtype != torch.int64:
        raise DataError(
            f"{role} must be an int64 tensor, but their type is {values.dtype}. Split.from_arrays "
            "converts other integer types."
        )
    if tuple(values.shape) != (num_examples,):
        raise DataError(
            f"{role} must have shape [{num_examples}], with one number for each of the "
            f"{num_examples} inputs, but have {list(values.shape)}. Do inputs and {role} come "
            f"from different files, or are {role} one-hot? Give one integer for each example."
        )


def _check_unique(ids: Tensor) -> None:
    unique, counts = torch.unique(ids, return_counts=True)
    if len(unique) < len(ids):
        repeated = unique[counts > 1].tolist()
        raise DataError(
            f"ids must be unique within a split, but {len(repeated)} of them appear more than "
            f"once ({shorten(repeated)}). Were files concatenated, or rows drawn with "
            "replacement? Responses are aligned by id, so give each row its own id, or leave the "
            "ids out."
        )


def _check_class_names(class_names: tuple[str, ...]) -> None:
    for name in class_names:
        check_name(name, "A class", DataError)
    if len(class_names) < 2:
        raise DataError(
            f"A data set needs at least two classes, but has {len(class_names)}"
            f" ({shorten(class_names) or 'none'}). Is the label column the right one, or was the"
            " data filtered by class?"
        )
    repeated = sorted(name for name, count in Counter(class_names).items() if count > 1)
    if repeated:
        raise DataError(
            f"Class names must be unique, but these appear more than once: {shorten(repeated)}. A "
            "name identifies an output of the network. Rename the classes."
        )


def _check_same_inputs(train: Split, other: Split, name: str) -> None:
    ours, theirs = train.stored.spec, other.stored.spec
    if ours.is_like(theirs):
        return
    if _kind_of(ours) != _kind_of(theirs):
        raise DataError(
            f"The inputs of all splits must have the same type, but those of train are {ours} and "
            f"those of {name} {theirs}. Were they prepared by different programs? Give the same "
            "type in both."
        )
    raise DataError(
        "The inputs of all splits must have the same shape, but those of train are "
        f"{_shape(ours)} and those of {name} {_shape(theirs)}. Were they prepared by different "
        "programs? For images of different sizes, set resize=(height, width)."
    )


def _kind_of(spec: InputSpec) -> object:
    return spec.kind, spec.fields.keys(), spec.columns


def _shape(spec: InputSpec) -> str:
    return str(spec) if spec.kind == "fields" else str(list(spec.shape))


def _check_finite(split: Split, split_name: str, feature_names: Sequence[str]) -> None:
    """Refuse NaN and infinity, and tell where they are."""
    if split.stored.spec.kind in ("images", "integers", "texts", "rows"):
        return  # none of them can hold either (rows have checked), and reading all takes long
    bad_rows = torch.zeros(len(split), dtype=torch.bool)
    columns: dict[str, int] = {}
    done = 0
    for chunk in split.stored.chunks():
        fields = chunk if isinstance(chunk, Mapping) else {"": chunk}
        for field, values in fields.items():
            if not isinstance(values, Tensor) or not values.is_floating_point():
                continue
            bad = ~torch.isfinite(values).flatten(1)
            bad_rows[done : done + len(values)] |= bad.any(dim=1)
            for position in bad.any(dim=0).nonzero()[:, 0].tolist():
                column = name_of(position, feature_names)
                column = f"{column} of {field!r}" if field else column
                columns[column] = columns.get(column, 0) + int(bad[:, position].sum())
        done += len(next(iter(fields.values())))
    if not columns:
        return
    told = [f"{column}: {count}" for column, count in columns.items()]
    raise DataError(
        f"Inputs must be finite, but {int(bad_rows.sum())} of {len(split)} examples of the"
        f" {split_name} split hold NaN or infinity"
        f" (ids {shorten(split.ids[bad_rows].tolist())}; {shorten(told)})."
        " Are values missing, or is a number too large for float32? Fill in these values, drop"
        " these rows, or leave the columns out."
    )


def name_of(position: int, feature_names: Sequence[str]) -> str:
    """Name a feature for a message.

    Example:
        >>> name_of(1, ["height", "weight"]), name_of(1, [])
        ("column 'weight'", 'feature 1')
    """
    return f"column {feature_names[position]!r}" if feature_names else f"feature {position}"


def _check_label_range(split: Split, split_name: str, lowest: int, num_classes: int) -> None:
    bad_rows = (split.labels < lowest) | (split.labels >= num_classes)
    if not bad_rows.any():
        return
    unlabelled = "" if lowest == 0 else " (or -1, unlabelled)"
    hint = (
        f"Examples of the {split_name} split must be labelled. If this source hides its labels, "
        "choose a split that has labels, for example --test-split validation, or give a single "
        "table or .npz with the labelled examples only."
        if bool((split.labels[bad_rows] == UNLABELLED).all())
        else "Are labels numbered from 1, or do the class names belong to other data? Correct the"
        " labels in the source."
    )
    raise DataError(
        f"Labels must be in 0..{num_classes - 1}{unlabelled} for {num_classes} classes, but"
        f" {int(bad_rows.sum())} of {len(split)} in the {split_name} split are not"
        f" (values {shorten(torch.unique(split.labels[bad_rows]).tolist())};"
        f" ids {shorten(split.ids[bad_rows].tolist())}). {hint}"
    )


def missing_classes(split: Split, class_names: Sequence[str]) -> list[str]:
    """Return the names of the classes that have no labelled example in a split."""
    labels = split.labels[split.labels >= 0]
    counts = torch.bincount(labels, minlength=len(class_names)).tolist()
    return [name for name, count in zip(class_names, counts, strict=True) if count == 0]


def _check_classes_present(train: Split, class_names: tuple[str, ...]) -> None:
    missing = missing_classes(train, class_names)
    if missing and bool((train.labels >= 0).any()):
        raise DataError(
            f"Every class needs at least one training example, but {len(missing)} of "
            f"{len(class_names)} classes have none in the train split ({shorten(missing)}). Was "
            "the data split without stratification, do labels skip a number, or is it sorted by "
            "class and cut? Split the data again, stratified, or drop these classes."
        )


def _check_own_ids(train: Split, validation: Split) -> None:
    shared = train.ids[torch.isin(train.ids, validation.ids)].tolist()
    if shared:
        raise DataError(
            f"The ids of train and validation must differ, but {len(shared)} are in both "
            f"({shorten(shared)}). Responses are aligned by id, so each id must mean one example. "
            "Give the examples of validation ids that train does not have."
        )
