"""`DistilledClassifier` keeps scikit-learn's contract, and does what it says."""

import pickle
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
from joblib import parallel_config
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_iris, make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from goodteacher import DistilledClassifier, InputError
from goodteacher.data import DataNote
from goodteacher.errors import ConfigError, DataError, ResponseError

QUICK = {"temperatures": (1.0,), "alphas": (1.0,), "smoothings": (0.1,), "random_state": 0}
TREE = DecisionTreeClassifier(max_depth=3, random_state=0)
LINEAR = LogisticRegression()

ONLY_NUMBERS = "cv is a number: teachers are trained in folds within folds, which no list gives"
EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": ONLY_NUMBERS,
    "check_sample_weight_equivalence_on_sparse_data": ONLY_NUMBERS,
}
"""Checks of scikit-learn that fail, each with its reason."""


def quick(teacher=TREE, student=LINEAR, **settings):
    return DistilledClassifier(teacher, student, **{**QUICK, "cv": 3, **settings})


def table(num=120, num_classes=3, seed=0, noise=0.0):
    return make_classification(
        num,
        6,
        n_informative=4,
        n_classes=num_classes,
        n_clusters_per_class=1,
        flip_y=noise,
        random_state=seed,
    )


# --- scikit-learn's contract ---------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")  # the checks give data that are warned of
@parametrize_with_checks(
    [DistilledClassifier(TREE, LINEAR, **{**QUICK, "cv": 2})],
    expected_failed_checks=lambda _: EXPECTED,
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def test_classes_keep_their_names_and_probabilities_their_order():
    x, y = table()
    names = np.array(["pear", "apple", "fig"])[y]
    classifier = quick().fit(x, names)
    assert classifier.classes_.tolist() == ["apple", "fig", "pear"]
    said = classifier.predict_proba(x)
    assert said.shape == (120, 3)
    assert said.sum(axis=1) == pytest.approx(1)
    assert (classifier.classes_[said.argmax(axis=1)] == classifier.predict(x)).all()
    assert classifier.score(x, names) > 0.7


def test_names_of_columns_are_kept_and_checked():
    x, y = table()
    frame = pd.DataFrame(x, columns=list("abcdef"))
    classifier = quick().fit(frame, y)
    assert classifier.feature_names_in_.tolist() == list("abcdef")
    assert classifier.n_features_in_ == 6
    with pytest.raises(ValueError, match="feature names"):
        classifier.predict(frame[list("fedcba")])


def test_in_a_pipeline_it_gets_frames_where_they_are_asked_for():
    x, y = table()
    frame = pd.DataFrame(x, columns=list("abcdef"))
    pipeline = make_pipeline(StandardScaler(), quick()).set_output(transform="pandas")
    pipeline.fit(frame, y)
    assert pipeline[-1].feature_names_in_.tolist() == list("abcdef")
    assert pipeline.predict(frame).shape == (120,)


def test_a_grid_search_tries_settings_of_teacher_and_student():
    x, y = table()
    grid = {"teacher__max_depth": [1, 3], "student__C": [0.1, 1.0]}
    search = GridSearchCV(quick(repeats=0, cv=2), grid, cv=2, error_score="raise").fit(x, y)
    assert search.best_params_.keys() == grid.keys()
    assert search.best_estimator_.answer_ == "undecided"


def test_sample_weights_are_routed():
    x, y = table()
    weights = np.ones(len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        classifier = quick(repeats=0).set_fit_request(sample_weight=True)
        classifier.set_score_request(sample_weight=True)
        found = cross_validate(classifier, x, y, params={"sample_weight": weights}, cv=2)
        assert found["test_score"].min() > 0.5
        pipeline = make_pipeline(StandardScaler(), LogisticRegression())
        quick(student=pipeline, repeats=0).fit(x, y, sample_weight=weights)


def test_rows_without_weight_teach_nothing():
    x, y = table(200, num_classes=2)
    wrong = np.concatenate([y, 1 - y])
    both, weights = np.concatenate([x, x]), np.repeat([1.0, 1e-9], 200)
    plain, weighed = (
        quick(repeats=0).fit(both, wrong, sample_weight=each) for each in (None, weights)
    )
    assert weighed.score(x, y) > 0.85
    assert plain.score(x, y) < 0.75


def test_a_clone_is_not_fitted_and_has_the_same_settings():
    classifier = quick(cv=4).fit(*table())
    again = clone(classifier)
    assert not hasattr(again, "student_")
    assert again.get_params()["cv"] == 4


def test_the_same_random_state_gives_the_same_classifier():
    x, y = table()
    forest = RandomForestClassifier(5)
    one, two = (quick(forest, DecisionTreeClassifier()).fit(x, y) for _ in range(2))
    assert (one.predict_proba(x) == two.predict_proba(x)).all()
    assert one.summary_ == two.summary_


def test_a_student_of_classes_alone_has_no_probabilities():
    x, y = table()
    classifier = quick(student=SGDClassifier(random_state=0)).fit(x, y)
    assert not hasattr(classifier, "predict_proba")
    assert classifier.report_.families["distilled"].log_loss is None
    assert "nats" not in classifier.summary_
    assert classifier.predict(x).shape == (120,)


def test_the_defaults_work():
    x, y = load_iris(return_X_y=True)
    classifier = DistilledClassifier(cv=2, repeats=0, random_state=0).fit(x, y)
    assert classifier.score(x, y) > 0.9
    assert isinstance(classifier.student_[-1], LogisticRegression)


# --- students ------------------------------------------------------------------------------------


def test_the_baseline_is_the_student_fitted_without_any_of_this():
    x, y = table()
    baseline, plain = quick().fit(x, y).baseline_, clone(LINEAR).fit(x, y)
    assert baseline.predict_proba(x) == pytest.approx(plain.predict_proba(x), abs=1e-12)


def test_alpha_zero_among_others_is_hard_labels():
    x, y = table()
    classifier = quick(alphas=(0.0, 1.0), repeats=0).fit(x, y)
    assert classifier.student_.coef_ == pytest.approx(classifier.baseline_.coef_)


def test_a_student_of_log_loss_minimises_the_cross_entropy_to_soft_targets():
    """At its solution the gradient of the penalised cross-entropy to the teacher vanishes."""
    x, y = table(60)
    soft = np.random.default_rng(0).dirichlet(np.ones(3), 60)
    student = LogisticRegression(C=0.7, tol=1e-10, max_iter=5000)
    made = quick(soft, student, repeats=0, smallest_weight=0).fit(x, y).student_
    gradient = 0.7 * (made.predict_proba(x) - soft).T @ x + made.coef_
    assert np.abs(gradient).max() < 1e-4


def test_a_temperature_softens_the_response_alone():
    x, y = table(60)
    soft = np.random.default_rng(0).dirichlet(np.ones(3), 60)
    softer = soft ** (1 / 4) / (soft ** (1 / 4)).sum(axis=1, keepdims=True)
    hot = quick(soft, temperatures=(4.0,), repeats=0).fit(x, y)
    same = quick(softer, repeats=0).fit(x, y)
    assert hot.predict_proba(x) == pytest.approx(same.predict_proba(x), abs=1e-4)


def test_small_weights_are_left_out_and_their_share_goes_to_the_others():
    from goodteacher.integrations.sklearn.students import weighted_rows

    targets = np.array([[0.7, 0.25, 0.05], [1 / 3, 1 / 3, 1 / 3]])
    rows, codes, weights = weighted_rows(targets, smallest=0.1, weights=np.array([2.0, 1.0]))
    assert rows.tolist() == [0, 0, 1, 1, 1]
    assert codes.tolist() == [0, 1, 0, 1, 2]
    assert weights == pytest.approx([2 * 0.7 / 0.95, 2 * 0.25 / 0.95, 1 / 3, 1 / 3, 1 / 3])


def test_the_most_probable_class_always_stays():
    from goodteacher.integrations.sklearn.students import weighted_rows

    rows, codes, weights = weighted_rows(np.array([[0.4, 0.3, 0.3]]), smallest=0.45)
    assert (rows.tolist(), codes.tolist(), weights.tolist()) == ([0], [0], [1.0])


def test_classes_without_any_weight_are_no_copies_even_where_nothing_is_too_small():
    from goodteacher.integrations.sklearn.students import weighted_rows

    rows, codes, weights = weighted_rows(np.array([[1.0, 0.0], [0.0, 1.0]]), smallest=0)
    assert (rows.tolist(), codes.tolist(), weights.tolist()) == ([0, 1], [0, 1], [1.0, 1.0])


@pytest.mark.parametrize(
    "student",
    [
        GaussianNB(),
        RandomForestClassifier(5),
        make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), LogisticRegression())),
    ],
    ids=["bayes", "forest", "nested pipeline"],
)
def test_students_of_many_kinds_learn(student):
    x, y = table()
    assert quick(student=student, repeats=0).fit(x, y).score(x, y) > 0.7


