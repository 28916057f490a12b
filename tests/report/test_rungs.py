import numpy as np
import pytest

from goodteacher.config import Recipe
from goodteacher.records.arms import CROSS_ENTROPY, Arm, Checkpoint, smoothing_arm
from goodteacher.report.rungs import deviation, first_rung, longest_training
from tests.report.build import CHOSEN, WINNER, row

OTHER = Arm(source=CHOSEN, recipe=Recipe(temperature=1.0))
FAR = Arm(source=Checkpoint(run="batch 32", epoch=4), recipe=Recipe())


def test_mean_and_deviation_over_seeds_agree_with_numpy():
    values = [0.81, 0.84, 0.9]
    rows = [row(WINNER, accuracy=a, seed=s) for s, a in enumerate(values)]
    score = first_rung(rows).scores[0]
    assert score.n == 3
    assert score.mean == pytest.approx(np.mean(values), abs=1e-12)
    assert score.deviation == pytest.approx(np.std(values, ddof=1), abs=1e-12)


def test_one_seed_has_no_deviation():
    assert first_rung([row(WINNER, accuracy=0.8)]).scores[0].deviation is None
    assert deviation([]) is None


def test_later_rungs_and_confirmation_are_not_mixed_into_the_first_rung():
    rows = [
        row(WINNER, accuracy=0.8),
        row(WINNER, accuracy=0.9, rung=1, student_epochs=6),
        row(WINNER, accuracy=0.95, stage="confirm", student_epochs=18, test=0.9),
    ]
    rung = first_rung(rows)
    assert rung.student_epochs == 2
    assert [score.accuracies for score in rung.scores] == [(0.8,)]


def test_diverged_student_counts_as_zero():
    rows = [row(WINNER, accuracy=0.8), row(WINNER, accuracy=0.0, seed=1)]
    assert first_rung(rows).scores[0].mean == pytest.approx(0.4)


def test_no_search_rows_give_no_rung():
    assert first_rung([]) is None
    assert first_rung([row(WINNER, accuracy=0.9, stage="confirm")]) is None


def test_each_checkpoint_keeps_its_best_recipe():
    rung = first_rung([row(OTHER, accuracy=0.7), row(WINNER, accuracy=0.8), row(FAR, accuracy=0.6)])
    best = rung.best_by_checkpoint()
    assert {c: score.recipe for c, score in best.items()} == {
        CHOSEN: WINNER.recipe,
        FAR.source: FAR.recipe,
    }


def test_one_recipe_can_be_asked_for():
    rung = first_rung([row(OTHER, accuracy=0.7), row(WINNER, accuracy=0.8)])
    assert rung.best_by_checkpoint(OTHER.recipe)[CHOSEN].mean == pytest.approx(0.7)
    assert rung.best_by_checkpoint(Recipe(temperature=99)) == {}


def test_best_of_a_source_ignores_the_others():
    rows = [
        row(CROSS_ENTROPY, accuracy=0.99),
        row(smoothing_arm(0.1), accuracy=0.7),
        row(smoothing_arm(0.2), accuracy=0.8),
    ]
    assert first_rung(rows).best_of("smoothing").smoothing == 0.2
    assert first_rung(rows).best_of("file") is None


def test_last_rung_counts_any_recipe_of_a_checkpoint():
    rows = [
        row(WINNER, accuracy=0.8),
        row(OTHER, accuracy=0.8),
        row(OTHER, accuracy=0.9, rung=2, student_epochs=18),
        row(FAR, accuracy=0.7),
    ]
    assert longest_training(rows) == {CHOSEN: 18, FAR.source: 2}
