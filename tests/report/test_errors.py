import numpy as np
import pytest

from goodteacher.records.evidence import ErrorTransfer
from goodteacher.report.errors import errors_lead, errors_table
from goodteacher.verdicts.evidence.errors import compare_errors
from goodteacher.verdicts.rule import RUNGS

LABELS = np.zeros(400, dtype=np.int64)


def wrong(first, last):
    """Classes that are wrong on some examples, as class 1."""
    found = LABELS.copy()
    found[first:last] = 1
    return found


def students(classes):
    return np.tile(classes, (4, 1)).astype(np.int32)


OWN, OTHER = wrong(0, 200), wrong(150, 250)


def made(full, plain=LABELS, *, independent=True, **changes):
    """A record of planted students; the rungs between are students of the labels."""
    predicted = dict.fromkeys(RUNGS, students(plain)) | {"full_response": students(full)}
    other = OTHER if independent else None
    values = {
        "split": "test",
        "num_examples": 400,
        "num_seeds": 4,
        "teacher_held_out": True,
        "teacher": "batch 32 epoch 4",
        "num_errors": 200,
        "independent": "batch 64 epoch 4" if independent else None,
        "independent_errors": 100 if independent else None,
        "same_errors": 50 if independent else None,
        "arms": compare_errors(predicted, LABELS, OWN, other, level=0.05),
    }
    return ErrorTransfer(**{**values, **changes})


@pytest.mark.parametrize(
    ("full", "plain", "answer"),
    [
        (wrong(0, 100), LABELS, "So students learn errors from their teacher."),
        (LABELS, wrong(0, 100), "make the teacher's errors less often than other students."),
        (wrong(0, 1), LABELS, "The interval includes 0, so no error transfer is shown."),
    ],
)
def test_lead_says_in_words_what_the_interval_says(full, plain, answer):
    (said,) = errors_lead(made(full, plain))
    assert said.endswith(answer)
    assert "wrong on 200 of 400 examples of the test split" in said


def test_lead_names_both_shares_and_what_is_compared():
    (said,) = errors_lead(made(wrong(0, 100)))
    assert "on 50.00 % of them, students of hard labels on 0.00 %" in said
    assert "corrected for the errors of an independent teacher: +50.00" in said
    (alone,) = errors_lead(made(wrong(0, 100), independent=False))
    assert "compared with students of hard labels: +50.00" in alone


def test_table_has_a_row_for_each_rung_and_says_who_is_independent():
    table = errors_table(made(wrong(0, 100)), 0.05)
    assert [row[0] for row in table.rows][-1] == "full response"
    assert len(table.rows) == len(RUNGS)
    labels, *_, full = table.rows
    assert labels[-2:] == ("-", "-")
    assert full[1].startswith("50.00 [")
    assert full[2] == "50.00"
    assert full[-1].startswith("+50.00 [")
    assert "(batch 64 epoch 4) is wrong on 100 examples; on 50 of them both" in table.caption


def test_table_without_an_independent_teacher_says_what_stands_in_its_place():
    table = errors_table(made(wrong(0, 100), independent=False), 0.05)
    assert "students of hard labels are the comparison" in table.caption
    assert all(row[3] == row[-1] == "-" for row in table.rows)


@pytest.mark.parametrize(("held_out", "told"), [(False, True), (True, False)])
def test_teacher_that_learned_from_the_split_is_told_of(held_out, told):
    found = made(wrong(0, 100), split="selection", teacher_held_out=held_out)
    assert ("the examples that it could not fit" in errors_table(found, 0.05).caption) is told
