"""The story of the study in sentences, each with its interval, true whatever the numbers are.

What `docs/study.md` says: the state of the study, the answers, what to see in the four figures.
What did not work is in `negative.py`, the tables behind are in `study_page.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from assembled import Assembled
from claims import SHOWN, PartAnswer, Unit
from docs_pages import counted
from goodteacher.maths.statistics import Interval
from goodteacher.records.words import fixed
from left_of_lead import LeftOfLead, over_pairs
from outcomes import Lead, lead_of, lead_text
from pairs import Pair
from ruling import Status
from summaries import in_points

_UNITS: Mapping[Unit, str] = {"points": " points", "%": " %", "log2": " doublings", "rho": ""}


def interval_text(interval: Interval | None, unit: Unit, *, with_unit: bool = False) -> str:
    """Format an estimate with its interval in the unit that a reader sees; nothing of None."""
    if interval is None:
        return ""
    scale, digits = SHOWN[unit]
    middle, low, high = (
        fixed(scale(value), digits) for value in (interval.mean, interval.low, interval.high)
    )
    shown = f"{middle} [{low}, {high}]" if math.isfinite(interval.low) else middle
    return f"{shown}{_UNITS[unit]}" if with_unit else shown


def told(answer: PartAnswer) -> str:
    """Say what a part comes to over all pairs, or in the only pair that measured it."""
    unit = answer.part.unit
    if answer.pooled is not None:
        return interval_text(answer.pooled, unit, with_unit=True)
    found = [r.estimate.interval for r in answer.rulings.values() if r.estimate]
    known = [interval for interval in found if interval is not None]
    return interval_text(known[0], unit, with_unit=True) if known else "(not measured yet)"


def counted_pairs(number: int) -> str:
    """Say of how many pairs something is.

    Example:
        >>> counted_pairs(1), counted_pairs(4)
        ('1 pair', '4 pairs')
    """
    return f"{number} pair{'s' * (number != 1)}"


def _n(*answers: PartAnswer) -> str:
    """Say in how many pairs the parts of an answer were measured."""
    counts = [sum(r.estimate is not None for r in each.rulings.values()) for each in answers]
    return counted_pairs(min(counts))


# --- the state of the study ----------------------------------------------------------------------

TREATED = "temperatures and students are tuned"
_LEAD = (
    "students of the best teacher (the *sweet spot* of batch size and epochs) lead those of a "
    "teacher trained to the end (the *converged teacher*)"
)


def first(found: Assembled) -> str:
    """Say whose students the numbers are of, and how much of the sweet spot's lead is left."""
    parts = (_state(found), _as_published(found), _left(found.lead))
    return " ".join(part for part in parts if part)


def _state(found: Assembled) -> str:
    tuned, every = len(found.tuned), len(found.study)
    if not every:
        return "**No pair has been run.**"
    if tuned == every:
        return ""
    again = "The study is being run again with tuned students"
    if not tuned:
        return (
            f"**These are results of students that nobody had tuned.** {again}; none of its "
            f"{every} pairs is done yet."
        )
    return (
        f"**{again}; {tuned} of its {every} pairs {'is' if tuned == 1 else 'are'} done, and the "
        f"answers are about {'this one' if tuned == 1 else 'these'} alone.**"
    )


def _as_published(found: Assembled) -> str:
    """Say what the lead was with untuned students, until it is known what is left of it."""
    old = found.before.claims.get("C4")
    part = old.parts.get("over_converged", {}) if old else {}
    if "mean" not in part or found.lead.answer != "not known yet":
        return ""
    text = in_points(*(part[name] / 100 for name in ("mean", "low", "high")))
    return (
        f"Without tuning, {_LEAD} by {text} points of test accuracy (mean over "
        f"{counted_pairs(len(found.before.pairs))}, 95 % interval)."
    )


