"""How well a response's probabilities fit the labels: scores of the teacher that need no student.

Every function takes raw logits `[N, C]` and labels `[N]`, softens with `temperature`, works in
float64 and returns a Python float. Every example needs a label: -1 is refused here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.stats import rankdata
from torch import Tensor

from goodteacher._checks import check_response, check_temperature
from goodteacher.errors import ConfigError

TEMPERATURE_RANGE = (0.05, 20.0)
"""Where `optimal_temperature` looks."""


@dataclass(frozen=True)
class Calibration:
    """How well a response fits the labels at one temperature.

    Attributes:
        temperature: The T of `p = softmax(z / T)`.
        nll: Negative log-likelihood, nats per example.
        brier: Brier score, `0 .. 2`.
        ace: Adaptive calibration error, `0 .. 1`.
    """

    temperature: float
    nll: float
    brier: float
    ace: float


def calibration(logits: Tensor, labels: Tensor, *, temperature: float = 1.0) -> Calibration:
    """Measure NLL, Brier score and adaptive calibration error together.

    Args:
        logits: The response, `[N, C]`, finite.
        labels: Integers `[N]` in `0..C-1`.
        temperature: T > 0.

    Returns:
        The three scores at that temperature.

    Raises:
        ResponseError: If shapes, labels or values do not fit.
        ConfigError: If the temperature is not positive.

    Example:
        >>> summary = calibration(torch.zeros(2, 2), torch.tensor([0, 1]))
        >>> round(summary.nll, 4), summary.brier, summary.ace
        (0.6931, 0.5, 0.0)
    """
    return Calibration(
        temperature=float(temperature),
        nll=negative_log_likelihood(logits, labels, temperature=temperature),
        brier=brier_score(logits, labels, temperature=temperature),
        ace=adaptive_calibration_error(logits, labels, temperature=temperature),
    )


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Measure the share of examples whose largest logit is the label's.

    Args:
        logits: The response, `[N, C]`, finite. Among equal logits the first class wins.
        labels: Integers `[N]` in `0..C-1`.

    Returns:
        `0 .. 1`.

    Raises:
        ResponseError: If shapes, labels or values do not fit.

    Example:
        >>> accuracy(torch.tensor([[2.0, 1.0], [2.0, 1.0]]), torch.tensor([0, 1]))
        0.5
    """
    check_response(logits, labels, allow_unlabelled=False)
    return (logits.argmax(-1) == labels).double().mean().item()


def negative_log_likelihood(logits: Tensor, labels: Tensor, *, temperature: float = 1.0) -> float:
    """Measure `-mean_i log p_{y_i}`.

    Args:
        logits: The response, `[N, C]`, finite.
        labels: Integers `[N]` in `0..C-1`.
        temperature: T > 0.

    Returns:
        Nats per example, at least 0. Differences between teachers on the same held-out examples
        are unbiased estimates of differences in `E KL(p* || p)` to the true posterior `p*`.

    Raises:
        ResponseError: If shapes, labels or values do not fit.
        ConfigError: If the temperature is not positive.

    Example:
        >>> logits = torch.tensor([[0.75, 0.25]]).log()
        >>> round(negative_log_likelihood(logits, torch.tensor([1])), 4)
        1.3863
    """
    log_probs = _log_probs(logits, labels, temperature)
    return torch.nn.functional.nll_loss(log_probs, labels.long()).item()


def brier_score(logits: Tensor, labels: Tensor, *, temperature: float = 1.0) -> float:
    """Measure `mean_i sum_k (p_ik - [k = y_i])^2`.

    Args:
        logits: The response, `[N, C]`, finite.
        labels: Integers `[N]` in `0..C-1`.
        temperature: T > 0.

    Returns:
        `0 .. 2` (summed over classes, Brier's original form). Differences between teachers on the
        same held-out examples are unbiased estimates of differences in `E ||p - p*||^2`.

    Raises:
        ResponseError: If shapes, labels or values do not fit.
        ConfigError: If the temperature is not positive.

    Example:
        >>> logits = torch.tensor([[0.75, 0.25]]).log()
        >>> round(brier_score(logits, torch.tensor([1])), 4)
        1.125

    Source: Brier, *Verification of Forecasts Expressed in Terms of Probability*, 1950.
    """
    probs = _log_probs(logits, labels, temperature).exp()
    truth = torch.nn.functional.one_hot(labels.long(), probs.shape[-1])
    return (probs - truth).square().sum(-1).mean().item()


