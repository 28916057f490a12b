"""Targets made from a teacher's response: the ladder, its falsification arms, label smoothing.

The ladder adds one ingredient of the response at a time; with confidence `p_y`, off-class mass `m`,
off-class distribution `q` and class similarity `qbar_y`:

| rung | name | target on y | elsewhere | what it adds |
|---|---|---|---|---|
| 0 | `one_hot` | 1 | 0 | nothing |
| 1 | `mean_smoothing` | 1 - mean m | mean m / (C-1) | constant regularization |
| 2 | `confidence_smoothing` | p_y | m / (C-1) | per-example regularization |
| 3 | `class_similarity` | p_y | m * qbar_y | class similarity |
| 4 | `full_response` | p_y | m * q | instance similarity |

The falsification arms keep the amount of smoothing and destroy or falsify the similarity. Ladder
and arms are **ours**; the permuted arm is a relative of DKPP (Furlanello et al., *Born-Again
Neural Networks*, 2018). With two classes rungs 2, 3 and 4 and the permuted arms coincide.

Every target is a tensor of probabilities `[N, C]` whose rows sum to 1: computed in float64,
returned in the response's precision, at least float32. An unlabelled example (label -1) counts as
of the teacher's most probable class; label smoothing knows no teacher and has no target for it
(`smoothing_targets`). `logits_of` turns any target into a response, so that it can
be given to any loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from goodteacher.errors import ConfigError, ResponseError
from goodteacher.maths._checks import UNLABELLED, check_labels, check_temperature
from goodteacher.maths._off_class import class_similarity_of_each, off_class


class Target(Protocol):
    """A target made from a response: logits and labels in, probabilities `[N, C]` out."""

    def __call__(self, logits: Tensor, labels: Tensor, *, temperature: float = 1.0) -> Tensor:
        """Make the target; see `ladder_targets` for the arguments."""


class SeededTarget(Protocol):
    """A target made from a response and a source of chance."""

    def __call__(
        self,
        logits: Tensor,
        labels: Tensor,
        *,
        temperature: float = 1.0,
        seed: int | torch.Generator,
    ) -> Tensor:
        """Make the target; see `permuted_targets` for the arguments."""


def ladder_targets(
    logits: Tensor, labels: Tensor, *, temperature: float = 1.0
) -> dict[str, Tensor]:
    """Make the five targets of the ladder.

    Args:
        logits: The response, raw logits `[N, C]`, finite. `mean_smoothing` and `class_similarity`
            take their means over these N examples: pass the whole transfer set.
        labels: Integers `[N]` in `0..C-1`; -1 is unlabelled.
        temperature: T > 0 in `p = softmax(z / T)`.

    Returns:
        Probabilities `[N, C]` by name, in the order of the ladder (see the module).

    Raises:
        ResponseError: If shapes, labels or values do not fit.
        ConfigError: If the temperature is not positive.

    Example:
        >>> logits = torch.tensor([[0.6, 0.3, 0.1], [0.8, 0.1, 0.1]]).log()
        >>> for name, target in ladder_targets(logits, torch.tensor([0, 0])).items():
        ...     print(name, [round(p, 3) for p in target[0].tolist()])
        one_hot [1.0, 0.0, 0.0]
        mean_smoothing [0.7, 0.15, 0.15]
        confidence_smoothing [0.6, 0.2, 0.2]
        class_similarity [0.6, 0.267, 0.133]
        full_response [0.6, 0.3, 0.1]
    """
    return {name: rung(logits, labels, temperature=temperature) for name, rung in LADDER.items()}


def one_hot(logits: Tensor, labels: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Make rung 0, the labels themselves.

    Example:
        >>> one_hot(torch.zeros(1, 3), torch.tensor([2]))
        tensor([[0., 0., 1.]])
    """
    parts = off_class(logits, labels, temperature=temperature)
    return _like(F.one_hot(parts.labels, parts.num_classes), logits)


