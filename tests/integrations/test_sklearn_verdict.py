"""Ladder, rule and verdict on folds, for students of scikit-learn's kind."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from goodteacher import DistilledClassifier
from goodteacher.config import Recipe
from goodteacher.data import DataNote
from goodteacher.errors import ConfigError
from goodteacher.integrations.sklearn import judging
from goodteacher.integrations.sklearn.comparing import (
    DISTILLED,
    SMOOTHING,
    TEACHER,
    Compared,
    Comparing,
    SyntheticArm,
    families_of,
    with_synthetic,
)
from goodteacher.integrations.sklearn.judging import Judging, verdict_of
from goodteacher.integrations.sklearn.teaching import Table, Teaching
from goodteacher.maths.statistics import folds_interval, seeds_needed
from goodteacher.maths.targets import FALSIFICATION
from goodteacher.records import CROSS_ENTROPY, Arm, smoothing_arm
from goodteacher.verdicts.rule import PSEUDO_LABELS, REGULARIZERS, RUNGS, TUNED, target_arm

TREE = DecisionTreeClassifier(max_depth=3, random_state=0)
LINEAR = LogisticRegression()


def quick(teacher=TREE, student=LINEAR, **settings):
    plain = {"temperatures": (1.0,), "alphas": (1.0,), "smoothings": (0.1,), "repeats": 0, "cv": 2}
    return DistilledClassifier(teacher, student, **{**plain, "random_state": 0, **settings})


def groups(num=90, classes=4, seed=0):
    """Classes of which two and two are alike, with their posterior."""
    rng = np.random.default_rng(seed)
    means = np.repeat(2 * rng.normal(size=(classes // 2, 5)), 2, axis=0)
    means += 0.7 * rng.normal(size=means.shape)
    codes = rng.permutation(np.arange(num) % classes)
    x = means[codes] + rng.normal(size=(num, 5))
    scores = -((x[:, None] - means) ** 2).sum(axis=2) / 2
    posterior = np.exp(scores - scores.max(axis=1, keepdims=True))
    return x, codes, posterior / posterior.sum(axis=1, keepdims=True)


# --- the rule, where who is right is planted -----------------------------------------------------

ROWS, REPEATS = 4000, 3
FOLDS = np.stack([np.random.default_rng(s).permutation(ROWS) % 5 for s in range(REPEATS)])
LADDER_ARMS = {
    RUNGS[0]: (CROSS_ENTROPY,),
    **{name: (target_arm(TEACHER, name, Recipe(alpha=1.0)),) for name in RUNGS[1:]},
    TUNED: (smoothing_arm(0.1),),
}
FAMILIES = {
    **LADDER_ARMS,
    judging._BEST: tuple(arm for name in REGULARIZERS for arm in LADDER_ARMS[name]),
}


def planted(families=FAMILIES, **accuracies):
    """Students that are right on the first rows, as many as their accuracy says."""
    arms = tuple(dict.fromkeys(arm for each in families.values() for arm in each))
    correct = np.zeros((len(arms), REPEATS, ROWS), bool)
    for name, accuracy in {"one_hot": 0.6, **accuracies}.items():
        correct[arms.index(families[name][0]), :, : round(accuracy * ROWS)] = True
    return Compared(families, arms, correct, np.zeros(correct.shape), FOLDS)


def levels(rung_1, rung_2, rung_3, full, tuned):
    return dict(zip((*RUNGS[1:], TUNED), (rung_1, rung_2, rung_3, full, tuned), strict=True))


def ruled(compared, **settings):
    return verdict_of(compared, teacher="it", **{"level": 0.05, "margin": 0.002, **settings})


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [
        (levels(0.62, 0.63, 0.66, 0.7, 0.61), "knowledge"),
        (levels(0.62, 0.7, 0.7, 0.7, 0.61), "regularization"),
        (levels(0.62, 0.62, 0.62, 0.7, 0.7), "regularization"),
        (levels(0.6, 0.6, 0.6, 0.6, 0.6), "no_gain"),
        (levels(0.5, 0.5, 0.5, 0.55, 0.5), "no_gain"),
        (levels(0.6, 0.6, 0.6, 0.6015, 0.6), "inconclusive"),
        (levels(0.62, 0.65, 0.65, 0.7, 0.699), "inconclusive"),
    ],
    ids=["similarity", "rung 2 is as good", "smoothing is", "none", "harm", "little", "no winner"],
)
def test_planted_ladders_have_the_verdict_of_the_rule(accuracies, expected):
    assert ruled(planted(**accuracies)).verdict == expected


def test_steps_of_the_ladder_sum_to_the_gain():
    found = ruled(planted(**levels(0.62, 0.63, 0.66, 0.7, 0.61)))
    steps = [rung.step.mean for rung in found.ladder if rung.step]
    assert steps == pytest.approx([0.02, 0.01, 0.03, 0.04])
    assert found.gain.mean == pytest.approx(sum(steps))
    assert [rung.test_accuracy for rung in found.ladder] == pytest.approx(
        [0.6, 0.62, 0.63, 0.66, 0.7]
    )


def test_intervals_are_those_of_repeated_folds():
    compared = planted(**levels(0.62, 0.63, 0.66, 0.7, 0.61))
    found = ruled(compared, level=0.01)
    full, rung_2 = (compared.reached(name)[0] for name in (RUNGS[4], RUNGS[2]))
    expected = folds_interval(full, rung_2, FOLDS, level=0.01)
    assert found.knowledge.interval == (expected.low, expected.high)
    assert (found.level, found.error_level, found.num_seeds) == (0.01, 0.01, REPEATS)


def test_the_margin_is_what_knowledge_has_to_exceed():
    compared = planted(**levels(0.62, 0.63, 0.66, 0.7, 0.61))
    assert ruled(compared, margin=0.06).verdict == "knowledge"
    assert ruled(compared, margin=0.08).verdict != "knowledge"


def test_the_smoothing_that_reached_most_is_told():
    both = {**FAMILIES, TUNED: (smoothing_arm(0.1), smoothing_arm(0.3))}
    both[judging._BEST] += (smoothing_arm(0.3),)
    compared = planted(both, **levels(0.62, 0.63, 0.66, 0.7, 0.61))
    compared.correct[compared.arms.index(smoothing_arm(0.3))][:, :3000] = True
    found = ruled(compared)
    assert found.smoothing == 0.3
    assert found.best_regularizer == TUNED
    assert found.over_best_regularizer.mean == pytest.approx(-0.05)
    assert found.verdict == "regularization"


def test_the_recipe_of_a_rung_is_chosen_by_the_rows_of_other_folds():
    """Two recipes of the full response, each right in one fold alone: chosen there, a wonder."""
    lucky = [target_arm(TEACHER, RUNGS[4], Recipe(alpha=a)) for a in (1.0, 0.5)]
    families = {**FAMILIES, RUNGS[4]: tuple(lucky)}
    arms = tuple(dict.fromkeys(arm for each in families.values() for arm in each))
    correct = np.zeros((len(arms), 1, 200), bool)
    folds = (np.arange(200) % 2)[None]
    for number, arm in enumerate(lucky):
        correct[arms.index(arm), 0, folds[0] == number] = True
    twice = np.repeat(correct, 2, axis=1)
    losses = np.zeros(twice.shape)
    compared = Compared(families, arms, twice, losses, np.repeat(folds, 2, axis=0))
    assert ruled(compared).gain.mean == 0


def test_the_best_regularizer_is_chosen_by_the_rows_of_other_folds():
    """Each regularizer is right in another fold: the best of all rows would be no better."""
    compared = planted(**levels(0.0, 0.0, 0.5, 0.5, 0.0))
    compared.correct[:] = False
    full = compared.arms.index(FAMILIES[RUNGS[4]][0])
    compared.correct[full] = True
    for number, name in enumerate(REGULARIZERS):
        arm = compared.arms.index(FAMILIES[name][0])
        compared.correct[arm] = number == FOLDS
    found = ruled(compared)
    assert found.over_best_regularizer.mean > 0.95, "the choice for a fold is wrong there"


@pytest.mark.parametrize(("rows", "equal"), [(2150, False), (2250, True)])
def test_below_2200_rows_arms_that_never_differ_are_not_equal_within_the_margin(rows, equal):
    """The page says so: for such tables regularization takes a larger margin."""
    right = np.random.default_rng(0).random((2, rows)) < 0.7
    folds = np.stack([np.random.default_rng(s).permutation(rows) % 5 for s in range(2)])
    assert (folds_interval(right, right, folds).high < 0.002) is equal
    page = (Path(__file__).parents[2] / "docs/tables-and-scikit-learn.md").read_text()
    assert "Below about 2,200 rows" in page


# --- repetitions ---------------------------------------------------------------------------------


def test_the_part_of_the_variance_that_falls_with_repetitions_is_told_apart():
    rng = np.random.default_rng(0)
    luck = rng.random((4, 3000)) < 0.5  # every repetition another answer: all luck
    steady = np.repeat(luck[:1], 4, axis=0)  # every repetition the same: none
    folds = np.stack([np.random.default_rng(s).permutation(3000) % 5 for s in range(4)])
    nobody = np.zeros_like(luck)
    of_luck, of_rows = (folds_interval(a, nobody, folds) for a in (luck, steady))
    assert of_luck.seed_variance / of_luck.standard_error**2 == pytest.approx(1, abs=0.1)
    assert of_rows.seed_variance == 0
    for each in (of_luck, of_rows):
        total = each.seed_variance + each.example_variance
        assert total == pytest.approx(each.standard_error**2)


def test_repetitions_are_asked_for_where_they_would_do_and_rows_where_not():
    rng = np.random.default_rng(1)
    folds = np.stack([np.random.default_rng(s).permutation(2000) % 5 for s in range(3)])
    luck = rng.random((3, 2000)) < 0.51
    other = rng.random((3, 2000)) < 0.5
    open_ = folds_interval(luck, other, folds)
    assert open_.low < 0 < open_.high
    assert seeds_needed(open_).further_seeds is None or seeds_needed(open_).further_seeds > 0
    same = np.repeat((rng.random((1, 2000)) < 0.5), 3, axis=0)
    else_ = np.repeat((rng.random((1, 2000)) < 0.5), 3, axis=0)
    fixed = folds_interval(same, else_, folds)
    assert seeds_needed(fixed, fixed.mean + 0.0001).seeds is None


def test_one_repetition_cannot_tell_the_parts_apart():
    one = folds_interval([[1, 1, 0, 1]], [[0, 1, 1, 0]], [[0, 0, 1, 1]])
    assert np.isnan(one.seed_variance)


def test_an_open_verdict_speaks_of_repetitions_and_rows():
    found = ruled(planted(**levels(0.6, 0.6, 0.6, 0.6015, 0.6)))
    assert found.explanation.startswith("These repetitions do not decide.")
    assert "More repetitions would not help: with a table of 4000 rows" in found.explanation
    assert "seed" not in found.explanation


# --- what is trained -----------------------------------------------------------------------------


def plan(families=None, x=None, codes=None, said=None, student=TREE):
    if x is None:
        x, codes, said = groups()
    families = families or families_of((1.0, 2.0), (1.0, 0.5), (0.1, 0.2))
    teaching = Teaching(said, folds=2, prefit="auto", seed=0)
    table = Table(x, codes, np.unique(codes))
    made = Comparing(student, teaching, families, 0.001, 2, 1, seed=0)
    response = teaching.out_of_fold(table)
    return Judging(made, table, None, response, families[DISTILLED][0], None, 0.05)


def test_every_rung_is_tuned_over_the_same_recipes():
    families = plan()._families(4)
    recipes = {name: [arm.recipe for arm in families[name]] for name in RUNGS[1:]}
    assert len(recipes[RUNGS[1]]) == 4
    assert all(each == recipes[RUNGS[1]] for each in recipes.values())
    assert families[RUNGS[0]] == (CROSS_ENTROPY,)
    assert len(families[TUNED]) == 2
    assert all(len(families[name]) == 1 for name in FALSIFICATION)
    regularizers = {arm for name in REGULARIZERS for arm in families[name]}
    assert set(families[judging._BEST]) == regularizers
    assert PSEUDO_LABELS not in families


def test_of_two_classes_the_rungs_of_similarity_are_trained_once():
    families = plan()._families(2)
    assert families[RUNGS[2]] == families[RUNGS[3]] == families[RUNGS[4]]
    assert families[RUNGS[1]] != families[RUNGS[4]]


def test_synthetic_rows_of_the_best_arm_go_to_every_rung_and_pseudo_labels_have_to_be_beaten():
    families = families_of((1.0,), (1.0,), (0.1,), (None, "spunge"))
    judged = plan(families)
    made = Judging(
        judged.plan, judged.table, None, judged.response, families[DISTILLED][1], None, 0.05
    )
    found = made._families(4)
    assert all(arm.synthetic == "spunge" for name in RUNGS[1:] for arm in found[name])
    assert found[RUNGS[0]] == (CROSS_ENTROPY,)
    assert found[PSEUDO_LABELS][0].synthetic == "spunge"
    assert found[PSEUDO_LABELS][0] in found[judging._BEST]
    assert made._further == 90


def test_an_arm_with_synthetic_rows_is_another_arm_with_a_key_of_its_own():
    plain = Arm(source=TEACHER, recipe=Recipe())
    made = with_synthetic(plain, "munge")
    assert isinstance(made, SyntheticArm)
    assert made != plain
    assert made.key == f"{plain.key} | munge"
    assert with_synthetic(plain, None) is plain
    with pytest.raises(ConfigError, match="synthetic"):
        with_synthetic(plain, "other")


# --- from end to end -----------------------------------------------------------------------------


def test_similarity_that_the_labels_are_too_few_for_is_knowledge():
    """Forty columns and few rows: the posterior's similarity is worth ten points and more."""
    rng = np.random.default_rng(3)
    means = np.repeat(0.7 * rng.normal(size=(3, 40)), 2, axis=0) + 0.25 * rng.normal(size=(6, 40))
    codes = rng.permutation(np.arange(420) % 6)
    x = means[codes] + rng.normal(size=(420, 40))
    scores = -((x[:, None] - means) ** 2).sum(axis=2) / 2
    posterior = np.exp(scores - scores.max(axis=1, keepdims=True))
    posterior /= posterior.sum(axis=1, keepdims=True)
    judged = plan(
        families_of((1.0,), (1.0,), (0.1,)),
        x,
        codes,
        posterior,
        LogisticRegression(C=10.0, max_iter=40, tol=1e-2),
    )
    found = judged.judge(repeats=2)
    assert found.verdict == "knowledge", found.explanation
    assert found.knowledge.mean > 0.05


