"""The table of what changed when students were tuned, and what has not been run yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assembled import Assembled
from outcomes import LEADS, Outcome, lead_text, outcome_of
from pairs import PairKey
from summaries import table


def before_and_after(found: Assembled) -> str:
    """Show each pair with untuned and with tuned students, one line each."""
    known = found.before.pairs
    both = [pair for pair in found.tuned if pair.name in known and pair.exhaustive]
    if not both:
        return "*No pair has been run again yet.*"
    head = [
        "pair",
        "students",
        "sweet spot",
        *(f"over {name}" for name in LEADS.values()),
        "verdict",
        "lead over the converged teacher",
    ]
    rows = []
    for pair in both:
        old = known[pair.name]
        rows.append([f"`{pair.name}`", "untuned", *_cells([old]), ""])
        new = [each for one in found.seeds_of(pair) if (each := outcome_of(one))]
        name = "tuned" if len(new) == 1 else f"tuned, {len(new)} teacher seeds"
        rows.append(["", name, *_cells(new), change_of(old, new)])
    return table(head, rows)


def _cells(outcomes: Sequence[Outcome]) -> list[str]:
    verdicts = [each.verdict for each in outcomes if each.verdict]
    return [
        "; ".join(each.sweet_spot for each in outcomes),
        *("; ".join(lead_text(each.leads[name]) for each in outcomes) for name in LEADS),
        verdicts[0] if verdicts else "not run",
    ]


def change_of(old: Outcome, new: Sequence[Outcome]) -> str:
    """Say in words what became of the lead over the converged teacher.

    Args:
        old: With untuned students.
        new: With tuned students, one for each seed of the teachers.
    """
    earlier = old.leads["converged_teacher"].above_zero
    now = [each.leads["converged_teacher"].above_zero for each in new]
    if len(now) > 1 and any(now) and not all(now):
        return f"above 0 with {sum(now)} of {len(now)} teacher seeds"
    words: Mapping[tuple[bool, bool], str] = {
        (True, True): "still above 0",
        (True, False): "not above 0 any more",
        (False, True): "above 0 now",
        (False, False): "not above 0 either time",
    }
    return words[earlier, all(now)]


def coverage(found: Assembled) -> str:
    """Say how much of the study has been run, what is to come and what was struck."""
    return " ".join(text for text in (_run(found), _to_come(found), _struck(found)) if text)


def _run(found: Assembled) -> str:
    tuned, study = len(found.tuned), len(found.study)
    if not study:
        return "No pair has been run."
    if tuned == study:
        return f"All {study} pairs below were run with tuned students."
    text = f"{tuned} of the {study} pairs below were run with tuned students."
    if tuned:
        text += (
            " The answers to the claims are about these alone. The tables of scores, searches, "
            "stopping rules and mixtures are about all pairs, so they mix both kinds of student "
            "until the others have been run again."
        )
    return text


def _to_come(found: Assembled) -> str:
    done = {pair.name for pair in found.everything if pair.tuned}
    missing = [key for key in found.planned if key.folder not in done]
    if not missing:
        return "Nothing that was planned is missing."
    pairs, seeds, others = _sorted(missing)
    again = {pair.name for pair in found.study if not pair.tuned}
    new = sum(key.folder not in again for key in pairs)
    return (
        f"Still to be run by `make study`: {len(pairs)} pairs ({new} for the first time), "
        f"{len(seeds)} repeats of pairs with teachers of other seeds and {len(others)} variations."
    )


def _sorted(keys: Sequence[PairKey]) -> tuple[list[PairKey], list[PairKey], list[PairKey]]:
    """Return pairs, replicates and variations."""
    pairs = [key for key in keys if key.variation is None and not key.is_replicate]
    replicates = [key for key in keys if key.is_replicate]
    return pairs, replicates, [key for key in keys if key.variation is not None]


def _struck(found: Assembled) -> str:
    run = {pair.name for pair in found.everything}
    told = []
    for reason, keys in found.struck.items():
        missing = [key for key in keys if key.folder not in run]
        if missing:
            told.append(f"{_named(missing)} ({reason})")
    return f"Planned once and left out: {'; '.join(told)}." if told else ""


def _named(keys: Sequence[PairKey]) -> str:
    if len(keys) == 1:
        return f"`{keys[0].folder}`"
    return f"{len(keys)} runs with other numbers of steps and learning rates"
