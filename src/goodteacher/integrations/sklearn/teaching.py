"""What a teacher says about rows of a table; trained here, from folds that it did not see.

A teacher's answers on its own training data are hard labels in disguise: a forest is certain of
nearly every example that it has seen. So a teacher that is trained here responds to each example
from a fold without it. One that comes fitted is asked as it is, and checked for memory.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_is_fitted

from goodteacher.data import Split, shorten
from goodteacher.errors import ConfigError, ResponseError
from goodteacher.integrations.sklearn.encoding import encoded
from goodteacher.integrations.sklearn.students import fitted, with_weights
from goodteacher.maths.targets import logits_of
from goodteacher.networks import check_teaches, out_of_fold, possible_folds, seeded
from goodteacher.responses import (
    Response,
    as_response,
    look_like_probabilities,
    remembered,
    scored,
)

Probabilities = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Prefit = bool | Literal["auto"]

TRAINED_HERE, FITTED, FUNCTION, ARRAY = "trained here", "fitted", "function", "array"


@dataclass(frozen=True)
class Table:
    """Rows of a table with their classes.

    Attributes:
        inputs: As the user gave them: an array, a data frame, a sparse matrix; N rows.
        codes: The class of each row as a position in ``classes``, int64 [N].
        classes: The classes as the user names them, sorted.
        weights: Of each row, [N], or None.
    """

    inputs: Any
    codes: Rows
    classes: npt.NDArray[Any]
    weights: Probabilities | None = None

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def labels(self) -> npt.NDArray[Any]:
        """The class of each row, as the user names it."""
        named: npt.NDArray[Any] = self.classes[self.codes]
        return named

    def rows(self, positions: Rows) -> Table:
        """Return some rows."""
        weights = None if self.weights is None else self.weights[positions]
        inputs = _safe_indexing(self.inputs, positions)
        return Table(inputs, self.codes[positions], self.classes, weights)


class Teaching:
    """A teacher of any kind, and how it is asked.

    Args:
        teacher: An estimator, something with ``predict_proba``, a function, or an array of
            probabilities [N, C].
        folds: Parts of the rows, each answered by a teacher trained on the others.
        prefit: Whether the teacher is fitted already; ``"auto"`` looks.
        seed: Of the folds, and of a teacher that has a ``random_state`` of None.

    Raises:
        ConfigError: It is no teacher, or is not fitted though ``prefit`` says so.
    """

    def __init__(self, teacher: Any, *, folds: int, prefit: Prefit, seed: int) -> None:
        self.teacher, self.folds, self.seed, self.prefit = teacher, folds, seed, prefit
        self.kind = _kind(teacher, prefit)

    @property
    def trains(self) -> bool:
        """Whether the teacher is trained here."""
        return self.kind == TRAINED_HERE

    def encoding(self, rows: Any) -> Teaching:
        """Return the same teacher with an encoder before it, if it is trained here and needs one.

        Args:
            rows: What it is trained on.
        """
        if not self.trains:
            return self
        teacher = encoded(self.teacher, rows)
        return Teaching(teacher, folds=self.folds, prefit=self.prefit, seed=self.seed)

    def within(self, table: Table) -> Teaching:
        """Return the same teacher with no more folds than each class of these rows can fill."""
        folds = possible_folds(table.codes, self.folds)
        return Teaching(self.teacher, folds=folds, prefit=self.prefit, seed=self.seed)

    def out_of_fold(self, table: Table) -> Response:
        """Return what the teacher says about each row, none of which it was trained on here.

        Args:
            table: The rows; for a teacher that is an array, those that it is about.

        Raises:
            ResponseError: The teacher's classes are not those of the data, or it says nothing that
                could be probabilities.
        """
        if not self.trains:
            return self._asked(table.inputs, table.classes)
        return _response(trained_out_of_fold(self.teacher, table, self.folds, self.seed))

    def fitted(self, table: Table) -> Any:
        """Return the teacher, trained on all rows where it is trained here."""
        return _trained(self.teacher, table, self.seed) if self.trains else self.teacher

    def about_others(self, fitted: Any, inputs: Any, classes: npt.NDArray[Any]) -> Response:
        """Return what the teacher says about rows that nobody has labelled.

        Args:
            fitted: What :meth:`fitted` returned.
            inputs: The rows.
            classes: The data's.

        Raises:
            ConfigError: The teacher is an array, which says nothing about them.
        """
        if self.kind == ARRAY:
            raise ConfigError(
                "The teacher is an array of probabilities for the rows of X, so it has none for "
                "the unlabelled rows. Give a teacher that predicts, or leave unlabelled out."
            )
        if self.trains:
            return _response(_probabilities_of(fitted, inputs, classes))
        return self._asked(inputs, classes)

    def memory(self, table: Table, response: Response) -> str | None:
        """Say so if a teacher that comes fitted answers as though it was trained on these rows.

        Args:
            table: The rows.
            response: What it says about them.
        """
        if self.trains:
            return None
        anew = _trainable(self.teacher)
        reference = None
        if anew is not None:
            reference = _response(trained_out_of_fold(anew, table, self.folds, self.seed))
        codes = torch.from_numpy(table.codes)
        split = Split.from_arrays(torch.zeros(len(table), 1), codes)
        finding = remembered(response, split, reference)
        return None if finding is None else finding.message

    def _asked(self, inputs: Any, classes: npt.NDArray[Any]) -> Response:
        if self.kind == ARRAY:
            return _of_array(self.teacher, inputs, classes)
        if hasattr(self.teacher, "predict_proba") and hasattr(self.teacher, "classes_"):
            return _response(_probabilities_of(self.teacher, inputs, classes))
        ask = getattr(self.teacher, "predict_proba", self.teacher)
        said = scored(ask(inputs), _count(inputs))
        names = said.names or tuple(map(str, getattr(self.teacher, "classes_", ())))
        values = _in_order(said.values, names, tuple(map(str, classes)))
        return as_response(values, probabilities=look_like_probabilities(values))


def trained_out_of_fold(teacher: Any, table: Table, folds: int, seed: int) -> Probabilities:
    """Return what clones of a teacher say about each row, each trained on the folds without it.

    Args:
        teacher: An estimator with ``predict_proba``; it is cloned.
        table: The rows; each class has at least ``folds`` of them.
        folds: Number of folds, stratified and shuffled.
        seed: Of the folds.

    Returns:
        Probabilities [N, C], columns in the order of the table's classes.
    """

    def about(seen: Rows, held_out: Rows) -> Probabilities:
        model = _trained(teacher, table.rows(seen), seed)
        inputs = _safe_indexing(table.inputs, held_out)
        found = np.zeros((len(held_out), len(table.classes)))
        # Where a class has two rows, a fold may have been trained without it.
        columns = np.isin(table.classes, model.classes_)
        found[:, columns] = _probabilities_of(model, inputs, table.classes[columns])
        return found

    return out_of_fold(table.codes, len(table.classes), about, folds=folds, seed=seed)


def _trained(teacher: Any, table: Table, seed: int) -> Any:
    model = seeded(clone(teacher), seed)
    given = with_weights(model, table.weights, needed=False)
    return fitted(model, table.inputs, table.labels, given)


def _trainable(teacher: Any) -> Any:
    """Return what can be cloned and trained anew in place of a fitted teacher, or None."""
    while isinstance(teacher, FrozenEstimator):
        teacher = teacher.estimator
    return teacher if hasattr(teacher, "fit") and hasattr(teacher, "get_params") else None


def some_of(response: Response, positions: Rows) -> Response:
    """Return a response for some of its rows."""
    return Response(response.logits[torch.from_numpy(positions)], torch.arange(len(positions)))


# --- what kind of teacher it is ------------------------------------------------------------------


def _kind(teacher: Any, prefit: Prefit) -> str:
    if isinstance(teacher, str):
        raise ConfigError(
            f"teacher is the name {teacher!r}. Give an object, for example "
            "RandomForestClassifier(). Names of teachers work only in goodteacher.search and on "
            "the command line."
        )
    if inspect.isclass(teacher) or hasattr(teacher, "fit"):
        check_teaches(teacher)
    if hasattr(teacher, "fit"):
        return _kind_of_estimator(teacher, prefit)
    if hasattr(teacher, "predict_proba") or callable(teacher):
        return FUNCTION
    if isinstance(teacher, Sequence | Response) or hasattr(teacher, "shape"):
        return ARRAY
    raise ConfigError(
        f"teacher is a {type(teacher).__name__}, which does not predict. Give an estimator with "
        "predict_proba, fitted or not; a function from rows to probabilities; or an array of "
        "probabilities [rows, classes]."
    )


def _kind_of_estimator(teacher: Any, prefit: Prefit) -> str:
    name = type(teacher).__name__
    taught = is_fitted(teacher)
    if prefit is True and not taught:
        raise ConfigError(
            f"prefit=True says that the teacher {name} is fitted, but it is not. Cross-validation "
            "and grid search clone an estimator, and the clone is not fitted. To keep it fitted, "
            "wrap it: sklearn.frozen.FrozenEstimator(teacher)."
        )
    return FITTED if taught and prefit is not False else TRAINED_HERE


def is_fitted(estimator: Any) -> bool:
    """Say whether an estimator is fitted, by scikit-learn's own rule."""
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


