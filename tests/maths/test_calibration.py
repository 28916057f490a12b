"""Calibration against slow references and its limit cases."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from goodteacher.errors import ConfigError, ResponseError
from goodteacher.maths.calibration import (
    LOG_ZERO,
    BestTemperature,
    Calibration,
    accuracy,
    adaptive_calibration_error,
    best_temperature,
    brier_score,
    calibration,
    negative_log_likelihood,
    optimal_temperature,
)


def response(num_examples=200, num_classes=4, seed=0, scale=2.0):
    """Labels drawn from the response's own softmax at scale 1, logits scaled."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(num_examples, num_classes, generator=generator, dtype=torch.float64)
    labels = torch.softmax(logits, -1).multinomial(1, generator=generator).squeeze(-1)
    return scale * logits, labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_nll_and_brier_equal_their_definitions(temperature):
    logits, labels = response(seed=1)
    log_probs = log_softmax(logits.numpy() / temperature, axis=-1)
    nll = -np.mean([row[y] for row, y in zip(log_probs, labels.tolist(), strict=True)])
    brier = np.mean(((np.exp(log_probs) - np.eye(4)[labels.numpy()]) ** 2).sum(-1))
    found = negative_log_likelihood(logits, labels, temperature=temperature)
    assert found == pytest.approx(nll, rel=1e-12)
    assert brier_score(logits, labels, temperature=temperature) == pytest.approx(brier, rel=1e-12)


@pytest.mark.parametrize("num_bins", [1, 7, 15])
def test_adaptive_calibration_error_equals_equal_mass_bins_of_the_sorted_examples(num_bins):
    logits, labels = response(num_examples=num_bins * 12, seed=2)
    probs = np.exp(log_softmax(logits.numpy(), axis=-1))
    order = np.argsort(probs.max(-1))
    right = (probs.argmax(-1) == labels.numpy())[order]
    error = 0.0
    for members in np.split(np.arange(len(order)), num_bins):
        gap = right[members].mean() - probs.max(-1)[order][members].mean()
        error += abs(gap) / num_bins
    found = adaptive_calibration_error(logits, labels, num_bins=num_bins)
    assert found == pytest.approx(error, rel=1e-10)


def test_adaptive_calibration_error_does_not_depend_on_the_order_of_equal_confidences():
    logits = torch.tensor([[0.75, 0.25]]).log().repeat(60, 1)
    labels = (torch.arange(60) % 4 == 0).long()
    for shuffle in (torch.arange(60), labels.argsort(), labels.argsort(descending=True)):
        found = adaptive_calibration_error(logits[shuffle], labels[shuffle])
        assert found == pytest.approx(0.0, abs=1e-7)


def test_adaptive_calibration_error_works_with_fewer_examples_than_bins():
    logits, labels = response(num_examples=3, seed=3)
    probs = torch.softmax(logits, -1)
    gaps = probs.max(-1).values - (probs.argmax(-1) == labels).double()
    found = adaptive_calibration_error(logits, labels, num_bins=15)
    assert found == pytest.approx(gaps.abs().mean().item(), rel=1e-12)


def test_a_calibrated_response_has_a_small_error_and_an_overconfident_one_a_large():
    logits, labels = response(num_examples=5000, seed=4, scale=1.0)
    assert adaptive_calibration_error(logits, labels) < 0.03
    assert adaptive_calibration_error(4 * logits, labels) > 0.1
    back = adaptive_calibration_error(4 * logits, labels, temperature=4.0)
    assert back == pytest.approx(adaptive_calibration_error(logits, labels), rel=1e-10)


def test_a_perfect_response_has_no_error_and_a_wrong_one_the_largest():
    labels = torch.tensor([0, 1, 2])
    perfect = 1e3 * torch.nn.functional.one_hot(labels, 3).double()
    assert calibration(perfect, labels) == Calibration(temperature=1.0, nll=0.0, brier=0.0, ace=0.0)
    wrong = calibration(perfect.roll(1, 0), labels)
    assert (wrong.nll, wrong.brier, wrong.ace) == (1000.0, 2.0, 1.0)


def test_a_uniform_response_has_the_nll_of_its_number_of_classes():
    labels = torch.tensor([0, 1, 2, 3])
    assert negative_log_likelihood(torch.zeros(4, 4), labels) == pytest.approx(np.log(4), rel=1e-12)


def test_accuracy_is_the_share_of_right_predictions():
    logits, labels = response(seed=5)
    expected = np.mean(logits.numpy().argmax(-1) == labels.numpy())
    assert accuracy(logits, labels) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("scale", [0.5, 1.0, 4.0])
