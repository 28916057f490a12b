import numpy as np
import pytest

from goodteacher.config import Recipe
from goodteacher.maths.statistics import Interval
from goodteacher.records.arms import CROSS_ENTROPY, FileSource
from goodteacher.verdicts.rule import (
    PSEUDO_LABELS,
    REGULARIZERS,
    RUNGS,
    TUNED,
    Weighed,
    judge,
    plan_arms,
)

BASE = FileSource(content="abc")
RECIPE = Recipe(temperature=2.0, alpha=0.5)
MARGIN = 0.002


def interval(low, high):
    middle = (low + high) / 2
    return Interval(middle, low, high, 0.05, 20, 1000, (high - low) / 4, 100.0)


def verdict(*, knowledge, gain, rung_1=None, rung_2=None, tuned=None):
    over = dict(
        zip(REGULARIZERS, (gain, rung_1 or gain, rung_2 or gain, tuned or gain), strict=True)
    )
    return Weighed(knowledge=knowledge, over=over, best=TUNED).decide(MARGIN)


CLEAR, NONE, OPEN, WORSE = (
    interval(0.005, 0.015),
    interval(-0.001, 0.001),
    interval(-0.004, 0.008),
    interval(-0.02, -0.01),
)


@pytest.mark.parametrize(
    ("effects", "expected"),
    [
        ({"knowledge": CLEAR, "gain": CLEAR}, "knowledge"),
        # Rung 4 only repairs a rung 2 that smooths too much: it does not pay.
        ({"knowledge": CLEAR, "gain": CLEAR, "tuned": NONE}, "regularization"),
        ({"knowledge": CLEAR, "gain": NONE}, "no_gain"),
        ({"knowledge": NONE, "gain": CLEAR, "tuned": NONE}, "regularization"),
        ({"knowledge": NONE, "gain": CLEAR, "tuned": WORSE}, "regularization"),
        ({"knowledge": WORSE, "gain": WORSE}, "no_gain"),
        ({"knowledge": OPEN, "gain": OPEN}, "inconclusive"),
        ({"knowledge": CLEAR, "gain": OPEN}, "inconclusive"),
        ({"knowledge": interval(0.001, 0.015), "gain": CLEAR}, "inconclusive"),
        ({"knowledge": CLEAR, "gain": CLEAR, "rung_1": OPEN, "tuned": OPEN}, "inconclusive"),
    ],
)
def test_rule_gives_the_verdict_that_the_docs_give(effects, expected):
    assert verdict(**effects) == expected


def planted(gains, *, seeds=10, examples=4000, base=0.7, unlabelled=False):
    """Arms whose accuracies differ by known amounts, on the same seeds and examples."""
    rng = np.random.default_rng(0)
    luck = rng.uniform(size=(seeds, examples))
    arms = plan_arms(BASE, RECIPE, (0.1, 0.2), unlabelled=unlabelled)
    correct = {name: luck < base + gains.get(name, 0.0) for name in arms}
    selection = {name: base + gains.get(name, 0.0) for name in arms}
    return judge(correct, selection, arms=arms, teacher="planted", level=0.05, margin=MARGIN)


LADDER_GAINS = {
    "mean_smoothing": 0.01,
    "confidence_smoothing": 0.02,
    "class_similarity": 0.04,
    "full_response": 0.05,
    "label_smoothing_0.2": 0.015,
}


def test_steps_sum_to_the_gain_exactly():
    found = planted(LADDER_GAINS)
    steps = [rung.step.mean for rung in found.ladder if rung.step]
    assert sum(steps) == pytest.approx(found.gain.mean, abs=1e-12)
    assert found.ladder[0].step is None
    assert found.knowledge.mean + found.regularization.mean == pytest.approx(found.gain.mean)
    assert steps[2] + steps[3] == pytest.approx(found.knowledge.mean)


def test_planted_knowledge_is_found_and_sized():
    found = planted(LADDER_GAINS)
    assert found.verdict == "knowledge"
    assert found.knowledge.mean == pytest.approx(0.03, abs=0.004)
    assert found.best_regularizer == "confidence_smoothing"
    assert found.more_seeds is None
    assert "learned class similarity" in found.explanation


