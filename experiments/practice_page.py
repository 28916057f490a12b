"""What `docs/practice.md` says in the study's numbers, true whatever they turn out to be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import sentences
from assembled import Assembled
from docs_pages import spread
from goodteacher.records.words import fixed
from outcomes import Lead, lead_of, outcome_of
from pairs import Pair
from summaries import summarize


def when(found: Assembled) -> str:
    """Say what was gained over hard labels, with a tenth of the data and with all of it."""
    study = [pair for pair in _newest(found.study) if pair.exhaustive is not None]
    if not study:
        return "*Not run.*"
    tenth = [pair for pair in study if pair.pair.transfer == "tenth"]
    room = [p for p in study if (p.pair.student_role, p.pair.transfer) == ("wide", "full")]
    small = [p for p in study if (p.pair.student_role, p.pair.transfer) == ("narrow", "full")]
    lines = [
        ("Students that see a tenth of the data with labels", tenth),
        ("Students that see all of the data with labels and are large enough for it", room),
        ("Students that see all of it and are far too small for it", small),
    ]
    told = [f"- {words}: {_gains(pairs)}." for words, pairs in lines if pairs]
    head = (
        "What the sweet spot's students gained over hard labels in the study, in points "
        "(range over pairs; *shown*: the joint 95 % interval lies above 0; untuned: not run again "
        "yet with tuned students):"
    )
    return "\n".join([head, "", *told])


def _newest(study: Sequence[Pair]) -> Iterator[Pair]:
    """Yield the tuned pairs of each data set and transfer set, or else its untuned ones."""
    tuned = {(pair.pair.data, pair.pair.transfer) for pair in study if pair.tuned}
    for pair in study:
        if pair.tuned or (pair.pair.data, pair.pair.transfer) not in tuned:
            yield pair


def _gains(pairs: Iterable[Pair]) -> str:
    by_data: dict[str, list[Lead]] = {}
    for pair in pairs:
        if pair.exhaustive is not None:
            lead = lead_of(pair.exhaustive.references.cross_entropy)
            name = pair.called if pair.tuned else f"{pair.called} (untuned)"
            by_data.setdefault(name, []).append(lead)
    return "; ".join(f"{name} {_range(of)}" for name, of in by_data.items())


def _range(leads: Sequence[Lead]) -> str:
    values = [100 * lead.mean for lead in leads]
    shown = sum(lead.above_zero for lead in leads)
    return f"{spread(values)} (shown in {shown} of {len(leads)})"


def stopped_early(found: Assembled) -> str:
    """Say how often the default search had stopped the sweet spot's teacher."""
    outcomes = [outcome for pair in found.study if (outcome := outcome_of(pair))]
    known = [outcome.taught for outcome in outcomes if outcome.taught is not None]
    return (
        f"In {known.count(False)} of {len(known)} pairs of the study `patience` or `lead_after` "
        "stopped a teacher before it reached the sweet spot that an exhaustive search found."
    )


def search_cost(found: Assembled) -> str:
    """Say what share of the exhaustive search's time the default search took."""
    costs = [pair["cost"] for pair in found.regret["pairs"].values()]
    shares = {
        "student time": summarize(cost["student_time"] for cost in costs),
        "teacher time": summarize(
            cost["teacher_time"] for cost in costs if cost["teacher_time"] is not None
        ),
    }
    told = [
        f"{fixed(100 * share.mean, '.0f')} % of its {name} ({share.n} pairs)"
        for name, share in shares.items()
        if share
    ]
    if not told:
        return "What the default search takes of an exhaustive one has not been measured."
    return (
        "Compared with an exhaustive search of the same grid, the default search took on average "
        f"{' and '.join(told)} ([table](study-tables.md#what-the-search-loses-and-what-it-saves))."
    )


BLOCKS: Mapping[str, Callable[[Assembled], str]] = {
    "advice": sentences.advice,
    "when": when,
    "stopped_early": stopped_early,
    "search_cost": search_cost,
}
"""Name of a place on the page to what renders it."""
