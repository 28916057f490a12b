"""The answers of the study in sentences, each with its interval, true whatever the numbers are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping

from assembled import Assembled
from claims import SHOWN, ClaimAnswer, PartAnswer, Unit
from goodteacher.maths.statistics import Interval
from goodteacher.records.words import fixed
from left_of_lead import LeftOfLead
from outcomes import lead_text
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


def told(answer: PartAnswer, unit: Unit | None = None) -> str:
    """Say what a part comes to over all pairs, or in the only pair that measured it."""
    unit = unit or answer.part.unit
    if answer.pooled is not None:
        return interval_text(answer.pooled, unit, with_unit=True)
    found = [r.estimate.interval for r in answer.rulings.values() if r.estimate]
    known = [interval for interval in found if interval is not None]
    return (
        f"{interval_text(known[0], unit, with_unit=True)} (one pair)"
        if known
        else "(not measured yet)"
    )


# --- the first sentence: what is left of C4 ----------------------------------------------------


def first(found: Assembled) -> str:
    """Say how much of the sweet spot's lead temperature and patience leave."""
    lead, after = found.lead, "once every teacher is given temperature and patience"
    answer = lead.answer
    if answer == "not known yet":
        known = f"**What is left of the sweet spot {after} is not known yet.**"
        return " ".join(filter(None, (known, _so_far(lead), _as_published(found))))
    n = f"mean over {len(lead.both)} pairs, 95 % intervals"
    left = (
        f"of the lead over the converged teacher, {_mean_text(lead.before)} points, "
        f"{_mean_text(lead.left)} are left{_share(lead)} ({n})"
    )
    if answer == "scale and patience":
        return f"**Most of the sweet spot's lead was scale and patience**: {after}, {left}."
    if answer == "sweet spot":
        return f"**The sweet spot is more than scale and patience**: {after}, {left}."
    return (
        f"**Whether most of the sweet spot's lead was scale and patience is undecided**: {after}, "
        f"{left}; what is left minus half of what there was is {_mean_text(lead.beyond_half)}."
    )


def _so_far(lead: LeftOfLead) -> str:
    earlier = sum(pair.before is not None for pair in lead.pairs)
    if not earlier:
        return "No pair has been run."
    if not lead.both:
        return f"None of the {earlier} pairs has been run again with tuned students."
    if len(lead.both) == 1:
        (pair,) = lead.both
        assert pair.before is not None
        now = ", ".join(lead_text(lead) for lead in pair.left.values())
        seeds = f" (teachers of {len(pair.left)} seeds)" * (len(pair.left) > 1)
        return (
            f"In the one pair that was run both ways, `{pair.name}`, the lead over the converged "
            f"teacher went from {lead_text(pair.before)} to {now} points{seeds}, joint 95 % "
            "intervals."
        )
    change = f"from {_mean_text(lead.before)} to {_mean_text(lead.left)} points"
    return (
        f"In the {len(lead.both)} pairs that were run both ways, the mean lead over the converged "
        f"teacher went {change} (95 % intervals)."
    )


def _as_published(found: Assembled) -> str:
    """Say what the lead was with untuned students."""
    old = found.before.claims.get("C4")
    part = old.parts.get("over_converged", {}) if old else {}
    if "mean" not in part:
        return ""
    text = in_points(*(part[name] / 100 for name in ("mean", "low", "high")))
    return (
        "With students that nobody had tuned, the sweet spot led the converged teacher by "
        f"{text} points (mean over {len(found.before.pairs)} pairs, 95 % interval)."
    )


def _mean_text(interval: Interval | None) -> str:
    return interval_text(interval, "points")


def _share(lead: LeftOfLead) -> str:
    """Return the share that is left, where there was a lead."""
    before, left = lead.before, lead.left
    if before is None or left is None or before.mean <= 0:
        return ""
    return f", {fixed(100 * left.mean / before.mean, '.0f')} %"


# --- the answers to the claims ------------------------------------------------------------------


def answers(found: Assembled) -> str:
    """Say what each claim comes to, a sentence or two each."""
    if not found.answering:
        return "*Not run.*"
    kind = "tuned" if found.tuned else "untuned"
    n = len(found.answering)
    head = (
        f"The claims of the source, over {n} pair{'s' * (n != 1)} with {kind} students; means over "
        "pairs [95 % intervals]. S is the similarity information of a teacher's response (what it "
        "says beyond label smoothing of equal confidence), T the temperature; the sweet spot is "
        "the batch size and epoch of the teacher, and the recipe, whose students are best; the "
        "converged teacher is that of the last epoch."
    )
    lines = [
        f"- **{answer.claim.name}, {answer.claim.says}: {answer.status}"
        f"{_earlier(found, answer)}.** {SENTENCES[answer.claim.name](found)}"
        for answer in found.answers
    ]
    return "\n".join([head, "", *lines])


def _earlier(found: Assembled, answer: ClaimAnswer) -> str:
    """Say what the answer was with untuned students, where it is not about these."""
    old = found.before.claims.get(answer.claim.name)
    return f" (with untuned students: {old.answer})" if found.tuned and old else ""


