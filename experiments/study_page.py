"""The tables of `docs/study-tables.md` and of the README, from the pairs and the answers."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import batch_sizes
import before_after
import mixture_table
import negative
import practice_page
import regret
import score_table
import sentences
import stopping
import variants
from assembled import Assembled, answering
from claims import SHOWN, PartAnswer, Unit
from docs_pages import counted, spread
from goodteacher.records.results import Reference
from goodteacher.records.words import fixed, percent, points
from outcomes import Lead, lead_of, lead_text
from pairs import NAMES, Pair
from reading import trajectories
from ruling import Ruling, Status
from sentences import interval_text
from summaries import table

NOTHING = "*Not run.*"


# --- in short --------------------------------------------------------------------------------


def in_short(found: Assembled) -> str:
    """Show what the exhaustive search found in each pair, on fresh seeds, and the verdict."""
    rows = [row for pair in found.study if (row := _short_row(found.seeds_of(pair)))]
    if not rows:
        return NOTHING
    head = [
        "pair",
        "students",
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


def in_brief(found: Assembled) -> str:
    """Show the sweet spot's leads for each data set: means and ranges over pairs, a row each."""
    rows = [
        [name, *_seen(found, data, "tenth", LEADS_IN_BRIEF), *_seen(found, data, "full", ONE_LEAD)]
        for data, name in NAMES.items()
    ]
    head = ["data", "a tenth: pairs", *LEADS_IN_BRIEF.values(), "verdicts"]
    return table([*head, "all: pairs", *ONE_LEAD.values(), "verdicts"], rows)


LEADS_IN_BRIEF = {
    "cross_entropy": "over hard labels",
    "label_smoothing": "over label smoothing",
    "converged_teacher": "over the converged teacher",
}
ONE_LEAD = {"cross_entropy": "over hard labels"}


def _seen(found: Assembled, data: str, transfer: str, leads: Mapping[str, str]) -> list[str]:
    """Return the cells of the students that saw a share of a data set."""
    own = [p for p in found.study if (p.pair.data, p.pair.transfer) == (data, transfer)]
    pairs = [pair for pair in answering(own) if pair.exhaustive is not None]
    if not pairs:
        return ["not run", *("" for _ in leads), ""]
    return [
        f"{len(pairs)}, {pairs[0].kind_of_students}",
        *(_range(sentences.leads_over(pairs, name)) for name in leads),
        counted(pair.verdict.verdict for pair in pairs if pair.verdict) or "not run",
    ]


def _range(leads: Sequence[Lead]) -> str:
    values = [100 * lead.mean for lead in leads]
    mean = fixed(statistics.fmean(values), "+.1f")
    return mean if len(values) == 1 else f"{mean} ({spread(values)})"


def _short_row(seeds: Sequence[Pair]) -> list[str] | None:
    """Return the line of a pair and its replicates."""
    pair = seeds[0]
    spot = pair.exhaustive
    if spot is None:
        return None
    references = spot.references
    three = (references.cross_entropy, references.label_smoothing, references.converged_teacher)
    verdict = pair.verdict.verdict.replace("_", " ") if pair.verdict else "not run"
    again = [each.exhaustive.references for each in seeds[1:] if each.exhaustive is not None]
    return [
        f"`{pair.name}`",
        pair.kind_of_students,
        f"{spot.teacher.source}, T = {spot.recipe.temperature:g}",
        *(percent(reference.test_accuracy) for reference in three),
        percent(spot.student.test_accuracy),
        _difference(references.cross_entropy, [each.cross_entropy for each in again]),
        _difference(references.converged_teacher, [each.converged_teacher for each in again]),
        verdict,
    ]


def _difference(reference: Reference, again: Sequence[Reference]) -> str:
    """Format a lead, and behind it that with teachers of other seeds."""
    others = ", ".join(points(each.difference) for each in again)
    more = f"; other teacher seeds: {others}" if others else ""
    return lead_text(lead_of(reference)) + more


# --- what was run ----------------------------------------------------------------------------


