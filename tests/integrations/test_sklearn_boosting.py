"""LightGBM and XGBoost learn from soft targets without copies, and are ordinary afterwards."""

import io
import pickle
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from goodteacher import DistilledClassifier
from goodteacher.config import Recipe
from goodteacher.errors import ConfigError
from goodteacher.integrations.sklearn import boosting, students
from goodteacher.integrations.sklearn.comparing import TEACHER
from goodteacher.integrations.sklearn.soft_targets import SoftTargets, targets_of
from goodteacher.maths.losses import distillation_loss
from goodteacher.maths.targets import LADDER
from goodteacher.records import CROSS_ENTROPY, Arm, TargetSource, smoothing_arm
from goodteacher.responses import Response

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")


def made(num=300, classes=3, seed=0, temperature=1.0, alpha=0.7, weights=False):
    """Rows of few values, so that no bin depends on copies, and soft targets about them."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 6, (num, 4)).astype(float)
    logits = 1.5 * rng.normal(size=(num, classes)) + x[:, :1] * np.linspace(-0.5, 0.5, classes)
    codes = np.array([rng.choice(classes, p=p) for p in softmax(logits)])
    hot = np.eye(classes)[codes]
    weighed = rng.uniform(0.2, 2.0, num) if weights else None
    return x, SoftTargets(codes, hot, logits, np.full(num, alpha), temperature, weighed)


def softmax(scores):
    found = np.exp(scores - scores.max(axis=1, keepdims=True))
    return found / found.sum(axis=1, keepdims=True)


def lightgbm(**settings):
    package = pytest.importorskip("lightgbm", reason="lightgbm is missing")
    plain = {"n_estimators": 5, "verbose": -1, "n_jobs": 1, "random_state": 0}
    return package.LGBMClassifier(**{**plain, **settings})


def xgboost(**settings):
    package = pytest.importorskip("xgboost", reason="xgboost is missing")
    return package.XGBClassifier(**{"n_estimators": 5, "n_jobs": 1, "random_state": 0, **settings})


BOTH = pytest.mark.parametrize("make", [lightgbm, xgboost])
TWO_OR_THREE = pytest.mark.parametrize("classes", [2, 3])
FREE = {
    "lightgbm": {"min_child_samples": 0, "min_child_weight": 0, "num_leaves": 7},
    "xgboost": {"min_child_weight": 0, "tree_method": "exact", "max_depth": 3},
}
"""Leaves of any size: rules that count rows would count copies."""


def taught(make, x, targets, **settings):
    classes = np.arange(targets.labels.shape[1])
    return students.fit_student(make(**settings), x, targets, classes, smallest=0)


# --- the loss ------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
def test_derivatives_are_those_of_the_library_s_loss(alpha, temperature):
    """The gradient is autograd's of the loss that networks learn by, row by row."""
    _, targets = made(40, temperature=temperature, alpha=alpha, weights=True)
    scores = np.random.default_rng(1).normal(size=(40, 3))
    z = torch.from_numpy(scores).requires_grad_()
    loss = 0.0
    for row, weight in enumerate(targets.weights):
        label = torch.from_numpy(targets.codes[row : row + 1])
        teacher = torch.from_numpy(targets.logits[row : row + 1])
        loss = loss + weight * distillation_loss(
            z[row : row + 1], teacher, label, temperature=temperature, alpha=alpha
        )
    loss.backward()
    assert targets.derivatives(scores)[0] == pytest.approx(z.grad.numpy(), abs=1e-10)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_second_derivative_is_the_slope_of_the_gradient(temperature):
    _, targets = made(30, temperature=temperature, alpha=0.6, weights=True)
    scores, step = np.random.default_rng(1).normal(size=(30, 3)), 1e-5
    _, curvature = targets.derivatives(scores)
    for number in range(3):
        aside = step * np.eye(3)[number]
        up, down = (targets.derivatives(scores + sign * aside)[0] for sign in (1, -1))
        slope = (up - down)[:, number] / (2 * step)
        assert curvature[:, number] == pytest.approx(slope, abs=1e-7)


def test_of_two_classes_one_score_has_the_derivatives_of_the_second():
    _, targets = made(30, classes=2, temperature=2.0)
    score = np.random.default_rng(1).normal(size=30)
    gradient, curvature = boosting.SoftObjective(targets, 2.0)(None, score)
    both = targets.derivatives(np.stack([0 * score, score], axis=1))
    assert gradient == pytest.approx(both[0][:, 1])
    assert curvature == pytest.approx(both[1][:, 1])


