"""A classifier answers about each example from a fold that it did not see."""

import sys
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from goodteacher.data import UNLABELLED, Split, TableRows, load_dataset, prepare, rows_spec
from goodteacher.errors import ConfigError, ModelError, PackageError
from goodteacher.teachers import FOLDS, Classifying
from tests.made import dataset

PARTS = ("transfer", "selection", "test")


def parts_of(data, **settings):
    parts = prepare(data, **settings)
    return {
        "training": parts.training,
        "transfer": parts.transfer,
        "selection": parts.selection,
        "test": data.test,
    }


def said_by(estimator, parts, num_classes=4, advance=lambda amount: None, **settings):
    kind = Classifying(estimator, num_classes, **{"seed": 0, **settings})
    others = {name: parts[name] for name in PARTS[1:]}
    return kind.said(parts["training"], parts["transfer"], others, advance)


def table(count=150):
    codes = np.arange(count) % 3
    drawn = np.random.default_rng(0)
    made = pd.DataFrame({"size": codes + drawn.normal(0, 0.3, count)})
    made["kind"] = np.array(["low", "middle", "high"])[codes]
    made.loc[::11, "kind"], made.loc[::9, "size"] = None, None
    return load_dataset(made.assign(species=np.array(list("xyz"))[codes]), target="species")


class Recalling(ClassifierMixin, BaseEstimator):
    """Is certain of what it was trained on, and knows nothing else; keeps what it was given."""

    def fit(self, x, y):
        self.classes_ = np.unique(y)
        self.known_ = {row.tobytes(): label for row, label in zip(x, y, strict=True)}
        return self

    def predict_proba(self, x):
        count = len(self.classes_)
        found = np.full((len(x), count), 1 / count)
        for number, row in enumerate(x):
            if row.tobytes() in self.known_:
                found[number] = self.classes_ == self.known_[row.tobytes()]
        return found


def test_nobody_was_trained_on_what_it_answers():
    data = dataset()
    said = said_by(Recalling(), parts_of(data))
    for name in PARTS:
        shares = said.logits[name].softmax(-1)
        assert torch.allclose(shares, torch.full_like(shares, 0.25)), name


@pytest.mark.parametrize("name", ["selection", "test"])
def test_all_of_the_training_part_teaches_who_answers_about_the_rest(name):
    parts = parts_of(dataset())
    turned = parts["training"].subset(list(range(len(parts["training"])))[::-1])
    # ids of a test split may be those of other examples of the training part
    parts[name] = Split(turned.stored, turned.labels, parts["training"].ids)
    said = said_by(Recalling(), parts)
    assert said.logits[name].argmax(1).tolist() == turned.labels.tolist()
    assert said.logits[name].softmax(-1).max(1).values.min() > 0.99


def test_answers_are_those_of_the_folds():
    parts, done = parts_of(dataset()), []
    said = said_by(LogisticRegression(), parts, advance=done.append)
    assert len(done) == FOLDS + 1
    assert {name: tuple(said.logits[name].shape) for name in PARTS} == {
        name: (len(parts[name]), 4) for name in PARTS
    }
    right = said.logits["transfer"].argmax(1) == parts["transfer"].labels
    assert right.float().mean() > 0.5
    assert all(values.isfinite().all() for values in said.logits.values())


def test_size_and_time_of_who_answers_are_noted():
    small, large = (
        said_by(RandomForestClassifier(n), parts_of(dataset())).predictor for n in (2, 40)
    )
    assert large.num_bytes > 5 * small.num_bytes
    assert small.latency.batch_size == 64
    assert small.latency.median > 0


def test_unlabelled_examples_are_answered_and_teach_nobody():
    parts = parts_of(dataset())
    labels = parts["transfer"].labels.clone()
    labels[::4] = UNLABELLED
    parts["transfer"] = Split(parts["transfer"].stored, labels, parts["transfer"].ids)
    known = torch.nonzero(labels >= 0)[:, 0]
    parts["training"] = parts["transfer"].subset(known)
    said = said_by(LogisticRegression(), parts)
    assert said.logits["transfer"].shape == (len(labels), 4)
    parts["training"] = parts["transfer"]
    again = said_by(LogisticRegression(), parts)
    assert torch.equal(again.logits["transfer"], said.logits["transfer"])


