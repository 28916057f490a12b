"""What a student saves beside a teacher that predicts, in sentences."""

import pytest

from goodteacher.records import Latency, Savings, latency_of


def latency(median, size=64):
    return Latency(
        batch_size=size, median=median, quartiles=(median, median), p95=median, repetitions=9
    )


def savings(**changes):
    known = {
        "teacher": "night",
        "student_parameters": 1_234,
        "student_bytes": 20_000,
        "teacher_bytes": 3_000_000,
        "student_latency": latency(0.002),
        "teacher_latency": latency(0.5),
    }
    return Savings(**{**known, **changes})


def test_size_and_time_are_told_with_how_they_were_measured():
    assert savings().summary == (
        "The delivered student has 1,234 parameters and 20 kB of files: 150 times smaller than its "
        "teacher (night, 3 MB). For a batch of 64 the student takes 2 ms (median of 9, quartiles 2 "
        "to 2) on one CPU thread. night took 500 ms (median of 9, quartiles 500 to 500) when "
        "it was asked, on its own hardware: the student is 250 times faster than its teacher."
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"student_bytes": 6_000_000}, "2 times larger than its teacher"),
        ({"student_bytes": 2_900_000}, "about the same as its teacher"),
        ({"student_latency": latency(1.0)}, "the student is 2 times slower than its teacher"),
        ({"student_latency": latency(0.001, size=1)}, "For one example the student"),
    ],
)
def test_what_is_no_saving_is_said_too(changes, told):
    assert told in savings(**changes).summary


def test_what_is_not_known_is_not_told():
    assert "files" not in savings(teacher_bytes=None).summary
    assert "parameters" not in savings(teacher_bytes=None).summary
    assert "faster" not in savings(teacher_latency=None).summary
    assert "faster" not in savings(student_latency=None).summary
    assert savings(teacher_bytes=None, teacher_latency=None).summary == ""


def test_a_latency_is_of_whole_batches_alone():
    found = latency_of([(8, 0.1), (8, 0.3), (8, 0.2), (1, 9.0)])
    assert (found.batch_size, found.repetitions) == (8, 3)
    assert found.median == 0.2
    assert found.quartiles == pytest.approx((0.15, 0.25))
