"""Examples of which nobody knows the class, and how they become data of a teacher's classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import train_test_split

from goodteacher.data import UNLABELLED, Dataset, Split, check_texts, is_table, load_dataset
from goodteacher.errors import ConfigError, DataError


def dataset_or_examples(data: Any, target: str | None) -> tuple[Dataset | None, Any]:
    """Return what is given as a data set, or as examples of which nobody knows the class.

    Args:
        data: A `Dataset`, what `load_dataset` understands, or examples; a data frame is a data set
            where ``target`` is named, else it is examples.
        target: The column of labels in a table; None finds it by its name.

    Returns:
        The data set and None, or None and the examples.

    Raises:
        ConfigError: There is a target, but what is given has no columns.
        InputError: See `load_dataset`.
    """
    of_labels = isinstance(data, str | Path | Dataset | Mapping)
    if not of_labels and target is None:
        return None, data
    if not of_labels and not is_table(data):
        raise ConfigError(
            f"target = {target!r} names a column of labels, but a {type(data).__name__} has no "
            "columns with names. Give a data frame or a table file, or leave target out; the "
            "examples then have no labels."
        )
    return load_dataset(data, target=target), None


def unlabelled(examples: Any) -> Split:
    """Return examples without labels: texts, in whatever holds them, or numbers."""
    if not hasattr(examples, "__len__"):
        raise DataError(
            f"Examples must be a list of texts or an array, but are a {type(examples).__name__}. "
            "Convert them with list(...)."
        )
    unknown = np.full(len(examples), UNLABELLED)
    if _are_texts(examples):
        texts = examples.tolist() if hasattr(examples, "tolist") else list(examples)
        if isinstance(texts[0], str):
            check_texts(texts)
        return Split.from_texts(texts, unknown)
    as_array = examples if isinstance(examples, torch.Tensor) else np.asarray(examples)
    return Split.from_arrays(as_array, unknown)


def _are_texts(examples: Any) -> bool:
    """Say whether examples are texts; files and bytes, which no student reads, are refused."""
    first = None if hasattr(examples, "columns") else next(iter(examples), None)
    if isinstance(first, bytes | PurePath):
        what = "bytes" if isinstance(first, bytes) else "paths"
        raise DataError(
            f"The examples are {what}, which a teacher may accept but a student does not. Pass "
            "them as teacher_inputs=, and as examples give the inputs of the student: texts or "
            "an array. (bytes.decode('latin-1') converts bytes to a text with one character for "
            "each byte.)"
        )
    return isinstance(first, str) or (isinstance(first, tuple) and isinstance(first[0], str))


def divided_at_random(
    labelled: Split, names: Sequence[str], name: str, fractions: tuple[float, float], seed: int
) -> Dataset:
    """Divide examples into those to learn from, those of choices and those of the test."""
    labels = labelled.labels.numpy()
    try:
        rest, test = train_test_split(
            np.arange(len(labels)), test_size=fractions[0], stratify=labels, random_state=seed
        )
        train, selection = train_test_split(
            rest, test_size=fractions[1], stratify=labels[rest], random_state=seed
        )
    except ValueError as error:
        raise DataError(
            f"{len(labels)} examples of {len(names)} classes are too few to divide into training, "
            f"selection and test split ({error}). Give more examples."
        ) from error
    parts = (labelled.subset(torch.from_numpy(np.sort(part))) for part in (train, test, selection))
    train_split, test_split, selection_split = parts
    return Dataset(name, train_split, test_split, tuple(names), selection_split)
