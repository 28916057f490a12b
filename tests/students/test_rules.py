"""How far the tuning of a student goes: rates, epochs and batch sizes that may be tried."""

import pytest

from goodteacher.config import StudyConfig, Training, parse
from goodteacher.config.values import default_batch_size, default_epochs
from goodteacher.records.results import StudentPlan
from goodteacher.students.tuning import (
    FACTORS,
    FEW,
    FURTHEST,
    MORE_PATIENCE,
    PATIENCE,
    SMALLEST_BATCH,
    STEP,
    _best,
    _beyond,
    rules_for,
)


def config(**changes):
    return parse(StudyConfig, data="digits", teacher="mlp:8", student="mlp:4", **changes)


def rules(num_examples=1000, *, tuned=True, rounds=3, halving=3, batch_size=None, **changes):
    settings = config(**changes)
    exhaustive = settings.exhaustive
    first = settings.first_training(num_examples)
    if batch_size is not None:
        first = first.model_copy(update={"batch_size": batch_size})
    plan = StudentPlan(training=first, tuned=tuned)
    return first, rules_for(
        settings,
        plan,
        num_examples=num_examples,
        rounds=rounds,
        halving=halving,
        exhaustive=exhaustive,
    )


# --- epochs --------------------------------------------------------------------------------------


def test_tuned_student_is_tried_longer_from_round_to_round_and_may_win_from_the_first():
    first, found = rules(rounds=3, halving=3)
    assert found.rounds == (first.epochs, 3 * first.epochs, 9 * first.epochs)
    assert found.wins_from == first.epochs
    assert found.longest == PATIENCE * first.epochs
    assert found.keep == pytest.approx(1 / 3)


def test_patience_is_longer_where_students_train_until_they_converge():
    first, found = rules(until_converged=True)
    assert found.longest == MORE_PATIENCE * first.epochs > PATIENCE * first.epochs


@pytest.mark.parametrize(
    ("epochs", "halving", "rounds", "expected"),
    [
        (9, 3, 3, (1, 3, 9)),
        (90, 3, 3, (10, 30, 90)),
        (8, 2, 2, (4, 8)),
        (2, 3, 3, (1, 2)),  # rounds that would be the same are one
        (1, 3, 3, (1,)),
        (7, 2, 3, (2, 4, 7)),
    ],
)
def test_named_epochs_are_those_of_the_last_round_and_only_they_count(
    epochs, halving, rounds, expected
):
    _, found = rules(tuned=False, student_epochs=epochs, halving=halving, rounds=rounds)
    assert found.rounds == expected
    assert found.wins_from == found.longest == epochs
    assert found.learning_rates[0] == found.learning_rates[1]


def test_exhaustive_search_takes_every_arm_through_the_last_round():
    _, found = rules(tuned=False, student_epochs=9, exhaustive=True)
    assert found.rounds == (9,)
    assert found.keep == 1.0
    _, tuned = rules(exhaustive=True)
    assert tuned.keep == 1.0
    assert len(tuned.rounds) == 3


# --- learning rates ------------------------------------------------------------------------------


def test_learning_rates_reach_as_far_both_ways_and_none_is_tuned_where_it_is_named():
    first, found = rules()
    low, high = found.learning_rates
    assert first.learning_rate / low == high / first.learning_rate == FURTHEST
    assert "learning_rate" in found.axes
    _, named = rules(tuned=False)
    assert "learning_rate" not in named.axes


@pytest.mark.parametrize(
    ("found", "best"),
    [
        ({0.1: 0.9, 0.2: 0.8}, 0.1),
        ({0.1: 0.8, 0.2: 0.9}, 0.2),
        ({0.1: 0.9, 0.2: 0.9005, 0.4: 0.8}, 0.1),  # within a tenth of a point: the smaller
        ({0.1: 0.9, 0.2: 0.902, 0.4: 0.8}, 0.2),
        ({0.4: 0.9, 0.1: 0.9, 0.2: 0.9}, 0.1),
        ({0.1: 0.0, 0.2: 0.0}, 0.1),
    ],
)
def test_smallest_learning_rate_that_is_nearly_best_is_taken(found, best):
    assert _best(found) == best