def test_the_optimal_temperature_is_the_best_of_a_fine_grid(scale):
    logits, labels = response(seed=6, scale=scale)
    found = optimal_temperature(logits, labels)
    grid = np.geomspace(0.05, 20.0, 300)
    values = [negative_log_likelihood(logits, labels, temperature=t) for t in grid]
    assert found == pytest.approx(grid[np.argmin(values)], rel=0.02)
    assert negative_log_likelihood(logits, labels, temperature=found) <= min(values)


def test_the_optimal_temperature_scales_with_the_logits():
    logits, labels = response(seed=7, scale=1.0)
    one, three = (optimal_temperature(scale * logits, labels) for scale in (1, 3))
    assert three == pytest.approx(3 * one, rel=1e-5)


@pytest.mark.parametrize("scale", [1e-4, 0.1, 1e3])
def test_where_every_prediction_is_right_the_best_temperature_is_zero(scale):
    labels = torch.tensor([0, 1, 2])
    right = scale * torch.nn.functional.one_hot(labels, 3).double()
    found = best_temperature(right, labels)
    assert found.limit == "zero"
    assert negative_log_likelihood(right, labels, temperature=found.value) < 1e-12


@pytest.mark.parametrize("scale", [1e-4, 0.1, 1e3])
def test_where_the_response_is_worse_than_uniform_the_best_temperature_is_infinite(scale):
    labels = torch.tensor([0, 1, 2])
    wrong = scale * torch.nn.functional.one_hot(labels, 3).double().roll(1, 0)
    found = best_temperature(wrong, labels)
    assert found.limit == "infinity"
    nll = negative_log_likelihood(wrong, labels, temperature=found.value)
    assert nll == pytest.approx(np.log(3), abs=1e-3)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_a_best_temperature_far_from_one_is_found_and_is_no_limit(scale):
    logits, labels = response(seed=7)
    found = best_temperature(scale * logits.double(), labels)
    assert found.limit is None
    assert found.value == pytest.approx(scale * optimal_temperature(logits, labels), rel=1e-4)


def test_a_response_that_says_nothing_keeps_its_temperature():
    assert best_temperature(torch.zeros(3, 4), torch.tensor([0, 1, 2])) == BestTemperature(1.0)


def test_minus_infinity_is_probability_zero_in_every_score():
    logits, labels = response(seed=3)
    logits[:, 0] = logits[:, 0].where(labels == 0, -torch.inf)
    deep = logits.clamp_min(-1e5)
    for score in (accuracy, negative_log_likelihood, brier_score, adaptive_calibration_error):
        assert score(logits, labels) == pytest.approx(score(deep, labels), rel=1e-9)


def test_a_label_of_probability_zero_costs_the_same_at_every_temperature():
    logits, labels = response(seed=3)
    one = torch.arange(logits.shape[1]) == labels[0]
    struck = logits.clone()
    struck[0] = logits[0].where(~one, -torch.inf)
    assert optimal_temperature(struck, labels) == pytest.approx(
        optimal_temperature(logits[1:], labels[1:]), rel=1e-5
    )
    for t in (0.5, 8.0):
        lost = len(labels) * negative_log_likelihood(struck, labels, temperature=t)
        rest = (len(labels) - 1) * negative_log_likelihood(logits[1:], labels[1:], temperature=t)
        assert lost - rest == pytest.approx(-LOG_ZERO, rel=1e-9)


@pytest.mark.parametrize(
    "score",
    [
        accuracy,
        negative_log_likelihood,
        brier_score,
        adaptive_calibration_error,
        optimal_temperature,
        calibration,
    ],
)
def test_every_score_refuses_what_it_cannot_measure(score):
    logits, labels = response(num_examples=3)
    with pytest.raises(ResponseError, match="-1 is not allowed here, but got -1"):
        score(logits, torch.tensor([0, -1, 2]))
    with pytest.raises(ResponseError, match="must be finite, but 3 of 3 rows"):
        score(logits * torch.nan, labels)


def test_settings_out_of_range_are_refused():
    logits, labels = response(num_examples=3)
    with pytest.raises(ConfigError, match="temperature must be positive and finite, but got 0"):
        calibration(logits, labels, temperature=0.0)
    with pytest.raises(ConfigError, match="num_bins must be at least 1, but got 0"):
        adaptive_calibration_error(logits, labels, num_bins=0)
