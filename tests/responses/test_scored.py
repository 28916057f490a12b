"""What predict functions return, understood or refused."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from goodteacher.errors import ResponseError
from goodteacher.responses import Scored, joined, scored

VALUES = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])


class Frame:
    """As much of a data frame as is needed."""

    def __init__(self, values, columns):
        self.values, self.columns = values, columns

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)


def listed(rows):
    return [[{"label": name, "score": score} for name, score in row.items()] for row in rows]


ROWS = [{"a": 0.7, "b": 0.2, "c": 0.1}, {"c": 0.8, "a": 0.1, "b": 0.1}]


@pytest.mark.parametrize(
    "output",
    [
        VALUES,
        VALUES.tolist(),
        torch.tensor(VALUES, requires_grad=True),
        Frame(VALUES, ["a", "b", "c"]),
        ROWS,
        listed(ROWS),
    ],
    ids=["array", "lists", "tensor", "frame", "dictionaries", "pipeline"],
)
def test_scores_of_each_class_are_read(output):
    found = scored(output, 2)
    assert found.values.tolist() == VALUES.tolist()
    named = isinstance(output, Frame) or (isinstance(output, list) and output[0] != [0.7, 0.2, 0.1])
    assert found.names == (("a", "b", "c") if named else ())


def test_classes_that_are_not_among_the_best_few_are_zero():
    found = scored(listed([{"a": 0.6, "c": 0.3}, {"b": 0.9}]), 2)
    assert (found.names, found.values.tolist()) == (("a", "c", "b"), [[0.6, 0.3, 0], [0, 0, 0.9]])


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (
            [0, 2],
            r"array of shape \[2\], which is one number for each example\. A predicted label",
        ),
        (np.array([[0.3], [0.9]]), r"shape \[2, 1\], which is one number for each"),
        (["cat", "dog"], r"returns labels \('cat', ...\)"),
        (np.array(["cat", "dog"]), "returns labels"),
        (VALUES.T, r"shape \[3, 2\]. If that is a row for each class"),
        (VALUES[:1], "For 2 examples the function returned 1 rows. Does it drop the last batch"),
        (np.tile(VALUES, (4, 1)), "returned 8 rows"),
        (ROWS[:1], "returned 1 rows"),
        (np.zeros((2, 3, 4)), r"shape \[2, 3, 4\], but \[2, classes\] is needed"),
        ({"a": [0.1, 0.9]}, r"returned one dictionary \(a\)"),
        ([{"label": "a", "score": 0.9}] * 2, "one label with its score"),
        ([[{"name": "a"}]] * 2, "must have label and score"),
        ([{"a": "high"}] * 2, "score of a class must be a number"),
        (listed([{"a": 0.5}])[0:1] * 2 + [], None),
        ([[{"label": "a", "score": 0.5}] * 2] * 2, "The function returned the same class twice"),
        (None, "returns labels|cannot be converted to an array"),
        ([[1.0], [1.0, 2.0]], "cannot be converted to an array"),
    ],
)
def test_what_is_no_score_of_each_class_is_refused(output, message):
    if message is None:
        assert scored(output, 2).names == ("a",)
        return
    with pytest.raises(ResponseError, match=message):
        scored(output, 2)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.randoms())
def test_joined_batches_keep_each_score_with_its_class(sizes, random):
    names = ["a", "b", "c", "d"]
    parts, expected = [], []
    for size in sizes:
        own = random.sample(names, random.randint(1, 4))
        values = np.array([[0.5 + random.random() for _ in own] for _ in range(size)])
        parts.append(Scored(values, tuple(own)))
        expected += [dict(zip(own, row, strict=True)) for row in values.tolist()]
    whole = joined(parts)
    for row, scores in zip(whole.values.tolist(), expected, strict=True):
        found = dict(zip(whole.names, row, strict=True))
        assert {name: value for name, value in found.items() if value} == scores


def test_batches_of_different_kinds_are_refused():
    named, plain = Scored(np.ones((1, 2)), ("a", "b")), Scored(np.ones((1, 2)))
    with pytest.raises(ResponseError, match="2 columns and classes by name"):
        joined([named, plain])
    with pytest.raises(ResponseError, match="2 columns, 3 columns"):
        joined([plain, Scored(np.ones((1, 3)))])