def test_a_teacher_without_similarity_is_not_called_knowledge():
    x, codes, posterior = groups(200)
    own = posterior[np.arange(200), codes][:, None]
    flat = np.where(np.eye(4)[codes] == 1, own, (1 - own) / 3)
    found = plan(families_of((1.0,), (1.0, 0.5), (0.1,)), x, codes, flat).judge(repeats=2)
    assert found.verdict != "knowledge"
    assert abs(found.knowledge.mean) < 0.03, "rung 2 is the full response but for rounding"


def test_a_classifier_has_a_verdict_with_ladder_and_controls():
    x, codes, _ = groups()
    classifier = quick().fit(x, codes)
    found = classifier.verify(repeats=2)
    assert [rung.name for rung in found.ladder] == list(RUNGS)
    assert [control.name for control in found.controls] == [*FALSIFICATION, TUNED]
    assert (found.num_seeds, found.tuned_arms, found.num_unlabelled) == (2, True, 0)
    assert found.teacher == "DecisionTreeClassifier"
    assert classifier.verdict_ is found


def test_a_verdict_is_trained_for_when_it_is_first_asked_for(monkeypatch):
    x, codes, _ = groups()
    classifier = quick().fit(x, codes)
    asked = []
    monkeypatch.setattr(Judging, "judge", lambda self, **given: asked.append(given) or "found")
    assert asked == []
    assert [classifier.verdict_, classifier.verdict_] == ["found", "found"]
    assert asked == [{}]
    classifier.fit(x, codes)
    assert classifier.verdict_ == "found"
    assert len(asked) == 2, "another fit, another verdict"


