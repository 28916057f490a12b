"""What may be wrong with students' training: when it is said, and in which words."""

import pytest
import torch

from goodteacher.errors import RunError
from goodteacher.records.results import StudentRow
from goodteacher.students.doubts import (
    check_diverged,
    told_diverged,
    told_doubts,
    told_unfinished,
    without_learning,
)


def rows(good, lost=0, **values):
    """Students of one name: so many healthy ones, so many that diverged."""
    common = {"student_learning_rate": 0.25, "student_epochs": 30, **values}
    each = ["ok"] * good + ["diverged"] * lost
    return [StudentRow.model_construct(status=status, **common) for status in each]


# --- students that diverged ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("good", "lost", "counts"), [(3, 0, {}), (1, 0, {}), (3, 2, {"a": 2}), (99, 98, {"a": 98})]
)
def test_fewer_than_half_of_the_students_may_diverge(good, lost, counts):
    assert check_diverged({"a": rows(good, lost), "b": rows(3)}) == counts


@pytest.mark.parametrize(("good", "lost"), [(1, 1), (2, 2), (0, 1), (2, 3)])
def test_half_of_the_students_of_one_name_end_the_work(good, lost):
    with pytest.raises(RunError, match=f"{lost} of {good + lost} students of hard labels diverged"):
        check_diverged({"sweet_spot": rows(5, 1), "cross_entropy": rows(good, lost)})


def test_names_are_told_as_words():
    with pytest.raises(RunError, match=r"of mean smoothing diverged.*a learning rate of 0\.25"):
        check_diverged({"mean_smoothing": rows(0, 1)})
    with pytest.raises(RunError, match="of hard labels and b diverged"):
        check_diverged({"cross_entropy": rows(0, 1), "a": rows(1), "b": rows(0, 1)})


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"sweet_spot": 1}, "1 student of the sweet spot diverged and counts as wrong"),
        ({"sweet_spot": 2}, "2 students of the sweet spot diverged and count as wrong"),
        (
            {"sweet_spot": 1, "cross_entropy": 1},
            "2 students of the sweet spot and hard labels diverged and count",
        ),
    ],
)
def test_those_that_diverged_are_counted_in_good_grammar(counts, words):
    assert told_diverged(counts).startswith(words)


# --- students that were cut short ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("tuned", "until_converged", "said", "not_said"),
    [
        (True, False, "Train them longer with --until-converged", "--student-epochs"),
        (True, True, "Train longer in a new folder: --student-epochs 90", "--until-converged"),
        (False, False, "or set at least --student-epochs 90", "--until-converged"),
        (False, True, "or set at least --student-epochs 90", "--until-converged"),
    ],
)
def test_advice_is_what_has_not_been_tried(tuned, until_converged, said, not_said):
    told = told_unfinished(
        ["sweet_spot"], [10, 30, 20], tuned=tuned, until_converged=until_converged
    )
    assert "were still getting better after 30 epochs" in told
    assert said in told
    assert not_said not in told


@pytest.mark.parametrize(
    ("improving", "diverged", "beginnings"),
    [
        ([], {}, []),
        (["sweet_spot"], {}, ["Students of the sweet spot were"]),
        ([], {"sweet_spot": 2}, ["2 students"]),
        (
            ["label_smoothing"],
            {"sweet_spot": 1},
            ["Students of label smoothing were", "1 student "],
        ),
    ],
)
def test_each_doubt_is_a_sentence_and_no_doubt_is_none(improving, diverged, beginnings):
    by_name = {name: rows(3) for name in ("sweet_spot", "label_smoothing")}
    told = told_doubts(by_name, improving, diverged, {}, tuned=True)
    assert len(told) == len(beginnings)
    assert all(map(str.startswith, told, beginnings))


def test_longer_limit_is_offered_unless_it_was_taken():
    assert "--until-converged" in told_unfinished(["a"], [3], tuned=True)
    (told,) = told_doubts({"a": rows(1)}, ["a"], {}, {}, tuned=True)
    assert told.endswith("Train them longer with --until-converged.")
    (told,) = told_doubts({"a": rows(1)}, ["a"], {}, {}, tuned=True, until_converged=True)
    assert "--student-epochs 90" in told


def test_epochs_of_the_longest_of_those_that_improve_are_told():
    by_name = {"a": rows(1, student_epochs=10), "b": rows(1, student_epochs=90), "c": rows(1)}
    (told,) = told_doubts(by_name, ["a", "c"], {}, {}, tuned=False)
    assert "a and c were still getting better after 30 epochs" in told


# --- students that did not learn -----------------------------------------------------------------


def reaching(**accuracies):
    """Two students of each name, around a mean accuracy on the selection split."""
    return {
        name: [*rows(1, selection_accuracy=mean - 0.01), *rows(1, selection_accuracy=mean + 0.01)]
        for name, mean in accuracies.items()
    }


EVEN = torch.arange(100) % 10
MOSTLY_ONE = torch.tensor([0] * 60 + [1] * 40)


@pytest.mark.parametrize(
    ("accuracies", "labels", "failed"),
    [
        ({"cross_entropy": 0.8, "label_smoothing": 0.79}, EVEN, []),
        ({"cross_entropy": 0.8, "label_smoothing": 0.41}, EVEN, []),
        ({"cross_entropy": 0.8, "label_smoothing": 0.39}, EVEN, ["label_smoothing"]),
        ({"hard_labels": 0.3, "recipe": 0.14}, EVEN, ["recipe"]),
        ({"cross_entropy": 0.1, "a": 0.08}, EVEN, ["cross_entropy", "a"]),
        ({"cross_entropy": 0.11, "label_smoothing": 0.12}, EVEN, []),
        ({"cross_entropy": 0.7, "label_smoothing": 0.6}, MOSTLY_ONE, ["label_smoothing"]),
        ({"cross_entropy": 0.6, "label_smoothing": 0.61}, MOSTLY_ONE, ["cross_entropy"]),
        ({"sweet_spot": 0.9, "cross_entropy": 0.05}, EVEN, ["cross_entropy"]),
    ],
)
def test_students_that_name_one_class_or_are_far_below_hard_labels_did_not_learn(
    accuracies, labels, failed
):
    found = without_learning(reaching(**accuracies), labels)
    assert [*found] == failed
    assert all(found[name] == pytest.approx(accuracies[name]) for name in failed)


def test_students_that_diverged_are_not_told_twice():
    good = reaching(cross_entropy=0.8)["cross_entropy"]
    lost = [*good, *rows(0, 1, selection_accuracy=0.0)]
    assert without_learning({"cross_entropy": good, "a": lost}, EVEN) == {}
    assert without_learning({"cross_entropy": good, "a": rows(0, 2)}, EVEN) == {}


def test_one_sentence_tells_all_that_did_not_learn_after_what_may_be_why():
    failed = {"label_smoothing": 0.031, "a": 0.2}
    by_name = {"a": rows(1)}
    told = told_doubts(by_name, ["a"], {}, failed, tuned=False)
    assert len(told) == 2
    assert "still" in told[0]
    assert told[1].startswith("Students of label smoothing and a did not learn: they are right")
    assert "on 3.10 % and 20.00 % of the selection split" in told[1]
    assert "Lower --student-learning-rate, or leave it out" in told[1]
    (tuned,) = told_doubts(by_name, [], {}, failed, tuned=True)
    assert "--student-learning-rate" not in tuned
    assert "their learning curves in the report" in tuned
