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

Everything is a sum over examples, made a few rows at a time, so a response may be larger than
memory. The instance part is the total less the class part, and the conditional mutual information
the entropy of the class means less the mean entropy: the same by the chain rule, in one pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from goodteacher.errors import ResponseError
from goodteacher.maths._off_class import OffClass, divergence_from_uniform, entropy
from goodteacher.maths._sums import ClassBlock, Sums, add_up
from goodteacher.maths.rows import Index, Logits

__all__ = [
    "EntropySums",
    "MutualInformationSums",
    "SimilarityInformation",
    "SimilaritySums",
    "VarianceSums",
    "add_up",
    "conditional_mutual_information",
    "mean_entropy",
    "similarity_information",
    "wrong_class_variance",
]

ONE_HOT_BELOW = 1.05
"""An example with fewer effective classes than this counts as one-hot."""

MOST_CELLS = 2**27
"""Cells of a similarity matrix that is kept: 1 GiB."""


@dataclass(frozen=True)
class SimilarityInformation:
    """The similarity information of a response, in nats per example.

    Attributes:
        total: Mean of S over the examples, `0 .. log(C-1)`.
        class_part: Mean of what the class alone tells (`m * KL(qbar_y || u)`).
        instance_part: Mean of what the example adds (`m * KL(q || qbar_y)`);
            `class_part + instance_part == total` up to rounding.
        per_example: S of each example, float64 `[N]`.
        effective_classes: Mean of `exp(H(p))`, `1 .. C`; 1.0 is one-hot.
        off_class_mass: Mean of `m = 1 - p_y`, `0 .. 1`.
        share_one_hot: Share of the examples with fewer than 1.05 effective classes.
    """

    total: float
    class_part: float
    instance_part: float
    per_example: Tensor
    effective_classes: float
    off_class_mass: float
    share_one_hot: float
    _matrix: Tensor | None = field(default=None, repr=False)

    @property
    def matrix(self) -> Tensor:
        """The similarity matrix `qbar`, float64 `[C, C]`.

        Row c says where the off-class mass of class c goes. The diagonal is 0 and a row sums to 1;
        the row of a class without examples is all 0.

        Raises:
            ResponseError: There are so many classes that it would take more than 1 GiB.
        """
        if self._matrix is None:
            raise ResponseError(
                "The similarity matrix was not kept, because it has a cell for each pair of "
                f"classes and would need more than {MOST_CELLS * 8 / 2**30:g} GiB (from "
                f"{math.isqrt(MOST_CELLS) + 1:,} classes on). Totals and parts do not need the "
                "matrix. To get it, keep only the classes that you are interested in."
            )
        return self._matrix


