"""Classifiers of scikit-learn's kind as teachers: trained here, each example by a fold without it.

A classifier's answers on its own training data are hard labels in disguise: a forest is certain of
nearly every example that it has seen. So of the training part, which holds the transfer set, each
example is answered by a classifier that was trained on the other folds; the selection split and the
test split are answered by one that was trained on the whole training part.

A classifier gets what a network of the library would get: rows are encoded, numbers standardised,
texts turned into terms, all of it fitted to what it is trained on. A pipeline says itself what
becomes of each column, and gets the rows as they are.
"""

from __future__ import annotations

import math
import pickle
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from torch import Tensor

from goodteacher.data import FEWER_TERMS, UNLABELLED, InputSpec, Split, check_shape
from goodteacher.errors import ConfigError, ModelError, PackageError
from goodteacher.maths.targets import logits_of
from goodteacher.networks import (
    Chain,
    Encode,
    filters_kept,
    fit_preparation,
    out_of_fold,
    possible_folds,
    seeded,
)
from goodteacher.records import Predictor, latency_of
from goodteacher.teachers.foreign import stored
from goodteacher.teachers.frames import frame_of

FOLDS = 5
"""Parts of the training part; fewer where a class has fewer examples."""

_AT_ONCE = 64  # examples of a batch whose time is measured
_TIMED = 20  # batches whose time is measured; the rest is asked at once

Codes = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Said:
    """What a classifier says about the parts of a data set.

    Attributes:
        logits: Of each part by its name, float32 [N, C].
        predictor: How large and how fast the one that was trained on the whole training part is.
    """

    logits: Mapping[str, Tensor]
    predictor: Predictor


@dataclass(frozen=True)
class Classifying:
    """A classifier, and how it is trained on a data set.

    Attributes:
        estimator: Of scikit-learn's kind; it is cloned.
        num_classes: Classes C of the data.
        seed: Of the folds, and of a ``random_state`` that is None.
        categories: Whether it takes gaps and categories as they are.
        names: Of the columns, or nothing.
    """

    estimator: Any
    num_classes: int
    seed: int
    categories: bool = False
    names: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """What it is, in its own words, without what differs from process to process."""
        return re.sub(r" at 0x[0-9a-f]+", "", " ".join(repr(self.estimator).split()))

    def said(
        self,
        training: Split,
        transfer: Split,
        others: Mapping[str, Split],
        advance: Callable[[float], None] = lambda _: None,
    ) -> Said:
        """Train it, and ask it about parts of the data.

        Args:
            training: What it is trained on, as far as it is labelled.
            transfer: Of the training part, each example with its id; what is not in it, such as an
                unlabelled example, is answered by who was trained on all of it.
            others: Parts that have nothing to do with the training part, by their names.
            advance: Told of each training that is done.

        Returns:
            What it says about ``transfer`` and each of the others.

        Raises:
            ModelError: It cannot be trained on such examples.
            PackageError: It is a pipeline, and pandas is not installed.
        """
        labelled = training.subset(torch.nonzero(training.labels != UNLABELLED)[:, 0])
        held_out = self._out_of_fold(labelled, advance)
        fitted = self._trained(labelled)
        advance(1.0)
        rows = {int(each): row for row, each in enumerate(labelled.ids.tolist())}
        own = np.array([rows.get(each, -1) for each in transfer.ids.tolist()])
        values = held_out[own]
        rest = np.flatnonzero(own < 0)
        if len(rest):
            values[rest] = fitted.about(transfer.subset(rest.tolist()))
        times = list[tuple[int, float]]()
        found = {name: fitted.about(part, times) for name, part in others.items()}
        said = {
            name: logits_of(torch.from_numpy(each)).float()
            for name, each in {"transfer": values, **found}.items()
        }
        size = len(pickle.dumps(fitted.estimator))
        return Said(said, Predictor(latency=latency_of(times), num_bytes=size))

    def _out_of_fold(self, labelled: Split, advance: Callable[[float], None]) -> Probabilities:
        """Return what it says about each example, trained on the folds without it, [N, C]."""

        def about(seen: Codes, rest: Codes) -> Probabilities:
            fitted = self._trained(labelled.subset(seen.tolist()))
            said = fitted.about(labelled.subset(rest.tolist()))
            advance(1.0)
            return said

        codes, seed = labelled.labels.numpy(), self.seed % 2**32
        folds = possible_folds(codes, FOLDS)
        return out_of_fold(codes, self.num_classes, about, folds=folds, seed=seed)

    def _trained(self, part: Split) -> _Fitted:
        taken = self._taken(part)
        estimator = self._own(part.stored.spec)
        examples = taken(part)
        try:
            with filters_kept():
                estimator.fit(examples, part.labels.numpy())
        except (ValueError, TypeError) as error:
            raise ModelError(self._failed(error, part.stored.spec)) from error
        return _Fitted(estimator, taken, self.num_classes)

    def _own(self, spec: InputSpec) -> Any:
        """Return a clone with seeds, told which columns hold categories if it takes these."""
        estimator = clone(self.estimator)
        if self.categories and spec.kind == "rows":
            places = [n for n, name in enumerate(spec.columns) if name in spec.words]
            estimator.set_params(categorical_features=places or None)
        return seeded(estimator, self.seed % 2**32)

    def _taken(self, part: Split) -> Callable[[Split], Any]:
        """Return what makes of examples what it takes, fitted to those that it is trained on."""
        kind = part.stored.spec.kind
        if isinstance(self.estimator, Pipeline):
            return lambda split: _as_they_are(split, self.names)
        if kind == "fields":
            raise ConfigError(
                f"A classifier takes one array, but the examples are {part.stored.spec}. Give a "
                "network, or record the responses of your teacher with goodteacher.respond."
            )
        preparation = fit_preparation("linear", part)
        if kind == "rows" and self.categories:
            (encode,) = preparation.steps
            return lambda split: cast("Encode", encode).ordinal(split.inputs).numpy()
        return lambda split: _prepared(preparation, split)

    def _failed(self, error: Exception, spec: InputSpec) -> str:
        name = type(self.estimator).__name__
        told = str(error).strip().partition("\n")[0][:300].rstrip(".")
        hint = (
            " A pipeline gets the columns as they are, so it must encode words and fill in "
            "missing values. A classifier without a pipeline gets encoded columns."
            if isinstance(self.estimator, Pipeline)
            else ""
        )
        return f"The teacher {name} cannot be trained on {spec}: {told}.{hint}"


