"""How well a response's probabilities fit the labels: scores of the teacher that need no student.

Every function takes raw logits `[N, C]` and labels `[N]`, softens with `temperature`, works in
float64 and returns a Python float. Every example needs a label: -1 is refused here.

A logit of `-inf` is probability 0. Where the label's is 0, the likelihood's logarithm is taken of
the smallest normal float32 instead (1.2e-38, so 87.3 nats at any temperature): otherwise one such
example would make every NLL infinite.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.stats import rankdata
from torch import Tensor

from goodteacher.errors import ConfigError
from goodteacher.maths._checks import check_response, check_temperature
from goodteacher.maths._off_class import OffClass, taken_apart
from goodteacher.maths._sums import Sums
from goodteacher.maths.rows import Index, Logits, each_chunk, in_chunks, row_chunks

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


def calibration(logits: Logits, labels: Tensor, *, temperature: float = 1.0) -> Calibration:
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
    return _calibrated(logits, labels, temperature).found()


def accuracy(logits: Logits, labels: Tensor) -> float:
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
    return (in_chunks(logits, _most_probable) == labels).double().mean().item()


def negative_log_likelihood(logits: Logits, labels: Tensor, *, temperature: float = 1.0) -> float:
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
    check_response(logits, labels, allow_unlabelled=False)
    check_temperature(temperature)
    total = 0.0
    for rows in row_chunks(*logits.shape):
        total += _nats(_log_probs(logits[rows], temperature), labels[rows])
    return total / len(labels)


def brier_score(logits: Logits, labels: Tensor, *, temperature: float = 1.0) -> float:
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
    return calibration(logits, labels, temperature=temperature).brier


def adaptive_calibration_error(
    logits: Logits, labels: Tensor, *, temperature: float = 1.0, num_bins: int = 15
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
    return _calibrated(logits, labels, temperature).found(num_bins).ace


class CalibrationSums(Sums):
    """Calibration and accuracy, added up over the examples that have a label.

    Args:
        labels: Integers `[N]`; -1 is left out.
        temperature: T > 0.
    """

    def __init__(self, labels: Tensor, temperature: float) -> None:
        self._labels, self._temperature = labels.long(), float(temperature)
        self._nll = self._brier = 0.0
        self._confidence = torch.full(labels.shape, torch.nan, dtype=torch.float64)
        self._right = torch.zeros(labels.shape, dtype=torch.bool)

    def add(self, index: Index, parts: OffClass) -> None:
        """Add some examples; see :meth:`Sums.add`."""
        labels = self._labels[index]
        known = labels >= 0
        highest, predicted = parts.log_probs.max(1)
        self._confidence[index] = torch.where(known, highest.exp(), torch.nan).cpu()
        self._right[index] = (predicted == labels).cpu()
        self._nll -= _likely(parts.log_confidence)[known].sum().item()
        brier = parts.wrong.square().sum(1) + parts.mass.square()
        self._brier += brier[known].sum().item()

    @property
    def accuracy(self) -> float:
        """The share of examples whose most probable class is the label's."""
        return self._right[self._known].double().mean().item()

    @property
    def _known(self) -> Tensor:
        return ~self._confidence.isnan()

    def found(self, num_bins: int = 15) -> Calibration:
        """Return what was found, with the calibration error in so many bins."""
        known = self._known
        confidence = self._confidence[known].numpy()
        gap = confidence - self._right[known].double().numpy()
        ranks = rankdata(confidence, method="min").astype(np.int64) - 1
        bins = ranks * num_bins // len(ranks)
        wrong = np.abs(np.bincount(bins, weights=gap, minlength=num_bins)).sum()
        return Calibration(
            temperature=self._temperature,
            nll=self._nll / len(ranks),
            brier=self._brier / len(ranks),
            ace=float(wrong / len(ranks)),
        )


def optimal_temperature(logits: Logits, labels: Tensor) -> float:
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


