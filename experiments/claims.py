"""The claims C1-C5: what is measured of a pair, and when one holds. Fixed before the results.

The claims are those of the abstract of Vats & Crandall, arXiv 2112.10047, the only part that was
available to us; what counts as measuring them, every threshold and every rule is *ours*. They
stand in words in `docs/study-tables.md`, *What the claims are taken to mean*, with when and how
each was fixed; a test holds the numbers there to those here. A rule changes with its reason on that
page, never to fit a result.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import measures
from goodteacher.maths.statistics import Interval, adjusted_level
from measures import LATE, Measure
from pairs import Pair
from reading import (
    NotApplicableError,
    NotMeasuredError,
    recoverable,
    similarity_at,
)
from ruling import (
    ANY,
    AtLeast,
    Equal,
    Estimate,
    Rule,
    Ruling,
    Status,
    over_runs,
    over_teacher_seeds,
    rule_on,
    together,
)

LEVEL = 0.05
MARGIN = 0.002
"""Margin of practical equivalence, as a fraction; the verdict's default."""
MOST_AGAINST = 0.25
FEWEST_PAIRS = 4

Unit = Literal["rho", "points", "%", "log2"]

SHOWN: Mapping[Unit, tuple[Callable[[float], float], str]] = {
    "rho": (math.tanh, "+.2f"),
    "points": (lambda fraction: 100 * fraction, "+.2f"),
    "%": (lambda fraction: 100 * fraction, ".0f"),
    "log2": (float, "+.2f"),
}
"""How a unit is shown: from the estimate's own scale, and with how many digits."""


