"""The loss a student is trained with: one mixture, and a table of teacher terms.

The canonical loss, in nats, mean over the batch; `alpha` weights the *teacher* term::

    loss = (1 - alpha) * CE(labels, student) + alpha * term(student, teacher)

with `term = T^2 * KL(teacher_T || student_T)` unless another is named. A new loss is a function of
the type `TeacherTerm` and a line in `TEACHER_TERMS`.

Design notes:

- Every function works on one student `[N, C]` and on stacks of students `[..., N, C]`. It returns
  one loss for each student, and none influences another: sum them and call `backward` once.
- The teacher is a constant: no gradient flows to its logits.
- Nothing here looks at a value: no wait for the device, no control flow that depends on data.
- Reductions over a short last axis are slow on a CPU: a log-softmax over the last axis takes ten
  times as long as one over the axis before it, at 10 classes. So logits are laid out in memory with
  the class axis before the batch axis, once; shapes stay `[..., N, C]`. Forward and backward of the
  `kl` case for 200 students, a batch of 256 and 10 classes take 4.5 ms so and 34 ms otherwise (best
  of 60, one thread of an AMD EPYC, torch 2.13). A backward pass by hand gained 10 to 20 % more on
  this, a few per cent of a training step, and is not here.
- In float32 the values are those of float64 to 1e-3, for T from 1e-3 to 1e4, 2 to 100,000 classes,
  and logits whose standard deviation is 1 to 1e6 (to 5 % at 0.1 and T = 1e4). If temperatures are a
  tensor, as while stacks train, the value of `T^2 * KL` may be off by `T^2 * 5e-9` nats more; its
  gradient is as good (`T * 1e-7`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from goodteacher.errors import ConfigError
from goodteacher.maths._checks import UNLABELLED, check_batch, check_recipe, fill_unlabelled
from goodteacher.maths._stacked import (
    at_labels,
    class_major,
    correlation,
    decoupled,
    divergence,
    in_dtype,
    is_hot,
    log_probs_at,
    log_softmax,
)

__all__ = [
    "TEACHER_TERMS",
    "TeacherTerm",
    "cross_entropy",
    "dist",
    "distillation_loss",
    "dkd",
    "kl",
    "mixture",
    "mse",
    "standardized",
    "teacher_term",
    "ttm",
]


class TeacherTerm(Protocol):
    """What a teacher adds to the loss: a function of student, teacher and labels.

    It reduces over the batch itself (`dist` needs the whole batch) and returns `[...]`, one value
    for each student of the stack.
    """

    def __call__(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor,
        labels: Tensor,
        *,
        temperature: float | Tensor,
    ) -> Tensor:
        """Compare students `[..., N, C]` with a teacher; see `distillation_loss` for the rest."""


def distillation_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    temperature: float | Tensor,
    alpha: float | Tensor,
    loss: str = "kl",
    standardize: bool = False,
) -> Tensor:
    """Mix the labels' cross-entropy with a teacher term.

    `(1 - alpha) * CE(labels, student) + alpha * term`, in nats for `kl`, `ttm` and `dkd`.
    `alpha=0` is plain cross-entropy to the last bit, at any temperature.

    Args:
        student_logits: `[..., N, C]`: one student, or a stack of students. Half precisions are
            computed in float32; float64 stays float64. Finite: a student with an infinite logit
            has a loss that is no number, or infinite, and a search counts it as diverged.
        teacher_logits: `[..., N, C]`; its leading axes broadcast to those of the students. `-inf`
            is probability 0. A constant: no gradient flows to it.
        labels: int64 `[N]` in `0..C-1`, shared by all students. -1 (`UNLABELLED`) marks an example
            for which only the teacher term counts: the cross-entropy is the mean over the labelled
            examples, the teacher term the mean over all N. Terms that use labels take the teacher's
            most probable class for it.
        temperature: T > 0; a number, or a tensor `[...]` with one for each student.
        alpha: Weight of the teacher term in `[0, 1]`; a number, or a tensor `[...]`. The ranges of
            tensors are not checked, since that would wait for the device.
        loss: A name in `TEACHER_TERMS`: `kl`, `mse`, `dkd`, `dist` or `ttm`.
        standardize: Whether the teacher term sees standardised logits (`standardized`).

    Returns:
        `[...]`: a scalar for one student, one loss for each student of a stack.

    Raises:
        ResponseError: If shapes, class counts or types do not fit.
        ConfigError: If `temperature`, `alpha` or `loss` is not allowed.

    Example:
        >>> student, teacher = torch.tensor([[2.0, 0.0, 1.0]]), torch.tensor([[3.0, 0.0, 1.0]])
        >>> labels = torch.tensor([0])
        >>> distillation_loss(student, teacher, labels, temperature=4.0, alpha=0.5)
        tensor(0.2659)
        >>> bool(distillation_loss(student, teacher, labels, temperature=4.0, alpha=0.0)
        ...      == F.cross_entropy(student, labels))
        True

    Source: Hinton et al., *Distilling the Knowledge in a Neural Network*, 2015 (arXiv 1503.02531).
    """
    term = teacher_term(loss)
    check_batch(student_logits, teacher_logits, labels)
    check_recipe(student_logits, temperature, alpha)
    return mixture(
        student_logits,
        teacher_logits,
        labels,
        temperature=temperature,
        alpha=alpha,
        term=term,
        standardize=standardize,
    )


def mixture(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    temperature: float | Tensor,
    alpha: float | Tensor,
    term: TeacherTerm,
    standardize: bool = False,
) -> Tensor:
    """Compute `distillation_loss` without its checks: the form for the training step.

    Args:
        student_logits: `[..., N, C]`.
        teacher_logits: `[..., N, C]`, broadcast to the students.
        labels: As `cross_entropy` takes them; `dkd` needs integers.
        temperature: T > 0, a number or `[...]`.
        alpha: `[0, 1]`, a number or `[...]`.
        term: The teacher term, e.g. `TEACHER_TERMS["kl"]`.
        standardize: Whether the term sees standardised logits.

    Returns:
        `[...]`, one loss for each student.

    Example:
        >>> stack = torch.zeros(2, 3, 4)  # two students, three examples, four classes
        >>> mixture(stack, stack[0], torch.tensor([0, 1, 2]), temperature=1.0,
        ...         alpha=torch.tensor([0.0, 1.0]), term=kl)
        tensor([1.3863, 0.0000])
    """
    student = class_major(student_logits)
    teacher = class_major(teacher_logits.detach())
    seen = (standardized(student), standardized(teacher)) if standardize else (student, teacher)
    temperature, alpha = in_dtype(student.dtype, temperature), in_dtype(student.dtype, alpha)
    teacher_loss = term(*seen, labels, temperature=temperature)
    return (1 - alpha) * cross_entropy(student, labels) + alpha * teacher_loss


def cross_entropy(student_logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the cross-entropy of each student with the labels, `-mean log q_y`.

    For one student it is `torch.nn.functional.cross_entropy` to the last bit. The mean is over the
    labelled examples; where there are none it is 0.

    Args:
        student_logits: `[..., N, C]`.
        labels: int64 `[N]`; -1 is unlabelled. Or probabilities, float `[N, C]` (mixed labels).

    Returns:
        `[...]`, nats.

    Example:
        >>> cross_entropy(torch.zeros(2, 4), torch.tensor([3, -1]))  # log(4)
        tensor(1.3863)
    """
    student = class_major(student_logits)
    if labels.is_floating_point():
        return -(labels * log_softmax(student)).sum(-1).mean(-1)
    num_labelled = (labels != UNLABELLED).sum().clamp_min(1)
    if student.ndim == 2:
        total = F.cross_entropy(student, labels, ignore_index=UNLABELLED, reduction="sum")
        return total / num_labelled
    # F.cross_entropy on a stack would give the same, at twice the time.
    likelihood = at_labels(log_softmax(student), labels.clamp_min(0))
    return -torch.where(labels == UNLABELLED, 0.0, likelihood).sum(-1) / num_labelled