def best_temperature(logits: Logits, labels: Tensor) -> BestTemperature:
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
    labels = labels.long()
    likely, means = _ends(logits, labels)
    possible = likely > -torch.inf
    scale = -means[possible].mean().item() if bool(possible.any()) else 0.0
    if scale == 0:
        return BestTemperature(1.0)
    if bool((likely[possible] == 0).all()):
        return BestTemperature(scale / _FAR, "zero")
    if (means - likely)[possible].mean().item() >= 0:
        return BestTemperature(scale * _FAR, "infinity")
    rows, size = possible.nonzero()[:, 0], logits.shape[1]
    large = len(rows) * size > _WHOLE
    few = rows[:: -(-len(rows) * size // _SAMPLE)] if large else rows
    found = _log_inverse(_slopes(logits[few], likely[few]), -math.log(scale))
    return BestTemperature(math.exp(-(_polished(logits, likely, found) if large else found)))


_STAGE = math.log(10.0)
_WHOLE = 2**24  # numbers of a response on all of which the temperature is sought
_SAMPLE = 2**21  # numbers of a larger one on which it is sought first
_NEAR = 1e-7  # of log b
_PASSES = 8  # over a large response by Newton's method, before intervals are halved


def _ends(logits: Logits, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return each row's logit of the label and mean logit, both below its largest, float64 [N]."""

    def both(rows: slice) -> Tensor:
        wide = _below_largest(logits[rows])
        likely = wide.gather(1, labels[rows].unsqueeze(1)).squeeze(1)
        possible = wide > -torch.inf
        means = torch.where(possible, wide, 0.0).sum(1) / possible.sum(1)
        return torch.stack([likely, means], 1)

    likely, means = each_chunk(len(logits), logits.shape[1], both).unbind(1)
    return likely, means


def _below_largest(logits: Tensor) -> Tensor:
    wide = logits.detach().double()
    return wide - wide.amax(1, keepdim=True)


def _slopes(logits: Tensor, likely: Tensor) -> Callable[[float], float]:
    """Return the NLL's mean slope in b = 1/T, as a function of log b."""
    wide = _below_largest(logits)
    finite = _finite(wide)

    def slope(log_inverse: float) -> float:
        probs = torch.softmax(wide * math.exp(log_inverse), 1)
        return ((probs * finite).sum(1) - likely).mean().item()

    return slope


def _finite(wide: Tensor) -> Tensor:
    return wide.clamp_min(torch.finfo(wide.dtype).min)


def _log_inverse(slope: Callable[[float], float], start: float) -> float:
    """Return log b where a slope that grows in b is 0."""
    low = high = start
    while slope(low) > 0:
        low -= _STAGE
    while slope(high) < 0:
        high += _STAGE
    return float(brentq(slope, low, high, xtol=_NEAR))


def _polished(logits: Logits, likely: Tensor, start: float) -> float:
    """Improve log b by Newton's method over all examples: a pass over the response for a step."""

    def both(log_inverse: float) -> tuple[float, float]:
        slope = bend = 0.0
        for rows in row_chunks(*logits.shape):
            possible = likely[rows] > -torch.inf
            wide = _below_largest(logits[rows])[possible]
            finite = _finite(wide)
            weighed = torch.softmax(wide * math.exp(log_inverse), 1).mul_(finite)
            mean = weighed.sum(1)
            slope += (mean - likely[rows][possible]).sum().item()
            bend += (weighed.mul_(finite).sum(1) - mean.square()).sum().item()
        return slope, bend

    found = start
    for _ in range(_PASSES):
        slope, bend = both(found)
        step = slope / max(bend * math.exp(found), 1e-300)
        found -= max(-_STAGE, min(_STAGE, step))
        if abs(step) <= _NEAR:
            return found
    return _log_inverse(lambda log_inverse: both(log_inverse)[0], found)


def _calibrated(logits: Logits, labels: Tensor, temperature: float) -> CalibrationSums:
    check_response(logits, labels, allow_unlabelled=False)
    check_temperature(temperature)
    sums = CalibrationSums(labels, temperature)
    for rows in row_chunks(*logits.shape):
        sums.add(rows, taken_apart(logits[rows], labels[rows].long(), temperature))
    return sums


def _log_probs(logits: Tensor, temperature: float) -> Tensor:
    return _likely(torch.log_softmax(logits.detach().double() / temperature, 1))


def _likely(log_probs: Tensor) -> Tensor:
    return log_probs.masked_fill(log_probs == -torch.inf, LOG_ZERO)


def _nats(log_probs: Tensor, labels: Tensor) -> float:
    return torch.nn.functional.nll_loss(log_probs, labels.long(), reduction="sum").item()


def _most_probable(logits: Tensor) -> Tensor:
    return logits.argmax(1)


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
