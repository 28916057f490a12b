"""Carve a data set into the parts of a study, and seal the test split.

    train ──┬── training   teachers learn from it
            │   └── transfer   teachers respond on it, students learn from it
            └── selection  every choice is made on it
    test  ───── test       sealed: opened once, after all choices are made, and on record

A data set with a validation split of its own has it as the selection split, and nothing is carved.
Unlabelled examples go to the transfer set alone: there the teacher's response is all they need.
How a network wants the examples is the network's affair: what is here is as it was stored.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor

from goodteacher.data.dataset import Dataset, Split, missing_classes
from goodteacher.data.listing import shorten
from goodteacher.data.notes import DataNote
from goodteacher.data.spec import InputSpec
from goodteacher.errors import ConfigError, DataError

_Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Opening:
    """Record that a sealed split was opened: why, and when (UTC, ISO 8601)."""

    reason: str
    time: str


class SealedSplit:
    """Keep a split's inputs and labels out of reach until it is opened with a reason.

    The seal stops accidents, not intent: its length and ids are visible, ``inputs`` and ``labels``
    are not attributes, and every opening is recorded.

    Args:
        split: what to seal.
        on_open: called with each `Opening` before the split is handed out, for example to append to
            the study's log; if it raises, the split stays sealed.

    Example:
        >>> sealed = SealedSplit(Split.from_arrays([[0.0], [1.0]], [0, 1]))
        >>> len(sealed), sealed.is_open
        (2, False)
        >>> sealed.open("final evaluation").labels.tolist()
        [0, 1]
        >>> sealed.openings[0].reason
        'final evaluation'
    """

    def __init__(self, split: Split, *, on_open: Callable[[Opening], None] | None = None) -> None:
        self.__split = split
        self.__openings: tuple[Opening, ...] = ()
        self.__on_open = on_open

    def __len__(self) -> int:
        return len(self.__split)

    def __repr__(self) -> str:
        state = f"opened {len(self.openings)} times" if self.is_open else "sealed"
        return f"<SealedSplit of {len(self)} examples, {state}>"

    def __getattr__(self, name: str) -> Tensor:
        if name in ("stored", "inputs", "labels", "texts", "text_columns"):
            raise AttributeError(f"The test split is sealed. Call open(reason) to see its {name}.")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def ids(self) -> Tensor:
        """The ids of the examples, ``int64 [num_examples]``; visible while sealed."""
        return self.__split.ids

    @property
    def openings(self) -> tuple[Opening, ...]:
        """Every opening so far, oldest first."""
        return self.__openings

    @property
    def is_open(self) -> bool:
        """Whether it was ever opened."""
        return bool(self.__openings)

    def open(self, reason: str) -> Split:
        """Record ``reason`` and the time, and return the split.

        Raises:
            DataError: ``reason`` is empty.
        """
        if not reason.strip():
            raise DataError(
                f"Opening the test split needs a reason, but got {reason!r}. Every opening is "
                "logged, to show that no choice was made on the test split. Say what it is "
                "opened for."
            )
        opening = Opening(reason, datetime.now(UTC).isoformat(timespec="seconds"))
        if self.__on_open is not None:
            self.__on_open(opening)
        self.__openings += (opening,)
        return self.__split


@dataclass(frozen=True, eq=False)
class StudyData:
    """Hold the parts of a data set as a study uses them.

    Attributes:
        training: labelled examples that teachers learn from. Where the training data have no label
            at all, it is the transfer set, and there is nothing that a teacher could learn.
        transfer: the examples on which teachers respond and from which students learn.
        selection: labelled examples on which every choice is made; disjoint from both.
        test: the sealed test split.
        class_names: the name of class ``c`` at position ``c``.
        spec: what one example is.
        fingerprint: of the whole data set, see `Dataset.fingerprint`.
    """

    training: Split
    transfer: Split
    selection: Split
    test: SealedSplit
    class_names: tuple[str, ...]
    spec: InputSpec
    fingerprint: str

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example; texts and examples of several fields have none."""
        return self.spec.shape

    @property
    def is_image(self) -> bool:
        """Whether the inputs are images."""
        return self.spec.kind == "images"

    @property
    def is_text(self) -> bool:
        """Whether the inputs are texts."""
        return self.spec.kind == "texts"


def prepare(
    dataset: Dataset,
    *,
    selection_fraction: float = 0.1,
    transfer_fraction: float = 1.0,
    seed: int = 0,
    on_open: Callable[[Opening], None] | None = None,
) -> StudyData:
    """Carve the selection split and the transfer set from the training data, stratified and seeded.

    Rows keep the order of the source. The selection split depends on ``selection_fraction`` and
    ``seed`` alone, so studies that differ in the size of the transfer set choose on the same
    examples. At ``transfer_fraction=1`` the transfer set is ``training`` itself, plus any
    unlabelled examples, which always belong to it. A validation split of the data set's own is the
    selection split; ``selection_fraction`` then says nothing. What is worth knowing of the parts is
    told as a `DataNote`, a warning.

    Args:
        dataset: what to divide.
        selection_fraction: share of the labelled training examples kept for choices; in (0, 1).
        transfer_fraction: share of ``training`` in the transfer set; in (0, 1].
        seed: of both draws; in 0..2^32 - 1.
        on_open: see `SealedSplit`.

    Raises:
        ConfigError: A setting is out of range.
        DataError: A class would have no example in one of the parts.

    Example:
        >>> split = Split.from_arrays(torch.arange(40.0)[:, None], [0, 1] * 20)
        >>> parts = prepare(Dataset("tiny", split, split, ("a", "b")), transfer_fraction=0.5)
        >>> len(parts.training), len(parts.transfer), len(parts.selection), len(parts.test)
        (36, 18, 4, 40)
    """
    _check_fraction("selection_fraction", selection_fraction, below_one=True)
    _check_fraction("transfer_fraction", transfer_fraction, below_one=False)
    _check_seed(seed)
    training, transfer, selection, test = _parts(
        dataset, selection_fraction, transfer_fraction, seed
    )
    for note in _notes(dataset.class_names, selection, test):
        warnings.warn(note, DataNote, stacklevel=2)
    return StudyData(
        training=training,
        transfer=transfer,
        selection=selection,
        test=SealedSplit(test, on_open=on_open),
        class_names=dataset.class_names,
        spec=dataset.spec,
        fingerprint=dataset.fingerprint,
    )


