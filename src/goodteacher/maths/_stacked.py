"""What the losses are computed from: log-probabilities of one student or of a stack of them.

The class axis lies before the batch axis in memory; why is told in `losses`.
"""

from __future__ import annotations

import torch
from torch import Tensor

LONG = 4096
"""Classes from which on the class axis stays the last: a sum over the axis before it is made one
number after another, and of 100,000 probabilities it is off by parts in ten thousand."""


def class_major(logits: Tensor) -> Tensor:
    """Lay out `[..., N, C]` with the class axis before the batch axis; at least float32."""
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if wide.shape[-1] >= LONG:
        return wide.contiguous()
    return wide.transpose(-1, -2).contiguous().transpose(-1, -2)


def log_softmax(logits: Tensor) -> Tensor:
    """Log-softmax over the last axis, class-major in memory."""
    if logits.shape[-1] >= LONG:
        return torch.log_softmax(class_major(logits), -1)
    return torch.log_softmax(class_major(logits).transpose(-1, -2), -2).transpose(-1, -2)


def log_probs_at(logits: Tensor, temperature: float | Tensor) -> Tensor:
    """Log-softmax of `logits / T`, class-major in memory."""
    wide = class_major(logits)
    scale = in_dtype(wide.dtype, temperature)
    return log_softmax(wide / (scale[..., None, None] if isinstance(scale, Tensor) else scale))


def in_dtype(dtype: torch.dtype, setting: float | Tensor) -> float | Tensor:
    """Cast a setting, lest a float64 one drag the whole stack into float64."""
    return setting.to(dtype) if isinstance(setting, Tensor) else setting


HOT = 16.0
"""Temperature above which distributions are so alike that `divergence` has to be exact."""


def divergence(
    teacher_log_probs: Tensor, student_log_probs: Tensor, *, exact: bool = False
) -> Tensor:
    """`KL(teacher || student)` over the last axis, as `sum p (log p - log q) + sum (q - p)`.

    Both sums of probabilities are 1, so the second term is 0 but for what rounding did to the
    log-probabilities, and takes that away from the first: alike distributions, which a high
    temperature makes of any two, keep their first digits. It needs no gradient. A class of
    probability 0 adds 0.

    Args:
        teacher_log_probs: log p.
        student_log_probs: log q.
        exact: Add both terms class by class, and make the second of their small difference: at
            T = 1e4 that keeps four digits in float32 rather than one, and takes twice the time.
    """
    teacher_probs = teacher_log_probs.exp()
    if exact:
        gap = finite(teacher_log_probs) - student_log_probs
        return (teacher_probs * gap + _excess(teacher_probs, student_log_probs, gap)).sum(-1)
    excess = student_log_probs.detach().exp().sub_(teacher_probs).sum(-1)
    return (teacher_probs * (finite(teacher_log_probs) - student_log_probs)).sum(-1) + excess


@torch.no_grad()
def _excess(teacher_probs: Tensor, student_log_probs: Tensor, gap: Tensor) -> Tensor:
    """`q - p`, made of `log p - log q` where these are alike; no gradient."""
    alike = teacher_probs * torch.expm1(-gap.clamp_min(-1.0))
    return torch.where(gap > -1.0, alike, student_log_probs.exp() - teacher_probs)


def is_hot(temperature: float | Tensor) -> bool:
    """Say whether a temperature is so high that `divergence` has to be exact.

    A tensor is not looked at, since that would wait for the device.
    """
    return not isinstance(temperature, Tensor) and temperature > HOT


def finite(log_probs: Tensor) -> Tensor:
    """Raise `-inf` to the lowest number, whose product with probability 0 is 0."""
    return log_probs.clamp_min(torch.finfo(log_probs.dtype).min)


def at_labels(values: Tensor, labels: Tensor) -> Tensor:
    """Pick `values[..., i, labels[i]]`; `[..., N, C]` to `[..., N]`."""
    return values.gather(-1, labels.expand(values.shape[:-1]).unsqueeze(-1)).squeeze(-1)


def decoupled(log_probs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Split into `log (p_y, 1 - p_y)` and the log of the distribution over the other classes.

    The label's entry of the latter is set to 0 (probability 1) for teacher and student alike, so
    that it adds nothing to their divergence.
    """
    classes = torch.arange(log_probs.shape[-1], device=labels.device)
    is_label = (labels.unsqueeze(-2) == classes.unsqueeze(-1)).transpose(-1, -2)  # class-major
    log_off = log_probs.masked_fill(is_label, -torch.inf)
    log_mass = log_off.logsumexp(-1)
    others = (log_off - finite(log_mass).unsqueeze(-1)).masked_fill(is_label, 0.0)
    return torch.stack((at_labels(log_probs, labels), log_mass), -1), others


def correlation(student_probs: Tensor, teacher_probs: Tensor, *, axis: int) -> Tensor:
    """Pearson's correlation over an axis; 0 where one of the two is constant."""
    student = student_probs - student_probs.mean(axis, keepdim=True)
    teacher = teacher_probs - teacher_probs.mean(axis, keepdim=True)
    # Floored under the root, so that its gradient stays finite where nothing varies.
    student_norm = student.square().sum(axis).clamp_min(1e-16).sqrt()
    teacher_norm = teacher.square().sum(axis).clamp_min(1e-16).sqrt()
    return (student * teacher).sum(axis) / (student_norm * teacher_norm)
