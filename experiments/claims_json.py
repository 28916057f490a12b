"""The answers to the claims as JSON: the content of `results/claims.json`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from claims import LEVEL, MARGIN, SHOWN, ClaimAnswer, PartAnswer, Unit
from goodteacher.maths.statistics import Interval
from ruling import Ruling


def shown(interval: Interval | None, unit: Unit) -> dict[str, float | None]:
    """Return an estimate and its interval in the unit that a reader sees, to six digits."""
    if interval is None:
        return {}
    scale, _ = SHOWN[unit]
    values = {"mean": interval.mean, "low": interval.low, "high": interval.high}
    return {name: plain(scale(value)) for name, value in values.items()}


def plain(value: Any) -> Any:
    """Return a value as JSON holds it: numbers to six digits, unknown ones as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def as_json(found: Sequence[ClaimAnswer]) -> dict[str, Any]:
    """Return the content of `claims.json`."""
    return {
        "schema_version": 1,
        "level": LEVEL,
        "margin": MARGIN,
        "claims": [
            {
                "claim": answer.claim.name,
                "says": answer.claim.says,
                "answer": answer.status,
                "pairs": dict(answer.by_pair),
                "parts": [_part_json(part) for part in answer.parts],
            }
            for answer in found
        ],
    }


def _part_json(answer: PartAnswer) -> dict[str, Any]:
    part = answer.part
    return {
        "part": part.name,
        "asks": part.asks,
        "unit": part.unit,
        "decides": part.decides,
        "answer": answer.status,
        "mean_over_pairs": shown(answer.pooled, part.unit),
        "pairs_that_would_decide": answer.needed,
        "counts": dict(sorted(answer.counts.items())),
        "level_of_a_pair": plain(answer.level),
        "pairs": {name: _pair_json(answer, name) for name in answer.rulings},
    }


def _pair_json(answer: PartAnswer, name: str) -> dict[str, Any]:
    """Return what a part comes to in a pair, and for each seed where teachers had several."""
    unit, seeds = answer.part.unit, answer.by_seed[name]
    found = _ruling_json(answer.rulings[name], unit)
    if len(seeds) > 1:
        found["teacher_seeds"] = {str(seed): _ruling_json(r, unit) for seed, r in seeds.items()}
    return found


def _ruling_json(ruling: Ruling, unit: Unit) -> dict[str, Any]:
    found = ruling.estimate
    if found is None:
        return {"answer": ruling.status, "note": ruling.note}
    return {
        "answer": ruling.status,
        **shown(found.interval, unit),
        "n": found.interval.n_seeds if found.interval else None,
        "n_counts": found.unit,
        "would_decide": ruling.needed,
        "note": ruling.note,
        "details": plain(found.details),
    }
