"""Similarity information: what a response says beyond label smoothing of equal confidence.

With the parts of a response - confidence `p_y`, off-class mass `m`, off-class distribution `q`,
and `u` uniform on the C-1 other classes::

    S(x) = KL(p || s) = m * KL(q || u)          nats; s is p_y on y and m / (C-1) elsewhere
    class part     m * KL(qbar_y || u)          qbar_c: the mass-weighted mean of q over class c
    instance part  m * KL(q || qbar_y)
    mean S = mean class part + mean instance part                    (exact chain rule)

The measure and its two parts are **ours**: a reading of the abstract of Vats & Crandall,
*Controlling the Quality of Distillation in Response-Based Network Compression* (arXiv 2112.10047),
which names similarity information without (in the abstract) a formula.

Below it stand three scores of the literature that need no student either. All is float64 and
log-space inside, so saturated teachers give tiny numbers and not NaN; a logit of `-inf` is
probability 0. An unlabelled example (label -1) counts as of the teacher's most probable class.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from goodteacher.maths._off_class import OffClass, log_class_similarity, off_class

ONE_HOT_BELOW = 1.05
"""An example with fewer effective classes than this counts as one-hot."""


@dataclass(frozen=True)
class SimilarityInformation:
    """The similarity information of a response, in nats per example.

    Attributes:
        total: Mean of S over the examples, `0 .. log(C-1)`.
        class_part: Mean of what the class alone tells (`m * KL(qbar_y || u)`).
        instance_part: Mean of what the example adds (`m * KL(q || qbar_y)`);
            `class_part + instance_part == total` up to rounding.
        per_example: S of each example, float64 `[N]`.
        matrix: The similarity matrix `qbar`, float64 `[C, C]`: row c says where the off-class mass
            of class c goes. The diagonal is 0 and a row sums to 1; the row of a class without
            examples is all 0.
        effective_classes: Mean of `exp(H(p))`, `1 .. C`; 1.0 is one-hot.
        off_class_mass: Mean of `m = 1 - p_y`, `0 .. 1`.
        share_one_hot: Share of the examples with fewer than 1.05 effective classes.
    """

    total: float
    class_part: float
    instance_part: float
    per_example: Tensor
    matrix: Tensor
    effective_classes: float
    off_class_mass: float
    share_one_hot: float


def similarity_information(
    logits: Tensor, labels: Tensor, *, temperature: float = 1.0
) -> SimilarityInformation:
    """Measure the similarity information in a response.

    `S(x) = KL(p || s) = m * (log(C-1) - H(q))`, split into a class part and an instance part (see
    the module). With two classes there is no off-class structure and S is 0 by definition.

    Args:
        logits: The response, raw logits `[N, C]`, N >= 1, C >= 2; `-inf` is probability 0.
        labels: Integers `[N]` in `0..C-1`; -1 is unlabelled.
        temperature: T > 0 in `p = softmax(z / T)`.

    Returns:
        Totals, parts, values per example and the similarity matrix.

    Raises:
        ResponseError: If shapes, labels or values do not fit.
        ConfigError: If the temperature is not positive.

    Example:
        >>> logits = torch.tensor([[0.8, 0.2, 0.0], [0.8, 0.0, 0.2]]).clamp_min(1e-30).log()
        >>> information = similarity_information(logits, torch.tensor([0, 0]))
        >>> round(information.total, 4)  # 0.2 * log(2): all of it tells the examples apart
        0.1386
        >>> round(information.class_part, 4)
        0.0

    Source: ours, after the abstract of Vats & Crandall (arXiv 2112.10047).
    """
    parts = off_class(logits, labels, temperature=temperature)
    log_qbar = log_class_similarity(parts)
    per_example = _information(parts)
    divergence_by_class = _divergence_from_uniform(log_qbar)
    classes_per_example = _entropy(parts.log_probs).exp()
    return SimilarityInformation(
        total=per_example.mean().item(),
        class_part=_weighed(parts.mass, divergence_by_class[parts.labels]),
        instance_part=_weighed(parts.mass, _divergence(parts.log_q, log_qbar[parts.labels])),
        per_example=per_example,
        matrix=log_qbar.exp(),
        effective_classes=classes_per_example.mean().item(),
        off_class_mass=parts.mass.mean().item(),
        share_one_hot=(classes_per_example < ONE_HOT_BELOW).double().mean().item(),
    )


def conditional_mutual_information(
    logits: Tensor, labels: Tensor, *, temperature: float = 1.0
) -> float:
    """Measure how far responses of one class differ: `mean_i KL(p_i || mean p_{y_i})`.

    Args:
        logits: The response, `[N, C]`.
        labels: Integers `[N]`; -1 is unlabelled.
        temperature: T > 0.

    Returns:
        Nats, `0 .. log(C)`; the empirical I(X; Yhat | Y).

    Raises:
        ResponseError: If shapes, labels or values do not fit.
        ConfigError: If the temperature is not positive.

    Example:
        >>> logits = torch.tensor([[0.0, 1.0], [0.0, 1.0], [5.0, 0.0]])
        >>> conditional_mutual_information(logits, torch.tensor([0, 0, 1]))
        0.0

    Source: Ye et al., *Bayes Conditional Distribution Estimation for Knowledge Distillation Based
    on Conditional Mutual Information*, ICLR 2024.
    """
    parts = off_class(logits, labels, temperature=temperature)
    shape = (parts.num_classes, parts.num_classes)
    sums = parts.log_probs.new_zeros(shape).index_add(0, parts.labels, parts.probs)
    counts = parts.labels.bincount(minlength=parts.num_classes)
    means = (sums / counts.clamp_min(1).unsqueeze(-1)).clamp_min(torch.finfo(sums.dtype).tiny)
    return _divergence(parts.log_probs, means.log()[parts.labels]).mean().item()


def wrong_class_variance(logits: Tensor, labels: Tensor, *, temperature: float = 1.0) -> float:
    """Measure how unequal the wrong classes are: mean over examples of `Var_{k != y}(p_k)`.

    The variance is over the C-1 wrong classes (divided by C-1) and the probabilities are *not*
    renormalised.

    Args:
        logits: The response, `[N, C]`.
        labels: Integers `[N]`; -1 is unlabelled.
        temperature: T > 0.

    Returns:
        The mean variance, at least 0; 0 for a smoothed one-hot response and for C = 2.

    Raises:
        ResponseError: If shapes, labels or values do not fit.
        ConfigError: If the temperature is not positive.

    Example:
        >>> logits = torch.tensor([[0.7, 0.2, 0.1]]).log()
        >>> round(wrong_class_variance(logits, torch.tensor([0])), 6)
        0.0025

    Source: the "derived variance" of Li et al., *Asymmetric Temperature Scaling Makes Larger
    Networks Teach Well Again*, NeurIPS 2022; the mean over examples is ours.
    """
    parts = off_class(logits, labels, temperature=temperature)
    wrong = parts.q * parts.mass.unsqueeze(-1)
    average = parts.mass.unsqueeze(-1) / (parts.num_classes - 1)
    deviation = (wrong - average).scatter(-1, parts.labels.unsqueeze(-1), 0.0)
    return (deviation.square().sum(-1) / (parts.num_classes - 1)).mean().item()


def mean_entropy(logits: Tensor, labels: Tensor, *, temperature: float = 1.0) -> float:
    """Measure the mean entropy of the responses, `mean_i H(p_i)`.

    Args:
        logits: The response, `[N, C]`.
        labels: Integers `[N]`; only checked, so that every score has one signature.
        temperature: T > 0.

    Returns:
        Nats, `0 .. log(C)`.

    Raises:
        ResponseError: If shapes, labels or values do not fit.
        ConfigError: If the temperature is not positive.

    Example:
        >>> round(mean_entropy(torch.zeros(2, 4), torch.tensor([0, 1])) / math.log(4), 6)
        1.0
    """
    return _entropy(off_class(logits, labels, temperature=temperature).log_probs).mean().item()


def _information(parts: OffClass) -> Tensor:
    return parts.mass * _divergence_from_uniform(parts.log_q)


def _weighed(mass: Tensor, divergence: Tensor) -> float:
    """`mean_i mass_i * divergence_i`, where an example without mass adds nothing."""
    return torch.where(mass > 0, mass * divergence, 0.0).mean().item()


def _divergence_from_uniform(log_q: Tensor) -> Tensor:
    """`KL(q || u)` over the last axis, u uniform on the C-1 classes of positive q."""
    return _divergence(log_q, torch.full_like(log_q, -math.log(log_q.shape[-1] - 1)))


def _divergence(log_p: Tensor, log_r: Tensor) -> Tensor:
    """`KL(p || r)` over the last axis, with 0 log 0 = 0; at least 0 in spite of rounding."""
    terms = torch.where(log_p == -torch.inf, 0.0, log_p.exp() * (log_p - log_r))
    return terms.sum(-1).clamp_min(0.0)


def _entropy(log_p: Tensor) -> Tensor:
    return -torch.where(log_p == -torch.inf, 0.0, log_p.exp() * log_p).sum(-1)
