import itertools

import pytest

from goodteacher.config import Recipe
from goodteacher.records.results import Effect, Rung, Verdict
from goodteacher.report.ladder import draw_waterfall, waterfall_of

STEPS = {
    "mean_smoothing": -0.02,
    "confidence_smoothing": 0.01,
    "class_similarity": 0.03,
    "full_response": 0.005,
}


def effect(mean):
    return Effect(mean=mean, interval=(mean - 0.01, mean + 0.02))


@pytest.fixture
def verdict():
    return planted_verdict()


def planted_verdict():
    rungs = [Rung(rung=0, name="one_hot", test_accuracy=0.8, selection_accuracy=0.8, step=None)]
    for number, (name, step) in enumerate(STEPS.items(), start=1):
        reached = rungs[-1].test_accuracy + step
        rungs.append(
            Rung(
                rung=number,
                name=name,
                test_accuracy=reached,
                selection_accuracy=0.8,
                step=effect(step),
            )
        )
    gain = sum(STEPS.values())
    return Verdict(
        verdict="knowledge",
        explanation="It is.",
        teacher="batch 32 epoch 2",
        recipe=Recipe(),
        gain=effect(gain),
        knowledge=effect(0.035),
        regularization=effect(-0.01),
        best_regularizer="one_hot",
        over_best_regularizer=effect(gain),
        ladder=tuple(rungs),
        controls=(),
        num_seeds=5,
        level=0.05,
        margin=0.002,
        resolvable_margin=0.001,
        more_seeds=None,
    )


def test_each_bar_begins_where_the_one_before_ended(verdict):
    *steps, whole = waterfall_of(verdict)
    assert steps[0].start == 0
    for before, after in itertools.pairwise(steps):
        assert after.start == pytest.approx(before.end)
    assert whole.start == 0
    assert whole.end == pytest.approx(steps[-1].end)


def test_first_two_rungs_regularize_and_the_others_teach(verdict):
    kinds = [bar.kind for bar in waterfall_of(verdict)]
    assert kinds == ["regularization"] * 2 + ["knowledge"] * 2 + ["total"]


def test_whiskers_end_where_the_steps_interval_does(verdict):
    bars = waterfall_of(verdict)
    steps = draw_waterfall(bars).steps
    assert steps[2].interval == pytest.approx((bars[2].start + 2, bars[2].start + 5))
    assert steps[3].interval == pytest.approx((bars[3].start - 0.5, bars[3].start + 2.5))


def test_bars_stand_in_the_order_of_the_ladder(verdict):
    figure = draw_waterfall(waterfall_of(verdict))
    assert [step.name for step in figure.steps] == [
        "mean smoothing",
        "confidence smoothing",
        "class similarity",
        "full response",
        "total gain",
    ]
    assert [figure.kinds[step.style] for step in figure.steps[1:3]] == [
        "regularization",
        "knowledge",
    ]