def _left(lead: LeftOfLead) -> str:
    """Say what is left of the lead, by the rule of `left_of_lead.py`."""
    if lead.answer == "not known yet":
        open_ = f"How much of this is left once {TREATED} is not known yet."
        return " ".join(filter(None, (_so_far(lead), open_)))
    change = (
        f"the points of test accuracy by which {_LEAD} went from {_points(lead.before)} to "
        f"{_points(lead.left)}{_share(lead)} (mean over {counted_pairs(len(lead.both))}, 95 % "
        "intervals)."
    )
    if lead.answer == "scale and patience":
        return f"**Most of the sweet spot's lead is gone once {TREATED}**: {change}"
    if lead.answer == "sweet spot":
        return f"**At least half of the sweet spot's lead is left once {TREATED}**: {change}"
    return (
        f"**Whether half of the sweet spot's lead is left once {TREATED} is undecided**: {change} "
        f"What is left minus half of what there was is {_points(lead.beyond_half)} points."
    )


def _so_far(lead: LeftOfLead) -> str:
    if not lead.both:
        return ""
    if len(lead.both) == 1:
        (pair,) = lead.both
        assert pair.before is not None
        now = ", ".join(lead_text(lead) for lead in pair.left.values())
        seeds = f" (teachers of {len(pair.left)} seeds)" * (len(pair.left) > 1)
        return (
            f"In the one pair that was run both ways, `{pair.name}`, it went from "
            f"{lead_text(pair.before)} to {now} points{seeds}, joint 95 % intervals."
        )
    return (
        f"In the {len(lead.both)} pairs that were run both ways, its mean went from "
        f"{_points(lead.before)} to {_points(lead.left)} points."
    )


def _points(interval: Interval | None) -> str:
    return interval_text(interval, "points")


def _share(lead: LeftOfLead) -> str:
    """Return the share that is left, where there was a lead."""
    before, left = lead.before, lead.left
    if before is None or left is None or before.mean <= 0:
        return ""
    return f", {fixed(100 * left.mean / before.mean, '.0f')} % of it"


# --- the answers ---------------------------------------------------------------------------------

_YES: Mapping[Status, str] = {"holds": "Yes", "does not hold": "No"}


def answers(found: Assembled) -> str:
    """Answer every question, one sentence each."""
    if not found.answering:
        return "*Not run.*"
    lines = [
        f"- **Is distillation worth it?** {_worth(found)}",
        f"- **What should you do?** {advice(found)}",
        *(
            f"- **{answer.claim.name}: {QUESTIONS[answer.claim.name]} "
            f"{_YES.get(answer.status, 'Undecided')}.** {SENTENCES[answer.claim.name](found)}"
            for answer in found.answers
        ),
    ]
    kind = "tuned" if found.tuned else "untuned"
    head = f"All of this is about {counted_pairs(len(found.answering))} with {kind} students."
    return "\n".join([head, "", *lines])


def _worth(found: Assembled) -> str:
    tenth, every = (
        [pair for pair in found.answering if pair.pair.transfer == transfer and pair.exhaustive]
        for transfer in ("tenth", "full")
    )
    said = [
        f"{words} {_gain(pairs, 'cross_entropy')} points over hard labels and "
        f"{_gain(pairs, 'label_smoothing')} over tuned label smoothing "
        f"({counted_pairs(len(pairs))})"
        for words, pairs in (("with a tenth of the data,", tenth), ("with all of it,", every))
        if pairs
    ]
    return f"Students gained, {'; '.join(said)}." if said else "Not measured yet."


def leads_over(pairs: Sequence[Pair], reference: str) -> list[Lead]:
    """Return the sweet spot's lead over a reference in each pair that was searched."""
    spots = [pair.exhaustive for pair in pairs if pair.exhaustive is not None]
    return [lead_of(getattr(spot.references, reference)) for spot in spots]


def _gain(pairs: Sequence[Pair], reference: str) -> str:
    values = [lead.mean for lead in leads_over(pairs, reference)]
    return _points(over_pairs(values)) or fixed(100 * values[0], "+.2f")


