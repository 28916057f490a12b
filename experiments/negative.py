"""What was tried in the study and did not help, each with its numbers."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence

import batch_sizes
import mixture_table
import score_table
from assembled import Assembled
from goodteacher.records.words import fixed, listed
from pairs import BLEND, NAMES, Pair
from sentences import counted_pairs, leads_over
from summaries import Summary, in_points, summarize
from variants import variants_of


def failed(found: Assembled) -> str:
    """List what did not help."""
    lines = [
        _no_gain(found.answering),
        _scores(found),
        _blends(found.study),
        _from_the_same_training(found.variations),
        _batch_sizes(found),
    ]
    text = "\n".join(f"- {line}" for line in lines if line)
    if text and 0 < len(found.tuned) < len(found.study):
        text += "\n\nAll but the first are about pairs with tuned and with untuned students."
    return text or "*Not run.*"


def _no_gain(pairs: Sequence[Pair]) -> str:
    """Count the pairs of each data set in which no gain over hard labels was shown."""
    groups: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        seen = {"full": "all of", "tenth": "a tenth of"}[pair.pair.transfer]
        groups[f"{seen} {pair.called}"].append(pair)
    shown = {
        name: [lead.above_zero for lead in leads_over(of, "cross_entropy")]
        for name, of in groups.items()
    }
    said = [f"{name} ({of.count(False)} of {len(of)})" for name, of in shown.items() if not all(of)]
    if not said:
        return ""
    return (
        "**Distilling at all, in some pairs.** No gain over hard labels was shown with "
        f"{listed(said)}."
    )


def _scores(found: Assembled) -> str:
    """Say how well the best score of a teacher foretells its students."""
    pairs = found.scores[next(iter(score_table.SINCE))]["pairs"].values()
    known: dict[str, Summary] = {}
    for name in sorted({name for rows in pairs for name in rows}):
        rhos = (rows[name]["rho"] for rows in pairs if name in rows)
        if (rho := summarize(each for each in rhos if each is not None)) is not None:
            known[name] = rho
    if not known:
        return ""
    best = max(known, key=lambda name: known[name].mean)
    lost = summarize(100 * rows[best]["regret"]["1"] for rows in pairs if best in rows)
    assert lost is not None
    own = known.get("similarity")
    beside = f" (of similarity information, {own.text(ranged=False)})" if own else ""
    return (
        f"**Choosing a teacher without training students.** Even the best of {len(known)} scores, "
        f"`{best}`, has a rank correlation of {known[best].text(ranged=False)} with the accuracy "
        f"of students{beside}; the teacher it puts first loses "
        f"{lost.text(ranged=False)} points ({counted_pairs(lost.n)}; "
        "[table](study-tables.md#which-score-shortlists))."
    )


def _blends(study: Sequence[Pair]) -> str:
    """Say what a blend of responses adds to the sweet spot."""
    rows = [row for pair in study for row in mixture_table.mixtures_of(pair) if row.kind == BLEND]
    gain = summarize(100 * statistics.fmean(row.over_sweet_spot) for row in rows)
    if gain is None:
        return ""
    return (
        f"**Blending the responses of several checkpoints**: {gain.text(ranged=False)} points over "
        f"the sweet spot ({counted_pairs(gain.n)}; [table](study-tables.md#which-mixtures))."
    )


OTHERS = {
    "ema": "moving averages of weights",
    "average": "means of responses",
    "cooldown": "short decays of the learning rate",
}
"""Variants of a teacher, and what a reader calls them."""


def _from_the_same_training(variations: Sequence[Pair]) -> str:
    """Say what averages and short decays add to plain checkpoints."""
    found: dict[str, list[float]] = defaultdict(list)
    for pair in variations:
        accuracies = {row.kind: row.accuracy for row in variants_of(pair)}
        for kind in OTHERS.keys() & accuracies:
            found[kind].append(100 * (accuracies[kind] - accuracies["raw"]))
    said = [
        f"{words} {' and '.join(fixed(value, '+.2f') for value in found[kind])}"
        for kind, words in OTHERS.items()
        if kind in found
    ]
    if not said:
        return ""
    return (
        f"**Other teachers from the same training**, in points over plain checkpoints: "
        f"{listed(said)} "
        "([table](study-tables.md#averages-short-decays-and-blends))."
    )


RULES = {
    "constant": "at one learning rate for all",
    "sqrt": "with its square root",
    "linear": "if the learning rate grows with the batch size",
}
FEWEST = 3
"""Teacher seeds from which on a batch size's effect is told."""


def _batch_sizes(found: Assembled) -> str:
    """Say what the best batch size is worth under each rule of the learning rate."""
    said: dict[str, list[str]] = defaultdict(list)
    for row in batch_sizes.size_rows(found.everything):
        if row.interval is not None and len(row.effects) >= FEWEST and row.budget == "epochs":
            effect = in_points(row.interval.mean, row.interval.low, row.interval.high)
            data = row.name.partition("/")[0]
            said[NAMES.get(data, data)].append(f"{effect} {RULES[row.lr_rule]}")
    if not said:
        return ""
    each = "; ".join(f"on {name} {listed(values)}" for name, values in said.items())
    return (
        f"**One best batch size.** The best one leads the worst, in points, {each} (teachers of "
        f"{FEWEST} seeds or more; "
        "[table](study-tables.md#does-the-batch-size-effect-survive))."
    )