def test_the_factor_of_a_package_is_in_the_second_derivative_alone():
    _, targets = made(30)
    scores = np.random.default_rng(1).normal(size=(30, 3))
    gradient, curvature = boosting.SoftObjective(targets, 1.5)(None, scores)
    plain = targets.derivatives(scores)
    assert gradient == pytest.approx(plain[0])
    assert curvature == pytest.approx(1.5 * plain[1])


def test_at_the_targets_themselves_the_gradient_vanishes_at_any_temperature():
    for temperature in (1.0, 5.0):
        _, targets = made(30, temperature=temperature, alpha=1.0)
        gradient, _ = targets.derivatives(targets.logits + 2.5)  # a shift is no matter
        assert np.abs(gradient).max() < 1e-12


# --- what an arm learns from ---------------------------------------------------------------------

RESPONSE = Response(torch.tensor([[2.0, 0.0, -1.0], [0.0, 3.0, 1.0]]), torch.arange(2))
CODES = np.array([0, 2])


def test_labels_are_labels_and_smoothed_ones_are_not():
    assert targets_of(CROSS_ENTROPY, RESPONSE, CODES).are_labels
    smooth = targets_of(smoothing_arm(0.3), RESPONSE, CODES)
    assert not smooth.are_labels
    assert smooth.mixed[0] == pytest.approx([0.8, 0.1, 0.1])
    assert not targets_of(Arm(source=TEACHER, recipe=Recipe(alpha=1)), RESPONSE, CODES).are_labels


def test_the_prior_is_the_mean_of_labels_and_response_at_temperature_one():
    arm = Arm(source=TEACHER, recipe=Recipe(temperature=4.0, alpha=0.5))
    targets = targets_of(arm, RESPONSE, CODES, weights=np.array([3.0, 1.0]))
    soft = softmax(RESPONSE.logits.numpy())
    expected = 0.5 * (0.75 * soft[0] + 0.25 * soft[1]) + 0.5 * np.array([0.75, 0, 0.25])
    assert targets.prior == pytest.approx(expected, abs=1e-6)


def test_a_row_without_a_label_learns_from_the_response_alone():
    arm = Arm(source=TEACHER, recipe=Recipe(temperature=2.0, alpha=0.25))
    targets = targets_of(arm, RESPONSE, np.array([0, -1]))
    assert targets.alphas.tolist() == [0.25, 1.0]
    assert targets.codes.tolist() == [0, 1], "the most probable class stands for the label"
    assert targets.mixed[1] == pytest.approx(softmax(RESPONSE.logits.numpy() / 2)[1], abs=1e-6)


@pytest.mark.parametrize("name", list(LADDER))
def test_a_rung_is_what_is_learned_at_its_temperature(name):
    source = TargetSource(base=TEACHER, target=name, temperature=3.0)
    arm = Arm(source=source, recipe=Recipe(temperature=3.0, alpha=1.0))
    targets = targets_of(arm, RESPONSE, CODES)
    rung = LADDER[name](RESPONSE.logits.double(), torch.from_numpy(CODES), temperature=3.0)
    assert targets.softened == pytest.approx(rung.numpy(), abs=1e-12)


def test_targets_made_by_chance_follow_the_seed():
    source = TargetSource(base=TEACHER, target="permuted", temperature=1.0)
    arm = Arm(source=source, recipe=Recipe(alpha=1.0))
    logits = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    response, codes = Response(logits, torch.arange(50)), np.arange(50) % 4
    one, same, other = (targets_of(arm, response, codes, seed=s).mixed for s in (1, 1, 2))
    assert (one == same).all()
    assert not np.allclose(one, other)


# --- exactness -----------------------------------------------------------------------------------


