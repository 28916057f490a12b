"""A table's student as an ONNX file answers as the student does, whatever it is."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_iris, make_classification
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from goodteacher.errors import ModelError
from goodteacher.integrations.sklearn.table_inputs import columns_of, fed, table_of, texts_of
from tests.integrations.tables import SCALED, fitted, given_as_columns, mixed, run

for _package in ("onnx", "onnxruntime", "skl2onnx"):
    pytest.importorskip(_package, reason="needs goodteacher[sklearn,onnx]")

pytestmark = pytest.mark.usefixtures("briefly_timed")

# --- students of every kind ----------------------------------------------------------------------

STUDENTS = {
    "linear": LogisticRegression(max_iter=5000),
    "scaled": SCALED,
    "nested pipelines": make_pipeline(make_pipeline(StandardScaler()), SCALED),
    "tree": DecisionTreeClassifier(max_depth=4),
    "forest": RandomForestClassifier(8),
    "extra trees": ExtraTreesClassifier(4),
    "boosted": HistGradientBoostingClassifier(max_iter=6),
    "bayes": GaussianNB(),
    "perceptron of log loss": make_pipeline(StandardScaler(), MLPClassifier((4,), max_iter=30)),
    "calibrated": CalibratedClassifierCV(GaussianNB(), cv=2),
    "calibrated and boosted": CalibratedClassifierCV(
        HistGradientBoostingClassifier(max_iter=3), cv=2
    ),
}
TABLES = {"three classes": load_iris, "two classes": load_breast_cancer}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("kind", STUDENTS)
def test_a_file_answers_as_the_student_does(tmp_path, kind, table):
    X, y = TABLES[table](return_X_y=True)
    classifier = fitted(STUDENTS[kind], X, y)
    found = classifier.export(tmp_path / "out", X)
    said = run(tmp_path / "out", {"inputs": X.astype(np.float32)})
    expected = classifier.predict_proba(X)
    assert said.shape == expected.shape
    assert said.dtype == np.float32
    assert said == pytest.approx(expected, abs=1e-4)
    changed = said.argmax(axis=1) != expected.argmax(axis=1)
    assert changed.sum() == found.ties
    assert found.files[0].agreement.examples == len(X)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("package", ["lightgbm", "xgboost"])
@pytest.mark.parametrize("piped", [False, True], ids=["alone", "in a pipeline"])
def test_boosted_trees_of_other_packages_leave_too(tmp_path, package, piped, table):
    pytest.importorskip("onnxmltools", reason="needs goodteacher[sklearn]")
    module = pytest.importorskip(package, reason=f"{package} is missing")
    make = module.LGBMClassifier if package == "lightgbm" else module.XGBClassifier
    settings = {"verbose": -1} if package == "lightgbm" else {}
    student = make(n_estimators=8, n_jobs=1, **settings)
    X, y = TABLES[table](return_X_y=True)
    names = y if package == "xgboost" else np.array(["pear", "apple", "fig"])[y]
    classifier = fitted(make_pipeline(SimpleImputer(), student) if piped else student, X, names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LightGBM's own, of names of columns
        classifier.export(tmp_path / "out", X)
        expected = classifier.predict_proba(X)
    said = run(tmp_path / "out", {"inputs": X.astype(np.float32)})
    assert said == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("package", ["lightgbm", "xgboost"])
def test_boosted_trees_that_learned_soft_targets_leave_as_any(tmp_path, package, table):
    """With a temperature of the loss, where their package takes one."""
    pytest.importorskip("onnxmltools", reason="needs goodteacher[sklearn]")
    module = pytest.importorskip(package, reason=f"{package} is missing")
    make = module.LGBMClassifier if package == "lightgbm" else module.XGBClassifier
    settings = {"verbose": -1} if package == "lightgbm" else {}
    X, y = TABLES[table](return_X_y=True)
    soft = {"temperatures": (2.0,), "alphas": (0.7,), "teacher": RandomForestClassifier(5)}
    classifier = fitted(make(n_estimators=6, n_jobs=1, **settings), X, y, **soft)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier.export(tmp_path / "out", X)
        expected = classifier.predict_proba(X)
    said = run(tmp_path / "out", {"inputs": X.astype(np.float32)})
    assert said == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("package", ["lightgbm", "xgboost"])
@pytest.mark.parametrize("frame", ["numbers", "words"])
def test_boosted_trees_of_other_packages_take_frames(tmp_path, package, frame):
    pytest.importorskip("onnxmltools", reason="needs goodteacher[sklearn]")
    module = pytest.importorskip(package, reason=f"{package} is missing")
    make = module.LGBMClassifier if package == "lightgbm" else module.XGBClassifier
    settings = {"verbose": -1} if package == "lightgbm" else {}
    X, y = load_iris(return_X_y=True, as_frame=True)
    if frame == "words":
        X, names = mixed()
        y = (names == "yes").astype(int)
    classifier = fitted(make(n_estimators=6, n_jobs=1, **settings), X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier.export(tmp_path / "out", X)
        expected = classifier.predict_proba(X)
    text = {"colour", "new", "floor"} if frame == "words" else ()
    said = run(tmp_path / "out", given_as_columns(X, text))
    assert said == pytest.approx(expected, abs=1e-4)


def test_gaps_in_an_array_go_where_boosted_trees_send_them(tmp_path):
    X, y = load_iris(return_X_y=True)
    X[::3, 2] = np.nan
    classifier = fitted(HistGradientBoostingClassifier(max_iter=5), X, y)
    with_gaps = classifier.predict_proba(X)
    assert np.abs(with_gaps[::3] - classifier.predict_proba(np.nan_to_num(X))[::3]).max() > 0.01
    classifier.export(tmp_path / "out", X)
    assert run(tmp_path / "out", {"inputs": X.astype(np.float32)}) == pytest.approx(
        with_gaps, abs=1e-4
    )


def test_a_sparse_table_is_served_as_a_dense_one(tmp_path):
    X, y = make_classification(90, 8, random_state=0)
    X[np.abs(X) < 0.7] = 0
    rows = sparse.csr_matrix(X)
    classifier = fitted(LogisticRegression(), rows, y)
    classifier.export(tmp_path / "out", rows)
    said = run(tmp_path / "out", {"inputs": X.astype(np.float32)})
    assert said == pytest.approx(classifier.predict_proba(rows), abs=1e-4)


def test_a_class_that_nothing_weighed_for_has_probability_zero(tmp_path):
    X, y = load_iris(return_X_y=True)
    soft = np.eye(3)[np.where(y == 1, 2, y)]
    classifier = fitted(LogisticRegression(max_iter=500), X, y, teacher=soft)
    assert classifier.student_.classes_.tolist() == [0, 2]
    classifier.export(tmp_path / "out", X)
    said = run(tmp_path / "out", {"inputs": X.astype(np.float32)})
    assert (said[:, 1] == 0).all()
    assert said == pytest.approx(classifier.predict_proba(X), abs=1e-4)


# --- data frames ---------------------------------------------------------------------------------


ENCODED = {
    "tree": DecisionTreeClassifier(max_depth=4),
    "forest": RandomForestClassifier(6),
    "default": None,
}


@pytest.mark.parametrize("kind", ENCODED)
def test_a_frame_is_encoded_in_the_file(tmp_path, kind):
    frame, y = mixed()
    classifier = fitted(ENCODED[kind], frame, y)
    found = classifier.export(tmp_path / "out", frame, y)
    kinds = {each.name: each.kind for each in found.card.columns}
    text = {"colour", "new", "floor"}
    assert kinds == {name: "text" if name in text else "number" for name in frame.columns}
    said = run(tmp_path / "out", given_as_columns(frame, text))
    assert said == pytest.approx(classifier.predict_proba(frame), abs=1e-4)


def test_words_never_seen_and_new_gaps_are_as_in_the_student(tmp_path):
    frame, y = mixed(gaps=False)
    classifier = fitted(DecisionTreeClassifier(max_depth=6), frame, y)
    odd = frame.head(30).copy()
    odd.loc[::2, "colour"] = "yellow"
    odd.loc[1::4, "colour"] = None
    odd.loc[::5, "height"] = np.nan
    classifier.export(tmp_path / "out", odd)
    said = run(tmp_path / "out", given_as_columns(odd, {"colour", "new", "floor"}))
    assert said == pytest.approx(classifier.predict_proba(odd), abs=1e-4)


def test_rare_values_share_a_column(tmp_path):
    rng = np.random.default_rng(0)
    town = np.array([f"town {n}" for n in range(70)])
    frame = pd.DataFrame({"town": rng.choice(town, 900), "size": rng.normal(size=900)})
    y = (frame["town"].str[-1].astype(int) + frame["size"] > 5).astype(int)
    classifier = fitted(LogisticRegression(), frame, y)
    coder = classifier.student_[0].named_transformers_["words"]
    assert len(coder.infrequent_categories_[0]) == 21
    classifier.export(tmp_path / "out", frame)
    said = run(tmp_path / "out", given_as_columns(frame, {"town"}))
    assert said == pytest.approx(classifier.predict_proba(frame), abs=1e-4)


def test_a_frame_of_numbers_has_an_input_for_each_column(tmp_path):
    X, y = load_iris(return_X_y=True, as_frame=True)
    classifier = fitted(SCALED, X, y)
    classifier.export(tmp_path / "out", X)
    said = run(tmp_path / "out", given_as_columns(X, ()))
    assert said == pytest.approx(classifier.predict_proba(X), abs=1e-4)


OWN_PIPELINES = {
    "scaled and one-hot": make_column_transformer(
        (StandardScaler(), ["height", "rooms"]),
        (OneHotEncoder(handle_unknown="ignore"), ["colour"]),
    ),
    "imputed and numbered": make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["height", "rooms"]),
        (OrdinalEncoder(), ["colour"]),
    ),
    "picked by type": make_column_transformer(
        (StandardScaler(), make_column_selector(dtype_include="number"))
    ),
    "truth values": make_column_transformer(
        (StandardScaler(), ["rooms"]), ("passthrough", ["new"])
    ),
}


@pytest.mark.parametrize("kind", OWN_PIPELINES)
def test_pipelines_of_the_user_choose_their_columns(tmp_path, kind):
    frame, y = mixed(gaps=False)
    frame = frame.drop(columns="floor")
    classifier = fitted(make_pipeline(OWN_PIPELINES[kind], LogisticRegression()), frame, y)
    classifier.export(tmp_path / "out", frame)
    said = run(tmp_path / "out", given_as_columns(frame, {"colour"}))
    assert said == pytest.approx(classifier.predict_proba(frame), abs=1e-4)


def test_a_gap_and_an_empty_text_cannot_be_told_apart(tmp_path):
    frame = pd.DataFrame({"colour": ["red", "", None, "blue"] * 20})
    y = np.arange(80) % 4 // 2
    classifier = fitted(DecisionTreeClassifier(), frame, y)
    with pytest.raises(
        ModelError, match=r"Column 'colour' has different values .* same when written as text"
    ):
        classifier.export(tmp_path / "out", frame)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (["a", None, float("nan"), pd.NA], ["a", "", "", ""]),
        ([True, False], ["True", "False"]),
        ([1, 2.0, np.float64(3), np.int64(4), 0.5], ["1", "2", "3", "4", "0.5"]),
    ],
)
def test_values_as_texts(values, texts):
    assert texts_of(values).tolist() == texts


def test_each_value_of_a_column_has_a_row_and_the_last_one_is_for_all_others():
    coder = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=2)
    coder.fit(np.array([["a"], ["a"], ["b"], [None]], dtype=object))
    known, rows = table_of(coder, 0, "letter")
    assert known == ["a", "b", ""]
    assert rows.tolist() == [[1, 0], [0, 1], [0, 1], [0, 1]]
    plain = OneHotEncoder(handle_unknown="ignore").fit(np.array([["a"], ["b"]], dtype=object))
    assert table_of(plain, 0, "letter")[1].tolist() == [[1, 0], [0, 1], [0, 0]]


def test_a_frame_is_fed_by_the_names_of_its_columns():
    frame = pd.DataFrame({"size": [1, None], "new": [True, False], "colour": ["red", None]})
    columns = columns_of(frame)
    assert [each.kind for each in columns] == ["number", "number", "text"]
    given = fed(frame[["colour", "new", "size"]], columns)
    assert given["new"].tolist() == [[1.0], [0.0]]
    assert given["colour"].tolist() == [["red"], [""]]
    assert given["size"].dtype == np.float32
    assert np.isnan(given["size"][1, 0])


def test_numbers_beyond_32_bits_are_infinite_without_a_warning():
    assert fed(np.array([[1e300, -1e300]]), ())["inputs"].tolist() == [[np.inf, -np.inf]]