@pytest.mark.parametrize("package", ["lightgbm", "xgboost"])
def test_boosted_trees_learn(package):
    module = pytest.importorskip(package, reason=f"{package} is missing")
    make = module.LGBMClassifier if package == "lightgbm" else module.XGBClassifier
    settings = {"verbose": -1} if package == "lightgbm" else {}
    x, y = table()
    classifier = quick(student=make(n_estimators=20, n_jobs=1, **settings), repeats=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their own, of names of columns
        assert classifier.fit(x, y).score(x, y) > 0.7


@pytest.mark.parametrize(
    "student, told",
    [
        (KNeighborsClassifier(), "The student KNeighborsClassifier does not support sample_weight"),
        (
            make_pipeline(StandardScaler(), KNeighborsClassifier()),
            "The student KNeighborsClassifier does not support sample_weight",
        ),
        (LogisticRegression, "student is the class LogisticRegression"),
        (LinearRegression(), "The student LinearRegression is a regressor"),
        (
            make_pipeline(StandardScaler(), LinearRegression()),
            "The student LinearRegression is a regressor",
        ),
        (7, "student is a int, which cannot be fitted"),
    ],
    ids=["neighbours", "pipeline", "class", "regressor", "pipeline of one", "number"],
)
def test_a_student_that_cannot_learn_is_refused_with_what_would_do(student, told):
    with pytest.raises(ConfigError, match=told) as refused:
        quick(student=student).fit(*table())
    assert "LogisticRegression" in str(refused.value)


# --- teachers ------------------------------------------------------------------------------------


class Memory(KNeighborsClassifier):
    """A teacher that knows by heart what it has seen: its own nearest neighbour."""

    def __init__(self):
        super().__init__(n_neighbors=1)


def test_a_teacher_that_is_trained_here_answers_about_rows_that_it_did_not_see():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 5)), rng.integers(0, 2, 300)  # nothing to learn
    deep = DecisionTreeClassifier(random_state=0)
    fresh = quick(Memory(), deep, repeats=0).fit(x, y)
    assert 0.35 < fresh.score(x, y) < 0.65, "the teacher's guesses, not the labels"
    with pytest.warns(DataNote, match="trained on these examples"):
        seen = quick(Memory().fit(x, y), deep, repeats=0).fit(x, y)
    assert seen.score(x, y) == 1


