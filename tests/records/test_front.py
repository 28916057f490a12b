"""Who is on the front, and what is said about it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodteacher.records import FrontRow, Latency, summarize_front, undominated, with_fronts
from goodteacher.records.front import repetitions_of

VALUES = st.integers(0, 4)
POINTS = st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=8)


def row(student, accuracy, parameters, *, half=0.01, seconds=(1e-3, 2e-2), **changes):
    values = {
        "student": student,
        "folder": student.replace(":", "-"),
        "parameters": parameters,
        "weight_bytes": 4 * parameters,
        "answer": "yes",
        "delivered": "sweet_spot",
        "test_accuracy": accuracy,
        "interval": (accuracy - half, accuracy + half),
        "hard_labels_accuracy": accuracy - 0.02,
        "hard_labels_interval": (accuracy - 0.03, accuracy - 0.01),
        "gain": 0.02,
        "gain_interval": (0.01, 0.03),
        "num_seeds": 3,
        "num_test": 1000,
        "latencies": tuple(
            Latency(
                batch_size=size, median=s, quartiles=(0.9 * s, 1.1 * s), p95=2 * s, repetitions=200
            )
            for size, s in zip((1, 128), seconds, strict=True)
        ),
    }
    return FrontRow(**{**values, **changes})


def is_beaten(point, points):
    """Some other point is no worse in both and better in one: the definition, spelled out."""
    accuracy, cost = point
    no_worse = [(a, c) for a, c in points if a >= accuracy and c <= cost]
    return any(a > accuracy or c < cost for a, c in no_worse)


@given(POINTS)
def test_front_is_what_no_point_beats(points):
    assert undominated(points) == tuple(not is_beaten(point, points) for point in points)


@given(POINTS)
def test_every_beaten_point_is_beaten_by_one_on_the_front(points):
    front = [point for point, kept in zip(points, undominated(points), strict=True) if kept]
    assert front, "the best of the most accurate is always on it"
    assert all(point in front or is_beaten(point, front) for point in points)


@given(POINTS, st.randoms())
def test_order_and_equals_change_nothing(points, random):
    shuffled = random.sample(points, len(points))
    before = dict(zip(points, undominated(points), strict=True))
    assert undominated(shuffled) == tuple(before[point] for point in shuffled)


def test_a_student_may_be_on_one_front_and_off_the_other():
    rows = with_fronts(
        [
            row("mlp:8", 0.9, 100, seconds=(2e-3, 1e-2)),
            row("cnn:4", 0.9, 50, seconds=(4e-3, 1e-2)),
            row("mlp:4", 0.8, 60, seconds=(1e-3, 2e-2)),
        ]
    )
    assert [r.on_front for r in rows] == [False, True, False]
    assert [[e.on_front for e in r.latencies] for r in rows] == [
        [True, True],
        [False, True],
        [True, False],
    ]


def test_overlapping_intervals_are_said_to_show_nothing():
    rows = with_fronts([row("mlp:32", 0.905, 200), row("mlp:8", 0.9, 100)])
    text = summarize_front(rows, level=0.05)
    assert "Best accuracy for their number of parameters (the front): mlp:8 and mlp:32." in text
    assert "The 95 % intervals of mlp:8 and mlp:32 overlap, so it is not shown" in text
    assert "more accurate than" not in text


def test_intervals_that_do_not_overlap_are_said_to_differ():
    rows = with_fronts([row("mlp:8", 0.9, 100), row("mlp:32", 0.95, 200), row("mlp:64", 0.92, 300)])
    text = summarize_front(rows, level=0.1)
    assert "mlp:32 (95.00 %) is more accurate than mlp:8 (90.00 %): their 90 % intervals" in text
    assert "not shown that mlp:64 is really below" not in text, "it is surely beaten"


def test_a_student_beaten_by_its_mean_alone_is_named():
    rows = with_fronts([row("mlp:8", 0.9, 100), row("mlp:16", 0.895, 150)])
    text = summarize_front(rows, level=0.05)
    assert "for their number of parameters (the front): mlp:8." in text
    assert "It is not shown that mlp:16 is really below the front" in text


def test_latencies_whose_quartiles_overlap_do_not_clearly_differ():
    fast = row("mlp:8", 0.9, 100, seconds=(1.0e-3, 1e-2))
    slow = row("mlp:32", 0.95, 200, seconds=(1.1e-3, 4e-2))
    text = summarize_front(with_fronts([slow, fast]), level=0.05)
    assert "Best accuracy for their latency with one example: mlp:8 and mlp:32." in text
    assert "Best accuracy for their latency with a batch of 128: mlp:8 and mlp:32." in text
    assert text.count("neither is shown to be faster") == 1


@pytest.mark.parametrize(("seeds", "said"), [(1, True), (2, False)])
def test_one_seed_says_what_its_interval_covers(seeds, said):
    text = summarize_front(with_fronts([row("mlp:8", 0.9, 100, num_seeds=seeds)]), level=0.05)
    assert ("intervals cover the test examples only" in text) == said


def test_repetitions_are_told_once_where_they_agree():
    found = row("mlp:8", 0.9, 100)
    assert repetitions_of(found.latencies) == "200"
    first, second = found.latencies
    fewer = [second.model_copy(update={"repetitions": count}) for count in (50, 7)]
    assert repetitions_of([first, *fewer]) == "7 to 200"