@BOTH
@TWO_OR_THREE
@pytest.mark.parametrize("weights", [False, True])
def test_alpha_zero_is_the_package_s_own_log_loss(make, classes, weights):
    x, targets = made(classes=classes, alpha=0.0, weights=weights)
    x = x + np.random.default_rng(2).random(x.shape)  # many values: bins and weights matter
    student = make(n_estimators=12)
    assert boosting.learns_softly(student)

    def fit(parameters, given):
        student.set_params(**parameters).fit(x, targets.codes, **given)

    assert boosting.fit_softly(student, targets, fit)
    own = make(n_estimators=12).fit(x, targets.codes, sample_weight=targets.weights)
    assert student.predict_proba(x) == pytest.approx(own.predict_proba(x), abs=1e-5)


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (lightgbm, {"subsample": 0.5, "subsample_freq": 1}),
        (lightgbm, {"data_sample_strategy": "goss"}),
        (lightgbm, {"extra_trees": True}),
        (xgboost, {"subsample": 0.5}),
        (xgboost, {"booster": "dart"}),
        (xgboost, {"num_parallel_tree": 3}),
        (xgboost, {"multi_strategy": "multi_output_tree"}),
    ],
    ids=lambda each: each.__name__ if callable(each) else "-".join(each),
)
def test_so_it_is_with_other_ways_to_grow_trees(make, settings):
    x, targets = made(alpha=0.0)
    student = make(**settings)
    assert boosting.fit_softly(
        student, targets, lambda p, given: student.set_params(**p).fit(x, targets.codes, **given)
    )
    own = make(**settings).fit(x, targets.codes)
    assert student.predict_proba(x) == pytest.approx(own.predict_proba(x), abs=1e-5)


@BOTH
@TWO_OR_THREE
@pytest.mark.parametrize("weights", [False, True])
def test_at_temperature_one_it_is_weighted_rows_without_the_copies(make, classes, weights):
    x, targets = made(classes=classes, weights=weights)
    settings = FREE[make.__name__]
    soft = taught(make, x, targets, **settings)
    rows, codes, shares = students.weighted_rows(targets.mixed, smallest=0, weights=targets.weights)
    copied = make(**settings).fit(x[rows], codes, sample_weight=shares)
    assert soft.predict_proba(x) == pytest.approx(copied.predict_proba(x), abs=1e-5)


@BOTH
def test_at_a_high_temperature_it_learns_the_teacher_and_not_its_softened_answer(make):
    """Enough trees reach the teacher's own probabilities; weighted rows reach softer ones."""
    _, targets = made(100, temperature=4.0, alpha=1.0)
    x = np.arange(100.0)[:, None]  # each row for itself
    settings = {**FREE[make.__name__], "n_estimators": 100, "learning_rate": 0.3}
    settings |= {"num_leaves": 64} if make is lightgbm else {"reg_lambda": 0, "max_depth": 8}
    if make is lightgbm:
        settings["min_data_in_bin"] = 1
    said = taught(make, x, targets, **settings).predict_proba(x)
    teacher, softened = softmax(targets.logits), targets.softened
    assert np.abs(said - teacher).mean() < 0.03
    assert np.abs(said - softened).mean() > 0.1


@BOTH
def test_weights_of_rows_count(make):
    x, targets = made(weights=False)
    first = np.where(np.arange(300) < 150, 1.0, 1e-6)
    weighed = SoftTargets(targets.codes, targets.labels, targets.logits, targets.alphas, 1.0, first)
    half = SoftTargets(
        targets.codes[:150], targets.labels[:150], targets.logits[:150], targets.alphas[:150], 1.0
    )
    settings = FREE[make.__name__]
    one, other = taught(make, x, weighed, **settings), taught(make, x[:150], half, **settings)
    assert one.predict_proba(x[:150]) == pytest.approx(other.predict_proba(x[:150]), abs=0.02)


# --- an ordinary classifier afterwards -----------------------------------------------------------


@BOTH
@TWO_OR_THREE
def test_it_can_be_pickled_cloned_and_fitted_again(make, classes):
    x, targets = made(classes=classes, temperature=2.0)
    student = taught(make, x, targets)
    said = student.predict_proba(x)
    assert said.shape == (300, classes)
    assert said.sum(axis=1) == pytest.approx(1, abs=1e-6)
    assert (student.predict(x) == said.argmax(axis=1)).all()
    assert student.classes_.tolist() == list(range(classes))
    kept = io.BytesIO()
    joblib.dump(student, kept)
    kept.seek(0)
    for again in (pickle.loads(pickle.dumps(student)), joblib.load(kept)):
        assert (again.predict_proba(x) == said).all()
    own = make().fit(x, targets.codes)
    fresh = clone(student).fit(x, targets.codes)
    assert (fresh.predict_proba(x) == own.predict_proba(x)).all(), "nothing of the objective stays"
    assert len(pickle.dumps(student)) < 2 * len(pickle.dumps(own)), "no targets inside"


@BOTH
def test_its_parameters_are_those_that_were_given(make):
    x, targets = made()
    student, own = taught(make, x, targets), make().fit(x, targets.codes)
    given = own.get_params()
    changed = {n for n, value in student.get_params().items() if repr(value) != repr(given[n])}
    assert not changed


