"""All that the pages of the study show, and how many pairs stand behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from claims import ClaimAnswer, PartAnswer
from left_of_lead import LeftOfLead
from outcomes import Before
from pairs import Pair, PairKey


@dataclass(frozen=True)
class Assembled:
    """All that the pages show.

    Attributes:
        study: The pairs that were run, each once, with teachers of the first seed.
        replicates: The same pairs with teachers of other seeds.
        variations: Pairs under other settings.
        answers: What the claims come to.
        planned: Every pair of the study's files, run or not.
        struck: What the files have struck, by the reason.
        scores: What `score_table.py` found.
        regret: What `regret.py` found.
        before: What the pairs came to before students were tuned.
        lead: What is left of the sweet spot's lead since.
    """

    study: Sequence[Pair]
    replicates: Sequence[Pair]
    variations: Sequence[Pair]
    answers: Sequence[ClaimAnswer]
    planned: Sequence[PairKey]
    struck: Mapping[str, Sequence[PairKey]]
    scores: Mapping[str, Any]
    regret: Mapping[str, Any]
    before: Before
    lead: LeftOfLead

    @property
    def everything(self) -> list[Pair]:
        """Pairs, replicates and variations, by name."""
        every = [*self.study, *self.replicates, *self.variations]
        return sorted(every, key=lambda pair: pair.name)

    @cached_property
    def tuned(self) -> list[Pair]:
        """The pairs whose students were tuned."""
        return [pair for pair in self.study if pair.tuned]

    @property
    def answering(self) -> Sequence[Pair]:
        """The pairs that the answers are about; see :func:`answering`."""
        return answering(self.study)

    def part(self, name: str) -> PartAnswer:
        """Return a part of a claim by its name."""
        parts = (part for answer in self.answers for part in answer.parts)
        return next(part for part in parts if part.part.name == name)

    def seeds_of(self, pair: Pair) -> list[Pair]:
        """Return a pair and its replicates with the same kind of student, by the teachers' seed."""
        return [pair, *replicates_of([pair], self.replicates)]


def answering(study: Sequence[Pair]) -> list[Pair]:
    """Return the pairs that answer the claims: those with tuned students, once there is one."""
    return [pair for pair in study if pair.tuned] or list(study)


def replicates_of(pairs: Sequence[Pair], replicates: Sequence[Pair]) -> list[Pair]:
    """Return the replicates of some pairs; those whose students were tuned otherwise are none."""
    kinds = {pair.name: pair.tuned for pair in pairs}
    return [each for each in replicates if kinds.get(each.pair.first.folder) == each.tuned]