def runs(found: Assembled) -> str:
    """Show what was run of each pair."""
    grouped: dict[str, list[Pair]] = {}
    for pair in found.everything:
        grouped.setdefault(pair.pair.first.folder, []).append(pair)
    rows = [_run_row(name, runs) for name, runs in grouped.items()]
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
    return "\n\n".join([table(head, rows), _machines(found.everything)]) if rows else NOTHING


def _machines(study: Sequence[Pair]) -> str:
    """Say on what the pairs were run."""
    names = ("processor", "threads", "device")
    machines = [[pair.pair.environment.get(name, "unknown") for name in names] for pair in study]
    told = dict.fromkeys(
        f"{cpu}, threads: {threads}, {device}" for cpu, threads, device in machines
    )
    return f"Run on: {'; '.join(told)}."


def _run_row(name: str, runs: Sequence[Pair]) -> list[str]:
    """Return the line of a pair or of a variation, with all of its teacher seeds."""
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
    shown = interval_text(answer.pooled, part.unit, with_unit=True)
    mean_over = f"rho {shown}" if shown and part.unit == "rho" else shown
    return ["", asks, mean_over, " / ".join(map(str, counts)), status]


_COUNTED: tuple[Status, ...] = ("holds", "does not hold", "undecided", "not measured")


def by_data(found: Assembled) -> str:
    """Show how many pairs of each data set have which answer."""
    sets = sorted({pair.pair.data for pair in found.answering})
    if not sets:
        return NOTHING
    rows = []
    for answer in found.answers:
        cells = []
        for name in sets:
            own = [answer.by_pair[pair.name] for pair in found.answering if pair.pair.data == name]
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
                *(_cell(part, pair) for part in answer.parts),
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


def _cell(answer: PartAnswer, pair: str) -> str:
    """Return what a part comes to in a pair; with teachers of several seeds, for each of them."""
    unit, ruling = answer.part.unit, answer.rulings[pair]
    seeds = {k: r for k, r in answer.by_seed[pair].items() if r.estimate is not None}
    if len(seeds) < 2:
        return _ruling_text(ruling, unit)
    each = "; ".join(f"seed {seed}: {_in_brief(r, unit)}" for seed, r in seeds.items())
    return f"{_ruling_text(ruling, unit)} ({_spread(seeds.values(), unit)}{each})"


def _in_brief(ruling: Ruling, unit: Unit) -> str:
    """Return one seed's value, or what decided in its place, and the answer."""
    value = ruling.estimate.value if ruling.estimate else None
    scale, digits = SHOWN[unit]
    what = ruling.note if value is None else fixed(scale(value), digits)
    return f"{what}, {ruling.status}"


def _spread(rulings: Iterable[Ruling], unit: Unit) -> str:
    """Return the standard deviation between seeds of the teachers, where there are numbers."""
    values = [r.estimate.value for r in rulings if r.estimate]
    known = [SHOWN[unit][0](value) for value in values if value is not None]
    if len(known) < len(values):
        return ""
    digits = SHOWN[unit][1].lstrip("+")
    return f"SD {fixed(statistics.stdev(known), digits)} over {len(known)} teacher seeds; "


def _ruling_text(ruling: Ruling, unit: Unit) -> str:
    if ruling.estimate is None:
        return "-" if ruling.status == "does not apply" else f"not measured: {ruling.note}"
    more = f" ({ruling.needed:,} {ruling.estimate.unit})" if ruling.needed else ""
    parts = [interval_text(ruling.estimate.interval, unit), ruling.status + more, ruling.note]
    return "; ".join(part for part in parts if part)


TABLES: Mapping[str, Callable[[Assembled], str]] = {
    "first": sentences.first,
    "answers": sentences.answers,
    "failed": negative.failed,
    "caption_worth": sentences.caption_worth,
    "caption_lead": sentences.caption_lead,
    "caption_grid": sentences.caption_grid,
    "caption_similarity": sentences.caption_similarity,
    "caption_gain": sentences.caption_gain,
    "coverage": before_after.coverage,
    "before_and_after": before_after.before_and_after,
    "in_short": in_short,
    "in_brief": in_brief,
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
    **practice_page.BLOCKS,
    "blend_verdicts": lambda found: mixture_table.verdicts(found.everything),
}
"""Name of a place on the page to what renders it."""