@dataclass(frozen=True)
class _Fitted:
    """A trained classifier."""

    estimator: Any
    taken: Callable[[Split], Any]
    num_classes: int

    def about(self, split: Split, times: list[tuple[int, float]] | None = None) -> Probabilities:
        """Return the probability of each class, [N, C].

        Args:
            split: The examples.
            times: Where it is noted how long the first batches take; None times none.
        """
        found, first = np.zeros((len(split), self.num_classes)), 0
        while first < len(split):
            timed = times is not None and len(times) < _TIMED
            rows = range(first, min(first + _AT_ONCE, len(split)) if timed else len(split))
            begun = time.perf_counter()
            values = self.estimator.predict_proba(self.taken(split.subset(rows)))
            if times is not None and timed:
                times.append((len(rows), time.perf_counter() - begun))
            found[np.ix_(rows, self.estimator.classes_)] = values
            first = rows.stop
        return found


def _prepared(preparation: Chain, split: Split) -> npt.NDArray[np.float32]:
    spec = preparation.output(split.stored.spec)
    asked = f"{len(split)} examples of {math.prod(spec.shape)} features each, for a classifier,"
    advice = FEWER_TERMS if split.texts is not None else ""
    check_shape((len(split), *spec.shape), 4, asked, advice=advice)
    made = preparation(stored(split, torch.arange(len(split))))
    array: npt.NDArray[np.float32] = made.flatten(1).numpy()
    return array


def _as_they_are(split: Split, names: tuple[str, ...]) -> Any:
    """Return examples for a pipeline: a data frame of rows with names, else an array or texts."""
    spec = split.stored.spec
    rows = stored(split, torch.arange(len(split)))
    if not isinstance(rows, Tensor):
        return rows
    if not names:
        return rows.numpy()
    frame = frame_of(rows, names, spec.words)
    if frame is None and spec.kind == "rows":
        raise PackageError(
            "A pipeline gets rows as a data frame of pandas, which is not installed: pip install "
            "pandas. Or give the classifier without a pipeline; it gets encoded rows."
        )
    return rows.numpy() if frame is None else frame