def kl(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    temperature: float | Tensor,
) -> Tensor:
    """Compute `T^2 * KL(teacher_T || student_T)`, mean over the batch.

    Scale: nats times T^2, which keeps the gradient's size as T grows: with centred logits and
    T to infinity it is half the mean squared difference of the logits.

    Args:
        student_logits: `[..., N, C]`.
        teacher_logits: `[..., N, C]`, broadcast to the students.
        labels: Not used.
        temperature: T > 0, a number or `[...]`.

    Returns:
        `[...]`.

    Example:
        >>> student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> kl(student, teacher, torch.tensor([1]), temperature=1.0)
        tensor(0.1109)

    Source: Hinton et al. 2015 (arXiv 1503.02531).
    """
    student_log_probs = log_probs_at(student_logits, temperature)
    teacher_log_probs = log_probs_at(teacher_logits.detach(), temperature)
    apart = divergence(teacher_log_probs, student_log_probs, exact=is_hot(temperature))
    return temperature**2 * apart.mean(-1)


def mse(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    temperature: float | Tensor,
) -> Tensor:
    """Compute the mean squared difference of the logits, over batch and classes.

    Scale: squared logits. Shifting all logits of an example changes it, unlike every other term.
    A class of probability 0 (`-inf`) has no logit to match and is left out of the mean.

    Args:
        student_logits: `[..., N, C]`.
        teacher_logits: `[..., N, C]`, broadcast to the students.
        labels: Not used.
        temperature: Not used.

    Returns:
        `[...]`.

    Example:
        >>> mse(torch.tensor([[0.0, 2.0]]), torch.zeros(1, 2), torch.tensor([0]), temperature=1.0)
        tensor(2.)

    Source: Ba & Caruana, *Do Deep Nets Really Need to be Deep?*, 2014 (arXiv 1312.6184).
    """
    student, teacher = class_major(student_logits), class_major(teacher_logits.detach())
    known = torch.isfinite(teacher)
    squares = (student - torch.where(known, teacher, 0.0)).square() * known
    return squares.sum((-2, -1)) / known.sum((-2, -1))


