"""A response taken apart into label, confidence, off-class mass and off-class distribution.

`p = softmax(z / T)`; on label `y`: confidence `p_y`, off-class mass `m = 1 - p_y`, off-class
distribution `q_k = p_k / m` for `k != y`. Everything stays in log-space and float64, so that a
teacher with `p_y = 1 - 1e-30` still has a mass (1e-30), a `q` and a similarity. A logit of `-inf`
is probability 0 at every temperature; where no mass is left off the label, `q` is uniform.

It sits below ``similarity`` and ``targets``, which measure and rebuild the same parts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from goodteacher.maths._checks import check_response, check_temperature, fill_unlabelled


@dataclass(frozen=True)
class OffClass:
    """The parts of a response, float64, natural logarithms.

    Attributes:
        labels: int64 `[N]`, unlabelled examples filled with the teacher's most probable class.
        log_probs: `log p`, `[N, C]`.
        log_confidence: `log p_y`, `[N]`.
        log_mass: `log m`, `[N]`.
        log_q: `log q`, `[N, C]`; -inf on the label.
    """

    labels: Tensor
    log_probs: Tensor
    log_confidence: Tensor
    log_mass: Tensor
    log_q: Tensor

    @property
    def num_classes(self) -> int:
        """The number of classes C."""
        return self.log_probs.shape[1]

    @cached_property
    def confidence(self) -> Tensor:
        """`p_y`, `[N]`."""
        return self.log_confidence.exp()

    @cached_property
    def mass(self) -> Tensor:
        """`m`, `[N]`."""
        return self.log_mass.exp()

    @cached_property
    def q(self) -> Tensor:
        """`q`, `[N, C]`; 0 on the label."""
        return self.log_q.exp()

    @cached_property
    def wrong(self) -> Tensor:
        """`p` of the other classes, `m * q`, `[N, C]`; 0 on the label."""
        return self.q * self.mass.unsqueeze(1)

    @cached_property
    def probs(self) -> Tensor:
        """`p`, `[N, C]`."""
        return self.wrong.scatter(1, self.labels.unsqueeze(1), self.confidence.unsqueeze(1))

    @cached_property
    def divergence(self) -> Tensor:
        """`KL(q || u)`, nats `[N]`; u is uniform on the C-1 classes of positive q."""
        return divergence_from_uniform(self.q, self.log_q)

    @cached_property
    def entropy(self) -> Tensor:
        """`H(p)`, nats `[N]`: that of label or not, and of which other class."""
        others = (math.log(self.num_classes - 1) - self.divergence).clamp_min(0.0)
        split = _times_log(self.confidence, self.log_confidence)
        return self.mass * others - split - _times_log(self.mass, self.log_mass)

    @property
    def information(self) -> Tensor:
        """`S = m * KL(q || u)`, nats `[N]`."""
        return self.mass * self.divergence


def entropy(probs: Tensor, log_probs: Tensor) -> Tensor:
    """Return `-sum p log p` over the last axis, with 0 log 0 = 0."""
    return -_times_log(probs, log_probs).sum(1)


def divergence_from_uniform(q: Tensor, log_q: Tensor) -> Tensor:
    """Return `KL(q || u)` over the last axis, u uniform on C-1 classes; at least 0."""
    excess = (log_q + math.log(log_q.shape[1] - 1)).clamp_min(_LOWEST)
    return (q * excess).sum(1).clamp_min(0.0)


def _times_log(probs: Tensor, log_probs: Tensor) -> Tensor:
    return probs * log_probs.clamp_min(_LOWEST)


_LOWEST = torch.finfo(torch.float64).min
"""Stands for the logarithm of 0, times which 0 is 0."""


def off_class(logits: Tensor, labels: Tensor, *, temperature: float = 1.0) -> OffClass:
    """Take a response apart.

    Args:
        logits: The response, `[N, C]`, finite or `-inf`.
        labels: Integers `[N]`; -1 is unlabelled.
        temperature: T > 0.

    Returns:
        Its parts.

    Raises:
        ResponseError: If `check_response` refuses the response.
        ConfigError: If the temperature is not positive.

    Example:
        >>> parts = off_class(torch.tensor([[0.5, 0.3, 0.2]]).log(), torch.tensor([0]))
        >>> parts.q
        tensor([[0.0000, 0.6000, 0.4000]], dtype=torch.float64)
    """
    check_response(logits, labels)
    check_temperature(temperature)
    return taken_apart(logits, fill_unlabelled(labels.long(), logits), temperature)


def taken_apart(logits: Tensor, labels: Tensor, temperature: float) -> OffClass:
    """Take a response apart that has been checked.

    Args:
        logits: The response, `[N, C]`, finite or `-inf`.
        labels: int64 `[N]`, each in `0..C-1`.
        temperature: T > 0.
    """
    log_probs = torch.log_softmax(logits.detach().double() / temperature, 1)
    column = labels.unsqueeze(1)
    log_off = log_probs.scatter(1, column, -torch.inf)
    log_mass = log_off.logsumexp(1)
    log_q = log_off - log_mass.unsqueeze(1)
    empty = log_mass == -torch.inf
    if bool(empty.any()):
        # Where all other classes have probability 0 any q will do: the uniform one says nothing.
        nothing = torch.zeros_like(log_q[empty]).scatter(1, column[empty], -torch.inf)
        log_q[empty] = nothing.log_softmax(1)
    return OffClass(
        labels=labels,
        log_probs=log_probs,
        log_confidence=log_probs.gather(1, column).squeeze(1),
        log_mass=log_mass,
        log_q=log_q,
    )


CELLS = 2**24
"""Numbers, class by class, that are averaged at once: 128 MiB in float64."""


def class_similarity_of_each(parts: OffClass) -> Tensor:
    """Return `qbar` of each example's class, a block of classes at a time.

    `qbar_c = sum_{x in c} m q / sum_{x in c} m`, summed cell by cell in log-space: an example of
    tiny mass has a positive `qbar` wherever its own `q` is positive.

    Args:
        parts: A response taken apart.

    Returns:
        `[N, C]` float64; 0 on the label.
    """
    classes, places = parts.labels.unique(return_inverse=True)
    found = torch.empty_like(parts.log_q)
    size = max(1, CELLS // parts.num_classes)
    for first in range(0, len(classes), size):
        inside = (places >= first) & (places < first + size)
        rows = inside.nonzero()[:, 0] if len(classes) > size else slice(None)
        log_off = parts.log_q[rows] + parts.log_mass[rows].unsqueeze(1)
        own = places[rows] - first
        count = min(size, len(classes) - first)
        found[rows] = _log_average(log_off, own, count).exp()[own]
    return found


def _log_average(log_off: Tensor, own: Tensor, count: int) -> Tensor:
    """Average rows `[n, C]` group by group, in log-space; `own` says to which each belongs."""
    shape = (count, log_off.shape[1])
    index = own.unsqueeze(1).expand_as(log_off)
    peak = log_off.new_full(shape, -torch.inf).scatter_reduce(0, index, log_off, "amax")
    # Cells without mass (the diagonal, empty classes) have peak -inf; any finite shift will do.
    shift = peak.nan_to_num(neginf=0.0)
    total = log_off.new_zeros(shape).scatter_add(0, index, (log_off - shift[own]).exp())
    log_sums = total.log() + shift
    shares = log_sums - log_sums.logsumexp(1, keepdim=True)
    return shares.nan_to_num(nan=-torch.inf, neginf=-torch.inf)