def mean_smoothing(logits: Tensor, labels: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Make rung 1: label smoothing with the teacher's mean off-class mass.

    Example:
        >>> logits = torch.tensor([[0.6, 0.3, 0.1], [0.8, 0.1, 0.1]]).log()
        >>> mean_smoothing(logits, torch.tensor([0, 0]))[1]
        tensor([0.7000, 0.1500, 0.1500])
    """
    parts = off_class(logits, labels, temperature=temperature)
    mass = parts.mass.mean().expand_as(parts.mass)
    return _like(_smoothed(parts.labels, 1 - mass, mass, parts.num_classes), logits)


def confidence_smoothing(logits: Tensor, labels: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Make rung 2: label smoothing with the teacher's own confidence for each example.

    Example:
        >>> logits = torch.tensor([[0.6, 0.3, 0.1]]).log()
        >>> confidence_smoothing(logits, torch.tensor([0]))
        tensor([[0.6000, 0.2000, 0.2000]])
    """
    parts = off_class(logits, labels, temperature=temperature)
    return _like(_smoothed(parts.labels, parts.confidence, parts.mass, parts.num_classes), logits)


def class_similarity(logits: Tensor, labels: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Make rung 3: the off-class mass spread by the class's mean similarity `qbar_y`.

    Example:
        >>> logits = torch.tensor([[0.6, 0.3, 0.1], [0.6, 0.1, 0.3]]).log()
        >>> class_similarity(logits, torch.tensor([0, 0]))[0]
        tensor([0.6000, 0.2000, 0.2000])
    """
    parts = off_class(logits, labels, temperature=temperature)
    spread = class_similarity_of_each(parts) * parts.mass.unsqueeze(1)
    target = spread.scatter(1, parts.labels.unsqueeze(1), parts.confidence.unsqueeze(1))
    return _like(target, logits)


def full_response(logits: Tensor, labels: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Make rung 4: the softened response itself.

    Example:
        >>> full_response(torch.zeros(1, 4), torch.tensor([0]))
        tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """
    return _like(off_class(logits, labels, temperature=temperature).probs, logits)


LADDER: Mapping[str, Target] = MappingProxyType(
    {
        "one_hot": one_hot,
        "mean_smoothing": mean_smoothing,
        "confidence_smoothing": confidence_smoothing,
        "class_similarity": class_similarity,
        "full_response": full_response,
    }
)
"""The rungs of the ladder by name, from the lowest."""

ROW_BY_ROW = frozenset({"one_hot", "confidence_smoothing", "full_response"})
"""Those of which each row depends on its own response and label alone."""


def permuted_targets(
    logits: Tensor,
    labels: Tensor,
    *,
    temperature: float = 1.0,
    seed: int | torch.Generator,
) -> Tensor:
    """Permute the off-class entries of each example at random.

    Confidence and entropy of every example stay; which class is alike is lost.

    Args:
        logits: The response, `[N, C]`.
        labels: Integers `[N]`; -1 is unlabelled.
        temperature: T > 0.
        seed: An integer, or a CPU generator, which advances.

    Returns:
        Probabilities `[N, C]`.

    Raises:
        ResponseError: If shapes, labels or values do not fit.
        ConfigError: If the temperature is not positive.

    Example:
        >>> logits = torch.tensor([[0.6, 0.3, 0.1]]).log()
        >>> permuted_targets(logits, torch.tensor([0]), seed=1).sort(descending=True).values
        tensor([[0.6000, 0.3000, 0.1000]])
    """
    parts = off_class(logits, labels, temperature=temperature)
    order = _random_others(parts.labels, parts.num_classes, _generator(seed))
    others = order.sort(1).values
    probs = parts.probs
    return _like(probs.scatter(1, others, probs.gather(1, order)), logits)


def class_map_targets(
    logits: Tensor,
    labels: Tensor,
    *,
    temperature: float = 1.0,
    seed: int | torch.Generator,
) -> Tensor:
    """Permute the off-class entries by one fixed map for each class: structured, but wrong.

    For class y the other C-1 classes are put on a random cycle, and each hands its mass to its
    neighbour, in every example of y alike. No class keeps its own mass (unless C = 2). Confidence
    and entropy of every example stay, and so does S in total and parts; only the classes that the
    response calls alike are the wrong ones.

    Args:
        logits: The response, `[N, C]`.
        labels: Integers `[N]`; -1 is unlabelled.
        temperature: T > 0.
        seed: An integer, or a CPU generator, which advances.

    Returns:
        Probabilities `[N, C]`.

    Raises:
        ResponseError: If shapes, labels or values do not fit.
        ConfigError: If the temperature is not positive.

    Example:
        >>> logits = torch.tensor([[0.6, 0.3, 0.1]]).log()
        >>> class_map_targets(logits, torch.tensor([0]), seed=0)
        tensor([[0.6000, 0.1000, 0.3000]])
    """
    parts = off_class(logits, labels, temperature=temperature)
    classes = torch.arange(parts.num_classes, device=logits.device)
    cycle = _random_others(classes, parts.num_classes, _generator(seed))
    same = classes.expand(parts.num_classes, -1)
    source = same.scatter(1, cycle, cycle.roll(1, 1))
    return _like(parts.probs.gather(1, source[parts.labels]), logits)


def shuffled_within_class(
    logits: Tensor,
    labels: Tensor,
    *,
    temperature: float = 1.0,
    seed: int | torch.Generator,
) -> Tensor:
    """Exchange the responses among the examples of each class.

    The examples of a class stand in a random circle and each takes its neighbour's response: class
    similarity stays, what belongs to the example (its confidence too) is lost. Only the single
    example of a class keeps its own.

    Args:
        logits: The response, `[N, C]`.
        labels: Integers `[N]`; -1 is unlabelled.
        temperature: T > 0.
        seed: An integer, or a CPU generator, which advances.

    Returns:
        Probabilities `[N, C]`.

    Raises:
        ResponseError: If shapes, labels or values do not fit.
        ConfigError: If the temperature is not positive.

    Example:
        >>> logits = torch.tensor([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8]]).log()
        >>> shuffled_within_class(logits, torch.tensor([0, 0, 1]), seed=0)
        tensor([[0.9000, 0.1000],
                [0.6000, 0.4000],
                [0.2000, 0.8000]])
    """
    parts = off_class(logits, labels, temperature=temperature)
    chance = torch.randperm(len(labels), generator=_generator(seed)).to(logits.device)
    circle = chance[parts.labels[chance].argsort(stable=True)]
    counts = parts.labels.bincount()
    counts = counts[counts > 0]
    last = counts.cumsum(0) - 1
    neighbour = circle.roll(-1)
    neighbour[last] = circle[last - counts + 1]
    return _like(
        torch.empty_like(parts.probs).index_copy(0, circle, parts.probs[neighbour]), logits
    )


FALSIFICATION: Mapping[str, SeededTarget] = MappingProxyType(
    {
        "permuted": permuted_targets,
        "class_map_permuted": class_map_targets,
        "shuffled_within_class": shuffled_within_class,
    }
)
"""The arms that keep the smoothing and falsify the similarity, by name."""


def smoothing_targets(
    labels: Tensor,
    num_classes: int,
    *,
    smoothing: float,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Make label-smoothing targets: `(1 - smoothing) * one_hot + smoothing / C`.

    The uniform part covers the label too, as in `torch.nn.functional.cross_entropy`, so the
    off-class mass is `smoothing * (C-1) / C`. An unlabelled example has no target: its row is 0, so
    that it adds nothing to a cross-entropy `-sum target log q`.

    Args:
        labels: Integers `[N]` in `0..C-1`; -1 is unlabelled.
        num_classes: C, at least 2.
        smoothing: Strength in `[0, 1]`; 0 is one-hot, 1 is uniform.
        dtype: Of the result.

    Returns:
        Probabilities `[N, C]`; rows of unlabelled examples are 0.

    Raises:
        ResponseError: If a label is out of range, or there are none.
        ConfigError: If `smoothing` or `num_classes` is out of range.

    Example:
        >>> smoothing_targets(torch.tensor([0, -1]), 4, smoothing=0.2)
        tensor([[0.8500, 0.0500, 0.0500, 0.0500],
                [0.0000, 0.0000, 0.0000, 0.0000]])

    Source: Szegedy et al., *Rethinking the Inception Architecture*, 2016 (arXiv 1512.00567).
    """
    if not 0 <= smoothing <= 1:
        raise ConfigError(
            f"smoothing must be in 0..1, but got {smoothing}. It is the share of the target that "
            "is spread over all classes; 0.1 is usual."
        )
    if num_classes < 2:
        raise ConfigError(f"num_classes must be at least 2, but got {num_classes}.")
    if labels.numel() == 0:
        raise ResponseError("labels are empty, and at least one is needed. Is the split empty?")
    check_labels(labels, labels.numel(), num_classes)
    known = (labels != UNLABELLED).unsqueeze(1)
    hot = F.one_hot(labels.long().clamp_min(0), num_classes).double()
    return (((1 - smoothing) * hot + smoothing / num_classes) * known).to(dtype)


def logits_of(probabilities: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Turn a target into a response: `T * log p`, so that `softmax(logits / T) == p`.

    Any target can then be given as a response to any loss.

    Args:
        probabilities: `[..., C]`, rows summing to 1, at least 0. A zero is raised to the smallest
            normal number of the precision (1.2e-38 in float32), so its logit is finite
            (`-87.3 * T`) and it comes back as that number.
        temperature: T > 0, the temperature at which the loss will soften them again.

    Returns:
        Logits `[..., C]`, at least float32.

    Raises:
        ResponseError: If the rows are not probabilities.
        ConfigError: If the temperature is not positive.

    Example:
        >>> torch.softmax(logits_of(torch.tensor([0.7, 0.2, 0.1]), temperature=4.0) / 4.0, -1)
        tensor([0.7000, 0.2000, 0.1000])
    """
    check_temperature(temperature)
    wide = probabilities.to(torch.promote_types(probabilities.dtype, torch.float32))
    # Half precisions are rounded: their rows may miss 1 by a percent and still be probabilities.
    off = (wide.sum(-1) - 1).abs()
    if not bool(((wide >= 0).all(-1) & (off < 0.01)).all()):
        raise ResponseError(
            "probabilities must be at least 0 and sum to 1 in each row, but the smallest is "
            f"{wide.min().item():.4g} and a sum is off by {off.max().item():.4g}. If these are "
            "logits, they already are a response."
        )
    return temperature * wide.clamp_min(torch.finfo(wide.dtype).tiny).log()


def _smoothed(labels: Tensor, confidence: Tensor, mass: Tensor, num_classes: int) -> Tensor:
    """Put `confidence` on the label and spread `mass` evenly over the other classes."""
    spread = (mass / (num_classes - 1)).unsqueeze(1).repeat(1, num_classes)
    return spread.scatter(1, labels.unsqueeze(1), confidence.unsqueeze(1))


def _random_others(labels: Tensor, num_classes: int, generator: torch.Generator) -> Tensor:
    """List the C-1 classes other than each label in random order, `[N, C-1]`."""
    keys = torch.rand(len(labels), num_classes, generator=generator, dtype=torch.float64)
    keys = keys.to(labels.device).scatter(1, labels.unsqueeze(1), torch.inf)
    return keys.argsort(1)[:, :-1]


def _generator(seed: int | torch.Generator) -> torch.Generator:
    return seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)


def _like(target: Tensor, logits: Tensor) -> Tensor:
    return target.to(torch.promote_types(logits.dtype, torch.float32))