def test_function_array_frame_and_fitted_estimator_say_the_same():
    x, y = table()
    x_other, y_other = table(seed=0, num=240)
    teacher = LogisticRegression(max_iter=500).fit(x_other[:120], y_other[:120])
    said = teacher.predict_proba(x)
    kinds = [
        teacher,
        FrozenEstimator(teacher),
        teacher.predict_proba,
        said,
        said.tolist(),
        pd.DataFrame(said[:, ::-1], columns=["2", "1", "0"]),
        lambda rows: pd.DataFrame(teacher.predict_proba(rows)[:, ::-1], columns=["2", "1", "0"]),
        lambda rows: [dict(zip("012", row, strict=True)) for row in teacher.predict_proba(rows)],
        lambda rows: 3 + teacher.predict_log_proba(rows),
    ]
    probabilities = [quick(kind, repeats=0).fit(x, y).predict_proba(x) for kind in kinds]
    for each in probabilities[1:]:
        assert each == pytest.approx(probabilities[0], abs=1e-4)


def test_a_fitted_teacher_is_forgotten_by_a_clone_unless_it_is_frozen():
    x, y = table()
    taught = DecisionTreeClassifier(random_state=0).fit(x, 2 - y)  # of other classes
    frozen, loose = clone(quick(FrozenEstimator(taught))), clone(quick(taught))
    assert loose.set_params(repeats=0).fit(x, y).score(x, y) > 0.7
    assert frozen.set_params(repeats=0).fit(x, y).score(x, y) < 0.5
    with pytest.raises(ConfigError, match=r"prefit=True says .*FrozenEstimator"):
        clone(quick(taught, prefit=True)).fit(x, y)


