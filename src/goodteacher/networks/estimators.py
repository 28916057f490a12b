"""Classifiers of scikit-learn's kind that teach: by a short name, or as an object; out of fold.

``forest``, ``forest:500`` and so on; what a name does not say is the package's own default. They
have no gradients and so are no networks: they teach, and students are networks.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from torch import nn

from goodteacher.errors import ConfigError, ModelError, PackageError

Codes = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float64]

_COUNT = r"0*[1-9][0-9]{0,5}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedEstimator:
    """A classifier by its short name.

    Attributes:
        build: Makes one; with the number that stands behind the colon, if there is one.
        counts: What that number counts; "" where none may stand there.
        categories: Whether it takes gaps and categories as they are, given which columns are such.
    """

    build: Callable[..., Any]
    counts: str = ""
    categories: bool = False


def _forest(kind: type[Any], count: int = 100) -> Any:
    return kind(count)


def _boosting(count: int = 100) -> Any:
    return HistGradientBoostingClassifier(max_iter=count)


def _logistic() -> Any:
    return LogisticRegression(max_iter=1000)


def _of_package(package: str, name: str, count: int = 100, **settings: Any) -> Any:
    try:
        module = importlib.import_module(package)
    except ImportError:
        raise PackageError(
            f"The teacher {package!r} needs the package {package}, which is not installed: pip "
            f"install {package}. 'boosting' is part of scikit-learn and needs no other package."
        ) from None
    return getattr(module, name)(n_estimators=count, **settings)


ESTIMATORS: Mapping[str, NamedEstimator] = {
    "forest": NamedEstimator(build=partial(_forest, RandomForestClassifier), counts="trees"),
    "extra-trees": NamedEstimator(build=partial(_forest, ExtraTreesClassifier), counts="trees"),
    "boosting": NamedEstimator(build=_boosting, counts="rounds", categories=True),
    "logistic": NamedEstimator(build=_logistic),
    "lightgbm": NamedEstimator(
        build=partial(_of_package, "lightgbm", "LGBMClassifier", verbose=-1), counts="rounds"
    ),
    "xgboost": NamedEstimator(
        build=partial(_of_package, "xgboost", "XGBClassifier"), counts="rounds"
    ),
}
"""Every classifier that can be named."""


def is_estimator(teacher: object) -> bool:
    """Say whether a teacher is a classifier of scikit-learn's kind: its name, or an object.

    Example:
        >>> is_estimator("forest:500"), is_estimator("mlp:8"), is_estimator(LogisticRegression())
        (True, False, True)
    """
    if isinstance(teacher, str):
        return _name_of(teacher) in ESTIMATORS
    return not isinstance(teacher, nn.Module) and (
        isinstance(teacher, BaseEstimator) or _has_methods(teacher, "fit", "predict_proba")
    )


def _has_methods(teacher: object, *names: str) -> bool:
    return all(callable(getattr(teacher, name, None)) for name in names)


def estimator_of(teacher: Any) -> tuple[str, Any, bool]:
    """Return what a teacher is called, the classifier, and whether it takes gaps and categories.

    Args:
        teacher: Such as ``is_estimator`` accepts.

    Raises:
        ConfigError: It is a class, or gives no probabilities.
        ModelError: What stands behind the name is malformed.
        PackageError: Its package is not installed.

    Example:
        >>> name, forest, _ = estimator_of("forest:500")
        >>> name, forest.n_estimators
        ('forest:500', 500)
    """
    if isinstance(teacher, str):
        return _named(teacher)
    check_teaches(teacher)
    return type(teacher).__name__, teacher, False


def check_teaches(estimator: Any) -> None:
    """Refuse what is no object, or gives no probabilities.

    Args:
        estimator: What was given as teacher.

    Raises:
        ConfigError: It is a class, or has no ``predict_proba``.
    """
    if inspect.isclass(estimator):
        raise ConfigError(
            f"teacher is the class {estimator.__name__}. Give an object of it: "
            f"{estimator.__name__}()."
        )
    name = type(estimator).__name__
    if not callable(getattr(estimator, "predict_proba", None)):
        raise ConfigError(
            f"The teacher {name} has no predict_proba, and a predicted class alone contains no "
            "information about the other classes. Use a classifier that gives probabilities, or "
            f"wrap this one: CalibratedClassifierCV({name}(...))."
        )


def seeded(estimator: Any, seed: int) -> Any:
    """Give an estimator, and what it is made of, a seed wherever ``random_state`` is None.

    Args:
        estimator: It is changed in place.
        seed: From 0, below 2^32.

    Example:
        >>> seeded(RandomForestClassifier(), 3)
        RandomForestClassifier(random_state=3)
    """
    if not hasattr(estimator, "get_params"):
        return estimator
    unset = {
        name: seed
        for name, value in estimator.get_params(deep=True).items()
        if value is None and (name == "random_state" or name.endswith("__random_state"))
    }
    return estimator.set_params(**unset) if unset else estimator


def possible_folds(codes: Codes, folds: int) -> int:
    """Return how many folds each class can fill: at most as many as are wanted, at least two.

    Args:
        codes: The class of each row, [N].
        folds: How many are wanted.

    Example:
        >>> possible_folds(np.array([0, 0, 0, 1, 1, 1]), 5)
        3
    """
    return max(2, min(folds, int(np.unique(codes, return_counts=True)[1].min())))


def out_of_fold(
    codes: Codes,
    num_classes: int,
    about: Callable[[Codes, Codes], Probabilities],
    *,
    folds: int,
    seed: int,
) -> Probabilities:
    """Return what a classifier says about each row, trained on the folds without it.

    A classifier's answers on its own training data are hard labels in disguise: a forest is certain
    of nearly every example that it has seen.

    Args:
        codes: The class of each row, [N].
        num_classes: Number C of classes.
        about: Trains on the rows of the first positions, and gives the probabilities of those of
            the second, M of them: [M, C].
        folds: Number of folds, stratified and shuffled.
        seed: Of the folds, from 0, below 2^32.

    Returns:
        Probabilities [N, C].
    """
    found = np.zeros((len(codes), num_classes))
    parts = StratifiedKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # of a class with fewer rows than folds: who gives the data is told of it beforehand
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        divided = list(parts.split(codes, codes))
    for seen, held_out in divided:
        found[held_out] = about(seen, held_out)
    return found


@contextmanager
def filters_kept() -> Iterator[None]:
    """Keep the warning filters of the process while an estimator is fitted or asked.

    Threads of scikit-learn put the filters aside for a moment. Where two do so at once, filters are
    lost for good, and every later call in parallel warns.
    """
    before = list(warnings.filters)
    try:
        yield
    finally:
        if any(each not in warnings.filters for each in before):
            warnings.filters = before


def about_estimators(spec: str) -> str:
    """Return what to say of a specification that names a classifier, or nearly does; or ``""``.

    Args:
        spec: What is no network.
    """
    name = _name_of(spec)
    if name in ESTIMATORS:
        return (
            f"The model specification {spec!r} names a scikit-learn classifier, which can be a "
            "teacher but not a student in a search: students are networks, for example 'linear' "
            "or 'mlp:32'. For a scikit-learn student use "
            "goodteacher.DistilledClassifier(teacher=..., student=...) in Python."
        )
    near = difflib.get_close_matches(name, ESTIMATORS, n=1, cutoff=0.7)
    return f" A teacher can also be {', '.join(ESTIMATORS)}." * bool(near)


def _name_of(spec: str) -> str:
    return spec.partition(":")[0].partition("@")[0].strip().lower()


def _named(spec: str) -> tuple[str, Any, bool]:
    name, _, argument = "".join(spec.lower().split()).partition(":")
    kind = ESTIMATORS.get(name)
    if kind is None or (":" in spec and not (kind.counts and re.fullmatch(_COUNT, argument))):
        name = _name_of(spec)
        after = ESTIMATORS[name].counts
        allowed = f" or {name}:{after.upper()} with the number of {after}" * bool(after)
        raise ModelError(
            f"The teacher {spec!r} is malformed: it must be {name}{allowed}. For other settings, "
            "give an object in Python: goodteacher.search(..., "
            "teacher=RandomForestClassifier(max_depth=8))."
        )
    if not argument:
        return name, kind.build(), kind.categories
    return f"{name}:{int(argument)}", kind.build(count=int(argument)), kind.categories
