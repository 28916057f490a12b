"""`DistilledClassifier` and frames of every kind: Polars, Arrow, words, gaps, categories."""

import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from goodteacher import DistilledClassifier
from goodteacher.errors import PackageError
from goodteacher.integrations.sklearn.tables import as_rows

QUICK = {"temperatures": (1.0,), "alphas": (1.0,), "smoothings": (0.1,), "random_state": 0}
SHORT = {"student_epochs": 30, "student_batch_size": 16, "seeds": 2, "search_seeds": 1}
SHORT |= {"rungs": 1, "extend": False, "device": "cpu", "selection_fraction": 0.2}
TREE = DecisionTreeClassifier(max_depth=3, random_state=0)


def quick(student=None, **settings):
    return DistilledClassifier(
        TREE, student or LogisticRegression(), **{**QUICK, "cv": 3, **settings}
    )


def own(**settings):
    return quick("mlp:4", settings=SHORT, **settings)


def frame(count=150, *, words=True, seed=0):
    """The class is told by a word and a number, both of which are missing at times."""
    drawn = np.random.default_rng(seed)
    codes = np.arange(count) % 3
    made = pd.DataFrame({"a": codes + drawn.normal(0, 0.3, count), "b": drawn.normal(size=count)})
    if words:
        made["kind"] = np.array(["low", "middle", "high"])[codes]
        made.loc[::11, "kind"] = None
        made.loc[::9, "b"] = None
    return made, np.array(["cat", "dog", "owl"])[codes]


def of_polars(rows):
    return pytest.importorskip("polars").from_pandas(rows)


@pytest.mark.parametrize("kind", [pa.Table.from_pandas, of_polars])
@pytest.mark.parametrize("words", [False, True])
def test_arrow_tables_and_frames_of_polars_are_taken_as_they_are(kind, words):
    rows, names = frame(words=words)
    ours, theirs = quick().fit(kind(rows), names), quick().fit(rows, names)
    assert list(ours.feature_names_in_) == list(rows.columns)
    assert np.allclose(ours.predict_proba(kind(rows)), theirs.predict_proba(rows))
    assert np.allclose(ours.predict_proba(rows), theirs.predict_proba(rows))


def test_columns_of_other_names_are_refused_of_arrow_tables_too():
    rows, names = frame(words=False)
    fitted = quick().fit(pa.Table.from_pandas(rows), names)
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(pa.Table.from_pandas(rows.rename(columns={"a": "other"})))


def test_classes_may_be_a_column_of_arrow_or_polars():
    rows, names = frame(words=False)
    fitted = quick().fit(rows, pa.chunked_array([names.tolist()]))
    assert fitted.classes_.tolist() == ["cat", "dog", "owl"]
    polars = pytest.importorskip("polars")
    assert quick().fit(rows, polars.Series(names)).classes_.tolist() == ["cat", "dog", "owl"]


def test_an_arrow_table_needs_pandas_for_words_alone(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    rows = as_rows(pa.table({"a": [1, 2], "b": [0.5, None]}))
    assert rows[0].tolist() == [1.0, 0.5]
    assert np.isnan(rows[1, 1])
    with pytest.raises(PackageError, match=r"columns of words.*pip install pandas"):
        as_rows(pa.table({"a": ["x", "y"]}))


def test_unlabelled_arrow_rows_go_with_labelled_ones():
    rows, names = frame()
    fitted = quick().fit(rows[:120], names[:120], unlabelled=pa.Table.from_pandas(rows[120:]))
    assert fitted.report_.num_unlabelled == 30


@pytest.fixture(scope="module")
def networked():
    rows, names = frame()
    rows["code"] = pd.Categorical((np.arange(len(rows)) % 4) * 10)
    return own().fit(rows, names), rows, names


def test_a_network_encodes_rows_in_its_own_preparation(networked):
    classifier, rows, names = networked
    spec = classifier.student_.card.inputs
    assert (spec.kind, spec.columns) == ("rows", ("a", "b", "kind", "code"))
    assert spec.words["kind"] == ("high", "low", "middle")
    assert set(spec.words["code"]) == {"0", "10", "20", "30"}, "categories of numbers are words"
    found = classifier.student_.predict_proba(rows).numpy()
    assert np.allclose(found, classifier.predict_proba(rows))
    assert classifier.score(rows, names) > 0.5


def test_a_network_takes_words_that_it_never_saw_and_gaps_anywhere(networked):
    classifier, rows, _ = networked
    odd = rows[:4].assign(kind=["never seen", None, "low", "low"])
    odd["code"] = [None, 10, 20, 999]
    odd.loc[2, ["a", "b"]] = None
    found = classifier.predict_proba(odd)
    assert np.isfinite(found).all()
    assert found.sum(1) == pytest.approx(1, abs=1e-6)


def test_a_network_takes_arrow_and_columns_whose_names_are_numbers():
    rows, names = frame(words=False)
    rows.columns = [0, 1]
    rows.loc[::9, 1] = None
    plain = own().fit(rows, names)
    assert plain.student_.card.inputs.columns == ("0", "1")
    assert plain.predict_proba(rows).shape == (150, 3)
    rows, names = frame()
    table = pa.Table.from_pandas(rows)
    fitted = own().fit(table, names)
    assert np.allclose(fitted.predict_proba(table), fitted.predict_proba(rows))