def test_the_same_settings_give_the_same_verdict():
    x, codes, _ = groups()
    one, two = (quick().fit(x, codes).verify(repeats=2) for _ in range(2))
    assert one == two


def test_of_two_classes_nothing_can_be_knowledge_and_that_is_said():
    x, codes, _ = groups()
    found = quick().fit(x, codes // 2).verify(repeats=2)
    assert found.knowledge.mean == 0
    assert found.verdict != "knowledge"
    assert found.explanation.startswith("With two classes, a response contains no class similarity")
    accuracies = [rung.test_accuracy for rung in found.ladder[2:]]
    assert accuracies == [accuracies[0]] * 3


def test_unlabelled_rows_are_in_the_ladder_and_pseudo_labels_are_a_control():
    x, codes, _ = groups(120)
    found = quick().fit(x[:80], codes[:80], unlabelled=x[80:]).verify(repeats=2)
    assert found.num_unlabelled == 40
    assert PSEUDO_LABELS in [control.name for control in found.controls]


def test_a_teacher_that_remembers_proves_nothing():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(120, 4)), rng.integers(0, 3, 120)
    with pytest.warns(DataNote, match="trained on these examples"):
        classifier = quick(RandomForestClassifier(20, random_state=0).fit(x, y)).fit(x, y)
    found = classifier.verify(repeats=2)
    assert found.verdict == "inconclusive"
    assert "trained on these examples" in found.explanation
    assert found.more_seeds is None