def advice(found: Assembled) -> str:
    """Say whether to look for a sweet spot or to train the teacher to the end."""
    lead = found.lead
    over = (
        f"the sweet spot's lead over the converged teacher went from {_points(lead.before)} to "
        f"{_points(lead.left)} points once {TREATED} ({counted_pairs(len(lead.both))}), and in "
        f"{_level(lead)} of these pairs it was not shown to be ahead."
    )
    if lead.answer == "scale and patience":
        return (
            "Train the teacher to the end, raise T and train the student longer before you look "
            f"for a sweet spot (`goodteacher search --patience 0`): {over}"
        )
    if lead.answer == "sweet spot":
        return f"Look for the sweet spot, with tuned students as well: {over}"
    start = (
        "Let `goodteacher search --patience 0` compare the sweet spot with a teacher trained to "
        "the end, each with its best recipe"
    )
    if lead.answer == "undecided":
        return f"{start}, since our pairs do not decide it: {over}"
    return f"{start}; which is better is not known yet."


def _level(lead: LeftOfLead) -> int:
    """Count the pairs in which the sweet spot was not ahead, with any seed of the teachers."""
    return sum(not any(one.above_zero for one in pair.left.values()) for pair in lead.both)


QUESTIONS = {
    "C1": "does similarity information govern how good a student becomes?",
    "C2": "does a well-trained, large teacher lose it?",
    "C3": "do students then learn one class from each example, as from hard labels?",
    "C4": "does a pair have a sweet spot of batch size and epochs?",
    "C5": "can distillation be told apart from a regularization effect?",
}


def _c1(found: Assembled) -> str:
    plain, own, taught = map(found.part, ("same_temperature", "own_temperature", "taught"))
    return (
        f"The rank correlation of the two is {told(plain)} at T = 1 and {told(own)} where each "
        f"teacher has its best T, although students gain {told(taught)} from it beyond the "
        f"teacher's confidence ({_n(plain, own, taught)})."
    )


def _c2(found: Assembled) -> str:
    lost, whatever = found.part("lost"), found.part("lost_recoverable")
    text = (
        f"By its last epoch a teacher has lost {told(lost)} of the most that it had at T = 1, and "
        f"{told(whatever)} of the most at any temperature ({_n(lost, whatever)})"
    )
    large, recoverable = found.part("large"), found.part("large_recoverable")
    if large.pooled is None or recoverable.pooled is None:
        return f"{text}; large and small teachers have not been compared in two pairs yet."
    return (
        f"{text}; a small teacher then has {_times(large.pooled)} times as much as a large one at "
        f"T = 1, and {_times(recoverable.pooled)} times at its best T ({_n(large, recoverable)})."
    )


def _times(doublings: Interval) -> str:
    """Say how many times as much so many doublings are."""
    ends = (doublings.mean, doublings.low, doublings.high)
    middle, low, high = (fixed(2**each, ".1f") for each in ends)
    return f"{middle} [{low}, {high}]"


def _c3(found: Assembled) -> str:
    one, gain = found.part("one_class"), found.part("gain")
    return (
        f"At the last epoch and T = 1 the teacher names a single class for {told(one)} of the "
        f"examples, and its students gain {told(gain)} over hard labels ({_n(one, gain)})."
    )


def _c4(found: Assembled) -> str:
    converged, accurate = found.part("over_converged"), found.part("over_most_accurate")
    within, over = found.part("within_epochs").counts, converged.counts
    asked = sum(within[status] for status in ("holds", "does not hold", "undecided"))
    text = (
        f"On average its students lead those of the converged teacher by {told(converged)} and "
        f"those of the most accurate one by {told(accurate)} ({_n(converged, accurate)}), and it "
        f"lies before the last epoch in {within['holds']} of {asked} pairs."
    )
    if not over["does not hold"]:
        return text
    return (
        f"{text} In {over['does not hold']} of them the sweet spot is the converged teacher "
        "itself, or its lead is smaller than what matters."
    )


