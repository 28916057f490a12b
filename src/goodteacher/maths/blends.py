"""Means of responses, and which responses a mean should hold: teachers that cost no training.

A trajectory leaves many responses behind. Their mean is often nearer to the true posterior than any
of them: over one trajectory it filters the noise of training (Filter-KD, Ren et al., *Better
Supervisory Signals by Observing Learning Paths*, ICLR 2022), over several it is an ensemble.

Responses are averaged as **probabilities at T = 1** and turned back into logits, so that any loss
and temperature takes them as it takes a teacher's own. Filter-KD averages probabilities too; the
mean is over *recorded* epochs, each of equal weight, where theirs is exponential over all steps
(*ours*). A mean of logits would let one confident response outvote the rest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from goodteacher.errors import ConfigError
from goodteacher.maths.calibration import negative_log_likelihood, optimal_temperature

LEAST_WEIGHT = 0.02
"""Members of less weight leave the blend (*ours*): each costs a pass of a teacher."""

_DIGITS = 4


def mean_response(responses: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Return `log sum_m w_m softmax(z_m)`: the weighted mean of responses, as logits.

    Args:
        responses: Raw logits of the same examples, each `[..., C]`, finite.
        weights: One for each response, at least 0, with a positive sum; they are normalised.

    Returns:
        Logits `[..., C]` whose softmax at T = 1 is the mean of the probabilities; the type of the
        responses, computed in float64.

    Raises:
        ConfigError: There is no response, or weights do not fit.

    Example:
        >>> sure, unsure = torch.tensor([[0.9, 0.1]]).log(), torch.tensor([[0.5, 0.5]]).log()
        >>> mean_response([sure, unsure], [0.5, 0.5]).softmax(-1)
        tensor([[0.7000, 0.3000]])
    """
    if not responses or len(responses) != len(weights) or min(weights) < 0 or sum(weights) <= 0:
        raise ConfigError(
            f"a mean needs one weight of at least 0 for each response, and one above 0, but got "
            f"{len(responses)} responses and weights {list(weights)}."
        )
    total = math.fsum(weights)
    terms = [
        torch.log_softmax(logits.double(), -1) + math.log(weight / total)
        for logits, weight in zip(responses, weights, strict=True)
        if weight > 0
    ]
    return torch.stack(terms).logsumexp(0).to(responses[0].dtype)


def choose_blend(
    responses: Tensor, labels: Tensor, *, bags: int = 5, rounds: int = 20, seed: int = 0
) -> tuple[float, ...]:
    """Choose the weights of a blend by greedy ensemble selection on held-out examples.

    One run starts with the mean of the best responses, as many as serve best, then adds in each
    round, with replacement, the response that lowers the negative log-likelihood (NLL) most; a
    weight is a share of the additions. Guards against overfitting the held-out examples: the
    sorted start and *bags* (a run sees a random half of the responses; weights are means over
    runs) are Caruana et al.'s. *Ours*: the best single response is in every bag; a run adds on one
    half of the examples and stops where the NLL on the other half is lowest, and the halves then
    change places; the temperature is fitted again after each addition rather than for each trial;
    weights below 0.02 are dropped.

    Args:
        responses: Raw logits `[M, N, C]` of M responses on N held-out examples, N at least 2.
        labels: Integers `[N]` in `0..C-1`.
        bags: Runs for each half, at least 1.
        rounds: Most additions of a run, at least 0.
        seed: Seed of halves and bags.

    Returns:
        M weights, at least 0, rounded to 4 digits; they sum to 1 up to rounding.

    Raises:
        ConfigError: There are no responses, or fewer than two examples.
        ResponseError: Shapes, labels or values do not fit.

    Example:
        >>> right, wrong = torch.tensor([[2.0, 0.0]] * 4), torch.tensor([[0.0, 2.0]] * 4)
        >>> choose_blend(torch.stack([right, wrong]), torch.zeros(4, dtype=torch.long))
        (1.0, 0.0)

    Source: Caruana et al., *Ensemble Selection from Libraries of Models*, ICML 2004.
    """
    if not len(responses) or responses.shape[1] < 2 or bags < 1:
        raise ConfigError(
            f"a blend is chosen from at least one response on at least two examples, in at least "
            f"one bag, but got responses {list(responses.shape)} and bags = {bags}."
        )
    generator = torch.Generator().manual_seed(seed)
    probs = responses.double().softmax(-1)
    halves = torch.randperm(len(labels), generator=generator).chunk(2)
    best = _standing(responses, labels)
    weights = torch.zeros(len(responses), dtype=torch.float64)
    for fit, stop in (halves, halves[::-1]):
        for _ in range(bags):
            bag = _bag(len(responses), best, generator)
            counts = _greedy(probs[bag], labels, fit, stop, rounds)
            weights[bag] += counts / counts.sum() / (2 * bags)
    kept = torch.where(weights >= min(LEAST_WEIGHT, float(weights.max())), weights, 0.0)
    return tuple(round(share, _DIGITS) for share in (kept / kept.sum()).tolist())


