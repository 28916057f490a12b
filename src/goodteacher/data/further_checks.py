"""What the doctor looks for in columns, names and texts, and in a validation split.

As in :mod:`goodteacher.data.doctor`, each check is a function that yields findings; thresholds are
ours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.tree import DecisionTreeClassifier

from goodteacher.data.dataset import Split, missing_classes, name_of
from goodteacher.data.labels import folded
from goodteacher.data.listing import shorten
from goodteacher.data.odd_columns import numbers_rows
from goodteacher.data.patient import Finding, Patient, group_rows, ids_of, numbers_of
from goodteacher.data.terms import (
    frequent_terms,
    terms_of_columns,
    unknown_terms_note,
    unknown_texts,
)
from goodteacher.errors import DataError

_TELLS_ALL = 0.995  # test accuracy of one feature alone that is too good to be a measurement
_COMMONEST = 0.95  # share of the commonest class above which that says little
_MANY_UNKNOWN = 0.05  # share of texts without a known term above which it is a warning
_MOST_UNKNOWN = 0.5  # ... and an error
_MOST_FEATURES = 500  # columns that are looked at one by one
_MOST_ROWS = 20_000


def _check_notes(patient: Patient) -> Iterator[Finding]:
    """Repeat what reading the source had to tell."""
    for note in patient.dataset.notes:
        yield Finding("warning", note.code, note.message)


def _check_missing_classes(patient: Patient) -> Iterator[Finding]:
    for name, split in patient.dataset.splits.items():
        missing = missing_classes(split, patient.class_names)
        if missing and name != "train":
            yield Finding(
                "warning",
                "missing_class",
                f"The {name} split has no example of {len(missing)} of {len(patient.class_names)} "
                f"classes ({shorten(missing)}), so accuracy on it does not include them.",
            )


def _check_selectable(patient: Patient) -> Iterator[Finding]:
    if not patient.labelled and patient.dataset.validation is None:
        yield Finding(
            "error",
            "no_labels",
            "Every choice is made on labelled examples, but no training example has a label and "
            "there is no validation split. Label some of them, or add a labelled split called "
            "validation.",
        )


def _check_label_variants(patient: Patient) -> Iterator[Finding]:
    twins: dict[str, list[str]] = defaultdict(list)
    for name in patient.class_names:
        twins[folded(name)].append(name)
    several = [" = ".join(map(repr, names)) for names in twins.values() if len(names) > 1]
    if several:
        yield Finding(
            "warning",
            "label_variants",
            f"Some class names differ only in case or spaces ({shorten(several)}). Are they the "
            "same class, written in several ways? Then use one spelling.",
        )


_MOST_CLASSES = 300
"""Classes beyond which no tree is grown for one feature: its time grows with their square."""


def _check_single_features(patient: Patient) -> Iterator[Finding]:
    """Find features that number the rows, or tell the class alone."""
    if not ((patient.features or patient.dataset.spec.words) and patient.labelled):
        return
    train, test = patient.train, patient.test
    known = (train.labels >= 0).numpy()
    labels = train.labels.numpy()[known][:_MOST_ROWS]
    inputs, tested = _columns(train), _columns(test)
    if np.bincount(labels).max() > _COMMONEST * len(labels):
        return  # whoever names the commonest class is right as often
    telling, numbering = [], []
    for column in range(inputs.shape[1]):
        values = inputs[:, column].astype(np.float64)
        name = name_of(column, patient.dataset.feature_names)
        is_word = name.removeprefix("column ").strip("'") in patient.dataset.spec.words
        if not is_word and numbers_rows(values, [tested[:, column].astype(np.float64)]):
            numbering.append(name)
            continue
        if len(patient.class_names) > _MOST_CLASSES:
            continue
        tree = DecisionTreeClassifier(max_leaf_nodes=2 * len(patient.class_names), random_state=0)
        tree.fit(values[known][: len(labels), None], labels)
        score = tree.score(tested[:, [column]], test.labels.numpy())
        if score >= _TELLS_ALL:
            telling.append(f"{name}: {100 * score:.1f} %")
    if numbering:
        yield Finding(
            "error",
            "row_numbers",
            f"{shorten(numbering)} of the inputs contains row numbers, which reveal the class if "
            "the data are sorted by class. Leave it out.",
        )
    if telling:
        yield Finding(
            "warning",
            "tells_the_class",
            f"A single input predicts the class of nearly every test example ({shorten(telling)} "
            "with a few thresholds). Is it the label in another form, or something that is known "
            "only after the label? If so, leave it out.",
        )


def _columns(split: Split) -> npt.NDArray[Any]:
    """Return the first columns of a split's numbers, [N, at most _MOST_FEATURES]."""
    return torch.cat([rows[:, :_MOST_FEATURES] for rows in numbers_of(split)]).numpy()


def _check_unknown_terms(patient: Patient) -> Iterator[Finding]:
    columns, labels = patient.train.text_columns, patient.train.labels.numpy()
    if not columns:
        return
    try:
        terms = (
            {name: frequent_terms(texts, labels=labels) for name, texts in columns.items()}
            if len(columns) == 1
            else terms_of_columns(columns, labels=labels)
        )
    except DataError as error:
        yield Finding("error", "unknown_terms", str(error))
        return
    for name, split in patient.dataset.splits.items():
        asked = {} if name == "train" else split.text_columns
        found = [
            unknown_texts(texts, terms[column].names, terms[column].analyzer)
            for column, texts in asked.items()
        ]
        unknown = int(np.all(found, axis=0).sum()) if found else 0
        if unknown:
            share = unknown / len(split)
            yield Finding(
                "error"
                if share > _MOST_UNKNOWN
                else "warning"
                if share > _MANY_UNKNOWN
                else "info",
                "unknown_terms",
                unknown_terms_note(unknown, len(split), name),
            )


def _check_validation(patient: Patient) -> Iterator[Finding]:
    """Look for examples of the validation split in the others."""
    validation = patient.dataset.validation
    if validation is None:
        return
    groups = group_rows(validation)
    others = (
        ("train", patient.train, patient.train_groups),
        ("test", patient.test, patient.test_groups),
    )
    for name, split, own in others:
        shared = [key for key in groups if key in own]
        if shared:
            yield _leak(validation, groups, name, split, own, shared)


def _leak(
    validation: Split,
    groups: dict[bytes, list[int]],
    name: str,
    split: Split,
    own: dict[bytes, list[int]],
    shared: list[bytes],
) -> Finding:
    count = sum(len(groups[key]) for key in shared)
    pairs = [f"{ids_of(validation, groups[k])} as {ids_of(split, own[k])}" for k in shared]
    why = (
        "choices made on it reward memorising"
        if name == "train"
        else "the test split is not unseen"
    )
    return Finding(
        "warning",
        "validation_leakage",
        f"{count} of {len(validation)} validation examples ({count / len(validation):.1%}) are in"
        f" the {name} split too (validation id as {name} id: {shorten(pairs)}): {why}. Remove them"
        " from one of the two.",
    )


FURTHER_CHECKS: tuple[Callable[[Patient], Iterator[Finding]], ...] = (
    _check_notes,
    _check_selectable,
    _check_missing_classes,
    _check_label_variants,
    _check_single_features,
    _check_unknown_terms,
    _check_validation,
)
"""Every check of this module, in the order of the report."""
