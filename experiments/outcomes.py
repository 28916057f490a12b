"""What a pair came to, in few numbers: before students were tuned, and now.

    python experiments/outcomes.py

writes `results/before_tuning.json` from the pairs of the results whose students were not tuned. It
was written once, when all of them were such; a pair that is not there any more, or has been run
with tuned students since, keeps what the file says of it. So do the answers to the claims.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from claims import answers
from claims_json import shown
from goodteacher.config import Frozen
from goodteacher.records.arms import Checkpoint
from goodteacher.records.results import Reference
from pairs import RESULTS, Pair, all_pairs
from ruling import Status
from summaries import in_points, json_text

FILE = "before_tuning.json"

LEADS: Mapping[str, str] = {
    "cross_entropy": "hard labels",
    "label_smoothing": "label smoothing",
    "converged_teacher": "the converged teacher",
    "most_accurate_teacher": "the most accurate teacher",
}
"""What the sweet spot is compared with, and what the tables call it."""


class Lead(Frozen):
    """How far the sweet spot's students are ahead of a reference's, as a fraction.

    Test split, fresh paired seeds; the ends are those of the joint 95 % interval, None where both
    are the same students.
    """

    mean: float
    low: float | None = None
    high: float | None = None

    @property
    def above_zero(self) -> bool:
        """Whether the whole interval lies above 0."""
        return self.low is not None and self.low > 0


class Outcome(Frozen):
    """What the exhaustive search of a pair found, and the verdict.

    Attributes:
        sweet_spot: Its teacher and recipe.
        training: How its students trained.
        test_accuracy: Of its students, in [0, 1].
        leads: Over each reference, by the name of `References`.
        seeds: Fresh seeds.
        verdict: None where it was not verified.
        taught: Whether the default search trained the sweet spot's teacher; None where there was
            no default search, or the teacher is a mean.
    """

    sweet_spot: str
    training: str
    test_accuracy: float
    leads: dict[str, Lead]
    seeds: int
    verdict: str | None = None
    taught: bool | None = None


class ClaimBefore(Frozen):
    """A claim's answer over all pairs, and what its parts came to."""

    answer: Status
    parts: dict[str, dict[str, Any]] = Field(default_factory=dict)


class Before(Frozen):
    """Content of `before_tuning.json`."""

    pairs: dict[str, Outcome] = Field(default_factory=dict)
    claims: dict[str, ClaimBefore] = Field(default_factory=dict)


def outcome_of(pair: Pair) -> Outcome | None:
    """Return what a pair came to; None where its exhaustive search is not there."""
    spot = pair.exhaustive
    if spot is None:
        return None
    recipe = spot.recipe
    return Outcome(
        sweet_spot=f"{spot.teacher.source}, T = {recipe.temperature:g}, alpha = {recipe.alpha:g}",
        training=str(spot.student.training),
        test_accuracy=spot.student.test_accuracy,
        leads={name: lead_of(getattr(spot.references, name)) for name in LEADS},
        seeds=spot.student.num_seeds,
        verdict=pair.verdict.verdict.replace("_", " ") if pair.verdict else None,
        taught=_was_taught(pair),
    )


def lead_of(reference: Reference) -> Lead:
    """Return the sweet spot's lead over a reference."""
    low, high = reference.adjusted_interval or (None, None)
    return Lead(mean=reference.difference, low=low, high=high)


def lead_text(lead: Lead) -> str:
    """Format a lead with its interval, in points."""
    if lead.low is None or lead.high is None:
        return "0, the same students"
    return in_points(lead.mean, lead.low, lead.high)


def _was_taught(pair: Pair) -> bool | None:
    source = pair.exhaustive.teacher.source if pair.exhaustive else None
    if not isinstance(source, Checkpoint) or not pair.pair.taught:
        return None
    return source.epoch <= pair.pair.taught[pair.sizes[source.run]]


def before(results: Path = RESULTS) -> Before:
    """Read what the pairs came to before students were tuned."""
    path = results / FILE
    return Before.model_validate_json(path.read_text()) if path.exists() else Before()


def updated(known: Before, study: Sequence[Pair]) -> Before:
    """Return the file's content with what the results hold of pairs with untuned students.

    Args:
        known: What it held.
        study: The pairs of the study, without variations.
    """
    untuned = [pair for pair in study if not pair.tuned]
    found = {pair.name: each for pair in untuned if (each := outcome_of(pair))}
    pairs = dict(sorted((known.pairs | found).items()))
    if found.keys() != pairs.keys():  # the claims were about pairs that are gone
        return Before(pairs=pairs, claims=known.claims)
    return Before(pairs=pairs, claims=_claims_of(untuned))


def _claims_of(study: Sequence[Pair]) -> dict[str, ClaimBefore]:
    return {
        answer.claim.name: ClaimBefore(
            answer=answer.status,
            parts={
                part.part.name: {"answer": part.status, **shown(part.pooled, part.part.unit)}
                for part in answer.parts
            },
        )
        for answer in answers(study)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the pairs")
    results = parser.parse_args().results
    found = updated(before(results), all_pairs(results))
    text = json_text(json.loads(found.model_dump_json()))
    (results / FILE).write_text(text)


if __name__ == "__main__":
    main()
