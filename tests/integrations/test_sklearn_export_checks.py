"""What does not answer as its student, or cannot be written, is refused with a way out."""

import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    SplineTransformer,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier

from goodteacher import DistilledClassifier
from goodteacher.errors import (
    ConfigError,
    DataError,
    ModelError,
    PackageError,
    RunError,
    StudyError,
)
from goodteacher.integrations.sklearn import asking
from tests.integrations.tables import fitted, mixed, run

for _package in ("onnx", "onnxruntime", "skl2onnx"):
    pytest.importorskip(_package, reason="needs goodteacher[sklearn,onnx]")

pytestmark = pytest.mark.usefixtures("briefly_timed")

# --- the check -----------------------------------------------------------------------------------


def test_thresholds_between_values_that_32_bits_cannot_tell_apart_are_refused(tmp_path):
    X = np.repeat([[1.0], [1.0 + 1e-9]], 60, axis=0)
    y = np.repeat([0, 1], 60)
    assert np.float32(X[0, 0]) == np.float32(X[-1, 0])
    boosted = HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=5)
    classifier = fitted(boosted, X, y, teacher=np.eye(2)[y])
    assert classifier.score(X, y) == 1
    told = "60 of these rows the student itself gives another answer .* rounded to 32 bits"
    with pytest.raises(RunError, match=told):
        classifier.export(tmp_path / "out", X)
    assert not list(tmp_path.iterdir()), "nothing half-written"


def test_the_way_out_of_32_bits_works(tmp_path):
    X = np.repeat([[1.0], [1.0 + 1e-9], [2.0]], 60, axis=0).astype("float32")
    y = np.repeat([0, 1, 1], 60)
    boosted = HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=5)
    classifier = fitted(boosted, X, y, teacher=np.eye(2)[y])
    classifier.export(tmp_path / "out", X)
    assert run(tmp_path / "out", {"inputs": X}) == pytest.approx(
        classifier.predict_proba(X), abs=1e-4
    )


def test_a_scaler_before_trees_is_named_and_leaving_it_out_helps(tmp_path):
    X, y = load_breast_cancer(return_X_y=True)
    boosted = HistGradientBoostingClassifier(max_iter=12)
    scaled = fitted(make_pipeline(StandardScaler(), boosted), X, y)
    told = r"StandardScaler moves some values across the thresholds of trees. .* remove it"
    with pytest.raises(RunError, match=told):
        scaled.export(tmp_path / "out", X)
    fitted(boosted, X, y).export(tmp_path / "out", X)


def test_a_student_that_is_translated_wrongly_is_refused(tmp_path, monkeypatch):
    """Numbers of 32 bits are not to blame here."""
    X, y = load_iris(return_X_y=True)
    classifier = fitted(LogisticRegression(max_iter=500), X, y)
    even = np.full((150, 3), 1 / 3)
    monkeypatch.setattr(asking.Served, "run", lambda self, given: even[: len(given["inputs"])])
    with pytest.raises(RunError, match=r"gives the same answers with 32-bit numbers, so the file"):
        classifier.export(tmp_path / "out", X)


def test_answers_that_are_no_numbers_are_refused(tmp_path, monkeypatch):
    X, y = load_iris(return_X_y=True)
    classifier = fitted(LogisticRegression(max_iter=500), X, y)
    nothing = np.full((150, 3), np.nan)
    monkeypatch.setattr(asking.Served, "run", lambda self, given: nothing[: len(given["inputs"])])
    with pytest.raises(RunError, match="differ by up to 1 "):
        classifier.export(tmp_path / "out", X)


class Answering:
    """A file that says what it is told to."""

    def __init__(self, said):
        self.said = np.asarray(said)

    def takes(self, rows):
        return rows

    def run(self, given):
        return self.said[: len(given)]

    def __call__(self, rows):
        return self.said


def test_equal_votes_are_ties_and_all_else_is_a_changed_prediction():
    expected = np.array([[0.5, 0.5], [0.5 + 4e-7, 0.5 - 4e-7], [0.50002, 0.49998]])
    found = np.array([[0.5 - 1e-8, 0.5 + 1e-8], [0.5, 0.5 + 1e-8], [0.49999, 0.50001]])
    agreement, ties = asking.compared(Answering(found), expected, np.zeros((3, 1)))
    assert (agreement.changed, ties) == (1, 2)
    assert agreement.largest_difference == pytest.approx(3e-5)
    assert not agreement.holds


def test_each_batch_size_is_asked():
    expected = np.full((100, 2), 0.5)
    asked = []

    class Counting(Answering):
        def run(self, given):
            asked.append(len(given))
            return super().run(given)

    agreement, _ = asking.compared(Counting(expected), expected, np.zeros((100, 1)))
    assert asked == [1, 7, 64]
    assert agreement.holds


def test_a_batch_size_that_differs_is_seen():
    expected = np.full((100, 2), 0.5)

    class Odd(Answering):
        def run(self, given):
            return self.said[: len(given)] + 0.01 * (len(given) == 7)

    agreement, _ = asking.compared(Odd(expected), expected, np.zeros((100, 1)))
    assert agreement.largest_difference == pytest.approx(0.01)


# --- what cannot leave ---------------------------------------------------------------------------