def similarity_information(
    logits: Logits, labels: Tensor, *, temperature: float = 1.0
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
    sums = SimilaritySums(*logits.shape, keep_matrix=True)
    add_up(logits, labels, temperature, sums)
    return sums.found()


def conditional_mutual_information(
    logits: Logits, labels: Tensor, *, temperature: float = 1.0
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
    sums = MutualInformationSums(len(logits))
    add_up(logits, labels, temperature, sums)
    return sums.found()


def wrong_class_variance(logits: Logits, labels: Tensor, *, temperature: float = 1.0) -> float:
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
    sums = VarianceSums(len(logits))
    add_up(logits, labels, temperature, sums)
    return sums.found()


def mean_entropy(logits: Logits, labels: Tensor, *, temperature: float = 1.0) -> float:
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
    sums = EntropySums(len(logits))
    add_up(logits, labels, temperature, sums)
    return sums.found()


# --- what is added up ----------------------------------------------------------------------------


class SimilaritySums(Sums):
    """The similarity information of a response, added up.

    Args:
        num_examples: N.
        num_classes: C.
        keep_matrix: Keep the similarity matrix, if it takes at most 1 GiB.
    """

    def __init__(self, num_examples: int, num_classes: int, *, keep_matrix: bool = False) -> None:
        self.per_example = torch.zeros(num_examples, dtype=torch.float64)
        self._class_part, self._classes, self._mass, self._one_hot = 0.0, 0.0, 0.0, 0
        kept = keep_matrix and num_classes**2 <= MOST_CELLS
        shape = (num_classes, num_classes)
        self._matrix = torch.zeros(shape, dtype=torch.float64) if kept else None

    def begin(self, block: ClassBlock) -> None:
        """Begin with sums of the off-class mass of each class, in units of `exp(peak)`."""
        self._block, self._sums = block, block.new_sums()
        self._peak = self._sums.new_full((len(block.classes),), -torch.inf)

    def add(self, index: Index, parts: OffClass) -> None:
        """Add some examples; see :meth:`Sums.add`."""
        self.per_example[index] = parts.information.cpu()
        classes = parts.entropy.exp()
        self._classes += classes.sum().item()
        self._one_hot += int((classes < ONE_HOT_BELOW).sum())
        self._mass += parts.mass.sum().item()
        places = self._block.places(parts.labels)
        # In units of each class's largest mass, so that even a mass of 1e-400 has a share.
        peak = self._peak.scatter_reduce(0, places, parts.log_mass, "amax")
        grown = peak > self._peak
        self._sums[grown] *= (self._peak - peak)[grown].exp().unsqueeze(1)
        self._peak = peak
        weight = (parts.log_mass - peak.nan_to_num(neginf=0.0)[places]).exp()
        self._sums.index_add_(0, places, parts.q * weight.unsqueeze(1))

    def end(self) -> None:
        """End a block: its classes' means are known."""
        mass = self._sums.sum(1)
        qbar = self._sums.div_(mass.clamp_min(torch.finfo(mass.dtype).tiny).unsqueeze(1))
        divergence = divergence_from_uniform(qbar, qbar.log())
        self._class_part += (self._peak.exp() * mass * divergence).sum().item()
        if self._matrix is not None:
            self._matrix[self._block.classes.cpu()] = qbar.cpu()

    def found(self) -> SimilarityInformation:
        """Return what was found."""
        count = len(self.per_example)
        total, class_part = self.per_example.mean().item(), self._class_part / count
        return SimilarityInformation(
            total=total,
            class_part=class_part,
            instance_part=max(0.0, total - class_part),
            per_example=self.per_example,
            effective_classes=self._classes / count,
            off_class_mass=self._mass / count,
            share_one_hot=self._one_hot / count,
            _matrix=self._matrix,
        )


class MutualInformationSums(Sums):
    """The entropy of each class's mean response, less that of the responses, added up."""

    def __init__(self, num_examples: int) -> None:
        self._count, self._total = num_examples, 0.0

    def begin(self, block: ClassBlock) -> None:
        """Begin with sums of the responses of each class."""
        self._block, self._sums = block, block.new_sums()
        self._counts = self._sums.new_zeros(len(block.classes))

    def add(self, index: Index, parts: OffClass) -> None:
        """Add some examples; see :meth:`Sums.add`."""
        places = self._block.places(parts.labels)
        self._sums.index_add_(0, places, parts.probs)
        self._counts.index_add_(0, places, torch.ones_like(parts.mass))
        self._total -= parts.entropy.sum().item()

    def end(self) -> None:
        """End a block: its classes' means are known."""
        means = self._sums.div_(self._counts.unsqueeze(1))
        self._total += (self._counts * entropy(means, means.log())).sum().item()

    def found(self) -> float:
        """Return nats per example."""
        return max(0.0, self._total / self._count)


class VarianceSums(Sums):
    """The variance of the wrong classes' probabilities, added up."""

    def __init__(self, num_examples: int) -> None:
        self._count, self._total = num_examples, 0.0

    def add(self, index: Index, parts: OffClass) -> None:
        """Add some examples; see :meth:`Sums.add`."""
        others = parts.num_classes - 1
        deviation = parts.wrong - parts.mass.unsqueeze(1) / others
        deviation.scatter_(1, parts.labels.unsqueeze(1), 0.0)
        self._total += deviation.square_().sum().item() / others

    def found(self) -> float:
        """Return the mean."""
        return self._total / self._count


class EntropySums(Sums):
    """The entropy of the responses, added up."""

    def __init__(self, num_examples: int) -> None:
        self._count, self._total = num_examples, 0.0

    def add(self, index: Index, parts: OffClass) -> None:
        """Add some examples; see :meth:`Sums.add`."""
        self._total += parts.entropy.sum().item()

    def found(self) -> float:
        """Return nats per example."""
        return self._total / self._count
