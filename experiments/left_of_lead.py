"""How much of the sweet spot's lead is left once every teacher has temperature and patience?

The question of C4. In the study with untuned students the sweet spot's students led those of the
converged teacher; a converged teacher's response is nearly one-hot, and all its students had the
same few epochs and at most T = 8. With tuned students every teacher gets higher temperatures and
longer trainings where they help. What is left of the lead then is a sweet spot of batch size and
epochs; what went was scale and patience.

**The rule**, fixed before a pair had been run with tuned students. For each pair that was run both
ways, *before* is the lead with untuned students, *left* that with tuned ones, the mean over teacher
seeds where there are several; 0 where both are the same students. A pair counts once.

- *not known yet*: fewer than 4 pairs, or a single data set (as `claims.py` asks of any claim).
- *scale and patience*: less than half of the lead is left: the 95 % interval of the mean over pairs
  (Student's t) of left - before / 2 lies below 0.
- *sweet spot*: at least half is left, and it matters: that interval lies above 0, the interval of
  the mean of left lies above 0, and that mean is at least the margin, 0.2 points.
- *undecided*: neither.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from claims import FEWEST_PAIRS, MARGIN
from goodteacher.maths.statistics import Interval
from outcomes import Before, Lead, lead_of
from pairs import Pair
from ruling import DIFFERENCE, AtLeast, over_runs

REFERENCE = "converged_teacher"
HALF = 0.5

Answer = Literal["not known yet", "scale and patience", "sweet spot", "undecided"]


@dataclass(frozen=True)
class PairLeft:
    """The lead over the converged teacher in one pair, before students were tuned and after.

    Attributes:
        name: The pair.
        before: With untuned students; None where it was not run so.
        left: With tuned ones, by the seed of the teachers; empty where it was not run so yet.
    """

    name: str
    before: Lead | None
    left: Mapping[int, Lead]

    @property
    def mean_left(self) -> float:
        """Mean over teacher seeds."""
        return statistics.fmean(lead.mean for lead in self.left.values())


@dataclass(frozen=True)
class LeftOfLead:
    """What is left of the lead over all pairs.

    Attributes:
        pairs: Every pair that was run in either way, by name.
    """

    pairs: Sequence[PairLeft]

    @cached_property
    def both(self) -> list[PairLeft]:
        """The pairs that were run both ways: those the answer is about."""
        return [pair for pair in self.pairs if pair.before is not None and pair.left]

    @property
    def before(self) -> Interval | None:
        """Mean lead with untuned students; None of fewer than two pairs."""
        return over_pairs([pair.before.mean for pair in self.both if pair.before])

    @property
    def left(self) -> Interval | None:
        """Mean lead with tuned students."""
        return over_pairs([pair.mean_left for pair in self.both])

    @property
    def beyond_half(self) -> Interval | None:
        """Mean of what is left minus half of what there was."""
        return over_pairs(
            [pair.mean_left - HALF * pair.before.mean for pair in self.both if pair.before]
        )

    @property
    def answer(self) -> Answer:
        """What the rule says."""
        sets = {pair.name.partition("/")[0] for pair in self.both}
        left, beyond = self.left, self.beyond_half
        if len(self.both) < FEWEST_PAIRS or len(sets) < 2 or left is None or beyond is None:
            return "not known yet"
        if beyond.high < 0:
            return "scale and patience"
        is_left = AtLeast(0.0, MARGIN).status(left) == "holds"
        return "sweet spot" if beyond.low > 0 and is_left else "undecided"


def left_of_lead(known: Before, study: Sequence[Pair], replicates: Sequence[Pair]) -> LeftOfLead:
    """Return the lead of every pair, before and after.

    Args:
        known: What the pairs came to before students were tuned.
        study: The pairs of the study.
        replicates: The same with teachers of other seeds.
    """
    left: dict[str, dict[int, Lead]] = {}
    for pair in [*study, *replicates]:
        if pair.tuned and pair.exhaustive is not None:
            lead = lead_of(pair.exhaustive.references.converged_teacher)
            left.setdefault(pair.pair.first.folder, {})[pair.pair.teacher_seed] = lead
    before = {name: outcome.leads[REFERENCE] for name, outcome in known.pairs.items()}
    return LeftOfLead(
        [
            PairLeft(name, before.get(name), left.get(name, {}))
            for name in sorted(before.keys() | left.keys())
        ]
    )


def over_pairs(values: Sequence[float]) -> Interval | None:
    """Return the mean over pairs with Student's interval; None of fewer than two."""
    return over_runs(values, bounds=DIFFERENCE) if len(values) > 1 else None
