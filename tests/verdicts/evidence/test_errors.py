"""Error transfer of students that are planted: they copy their teacher's errors, or do not."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from goodteacher.records.arms import Checkpoint, FileSource
from goodteacher.verdicts.evidence import Teachers
from goodteacher.verdicts.evidence.errors import MIN_ERRORS, compare_errors, error_transfer
from goodteacher.verdicts.rule import RUNGS

LABELS = np.zeros(100, dtype=np.int64)
OWN, OTHER = LABELS.copy(), LABELS.copy()
OWN[:40] = 1  # wrong on 40 examples, as class 1
OTHER[30:50] = 1  # wrong on 20, on ten of which the own teacher makes the same error
SEEDS = 4


def everyone(classes, seeds=SEEDS):
    """Students of which each predicts the same."""
    return np.tile(classes, (seeds, 1)).astype(np.int32)


def copying(teacher, first, last):
    """Students that make a teacher's errors on some examples, and are right on all others."""
    found = LABELS.copy()
    found[first:last] = teacher[first:last]
    return everyone(found)


def compared(full, plain=None, independent=OTHER, **further):
    """The arm of the full response, and that of the labels."""
    right = everyone(LABELS)
    predicted = {"one_hot": right if plain is None else plain, "full_response": full, **further}
    arms = compare_errors(predicted, LABELS, OWN, independent, level=0.05)
    found = {arm.name: arm for arm in arms}
    return found["full_response"], found["one_hot"]


def test_students_that_copy_every_error_repeat_all_and_those_that_are_right_none():
    full, plain = compared(copying(OWN, 0, 40))
    assert (full.repeated.mean, plain.repeated.mean) == (1.0, 0.0)
    assert (full.right, plain.right) == (0.0, 1.0)
    assert full.independent.mean == 0.5  # half of the other's errors are the own teacher's too
    assert full.over_cross_entropy.mean == 1.0
    assert full.excess_over_cross_entropy.mean == pytest.approx(0.5, abs=1e-12)
    assert full.transfer == full.excess_over_cross_entropy


def test_half_of_the_errors_copied_is_a_transfer_of_half_where_no_other_teacher_errs_so():
    full, _ = compared(copying(OWN, 0, 20))
    assert full.repeated.mean == 0.5
    assert full.independent.mean == 0.0
    assert full.transfer.mean == pytest.approx(0.5, abs=1e-12)
    low, high = full.transfer.interval
    assert 0.3 < low < 0.5 < high < 0.7


def test_errors_that_students_of_the_labels_make_too_are_none_of_the_teachers():
    alike = copying(OWN, 0, 20)
    full, plain = compared(alike, plain=alike)
    assert full.repeated.mean == plain.repeated.mean == 0.5
    assert full.over_cross_entropy.mean == 0.0
    assert full.transfer.mean == pytest.approx(0.0, abs=1e-12)


def test_errors_of_both_teachers_alike_are_no_transfer():
    """Students repeat what any teacher gets wrong: as much of the one as of the other."""
    own, other, student = LABELS.copy(), LABELS.copy(), LABELS.copy()
    own[:40] = other[20:60] = 1
    student[20:40] = 1
    predicted = {"one_hot": everyone(LABELS), "full_response": everyone(student)}
    _, full = compare_errors(predicted, LABELS, own, other, level=0.05)
    assert full.over_cross_entropy.mean == 0.5  # beside the labels it would look like transfer
    assert full.transfer.mean == pytest.approx(0.0, abs=1e-12)


def test_another_wrong_class_is_no_repeated_error():
    full, _ = compared(copying(2 * OWN, 0, 40))
    assert full.repeated.mean == 0.0
    assert full.right == 0.0


def test_what_students_do_where_the_teacher_is_right_does_not_count():
    student = LABELS.copy()
    student[50:] = 1
    full, _ = compared(everyone(student))
    assert full.repeated.mean == 0.0
    assert full.transfer.mean == pytest.approx(0.0, abs=1e-12)


def test_without_an_independent_teacher_the_labels_students_are_the_comparison():
    full, plain = compared(copying(OWN, 0, 20), independent=None)
    assert full.independent is None
    assert full.excess_over_cross_entropy is None
    assert full.transfer == full.over_cross_entropy
    assert full.transfer.mean == 0.5
    assert plain.transfer is None