REFUSED = {
    "a function of the user's": (
        make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()),
        ModelError,
        r"FunctionTransformer > LogisticRegression cannot be written .* FunctionTransformer is not",
    ),
    "a step without a converter": (
        make_pipeline(SplineTransformer(n_knots=3), LogisticRegression()),
        ModelError,
        "The step SplineTransformer cannot be converted to ONNX by skl2onnx",
    ),
    "without probabilities": (
        SGDClassifier(random_state=0),
        ConfigError,
        "The student SGDClassifier predicts classes without probabilities",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_has_no_form_in_onnx_is_named(tmp_path, kind):
    student, error, told = REFUSED[kind]
    X, y = load_iris(return_X_y=True)
    classifier = fitted(student, X, y)
    with pytest.raises(error, match=told) as caught:
        classifier.export(tmp_path / "out", X)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_reader_of_texts_is_named(tmp_path):
    texts = np.array(["good day", "bad day", "good night", "bad night"] * 10, dtype=object)
    y = np.array([1, 0] * 20)
    student = make_pipeline(TfidfVectorizer(), LogisticRegression())
    classifier = fitted(student, texts, y, teacher=np.eye(2)[y])
    with pytest.raises(
        ModelError, match=r"The step TfidfVectorizer reads texts.*goodteacher\.search"
    ):
        classifier.export(tmp_path / "out", texts)


def test_an_array_of_words_is_refused(tmp_path):
    words = np.array([["red", "big"], ["blue", "small"]] * 20, dtype=object)
    student = make_pipeline(OneHotEncoder(), LogisticRegression())
    y = np.array([0, 1] * 20)
    classifier = fitted(student, words, y, teacher=np.eye(2)[y])
    with pytest.raises(ModelError, match=r"an array of texts.* Fit the student to a data frame"):
        classifier.export(tmp_path / "out", words)


def test_a_frame_of_words_without_an_encoder_is_refused(tmp_path):
    frame, y = mixed(gaps=False)

    class Lengths(BaseEstimator, ClassifierMixin):
        def fit(self, X, y, sample_weight=None):
            self.classes_ = np.unique(y)
            return self

        def predict(self, X):
            return self.classes_[X["colour"].str.len() % 2]

        def predict_proba(self, X):
            return np.eye(2)[X["colour"].str.len() % 2]

    student = make_pipeline("passthrough", Lengths())
    classifier = fitted(student, frame, y, teacher=RandomForestClassifier(3))
    with pytest.raises(ModelError, match=r"takes the columns colour.* are not numbers"):
        classifier.export(tmp_path / "out", frame)


@pytest.mark.parametrize(
    ("student", "told"),
    [
        (make_pipeline(StandardScaler(), DecisionTreeClassifier()), "StandardScaler"),
        (make_pipeline(MinMaxScaler(), HistGradientBoostingClassifier()), "MinMaxScaler"),
        (make_pipeline(StandardScaler(), LogisticRegression()), None),
        (make_pipeline(SimpleImputer(), DecisionTreeClassifier()), None),
        (DecisionTreeClassifier(), None),
    ],
)
def test_a_scaler_before_trees_is_found(student, told):
    assert asking._scaler_before_trees(student) == told


def test_categories_that_trees_split_themselves_are_refused(tmp_path):
    frame, y = mixed(gaps=False)
    few = frame[["height", "floor"]]
    boosted = HistGradientBoostingClassifier(max_iter=3, categorical_features="from_dtype")
    classifier = fitted(boosted, few, y, teacher=RandomForestClassifier(3))
    with pytest.raises(ModelError, match="uses columns of categories directly"):
        classifier.export(tmp_path / "out", few)


def test_a_column_that_is_called_as_an_output_is_refused(tmp_path):
    X, y = load_iris(return_X_y=True)
    frame = pd.DataFrame(X, columns=["a", "b", "c", "probabilities"])
    classifier = fitted(LogisticRegression(max_iter=500), frame, y)
    with pytest.raises(ModelError, match="A column is called 'probabilities'"):
        classifier.export(tmp_path / "out", frame)


def test_bad_input_leaves_nothing(tmp_path):
    X, y = load_iris(return_X_y=True)
    classifier = fitted(LogisticRegression(max_iter=500), X, y)
    out = tmp_path / "out"
    for arguments, error, told in (
        ({"X": X[:0]}, ValueError, "sample|rows"),
        ({"X": X[:, :2]}, ValueError, "features"),
        ({"X": X, "y": y[:3]}, DataError, "y has 3 classes for the 150 rows"),
        ({"X": X, "y": np.where(y == 0, 7, y)}, DataError, r"y holds 7, but .* never seen"),
        ({"X": X[:1], "y": y[:1]}, DataError, "One row is too few"),
        ({"X": X, "format": "pmml"}, ConfigError, "can be exported only as 'onnx', not as 'pmml'"),
    ):
        with pytest.raises(error, match=told):
            classifier.export(out, **arguments)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    X, y = load_iris(return_X_y=True)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StudyError, match="exists and is not empty"):
        fitted(LogisticRegression(max_iter=500), X, y).export(tmp_path, X)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_before_fit_there_is_nothing_to_export(tmp_path):
    with pytest.raises(NotFittedError):
        DistilledClassifier().export(tmp_path / "out", np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("package", "extra"), [("skl2onnx", "sklearn"), ("onnx", "onnx"), ("onnxruntime", "onnx")]
)
def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch, package, extra):
    X, y = load_iris(return_X_y=True)
    classifier = fitted(LogisticRegression(max_iter=500), X, y)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PackageError, match=rf"{package}: pip install 'goodteacher\[{extra}\]'"):
        classifier.export(tmp_path / "out", X)
    assert not list(tmp_path.iterdir())