def adaptive_calibration_error(
    logits: Tensor, labels: Tensor, *, temperature: float = 1.0, num_bins: int = 15
) -> float:
    """Measure the gap between confidence and accuracy in bins of equal mass.

    `sum_b (n_b / N) * |accuracy_b - confidence_b|`, where the confidence of an example is its
    largest probability. Example i with min-rank `r_i` (0 .. N-1) of its confidence falls in bin
    `floor(r_i * num_bins / N)`: equal confidences share a bin, so the value does not depend on
    the order of the examples.

    Args:
        logits: The response, `[N, C]`, finite.
        labels: Integers `[N]` in `0..C-1`.
        temperature: T > 0.
        num_bins: Number of bins, at least 1. With fewer examples than bins each is its own.

    Returns:
        `0 .. 1`; 0 is perfectly calibrated.

    Raises:
        ResponseError: If shapes, labels or values do not fit.
        ConfigError: If the temperature is not positive or `num_bins` is below 1.

    Example:
        >>> logits = torch.tensor([[0.75, 0.25]] * 4).log()
        >>> round(adaptive_calibration_error(logits, torch.tensor([0, 0, 0, 1])), 6)
        0.0

    Source: equal-mass bins after Nixon et al., *Measuring Calibration in Deep Learning*, 2019.
    Their ACE averages over all classes; this one looks at the predicted class only, and the rule
    for ties is ours.
    """
    if num_bins < 1:
        raise ConfigError(f"num_bins must be at least 1, but got {num_bins}. 15 is usual.")
    confidence, predicted = _log_probs(logits, labels, temperature).exp().max(-1)
    gap = (confidence - (predicted == labels).double()).cpu().numpy()
    ranks = rankdata(confidence.cpu().numpy(), method="min").astype(np.int64) - 1
    bins = ranks * num_bins // len(ranks)
    return float(np.abs(np.bincount(bins, weights=gap, minlength=num_bins)).sum() / len(ranks))


def optimal_temperature(logits: Tensor, labels: Tensor) -> float:
    """Find the temperature that minimises the negative log-likelihood.

    The NLL is convex in 1/T, so it has one minimum in T. It is searched over log T between 0.05
    and 20 (`TEMPERATURE_RANGE`). Where it keeps falling towards an edge the edge itself is
    returned: 0.05 where every prediction is right (the best T is 0), 20 where the response is
    worse than a uniform one (the best T is infinite).

    Args:
        logits: The response on *held-out* examples, `[N, C]`, finite.
        labels: Integers `[N]` in `0..C-1`.

    Returns:
        T in `[0.05, 20]`, to about 1e-5 relative.

    Raises:
        ResponseError: If shapes, labels or values do not fit.

    Example:
        >>> logits = torch.tensor([[0.75, 0.25]] * 4).log() * 3  # three times too sure
        >>> round(optimal_temperature(logits, torch.tensor([0, 0, 0, 1])), 3)
        3.0

    Source: Guo et al., *On Calibration of Modern Neural Networks*, 2017.
    """
    check_response(logits, labels, allow_unlabelled=False)
    wide, index = logits.detach().double(), labels.long()

    def nll(log_temperature: float) -> float:
        return torch.nn.functional.cross_entropy(wide / math.exp(log_temperature), index).item()

    low, high = (math.log(edge) for edge in TEMPERATURE_RANGE)
    inside = float(minimize_scalar(nll, bounds=(low, high), options={"xatol": 1e-6}).x)
    # The bounded search never evaluates its edges: let them compete, and win a tie.
    best = min((low, high, inside), key=nll)
    return dict(zip((low, high), TEMPERATURE_RANGE, strict=True)).get(best, math.exp(best))


def _log_probs(logits: Tensor, labels: Tensor, temperature: float) -> Tensor:
    check_response(logits, labels, allow_unlabelled=False)
    check_temperature(temperature)
    return torch.log_softmax(logits.detach().double() / temperature, -1)


def calibrated_nll(logits: Tensor, labels: Tensor, *, steps: int = 8) -> Tensor:
    """Return the mean negative log-likelihood of many networks, each at its own best temperature.

    `min_b -mean(log softmax(b z)[label])`, convex in the inverse temperature b, by Newton's method
    from 1 with b kept within a factor of 4 of the step before. So a student that has learned the
    right order of classes at a wrong scale - from softened targets, say - is not called worse.

    Args:
        logits: Logits of S networks, [S, N, C].
        labels: Class numbers [N], each in ``0 .. C - 1``.
        steps: Newton steps.

    Returns:
        Nats, float32 [S]; NaN where logits are not finite.

    Example:
        >>> z = torch.tensor([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0]])
        >>> both = calibrated_nll(torch.stack([z, 100 * z]), torch.tensor([0, 1, 1]))
        >>> bool((both[0] - both[1]).abs() < 1e-4)
        True
    """
    z = logits.float()
    z = z - z.amax(-1, keepdim=True)
    scale = z.abs().mean((1, 2)).clamp_min(1e-30)
    z = z / scale[:, None, None]
    true = z.gather(-1, labels.expand(len(z), -1).unsqueeze(-1)).squeeze(-1)
    inverse = torch.ones(len(z), device=z.device)
    for _ in range(steps):
        p = (inverse[:, None, None] * z).softmax(-1)
        mean = (p * z).sum(-1)
        slope = (mean - true).mean(1)
        bend = ((p * z * z).sum(-1) - mean.square()).mean(1).clamp_min(1e-12)
        moved = inverse - slope / bend
        inverse = torch.minimum(torch.maximum(moved, inverse / 4), inverse * 4)
    return (torch.logsumexp(inverse[:, None, None] * z, -1) - inverse[:, None] * true).mean(1)
