"""Asking any teacher that predicts: batch by batch, with patience for one that fails at times.

Answers are kept as they come, so that a call that was stopped goes on where it was; with an API,
what was asked is not asked again.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from goodteacher.data import Dataset, Split
from goodteacher.errors import ConfigError, DataError, InputError, ModelError, StudyError
from goodteacher.responses import Scored, joined, scored
from goodteacher.studies import Store, logger
from goodteacher.teachers.foreign import stored

Predict = Callable[[Any], Any]
"""A batch of examples in; a score of each class out, see `goodteacher.responses.scored`."""

Values = npt.NDArray[np.float64]

ASKED = "asked"
"""Folder of the answers, in that of the run, until all are there."""

_TRIED = 8
_SAME = 1e-3


@dataclass(frozen=True)
class Asking:
    """A teacher that predicts, and how it is asked.

    Attributes:
        predict: The teacher.
        at_once: Examples in a batch.
        retries: How often a batch is asked again after an error.
        pause: Seconds before the first retry; each further one takes twice as long.
        sleep: Waits; another one in tests.

    Raises:
        ConfigError: A number is too small to ask with.
    """

    predict: Predict
    at_once: int = 64
    retries: int = 0
    pause: float = 1.0
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        for name, least in (("at_once", 1), ("retries", 0), ("pause", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} must be at least {least}, but is {getattr(self, name)}.")

    def __call__(
        self,
        examples: AskedOf,
        store: Store,
        advance: Callable[[int], None] = lambda _: None,
        timed: Callable[[int, float], None] = lambda *_: None,
    ) -> Scored:
        """Ask about all examples; what was answered about the same batch before is read.

        Args:
            examples: What the teacher is given.
            store: Where answers are kept.
            advance: Told of each batch how many examples it had.
            timed: Told of each batch how many examples it had, and how many seconds the teacher
                took for it, whenever that was: from the stored examples to its scores, waiting for
                another try not included.

        Raises:
            ModelError: The teacher failed more often than it may.
            ResponseError: It did not return a score of each class for each example.
        """
        parts = []
        for first in range(0, len(examples), self.at_once):
            positions = torch.arange(first, min(first + self.at_once, len(examples)))
            file = _file_of(examples, positions)
            if not store.exists(file):
                _keep(store, file, *self._asked(examples, positions))
            said, seconds = _kept(store, file)
            parts.append(said)
            timed(len(positions), seconds)
            advance(len(positions))
        return joined(parts)

    def try_out(self, examples: AskedOf, store: Store) -> tuple[str, ...]:
        """Ask about a few examples in two orders; return what is worth knowing.

        Args:
            examples: What the teacher is given.
            store: Where answers are kept, perhaps of an earlier call.

        Raises:
            ModelError: Its rows do not follow the order of the examples.
            StudyError: What is kept are the answers of another teacher.
        """
        few = torch.arange(min(_TRIED, len(examples)))
        if len(few) < 2:
            return ()
        other = few.roll(len(few) // 2 - 1 or 1)  # not reversed: what reverses would look right
        both = joined([self._asked(examples, some)[0] for some in (few, other)]).values
        said, again = both[: len(few)], both[len(few) :]
        same = _sameness(said)
        if same(said[other.numpy()], again):
            self._check_same_teacher(examples, few, store)
            return ()
        if all(any(same(row, known) for known in said) for row in again):
            raise ModelError(
                "The function was called again with some examples in another order and did not "
                "return their rows in that order. Does it sort or reverse them? Return a row for "
                "each example, in the order of the examples."
            )
        return (
            "The teacher's answers for an example differ from call to call, or depend on the "
            "other examples of the batch. Only one of these answers is recorded.",
        )

    def _check_same_teacher(self, examples: AskedOf, few: Tensor, store: Store) -> None:
        """Refuse to go on with kept answers where the teacher now says something else.

        A teacher that says the same twice is asked about the first examples once more, in the very
        batch whose answers are kept.
        """
        positions = torch.arange(min(self.at_once, len(examples)))
        file = _file_of(examples, positions)
        if not store.exists(file):
            return
        both = joined([_kept(store, file)[0], self._asked(examples, positions)[0]]).values
        before, now = both[: len(positions)][: len(few)], both[len(positions) :][: len(few)]
        if not _sameness(before)(before, now):
            raise StudyError(
                f"{store.root} contains the answers of another teacher, because this teacher "
                "answers the first examples differently. Choose another folder, or remove this "
                "folder to replace the answers."
            )

    def _asked(self, examples: AskedOf, positions: Tensor) -> tuple[Scored, float]:
        for attempt in range(self.retries + 1):
            started = time.perf_counter()
            try:
                output = self.predict(examples.batch(positions))
            except InputError:
                raise
            except Exception as error:
                told = f"{type(error).__name__}: {str(error).strip()[:300]}".rstrip(".: ")
                if attempt == self.retries:
                    raise ModelError(self._gave_up(positions, told)) from error
                wait = self.pause * 2**attempt * random.uniform(1, 1.25)
                logger.warning("The teacher failed (%s). It is called again in %.1f s.", told, wait)
                self.sleep(wait)
            else:
                seconds = time.perf_counter() - started
                return scored(output, len(positions)), seconds
        raise AssertionError("the teacher is called at least once for a batch")

    def _gave_up(self, positions: Tensor, told: str) -> str:
        first, last = int(positions[0]), int(positions[-1])
        often = f" {self.retries + 1} times" if self.retries else ""
        more = (
            "" if self.retries else (" If it fails only sometimes, as an API may, pass retries=5.")
        )
        return (
            f"The function failed{often} on examples {first} to {last} ({told}). The answers "
            f"before these are kept: the same call continues from there.{more}"
        )


@dataclass(frozen=True)
class AskedOf:
    """What a teacher is given of a split.

    Attributes:
        split: The examples.
        instead: What the teacher gets in their place, one for each: paths, bytes, rows of a data
            frame; None gives them as they are stored.
        form: Turns examples as they are stored into what the teacher takes.
    """

    split: Split
    instead: Any = None
    form: Callable[[Any], Any] = lambda batch: batch

    def __len__(self) -> int:
        return len(self.split)

    def batch(self, positions: Tensor) -> Any:
        """Return some of them."""
        if self.instead is None:
            return self.form(stored(self.split, positions))
        return rows_of(self.instead, positions.tolist())

    def digest(self, positions: Tensor) -> str:
        """Return a name for some of them: the same wherever their ids and contents are."""
        found, some = hashlib.sha256(), self.split.subset(positions)
        some.stored.digest_into(found)
        found.update(some.ids.numpy().data)
        return found.hexdigest()[:32]


def as_numpy(batch: Any) -> Any:
    """Return tensors as arrays; texts stay a list."""
    if isinstance(batch, Tensor):
        return batch.numpy()
    if isinstance(batch, dict):
        return {name: as_numpy(part) for name, part in batch.items()}
    return batch


def check_instead(instead: Any, data: Dataset) -> None:
    """Refuse what a teacher shall get in place of a data set's examples, where it does not fit.

    Raises:
        InputError: A split of it is missing, or has another number of entries.
    """
    if instead is None:
        return
    wanted = {name: len(split) for name, split in data.splits.items() if name != "test"}
    if not isinstance(instead, Mapping) or not wanted.keys() <= instead.keys():
        raise ConfigError(
            "teacher_inputs of a data set must be a dictionary with an entry for each of "
            f"{', '.join(wanted)}."
        )
    for name, count in wanted.items():
        if len(instead[name]) != count:
            raise DataError(
                f"teacher_inputs must have one entry for each of the {count} examples of "
                f"{name}, but has {len(instead[name])}."
            )


def _sameness(scores: Values) -> Callable[[Values, Values], bool]:
    """Return what says whether scores are the same, but for rounding at the scale of some."""
    scale = max(float(np.abs(scores[np.isfinite(scores)]).max(initial=0.0)), 1e-12)

    def same(one: Values, two: Values) -> bool:
        return np.allclose(one, two, rtol=0, atol=_SAME * scale, equal_nan=True)

    return same


def _file_of(examples: AskedOf, positions: Tensor) -> str:
    """Return the name of the file that keeps what was said about some examples."""
    return f"{examples.digest(positions)}.safetensors"


def _keep(store: Store, file: str, said: Scored, seconds: float) -> None:
    store.write_tensors(
        file,
        {"values": torch.from_numpy(said.values)},
        names=json.dumps(said.names),
        seconds=str(seconds),
    )


def _kept(store: Store, file: str) -> tuple[Scored, float]:
    values, notes = store.read_tensors(file)["values"].numpy(), store.read_notes(file)
    return Scored(values, tuple(json.loads(notes["names"]))), float(notes["seconds"])


def places_of(part: Split, whole: Split) -> list[int]:
    """Return where a part's examples are in the split that it is of.

    >>> whole = Split.from_arrays(np.zeros((3, 1)), [0, 1, 0], ids=[7, 9, 8])
    >>> places_of(whole.subset([2, 0]), whole)
    [2, 0]
    """
    ordered, rows = whole.ids.sort()
    places: list[int] = rows[torch.searchsorted(ordered, part.ids)].tolist()
    return places


def rows_of(instead: Any, rows: Sequence[int]) -> Any:
    """Return some of what a teacher gets in place of stored examples."""
    if hasattr(instead, "iloc"):
        return instead.iloc[list(rows)]
    if isinstance(instead, np.ndarray):
        return instead[list(rows)]
    return [instead[row] for row in rows]