@dataclasses.dataclass(frozen=True)
class Part:
    """A question that belongs to a claim.

    Attributes:
        name: Short, unique.
        asks: What is measured.
        measure: Of a pair, within the study.
        rule: What decides; None where the measure says so itself.
        unit: Unit of the estimate.
        decides: Whether the claim hangs on it.
    """

    name: str
    asks: str
    measure: Measure
    rule: Rule | None
    unit: Unit = "points"
    decides: bool = True


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim of the source.

    Attributes:
        name: C1 to C5.
        says: The claim, in short.
        parts: What it is taken to mean.
    """

    name: str
    says: str
    parts: tuple[Part, ...]


_CORRELATED = AtLeast(0.0, math.atanh(0.5))
_BETTER = AtLeast(0.0, MARGIN)
_MOST = AtLeast(0.2, 0.5)
_LOWER = AtLeast(0.0, -math.log2(0.8))

CLAIMS = (
    Claim(
        "C1",
        "similarity information governs the quality of distillation",
        (
            Part(
                "same_temperature",
                "rho of S and students, T = 1, late",
                measures.at_common_temperature(LATE),
                _CORRELATED,
                "rho",
            ),
            Part(
                "own_temperature",
                "rho at each teacher's best T, late",
                measures.at_own_temperature(LATE),
                _CORRELATED,
                "rho",
            ),
            Part("taught", "similarity adds (ladder)", measures.similarity_taught, _BETTER),
            Part(
                "pays",
                "full response over the best regularizer",
                measures.over_best_regularizer,
                _BETTER,
                decides=False,
            ),
            Part(
                "same_temperature_all",
                "rho, T = 1, all epochs",
                measures.at_common_temperature(1),
                _CORRELATED,
                "rho",
                decides=False,
            ),
            Part(
                "own_temperature_all",
                "rho at best T, all epochs",
                measures.at_own_temperature(1),
                _CORRELATED,
                "rho",
                decides=False,
            ),
            Part(
                "recoverable",
                "rho of recoverable S, late",
                measures.at_largest(LATE),
                _CORRELATED,
                "rho",
                decides=False,
            ),
        ),
    ),
    Claim(
        "C2",
        "a well-trained teacher of high capacity loses it",
        (
            Part("lost", "lost at T = 1", measures.lost_at_common_temperature, _MOST, "%"),
            Part(
                "lost_recoverable",
                "lost at every T (recoverable S)",
                measures.lost_recoverable,
                _MOST,
                "%",
            ),
            Part(
                "large",
                "doublings from large to small teacher, T = 1",
                measures.lower_in_large(lambda pair: similarity_at(1.0)),
                _LOWER,
                "log2",
            ),
            Part(
                "large_recoverable",
                "doublings from large to small teacher, recoverable S",
                measures.lower_in_large(recoverable),
                _LOWER,
                "log2",
            ),
            Part(
                "lost_students",
                "lost at the students' best T",
                measures.lost_at_students_temperature,
                _MOST,
                "%",
                decides=False,
            ),
        ),
    ),
    Claim(
        "C3",
        "without it, one-example-many-class shrinks to one-example-one-class",
        (
            Part("one_class", "examples of one class, T = 1", measures.one_class, _MOST, "%"),
            Part(
                "gain",
                "no gain over cross-entropy, T = 1",
                measures.gain_at_common_temperature,
                Equal(MARGIN),
            ),
            Part(
                "temperature",
                "what the best T adds",
                measures.gain_of_temperature,
                _BETTER,
                decides=False,
            ),
        ),
    ),
    Claim(
        "C4",
        "a pair has a sweet spot of batch size and epochs",
        (
            Part(
                "over_converged",
                "over the converged teacher",
                measures.sweet_spot_over("converged_teacher"),
                _BETTER,
            ),
            Part(
                "over_most_accurate",
                "over the most accurate teacher",
                measures.sweet_spot_over("most_accurate_teacher"),
                _BETTER,
            ),
            Part("within_epochs", "before the last epoch", measures.within_epochs, None),
            Part(
                "over_labels",
                "over cross-entropy",
                measures.sweet_spot_over("cross_entropy"),
                _BETTER,
                decides=False,
            ),
            Part(
                "over_smoothing",
                "over tuned label smoothing",
                measures.sweet_spot_over("label_smoothing"),
                _BETTER,
                decides=False,
            ),
            Part(
                "batch_size",
                "best over worst batch size",
                measures.batch_size_effect,
                _BETTER,
                decides=False,
            ),
        ),
    ),
    Claim(
        "C5",
        "distillation can be told apart from regularization",
        (Part("told_apart", "the verdict decides", measures.told_apart, None),),
    ),
)


@dataclasses.dataclass(frozen=True)
class PartAnswer:
    """What a part comes to.

    Attributes:
        part: The question.
        level: Level of each pair's interval, corrected for their number.
        rulings: By the pair's name, over its replicates.
        by_seed: The same for each seed of the teachers.
        pooled: Mean over the counted pairs, in the estimate's own scale.
        status: The answer over all pairs.
        needed: Where undecided: pairs in all that would decide.
        counts: How many counted pairs have which answer.
    """

    part: Part
    level: float
    rulings: Mapping[str, Ruling]
    by_seed: Mapping[str, Mapping[int, Ruling]]
    pooled: Interval | None
    status: Status
    needed: int | None
    counts: Mapping[Status, int]


@dataclasses.dataclass(frozen=True)
class ClaimAnswer:
    """What a claim comes to.

    Attributes:
        claim: The claim.
        parts: Its parts, in order.
        by_pair: The claim in each pair.
        status: The answer over all pairs.
    """

    claim: Claim
    parts: tuple[PartAnswer, ...]
    by_pair: Mapping[str, Status]
    status: Status


def answers(study: Sequence[Pair]) -> tuple[ClaimAnswer, ...]:
    """Answer every claim.

    Args:
        study: All pairs and their replicates, without variations; there may be none.
    """
    return tuple(_answer(claim, study) for claim in CLAIMS)


def _answer(claim: Claim, study: Sequence[Pair]) -> ClaimAnswer:
    parts = tuple(answer_part(part, study) for part in claim.parts)
    deciding = [answer for answer in parts if answer.part.decides]
    names = dict.fromkeys(pair.pair.first.folder for pair in study)
    by_pair = {
        name: together([answer.rulings[name].status for answer in deciding]) for name in names
    }
    return ClaimAnswer(claim, parts, by_pair, together([answer.status for answer in deciding]))


def answer_part(part: Part, study: Sequence[Pair]) -> PartAnswer:
    """Answer one part.

    Args:
        part: The question.
        study: All pairs and their replicates, without variations.
    """
    found: dict[str, dict[int, Estimate | Ruling]] = {}
    for pair in study:
        seeds = found.setdefault(pair.pair.first.folder, {})
        seeds[pair.pair.teacher_seed] = _measured(part, pair, study)
    known = [name for name, seeds in found.items() if any(map(_is_estimate, seeds.values()))]
    level = adjusted_level(LEVEL, max(1, len(known)))
    by_seed = {
        name: {
            seed: one if isinstance(one, Ruling) else rule_on(one, part.rule, level=level)
            for seed, one in seeds.items()
        }
        for name, seeds in found.items()
    }
    rulings = {name: over_teacher_seeds(seeds) for name, seeds in by_seed.items()}
    pooled = _pooled(list(rulings.values()))
    status, needed = overall(part.rule, rulings, pooled)
    counts = Counter(ruling.status for ruling in rulings.values())
    return PartAnswer(part, level, rulings, by_seed, pooled, status, needed, counts)


def _is_estimate(found: Estimate | Ruling) -> bool:
    return isinstance(found, Estimate)


def _measured(part: Part, pair: Pair, study: Sequence[Pair]) -> Estimate | Ruling:
    try:
        return part.measure(pair, study)
    except NotApplicableError:
        return Ruling("does not apply")
    except NotMeasuredError as error:
        return Ruling("not measured", note=str(error))


def _pooled(rulings: Sequence[Ruling]) -> Interval | None:
    known = [ruling.estimate for ruling in rulings if ruling.estimate]
    values = [estimate.value for estimate in known if estimate.value is not None]
    if len(values) < 2:
        return None
    bounds = next((each.interval.bounds for each in known if each.interval), ANY)
    return over_runs(values, level=LEVEL, bounds=bounds)


def overall(
    rule: Rule | None, rulings: Mapping[str, Ruling], pooled: Interval | None
) -> tuple[Status, int | None]:
    """Decide a part over all counted pairs.

    Args:
        rule: What decides about the mean; None where pairs are only counted.
        rulings: By the pair's name, which begins with its data set.
        pooled: The mean over pairs.

    Returns:
        The answer; where undecided, the pairs in all that would decide, if that can be said.
    """
    known = {k: r for k, r in rulings.items() if r.estimate is not None}
    if not known:
        asked = any(ruling.status == "not measured" for ruling in rulings.values())
        return ("does not apply" if rulings and not asked else "not measured"), None
    if len(known) < FEWEST_PAIRS or len({name.partition("/")[0] for name in known}) < 2:
        return "undecided", max(FEWEST_PAIRS, len(known) + 1)
    statuses = Counter(ruling.status for ruling in known.values())
    if statuses["does not hold"] > MOST_AGAINST * len(known):
        return "does not hold", None
    if rule is None or pooled is None:
        enough = statuses["holds"] >= (1 - MOST_AGAINST) * len(known)
        return ("holds" if enough else "undecided"), None
    status = rule.status(pooled)
    return status, rule.needed(pooled) if status == "undecided" else None
