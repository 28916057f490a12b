"""What skl2onnx is told of estimators that it does not turn into ONNX, or not rightly, by itself.

LightGBM's and XGBoost's classifiers go through onnxmltools. skl2onnx 1.20 gives ONNX truth values
where it wants whole numbers, for `HistGradientBoostingClassifier`, which ONNX 1.23 refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import FeatureUnion, Pipeline

from goodteacher.errors import needed_package

Convert = Callable[[Any, Any, Any], None]
"""Adds an estimator to a graph: takes skl2onnx's scope, operator and container."""

_MULTOOLS = "onnxmltools.convert"
_BOOSTED = {
    "lightgbm": ("LGBMClassifier", f"{_MULTOOLS}.lightgbm.operator_converters.LightGbm"),
    "xgboost": ("XGBClassifier", f"{_MULTOOLS}.xgboost.operator_converters.XGBoost"),
}
"""By package: its classifier, and the module whose function ``convert_PACKAGE`` turns it."""


def parts_of(estimator: Any) -> Iterator[Any]:
    """Yield a fitted estimator and all those that it is made of.

    The steps of pipelines come as they were fitted; what other estimators wrap, as it was given.
    """
    yield estimator
    for part in _below(estimator):
        yield from parts_of(part)


def _below(estimator: Any) -> Iterable[Any]:
    if isinstance(estimator, Pipeline):
        return [step for _, step in estimator.steps if isinstance(step, BaseEstimator)]
    if isinstance(estimator, ColumnTransformer):
        used = estimator.transformers_
        return [part for _, part, _ in used if isinstance(part, BaseEstimator)]
    if isinstance(estimator, FeatureUnion):
        return [part for _, part in estimator.transformer_list if isinstance(part, BaseEstimator)]
    given = estimator.get_params(deep=False).values()
    listed = [each for several in given if isinstance(several, list) for each in several]
    named = [each[1] for each in listed if isinstance(each, tuple) and len(each) == 2]
    return [each for each in (*given, *named) if isinstance(each, BaseEstimator)]


def special(estimator: Any) -> tuple[dict[type, Convert], dict[type, Callable[[Any], None]]]:
    """Return what turns the parts of an estimator that skl2onnx is to be told of.

    Args:
        estimator: A fitted one.

    Returns:
        By type, what converts it and what says the shape of its outputs.

    Raises:
        PackageError: onnxmltools is missing, and needed.
    """
    found: dict[type, Convert] = {}
    for part in parts_of(estimator):
        package = type(part).__module__.partition(".")[0]
        if isinstance(part, HistGradientBoostingClassifier):
            found[type(part)] = _hist_gradient_boosting
        elif package in _BOOSTED and _is_a(part, _BOOSTED[package][0]):
            what = f"A student of {package} in an ONNX file"
            module = needed_package(_BOOSTED[package][1], extra="sklearn", what=what)
            found[type(part)] = _named_by_number(getattr(module, f"convert_{package}"))
    return found, dict.fromkeys(found, _shapes)


def _is_a(estimator: Any, name: str) -> bool:
    return name in {kind.__name__ for kind in type(estimator).__mro__}


def _named_by_number(convert: Convert) -> Convert:
    """Return a converter that does not see the names of a data frame's columns.

    That of XGBoost takes no others than f0, f1 and so on.
    """

    def converted(scope: Any, operator: Any, container: Any) -> None:
        if hasattr(operator.raw_operator, "get_booster"):
            operator.raw_operator = deepcopy(operator.raw_operator)
            operator.raw_operator.get_booster().feature_names = None
        convert(scope, operator, container)

    return converted


def _shapes(operator: Any) -> None:
    """Say that there is a class for each row, and a probability for each of its classes."""
    types = needed_package("skl2onnx.common.data_types", extra="sklearn", what="An ONNX file")
    classes, rows = operator.raw_operator.classes_, operator.inputs[0].type.shape[0]
    named = types.StringTensorType if classes.dtype.kind in "OU" else types.Int64TensorType
    operator.outputs[0].type = named([rows])
    operator.outputs[1].type = types.FloatTensorType([rows, len(classes)])


def _hist_gradient_boosting(scope: Any, operator: Any, container: Any) -> None:
    own = needed_package(
        "skl2onnx.operator_converters.random_forest", extra="sklearn", what="An ONNX file"
    )
    own.convert_sklearn_random_forest_classifier(scope, operator, _Plain(container))


class _Plain:
    """A container of skl2onnx that writes truth values as whole numbers.

    Args:
        container: skl2onnx's own.
    """

    def __init__(self, container: Any) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def add_node(self, *given: Any, **attributes: Any) -> None:
        """Add a node, each truth value among its attributes as 0 or 1."""
        plain = {name: _whole(value) for name, value in attributes.items()}
        self._container.add_node(*given, **plain)


def _whole(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return [int(each) if isinstance(each, bool | np.bool_) else each for each in value]
