"""The sentences of a summary whose labels are a teacher's answers."""

import pytest

from goodteacher.records.words import summarize
from tests.report.build import sweet_spot

BETTER, SAME, EQUAL = (0.01, 0.03), (-0.01, 0.01), (-0.01, 0.001)


def summary(answer, labels, smoothing, **changes):
    """The summary of a study whose sweet spot is so much better than hard labels and smoothing."""
    found = sweet_spot()
    known = {"cross_entropy": labels, "label_smoothing": smoothing}
    references = found.references.model_copy(
        update={
            name: getattr(found.references, name).model_copy(update={"adjusted_interval": interval})
            for name, interval in known.items()
        }
    )
    return summarize(answer, found.student, references, delivered="sweet_spot", **changes)


@pytest.mark.parametrize(
    ("answer", "labels", "smoothing", "told", "told_of_its_labels"),
    [
        ("yes", BETTER, BETTER, "training without a teacher", "than its answers alone"),
        ("no", BETTER, EQUAL, "label smoothing, which needs no teacher", "smoothing of these does"),
        ("no", EQUAL, EQUAL, "hard labels, which needs no teacher", "the teacher's answers alone"),
    ],
)
def test_hard_labels_need_no_teacher_unless_they_are_its_answers(
    answer, labels, smoothing, told, told_of_its_labels
):
    plain = summary(answer, labels, smoothing)
    assert told in plain
    assert told_of_its_labels not in plain
    of_its_labels = summary(answer, labels, smoothing, labels_by_teacher=True)
    assert told_of_its_labels in of_its_labels
    assert "which are the labels here" in of_its_labels
    assert "without a teacher" not in of_its_labels
    assert "needs no teacher" not in of_its_labels


def test_other_readings_are_the_same_whoever_labelled():
    given = ("undecided", SAME, SAME)
    assert summary(*given, labels_by_teacher=True) == summary(*given)