def test_prefit_false_trains_a_fitted_teacher_anew():
    x, y = table()
    taught = DecisionTreeClassifier(random_state=0).fit(x, 2 - y)
    assert quick(taught, prefit=False, repeats=0).fit(x, y).score(x, y) > 0.7


def test_a_fitted_forest_that_saw_the_rows_is_told_and_proves_nothing():
    x, y = table(200, noise=0.2)
    forest = RandomForestClassifier(30, random_state=0)
    with pytest.warns(DataNote, match=r"Trained again on folds without them, it is right on \d"):
        classifier = quick(clone(forest).fit(x, y)).fit(x, y)
    assert classifier.answer_ == "undecided"
    assert "look better than they are" in classifier.report_.doubts[0]


def test_a_fitted_forest_that_saw_other_rows_is_not_accused():
    x, y = table(400, noise=0.2)
    forest = RandomForestClassifier(30, random_state=0).fit(x[:200], y[:200])
    classifier = quick(forest).fit(x[200:], y[200:])
    assert "was trained elsewhere" in classifier.report_.doubts[0]


def test_a_teacher_of_other_classes_is_refused():
    x, y = table()
    teacher = DecisionTreeClassifier().fit(x, np.where(y == 2, 7, y))
    with pytest.raises(ResponseError, match=r"does not have 2; it has 7, which is not in y"):
        quick(teacher).fit(x, y)
    with pytest.raises(ResponseError, match=r"gives 3 columns for 2 classes"):
        quick(lambda rows: np.full((len(rows), 3), 1 / 3)).fit(x, y == 2)


@pytest.mark.parametrize(
    "teacher, told",
    [
        (LinearSVC(), "LinearSVC has no predict_proba.*CalibratedClassifierCV"),
        (RandomForestClassifier, "teacher is the class RandomForestClassifier"),
        ("forest", r"teacher is the name 'forest'.*RandomForestClassifier\(\)"),
        (7, "teacher is a int, which does not predict"),
    ],
    ids=["margins", "class", "name", "number"],
)
def test_what_is_no_teacher_is_refused(teacher, told):
    with pytest.raises(ConfigError, match=told):
        quick(teacher).fit(*table())


def test_an_array_of_other_rows_is_refused_with_what_would_do_in_cross_validation():
    x, y = table()
    with pytest.raises(ResponseError, match=r"of 60 rows, but X has 120.*FrozenEstimator"):
        quick(np.full((60, 3), 1 / 3)).fit(x, y)


def test_a_function_that_returns_labels_is_refused():
    x, y = table()
    with pytest.raises(ResponseError, match="returns labels"):
        quick(lambda rows: ["a"] * len(rows)).fit(x, y)


def test_unlabelled_rows_teach_students_of_the_teacher_alone():
    x, y = table(400, num_classes=2)
    alone, helped = (
        quick(student=GaussianNB(), repeats=0).fit(x[:40], y[:40], unlabelled=rows)
        for rows in (None, x[40:])
    )
    assert helped.report_.num_unlabelled == 360
    assert (helped.baseline_.theta_ == alone.baseline_.theta_).all()
    assert helped.student_.class_count_.sum() == pytest.approx(400)


def test_unlabelled_rows_may_be_frames_and_sparse():
    x, y = table()
    frame, thin = pd.DataFrame(x), sparse.csr_array(x)
    for rows in (frame, thin):
        assert quick(repeats=1).fit(rows, y, unlabelled=rows[:50]).predict(rows).shape == (120,)


@pytest.mark.parametrize(
    "unlabelled, told",
    [
        (np.zeros((5, 4)), "unlabelled has 4 columns, but X has 6"),
        (
            pd.DataFrame(np.zeros((5, 6))),
            "same type as X, but it is a pandas data frame and X is array",
        ),
    ],
)
def test_unlabelled_rows_of_another_kind_are_refused(unlabelled, told):
    with pytest.raises(DataError, match=told):
        quick().fit(*table(), unlabelled=unlabelled)


def test_folds_can_be_worked_on_at_the_same_time():
    x, y = table()
    with parallel_config(backend="threading"):
        both = quick(n_jobs=2).fit(x, y)
    assert both.report_ == quick().fit(x, y).report_