def test_a_model_of_lightgbm_written_to_text_has_start_and_objective():
    x, targets = made(temperature=2.0)
    student = taught(lightgbm, x, targets)
    package = sys.modules["lightgbm"]
    again = package.Booster(model_str=student.booster_.model_to_string())
    assert again.predict(x) == pytest.approx(student.predict_proba(x), abs=1e-12)
    assert "objective=multiclass num_class:3\n" in again.model_to_string()


def test_a_model_of_xgboost_written_to_a_file_has_start_and_objective(tmp_path):
    x, targets = made(temperature=2.0)
    student = taught(xgboost, x, targets)
    student.save_model(tmp_path / "model.json")
    again = xgboost()
    again.load_model(tmp_path / "model.json")
    assert (again.predict_proba(x) == student.predict_proba(x)).all()


@TWO_OR_THREE
def test_a_model_of_lightgbm_without_a_useful_column_says_the_prior(classes):
    """Small leaves are impossible: no tree splits, and the start is all there is."""
    x, targets = made(classes=classes)
    student = taught(lightgbm, x, targets, min_child_weight=1e6)
    assert student.predict_proba(x[:1])[0] == pytest.approx(targets.prior, abs=1e-6)


@BOTH
def test_the_last_step_of_a_pipeline_learns_so_too(make):
    x, targets = made(temperature=2.0)
    classes = np.array(["a", "b", "c"]) if make is lightgbm else np.arange(3)
    inner = make_pipeline(SelectKBest(k=3), make())
    student = make_pipeline(StandardScaler(), inner)
    assert students.needs_no_copies(student, targets)
    fitted = students.fit_student(student, x, targets, classes, smallest=0)
    chosen = inner[:-1].fit_transform(x, targets.codes)
    alone = taught(make, StandardScaler().fit_transform(chosen), targets)
    told = alone.predict_proba(StandardScaler().fit_transform(chosen))
    assert fitted.predict_proba(x) == pytest.approx(told, abs=1e-6)
    assert fitted.classes_.tolist() == classes.tolist()


@BOTH
def test_frames_with_categories_go_to_it_as_they_are(make):
    x, targets = made()
    frame = pd.DataFrame(x, columns=list("abcd"))
    frame["word"] = pd.Categorical(np.where(x[:, 0] > 2, "high", "low"))
    settings = {"enable_categorical": True} if make is xgboost else {}
    student = taught(make, frame, targets, **settings)
    assert student.predict_proba(frame).shape == (300, 3)
    assert list(student.feature_names_in_) == list(frame.columns)


# --- when weighted rows are used -----------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"class_weight": "balanced"},
        {"is_unbalance": True},
        {"scale_pos_weight": 3},
        {"objective": "multiclassova"},
        {"objective": lambda y, z: (z, z)},
        {"boosting_type": "rf"},
        {"boosting_type": "dart"},
        {"linear_tree": True},
        {"boost_from_average": False},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_lightgbm_with_another_loss_keeps_it(settings):
    assert boosting.learns_softly(lightgbm())
    assert not boosting.learns_softly(lightgbm(**settings))


@pytest.mark.parametrize(
    "settings",
    [{"objective": "multi:softmax"}, {"scale_pos_weight": 2}, {"base_score": 0.3}],
    ids=lambda settings: next(iter(settings)),
)
def test_xgboost_with_another_loss_keeps_it(settings):
    assert boosting.learns_softly(xgboost())
    assert not boosting.learns_softly(xgboost(**settings))


def test_other_students_do_not_learn_so_and_the_report_says_how_they_do():
    x, targets = made(60)
    plain = DistilledClassifier(LogisticRegression(), LogisticRegression(), cv=2, repeats=0)
    assert plain.fit(x / 5, targets.codes).report_.learned_by == "weighted rows"
    assert students.learned_by(make_pipeline(StandardScaler(), lightgbm())) == "objective"
    assert students.learned_by(lightgbm(class_weight="balanced")) == "weighted rows"
    assert not boosting.learns_softly(LogisticRegression())
    assert not students.needs_no_copies(make_pipeline(LogisticRegression()), targets)


@BOTH
def test_labels_go_to_it_as_labels(make):
    """The student of hard labels is the plain estimator, to the last bit."""
    x, targets = made(alpha=0.0)
    assert targets.are_labels
    assert not students.needs_no_copies(make(), targets)
    plain = make().fit(x, targets.codes)
    assert (taught(make, x, targets).predict_proba(x) == plain.predict_proba(x)).all()