def test_the_seed_decides_and_a_seed_of_ones_own_stays():
    parts = parts_of(dataset())
    forest = RandomForestClassifier(3)
    first, again, other = (
        said_by(forest, parts, seed=seed).logits["transfer"] for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    own = Classifying(make_pipeline(RandomForestClassifier(3, random_state=7)), 4, 0)
    assert own._own(parts["training"].stored.spec)[-1].random_state == 7


def test_a_class_with_one_example_is_nobodys_answer():
    inputs = np.random.default_rng(0).normal(size=(40, 3))
    labels = np.array([0, 1] * 19 + [1, 2])
    split = Split.from_arrays(inputs, labels)
    parts = dict.fromkeys(("training", *PARTS), split)
    said = said_by(KNeighborsClassifier(3), parts, 3)
    shares = said.logits["transfer"].softmax(-1)
    assert shares[-1, 2] < 1e-30, "its only example was in the fold that is asked"
    assert shares.sum(1) == pytest.approx(1)


# --- what it is given ----------------------------------------------------------------------------


class Noting(DummyClassifier):
    """Keeps what it was given."""

    given: ClassVar[list] = []

    def fit(self, x, y, sample_weight=None):
        Noting.given.append(x)
        return super().fit(x, y)


def test_rows_are_encoded_by_those_that_it_is_trained_on():
    data = table()
    parts = parts_of(data)
    Noting.given.clear()
    said_by(Noting(), parts, 3)
    whole = Noting.given[-1]
    assert np.isfinite(whole).all()
    assert whole.shape == (len(parts["training"]), 1 + 1 + 4)
    means = [abs(float(rows[:, 0].mean())) for rows in Noting.given]
    assert len(means) == FOLDS + 1
    assert max(means) < 1e-5, "each fold has its own mean"


def test_boosting_gets_gaps_and_words_as_they_are():
    parts = parts_of(table())
    kind = Classifying(HistGradientBoostingClassifier(max_iter=5), 3, 0, categories=True)
    spec = parts["training"].stored.spec
    assert kind._own(spec).categorical_features == [spec.columns.index("kind")]
    given = kind._taken(parts["training"])(parts["training"])
    assert given.shape == (len(parts["training"]), 2)
    assert np.isnan(given[:, 0]).any()
    said = said_by(kind.estimator, parts, 3, categories=True)
    right = said.logits["selection"].argmax(1) == parts["selection"].labels
    assert right.float().mean() > 0.8


def test_a_pipeline_gets_a_frame_with_its_columns():
    data = table()
    words = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="none"),
        OneHotEncoder(handle_unknown="ignore"),
    )
    by_name = make_column_transformer((words, ["kind"]), (SimpleImputer(), ["size"]))
    said = said_by(
        make_pipeline(by_name, LogisticRegression()),
        parts_of(data),
        3,
        names=data.feature_names,
    )
    right = said.logits["test"].argmax(1) == data.test.labels
    assert right.float().mean() > 0.8


def test_a_pipeline_that_takes_no_words_is_told_so():
    data = table()
    with pytest.raises(
        ModelError, match=r"Pipeline cannot be trained on rows of 2.*without a pipeline gets"
    ):
        said_by(make_pipeline(LogisticRegression()), parts_of(data), 3, names=data.feature_names)


def test_a_pipeline_needs_pandas_for_words(monkeypatch):
    part, plain = table().train, dataset().train
    pipeline = make_pipeline(LogisticRegression())
    words = Classifying(pipeline, 3, 0, names=("size", "kind"))._taken(part)
    numbers = Classifying(pipeline, 4, 0, names=tuple("abcdef"))._taken(plain)
    assert list(numbers(plain).columns) == list("abcdef")
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert numbers(plain).shape == (240, 6)
    with pytest.raises(PackageError, match="pip install pandas"):
        words(part)


def test_a_word_that_training_lacks_is_a_word_of_its_own_for_a_pipeline():
    spec = rows_spec({"kind": ("a", "b")})
    split = Split.from_arrays(
        TableRows(torch.tensor([[0.0], [-1.0], [float("nan")]]), spec), [0, 1, 1]
    )
    taken = Classifying(make_pipeline(LogisticRegression()), 2, 0, names=("kind",))._taken(split)
    assert taken(split)["kind"].tolist() == ["a", "(never seen in training)", None]


def test_texts_and_images_are_taken_too():
    texts = [f"{('cat', 'dog')[n % 2]} number {n}" for n in range(40)]
    split = Split.from_texts(texts, np.arange(40) % 2)
    parts = dict.fromkeys(("training", *PARTS), split)
    alone = LogisticRegression()
    for estimator in (alone, make_pipeline(TfidfVectorizer(), LogisticRegression())):
        said = said_by(estimator, parts, 2)
        assert (said.logits["transfer"].argmax(1) == split.labels).float().mean() > 0.9
    images = np.zeros((40, 1, 4, 4), np.uint8)
    images[1::2] = 200
    split = Split.from_arrays(images, np.arange(40) % 2)
    said = said_by(alone, dict.fromkeys(("training", *PARTS), split), 2)
    assert (said.logits["test"].argmax(1) == split.labels).all()


def test_examples_of_several_fields_are_refused():
    fields = {"a": np.zeros((10, 2)), "b": np.zeros((10, 1))}
    split = Split.from_arrays(fields, np.arange(10) % 2)
    with pytest.raises(ConfigError, match="A classifier takes one array"):
        said_by(LogisticRegression(), dict.fromkeys(("training", *PARTS), split), 2)


def test_its_description_is_the_same_in_every_process():
    from sklearn.preprocessing import FunctionTransformer

    kind = Classifying(make_pipeline(FunctionTransformer(lambda x: x), LogisticRegression()), 2, 0)
    assert "0x" not in kind.description
    assert "LogisticRegression()" in kind.description
    assert Classifying(RandomForestClassifier(max_depth=3), 2, 0).description == (
        "RandomForestClassifier(max_depth=3)"
    )
