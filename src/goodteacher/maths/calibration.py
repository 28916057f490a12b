"""How well a response's probabilities fit the labels: scores of the teacher that need no student.

Every function takes raw logits `[N, C]` and labels `[N]`, softens with `temperature`, works in
float64 and returns a Python float. Every example needs a label: -1 is refused here.

A logit of `-inf` is probability 0. Where the label's is 0, the likelihood's logarithm is taken of
the smallest normal float32 instead (1.2e-38, so 87.3 nats at any temperature): otherwise one such
example would make every NLL infinite.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.stats import rankdata
from torch import Tensor

from goodteacher.errors import ConfigError
from goodteacher.maths._checks import check_response, check_temperature

LOG_ZERO = math.log(torch.finfo(torch.float32).tiny)
"""What a label of probability 0 counts as, nats."""

TemperatureLimit = Literal["zero", "infinity"]
"""Where the best temperature lies if no finite one is best."""

_FAR = 1000.0  # how far beyond the response's own scale a limit is measured


@dataclass(frozen=True)
class BestTemperature:
    """The temperature that minimises the negative log-likelihood.

    Attributes:
        value: That temperature; where there is a limit, a temperature so near to it that the NLL
            hardly moves any more.
        limit: None where the minimum lies at ``value``. ``zero`` where every prediction is right:
            the NLL falls as T goes to 0. ``infinity`` where the response is no better than a
            uniform one: the NLL falls as T grows.
    """

    value: float
    limit: TemperatureLimit | None = None


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
        logits: The response, `[N, C]`.
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
        logits: The response, `[N, C]`.
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
        logits: The response, `[N, C]`.
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
        logits: The response, `[N, C]`.
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

    Args:
        logits: The response on *held-out* examples, `[N, C]`.
        labels: Integers `[N]` in `0..C-1`.

    Returns:
        `best_temperature(logits, labels).value`.

    Raises:
        ResponseError: If shapes, labels or values do not fit.

    Example:
        >>> logits = torch.tensor([[0.75, 0.25]] * 4).log() * 3  # three times too sure
        >>> round(optimal_temperature(logits, torch.tensor([0, 0, 0, 1])), 3)
        3.0

    Source: Guo et al., *On Calibration of Modern Neural Networks*, 2017.
    """
    return best_temperature(logits, labels).value


def best_temperature(logits: Tensor, labels: Tensor) -> BestTemperature:
    """Find the temperature that minimises the negative log-likelihood, and say if none does.

    The NLL is convex in b = 1/T, with slope `mean_i (sum_k p_ik z_ik - z_iy)`. So the minimum is
    where the slope is 0, sought over log b without bounds, in stages of ten from the response's own
    scale. Whether there is none is told by the slope's ends: at b = 0 it is not negative where the
    labels' logits are on average no higher than others (T = infinity is best), and for large b it
    is never positive where every label has the largest logit (T = 0 is best). Examples whose label
    has probability 0 count the same at any temperature and are left out.

    Args:
        logits: The response on *held-out* examples, `[N, C]`.
        labels: Integers `[N]` in `0..C-1`.

    Returns:
        T to about 1e-6 relative. A response that says nothing (all logits equal) has T = 1.

    Raises:
        ResponseError: If shapes, labels or values do not fit.

    Example:
        >>> best_temperature(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1])).limit
        'zero'
    """
    check_response(logits, labels, allow_unlabelled=False)
    wide = logits.detach().double()
    wide = wide - wide.amax(-1, keepdim=True)
    likely = wide.gather(-1, labels.long().unsqueeze(-1)).squeeze(-1)
    wide, likely = wide[likely > -torch.inf], likely[likely > -torch.inf]
    possible = wide > -torch.inf
    finite = torch.where(possible, wide, 0.0)
    means = finite.sum(-1) / possible.sum(-1)
    scale = -means.mean().item() if len(means) else 0.0
    if scale == 0:
        return BestTemperature(1.0)

    def slope(log_inverse: float) -> float:
        probs = torch.softmax(wide * math.exp(log_inverse), -1)
        return ((probs * finite).sum(-1) - likely).mean().item()

    if bool((likely == 0).all()):
        return BestTemperature(scale / _FAR, "zero")
    if (means - likely).mean().item() >= 0:
        return BestTemperature(scale * _FAR, "infinity")
    low = high = -math.log(scale)
    while slope(low) > 0:
        low -= _STAGE
    while slope(high) < 0:
        high += _STAGE
    return BestTemperature(math.exp(-brentq(slope, low, high, xtol=1e-7)))


_STAGE = math.log(10.0)


def _log_probs(logits: Tensor, labels: Tensor, temperature: float) -> Tensor:
    check_response(logits, labels, allow_unlabelled=False)
    check_temperature(temperature)
    log_probs = torch.log_softmax(logits.detach().double() / temperature, -1)
    return torch.where(log_probs == -torch.inf, LOG_ZERO, log_probs)


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
