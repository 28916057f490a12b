"""A teacher that answers as though it was trained on what it is asked about."""

import pytest
import torch

from goodteacher.data import Split
from goodteacher.responses import Response, remembered

LABELS = torch.arange(300) % 3


def examples(labels=LABELS):
    return Split.from_arrays(torch.zeros(len(labels), 1), labels)


def response(sureness, right=1.0, seed=0, labels=LABELS):
    """Sure of the label for a share of the examples, of another class for the rest."""
    random = torch.rand(len(labels), generator=torch.Generator().manual_seed(seed))
    said = torch.where(random < right, labels, (labels + 1) % 3)
    return Response(sureness * torch.eye(3)[said], torch.arange(len(labels)))


def test_a_teacher_far_surer_than_its_clones_is_told_with_both_reasons():
    found = remembered(response(6.0, right=0.99), examples(), response(2.0, right=0.8, seed=1))
    assert found.code == "response_remembered"
    assert "It was probably trained on these examples, or on many more" in found.message
    assert "folds that the teacher was not trained on" in found.message


def test_a_teacher_as_sure_as_its_clones_is_not_told():
    assert remembered(response(2.0, right=0.8), examples(), response(2.0, 0.8, seed=1)) is None


def test_a_teacher_a_little_surer_than_its_clones_is_not_told():
    assert remembered(response(2.5, right=0.85), examples(), response(2.0, 0.8, seed=1)) is None


def test_without_an_error_and_without_clones_it_may_be_perfect():
    found = remembered(response(20.0), examples(), None)
    assert "It is perfect, or it was trained on these examples" in found.message


def test_where_its_clones_make_no_error_either_the_task_is_easy():
    assert remembered(response(20.0), examples(), response(20.0)) is None


@pytest.mark.parametrize("count", [29, 30])
def test_few_examples_show_nothing(count):
    labels = LABELS[:count]
    found = remembered(response(20.0, labels=labels), examples(labels), None)
    assert (found is None) == (count < 30)
