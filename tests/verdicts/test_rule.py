import numpy as np
import pytest

from goodteacher.config import Recipe
from goodteacher.maths.statistics import Interval, paired_interval
from goodteacher.records.arms import CROSS_ENTROPY, FileSource, TargetSource, smoothing_arm
from goodteacher.verdicts.rule import (
    PSEUDO_LABELS,
    REGULARIZERS,
    RUNGS,
    TUNED,
    Design,
    Weighed,
    judge,
    judge_tuned,
    plan_arms,
    weigh,
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


def test_class_similarity_is_no_regularizer_that_a_gain_must_beat():
    found = planted(LADDER_GAINS | {"class_similarity": 0.06})
    assert found.verdict == "knowledge"
    assert found.best_regularizer == "confidence_smoothing"


def test_tuned_label_smoothing_is_chosen_on_the_selection_split():
    controls = {control.name: control for control in planted(LADDER_GAINS).controls}
    assert controls[TUNED].test_accuracy == pytest.approx(0.715, abs=0.01)
    assert set(controls) == {"permuted", "class_map_permuted", "shuffled_within_class", TUNED}


def test_gain_that_smoothing_gives_too_is_regularization():
    gains = dict.fromkeys(RUNGS[1:], 0.03) | {"label_smoothing_0.1": 0.03}
    found = planted(gains)
    assert found.verdict == "regularization"
    assert "Label smoothing gives the same gain at lower cost." in found.explanation


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


def test_where_the_best_regularizer_is_chosen_otherwise_that_choice_decides():
    over = dict.fromkeys(REGULARIZERS, OPEN) | {RUNGS[0]: CLEAR}
    for chosen, expected in ((None, "inconclusive"), (NONE, "regularization")):
        found = Weighed(knowledge=OPEN, over=over, best=TUNED, over_chosen=chosen)
        assert found.decide(MARGIN) == expected
        assert found.over_best is (chosen or OPEN)


def tuned_arms():
    arms = plan_arms(BASE, RECIPE, (0.1,))
    return {**{n: a for n, a in arms.items() if n != "label_smoothing_0.1"}, TUNED: SMOOTH}


SMOOTH = smoothing_arm(0.1)


def test_a_design_of_its_own_compares_every_pair_and_is_spoken_of():
    asked = []

    def compared(ours, theirs, *, level):
        asked.append(level)
        return paired_interval(ours, theirs, level=level)

    arms, answers = tuned_arms(), np.random.default_rng(0).random((4, 300)) < 0.7
    found = judge_tuned(
        dict.fromkeys(arms, answers),
        dict.fromkeys(arms, 0.7),
        arms=arms,
        teacher="it",
        level=0.1,
        margin=MARGIN,
        design=Design(interval=compared, repetitions="repetitions", examples="a table of {} rows"),
    )
    assert set(asked) == {0.1}
    assert len(asked) == 4 + 1 + 4 + 4, "what is weighed, regularization, steps and controls"
    assert found.verdict == "inconclusive"
    assert found.explanation.startswith("These repetitions do not decide.")
    assert "with a table of 300 rows, differences below about" in found.explanation
    assert (found.smoothing, found.level) == (0.1, 0.1)


def test_a_choice_that_is_not_clear_is_no_reason_for_further_repetitions():
    """Rung 2 is as good, but the choice for each fold keeps missing it."""
    arms, luck = tuned_arms(), np.random.default_rng(0).random((4, 20_000))
    correct = dict.fromkeys(arms, luck < 0.7)
    correct[RUNGS[2]] = correct[RUNGS[4]] = luck < 0.75
    found = judge_tuned(
        correct,
        {name: float(each.mean()) for name, each in correct.items()},
        arms=arms,
        teacher="it",
        level=0.05,
        margin=MARGIN,
        design=Design(best=luck < 0.7),
    )
    assert found.verdict == "inconclusive"
    assert found.more_seeds is None
    assert "this changes from fold to fold" in found.explanation


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
    assert f"suggests that {found.more_seeds} more seeds" in found.explanation


def test_undecided_verdict_of_a_small_test_split_says_what_it_resolves():
    arms = plan_arms(BASE, RECIPE, (0.1,))
    correct = {name: np.tile(np.arange(40) < 28, (4, 1)) for name in arms}
    correct["full_response"] = np.tile(np.arange(40) < 29, (4, 1))
    found = judge(
        correct, dict.fromkeys(arms, 0.7), arms=arms, teacher="x", level=0.05, margin=MARGIN
    )
    assert (found.verdict, found.more_seeds) == ("inconclusive", None)
    resolved = f"differences below about {100 * found.resolvable_margin:.2f} points cannot be shown"
    assert f"with this test split of 40 examples, {resolved}" in found.explanation


# --- on the boundary itself ----------------------------------------------------------------------

STEP = 1e-9
"""Much smaller than any interval, larger than rounding."""


@pytest.mark.parametrize(
    ("knowledge_low", "regularizer_low", "expected"),
    [
        (MARGIN + STEP, STEP, "knowledge"),
        (MARGIN, STEP, "inconclusive"),
        (MARGIN - STEP, STEP, "inconclusive"),
        (MARGIN + STEP, 0.0, "inconclusive"),
        (MARGIN + STEP, -STEP, "inconclusive"),
        (-MARGIN - STEP, STEP, "inconclusive"),
    ],
)
@pytest.mark.parametrize("weakest", ["gain", "rung_1", "rung_2", "tuned"])
def test_knowledge_begins_above_the_margin_and_above_every_regularizer(
    weakest, knowledge_low, regularizer_low, expected
):
    effects = dict.fromkeys(("gain", "rung_1", "rung_2", "tuned"), CLEAR)
    effects[weakest] = interval(regularizer_low, 0.015)
    assert verdict(knowledge=interval(knowledge_low, 0.02), **effects) == expected


@pytest.mark.parametrize(
    ("gain_high", "expected"),
    [(MARGIN - STEP, "no_gain"), (MARGIN, "inconclusive"), (MARGIN + STEP, "inconclusive")],
)
def test_no_gain_ends_where_the_gain_may_reach_the_margin(gain_high, expected):
    assert verdict(knowledge=NONE, gain=interval(-0.004, gain_high)) == expected


@pytest.mark.parametrize(
    ("gain_low", "best_high", "expected"),
    [
        (STEP, MARGIN - STEP, "regularization"),
        (STEP, MARGIN, "inconclusive"),
        (STEP, MARGIN + STEP, "inconclusive"),
        (0.0, MARGIN - STEP, "inconclusive"),
        (-STEP, MARGIN - STEP, "inconclusive"),
    ],
)
def test_regularization_is_a_sure_gain_that_the_best_regularizer_reaches(
    gain_low, best_high, expected
):
    effects = {"gain": interval(gain_low, 0.015), "tuned": interval(-0.01, best_high)}
    assert verdict(knowledge=NONE, **effects) == expected


@pytest.mark.parametrize("margin", [0.0, 0.001, 0.05])
def test_the_margin_decides_what_is_knowledge_and_what_is_no_gain(margin):
    def decide(low, high):
        one = interval(low, high)
        return Weighed(one, dict.fromkeys(REGULARIZERS, one), TUNED).decide(margin)

    assert decide(margin + 0.001, margin + 0.01) == "knowledge"
    assert decide(margin - 0.02, margin - 0.001) == "no_gain"
    assert decide(margin - 0.001, margin + 0.001) == "inconclusive"


# --- which comparison is still open --------------------------------------------------------------


def planned(margin=MARGIN, **effects):
    over = dict.fromkeys(REGULARIZERS, effects.pop("over", CLEAR))
    over |= {name: effects.pop(key) for key, name in OTHERS.items() if key in effects}
    return Weighed(knowledge=effects["knowledge"], over=over, best=TUNED).plan(margin)


OTHERS = {"gain": RUNGS[0], "rung_1": RUNGS[1], "rung_2": RUNGS[2], "tuned": TUNED}


def spread(mean, half):
    """An interval whose own mean and spread say which comparison the plan was made for."""
    error = half / 2.1
    return Interval(mean, mean - half, mean + half, 0.05, 20, 10**6, error, 19.0, error**2, 0.0)


@pytest.mark.parametrize(
    ("effects", "gap"),
    [
        # Knowledge is open, all regularizers may be beaten: the distance to the margin counts.
        ({"knowledge": spread(0.005, 0.004)}, 0.003),
        # Knowledge is sure, one regularizer may still be as good: its distance to 0.
        ({"knowledge": spread(0.02, 0.004), "rung_1": spread(0.003, 0.007)}, 0.003),
        # Two may: the one whose interval reaches lowest.
        (
            {
                "knowledge": spread(0.02, 0.004),
                "rung_1": spread(0.003, 0.007),
                "tuned": spread(0.001, 0.009),
            },
            0.001,
        ),
        # No knowledge, and a gain below the margin so far.
        ({"knowledge": spread(-0.01, 0.002), "gain": spread(0.0005, 0.004)}, 0.0015),
        # No knowledge, a gain above the margin that may still be none.
        ({"knowledge": spread(-0.01, 0.002), "gain": spread(0.006, 0.008)}, 0.006),
        # No knowledge and a sure gain: is the best regularizer as good?
        ({"knowledge": spread(-0.01, 0.002), "tuned": spread(0.0005, 0.004)}, 0.0015),
        # A regularizer is better for sure: what is open is the gain, not knowledge.
        (
            {
                "knowledge": spread(0.02, 0.004),
                "tuned": spread(-0.02, 0.004),
                "gain": spread(0.006, 0.008),
            },
            0.006,
        ),
    ],
)
def test_seeds_are_planned_for_the_comparison_that_stands_before_a_verdict(effects, gap):
    plan = planned(over=spread(0.02, 0.004), **effects)
    assert plan.gap == pytest.approx(gap, abs=1e-12)
    assert plan.further_seeds is None or plan.further_seeds > 0


def exactly(mean, low, high):
    """An interval whose ends are numbers that a float holds exactly."""
    return Interval(mean, low, high, 0.05, 20, 10**6, 0.01, 19.0, 1e-4, 0.0)


SURE = exactly(2.0, 1.5, 2.5)


@pytest.mark.parametrize(
    ("effects", "gap"),
    [
        # Similarity cannot exceed the margin any more: the gain is open, not knowledge.
        ({"knowledge": exactly(0.125, 0.0, 0.25), "gain": exactly(0.75, -0.5, 2.0)}, 0.75),
        # One regularizer can no longer be beaten.
        ({"knowledge": SURE, "tuned": exactly(-0.5, -1.0, 0.0), "gain": SURE}, 0.75),
        # Knowledge that reaches down to the margin is not shown yet.
        ({"knowledge": exactly(0.5, 0.25, 0.75)}, 0.25),
        # A gain of just the margin is asked whether it is one at all.
        ({"knowledge": exactly(-1.0, -1.5, -0.5), "gain": exactly(0.25, -0.5, 1.0)}, 0.25),
        # A gain whose interval begins at 0 is not sure.
        ({"knowledge": exactly(-1.0, -1.5, -0.5), "gain": exactly(0.5, 0.0, 1.0)}, 0.5),
    ],
)
def test_plan_changes_its_question_exactly_where_the_rule_does(effects, gap):
    assert planned(margin=0.25, over=SURE, **effects).gap == gap


def test_only_an_undecided_verdict_asks_for_seeds():
    for gains, expected in ((LADDER_GAINS, "knowledge"), ({}, "no_gain")):
        found = planted(gains)
        assert (found.verdict, found.more_seeds) == (expected, None)


# --- ties and names ------------------------------------------------------------------------------


def test_of_equally_good_strengths_of_smoothing_the_first_is_compared():
    assert planted(LADDER_GAINS | {"label_smoothing_0.2": 0.0}).smoothing == 0.1
    assert planted(LADDER_GAINS).smoothing == 0.2


def test_best_regularizer_is_chosen_on_the_selection_split_not_on_the_test_split():
    """The test split would name another: it has no say."""
    arms = plan_arms(BASE, RECIPE, (0.1,))
    luck = np.random.default_rng(0).uniform(size=(6, 2000))
    correct = dict.fromkeys(arms, luck < 0.7) | {"mean_smoothing": luck < 0.9}
    selection = dict.fromkeys(arms, 0.7) | {"confidence_smoothing": 0.71}
    found = judge(correct, selection, arms=arms, teacher="x", level=0.05, margin=MARGIN)
    assert found.best_regularizer == "confidence_smoothing"
    assert found.over_best_regularizer.mean == found.knowledge.mean


def test_of_equally_good_regularizers_the_simplest_is_the_best():
    correct = dict.fromkeys((*REGULARIZERS, RUNGS[4]), np.tile([True, False], (3, 10)))
    found = weigh(correct, dict.fromkeys(REGULARIZERS, 0.5), level=0.05)
    assert found.best == RUNGS[0]
    assert set(found.over) == set(REGULARIZERS)


def test_completed_labels_are_a_regularizer_only_where_labels_are_missing():
    correct = dict.fromkeys(
        (*REGULARIZERS, RUNGS[4], PSEUDO_LABELS), np.tile([True, False], (3, 9))
    )
    selection = dict.fromkeys(REGULARIZERS, 0.5) | {PSEUDO_LABELS: 0.6}
    assert weigh(correct, selection, level=0.05).best == PSEUDO_LABELS
    assert PSEUDO_LABELS not in plan_arms(BASE, RECIPE, (0.1,))
    completed = plan_arms(BASE, RECIPE, (0.1,), unlabelled=True)[PSEUDO_LABELS]
    assert completed.recipe == Recipe(), "the labels are learned as labels, at full weight"


@pytest.mark.parametrize("level", [0.01, 0.2])
def test_level_widens_or_narrows_every_interval_of_a_verdict(level):
    luck = np.random.default_rng(3).uniform(size=(5, 400))
    arms = plan_arms(BASE, RECIPE, (0.1,))
    correct = {name: luck < 0.6 + 0.01 * number for number, name in enumerate(arms)}
    selection = dict.fromkeys(arms, 0.6)
    common = {"arms": arms, "teacher": "x", "margin": MARGIN}
    usual = judge(correct, selection, level=0.05, **common)
    other = judge(correct, selection, level=level, **common)
    assert other.level == level
    for one, two in (
        (usual.gain, other.gain),
        (usual.knowledge, other.knowledge),
        (usual.regularization, other.regularization),
        *((a.step, b.step) for a, b in zip(usual.ladder[1:], other.ladder[1:], strict=True)),
    ):
        assert one.mean == two.mean
        width = [each.interval[1] - each.interval[0] for each in (one, two)]
        assert (width[1] > width[0]) == (level < 0.05)


def test_rungs_below_the_response_are_made_of_it_at_the_recipes_temperature():
    arms = plan_arms(BASE, RECIPE, (0.1,))
    for name in (*RUNGS[1:4], "permuted"):
        assert arms[name].source == TargetSource(base=BASE, target=name, temperature=2.0)
    assert arms[RUNGS[4]].source == BASE
    assert arms["label_smoothing_0.1"].source.smoothing == 0.1


def test_verdict_reports_who_was_judged_and_on_how_many_seeds():
    found = planted(LADDER_GAINS, seeds=7)
    assert (found.teacher, found.num_seeds, found.margin) == ("planted", 7, MARGIN)
    assert found.recipe == RECIPE
    assert [rung.rung for rung in found.ladder] == [0, 1, 2, 3, 4]
    assert [rung.name for rung in found.ladder] == list(RUNGS)
    assert found.ladder[0].recipe == CROSS_ENTROPY.recipe
    top = found.ladder[4]
    assert top.test_accuracy - found.ladder[0].test_accuracy == pytest.approx(found.gain.mean)
    assert (top.selection_accuracy, found.ladder[0].selection_accuracy) == (0.75, 0.7)
