"""Wide numbers: 100,000 classes, probabilities of 0, half precision, against float64."""

import math

import pytest
import torch

from goodteacher.maths.calibration import (
    adaptive_calibration_error,
    best_temperature,
    brier_score,
    calibrated_nll,
    negative_log_likelihood,
)
from goodteacher.maths.losses import TEACHER_TERMS, cross_entropy, teacher_term
from goodteacher.maths.similarity import (
    conditional_mutual_information,
    mean_entropy,
    similarity_information,
    wrong_class_variance,
)
from goodteacher.maths.statistics import rows_by_class
from goodteacher.maths.targets import FALSIFICATION, LADDER, smoothing_targets

MANY = 100_000
SCORES = {
    "similarity": lambda *given: similarity_information(*given).total,
    "mutual information": conditional_mutual_information,
    "variance": wrong_class_variance,
    "entropy": mean_entropy,
    "nll": negative_log_likelihood,
    "brier": brier_score,
    "ace": adaptive_calibration_error,
    "temperature": lambda *given: best_temperature(*given).value,
}


def response(num_examples=3, num_classes=MANY, *, scale=2.0, seed=0):
    """Logits that single and half precision hold exactly, float64, and labels."""
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(num_examples, num_classes, generator=generator)
    return logits.half().double(), torch.randint(num_classes, (num_examples,), generator=generator)


@pytest.mark.parametrize("name", TEACHER_TERMS)
@pytest.mark.parametrize("temperature", [1e-3, 1.0, 1e4])
def test_a_loss_over_a_hundred_thousand_classes_is_that_of_float64(name, temperature):
    (student, labels), (teacher, _) = response(), response(seed=1)
    term = teacher_term(name)
    exact = term(student, teacher, labels, temperature=temperature)
    single = term(student.float(), teacher.float(), labels, temperature=temperature)
    torch.testing.assert_close(single.double(), exact, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("num_classes", [2, 10, 1000, MANY])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
def test_cross_entropy_in_single_precision_is_that_of_float64(num_classes, scale):
    logits, labels = response(num_classes=num_classes, scale=scale)
    exact = cross_entropy(logits, labels)
    torch.testing.assert_close(
        cross_entropy(logits.float(), labels).double(), exact, rtol=1e-5, atol=1e-6
    )
    if scale == 0:
        assert exact.item() == pytest.approx(math.log(num_classes))


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_a_score_is_that_of_the_same_numbers_in_float64(name, dtype):
    for num_classes in (2, 7, 20_000):
        logits, labels = response(num_classes=num_classes)
        assert SCORES[name](logits.to(dtype), labels) == SCORES[name](logits, labels)


@pytest.mark.parametrize("name", SCORES)
def test_a_score_of_a_hundred_thousand_equal_logits_is_known(name):
    """Nothing is said: entropy and NLL are log C, and no class is like another."""
    found = SCORES[name](torch.zeros(2, MANY), torch.tensor([0, MANY - 1]))
    expected = {
        "entropy": math.log(MANY),
        "nll": math.log(MANY),
        "brier": 1 - 1 / MANY,
        "ace": 0.5,
        "temperature": 1.0,
    }.get(name, 0.0)
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-12)


@pytest.mark.parametrize("name", [*LADDER, *FALSIFICATION])
def test_a_target_over_a_hundred_thousand_classes_is_that_of_float64(name):
    logits, labels = response()
    seed = {"seed": 0} if name in FALSIFICATION else {}
    if name == "class_map_permuted":  # one cycle of classes for each class: [C, C]
        logits, labels = logits[:, :500], labels % 500
    make = {**LADDER, **FALSIFICATION}[name]
    exact = make(logits, labels, temperature=3.0, **seed)
    single = make(logits.float(), labels, temperature=3.0, **seed)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, rtol=1e-6, atol=1e-37)
    torch.testing.assert_close(exact.sum(1), torch.ones(len(exact)).double())


def test_smoothing_over_a_hundred_thousand_classes_leaves_every_class_its_share():
    target = smoothing_targets(torch.tensor([MANY - 1, -1]), MANY, smoothing=0.1)
    assert target[0, 0].item() == pytest.approx(0.1 / MANY)
    assert target[0, -1].item() == pytest.approx(0.9 + 0.1 / MANY)
    assert target[0].double().sum().item() == pytest.approx(1)
    assert not target[1].any()


def test_the_calibrated_nll_of_many_classes_is_that_of_float64():
    logits, labels = response(8)
    labels[:4] = logits[:4].argmax(1)
    at = best_temperature(logits, labels).value
    exact = negative_log_likelihood(logits, labels, temperature=at)
    found = calibrated_nll(logits[None], labels, steps=20)
    assert found.item() == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64])
def test_narrow_labels_are_counted_like_wide_ones(dtype):
    logits, _ = response(100, 100)
    labels = torch.arange(100)
    wide = similarity_information(logits, labels)
    narrow = similarity_information(logits, labels.to(dtype))
    assert torch.equal(narrow.matrix, wide.matrix)
    assert negative_log_likelihood(logits, labels.to(dtype)) == negative_log_likelihood(
        logits, labels
    )


def test_classes_far_beyond_sixteen_bits_keep_their_rows():
    labels = torch.tensor([70_000, 3, 70_000, 32_768]).numpy()
    found = {number: rows.tolist() for number, rows in rows_by_class(labels, MANY).items()}
    assert found == {3: [1], 32_768: [3], 70_000: [0, 2]}
