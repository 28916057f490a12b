"""Look for what may spoil a study, before any training.

What makes a data set unusable is refused by `Dataset` itself; the doctor judges data that can be
used. Every check is a function that yields findings, and `CHECKS` lists them: a new check is one
more function. Thresholds are ours.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from goodteacher.data.bounds import check_shape
from goodteacher.data.dataset import Dataset, Split, name_of
from goodteacher.data.further_checks import FURTHER_CHECKS
from goodteacher.data.listing import shorten
from goodteacher.data.patient import Finding, Patient, ids_of, numbers_of
from goodteacher.data.row_checks import ROW_CHECKS
from goodteacher.errors import DataError
from goodteacher.maths.class_order import MOST_CLASSES, find_class_order

_TINY_CLASS = 10  # examples in the training split
_IMBALANCE = 3.0  # largest class over smallest
_LEAKAGE_ERROR = 0.1  # share of the test split
_SHARE_SHIFT = 0.1  # total variation distance between class shares
_DISAGREEMENT = 0.1  # share of test examples that two trained students typically decide differently
_COARSE_SELECTION = 0.01  # the same above which the choice of a sweet spot is called coarse
_COARSE_TEST = 0.02  # accuracy difference above which a test split is called small
_DISTANCES_AT_ONCE = 2**22  # of examples to the means of classes
_WIDE_SCALE = 1e4  # largest feature spread over smallest


def doctor(dataset: Dataset) -> list[Finding]:
    """Examine a data set.

    Args:
        dataset: what to examine; nothing is changed.

    Returns:
        Findings, errors first, then warnings, then infos; never empty, since the resolution of the
        test split is always told.

    Example:
        >>> split = Split.from_arrays([[0.0], [1.0]] * 10, [0, 1] * 10)
        >>> [finding.code for finding in doctor(Dataset("tiny", split, split, ("a", "b")))][:2]
        ['leakage', 'duplicates']
    """
    patient = Patient(dataset)
    findings = [finding for check in CHECKS for finding in check(patient)]
    order = ("error", "warning", "info")
    return sorted(findings, key=lambda finding: order.index(finding.severity))


def resolvable_difference(num_examples: int, *, disagreement: float = _DISAGREEMENT) -> float:
    """Return the smallest accuracy difference that a test split tells from zero.

        1.96 * sqrt(disagreement / num_examples)

    the half-width of the 95 % interval of a paired difference between two classifiers that decide a
    share ``disagreement`` of the examples differently (McNemar's variance at no difference).

    Args:
        num_examples: in the test split; at least 1.
        disagreement: share, in (0, 1]. The default of 0.1 is ours, as a rule of thumb.

    Returns:
        A share of examples: 0.01 is one point.

    Example:
        >>> round(resolvable_difference(10_000), 4)
        0.0062
    """
    return 1.96 * math.sqrt(disagreement / num_examples)


def selection_note(num_examples: int) -> str | None:
    """Say what a selection split cannot tell apart, if that is more than a point.

    Args:
        num_examples: in the selection split; at least 1.

    Example:
        >>> selection_note(6_000) is None
        True
    """
    difference = resolvable_difference(num_examples)
    if difference <= _COARSE_SELECTION:
        return None
    return (
        f"The selection split has {num_examples:,} examples, so two students must differ by about "
        f"{100 * difference:.1f} points before the difference is clear (95 %, for students that "
        f"differ on {_DISAGREEMENT:.0%} of the examples). The choice between candidates that are "
        "closer than this is chance, and more seeds do not change that. Increase "
        "selection_fraction to hold out more examples."
    )


def _check_balance(patient: Patient) -> Iterator[Finding]:
    counts = patient.train_counts
    smallest, largest = int(counts.argmin()), int(counts.argmax())
    ratio = int(counts[largest]) / max(int(counts[smallest]), 1)
    if patient.labelled and ratio > _IMBALANCE:
        yield Finding(
            "warning",
            "imbalance",
            f"The largest class ({patient.class_names[largest]!r}, {counts[largest]} examples) "
            f"has {ratio:.1f} times as many as the smallest ({patient.class_names[smallest]!r}, "
            f"{counts[smallest]}). Accuracy alone then hides how well small classes are "
            "predicted: look at the results of each class as well.",
        )


def _check_tiny_classes(patient: Patient) -> Iterator[Finding]:
    tiny = [
        f"{name}: {count}"
        for name, count in zip(patient.class_names, patient.train_counts.tolist(), strict=True)
        if count < _TINY_CLASS
    ]
    if tiny and patient.labelled:
        yield Finding(
            "warning",
            "tiny_class",
            f"{len(tiny)} of {len(patient.class_names)} classes have fewer than {_TINY_CLASS}"
            f" training examples ({shorten(tiny)}). The selection split needs one of each, and the"
            " similarity of such classes cannot be estimated. Add examples or merge classes.",
        )


def _check_shares(patient: Patient) -> Iterator[Finding]:
    if not patient.labelled:
        return
    shares = [counts / counts.sum() for counts in (patient.train_counts, patient.test_counts)]
    distance = float((shares[0] - shares[1]).abs().sum() / 2)
    # what sampling alone would give: the mean absolute deviation of each class's share
    variance = shares[0] * (1 - shares[0]) * (1 / len(patient.train) + 1 / len(patient.test))
    chance = float((variance.sqrt() * math.sqrt(2 / math.pi)).sum() / 2)
    if distance > _SHARE_SHIFT + 2 * chance:
        yield Finding(
            "warning",
            "class_shares",
            f"The classes have different shares in train and in test: {distance:.0%} of the "
            "examples would have to change class to make them equal. Was one of the splits "
            "filtered, or are its labels in another order? Choices made on the training data may "
            "not be right for the test data.",
        )


def _check_name_order(patient: Patient) -> Iterator[Finding]:
    names = patient.class_names
    found = [re.fullmatch(r"(\D*)(\d+)", name) for name in names]
    if not all(found) or len({match[1] for match in found if match}) > 1:
        return
    by_number = sorted(names, key=lambda name: int(name[len(found[0][1]) :]))  # type: ignore[index]
    if list(names) != by_number:
        position = next(p for p, name in enumerate(by_number) if name != names[p])
        yield Finding(
            "warning",
            "class_order",
            "The class names contain numbers but are not in the order of these numbers: label "
            f"{position} means class {names[position]!r}. They were probably sorted as text, as "
            "folder names are. A network that was trained elsewhere may number the classes "
            "differently. To avoid this, pad the numbers with zeros (01, 02, ..., 10).",
        )


def _check_class_means(patient: Patient) -> Iterator[Finding]:
    """Give each test example the class of the nearest training mean; does another order fit?"""
    if not (patient.numeric and patient.labelled):
        return
    names = patient.class_names
    if len(patient.test.labels.unique()) > MOST_CLASSES:
        return
    try:
        check_shape(
            (2 * len(names), math.prod(patient.dataset.spec.shape)),
            torch.float32.itemsize,
            f"The mean of each of {len(names)} classes",
        )
    except DataError as error:
        yield Finding("info", "class_means", f"Classes are not compared by their means. {error}")
        return
    order = find_class_order(_nearest_mean(patient), patient.test.labels, len(names))
    if order is not None:
        pairs = [
            f"test {names[c]!r} is like train {names[order.column_of[c]]!r}" for c in order.moved
        ]
        yield Finding(
            "error",
            "class_order",
            f"The inputs of {len(pairs)} of {len(names)} test classes are most similar to those "
            f"of another training class ({shorten(pairs)}): the nearest mean of the training "
            f"classes is right for {order.agreement:.0%} of the test examples, and for "
            f"{order.agreement_in_order:.0%} with the classes in that order. Are the classes "
            "numbered in another order in the two splits? Use the same order in both.",
        )


def _nearest_mean(patient: Patient) -> Tensor:
    """Return the training class whose mean is nearest to each test example, int64 [N]."""
    scale = torch.ones(1) if patient.dataset.is_image else _spread(patient.train)
    means = _class_means(patient.train, patient.train_counts) / scale
    rows = numbers_of(patient.test)
    few = max(1, _DISTANCES_AT_ONCE // len(means))
    parts = (part for each in rows for part in (each.float() / scale).split(few))
    return torch.cat([torch.cdist(part, means).argmin(dim=1) for part in parts])


def _spread(split: Split) -> Tensor:
    """Return each number's standard deviation, float32 [D]; 1 where it is 0."""
    sums = sum(rows.double().sum(0) for rows in numbers_of(split))
    mean = sums / len(split)
    squares = sum((rows.double() - mean).square().sum(0) for rows in numbers_of(split))
    deviation = torch.as_tensor(squares / len(split)).sqrt().float()
    return torch.where(deviation > 0, deviation, 1.0)


def _class_means(split: Split, counts: Tensor) -> Tensor:
    """Return ``float32 [num_classes, num_values]``, adding up a few thousand rows at a time."""
    sums: Tensor | None = None
    done = 0
    for rows in numbers_of(split):
        labels = split.labels[done : done + len(rows)]
        done += len(rows)
        known = labels >= 0
        if sums is None:
            sums = torch.zeros(len(counts), rows.shape[1])
        sums.index_add_(0, labels[known], rows[known].float())
    return torch.as_tensor(sums) / counts[:, None].clamp_min(1)


def _check_constant(patient: Patient) -> Iterator[Finding]:
    if len(patient.train_groups) == 1:
        yield Finding(
            "error",
            "constant_inputs",
            f"All {len(patient.train)} training inputs are identical, so there is nothing to "
            "learn from. Was the wrong column or folder read, or were values rounded away (0..1 "
            "stored as uint8)?",
        )
        return
    if not patient.numeric:
        return
    low, high = patient.ends
    same = low == high
    constant = int(same.sum())
    noun = "pixels" if patient.dataset.is_image else "features"
    if constant:
        rows = torch.nonzero(same).flatten().tolist() if patient.features else []
        named = ", ".join(name_of(row, patient.dataset.feature_names) for row in rows[:5])
        yield Finding(
            "info",
            "constant_inputs",
            f"{constant} of {len(same)} {noun} have the same value in all training examples, so "
            f"they contain no information{f' ({named})' if named else ''}.",
        )


def _check_value_range(patient: Patient) -> Iterator[Finding]:
    if not patient.dataset.is_image:
        return
    low, high = int(patient.ends[0].min()), int(patient.ends[1].max())
    if high <= 1:
        yield Finding(
            "warning",
            "value_range",
            f"Images use only the values {low}..{high} of 0..255. Were they scaled to 0..1 and "
            "then cut to integers, which loses all shades? If they are really black and white, "
            "this is fine; otherwise store (255 * images).round().",
        )
    elif high < 128:
        yield Finding(
            "info",
            "value_range",
            f"Images use only the values {low}..{high} of 0..255. Normalisation corrects this, "
            "but a network trained elsewhere expects the whole range.",
        )


def _check_empty_texts(patient: Patient) -> Iterator[Finding]:
    for name, split in (("training", patient.train), ("test", patient.test)):
        rows = enumerate(zip(*split.text_columns.values(), strict=True))
        empty = [row for row, texts in rows if not any(text.strip() for text in texts)]
        if empty:
            yield Finding(
                "warning",
                "empty_text",
                f"{len(empty)} of {len(split)} {name} texts are empty (ids "
                f"{shorten(split.ids[empty].tolist())}), so their class cannot be predicted. Were "
                "values missing in the source? Drop these rows.",
            )
        for column, texts in split.text_columns.items():
            count = sum(not text.strip() for text in texts)
            if column and count > len(empty):
                yield Finding(
                    "info",
                    "empty_text",
                    f"In column {column!r}, {count} of {len(split)} {name} texts are empty. These "
                    "examples differ only in their other columns.",
                )


def _check_feature_scales(patient: Patient) -> Iterator[Finding]:
    if not patient.features:
        return
    low, high = patient.ends
    spread = (high.double() - low.double())[high > low]
    if len(spread) and float(spread.max() / spread.min()) > _WIDE_SCALE:
        yield Finding(
            "info",
            "feature_scales",
            "The ranges of the features differ by a factor of up to "
            f"{float(spread.max() / spread.min()):.0e}. Keep normalization='auto', which corrects "
            "this.",
        )


def _check_duplicates(patient: Patient) -> Iterator[Finding]:
    repeats = [rows for rows in patient.train_groups.values() if len(rows) > 1]
    surplus = sum(len(rows) - 1 for rows in repeats)
    if surplus:
        share = surplus / len(patient.train)
        ids = [ids_of(patient.train, rows) for rows in repeats]
        yield Finding(
            "warning" if share > 0.01 else "info",
            "duplicates",
            f"{surplus} of {len(patient.train)} training examples ({share:.1%}) are exact copies "
            f"of others (ids {shorten(ids)}). If a copy is in the selection split, networks that "
            "memorise look better than they are. Remove copies if there are many.",
        )


def _check_leakage(patient: Patient) -> Iterator[Finding]:
    shared = [key for key in patient.test_groups if key in patient.train_groups]
    leaked = sum(len(patient.test_groups[key]) for key in shared)
    if leaked:
        share = leaked / len(patient.test)
        pairs = [
            f"{ids_of(patient.test, patient.test_groups[key])}"
            f" as {ids_of(patient.train, patient.train_groups[key])}"
            for key in shared
        ]
        yield Finding(
            "error" if share > _LEAKAGE_ERROR else "warning",
            "leakage",
            f"{leaked} of {len(patient.test)} test examples ({share:.1%}) are in the training "
            f"split too (test id as train id: {shorten(pairs)}). Test accuracy then rewards "
            "memorising. Remove them from the training data.",
        )


def _check_conflicts(patient: Patient) -> Iterator[Finding]:
    labels = patient.train.labels.tolist()
    conflicts = [
        rows
        for rows in patient.train_groups.values()
        if len({labels[row] for row in rows if labels[row] >= 0}) > 1
    ]
    if conflicts:
        ids = [ids_of(patient.train, rows) for rows in conflicts]
        yield Finding(
            "warning",
            "conflicting_labels",
            f"{len(conflicts)} training inputs have more than one label (ids {shorten(ids)}). No "
            "network can get both right. Is the labelling noisy? Keep one label, or drop these "
            "examples.",
        )


def _check_resolution(patient: Patient) -> Iterator[Finding]:
    difference = resolvable_difference(len(patient.test))
    coarse = difference > _COARSE_TEST
    advice = (
        " Smaller gains stay undecided. To decide them, hold out more test examples."
        if coarse
        else ""
    )
    yield Finding(
        "warning" if coarse else "info",
        "test_resolution",
        f"With {len(patient.test)} test examples, two students must differ by about "
        f"{100 * difference:.1f} points of accuracy before the difference is clear (95 %, for "
        f"students that differ on {_DISAGREEMENT:.0%} of the examples).{advice}",
    )


def _check_unlabelled(patient: Patient) -> Iterator[Finding]:
    unlabelled = int((patient.train.labels < 0).sum())
    if unlabelled:
        yield Finding(
            "info",
            "unlabelled",
            f"{unlabelled} of {len(patient.train)} training examples are unlabelled. They go to "
            "the transfer set, where students learn from the teacher's response alone.",
        )


CHECKS: tuple[Callable[[Patient], Iterator[Finding]], ...] = (
    _check_class_means,
    _check_name_order,
    _check_shares,
    _check_balance,
    _check_tiny_classes,
    _check_unlabelled,
    _check_constant,
    _check_value_range,
    _check_empty_texts,
    _check_feature_scales,
    _check_leakage,
    _check_duplicates,
    _check_conflicts,
    _check_resolution,
    *FURTHER_CHECKS,
    *ROW_CHECKS,
)
"""Every check, in the order of the report (within one severity)."""