def test_seeds_that_copy_and_seeds_that_do_not_widen_the_interval():
    alike, _ = compared(copying(OWN, 0, 20))
    some = copying(OWN, 0, 40)
    some[SEEDS // 2 :] = LABELS
    apart, _ = compared(some)
    assert apart.repeated.mean == alike.repeated.mean
    width = [arm.transfer.interval[1] - arm.transfer.interval[0] for arm in (alike, apart)]
    assert width[1] > 2 * width[0]


def test_more_rungs_widen_the_joint_interval_and_not_its_own():
    one, _ = compared(copying(OWN, 0, 20))
    more, _ = compared(copying(OWN, 0, 20), label=copying(OWN, 0, 3), other=copying(OWN, 0, 9))
    assert more.transfer.interval == pytest.approx(one.transfer.interval)
    assert more.transfer.adjusted_interval[0] < one.transfer.adjusted_interval[0]


def test_interval_of_the_difference_of_shares_covers_as_often_as_it_says():
    """Own and independent errors repeated with equal chance, drawn 300 times."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        n = 400
        labels = np.zeros(n, dtype=np.int64)
        own, other = ((rng.random(n) < share).astype(np.int64) for share in (0.3, 0.15))
        lean = rng.random(n) < 0.4  # examples that mislead every student
        full = lean | (rng.random((5, n)) < 0.1)
        predicted = {"one_hot": np.zeros((5, n), np.int32), "full_response": full.astype(np.int32)}
        _, arm = compare_errors(predicted, labels, own, other, level=0.05)
        low, high = arm.excess_over_cross_entropy.interval
        covered += low <= 0 <= high
    assert 0.91 < covered / 300 <= 1


# --- from a case ---------------------------------------------------------------------------------


def case_of(teachers, students, source=None, selection=LABELS):
    """As much of a verification as this piece asks for."""
    judged = Checkpoint(run="batch 32", epoch=2) if source is None else source
    data = SimpleNamespace(selection=SimpleNamespace(labels=torch.tensor(selection)))
    return SimpleNamespace(
        teachers=teachers,
        test=None,
        labels=LABELS,
        predicted=dict.fromkeys(RUNGS, everyone(LABELS)) | students,
        context=SimpleNamespace(data=data),
        config=SimpleNamespace(level=0.05),
        num_seeds=SEEDS,
        source=judged,
        tasks=(),
        arms={name: name for name in RUNGS},
    )


def asking(own, independent=None, missing=None):
    """Teachers that are asked about the test split alone."""
    found = [None if each is None else torch.tensor(each) for each in (own, independent)]
    return Teachers(on_test=lambda _: Teachers(*found, "batch 64 epoch 2", missing))


def test_errors_are_counted_on_the_test_split_where_the_teacher_can_be_asked():
    case = case_of(asking(OWN, OTHER), {"full_response": copying(OWN, 0, 20)})
    found, missing = error_transfer(case)
    assert missing is None
    assert (found.split, found.num_examples, found.num_errors) == ("test", 100, 40)
    assert (found.independent_errors, found.same_errors) == (20, 10)
    assert found.teacher_held_out
    assert [arm.name for arm in found.arms] == list(RUNGS)
    assert found.arms[-1].transfer.mean == pytest.approx(0.5, abs=1e-12)


def test_given_response_is_asked_about_the_selection_split(monkeypatch):
    from goodteacher.verdicts.evidence import errors

    students = dict.fromkeys(RUNGS, copying(OWN, 0, 10))
    monkeypatch.setattr(errors, "predicted_by_arm", lambda *_: students)
    source = FileSource(content="abc")
    found, missing = error_transfer(case_of(Teachers(torch.tensor(OWN)), {}, source))
    assert (found.split, found.independent, missing) == ("selection", None, None)
    assert found.arms[0].repeated.mean == 0.25
    assert not found.teacher_held_out


def test_of_a_teacher_with_few_errors_nothing_is_said_but_why():
    few = LABELS.copy()
    few[: MIN_ERRORS - 1] = 1
    found, missing = error_transfer(case_of(asking(few, OTHER), {}))
    assert found is None
    assert missing.startswith(
        f"Error transfer was not measured: the teacher is wrong on {MIN_ERRORS - 1} of 100"
    )
    enough = LABELS.copy()
    enough[:MIN_ERRORS] = 1
    assert error_transfer(case_of(asking(enough, OTHER), {}))[0].num_errors == MIN_ERRORS


def test_independent_teacher_with_few_errors_is_left_out_and_named():
    found, missing = error_transfer(case_of(asking(OWN, LABELS), {}))
    assert found.independent is None
    assert found.arms[-1].transfer == found.arms[-1].over_cross_entropy
    assert "the independent teacher is wrong on 0 of 100" in missing


def test_study_without_another_run_says_so():
    found, missing = error_transfer(case_of(asking(OWN, None, "No other run."), {}))
    assert found.independent is None
    assert missing == "No other run."


def test_teacher_that_nobody_can_ask_has_no_error_transfer(monkeypatch):
    from goodteacher.verdicts.evidence import errors

    monkeypatch.setattr(errors, "predicted_by_arm", lambda *_: dict.fromkeys(RUNGS))
    found, missing = error_transfer(case_of(Teachers(missing="Not covered."), {}))
    assert (found, missing) == (None, "Not covered.")
