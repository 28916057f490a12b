"""Which split is which: by its name, or held out where there is none.

The `datasets` library knows names of splits too, and holds nothing out.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import train_test_split

from goodteacher.data.listing import shorten
from goodteacher.data.reading import Reading, check_known
from goodteacher.errors import DataError

FIXED_TEST_FRACTION = 0.2
"""Share of the examples that a source without a test split of its own holds out for it."""

FIXED_TEST_SEED = 0
"""Seed of that stratified split: part of the data, so that everyone has the same one."""

TRAIN_SPLIT = "train"

TEST_SPLIT = "test"

VALIDATION_SPLITS = ("validation", "valid", "val", "dev")
"""Names of a validation split, in order of preference."""

_Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Roles:
    """Name the splits that are used.

    Attributes:
        train: the training split.
        validation: the split on which choices are made, or None: it is carved from train.
        test: the split of the final evaluation.
    """

    train: str
    validation: str | None
    test: str

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all of them: train, validation where there is one, test."""
        return tuple(name for name in (self.train, self.validation, self.test) if name is not None)


def choose_splits(available: Collection[str], name: str, reading: Reading) -> Roles:
    """Choose the splits to train on, to choose on and to test on.

    The test split is the one that the user names, or ``test``, or else a validation split, with a
    note. A validation split that is not tested on is the selection split.

    Args:
        available: the names of the splits there are.
        name: of the data set, for messages.
        reading: what the user asks, and where notes go.

    Raises:
        DataError: There is no training split, or none to test on.
        ConfigError: The split that the user names is not there.

    Example:
        >>> choose_splits(["train", "validation", "test"], "owner/name", Reading()).validation
        'validation'
    """
    if reading.test_split is not None:
        check_known("test_split", reading.test_split, available, repr(name))
    wanted = (TEST_SPLIT, *VALIDATION_SPLITS) if reading.test_split is None else ()
    candidates = [split for split in wanted if split in available]
    test = reading.test_split or (candidates[0] if candidates else None)
    if TRAIN_SPLIT not in available or test is None:
        raise DataError(
            "A data set needs a train split and a test split (test or "
            f"{' or '.join(VALIDATION_SPLITS)}), but {name!r} has {shorten(available) or 'none'}. "
            "If another split is the test split, give its name with --test-split. Otherwise "
            "rename the splits, or save them as train.parquet and test.parquet in one folder and "
            "give that folder."
        )
    if test == TRAIN_SPLIT:
        raise DataError(
            f"test_split = {test!r} is the split that students learn from, so accuracy on it "
            f"rewards memorising. Choose another of {shorten(available)}."
        )
    validations = [s for s in VALIDATION_SPLITS if s in available and s != test]
    roles = Roles(TRAIN_SPLIT, validations[0] if validations else None, test)
    if reading.test_split is None and test != TEST_SPLIT:
        reading.note(
            "test_split",
            f"{name!r} has no test split. Its {test} split is used as the test split, and choices "
            "are made on a part of the training data.",
        )
    _note_unused(available, roles, name, reading)
    return roles


def _note_unused(available: Collection[str], roles: Roles, name: str, reading: Reading) -> None:
    unused = [split for split in available if split not in roles.names]
    if unused:
        reading.note(
            "unused_split",
            f"{name!r} also has {shorten(map(repr, unused))}, which "
            f"{'is' if len(unused) == 1 else 'are'} not used; {' and '.join(roles.names)} are. "
            "--test-split chooses the split to test on.",
        )


def hold_out(labels: npt.NDArray[np.int64], where: str) -> tuple[_Rows, _Rows]:
    """Divide examples into train and test rows: stratified, one in five, always the same ones.

    Args:
        labels: ``[num_examples]``; unlabelled examples (-1) all go to train.
        where: names the source in messages.

    Raises:
        DataError: A class has fewer than two examples, or there are too few to hold out.

    Example:
        >>> train_rows, test_rows = hold_out(np.array([0, 1] * 10), "example")
        >>> len(train_rows), len(test_rows)
        (16, 4)
    """
    labelled = np.flatnonzero(labels >= 0)
    try:
        _, test_rows = train_test_split(
            labelled,
            test_size=FIXED_TEST_FRACTION,
            stratify=labels[labelled],
            random_state=FIXED_TEST_SEED,
        )
    except ValueError as error:
        raise DataError(
            f"{where} has no test split, and one example in five cannot be held out so that every "
            f"class is in both parts: {error} Give a column 'split' with the values train and "
            "test, or more examples of the rare classes."
        ) from error
    test_rows = np.sort(test_rows)
    return np.setdiff1d(np.arange(len(labels)), test_rows), test_rows