def _standing(responses: Tensor, labels: Tensor) -> int:
    """Return the number of the best single response."""
    return min(range(len(responses)), key=lambda m: _best_nll(responses[m], labels))


def _bag(num_responses: int, best: int, generator: torch.Generator) -> Tensor:
    """Draw half of the responses, at least two where there are two, and the best one."""
    order = torch.randperm(num_responses, generator=generator)
    drawn = order[: max(2, -(-num_responses // 2))]
    return torch.cat([drawn[drawn != best], torch.tensor([best])]).sort().values


def _greedy(probs: Tensor, labels: Tensor, fit: Tensor, stop: Tensor, rounds: int) -> Tensor:
    """Return how often each response was added, up to the round that serves the other half best."""
    ours, theirs = probs[:, fit], probs[:, stop]
    counts = _sorted_start(ours, labels[fit])
    kept, lowest = counts, math.inf
    for _ in range(rounds + 1):
        temperature = optimal_temperature(_logits(_mean(ours, counts)), labels[fit])
        held_out = _logits(_mean(theirs, counts))
        nll = negative_log_likelihood(held_out, labels[stop], temperature=temperature)
        if nll < lowest:
            kept, lowest = counts, nll
        sums = _mean(ours, counts) * counts.sum() + ours
        trials = [_nll_of_sum(one, labels[fit], temperature) for one in sums]
        counts = counts.clone()
        counts[min(range(len(trials)), key=trials.__getitem__)] += 1
    return kept


def _sorted_start(probs: Tensor, labels: Tensor) -> Tensor:
    """Return counts of 1 for the best n responses; n makes their mean's NLL lowest."""
    alone = [_best_nll(_logits(one), labels) for one in probs]
    order = torch.tensor(alone).argsort(stable=True)
    sums = probs[order].cumsum(0)
    together = [_best_nll(_logits(total / (n + 1)), labels) for n, total in enumerate(sums)]
    size = min(range(len(together)), key=together.__getitem__) + 1
    counts = torch.zeros(len(probs), dtype=torch.float64)
    counts[order[:size]] = 1
    return counts


def _mean(probs: Tensor, counts: Tensor) -> Tensor:
    return torch.einsum("mnc,m->nc", probs, counts / counts.sum())


def _logits(probs: Tensor) -> Tensor:
    return probs.clamp_min(torch.finfo(probs.dtype).tiny).log()


def _best_nll(logits: Tensor, labels: Tensor) -> float:
    return negative_log_likelihood(logits, labels, temperature=optimal_temperature(logits, labels))


def _nll_of_sum(total: Tensor, labels: Tensor, temperature: float) -> float:
    """Return the NLL of unnormalised probabilities: a softmax does not see their scale."""
    return torch.nn.functional.cross_entropy(_logits(total) / temperature, labels.long()).item()