def test_a_class_that_is_that_of_no_row_is_learned_from_weighted_rows():
    x, targets = made()
    codes = np.where(targets.codes == 2, 1, targets.codes)
    lacking = SoftTargets(codes, np.eye(3)[codes], targets.logits, np.ones(300), 1.0)
    assert not students.needs_no_copies(lightgbm(), lacking)
    student = taught(lightgbm, x, lacking)
    assert student.predict_proba(x)[:, 2].mean() > 0.1, "the teacher gives it weight"


def test_lightgbm_with_too_few_rows_for_two_leaves_learns_from_weighted_rows():
    x, targets = made(30)
    student = lightgbm(min_child_samples=20)
    assert not boosting.fit_softly(student, targets, lambda *_: pytest.fail("it was fitted"))
    assert taught(lightgbm, x, targets, min_child_samples=20).predict_proba(x).shape == (30, 3)


def test_lightgbm_without_any_column_to_split_learns_from_weighted_rows():
    x, targets = made(200)
    student = taught(lightgbm, np.zeros_like(x), targets)
    assert student.predict_proba(x[:1])[0] == pytest.approx(targets.mixed.mean(axis=0), abs=1e-3)
    assert student.objective is None


def test_another_error_of_the_package_is_not_swallowed_and_leaves_no_objective():
    _, targets = made()
    student = lightgbm()

    def fit(parameters, given):
        student.set_params(**parameters)
        raise ValueError("the data are broken")

    with pytest.raises(ValueError, match="the data are broken"):
        boosting.fit_softly(student, targets, fit)
    assert student.objective is None


def test_targets_of_one_class_give_what_always_predicts_it():
    x = made(50)[0]
    one = np.zeros(50, np.int64)
    alone = SoftTargets(one, np.eye(3)[one], np.zeros((50, 3)), np.zeros(50), 1.0)
    assert isinstance(taught(lightgbm, x, alone), DummyClassifier)


# --- the whole -----------------------------------------------------------------------------------


@BOTH
@TWO_OR_THREE
def test_distilled_boosted_trees_follow_a_teacher_that_knows_more(make, classes):
    """Labels are noisy, the teacher knows the truth: its students come closer to it."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    truth = softmax(2 * x[:, :1] * np.linspace(-1, 1, classes) + 0.5 * x[:, 1:2])
    y = np.array([rng.choice(classes, p=p) for p in truth])
    student = make(n_estimators=40)
    classifier = DistilledClassifier(
        truth, student, cv=2, repeats=0, temperatures=(2.0,), alphas=(1.0,), random_state=0
    ).fit(x, y)
    ours = np.abs(classifier.predict_proba(x) - truth).mean()
    theirs = np.abs(classifier.baseline_.predict_proba(x) - truth).mean()
    assert ours < 0.6 * theirs
    assert classifier.report_.learned_by == "objective"
    assert type(classifier.student_) is type(student)
    assert (pickle.loads(pickle.dumps(classifier)).predict(x) == classifier.predict(x)).all()


@pytest.mark.parametrize("student", ["alone", "in a pipeline"])
def test_xgboost_with_classes_that_are_no_numbers_is_refused_before_anything_is_trained(student):
    made_ = xgboost() if student == "alone" else make_pipeline(StandardScaler(), xgboost())
    x = np.random.default_rng(0).normal(size=(40, 2))
    for y in (np.where(x[:, 0] > 0, "b", "a"), np.where(x[:, 0] > 0, 2, 1)):
        classifier = DistilledClassifier(lambda _: pytest.fail("the teacher was asked"), made_)
        with pytest.raises(ConfigError, match="XGBoost's classifiers need classes that are numb"):
            classifier.fit(x, y)


@pytest.mark.filterwarnings("ignore")  # of onnxmltools and its parts
@BOTH
@TWO_OR_THREE
def test_it_can_be_written_as_onnx(make, classes):
    onnxmltools = pytest.importorskip("onnxmltools", reason="onnxmltools is missing")
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is missing")
    from onnxmltools.convert.common.data_types import FloatTensorType

    x, targets = made(classes=classes, temperature=2.0)
    student = taught(make, x, targets)
    convert = getattr(onnxmltools, f"convert_{make.__name__}")
    graph = convert(student, initial_types=[("x", FloatTensorType([None, 4]))])
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    said = session.run(None, {"x": x.astype(np.float32)})[1]
    if make is lightgbm:
        said = [[row[number] for number in range(classes)] for row in said]
    assert np.asarray(said) == pytest.approx(student.predict_proba(x), abs=1e-5)
