"""Classifiers by short names, and what is said where one cannot be meant."""

import sys
import warnings

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from torch import nn

from goodteacher.errors import ConfigError, ModelError, PackageError
from goodteacher.networks import (
    canonical_spec,
    estimator_of,
    is_estimator,
    out_of_fold,
    possible_folds,
)
from goodteacher.networks.estimators import ESTIMATORS, about_estimators, filters_kept


class Own:
    """Not of scikit-learn, but of its kind."""

    def fit(self, x, y):
        return self

    def predict_proba(self, x):
        return x


@pytest.mark.parametrize("name", ["forest", "extra-trees", "boosting", "logistic"])
def test_a_name_makes_a_classifier(name):
    called, made, categories = estimator_of(name)
    assert called == name
    assert hasattr(made, "predict_proba")
    assert categories is (name == "boosting")


@pytest.mark.parametrize("package, name", [("lightgbm", "LGBMClassifier"), ("xgboost", "XGB")])
def test_packages_are_asked_for_theirs(package, name, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PackageError, match=f"pip install {package}. 'boosting' is"):
        estimator_of(package)
    monkeypatch.undo()
    pytest.importorskip(package)
    assert type(estimator_of(f"{package}:7")[1]).__name__.startswith(name)
    assert estimator_of(f"{package}:7")[1].n_estimators == 7


def test_the_number_behind_a_name_counts_trees_or_rounds():
    assert estimator_of(" Forest : 0500")[0] == "forest:500"
    assert estimator_of("forest:500")[1].n_estimators == 500
    assert estimator_of("boosting:30")[1].max_iter == 30


@pytest.mark.parametrize("spec", ["forest:many", "forest:", "forest:0", "logistic:3", "forest@raw"])
def test_what_stands_behind_a_name_is_checked(spec):
    with pytest.raises(
        ModelError, match=r"is malformed: it must be .*For other settings, give an object"
    ):
        estimator_of(spec)


def test_what_is_a_classifier_is_told_from_networks():
    assert all(map(is_estimator, [*ESTIMATORS, "FOREST:5", Own(), LogisticRegression()]))
    assert not any(map(is_estimator, ["mlp:3", "forests", None, nn.Linear(2, 2), lambda: None]))
    assert is_estimator(LinearSVC()), "it is one, though it gives no probabilities"


def test_an_object_keeps_the_name_of_its_class():
    forest = RandomForestClassifier(3)
    assert estimator_of(forest) == ("RandomForestClassifier", forest, False)
    assert estimator_of(HistGradientBoostingClassifier())[2] is False
    with pytest.raises(
        ConfigError, match=r"LinearSVC has no predict_proba.*CalibratedClassifierCV"
    ):
        estimator_of(LinearSVC())
    with pytest.raises(ConfigError, match=r"the class Own. Give an object of it: Own\(\)"):
        estimator_of(Own)


def test_a_student_cannot_be_one_and_is_told_what_can():
    with pytest.raises(
        ModelError, match=r"'forest:5' names a scikit-learn classifier.*DistilledClassifier\("
    ):
        canonical_spec("forest:5")
    with pytest.raises(ModelError, match=r"unknown family 'forrest'.*A teacher can also be forest"):
        canonical_spec("forrest")
    assert about_estimators("resnet:9") == ""


@pytest.mark.parametrize("counts, folds", [((9, 9), 5), ((9, 3), 3), ((9, 1), 2), ((0, 9, 4), 4)])
def test_folds_are_as_many_as_the_rarest_class_can_fill(counts, folds):
    assert possible_folds(np.repeat(np.arange(len(counts)), counts), 5) == folds


def test_each_row_is_answered_once_by_who_did_not_see_it():
    codes, asked = np.repeat([0, 1, 2], [6, 6, 1]), []

    def about(seen, held_out):
        assert not {*seen} & {*held_out}
        assert len(seen) + len(held_out) == len(codes)
        asked.extend(held_out)
        return np.eye(3)[held_out % 3]

    said = out_of_fold(codes, 3, about, folds=3, seed=0)
    assert sorted(asked) == list(range(len(codes)))
    np.testing.assert_array_equal(said, np.eye(3)[np.arange(len(codes)) % 3])


def test_filters_that_threads_lose_come_back():
    with warnings.catch_warnings():
        before = list(warnings.filters)
        with filters_kept():
            warnings.resetwarnings()  # what is left where two threads put filters aside at once
        assert list(warnings.filters) == before != []


def test_filters_that_come_while_an_estimator_is_fitted_stay():
    with warnings.catch_warnings():
        with filters_kept():
            warnings.filterwarnings("ignore", "of a package that was imported then")
        patterns = [message.pattern for _, message, *_ in warnings.filters if message]
        assert "of a package that was imported then" in patterns
