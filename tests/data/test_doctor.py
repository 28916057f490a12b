import numpy as np
import pytest
import torch

from goodteacher.data import Dataset, Finding, Split, doctor, load_dataset
from goodteacher.data.doctor import resolvable_difference

from .conftest import make_features, make_images

NAMES = tuple("abcdefghijkl")


def examine(train=None, test=None, class_names=NAMES[:2]):
    train = train or separable(seed=1)
    return doctor(Dataset("made", train, test or separable(seed=2), class_names))


def separable(num_examples=6000, num_classes=2, seed=0):
    """Every class has a mean of its own, so that their order can be told."""
    split = make_features(num_examples, num_classes, seed=seed)
    return Split(split.inputs + 3 * split.labels[:, None], split.labels, split.ids)


def found(findings, code):
    matches = [finding for finding in findings if finding.code == code]
    assert len(matches) <= 1
    return matches[0] if matches else None


def codes(findings):
    return [finding.code for finding in findings]


def test_sound_data_of_two_classes_have_that_and_the_resolution_of_the_test_split_to_report():
    assert codes(examine()) == ["test_resolution", "two_classes"]


def test_digits_are_sound_but_for_the_small_test_split():
    findings = doctor(load_dataset("digits"))
    assert codes(findings) == ["test_resolution", "constant_inputs"]
    assert "4 of 64 pixels" in findings[1].message


def test_findings_are_sorted_errors_first():
    constant = Split.from_arrays(torch.zeros(20, 3), torch.arange(20) % 2)
    severities = [finding.severity for finding in examine(constant, constant)]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)
    assert severities[0] == "error"


def test_leaked_test_examples_are_counted_and_named():
    train, test = separable(seed=1), separable(seed=2)
    inputs = test.inputs.clone()
    inputs[[5, 9]] = train.inputs[[70, 80]]
    finding = found(examine(train, Split(inputs, test.labels, test.ids + 1000)), "leakage")
    assert finding.severity == "warning"
    assert "2 of 6000 test examples" in finding.message
    assert "1005 as 70, 1009 as 80" in finding.message


def test_a_test_split_that_is_the_training_split_is_an_error():
    finding = found(examine(separable(), separable()), "leakage")
    assert finding.severity == "error"
    assert "100.0%" in finding.message


def test_duplicates_are_counted_beyond_the_first():
    split = separable(num_examples=1000)
    inputs = split.inputs.clone()
    inputs[[4, 6]] = split.inputs[2]
    copies = Split(inputs, split.labels, split.ids)
    finding = found(examine(copies), "duplicates")
    assert finding == Finding("info", "duplicates", finding.message)
    assert "2 of 1000 training examples (0.2%)" in finding.message
    assert "ids 2=4=6" in finding.message
    assert found(examine(copies), "conflicting_labels") is None
    inputs[100:200] = split.inputs[2]
    many = Split(inputs, split.labels, split.ids)
    assert found(examine(many), "duplicates").severity == "warning"


def test_one_input_with_two_labels_is_a_conflict_unless_one_is_unlabelled():
    split = separable(num_examples=1000)
    inputs, labels = split.inputs.clone(), split.labels.clone()
    inputs[3], inputs[5] = inputs[2], inputs[4]
    labels[5] = -1
    finding = found(examine(Split(inputs, labels, split.ids)), "conflicting_labels")
    assert finding.severity == "warning"
    assert "1 training inputs" in finding.message
    assert "ids 2=3" in finding.message


def test_classes_in_another_order_in_the_test_split_are_an_error():
    train = separable(num_classes=4, seed=1)
    test = separable(num_classes=4, seed=2)
    swapped = Split(test.inputs, torch.tensor([0, 2, 1, 3])[test.labels], test.ids)
    assert found(examine(train, test, NAMES[:4]), "class_order") is None
    finding = found(examine(train, swapped, NAMES[:4]), "class_order")
    assert finding.severity == "error"
    assert "test 'b' is like train 'c', test 'c' is like train 'b'" in finding.message