def test_tuned_label_smoothing_is_chosen_on_the_selection_split():
    controls = {control.name: control for control in planted(LADDER_GAINS).controls}
    assert controls[TUNED].test_accuracy == pytest.approx(0.715, abs=0.01)
    assert set(controls) == {"permuted", "class_map_permuted", "shuffled_within_class", TUNED}


def test_gain_that_smoothing_gives_too_is_regularization():
    gains = dict.fromkeys(RUNGS[1:], 0.03) | {"label_smoothing_0.1": 0.03}
    found = planted(gains)
    assert found.verdict == "regularization"
    assert "Label smoothing is the cheaper way" in found.explanation


def test_no_difference_at_all_is_no_gain():
    assert planted({}).verdict == "no_gain"


def test_harmful_response_is_never_knowledge():
    assert planted({"full_response": -0.03}).verdict == "no_gain"


def test_undecided_verdict_asks_for_seeds_or_says_that_none_would_do():
    rng = np.random.default_rng(1)
    arms = plan_arms(BASE, RECIPE, (0.1,))
    shift = rng.normal(0, 0.03, size=(5, 1))
    luck = rng.uniform(size=(5, 2000))
    correct = dict.fromkeys(arms, luck < 0.7)
    correct["full_response"] = luck < 0.706 + shift
    found = judge(
        correct,
        dict.fromkeys(arms, 0.7),
        arms=arms,
        teacher="noisy",
        level=0.05,
        margin=MARGIN,
    )
    assert found.verdict == "inconclusive"
    assert found.more_seeds is None or found.more_seeds > 0


def test_arms_share_the_recipe_and_differ_in_the_target():
    arms = plan_arms(BASE, RECIPE, (0.1, 0.3))
    assert arms["one_hot"] == CROSS_ENTROPY
    made = [arms[name] for name in (*RUNGS[1:], "permuted", "class_map_permuted")]
    assert {arm.recipe for arm in made} == {RECIPE}
    assert len({arm.key for arm in arms.values()}) == len(arms)


def test_classes_named_for_unlabelled_examples_are_no_knowledge():
    """The teacher's most probable class alone brings the gain: nothing is said of similarity."""
    gains = dict.fromkeys(RUNGS[1:], 0.05) | {PSEUDO_LABELS: 0.05, "confidence_smoothing": 0.03}
    without = {k: v for k, v in gains.items() if k not in (PSEUDO_LABELS, "mean_smoothing")}
    assert planted(without).verdict == "knowledge"
    found = planted(gains, unlabelled=True)
    assert found.verdict == "regularization"
    assert PSEUDO_LABELS in [control.name for control in found.controls]
    assert "most probable class for the unlabelled examples is enough" in found.explanation


def test_undecided_between_regularization_and_no_gain_asks_for_seeds_too():
    """Similarity is ruled out, so what is open is the gain over the labels."""
    rng = np.random.default_rng(2)
    arms = plan_arms(BASE, RECIPE, (0.1,))
    luck, shift = rng.uniform(size=(6, 3000)), rng.normal(0, 0.02, size=(6, 1))
    better = luck < 0.71 + shift
    correct = dict.fromkeys(arms, better) | {"one_hot": luck < 0.7}
    found = judge(
        correct, dict.fromkeys(arms, 0.7), arms=arms, teacher="x", level=0.05, margin=MARGIN
    )
    assert found.knowledge.interval[1] < MARGIN
    assert found.verdict == "inconclusive"
    assert found.more_seeds > 0
    assert f"asks for {found.more_seeds} further seeds" in found.explanation


def test_undecided_verdict_of_a_small_test_split_says_what_it_resolves():
    arms = plan_arms(BASE, RECIPE, (0.1,))
    correct = {name: np.tile(np.arange(40) < 28, (4, 1)) for name in arms}
    correct["full_response"] = np.tile(np.arange(40) < 29, (4, 1))
    found = judge(
        correct, dict.fromkeys(arms, 0.7), arms=arms, teacher="x", level=0.05, margin=MARGIN
    )
    assert (found.verdict, found.more_seeds) == ("inconclusive", None)
    resolved = f"{100 * found.resolvable_margin:.2f} points at best"
    assert f"this test split of 40 examples resolves differences of about {resolved}" in (
        found.explanation
    )
