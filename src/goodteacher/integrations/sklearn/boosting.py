"""LightGBM's and XGBoost's classifiers learn from soft targets themselves: no copies of rows.

Both take an objective in place of their log loss. Ours is the library's loss with its true
temperature (`soft_targets`), scaled as each package scales its own: with alpha = 0 it *is* its log
loss. What comes out is an ordinary classifier of the package that gives probabilities, can be
cloned, pickled and exported: the objective is taken out again, and where boosting started from (the
mean probability of each class, as the packages' own log loss starts) is part of the model.

An estimator with settings that change its own log loss (weights of classes, an objective of the
user's) keeps it, and learns from weighted rows (`students`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from goodteacher.integrations.sklearn.soft_targets import Numbers, SoftTargets

Fit = Callable[[dict[str, Any], dict[str, Any]], None]
"""Sets parameters of an estimator, and fits it with further arguments."""

_RARE = 1e-12  # what the mean probability of a class counts as at least, where boosting starts


@dataclass(frozen=True)
class SoftObjective:
    """The library's loss as LightGBM and XGBoost ask for it.

    Attributes:
        targets: What is learned.
        factor: By which the package multiplies the second derivative of a class, of C classes.
    """

    targets: SoftTargets
    factor: float

    def __call__(
        self, labels: Any, scores: Numbers, sample_weight: Any = None
    ) -> tuple[Numbers, Numbers]:
        """Return gradient and second derivative.

        Args:
            labels: Not looked at: the targets are known.
            scores: Of the classes, [N, C]; of two classes the second one's above the first, [N].
            sample_weight: Not looked at: the targets have them.

        Returns:
            Both in the shape of the scores.
        """
        one = scores.ndim == 1
        given = np.stack([np.zeros_like(scores), scores], axis=1) if one else scores
        gradient, curvature = self.targets.derivatives(given.astype(np.float64))
        if one:
            return gradient[:, 1], curvature[:, 1]
        return gradient, np.maximum(self.factor * curvature, 1e-16)


def learns_softly(estimator: Any) -> bool:
    """Say whether an estimator is one of those here, and keeps its own log loss.

    Args:
        estimator: A classifier; of a pipeline its last step.
    """
    return _kind(estimator) is not None


def wants_numbers(estimator: Any) -> bool:
    """Say whether an estimator takes classes that are numbered from 0 and no others.

    Args:
        estimator: A classifier; of a pipeline its last step.
    """
    xgboost = sys.modules.get("xgboost")
    return xgboost is not None and isinstance(estimator, xgboost.XGBClassifier)


def fit_softly(estimator: Any, targets: SoftTargets, fit: Fit) -> bool:
    """Fit an estimator to soft targets.

    Args:
        estimator: One for which :func:`learns_softly` holds; it is fitted in place.
        targets: What is learned: each class is that of some row.
        fit: Sets parameters of the estimator and fits it, alone or as the last step of a pipeline.

    Returns:
        Whether it is fitted. LightGBM takes no objective of others where it can split no column, as
        with fewer rows than two leaves need.
    """
    kind, given = _kind(estimator), estimator.get_params()
    assert kind is not None
    if len(targets) < 2 * given.get("min_child_samples", 0):
        return False
    try:
        kind(estimator, targets, fit)
    except Exception as error:
        estimator.set_params(**given)
        if "num_features" in str(error):
            return False
        raise
    return True


def _kind(estimator: Any) -> Callable[[Any, SoftTargets, Fit], None] | None:
    """Return what fits an estimator; its package is loaded where an object of it exists."""
    lightgbm, xgboost = sys.modules.get("lightgbm"), sys.modules.get("xgboost")
    if lightgbm and isinstance(estimator, lightgbm.LGBMClassifier):
        return _fit_lightgbm if _is_plain(estimator, _OF_LIGHTGBM) else None
    if xgboost and isinstance(estimator, xgboost.XGBClassifier):
        return _fit_xgboost if _is_plain(estimator, _OF_XGBOOST) else None
    return None


_OF_LIGHTGBM: dict[str, tuple[Any, ...]] = {
    "objective": (None, "binary", "multiclass"),
    "boosting_type": ("gbdt",),  # dart drops its start with its first trees
    "boosting": (None, "gbdt"),
    "class_weight": (None,),
    "is_unbalance": (None, False),
    "scale_pos_weight": (None, 1),
    "sigmoid": (None, 1),
    "linear_tree": (None, False),
    "boost_from_average": (None, True),
}
_OF_XGBOOST: dict[str, tuple[Any, ...]] = {
    "objective": (None, "binary:logistic", "multi:softprob"),
    "scale_pos_weight": (None, 1),
    "base_score": (None,),
}
"""Settings that bear on the log loss, and the values with which it is the plain one."""


def _is_plain(estimator: Any, plain: dict[str, tuple[Any, ...]]) -> bool:
    given = estimator.get_params()
    return all(
        not callable(given.get(name)) and given.get(name) in values
        for name, values in plain.items()
        if name in given
    )


def _log_prior(targets: SoftTargets) -> Numbers:
    """Return the scores that boosting starts from: [C], or [1] of two classes."""
    scores: Numbers = np.log(np.maximum(targets.prior, _RARE))
    return scores[1:] - scores[:1] if len(scores) == 2 else scores


def _fit_lightgbm(estimator: Any, targets: SoftTargets, fit: Fit) -> None:
    start, classes = _log_prior(targets), targets.labels.shape[1]
    given, others = estimator.objective, dict(estimator._other_params)
    objective = SoftObjective(targets, classes / (classes - 1))
    scores = np.tile(start, (len(targets), 1))
    fit({"objective": objective}, {"init_score": scores[:, 0] if classes == 2 else scores})
    booster = estimator.booster_
    first = booster.dump_model(num_iteration=1)["tree_info"]  # a tree for each class
    for tree, (above, told) in enumerate(zip(start, first, strict=True)):
        for leaf in range(told["num_leaves"]):
            value = booster.get_leaf_output(tree, leaf)
            booster.set_leaf_output(tree, leaf, value + above)
    name = "binary sigmoid:1" if classes == 2 else f"multiclass num_class:{classes}"
    text = booster.model_to_string(num_iteration=-1)
    whole = text.replace("\nfeature_names=", f"\nobjective={name}\nfeature_names=", 1)
    estimator.set_params(objective=given)
    estimator._other_params = others
    estimator._Booster = type(booster)(model_str=whole)
    estimator._objective = name.partition(" ")[0]


def _fit_xgboost(estimator: Any, targets: SoftTargets, fit: Fit) -> None:
    start, classes = _log_prior(targets), targets.labels.shape[1]
    objective = SoftObjective(targets, 2.0)
    base = float(1 / (1 + np.exp(-start[0]))) if classes == 2 else start - start.mean()
    # XGBoost weighs its bins by the rows' weights, too.
    given = {} if targets.weights is None else {"sample_weight": targets.weights}
    fit({"objective": objective, "base_score": base}, given)
    estimator.objective = "binary:logistic" if classes == 2 else "multi:softprob"
    estimator.base_score = None
