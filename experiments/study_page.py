"""The tables of `docs/study.md`, from the pairs and the answers to the claims."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import batch_sizes
import mixture_table
import regret
import score_table
import stopping
import variants
from claims import SHOWN, ClaimAnswer, PartAnswer, Unit
from goodteacher.maths.statistics import Interval
from goodteacher.records.results import Reference
from goodteacher.records.words import fixed, percent
from pairs import Pair, PairKey
from reading import trajectories
from ruling import Ruling, Status
from summaries import in_points, table

NOTHING = "*Not run.*"


@dataclass(frozen=True)
class Assembled:
    """All that the page shows.

    Attributes:
        study: The pairs that were run.
        variations: Pairs under other settings, or with teachers of other seeds.
        answers: What the claims come to.
        planned: Every pair of the study's files, run or not.
        scores: What `score_table.py` found.
        regret: What `regret.py` found.
    """

    study: Sequence[Pair]
    variations: Sequence[Pair]
    answers: Sequence[ClaimAnswer]
    planned: Sequence[PairKey]
    scores: Mapping[str, Any]
    regret: Mapping[str, Any]

    @property
    def everything(self) -> list[Pair]:
        """Pairs and variations, by name."""
        return sorted([*self.study, *self.variations], key=lambda pair: pair.name)


# --- in short --------------------------------------------------------------------------------


def in_short(found: Assembled) -> str:
    """Show what the exhaustive search found in each pair, on fresh seeds, and the verdict."""
    rows = [row for pair in found.study if (row := _short_row(pair))]
    if not rows:
        return NOTHING
    head = [
        "pair",
        "sweet spot",
        "labels",
        "smoothing",
        "converged",
        "sweet spot's",
        "over labels",
        "over converged",
        "verdict",
    ]
    return table(head, rows)


def in_a_word(found: Assembled) -> str:
    """Show the answer to each claim and to its deciding parts, over all pairs."""
    rows = [[a.claim.name, a.claim.says, f"**{a.status}**", _parts(a)] for a in found.answers]
    return table(["claim", "of the source", "in this study", "part by part"], rows)


def _parts(answer: ClaimAnswer) -> str:
    """Return the deciding parts of a claim by what became of them."""
    by_status: dict[Status, list[str]] = {}
    for part in answer.parts:
        if part.part.decides:
            by_status.setdefault(part.status, []).append(part.part.asks)
    return "; ".join(f"*{status}:* {', '.join(asks)}" for status, asks in by_status.items())


def _short_row(pair: Pair) -> list[str] | None:
    spot = pair.exhaustive
    if spot is None:
        return None
    references = spot.references
    three = (references.cross_entropy, references.label_smoothing, references.converged_teacher)
    verdict = pair.verdict.verdict.replace("_", " ") if pair.verdict else "not run"
    return [
        f"`{pair.name}`",
        f"{spot.teacher.source}, T = {spot.recipe.temperature:g}",
        *(percent(reference.test_accuracy) for reference in three),
        percent(spot.student.test_accuracy),
        _difference(references.cross_entropy),
        _difference(references.converged_teacher),
        verdict,
    ]


def _difference(reference: Reference) -> str:
    if reference.adjusted_interval is None:
        return "the same students"
    return in_points(reference.difference, *reference.adjusted_interval)


# --- what was run ----------------------------------------------------------------------------


def runs(found: Assembled) -> str:
    """Show what was run of each pair, and what was planned and was not."""
    grouped: dict[str, list[Pair]] = {}
    for pair in found.everything:
        grouped.setdefault(pair.pair.first.folder, []).append(pair)
    rows = [_run_row(name, runs) for name, runs in grouped.items()]
    done = {pair.name for pair in found.everything}
    missing = [key.folder for key in found.planned if key.folder not in done]
    head = [
        "pair",
        "teacher, student",
        "transfer examples",
        "teachers",
        "students, exhaustive (seeds)",
        "default search",
        "fresh seeds",
        "verdict, seeds",
        "minutes",
    ]
    shown = [table(head, rows), _machines(found.everything)] if rows else [NOTHING]
    if missing:
        listed = ", ".join(f"`{name}`" for name in missing)
        shown.append(f"Planned and not run ({len(missing)}): {listed}.")
    return "\n\n".join(shown)


def _machines(study: Sequence[Pair]) -> str:
    """Say on what the pairs were run."""
    names = ("processor", "threads", "device")
    machines = [[pair.pair.environment.get(name, "unknown") for name in names] for pair in study]
    told = dict.fromkeys(
        f"{cpu}, threads: {threads}, {device}" for cpu, threads, device in machines
    )
    return f"Run on: {'; '.join(told)}."


def _run_row(name: str, runs: Sequence[Pair]) -> list[str]:
    """Return the line of a pair, or of a variation with all of its teacher seeds."""
    pair = runs[0]
    info, spot, verdict = pair.pair, pair.exhaustive, pair.verdict
    searched = [row for row in pair.students if row.stage == "search"]
    seeds = len({row.seed for row in searched})
    several = f" ({len(runs)} teacher seeds)" if len(runs) > 1 else ""
    minutes = sum(sum(run.pair.minutes.values()) for run in runs)
    return [
        f"`{name}`{several}",
        f"`{info.teacher}`, `{info.student}`",
        f"{info.transfer_examples:,}",
        _teachers(pair),
        f"{len(searched):,} ({seeds})" if searched else "not run",
        f"{pair.search.cost.num_students:,}" if pair.search else "not run",
        str(spot.student.num_seeds) if spot else "not run",
        str(verdict.num_seeds) if verdict else "not run",
        fixed(minutes, ".0f") if minutes else "-",
    ]


def _teachers(pair: Pair) -> str:
    runs_of = trajectories(pair)
    epochs = {record.epoch for records in runs_of.values() for record in records}
    if not epochs:
        return "none"
    return f"{len(runs_of)} batch sizes x {len(epochs)} epochs of {min(epochs)} to {max(epochs)}"


# --- the answers -----------------------------------------------------------------------------


def claims(found: Assembled) -> str:
    """Show what each claim and each of its parts come to over all pairs."""
    head = [
        "claim",
        "measured",
        "mean over pairs [95 % interval]",
        "pairs: holds / does not / undecided / not measured",
        "answer",
    ]
    rows = []
    for answer in found.answers:
        claim = answer.claim
        rows.append([f"**{claim.name}**", f"**{claim.says}**", "", "", f"**{answer.status}**"])
        rows.extend(_part_row(part) for part in answer.parts)
    return table(head, rows)


def _part_row(answer: PartAnswer) -> list[str]:
    part = answer.part
    asks = part.asks if part.decides else f"*beside:* {part.asks}"
    counts = [answer.counts.get(name, 0) for name in _COUNTED]
    more = f" (at least {answer.needed:,} pairs)" if answer.needed else ""
    status = answer.status + (more if answer.status == "undecided" else "")
    mean_over = _interval(answer.pooled, part.unit, with_unit=True)
    return ["", asks, mean_over, " / ".join(map(str, counts)), status]


_COUNTED: tuple[Status, ...] = ("holds", "does not hold", "undecided", "not measured")


def by_data(found: Assembled) -> str:
    """Show how many pairs of each data set have which answer."""
    sets = sorted({pair.pair.data for pair in found.study})
    if not sets:
        return NOTHING
    rows = []
    for answer in found.answers:
        cells = []
        for name in sets:
            own = [answer.by_pair[pair.name] for pair in found.study if pair.pair.data == name]
            cells.append(_counted(own))
        rows.append([answer.claim.name, *cells])
    return table(["claim", *sets], rows)


def _counted(statuses: Sequence[Status]) -> str:
    counts = Counter(statuses)
    words: tuple[Status, ...] = (*_COUNTED, "does not apply")
    return ", ".join(f"{name} {counts[name]}" for name in words if counts[name])


def claim_by_pair(name: str) -> Callable[[Assembled], str]:
    """Return what shows one claim in every pair, part by part."""

    def render(found: Assembled) -> str:
        answer = next(one for one in found.answers if one.claim.name == name)
        if not answer.by_pair:
            return NOTHING
        head = ["pair", *(_title(part) for part in answer.parts), name]
        rows = [
            [
                f"`{pair}`",
                *(_cell(part.rulings[pair], part.part.unit) for part in answer.parts),
                f"**{status}**",
            ]
            for pair, status in answer.by_pair.items()
        ]
        return table(head, rows)

    return render


def _title(answer: PartAnswer) -> str:
    part = answer.part
    unit = "" if part.rule is None or part.unit == "rho" else f", {part.unit}"
    return f"{part.asks}{unit}" if part.decides else f"*beside:* {part.asks}{unit}"


def _cell(ruling: Ruling, unit: Unit) -> str:
    if ruling.estimate is None:
        return "-" if ruling.status == "does not apply" else f"not measured: {ruling.note}"
    more = f" ({ruling.needed:,} {ruling.estimate.unit})" if ruling.needed else ""
    parts = [_interval(ruling.estimate.interval, unit), ruling.status + more, ruling.note]
    return "; ".join(part for part in parts if part)


def _interval(interval: Interval | None, unit: Unit, *, with_unit: bool = False) -> str:
    if interval is None:
        return ""
    scale, digits = SHOWN[unit]
    middle, low, high = (
        fixed(scale(value), digits) for value in (interval.mean, interval.low, interval.high)
    )
    shown = f"{middle} [{low}, {high}]" if math.isfinite(interval.low) else middle
    if not with_unit:
        return shown
    return f"rho {shown}" if unit == "rho" else f"{shown} {_UNITS[unit]}"


_UNITS: Mapping[Unit, str] = {"points": "points", "%": "%", "log2": "doublings"}


TABLES: Mapping[str, Callable[[Assembled], str]] = {
    "in_short": in_short,
    "in_a_word": in_a_word,
    "runs": runs,
    "claims": claims,
    "by_data": by_data,
    **{f"pairs_{name}": claim_by_pair(name) for name in ("C1", "C2", "C3", "C4", "C5")},
    "batch_sizes": lambda found: batch_sizes.rendered(found.everything),
    "scores": lambda found: score_table.rendered(found.scores),
    "regret": lambda found: regret.rendered(found.regret),
    "stopping": lambda found: stopping.rendered(
        found.study, regret.lines_of(regret.NAIVE), found.variations
    ),
    "variants": lambda found: variants.rendered(found.variations),
    "mixtures": lambda found: mixture_table.rendered(found.study),
    "blend_verdicts": lambda found: mixture_table.verdicts(found.everything),
}
"""Name of a place on the page to what renders it."""