def _parts(
    dataset: Dataset, selection_fraction: float, transfer_fraction: float, seed: int
) -> tuple[Split, Split, Split, Split]:
    """Return the training part, the transfer set, the selection split and the test split."""
    train, selection = dataset.train, dataset.validation
    training_rows = np.flatnonzero(train.labels.numpy() >= 0)
    if selection is None:
        if not len(training_rows):
            raise DataError(
                "Every choice is made on labelled examples, but no training example of"
                f" {dataset.name!r} has a label, and there is no validation split. Label some of"
                " them, or add a labelled split called validation (arrays: x_validation,"
                " y_validation)."
            )
        training_rows, selection_rows = _stratify(
            training_rows, selection_fraction, dataset, seed, "selection_fraction"
        )
        selection = train.subset(torch.from_numpy(selection_rows))
    if not len(training_rows):
        return train, train, selection, dataset.test
    training = train.subset(torch.from_numpy(training_rows))
    transfer = _transfer(dataset, training, training_rows, transfer_fraction, seed)
    return training, transfer, selection, dataset.test


def _notes(class_names: Sequence[str], selection: Split, test: Split) -> Iterator[str]:
    """Yield what the parts cannot show: classes about which they say nothing."""
    for name, split in (("selection", selection), ("test", test)):
        if missing := missing_classes(split, class_names):
            yield (
                f"The {name} split has no example of {len(missing)} of {len(class_names)} classes "
                f"({shorten(missing)}), so accuracy on it does not include them."
            )


def _transfer(
    dataset: Dataset, training: Split, training_rows: _Rows, fraction: float, seed: int
) -> Split:
    """Choose ``fraction`` of the training rows and add every unlabelled row."""
    unlabelled_rows = np.flatnonzero(dataset.train.labels.numpy() < 0)
    if fraction == 1 and len(unlabelled_rows) == 0:
        return training  # the same tensors, so that the common case costs no memory
    chosen = training_rows
    if fraction < 1:
        _, chosen = _stratify(training_rows, fraction, dataset, seed, "transfer_fraction")
    rows = np.sort(np.concatenate([chosen, unlabelled_rows]))
    return dataset.train.subset(torch.from_numpy(rows))


def _stratify(
    rows: _Rows, fraction: float, dataset: Dataset, seed: int, setting: str
) -> tuple[_Rows, _Rows]:
    """Divide ``rows`` into the rest and ``fraction`` of them: both sorted, with every class."""
    labels = dataset.train.labels.numpy()
    counts = np.bincount(labels[rows], minlength=dataset.num_classes)
    num_chosen = round(fraction * len(rows))
    # scikit-learn refuses these too, but without naming the classes and the setting
    possible = counts.min() >= 2 and dataset.num_classes <= num_chosen
    if not possible or len(rows) - num_chosen < dataset.num_classes:
        raise _too_small(counts, fraction, dataset, setting)
    rest, chosen = train_test_split(
        rows, test_size=num_chosen, stratify=labels[rows], random_state=seed
    )
    for part in (rest, chosen):
        part_counts = np.bincount(labels[part], minlength=dataset.num_classes)
        if part_counts.min() == 0:
            raise _too_small(counts, fraction, dataset, setting)
    return np.sort(rest), np.sort(chosen)


def _too_small(
    counts: npt.NDArray[np.int64], fraction: float, dataset: Dataset, setting: str
) -> DataError:
    smallest = np.argsort(counts, kind="stable")[:5]
    listed = shorten(f"{dataset.class_names[c]}: {counts[c]}" for c in smallest)
    return DataError(
        f"{setting}={fraction:g} of {counts.sum()} labelled training examples leaves a class "
        f"without an example on one side of the split (smallest classes: {listed}), but each of "
        f"the {dataset.num_classes} classes must be on both sides. Change {setting}, or drop or "
        "merge the smallest classes."
    )


def _check_fraction(setting: str, value: float, *, below_one: bool) -> None:
    allowed = 0 < value < 1 if below_one else 0 < value <= 1
    if not allowed:
        upper = "below 1" if below_one else "at most 1"
        raise ConfigError(
            f"{setting} must be above 0 and {upper}, but is {value}. It is a share of the training"
            " examples, not a count or a percentage; 0.1 means one in ten."
        )


def _check_seed(seed: int) -> None:
    if not 0 <= seed < 2**32:
        raise ConfigError(f"seed must be in 0..{2**32 - 1}, but is {seed}. Choose a small one.")
