"""What `docs/practice.md` says in the study's numbers, true whatever they turn out to be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from assembled import Assembled, answering
from goodteacher.records.words import fixed
from left_of_lead import LeftOfLead
from outcomes import Lead, lead_of, outcome_of
from pairs import Pair
from sentences import interval_text
from summaries import summarize

NAMES = {
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "banking77": "Banking77",
    "cifar10": "CIFAR-10",
}


def advice(found: Assembled) -> str:
    """Say whether to look for a sweet spot or to train the teacher to the end."""
    lead = found.lead
    if lead.answer == "scale and patience":
        return (
            "**Train the teacher to the end, raise T and train the student longer, before you look "
            f"for a sweet spot.** {_left(lead)} {_as_good(lead)} `goodteacher search` tries higher "
            "temperatures and longer trainings by itself; give it `--patience 0`, so that teachers "
            "are trained to the end."
        )
    if lead.answer == "sweet spot":
        return (
            "**Look for the sweet spot even if students are tuned and temperatures are high.** "
            f"{_left(lead)} {_as_good(lead)}"
        )
    known = lead.answer == "undecided"
    state = "is undecided" if known else "is not known yet"
    measured = f" {_left(lead)} {_as_good(lead)}" if known else ""
    return (
        "Whether a sweet spot of batch size and epochs is better than a teacher trained to the "
        f"end, with a higher temperature and a student that trains longer, {state}.{measured} Let "
        "the search decide for your pair: with `--patience 0` it compares both, each tuned alike."
    )


def _left(lead: LeftOfLead) -> str:
    before, left = (interval_text(each, "points") for each in (lead.before, lead.left))
    return (
        f"Over {len(lead.both)} pairs the sweet spot's lead over the converged teacher went from "
        f"{before} to {left} points when every teacher was given both ([study](study.md))."
    )


def _as_good(lead: LeftOfLead) -> str:
    """Say in how many pairs the sweet spot was not ahead, with any seed of the teachers."""
    level = sum(not any(one.above_zero for one in pair.left.values()) for pair in lead.both)
    return (
        f"In {level} of these pairs it was not shown to be ahead of the converged teacher with any "
        "seed of the teachers."
    )


def when(found: Assembled) -> str:
    """Say what was gained over hard labels, with a tenth of the data and with all of it."""
    study = [pair for pair in answering(found.study) if pair.exhaustive is not None]
    if not study:
        return "*Not run.*"
    kind = study[0].kind_of_students
    tenth = [pair for pair in study if pair.pair.transfer == "tenth"]
    room = [p for p in study if (p.pair.student_role, p.pair.transfer) == ("wide", "full")]
    small = [p for p in study if (p.pair.student_role, p.pair.transfer) == ("narrow", "full")]
    lines = [
        ("Students that see a tenth of the data with labels", tenth),
        ("Students that see all of the data with labels and have room for it", room),
        ("Students that see all of it and are far too small", small),
    ]
    told = [f"- {words}: {_gains(pairs)}." for words, pairs in lines if pairs]
    head = (
        "What the sweet spot's students gained over hard labels in the study, in points "
        f"({kind} students, range over pairs; *shown*: the joint 95 % interval lies above 0):"
    )
    return "\n".join([head, "", *told])


def _gains(pairs: Iterable[Pair]) -> str:
    by_data: dict[str, list[Lead]] = {}
    for pair in pairs:
        if pair.exhaustive is not None:
            lead = lead_of(pair.exhaustive.references.cross_entropy)
            by_data.setdefault(pair.pair.data, []).append(lead)
    return "; ".join(f"{NAMES.get(data, data)} {_range(of)}" for data, of in by_data.items())


def _range(leads: Sequence[Lead]) -> str:
    values = [100 * lead.mean for lead in leads]
    low, high = (fixed(value, "+.1f") for value in (min(values), max(values)))
    span = low if len(values) == 1 else f"{low} to {high}"
    shown = sum(lead.above_zero for lead in leads)
    return f"{span} (shown in {shown} of {len(leads)})"


def stopped_early(found: Assembled) -> str:
    """Say how often the default search had stopped the sweet spot's teacher."""
    outcomes = [outcome for pair in found.study if (outcome := outcome_of(pair))]
    known = [outcome.taught for outcome in outcomes if outcome.taught is not None]
    return (
        "`patience` or `lead_after` stopped the teacher of the exhaustive search's sweet spot "
        f"before its epoch in {known.count(False)} of {len(known)} pairs of the study."
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
        "Beside an exhaustive search of the same grid, the default search took on average "
        f"{' and '.join(told)} ([table](study.md#what-the-search-loses-and-what-it-saves))."
    )


BLOCKS: Mapping[str, Callable[[Assembled], str]] = {
    "advice": advice,
    "when": when,
    "stopped_early": stopped_early,
    "search_cost": search_cost,
}
"""Name of a place on the page to what renders it."""
