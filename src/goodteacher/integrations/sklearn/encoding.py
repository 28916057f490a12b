"""Data frames with words and gaps, for estimators that take numbers alone.

Numbers: gaps become the median, with a column that says where they were. All else - words,
categories, truth values: a column for each of the 50 commonest values, a missing one among them,
and one for the rest; a value that was never seen counts as the rest, or as none.
"""

from __future__ import annotations

from typing import Any

from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import get_tags

from goodteacher.networks import one_hot_encoder


def encoded(estimator: Any, rows: Any, *, always: bool = False) -> Any:
    """Put an encoder before an estimator, where it could not take a data frame as it is.

    Args:
        estimator: Of scikit-learn's kind; a pipeline is left as it is, since it says itself what
            becomes of each column.
        rows: What it shall be fitted to.
        always: Also before a pipeline.

    Returns:
        The estimator, or a pipeline that ends in it.

    Example:
        >>> import pandas as pd
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> rows = pd.DataFrame({"size": [1.0, None], "colour": ["red", "blue"]})
        >>> [step for step, _ in encoded(DecisionTreeClassifier(), rows).steps]
        ['tableencoder', 'decisiontreeclassifier']
    """
    if not hasattr(rows, "iloc") or (isinstance(estimator, Pipeline) and not always):
        return estimator
    if _takes(estimator, rows):
        return estimator
    return make_pipeline(encoder(), estimator)


class TableEncoder(ColumnTransformer):
    """The encoder of data frames, told apart from those that users write: `encoder` makes it."""


def encoder() -> TableEncoder:
    """Return what turns a data frame into numbers without gaps."""
    numbers, others = (
        make_column_selector(dtype_include="number"),
        make_column_selector(dtype_exclude="number"),
    )
    gaps = SimpleImputer(strategy="median", add_indicator=True)
    return TableEncoder(
        [("numbers", gaps, numbers), ("words", one_hot_encoder(), others)],
        verbose_feature_names_out=False,
    )


def are_numbers(rows: Any) -> bool:
    """Say whether a data frame holds numbers without gaps.

    Args:
        rows: A data frame of pandas.
    """
    return _other_columns(rows) == [] and not bool(rows.isna().to_numpy().any())


def _takes(estimator: Any, rows: Any) -> bool:
    """Say whether an estimator takes a data frame as it is."""
    others = _other_columns(rows)
    native = hasattr(estimator, "categorical_features") and all(
        str(rows.dtypes[name]) == "category" for name in others
    )
    if others and not native:
        return False
    tags = get_tags(estimator) if hasattr(estimator, "__sklearn_tags__") else None
    takes_gaps = tags is not None and tags.input_tags.allow_nan
    return takes_gaps or not bool(rows.isna().to_numpy().any())


def _other_columns(rows: Any) -> list[Any]:
    return list(rows.select_dtypes(exclude="number").columns)
