"""Soft targets for any classifier that takes ``sample_weight``.

LightGBM's and XGBoost's classifiers take them as they are (`boosting`). For any other, a row whose
target is (0.7, 0.2, 0.1) becomes three rows of the same inputs, one for each class, with these
weights. A learner that minimises a weighted sum of log losses over its rows (`LogisticRegression`,
`MLPClassifier`, `SGDClassifier(loss="log_loss")`) then minimises the cross-entropy to the soft
targets exactly. For other learners it is a translation: rules that count rows, such as a tree's
``min_samples_leaf``, count each copy; impurities and votes weigh them.

Memory: up to C copies of a row; classes below ``smallest_weight`` are left out, and their share
goes to the others. The weights of a row's copies sum to the weight of the row.
"""

from __future__ import annotations

import inspect
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn import config_context
from sklearn.base import clone, is_regressor
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import has_fit_parameter

from goodteacher.data import shorten
from goodteacher.errors import ConfigError
from goodteacher.integrations.sklearn.boosting import (
    fit_softly,
    learns_softly,
    wants_numbers,
)
from goodteacher.integrations.sklearn.soft_targets import Numbers, Rows, SoftTargets
from goodteacher.networks import filters_kept, seeded

LearnedBy = Literal["objective", "weighted rows"]
"""How a student learns from soft targets: the loss is its own objective, or rows are copied."""

WOULD_DO = (
    "LogisticRegression, SGDClassifier(loss='log_loss'), DecisionTreeClassifier, "
    "RandomForestClassifier, HistGradientBoostingClassifier, GaussianNB, LightGBM's and "
    "XGBoost's classifiers, a Pipeline that ends in one of them, or a network of goodteacher, "
    "'linear' or 'mlp:32'"
)
"""Students that can learn from soft targets, for messages."""


def takes_weights(estimator: Any) -> bool:
    """Say whether an estimator's ``fit``, or that of a pipeline's last step, takes sample weights.

    Example:
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.neighbors import KNeighborsClassifier
        >>> takes_weights(LogisticRegression()), takes_weights(KNeighborsClassifier())
        (True, False)
    """
    return bool(has_fit_parameter(_last_step(estimator)[1], "sample_weight"))


def with_weights(estimator: Any, weights: Numbers | None, *, needed: bool) -> dict[str, Numbers]:
    """Return the keyword argument by which ``fit`` gets sample weights.

    Args:
        estimator: What is fitted; in a pipeline they go to the last step.
        weights: Of each row, or None: then nothing is returned.
        needed: Whether it is an error if they are not taken; otherwise they are left out.

    Raises:
        ConfigError: They are needed, and not taken.
    """
    if weights is None:
        return {}
    if not takes_weights(estimator):
        if needed:
            raise _refused(estimator)
        return {}
    return {f"{_last_step(estimator)[0]}sample_weight": weights}


def fitted(estimator: Any, inputs: Any, labels: Any, given: dict[str, Numbers]) -> Any:
    """Fit an estimator, its weights by the name that :func:`with_weights` gave them.

    Metadata routing, where it is on, is for what the user passes; it is off here, since it would
    ask every step of a pipeline whether it wants the weights of copies.
    """
    with config_context(enable_metadata_routing=False), filters_kept():
        return estimator.fit(inputs, labels, **given)


def check_student(student: Any, classes: npt.NDArray[Any]) -> None:
    """Refuse what cannot learn from soft targets, by name, with what would do.

    Args:
        student: What was given as student.
        classes: The data's, as the user names them.

    Raises:
        ConfigError: It is a class, no classifier, a regressor, one that takes no sample weights, or
            one that takes no such classes.
    """
    if inspect.isclass(student):
        raise ConfigError(
            f"student is the class {student.__name__}. Give an object of it: {student.__name__}()."
        )
    if not hasattr(student, "fit") or not hasattr(student, "predict"):
        raise ConfigError(
            f"student is a {type(student).__name__}, which cannot be fitted. Possible students "
            f"are {WOULD_DO}."
        )
    if hasattr(student, "__sklearn_tags__") and is_regressor(student):
        raise ConfigError(
            f"The student {type(_last_step(student)[1]).__name__} is a regressor: it predicts "
            f"numbers, not classes. Possible students are {WOULD_DO}."
        )
    if not takes_weights(student):
        raise _refused(student)
    if wants_numbers(_last_step(student)[1]) and classes.tolist() != list(range(len(classes))):
        raise ConfigError(
            "XGBoost's classifiers need classes that are numbered from 0, but y has "
            f"{shorten(classes.tolist())}. Give y as numbers: "
            "sklearn.preprocessing.LabelEncoder().fit_transform(y)."
        )