# --- from what it says to a response -------------------------------------------------------------


def _response(probabilities: Probabilities) -> Response:
    """Return an estimator's probabilities as a response; that they are some is checked."""
    logits = logits_of(torch.from_numpy(probabilities)).float()
    return Response(logits, torch.arange(len(logits)))


def _probabilities_of(model: Any, inputs: Any, classes: npt.NDArray[Any]) -> Probabilities:
    """Return a fitted classifier's probabilities, columns in the order of the data's classes."""
    values = np.asarray(model.predict_proba(inputs), np.float64)
    own = list(np.asarray(getattr(model, "classes_", classes)).tolist())
    return _in_order(values, own, classes.tolist())


def _in_order(values: Probabilities, names: Sequence[Any], classes: Sequence[Any]) -> Probabilities:
    """Put columns in the order of the classes; refuse those of other classes."""
    if not names and values.shape[1] == len(classes):
        return values
    missing = [each for each in classes if each not in names]
    surplus = [each for each in names if each not in classes]
    if not missing and not surplus and values.shape[1] == len(classes):
        order = [list(names).index(each) for each in classes]
        return values[:, order]
    told = [
        f"it does not have {shorten(missing)}" * bool(missing and names),
        f"it has {shorten(surplus)}, which is not in y" * bool(surplus),
        f"it gives {values.shape[1]} columns for {len(classes)} classes" * (not names),
    ]
    raise ResponseError(
        f"The teacher's classes are not those of y ({shorten(classes)}): "
        f"{'; '.join(filter(None, told))}. Was it trained on other labels, or are the class names "
        "written differently? Use the teacher's classes in y, or a teacher with the classes of y."
    )


def _of_array(given: Any, inputs: Any, classes: npt.NDArray[Any]) -> Response:
    if isinstance(given, Sequence):
        given = np.asarray(given, np.float64)
    response = as_response(given, probabilities=True, class_names=tuple(map(str, classes)))
    wanted = _count(inputs)
    if len(response.logits) != wanted:
        raise ResponseError(
            f"The teacher is an array of {len(response.logits)} rows, but X has {wanted}. It "
            "needs a row for each row of X, in the same order. In cross-validation and grid "
            "search X is divided, but the array is not: give a function, or a fitted estimator "
            "in sklearn.frozen.FrozenEstimator."
        )
    logits = torch.from_numpy(
        _in_order(response.in_memory().numpy(), response.class_names, tuple(map(str, classes)))
    )
    return Response(logits, torch.arange(wanted))


def _count(inputs: Any) -> int:
    return int(inputs.shape[0]) if hasattr(inputs, "shape") else len(inputs)