def dkd(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    temperature: float | Tensor,
    target_weight: float = 1.0,
    other_weight: float = 8.0,
) -> Tensor:
    """Compute decoupled distillation: `T^2 * (w_t * TCKD + w_o * NCKD)`, mean over the batch.

    TCKD is the KL between the two splits `(p_y, 1 - p_y)`, NCKD the KL between the distributions
    over the other classes. `KL = TCKD + (1 - p_y) * NCKD`: where the teacher is sure, `kl`
    silences NCKD and this term does not.

    Scale: nats times T^2, times the weights; with `other_weight=8` several times `kl`.

    Args:
        student_logits: `[..., N, C]`.
        teacher_logits: `[..., N, C]`, broadcast to the students.
        labels: int64 `[N]`; -1 takes the teacher's most probable class.
        temperature: T > 0, a number or `[...]`.
        target_weight: `w_t`, called alpha in the paper.
        other_weight: `w_o`, called beta in the paper; 8 is its common setting on CIFAR-100. Use
            `functools.partial` for a term with another weight.

    Returns:
        `[...]`.

    Example:
        >>> student, teacher = torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([[2.0, 0.0, 1.0]])
        >>> dkd(student, teacher, torch.tensor([0]), temperature=1.0)  # TCKD is 0 here
        tensor(3.6969)

    Source: Zhao et al., *Decoupled Knowledge Distillation*, CVPR 2022 (arXiv 2203.08679).
    """
    student_log_probs = log_probs_at(student_logits, temperature)
    teacher_log_probs = log_probs_at(teacher_logits.detach(), temperature)
    index = fill_unlabelled(labels, teacher_logits)
    student_split, student_others = decoupled(student_log_probs, index)
    teacher_split, teacher_others = decoupled(teacher_log_probs, index)
    exact = is_hot(temperature)
    target_term = divergence(teacher_split, student_split, exact=exact)
    alone = teacher_split[..., 1] == -torch.inf  # no other class has any probability to match
    other_term = divergence(teacher_others, student_others, exact=exact).masked_fill(alone, 0.0)
    return temperature**2 * (target_weight * target_term + other_weight * other_term).mean(-1)