def weighted_rows(
    targets: Numbers, *, smallest: float, weights: Numbers | None = None
) -> tuple[Rows, Rows, Numbers]:
    """Turn soft targets into rows of one class each, with weights.

    Args:
        targets: Probabilities [N, C].
        smallest: Classes of a smaller probability, or of none, are left out; the most probable
            one never is.
        weights: Of each row, [N]; None for 1.

    Returns:
        Which row each copy is of, its class, and its weight; the copies of a row have its weight
        together. Targets of one class each give every row once, in order, with its weight.

    Example:
        >>> rows, codes, weights = weighted_rows(np.array([[0.6, 0.4], [0.0, 1.0]]), smallest=0.01)
        >>> rows.tolist(), codes.tolist(), weights.tolist()
        ([0, 0, 1], [0, 1, 1], [0.6, 0.4, 1.0])
    """
    kept = (targets >= smallest) & (targets > 0)
    kept[np.arange(len(targets)), targets.argmax(1)] = True
    shares = np.where(kept, targets, 0.0)
    shares /= shares.sum(axis=1, keepdims=True)
    if weights is not None:
        shares *= weights[:, None]
    rows, codes = np.nonzero(kept)
    return rows.astype(np.int64), codes.astype(np.int64), shares[rows, codes]


def fit_student(
    student: Any,
    inputs: Any,
    targets: SoftTargets,
    classes: npt.NDArray[Any],
    *,
    smallest: float,
    seed: int = 0,
) -> Any:
    """Fit a clone of a classifier to soft targets.

    Args:
        student: A classifier that takes sample weights.
        inputs: N rows.
        targets: What is learned.
        classes: The classes, as the user names them, [C].
        smallest: See :func:`weighted_rows`.
        seed: Where its ``random_state`` is None.

    Returns:
        The student; where the targets are of one class only, something that predicts that class.
    """
    made = seeded(clone(student), seed)
    if needs_no_copies(made, targets) and _fit_softly(made, inputs, targets, classes):
        return made
    weights = targets.weights
    rows, codes, shares = weighted_rows(targets.mixed, smallest=smallest, weights=weights)
    if len(np.unique(codes)) < 2:
        return DummyClassifier(strategy="most_frequent").fit(inputs, classes[codes])
    once = len(rows) == len(targets)
    copies = inputs if once else _safe_indexing(inputs, rows)
    plain = weights is None and once
    given = {} if plain else with_weights(made, shares, needed=True)
    return fitted(made, copies, classes[codes], given)


def needs_no_copies(student: Any, targets: SoftTargets) -> bool:
    """Say whether a student takes soft targets itself.

    Labels alone go to every student as labels, and so does what holds a class that is that of no
    row: LightGBM and XGBoost look for their classes in the labels.

    Args:
        student: A classifier.
        targets: What it shall learn.
    """
    return (
        learns_softly(_last_step(student)[1])
        and not targets.are_labels
        and len(np.unique(targets.codes)) == targets.labels.shape[1]
    )


def learned_by(student: Any) -> LearnedBy:
    """Return how a student learns from soft targets.

    Args:
        student: A classifier that takes sample weights, or a pipeline that ends in one.

    Example:
        >>> from sklearn.linear_model import LogisticRegression
        >>> learned_by(LogisticRegression())
        'weighted rows'
    """
    return "objective" if learns_softly(_last_step(student)[1]) else "weighted rows"


def _fit_softly(student: Any, inputs: Any, targets: SoftTargets, classes: npt.NDArray[Any]) -> bool:
    """Fit a classifier of LightGBM or XGBoost, or a pipeline that ends in one; say if it is."""
    prefix, last = _last_step(student)

    def fit(parameters: dict[str, Any], given: dict[str, Any]) -> None:
        last.set_params(**parameters)
        passed = {f"{prefix}{name}": value for name, value in given.items()}
        fitted(student, inputs, classes[targets.codes], passed)

    return fit_softly(last, targets, fit)


def probabilities_of(student: Any, inputs: Any, classes: npt.NDArray[Any]) -> Numbers | None:
    """Return a student's probabilities [N, C], or None where it gives none.

    A class that no copy had weight for has probability 0.

    Args:
        student: What :func:`fit_student` returned.
        inputs: N rows.
        classes: The data's, in the order of the columns.
    """
    if not hasattr(student, "predict_proba"):
        return None
    found = np.zeros((_length(inputs), len(classes)))
    found[:, np.searchsorted(classes, student.classes_)] = student.predict_proba(inputs)
    return found


def _length(inputs: Any) -> int:
    return int(inputs.shape[0]) if hasattr(inputs, "shape") else len(inputs)


def _last_step(estimator: Any) -> tuple[str, Any]:
    """Return the last step of a pipeline, and what its parameters begin with."""
    prefix = ""
    while isinstance(estimator, Pipeline):
        name, estimator = estimator.steps[-1]
        prefix += f"{name}__"
    return prefix, estimator


def _refused(estimator: Any) -> ConfigError:
    name = type(_last_step(estimator)[1]).__name__
    return ConfigError(
        f"The student {name} does not support sample_weight in fit, so it cannot learn from soft "
        f"targets. Possible students are {WOULD_DO}."
    )