def _c1(found: Assembled) -> str:
    return (
        "The rank correlation of a teacher's S with its students' accuracy is "
        f"{told(found.part('same_temperature'))} at T = 1 and "
        f"{told(found.part('own_temperature'))} at each teacher's best T; by the ladder, "
        f"similarity adds {told(found.part('taught'))}."
    )


def _c2(found: Assembled) -> str:
    lost = (
        f"A teacher's last epoch lacks {told(found.part('lost'))} of its highest S at T = 1, and "
        f"{told(found.part('lost_recoverable'))} of the highest S at any temperature"
    )
    large, recoverable = (found.part(name).pooled for name in ("large", "large_recoverable"))
    if large is None or recoverable is None:
        return f"{lost}; large and small teachers have not been compared in two pairs yet."
    return (
        f"{lost}; at the last epoch the small teacher has {_times(large)} times the large one's S "
        f"at T = 1, and {_times(recoverable)} times at the best temperature."
    )


def _times(doublings: Interval) -> str:
    """Say how many times as much so many doublings are."""
    ends = (doublings.mean, doublings.low, doublings.high)
    middle, low, high = (fixed(2**each, ".1f") for each in ends)
    return f"{middle} [{low}, {high}]"


def _c3(found: Assembled) -> str:
    return (
        f"At T = 1 and the last epoch, {told(found.part('one_class'))} of the examples have fewer "
        "than 1.05 effective classes; students of these responses alone gain "
        f"{told(found.part('gain'))} over hard labels."
    )


def _c4(found: Assembled) -> str:
    within = found.part("within_epochs").counts
    asked = sum(within[status] for status in ("holds", "does not hold", "undecided"))
    return (
        "The sweet spot's students lead those of the converged teacher by "
        f"{told(found.part('over_converged'))} and those of the most accurate teacher by "
        f"{told(found.part('over_most_accurate'))}; it lies before the last epoch of its run in "
        f"{within['holds']} of {asked} pairs."
    )


def _c5(found: Assembled) -> str:
    verdicts = Counter(
        pair.verdict.verdict.replace("_", " ") for pair in found.answering if pair.verdict
    )
    listed = ", ".join(f"{name} {count} x" for name, count in verdicts.most_common())
    decided = found.part("told_apart").counts["holds"]
    return f"The verdict decides in {decided} of {verdicts.total()} pairs ({listed or 'none'})."


SENTENCES: Mapping[str, Callable[[Assembled], str]] = {
    "C1": _c1,
    "C2": _c2,
    "C3": _c3,
    "C4": _c4,
    "C5": _c5,
}


# --- what to see in the figures -----------------------------------------------------------------


def caption_lead(found: Assembled) -> str:
    """Say what to see in the figure of leads, before and after."""
    both = found.lead.both
    text = (
        "**The sweet spot's lead over the converged teacher, pair by pair.** Hollow circles: "
        "untuned students; filled diamonds: tuned students, one for each seed of the teachers; "
        "bars: joint 95 % intervals, none where both are the same students. *What to see:* how far "
        "the diamonds have moved towards the line at 0."
    )
    if not both:
        return f"{text} No pair has been run again yet."
    still = sum(any(lead.above_zero for lead in pair.left.values()) for pair in both)
    earlier = sum(pair.before is not None and pair.before.above_zero for pair in both)
    return (
        f"{text} Of the pairs run both ways ({len(both)}), the interval lay above 0 in {earlier} "
        f"before and lies there in {still} now (with any seed of the teachers)."
    )


def caption_grid(found: Assembled) -> str:
    """Say what to see in the maps."""
    rulings = found.part("within_epochs").rulings.values()
    last = sum(ruling.status == "does not hold" for ruling in rulings)
    asked = sum(ruling.estimate is not None for ruling in rulings)
    return (
        "**Students over the teacher's batch size and epoch**, each teacher at its best T and "
        "alpha: selection accuracy minus that of hard labels, in points; the star is the sweet "
        "spot, and colours end 3 points below the best. *What to see:* a sweet spot is a bright "
        "patch with darker squares on all sides; bright squares all along the right edge say that "
        f"training the teacher to the end would do. The star lies in the last column in {last} of "
        f"{asked} pairs."
    )


def caption_similarity(found: Assembled) -> str:
    """Say what to see in the figure of similarity information."""
    return (
        "**Similarity information over epochs**, a line for each batch size, named at its end: at "
        "T = 1 (solid) and recoverable, at the best T (dashed). *What to see:* how far solid lines "
        "fall from their peak to their end, and how much of that the dashed lines keep. On "
        f"average the end lacks {told(found.part('lost'))} of the peak at T = 1 and "
        f"{told(found.part('lost_recoverable'))} of the recoverable one."
    )


def caption_gain(found: Assembled) -> str:
    """Say what to see in the figure of gain against similarity."""
    return (
        "**Gain over hard labels against similarity information**, late checkpoints: at T = 1 "
        "(filled) and at each teacher's best T (hollow). *What to see:* marks would rise from left "
        "to right if similarity information governed students. The rank correlation is "
        f"{told(found.part('same_temperature'))} for filled marks and "
        f"{told(found.part('own_temperature'))} for hollow ones."
    )