def test_classes_of_noise_are_never_said_to_be_in_another_order():
    for seed in range(60):
        rng = np.random.default_rng(seed)
        num_classes, width = int(rng.choice([2, 3, 6, 12])), int(rng.choice([1, 2, 8, 64]))
        parts = [
            Split.from_arrays(rng.normal(size=(n, width)), rng.permutation(np.arange(n) % 12))
            for n in (int(rng.choice([120, 240])), 120)
        ]
        parts = [Split(p.inputs, p.labels % num_classes, p.ids) for p in parts]
        assert found(examine(*parts, NAMES[:num_classes]), "class_order") is None


def test_numbers_as_class_names_in_the_order_of_text_are_a_warning():
    split = separable(num_classes=11)
    names = tuple(sorted(map(str, range(1, 12))))  # 1, 10, 11, 2, ...
    finding = found(examine(split, separable(num_classes=11, seed=3), names), "class_order")
    assert finding.severity == "warning"
    assert "label 1 means class '10'" in finding.message
    ordered = tuple(map(str, range(1, 12)))
    assert found(examine(split, split, ordered), "class_order") is None


def test_imbalance_and_tiny_classes_are_warnings():
    split = separable(num_examples=200)
    labels = torch.zeros(200, dtype=torch.int64)
    labels[:8] = 1
    findings = examine(Split(split.inputs, labels, split.ids))
    imbalance = found(findings, "imbalance")
    assert imbalance.severity == "warning"
    assert "('a', 192 examples) has 24.0 times as many as the smallest ('b', 8)" in (
        imbalance.message
    )
    assert "1 of 2 classes have fewer than 10 training examples (b: 8)" in (
        found(findings, "tiny_class").message
    )
    assert found(findings, "class_shares") is not None


def test_equal_shares_up_to_chance_are_not_reported():
    rng = np.random.default_rng(0)
    for _ in range(20):
        parts = [
            Split.from_arrays(rng.normal(size=(60, 2)), rng.permutation(np.arange(60) % 6))
            for _ in range(2)
        ]
        parts[1] = parts[1].subset(np.r_[0:12, 20:60].tolist())
        if len(parts[1].labels.unique()) == 6:
            assert found(examine(*parts, NAMES[:6]), "class_shares") is None


def test_identical_inputs_are_an_error():
    constant = Split.from_arrays(np.full((20, 1, 2, 2), 9, np.uint8), np.arange(20) % 2)
    finding = found(examine(constant, constant), "constant_inputs")
    assert finding.severity == "error"
    assert "All 20 training inputs are identical" in finding.message


@pytest.mark.parametrize("high, severity", [(1, "warning"), (16, "info"), (255, None)])
def test_images_that_use_few_of_their_values_are_told(high, severity):
    images = make_images(40)
    darker = Split((images.inputs.float() * high / 255).round().byte(), images.labels, images.ids)
    finding = found(examine(darker, images), "value_range")
    assert (finding and finding.severity) == severity


def test_features_on_very_different_scales_are_told():
    split = separable()
    scaled = Split(split.inputs * torch.tensor([1.0, 1.0, 1e6]), split.labels, split.ids)
    assert found(examine(scaled), "feature_scales").severity == "info"
    assert found(examine(split), "feature_scales") is None


def test_unlabelled_examples_are_counted():
    split = separable(num_examples=100)
    labels = split.labels.clone()
    labels[:30] = -1
    finding = found(examine(Split(split.inputs, labels, split.ids)), "unlabelled")
    assert "30 of 100" in finding.message


def test_the_resolvable_difference_is_the_half_width_of_a_paired_interval():
    rng = np.random.default_rng(0)
    # two students that differ on a tenth of 2,000 examples, each right on half of those
    differences = rng.choice([-1, 0, 1], p=[0.05, 0.9, 0.05], size=(2000, 2000)).mean(axis=1)
    assert resolvable_difference(2000) == pytest.approx(1.96 * differences.std(), rel=0.05)
    assert resolvable_difference(8000) == pytest.approx(resolvable_difference(2000) / 2)


@pytest.mark.parametrize("num_examples, severity", [(6000, "info"), (200, "warning")])
def test_a_small_test_split_is_a_warning(num_examples, severity):
    finding = found(examine(test=separable(num_examples)), "test_resolution")
    assert finding.severity == severity