def test_an_array_says_nothing_about_unlabelled_rows():
    x, y = table()
    with pytest.raises(ConfigError, match="has none for the unlabelled rows"):
        quick(np.full((120, 3), 1 / 3)).fit(x, y, unlabelled=x)


# --- the answer ----------------------------------------------------------------------------------


def noisy(num=300, features=25, seed=0):
    """Labels drawn from known probabilities, of many features: a student of them overfits."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(num, features))
    truth = 1 / (1 + np.exp(-3 * (x @ rng.normal(size=features)) / np.sqrt(features)))
    return x, (rng.random(num) < truth).astype(int), np.stack([1 - truth, truth], axis=1)


def test_a_teacher_that_knows_the_truth_helps():
    x, y, truth = noisy(800, 100)
    student = LogisticRegression(C=1e4, max_iter=1000)
    classifier = quick(truth, student, cv=5, repeats=3, smoothings=(0.05, 0.2)).fit(x, y)
    assert classifier.answer_ == "yes", classifier.summary_
    assert classifier.summary_.startswith("Distill: yes.")
    assert classifier.report_.delivered == "distilled"
    assert classifier.report_.gains["hard_labels"].log_loss.interval[0] > 0


def test_a_teacher_that_is_wrong_does_not_help_and_is_not_delivered():
    x, y, truth = noisy()
    classifier = quick(1 - truth, cv=5).fit(x, y)
    assert classifier.answer_ == "no", classifier.summary_
    assert classifier.report_.delivered != "distilled"
    assert classifier.score(x, y) > 0.7


def test_the_best_recipe_is_the_one_that_predicts():
    x, y, truth = noisy()
    classifier = quick(truth, alphas=(0.01, 1.0), temperatures=(1.0, 50.0)).fit(x, y)
    assert classifier.report_.recipe.alpha == 1
    best = quick(truth, temperatures=(classifier.report_.recipe.temperature,), repeats=0).fit(x, y)
    assert classifier.predict_proba(x) == pytest.approx(best.predict_proba(x))


LOG = []
"""Who was fitted to which rows, and who was asked about which; the first column numbers rows."""


class Watched(DecisionTreeClassifier):
    """A tree that writes down what it sees."""

    def __init__(self, name="", random_state=None):
        super().__init__(random_state=random_state, max_depth=3)
        self.name = name

    def fit(self, X, y, sample_weight=None):
        LOG.append((self.name, "fit", frozenset(X[:, 0])))
        return super().fit(X, y, sample_weight=sample_weight)

    def predict(self, X):
        LOG.append((self.name, "predict", frozenset(X[:, 0])))
        return super().predict(X)


def test_nothing_that_students_learn_from_has_seen_the_rows_that_they_are_tested_on():
    x, y = table(90)
    x[:, 0] = np.random.default_rng(0).permutation(90) / 90
    LOG.clear()
    quick(Watched("teacher"), Watched("student"), repeats=2).fit(x, y)
    taught, tests, last = [], 0, ""
    for name, what, rows in LOG:
        if name == "teacher":
            taught = [*([] if last == "student" else taught), rows]
        elif what == "fit":
            learned = rows
        else:
            assert len(taught) in (3, 6), "before the first fold also those for all rows"
            assert not rows & learned
            assert not any(rows & each for each in taught[-3:])
            tests += 1
        last = name
    assert tests == 2 * 3 * 3, "repetitions, folds and arms"


def test_an_outside_teacher_is_asked_once_about_each_row():
    x, y = table()
    asked = []

    def teacher(rows):
        asked.append(len(rows))
        return np.full((len(rows), 3), 1 / 3)

    quick(teacher).fit(x, y)
    assert asked == [120]


def test_the_report_is_a_record():
    report = quick(repeats=2).fit(*table()).report_
    again = type(report).model_validate_json(report.model_dump_json())
    assert again == report
    assert (report.num_repeats, report.num_folds, report.num_examples) == (2, 3, 120)
    assert str(report) == report.summary


def test_without_repeats_nothing_is_compared_and_that_is_said():
    classifier = quick(repeats=0).fit(*table())
    assert classifier.summary_ == (
        "Distill: undecided. Nothing was compared, because repeats = 0. The student that predicts "
        "learned from the teacher."
    )


def test_a_teacher_that_tells_nothing_apart_is_told():
    x, y = table()
    with pytest.warns(DataNote, match="gives every example the same class"):
        quick(lambda rows: np.tile([0.0, 1.0, 0.0], (len(rows), 1)), repeats=0).fit(x, y)


# --- data ----------------------------------------------------------------------------------------


def test_rows_without_a_class_are_refused():
    x, y = table()
    with pytest.raises(DataError, match=r"2 of 120 rows have no class \(rows 3, 5\)"):
        quick().fit(x, [np.nan if n in (3, 5) else c for n, c in enumerate(y)])
    with pytest.raises(DataError, match="1 of 120 rows have no class"):
        quick().fit(x, np.array([None, *map(str, y[1:])], object))


def test_one_class_is_refused():
    with pytest.raises(DataError, match=r"y has one class only \(1.0\)"):
        quick().fit(np.eye(5), np.ones(5))


def test_a_class_of_one_example_is_refused_by_name():
    x, y = table()
    with pytest.raises(DataError, match=r"The class rare has 1 example"):
        quick().fit(x, ["rare", *map(str, y[1:])])


def test_a_class_with_fewer_examples_than_folds_lowers_them():
    x, y = table(num_classes=2)
    rare = np.where(np.arange(120) < 4, 5, y)
    with pytest.warns(
        DataNote, match=r"class 5 has 4 examples, fewer than cv = 10, so only 4 folds"
    ):
        classifier = quick(cv=10).fit(x, rare)
    assert classifier.report_.num_folds == 4
    assert classifier.predict_proba(x).shape == (120, 3)


def test_columns_that_say_nothing_or_number_the_rows_are_told():
    x, y = table()
    frame = pd.DataFrame(x[:, :3], columns=list("abc"))
    frame["always"], frame["customer"] = 1.0, np.arange(1000, 1120)
    with pytest.warns(DataNote) as told:
        classifier = quick(student=TREE).fit(frame, y)
    assert [str(each.message)[:32] for each in told] == [
        "Column 'always' has only one val",
        "Column 'customer' has a differen",
    ]
    assert len(classifier.report_.notes) == 2


def test_dates_are_refused_with_a_way_out():
    x, y = table()
    frame = pd.DataFrame(x, columns=list("abcdef"))
    days = pd.date_range("2024-01-01", periods=120)
    for dates in (days, days.tz_localize("UTC"), days.date, ["2024-01-01"] * 120):
        with pytest.raises(DataError, match=r"Columns of dates cannot be inputs: day.*year, month"):
            quick().fit(frame.assign(day=dates), y)


def test_tables_with_gaps_and_categories_go_through_pipelines():
    x, y = table(200, num_classes=2)
    frame = pd.DataFrame(x[:, :4], columns=list("abcd"))
    frame["colour"] = np.where(x[:, 4] > 0, "red", "blue")
    frame.loc[::7, "a"] = np.nan
    frame.loc[::9, "colour"] = None

    def encoded(classifier):
        numbers = make_pipeline(SimpleImputer(), StandardScaler())
        words = make_pipeline(
            SimpleImputer(strategy="constant", fill_value="none", missing_values=None),
            OneHotEncoder(handle_unknown="ignore"),
        )
        columns = make_column_transformer(
            (numbers, make_column_selector(dtype_include="number")), (words, ["colour"])
        )
        return make_pipeline(columns, classifier)

    frame["colour"] = frame["colour"].astype(object).where(frame["colour"].notna(), None)
    classifier = quick(encoded(RandomForestClassifier(5)), encoded(LINEAR)).fit(frame, y)
    assert classifier.score(frame, y) > 0.8
    new = frame.assign(colour=np.array(["green"] * 200, object))
    assert classifier.predict_proba(new).shape == (200, 2)


def mixed(num=200):
    x, y = table(num, num_classes=2)
    frame = pd.DataFrame(x[:, :4], columns=list("abcd"))
    frame["colour"] = pd.Series(np.where(x[:, 4] > 0, "red", "blue"), dtype=object)
    frame["kind"] = pd.Categorical(np.where(x[:, 5] > 0, "u", "v"))
    frame["yes"] = x[:, 0] > 0
    frame.loc[::7, "a"] = np.nan
    frame.loc[::9, "colour"] = None
    return frame, y


@pytest.mark.parametrize(
    "student",
    [DecisionTreeClassifier(max_depth=4), LINEAR, None],
    ids=["tree", "linear", "default"],
)
def test_frames_with_words_and_gaps_are_encoded(student):
    frame, y = mixed()
    classifier = quick(RandomForestClassifier(5), student).fit(frame, y)
    assert classifier.score(frame, y) > 0.8
    assert classifier.feature_names_in_.tolist() == list(frame.columns)
    new = frame.head(3).assign(colour=["green", None, "red"], b=np.nan)
    assert classifier.predict_proba(new).shape == (3, 2)


def test_what_takes_words_or_gaps_itself_gets_them():
    from goodteacher.integrations.sklearn.encoding import encoded

    frame, _ = mixed()
    gaps, whole, kinds = frame[["a", "b"]], frame[["b", "c"]], frame[["a", "kind"]]
    tree, boosted, own_way = TREE, HistGradientBoostingClassifier(), make_pipeline(TREE)
    assert encoded(tree, gaps) is tree
    assert encoded(boosted, kinds) is boosted
    assert encoded(LINEAR, whole) is LINEAR
    assert encoded(own_way, frame) is own_way
    assert encoded(LINEAR, frame.to_numpy()) is LINEAR
    for estimator, rows in ((LINEAR, gaps), (boosted, frame), (tree, kinds)):
        assert encoded(estimator, rows)[-1] is estimator


def test_the_encoder_knows_where_gaps_were_and_joins_rare_words():
    from goodteacher.integrations.sklearn.encoding import encoder

    words = [f"w{n}" for n in range(60) for _ in range(1 + (n < 45))]
    frame = pd.DataFrame({"size": [1.0, None, 3.0] * 35, "word": words})
    made = encoder().fit_transform(frame)
    assert made.shape == (105, 2 + 50)
    assert made[:3, :2].tolist() == [[1, 0], [2, 1], [3, 0]]
    assert made[:, -1].sum() == 15 - 4, "49 words have a column, the others one together"


def test_the_table_of_the_page_is_learned():
    page = Path(__file__).parent.parent.parent / "docs/tables-and-scikit-learn.md"
    _, block, *_ = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    made = {}
    exec(block.replace("random_state=0)", "random_state=0, cv=2)"), made)
    assert made["clf"].score(made["X"], made["y"]) > 0.65
    assert made["clf"].student_[-1].max_depth == 3


def test_texts_go_through_pipelines():
    texts = [f"{word} number {n}" for n in range(20) for word in ("cat", "dog")]
    y = ["feline", "canine"] * 20
    teacher = make_pipeline(TfidfVectorizer(), LogisticRegression())
    classifier = quick(teacher, clone(teacher)).fit(texts, y)
    assert classifier.predict(["a cat", "a dog"]).tolist() == ["feline", "canine"]


@pytest.mark.parametrize(
    "settings, told",
    [
        ({"cv": 1}, "cv must be a whole number from 2, but is 1"),
        ({"repeats": -1}, "repeats must be a whole number from 0"),
        ({"alphas": (0.0,)}, "alphas must contain a value above 0"),
        ({"smoothings": ()}, "smoothings must contain at least one value"),
        ({"level": 0.9}, "level must be between 0 and 0.5, but is 0.9"),
        ({"test_fraction": 0}, "test_fraction must be between 0 and 0.5, but is 0"),
        ({"smallest_weight": 0.7}, r"smallest_weight must be in 0\.\.0.5"),
        ({"prefit": "maybe"}, "prefit must be 'auto', True or False"),
        ({"temperatures": 2.0}, "temperatures must be a list of numbers, but is 2.0"),
        ({"alphas": "0.5"}, "alphas must be a list of numbers, but is '0.5'"),
        ({"temperatures": (-1.0,)}, "temperature"),
        ({"smoothings": (2.0,)}, "smoothing"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, told):
    with pytest.raises(ConfigError, match=told):
        quick(**settings).fit(*table())


def test_what_is_refused_is_refused_before_anything_is_trained():
    class Costly(DecisionTreeClassifier):
        def fit(self, *_, **__):
            pytest.fail("the teacher was trained")

    x, y = table()
    for settings in ({"student": KNeighborsClassifier()}, {"cv": 1}, {"student": "mlp:no"}):
        with pytest.raises(InputError):
            quick(Costly(), **settings).fit(x, y)


# --- the library's own students ------------------------------------------------------------------

SHORT = {"student_epochs": 4, "student_batch_size": 32, "seeds": 3, "search_seeds": 1}
SHORT |= {"rungs": 1, "extend": False, "device": "cpu", "selection_fraction": 0.2}


def own(teacher=TREE, **settings):
    return quick(teacher, "mlp:4", **{"settings": SHORT, **settings})


@pytest.fixture(scope="module")
def studied():
    x, y = table(200)
    names = np.array(["a", "b", "c"])[y]
    return own().fit(pd.DataFrame(x, columns=list("uvwxyz")), names), x, names


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_a_student_of_the_library_predicts_like_any_other(studied):
    classifier, x, y = studied
    frame = pd.DataFrame(x, columns=list("uvwxyz"))
    assert classifier.predict_proba(frame).shape == (200, 3)
    assert set(classifier.predict(frame)) <= {"a", "b", "c"}
    assert classifier.score(frame, y) > 0.35
    assert classifier.answer_ == classifier.report_.answer
    assert classifier.summary_.startswith(f"Distill: {classifier.answer_}.")
    assert "last recorded epoch" not in classifier.summary_, "there is one, and nobody trains it"


def test_the_verdict_on_a_student_of_the_library(studied):
    classifier, _, _ = studied
    found = classifier.verify(seeds=3)
    assert found.num_seeds == 3
    assert [rung.name for rung in found.ladder][-1] == "full_response"


def test_a_pickled_student_predicts_the_same_and_has_no_study(studied):
    classifier, x, _ = studied
    frame = pd.DataFrame(x, columns=list("uvwxyz"))
    again = pickle.loads(pickle.dumps(classifier))
    assert (again.predict_proba(frame) == classifier.predict_proba(frame)).all()
    with pytest.raises(AttributeError, match="a pickled or copied object has neither"):
        again.verify()


def test_a_verdict_goes_with_a_pickled_student_and_is_not_asked_for_twice(studied):
    classifier, _, _ = studied
    found = classifier.verify(seeds=3)
    assert classifier.verdict_ is found
    assert pickle.loads(pickle.dumps(classifier)).verdict_ == found


def test_a_student_of_the_library_learns_from_unlabelled_rows_of_a_teacher_that_remembers(tmp_path):
    x, y = table(200, noise=0.2)
    forest = RandomForestClassifier(20, random_state=0).fit(x, y)
    with pytest.warns(DataNote, match="Trained again"):
        classifier = own(forest, out=tmp_path / "s").fit(x[:150], y[:150], unlabelled=x[150:])
    assert classifier.answer_ == "undecided"
    assert (tmp_path / "s/study/report.html").exists()
    with pytest.raises(InputError, match="other"):
        own(out=tmp_path / "s").fit(x, y)


def test_a_student_of_the_library_takes_numbers_without_weights():
    x, y = table()
    with pytest.raises(ConfigError, match="do not support sample_weight"):
        own().fit(x, y, sample_weight=np.ones(120))
    with pytest.raises(DataError, match=r"test_fraction = 0\.01 of 120 rows"):
        own(test_fraction=0.01).fit(x, y)
    frame = pd.DataFrame(x).assign(word=np.where(x[:, 0] > 0, "a", None))
    frame.columns = list("abcdefg")
    assert own(settings={**SHORT, "seeds": 2}).fit(frame, y).score(frame, y) > 0.3
    gaps = np.where(np.arange(120)[:, None] == 3, np.nan, x)
    with pytest.raises(DataError, match="numbers without missing values"):
        own().fit(gaps, y)


class LosesFilters(LogisticRegression):
    """Leaves no warning filters behind, as scikit-learn's threads do by chance."""

    def fit(self, x, y, sample_weight=None):
        warnings.resetwarnings()
        return super().fit(x, y, sample_weight)


def test_an_estimator_that_loses_the_warning_filters_does_not_spoil_those_of_the_process():
    with warnings.catch_warnings():
        before = list(warnings.filters)
        quick(LosesFilters(), LosesFilters()).fit(*table())
        assert list(warnings.filters) == before
