"""What the amount of data comes to, on planted rows."""

import pytest

import amount_of_data_page as page
from repeated import Estimate

SIZES = {0.01: 540, 0.02: 1080, 0.05: 2700, 0.1: 5400, 1.0: 54_000}


def row(share, over_labels, over_smoothing=0.01, half=0.004, **values):
    """A point whose gains are planted."""

    def interval(mean):
        return [mean, mean - half, mean + half]

    return {
        "data": "mnist",
        "kind": "own",
        "share": share,
        "repetition": 0,
        "teacher_learns_from": SIZES[share],
        "students_learn_from": SIZES[share],
        "verdict": "knowledge",
        "labels": 0.9 - over_labels,
        "smoothing": 0.9 - over_smoothing,
        "students": 0.9,
        "over_labels": interval(over_labels),
        "over_smoothing": interval(over_smoothing),
        **values,
    }


GROWING = [row(0.01, 0.06), row(0.02, 0.05), row(0.05, 0.037), row(0.1, 0.03)]


def test_a_gain_that_grows_where_data_are_few_is_seen():
    found = page.slope_of(GROWING, "mnist", "over_labels")
    assert found.mean == pytest.approx(-0.03, abs=0.002)
    assert page.reading(found) == "grows where data are few"


def test_a_gain_that_shrinks_and_one_that_stays_are_told_apart():
    shrinking = [row(s, gain) for s, gain in zip(SIZES, (0.01, 0.02, 0.03, 0.04), strict=False)]
    assert page.reading(page.slope_of(shrinking, "mnist", "over_labels")).startswith("shrinks")
    assert page.reading(page.slope_of(GROWING, "mnist", "over_smoothing")) == "undecided"


def test_three_shares_are_too_few_for_a_slope():
    assert page.slope_of(GROWING[:3], "mnist", "over_labels") is None


def test_teachers_of_more_data_have_no_part_in_the_slope():
    others = [row(s, 0.5, kind="all") for s in (0.01, 0.02, 0.05)]
    alone, beside = (page.slope_of(r, "mnist", "over_labels") for r in (GROWING, GROWING + others))
    assert alone == beside


def test_repetitions_are_fitted_one_by_one():
    again = [{**r, "repetition": n} for n in (1, 2) for r in GROWING]
    found = page.slope_of(GROWING + again, "mnist", "over_labels")
    assert found.repetitions == 3
    assert found.mean == pytest.approx(page.slope_of(GROWING, "mnist", "over_labels").mean)


def test_the_answer_counts_data_sets_and_says_what_fewer_data_add():
    said = page.answer(GROWING)
    assert "On 1 of 1 data sets: MNIST +3.0" in said
    assert "1 to 10 % of the data, repetitions: 1" in said
    assert said.count(page.NOT_RUN) == 2


def test_the_fewest_examples_are_those_of_each_kind():
    said = page.answer([*GROWING, row(0.05, 0.2, kind="all", verdict="no_gain")]).splitlines()
    own, every = (
        next(line for line in said if of in line) for of in ("same examples", "on all data")
    )
    assert "MNIST (540 examples) +6.00 [+5.60, +6.40] points over hard labels and +1.00" in own
    assert own.endswith("over label smoothing (verdict: knowledge)")
    assert "MNIST (2,700 examples) +20.00" in every
    assert every.endswith("(verdict: no gain)")


def test_an_answer_that_is_not_there_says_so():
    assert page.answer([]).count(page.NOT_RUN) == 3
    assert page.answer([]).count(page.TOO_FEW) == 2
    assert page.points_table([]) == page.NOT_RUN


def test_what_unlabelled_examples_add_is_taken_from_their_pairing():
    partly = row(0.1, 0.05, kind="unlabelled", over_tenth=[0.02, 0.01, 0.03])
    assert page.unlabelled_gain([*GROWING, partly], "mnist") == Estimate(0.02, 0.01, 0.03)
    assert page.unlabelled_gain(GROWING, "mnist") is None


def test_the_table_has_a_line_for_each_point_in_order():
    partly = row(0.1, 0.05, kind="unlabelled", students_learn_from=54_000)
    lines = page.points_table([partly, *reversed(GROWING)]).splitlines()[2:]
    assert [line.split(" | ")[1] for line in lines] == [
        "540",
        "1,080",
        "2,700",
        "5,400",
        "5,400 labelled, the rest not",
    ]
    assert "| +6.00 [+5.60, +6.40] |" in lines[0]


def test_verdicts_of_repetitions_are_counted():
    again = row(0.01, 0.06, repetition=1, verdict="no_gain")
    (line, *_) = page.points_table([*GROWING, again]).splitlines()[2:]
    assert line.endswith("| knowledge 1, no gain 1 | 2 |")


def test_what_is_missing_and_what_is_impossible_is_said():
    gone = {"data": "banking77", "kind": "own", "share": 0.01, "repetition": 0, "impossible": True}
    said = page.missing([*GROWING, gone])
    assert said.startswith("4 of 30 runs on MNIST, 0 of 30 runs on Fashion-MNIST, 1 of 30")
    assert "Impossible on Banking77: teacher and students of 1 %" in said
    every = [
        {"data": data, "kind": kind, "share": share}
        for data in page.PAIRS
        for kind, share in page.ORDER
        for _ in range(page.REPETITIONS)
    ]
    assert page.missing(every) == "Nothing: all has been run."


def test_an_impossible_point_is_nowhere_else():
    gone = {"data": "mnist", "kind": "own", "share": 0.01, "repetition": 1, "impossible": True}
    assert page.points_table([*GROWING, gone]) == page.points_table(GROWING)


def test_panels_show_gains_in_points_over_examples():
    whole = row(0.01, 0.09, kind="all", teacher_learns_from=54_000)
    (panel,) = page.panels_of([*GROWING, whole])
    labels = [series.label for series in panel.series]
    assert labels == [
        "over hard labels",
        "over hard labels, teacher of all data",
        "over label smoothing",
        "over label smoothing, teacher of all data",
    ]
    assert list(panel.series[0].x) == [540, 1080, 2700, 5400]
    assert panel.series[0].y == pytest.approx([6.0, 5.0, 3.7, 3.0])
    assert panel.series[0].low[0] == pytest.approx(5.6)
