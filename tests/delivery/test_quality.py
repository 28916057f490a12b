"""How good a student is: numbers that are known beforehand."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from goodteacher.data import InputSpec, numbers_spec
from goodteacher.delivery.classifier import StudentCard
from goodteacher.delivery.quality import (
    RELIABILITY_BINS,
    class_changes,
    quality_of,
    reliability,
)
from goodteacher.delivery.size import size_of
from goodteacher.networks import Chain, Network, build_model
from goodteacher.networks.preparation import Identity


def sure(probability, right, count=400):
    """Logits of two classes, of which class 0 has a probability; right for a share of examples."""
    logits = torch.tensor([[math.log(probability), math.log(1 - probability)]]).repeat(count, 1)
    return logits, (torch.arange(count) >= round(right * count)).long()


def test_a_calibrated_student_has_no_error_and_the_entropy_as_its_loss():
    found = quality_of(*sure(0.8, 0.8), temperature=1.0)
    assert found.num_examples == 400
    assert found.accuracy.value == pytest.approx(0.8)
    assert found.calibration_error.value == pytest.approx(0, abs=1e-6)
    entropy = -0.8 * math.log(0.8) - 0.2 * math.log(0.2)
    assert found.nll.value == pytest.approx(entropy, rel=1e-6)
    assert found.brier.value == pytest.approx(0.8 * 2 * 0.04 + 0.2 * 2 * 0.64, rel=1e-6)
    for each in (found.accuracy, found.nll, found.brier):
        low, high = each.interval
        assert low < each.value < high
        assert high - each.value == pytest.approx(each.value - low, rel=1e-3)


def test_temperature_is_that_of_the_probabilities():
    logits, labels = sure(0.8, 0.8)
    found = quality_of(3 * logits, labels, temperature=3.0)
    assert found.calibration_error.value == pytest.approx(0, abs=1e-6)
    assert found.uncalibrated_calibration_error > 0.1
    assert found.uncalibrated_nll > found.nll.value
    assert found.accuracy == quality_of(logits, labels, temperature=1.0).accuracy


def test_interval_of_the_loss_covers_as_often_as_it_says():
    random = np.random.default_rng(0)
    truth = -0.8 * math.log(0.8) - 0.2 * math.log(0.2)
    logits, _ = sure(0.8, 0.8, count=200)
    held = 0
    for _ in range(200):
        labels = torch.from_numpy((random.random(200) > 0.8).astype(np.int64))
        low, high = quality_of(logits, labels, temperature=1.0).nll.interval
        held += low <= truth <= high
    assert 180 <= held <= 199


def test_accuracy_of_the_surest_answers_is_higher_where_confidence_says_something():
    confidence = torch.linspace(0.51, 0.99, 1000).double()
    logits = torch.stack([confidence.log(), (1 - confidence).log()], dim=1)
    labels = (torch.arange(1000) < 300).long()  # the least sure ones are wrong
    found = {
        each.coverage: each.accuracy for each in quality_of(logits, labels, temperature=1.0).covered
    }
    assert found[1.0] == pytest.approx(0.7)
    assert found[0.8] == pytest.approx(0.875)
    assert found[0.7] == found[0.5] == 1


def test_only_classes_that_change_for_sure_are_named_the_largest_loss_first():
    labels = torch.arange(900) % 3
    theirs = labels.clone()
    ours = labels.clone()
    ours[(labels == 1) & (torch.arange(900) < 450)] = 0  # half of class 1 is lost
    theirs[(labels == 2) & (torch.arange(900) < 300)] = 0  # a third of class 2 is gained
    ours[labels == 0] = torch.where(torch.arange(300) < 2, 1, 0)  # two of 300 may be chance
    found = class_changes(ours, theirs, labels, ("a", "b", "c"))
    assert [each.name for each in found] == ["b", "c"]
    assert found[0].difference == pytest.approx(-0.5)
    assert found[1].difference == pytest.approx(1 / 3)
    assert all(low <= each.difference <= high for each in found for low, high in [each.interval])
    assert class_changes(theirs, theirs, labels, ("a", "b", "c")) == ()


def test_class_of_one_example_is_left_out():
    labels = torch.tensor([0, 0, 0, 1])
    assert class_changes(torch.tensor([0, 0, 0, 0]), labels, labels, ("a", "b")) == ()


def card(inputs, classes):
    return StudentCard(
        architecture="made",
        class_names=tuple("abcdefghij"[:classes]),
        inputs=inputs,
        arm="labels",
        seed=0,
        selection_accuracy=0.5,
        test_accuracy=0.5,
    )


def test_size_counts_products_of_one_example():
    network = Network(Chain(Identity()), nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)))
    found = size_of(network, card(numbers_spec((6,)), 3))
    assert found.parameters == 6 * 5 + 5 + 5 * 3 + 3
    assert found.multiply_adds == 6 * 5 + 5 * 3


def test_size_counts_convolutions_at_every_pixel():
    module = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Flatten(), nn.Linear(4 * 64, 2))
    found = size_of(
        Network(Chain(Identity()), module), card(InputSpec(kind="images", shape=(1, 8, 8)), 2)
    )
    assert found.multiply_adds == 64 * 9 * 4 + 4 * 64 * 2


def test_size_of_a_residual_network_is_told_too():
    spec = InputSpec(kind="images", shape=(3, 32, 32))
    module = build_model("resnet:20", num_classes=10, inputs=(3, 32, 32), seed=0)
    found = size_of(Network(Chain(Identity()), module), card(spec, 10))
    assert 40e6 < found.multiply_adds < 42e6  # 40.8 million in the literature
    assert 268_000 < found.parameters < 276_000


def test_reliability_bins_hold_what_the_model_says_and_is():
    # Twenty examples of which it is 60 % sure and half right, twenty of 90 % and all right.
    unsure = torch.tensor([[0.6, 0.4]]).log().repeat(20, 1)
    sure = torch.tensor([[0.9, 0.1]]).log().repeat(20, 1)
    labels = torch.tensor([0, 1] * 10 + [0] * 20)
    bins = reliability(torch.cat([unsure, sure]), labels)
    assert [found.num_examples for found in bins] == [4] * RELIABILITY_BINS
    assert [found.confidence for found in bins] == pytest.approx([0.6] * 5 + [0.9] * 5)
    assert [found.accuracy for found in bins] == pytest.approx([0.5] * 5 + [1.0] * 5)


def test_few_examples_are_a_bin_each():
    bins = reliability(torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0]]), torch.tensor([0, 1, 1]))
    assert [found.num_examples for found in bins] == [1, 1, 1]
    assert [found.accuracy for found in bins] == [0.0, 1.0, 1.0]


def test_temperature_changes_confidence_and_not_accuracy():
    logits = torch.randn(300, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(300) % 4
    found = quality_of(logits, labels, temperature=2.0)
    before, after = found.uncalibrated_reliability, found.reliability
    assert sum(each.num_examples for each in after) == 300
    assert max(each.confidence for each in after) < max(each.confidence for each in before)
    hits = [sum(b.accuracy * b.num_examples for b in bins) for bins in (before, after)]
    assert hits[0] == pytest.approx(hits[1])