def test_a_teacher_from_elsewhere_leaves_a_doubt():
    x, codes, posterior = groups()
    found = quick(posterior).fit(x, codes).verify(repeats=2)
    assert found.explanation.startswith("The teacher was trained elsewhere.")
    assert found.teacher == "ndarray"


def test_rows_do_not_go_with_a_pickled_classifier_but_its_verdict_does():
    x, codes, _ = groups()
    classifier = quick().fit(x, codes)
    again = pickle.loads(pickle.dumps(classifier))
    with pytest.raises(AttributeError, match="a pickled or copied object has neither"):
        _ = again.verdict_
    found = classifier.verify(repeats=2)
    assert pickle.loads(pickle.dumps(classifier)).verdict_ == found
    assert len(pickle.dumps(classifier)) < 30_000


@pytest.mark.parametrize(
    "settings, told",
    [
        ({"repeats": 1}, "repeats must be a whole number from 2, but is 1"),
        ({"repeats": True}, "repeats must be a whole number from 2"),
        ({"repeats": 2.5}, "repeats must be a whole number from 2"),
        ({"margin": -0.1}, r"margin must be in 0\.\.1"),
        ({"level": 0.7}, "level must be between 0 and 0.5"),
        ({"seeds": 20}, "seeds cannot be set for a scikit-learn student"),
    ],
)
def test_settings_of_a_verdict_that_cannot_work_are_refused_before_training(settings, told):
    x, codes, _ = groups()
    classifier = quick().fit(x, codes)
    classifier._judged.plan.__dict__["run"] = lambda *_: pytest.fail("students were trained")
    with pytest.raises(ConfigError, match=told):
        classifier.verify(**settings)


def test_families_of_a_comparison_keep_their_names():
    assert set(families_of((1.0,), (1.0,), (0.1,))) == {DISTILLED, "hard_labels", SMOOTHING}
