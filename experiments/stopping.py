"""Which rule should stop teachers? Each is replayed on the probe students of every checkpoint.

    python experiments/stopping.py

`probe.py` trains, for every checkpoint of an exhaustive search, the probe students that a default
search would have trained while its teachers were taught. A rule that sees them one recorded epoch
after the other, of the trajectories still going, stops the teachers that it would have stopped in a
search. For each pair and rule: the share of the teachers' time that is left (epochs, priced by
`benchmarks/naive_grid.py`), and what the best of
the eight then shortlisted loses against the best teacher of all, by the students of the exhaustive
search (best recipe, mean over search seeds). These are the greatest of many noisy values, so the
losses are too large; *to the end* says by how much a shortlist alone errs.

Variations of budget and rate have no probe students; there the students of the first search seed
stand in for them, which learned for longer than a probe; those of the other seeds are the truth.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from goodteacher.config import StudyConfig, parse
from goodteacher.records.results import TrajectoryRecord
from goodteacher.sweet_spot.choice import shortlist
from goodteacher.sweet_spot.probing import has_declined, outdone_by
from goodteacher.sweet_spot.scores import Probes, probe_accuracies, student_accuracies
from pairs import RESULTS, Pair, all_pairs, parts_of
from regret import NAIVE, Result, lines_of, teaching_share
from run import RATES
from summaries import shown, shown_ratio, table

SHORTLIST = 8


@dataclass(frozen=True)
class Rule:
    """When a trajectory stops.

    Attributes:
        patience: As the setting; 0 never stops for a decline.
        lead_after: As the setting; 0 never asks for the lead.
        over_all: Ask for the lead over every trajectory, not over the cheaper ones alone; of equal
            ones none stops, or nobody would be left.
    """

    patience: int = 0
    lead_after: int = 0
    over_all: bool = False

    def __str__(self) -> str:
        """Say it in the words of the settings."""
        parts = [f"patience {self.patience}"] if self.patience else []
        if self.lead_after:
            whom = "all others" if self.over_all else "cheaper ones"
            parts.append(f"lead {whom} after {self.lead_after}")
        return ", ".join(parts) or "to the end"


RULES = (
    Rule(),
    *(Rule(patience) for patience in (3, 2, 1)),
    *(Rule(2, lead_after) for lead_after in (4, 3, 2)),
    Rule(0, 3),
    *(Rule(2, lead_after, over_all=True) for lead_after in (4, 3)),
)


@dataclass(frozen=True)
class Replay:
    """What a rule comes to in one pair.

    Attributes:
        taught: The last epoch of each batch size.
        time: Share of the time that teaching all to the end takes; None where that was not timed.
        loss: What the best of the shortlist loses against the best teacher, as a fraction.
        found: Whether the best teacher was taught.
    """

    taught: Mapping[int, int]
    time: float | None
    loss: float
    found: bool


def replays(pair: Pair, naive: Sequence[Result]) -> dict[Rule, Replay]:
    """Return what each rule comes to in a pair; nothing where its probes are not known.

    Args:
        pair: The pair, with its exhaustive search.
        naive: Lines of `naive_grid.json`.
    """
    probes = probe_accuracies(pair.watching_probes)
    truth = student_accuracies(pair.students) if probes else {}
    return {rule: replay(pair, rule, probes, truth, naive) for rule in RULES if probes}


def replay(
    pair: Pair, rule: Rule, probes: Probes, truth: Probes, naive: Sequence[Result]
) -> Replay:
    """Return what a rule comes to in a pair.

    Args:
        pair: The pair, with its exhaustive search.
        rule: The rule.
        probes: What the probe students of its checkpoints reached.
        truth: What their students reached in the end.
        naive: Lines of `naive_grid.json`.
    """
    raw = [record for record in pair.teachers if record.variant == "raw"]
    config = parse(StudyConfig, **{**pair.pair.settings, "data": pair.pair.data})
    last = last_taught(raw, rule, probes, config)
    kept = [record for record in raw if record.epoch <= last[record.run]]
    taught = {pair.sizes[run]: epoch for run, epoch in last.items()}
    best = max((str(record.source) for record in raw), key=truth.__getitem__)
    listed = shortlist(kept, SHORTLIST)
    return Replay(
        taught=taught,
        time=teaching_share(pair, taught, dict.fromkeys(taught, config.epochs), naive),
        loss=truth[best] - max(truth[str(record.source)] for record in listed),
        found=best in {str(record.source) for record in kept},
    )


def last_taught(
    records: Sequence[TrajectoryRecord], rule: Rule, probes: Probes, config: StudyConfig
) -> dict[str, int]:
    """Return the last epoch of each run under a rule.

    Args:
        records: Every checkpoint.
        rule: The rule.
        probes: What their probe students reached.
        config: The pair's settings.
    """
    taught: dict[str, int] = {}
    going = {record.run for record in records}
    seen: dict[str, list[float]] = {run: [] for run in going}
    for epoch in sorted({record.epoch for record in records}):
        latest = {r.run: r for r in records if r.epoch == epoch and r.run in going}
        taught.update(dict.fromkeys(latest, epoch))
        if epoch == config.epochs:
            break
        for run, record in latest.items():
            seen[run].append(probes[str(record.source)])
        going = {run for run in latest if not _stops(rule, run, seen, config)}
    return taught


def _stops(rule: Rule, run: str, seen: Mapping[str, Sequence[float]], config: StudyConfig) -> bool:
    if rule.patience and has_declined(seen[run], rule.patience):
        return True
    if rule.over_all:
        best = {other: max(each) for other, each in seen.items() if each}
        return 0 < rule.lead_after <= len(seen[run]) and best[run] < max(best.values())
    others = {other: seen.get(other, ()) for other in config.cheaper_than(run)}
    return outdone_by(seen[run], others, rule.lead_after) is not None


def stand_ins(pair: Pair) -> tuple[Probes, Probes]:
    """Return what students of the first search seed reached, and those of the others."""
    rows = [row for row in pair.students if row.stage == "search" and row.variant == "raw"]
    first = [row for row in rows if row.seed == 0]
    others = [row for row in rows if row.seed != 0]
    return student_accuracies(first), student_accuracies(others)


def rendered(
    pairs: Sequence[Pair], naive: Sequence[Result], variations: Sequence[Pair] = ()
) -> str:
    """Return the tables of the rules, as Markdown.

    Args:
        pairs: Those of the study.
        naive: Lines of `naive_grid.json`.
        variations: Those that may be of other budgets and rates.
    """
    return "\n\n".join(text for text in (_by_rule(pairs, naive), _by_data(variations)) if text)


def _by_data(variations: Sequence[Pair]) -> str:
    found: dict[str, list[dict[Rule, Replay]]] = {}
    for pair in variations:
        if pair.pair.variation in RATES and pair.exhaustive is not None:
            probes, truth = stand_ins(pair)
            if truth:
                each = {rule: replay(pair, rule, probes, truth, ()) for rule in UNDER_RATES}
                found.setdefault(pair.pair.data, []).append(each)
    if not found:
        return ""
    head = [
        "loss with other budgets and learning rates, points",
        "teacher runs",
        *(str(rule) for rule in UNDER_RATES),
    ]
    lines = [
        [
            data,
            f"{len(runs)}",
            *(shown([100 * run[rule].loss for run in runs]) for rule in UNDER_RATES),
        ]
        for data, runs in found.items()
    ]
    return table(head, lines)


def _by_rule(pairs: Sequence[Pair], naive: Sequence[Result]) -> str:
    ours = [pair for pair in pairs if pair.exhaustive is not None]
    found = [each for pair in ours if (each := replays(pair, naive))]
    if not found:
        return "*Not run.*"
    head = ["rule", "teachers' time, share", "loss, points", "best teacher was not trained"]
    lines = [
        [
            f"**{rule}**" if rule == DEFAULT else str(rule),
            shown_ratio([time for each in found if (time := each[rule].time)], 2),
            shown([100 * each[rule].loss for each in found]),
            f"{sum(not each[rule].found for each in found)} of {len(found)}",
        ]
        for rule in RULES
    ]
    said = (
        f"n = {len(found)} pairs; mean [95 % interval over pairs] (range); for shares, the "
        "geometric mean. Bold: the default."
    )
    if left := [pair.name for pair in pairs if not pair.watching_probes]:
        said = f"{said} Without such probe students: {', '.join(left)}."
    return f"{said}\n\n{table(head, lines)}"


def _default() -> Rule:
    config = parse(StudyConfig, data="digits", teacher="mlp:8", student="mlp:4")
    return Rule(config.patience, config.lead_after)


DEFAULT = _default()
"""The rule that the code's defaults make."""
UNDER_RATES = (Rule(), Rule(DEFAULT.patience), DEFAULT)
"""The rules that are replayed under other budgets and rates, too."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the pairs")
    parts = parts_of(all_pairs(parser.parse_args().results, variations=True))
    print(rendered(parts.study, lines_of(NAIVE), parts.variations))


if __name__ == "__main__":
    main()