def dist(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    temperature: float | Tensor,
) -> Tensor:
    """Compute correlation distillation: `T^2 * ((1 - r_classes) + (1 - r_batch))`.

    `r_classes` is the mean over examples of Pearson's correlation, over classes, of the student's
    and teacher's softened probabilities; `r_batch` the mean over classes of the one over the
    batch. Both relations have weight 1.

    Scale: `0 .. 4 * T^2`, no unit. A constant vector correlates 0 with anything.

    Args:
        student_logits: `[..., N, C]`.
        teacher_logits: `[..., N, C]`, broadcast to the students.
        labels: Not used.
        temperature: T > 0, a number or `[...]`.

    Returns:
        `[...]`.

    Example:
        >>> teacher = torch.tensor([[2.0, 1.0, 0.0], [0.0, 2.0, 1.0]])
        >>> dist(teacher, teacher, torch.tensor([0, 1]), temperature=1.0).abs() < 1e-6
        tensor(True)

    Source: Huang et al., *Knowledge Distillation from A Stronger Teacher*, NeurIPS 2022
    (arXiv 2205.10536); T^2 as in the authors' code.
    """
    student_probs = log_probs_at(student_logits, temperature).exp()
    teacher_probs = log_probs_at(teacher_logits.detach(), temperature).exp()
    over_classes = correlation(student_probs, teacher_probs, axis=-1).mean(-1)
    over_batch = correlation(student_probs, teacher_probs, axis=-2).mean(-1)
    return temperature**2 * (2 - over_classes - over_batch)


def ttm(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    temperature: float | Tensor,
) -> Tensor:
    """Compute transformed teacher matching: `KL(teacher_T || student_1)`, mean over the batch.

    Only the teacher is softened; there is no T^2. At T=1 it is `kl`.

    Scale: nats.

    Args:
        student_logits: `[..., N, C]`.
        teacher_logits: `[..., N, C]`, broadcast to the students.
        labels: Not used.
        temperature: The teacher's T > 0, a number or `[...]`.

    Returns:
        `[...]`.

    Example:
        >>> student, teacher = torch.tensor([[0.0, 1.0]]), torch.tensor([[0.0, 4.0]])
        >>> ttm(student, teacher, torch.tensor([1]), temperature=4.0)  # softened: the student's own
        tensor(0.)

    Source: Zheng & Yang, *Knowledge Distillation Based on Transformed Teacher Matching*, ICLR 2024
    (arXiv 2402.11148).
    """
    teacher_log_probs = log_probs_at(teacher_logits.detach(), temperature)
    return divergence(teacher_log_probs, log_softmax(student_logits)).mean(-1)


TEACHER_TERMS: Mapping[str, TeacherTerm] = MappingProxyType(
    {"kl": kl, "mse": mse, "dkd": dkd, "dist": dist, "ttm": ttm}
)
"""The teacher terms by name."""


def teacher_term(loss: str) -> TeacherTerm:
    """Look up a teacher term.

    Raises:
        ConfigError: If there is none of that name; the message lists the known ones.

    Example:
        >>> teacher_term("kl") is kl
        True
    """
    if loss not in TEACHER_TERMS:
        raise ConfigError(
            f"loss must be one of {', '.join(TEACHER_TERMS)}, but got {loss!r}. Losses on "
            "features are not possible, because a response contains only logits."
        )
    return TEACHER_TERMS[loss]


def standardized(logits: Tensor) -> Tensor:
    """Standardise the logits of each example over the classes: `(z - mean) / std`.

    The student then matches the teacher's logits up to shift and scale; T sets the common scale.
    `std` divides by C, and constant logits become 0. `-inf` stays, and the others are standardised
    among themselves.

    Args:
        logits: `[..., N, C]`.

    Returns:
        `[..., N, C]`, mean 0 and standard deviation 1 over the classes.

    Example:
        >>> standardized(torch.tensor([[1.0, 3.0]]))
        tensor([[-1.,  1.]])

    Source: Sun et al., *Logit Standardization in Knowledge Distillation*, CVPR 2024
    (arXiv 2403.01427).
    """
    wide = class_major(logits)
    known = wide != -torch.inf
    count = known.sum(-1, keepdim=True)
    finite = torch.where(known, wide, 0.0)
    centred = torch.where(known, finite - finite.sum(-1, keepdim=True) / count, 0.0)
    # Inside the root: constant logits (a zero-initialised last layer) keep a finite gradient.
    scaled = centred * (centred.square().sum(-1, keepdim=True) / count + 1e-14).rsqrt()
    return torch.where(known, scaled, -torch.inf)