def _c5(found: Assembled) -> str:
    verdicts = [pair.verdict.verdict for pair in found.answering if pair.verdict]
    decided = found.part("told_apart").counts["holds"]
    return (
        f"The verdict decides in {decided} of {counted_pairs(len(verdicts))} "
        f"({counted(verdicts) or 'none was asked for'})."
    )


SENTENCES: Mapping[str, Callable[[Assembled], str]] = {
    "C1": _c1,
    "C2": _c2,
    "C3": _c3,
    "C4": _c4,
    "C5": _c5,
}


# --- what to see in the figures -----------------------------------------------------------------


def caption_worth(found: Assembled) -> str:
    """Say what to see in the figure of gains, pair by pair."""
    both = [leads_over(found.answering, name) for name in ("cross_entropy", "label_smoothing")]
    above = sum(all(lead.above_zero for lead in leads) for leads in zip(*both, strict=True))
    return (
        "**1. Is distillation worth it?** Gains of the sweet spot's students over hard labels "
        "(squares) and over tuned label smoothing (triangles), with joint 95 % intervals and the "
        "verdict. *What to see:* whether both intervals lie right of 0, where students saw a tenth "
        f"of the data and where they saw all. Both do in {above} of {counted_pairs(len(both[0]))}."
    )


def caption_lead(found: Assembled) -> str:
    """Say what to see in the figure of leads, before and after."""
    text = (
        "**2. Is there a sweet spot?** Its lead over the converged teacher, with joint 95 % "
        "intervals: circles for untuned students, diamonds for tuned ones (one for each seed of "
        "the teachers). *What to see:* how many lie right of 0, and how far diamonds moved."
    )
    both = found.lead.both
    pairs = both or [pair for pair in found.lead.pairs if pair.before is not None]
    earlier = sum(pair.before is not None and pair.before.above_zero for pair in pairs)
    counts = f"With untuned students the interval lies above 0 in {earlier} of {len(pairs)} pairs"
    if not both:
        return f"{text} {counts}; no pair has been run again yet."
    still = sum(any(lead.above_zero for lead in pair.left.values()) for pair in both)
    return f"{text} {counts} run both ways, with tuned ones in {still} (any seed of the teachers)."


def caption_similarity(found: Assembled) -> str:
    """Say what to see in the figure of similarity information."""
    return (
        "**3. Do teachers lose similarity information?** What a teacher has after each epoch, a "
        "line for each batch size, named at its end: at T = 1 (solid), and at the T that shows "
        f"most (dashed). *What to see:* how far solid lines fall from peak to end (the "
        f"{told(found.part('lost'))} of C2), and how much of that temperature gives back."
    )


def caption_gain(found: Assembled) -> str:
    """Say what to see in the figure of gain against similarity."""
    return (
        "**4. Does similarity information govern the student?** Gain over hard labels against it, "
        "a mark for each teacher from epoch 4 on: at T = 1 (filled; rank correlation over all "
        f"pairs {told(found.part('same_temperature'))}) and at its best T (hollow; "
        f"{told(found.part('own_temperature'))}). *What to see:* if it did, marks would rise from "
        "left to right."
    )


def caption_grid(found: Assembled) -> str:
    """Say what to see in the maps."""
    rulings = found.part("within_epochs").rulings.values()
    last = sum(ruling.status == "does not hold" for ruling in rulings)
    asked = sum(ruling.estimate is not None for ruling in rulings)
    return (
        "**Students over the teacher's batch size and epoch**, each teacher at its best T and "
        "alpha: selection accuracy minus that of hard labels, in points. The star is the sweet "
        "spot, and colours end 3 points below the best. *What to see:* a sweet spot is a bright "
        "patch with darker squares on all sides; bright squares all along the right edge say that "
        f"training the teacher to the end would do. The star lies in the last column in {last} of "
        f"{asked} pairs."
    )