@pytest.mark.parametrize(
    ("best", "beyond"),
    [(1.0, []), (4.0, [8.0]), (0.25, [0.125]), (0.5, [])],
)
def test_further_learning_rates_are_tried_beyond_an_edge_only(best, beyond):
    found = dict.fromkeys(FACTORS, 0.5) | {best: 0.9}
    assert _beyond(found, 1.0) == beyond


@pytest.mark.parametrize("edge", [FURTHEST, 1 / FURTHEST])
def test_nothing_is_tried_beyond_the_furthest_learning_rate(edge):
    found = dict.fromkeys(FACTORS, 0.5) | {edge: 0.9}
    assert _beyond(found, 1.0) == []
    nearer = dict.fromkeys(FACTORS, 0.5) | {edge / STEP if edge > 1 else edge * STEP: 0.9}
    assert _beyond(nearer, 1.0) == [edge]


# --- batch sizes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("num_examples", "batch_size", "smallest"),
    [
        (1000, 64, 16),
        (FEW, 64, 16),
        (FEW + 1, 64, 64),  # many examples: smaller batches cost much and gain little
        (1000, 16, SMALLEST_BATCH),
        (1000, 8, 8),
        (1000, 4, 4),  # never larger than the first
        (1001, 64, 16),
        (993, 64, 64),  # 31 batches of 32, and one example
        (961, 64, 64),  # 60 batches of 16, and one example
        (65, 64, 64),
    ],
)
def test_smaller_batches_are_tried_where_examples_are_few_and_none_stands_alone(
    num_examples, batch_size, smallest
):
    _, found = rules(num_examples, batch_size=batch_size)
    assert found.batch_sizes == (smallest, batch_size)


@pytest.mark.parametrize("named", [1, 2, 64])
def test_named_batch_size_is_the_only_one(named):
    first, found = rules(student_batch_size=named)
    assert first.batch_size == named
    assert found.batch_sizes == (named, named)
    assert "batch_size" not in found.axes


# --- where it starts -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("num_examples", "size"),
    [(1, 16), (255, 16), (256, 16), (257, 32), (1024, 32), (1025, 64), (10**6, 512), (10**9, 512)],
)
def test_batch_size_follows_the_square_root_of_the_examples(num_examples, size):
    assert default_batch_size(num_examples) == size


@pytest.mark.parametrize(
    ("num_examples", "batch_size", "epochs"),
    [(16, 16, 600), (160, 16, 60), (161, 16, 55), (1600, 16, 6), (10**6, 512, 6), (1, 512, 600)],
)
def test_first_training_takes_enough_steps_and_enough_epochs(num_examples, batch_size, epochs):
    assert default_epochs(num_examples, batch_size) == epochs


@pytest.mark.parametrize(("optimizer", "rate"), [("adam", 0.004), ("adamw", 0.004), ("sgd", 0.1)])
def test_search_for_a_learning_rate_starts_where_the_optimizer_wants(optimizer, rate):
    assert config(student_optimizer=optimizer).first_training(100).learning_rate == rate


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({"student_epochs": 3}, Training(epochs=3, batch_size=32, learning_rate=0.004)),
        ({"student_learning_rate": 0.5}, Training(epochs=19, batch_size=32, learning_rate=0.5)),
        ({"student_batch_size": 100}, Training(epochs=60, batch_size=100, learning_rate=0.004)),
    ],
)
def test_what_the_user_names_is_taken_and_the_rest_follows(named, expected):
    settings = config(**named)
    assert settings.first_training(1000) == expected
    assert settings.tunes_student == ("student_batch_size" in named)
