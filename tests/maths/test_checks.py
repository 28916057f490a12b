"""The door of layer 1: each rule with its message."""

import pytest
import torch

from goodteacher.errors import ConfigError, ResponseError
from goodteacher.maths._checks import UNLABELLED, check_response, check_temperature, fill_unlabelled

GOOD_LABELS = torch.tensor([0, 1, 2, UNLABELLED])
GOOD_LOGITS = torch.zeros(4, 3)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_any_integer_labels_are_accepted(dtype):
    check_response(GOOD_LOGITS, torch.tensor([0, 1, 2, 2], dtype=dtype), allow_unlabelled=False)


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (torch.zeros(4), r"shape \[num_examples, num_classes\], but got \[4\]"),
        (torch.zeros(2, 4, 3), r"but got \[2, 4, 3\].*one view at a time"),
        (torch.zeros(0, 3), r"no examples.*\[0, 3\].*split empty\?"),
        (torch.zeros(4, 1), r"at least 2 classes.*\[4, 1\].*sigmoid"),
        (torch.zeros(4, 3, dtype=torch.int64), r"floating-point tensor, but got torch\.int64"),
        ([[0.0, 1.0]], "floating-point tensor, but got list"),
        (torch.full((4, 3), torch.nan), "4 of 4 rows contain NaN or infinity"),
        (torch.eye(4)[:, :3] * torch.inf, "rows contain NaN or infinity"),
    ],
)
def test_logits_that_are_no_response_are_refused(logits, message):
    with pytest.raises(ResponseError, match=message):
        check_response(logits, GOOD_LABELS)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.tensor([0, 1, 2, 3]), r"0\.\.2 for a response with 3 classes.*but got 3\. Was the"),
        (torch.tensor([0, 1, 2, -2]), r"\(or be -1, unlabelled\), but got -2"),
        (torch.tensor([0, 1, 2]), r"shape \[4\], one for each row of the logits, but got \[3\]"),
        (torch.zeros(4, 3, dtype=torch.int64), r"but got \[4, 3\]"),
        (torch.zeros(4), r"integers, but got torch\.float32.*one-hot rows\?"),
        (torch.zeros(4, dtype=torch.bool), r"integers, but got torch\.bool"),
        ([0, 1, 2, 0], "integers, but got list"),
    ],
)
def test_labels_that_name_no_class_are_refused(labels, message):
    with pytest.raises(ResponseError, match=message):
        check_response(GOOD_LOGITS, labels)


def test_an_unlabelled_example_is_refused_where_labels_are_needed():
    check_response(GOOD_LOGITS, GOOD_LABELS)
    with pytest.raises(ResponseError, match="-1 is not allowed here, but got -1"):
        check_response(GOOD_LOGITS, GOOD_LABELS, allow_unlabelled=False)


@pytest.mark.parametrize("temperature", [0, -2.0, float("nan"), float("inf")])
def test_a_temperature_must_be_positive_and_finite(temperature):
    with pytest.raises(ConfigError, match=f"positive and finite, but got {temperature}"):
        check_temperature(temperature)


def test_unlabelled_examples_are_filled_for_each_teacher_of_a_stack():
    logits = torch.tensor([[[0.0, 1.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]])
    filled = fill_unlabelled(torch.tensor([0, UNLABELLED]), logits)
    assert filled.tolist() == [[0, 1], [0, 0]]
