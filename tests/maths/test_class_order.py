"""Another order of classes is found where there is one, and not in noise or poor predictions."""

import numpy as np
import pytest
import torch

from goodteacher.maths.class_order import find_class_order


def guesses(labels, accuracy, num_classes, rng):
    """The label with probability ``accuracy``, any class otherwise."""
    wild = rng.integers(0, num_classes, len(labels))
    return np.where(rng.random(len(labels)) < accuracy, labels, wild)


def find(predicted, labels, num_classes):
    return find_class_order(torch.from_numpy(predicted), torch.from_numpy(labels), num_classes)


@pytest.mark.parametrize("num_classes", [2, 3, 10, 50])
@pytest.mark.parametrize("per_class", [3, 10, 40])
def test_noise_has_no_better_order(num_classes, per_class):
    rng = np.random.default_rng(num_classes)
    labels = np.repeat(np.arange(num_classes), per_class)
    alarms = [
        find(rng.integers(0, num_classes, len(labels)), labels, num_classes) for _ in range(40)
    ]
    assert not any(alarms)


@pytest.mark.parametrize("accuracy", [0.0, 0.1, 0.4])
def test_poor_predictions_that_favour_some_classes_have_no_better_order(accuracy):
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(8), 30)
    for _ in range(40):
        favour = rng.dirichlet(np.full(8, 0.3))
        wild = rng.choice(8, size=len(labels), p=favour)
        predicted = np.where(rng.random(len(labels)) < accuracy, labels, wild)
        assert find(predicted, labels, 8) is None


def test_predicting_one_rare_class_for_everything_is_no_order():
    labels = np.repeat(np.arange(3), [5, 20, 300])
    assert find(np.zeros(len(labels), dtype=np.int64), labels, 3) is None


@pytest.mark.parametrize("num_classes", [2, 6, 100])
@pytest.mark.parametrize("accuracy", [0.7, 1.0])
def test_two_exchanged_classes_are_found_whatever_the_number_of_others(num_classes, accuracy):
    rng = np.random.default_rng(2)
    labels = np.repeat(np.arange(num_classes), 40)
    order = np.arange(num_classes)
    order[[0, 1]] = [1, 0]
    predicted = order[guesses(labels, accuracy, num_classes, rng)]
    assert find(predicted, labels, num_classes).column_of == tuple(order)
    assert find(predicted, labels, num_classes).moved == (0, 1)


def test_the_share_of_agreement_is_told_before_and_after():
    labels = np.arange(80) % 4
    found = find((labels + 1) % 4, labels, 4)
    assert (found.agreement, found.agreement_in_order) == (0.0, 1.0)


def test_unlabelled_examples_are_left_out():
    labels = np.arange(80) % 4
    some = np.where(np.arange(80) < 40, labels, -1)
    assert find((labels + 1) % 4, some, 4).column_of == (1, 2, 3, 0)
    assert find(labels, np.full(80, -1), 4) is None
