"""What keeps studies from being compared, and the row that each makes."""

import pytest

from goodteacher.config import Recipe
from goodteacher.records import ComparedStudy, Effect, Gain, remarks_on


def study(name, **changes):
    """A finished study; its gain over hard labels is 2 points, that over smoothing is open."""
    values = {
        "name": name,
        "place": f"/studies/{name}",
        "finished": True,
        "data": "digits",
        "fingerprint": "a" * 32,
        "num_classes": 10,
        "transfer": 1000,
        "selection": 150,
        "test": 360,
        "teacher": "mlp:64",
        "student": "mlp:8",
        "versions": ("1.0",),
        "level": 0.05,
        "answer": "undecided",
        "run": "batch 16",
        "epoch": 4,
        "sweet_spot": "batch size 16, epoch 4",
        "recipe": Recipe(temperature=2, alpha=0.5),
        "accuracy": 0.9,
        "interval": (0.88, 0.92),
        "num_seeds": 3,
        "delivered": "sweet_spot",
        "gains": (
            Gain(
                over="cross_entropy",
                difference=0.02,
                interval=(0.01, 0.03),
                joint_interval=(0.005, 0.035),
            ),
            Gain(
                over="label_smoothing",
                difference=0.01,
                interval=(-0.01, 0.03),
                joint_interval=(-0.02, 0.04),
            ),
            Gain(over="converged_teacher", difference=0.0, interval=None, joint_interval=None),
        ),
        "teacher_seconds": 2.0,
        "student_seconds": 10.0,
        "num_students": 30,
    }
    return ComparedStudy(**{**values, **changes})


def unfinished(name, **changes):
    found = ("answer", "run", "epoch", "sweet_spot", "recipe", "accuracy", "interval", "num_seeds")
    costs = ("delivered", "teacher_seconds", "student_seconds", "num_students")
    missing = dict.fromkeys((*found, *costs))
    lacking = ("not finished: go on",)
    return study(name, **{**missing, "finished": False, "gains": (), "lacking": lacking}, **changes)


def remarks(*studies, **differing):
    return list(remarks_on(studies, differing))


def test_equal_studies_need_no_remark():
    assert remarks(study("a"), study("b", student="mlp:16")) == []


def test_other_data_come_first_and_say_what_can_be_read():
    said = remarks(
        study("a"), study("b", data="mnist", fingerprint="b" * 32, versions=("2.0",)), study("c")
    )
    assert said[0].startswith("The data differ: digits (a and c) and mnist (b). Accuracies on")
    assert "each gain is measured within its own study" in said[0]
    assert "different versions of goodteacher: 1.0 (a and c) and 2.0 (b)" in said[1]
    assert len(said) == 2


def test_data_of_one_name_and_other_content_are_told_by_their_fingerprints():
    (said,) = remarks(study("a"), study("b", fingerprint="b" * 32))
    assert "digits with fingerprint aaaaaaaa (a) and digits with fingerprint bbbbbbbb (b)" in said


def test_splits_of_the_same_data_are_compared_and_those_of_other_data_are_not():
    selection, transfer = remarks(study("a"), study("b", selection=300, transfer=850))
    assert "The selection splits differ: 150 examples (a) and 300 examples (b)" in selection
    assert "transfer sets of different size: 1,000 examples (a) and 850 examples (b)" in transfer
    other = study("b", fingerprint="b" * 32, selection=300, transfer=850)
    assert len(remarks(study("a"), other)) == 1


def test_a_split_drawn_with_another_seed_is_named():
    (said,) = remarks(study("a"), study("b"), split_seed=(0, 7))
    assert "(--split-seed): 0 (a) and 7 (b)" in said


def test_budgets_are_named_with_their_values():
    (said,) = remarks(study("a"), study("b"), epochs=(8, 16), seeds=(3, 10), batch_sizes=("1", "2"))
    assert "teacher epochs 8 (a) and 16 (b); seeds of the confirmation 3 (a) and 10 (b)" in said
    assert "batch" not in said


def test_levels_and_single_seeds_are_named():
    levels, seeds = remarks(study("a", level=0.1), study("b", num_seeds=1))
    assert "90 % (a) and 95 % (b)" in levels
    assert seeds.startswith("With one seed, the intervals of b cover the test examples only")


def test_a_version_that_nobody_noted_is_unknown():
    (said,) = remarks(study("a", versions=()), study("b"))
    assert "an unknown version (a) and 1.0 (b)" in said


def test_a_row_is_flat_and_has_the_gains_as_columns():
    row = study("a", knowledge=Effect(mean=0.01, interval=(0.0, 0.02)), lacking=("x", "y")).row()
    assert all(not isinstance(value, dict | list | tuple) for value in row.values())
    assert row["gain_over_cross_entropy"] == pytest.approx(0.02)
    assert (row["gain_over_cross_entropy_low"], row["low"]) == (0.01, 0.88)
    assert row["gain_over_converged_teacher"] == 0.0
    assert row["gain_over_converged_teacher_high"] is None
    assert (row["loss"], row["temperature"], row["alpha"]) == ("kl", 2.0, 0.5)
    assert row["lacking"] == "x; y"


def test_the_row_of_an_unfinished_study_has_the_same_columns_without_values():
    row = unfinished("a").row()
    assert row.keys() == study("b").row().keys()
    assert row["temperature"] is None
    assert row["gain_over_cross_entropy"] is None
    assert row["accuracy"] is None


def test_a_gain_that_was_not_measured_is_none():
    assert study("a").gain("most_accurate_teacher") is None
    assert study("a").gain("cross_entropy").difference == pytest.approx(0.02)
