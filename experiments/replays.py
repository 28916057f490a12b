"""What a search would have found under another default, by the students that a pair has kept.

Each replay returns what every alternative comes to: the accuracy of the students found, on what
took no part in the choice, and the cost as a ratio to today's default. `defaults.py` decides.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from goodteacher.config import StudyConfig, parse
from goodteacher.records.results import StudentRow, TrajectoryRecord
from goodteacher.sweet_spot.choice import shortlist
from goodteacher.sweet_spot.scores import SCORES, probe_accuracies, ranked, trained_alike
from mixture_table import mixtures_of
from pairs import BLEND, Pair, confirmed
from regret import NAIVE, lines_of, teaching_share
from stopping import DEFAULT, RULES, last_taught
from variants import Seeds, held_out

TODAY = parse(StudyConfig, data="digits", teacher="mlp:8", student="mlp:4")
"""Whose fields are today's defaults."""
SIZES = (1, 2, 4, 8, 16)
GRIDS = ((1.0,), (4.0,), (8.0,), (1.0, 4.0), (2.0, 8.0), (1.0, 2.0, 4.0), (1.0, 2.0, 4.0, 8.0))
KEPT = {"one in 6": 1 / 6, "one in 3": 1 / 3, "one in 2": 1 / 2, "all": 1.0}


@dataclass(frozen=True)
class Outcome:
    """What an alternative comes to in one pair.

    Attributes:
        accuracy: Of the students that it finds, on what took no part in the choice, in [0, 1].
        cost: As a ratio to today's default.
    """

    accuracy: float
    cost: float


@dataclass(frozen=True)
class Default:
    """A default of the search.

    Attributes:
        name: The setting.
        today: Which alternative is the default.
        replay: What each comes to in a pair; nothing where its students do not say.
        judged_on: What took no part in the choice, in words.
        proposed: An alternative that was asked for before anything was measured.
        note: What else is to be known of it: a sentence after a space.
    """

    name: str
    today: str
    replay: Callable[[Pair], Mapping[str, Outcome]]
    judged_on: str
    proposed: str | None = None
    note: str = ""


@dataclass(frozen=True)
class Tried:
    """The arms of a pair that learn from one checkpoint each, trained alike.

    Attributes:
        rows: Their students.
    """

    rows: Sequence[StudentRow]

    @cached_property
    def seeds(self) -> list[int]:
        """Search seeds."""
        return sorted({row.seed for row in self.rows})

    @cached_property
    def arms(self) -> dict[str, Seeds]:
        """Accuracy of each arm on the selection split, by seed."""
        found: dict[str, dict[int, float]] = defaultdict(dict)
        for row in self.rows:
            found[row.arm][row.seed] = row.selection_accuracy
        return dict(found)

    def of(self, teachers: Iterable[str]) -> Tried:
        """Return the arms of some teachers."""
        some = set(teachers)
        return Tried([row for row in self.rows if row.arm.partition(" | ")[0] in some])

    def at(self, temperatures: Iterable[float]) -> Tried:
        """Return the arms at some temperatures."""
        some = set(temperatures)
        return Tried([row for row in self.rows if row.temperature in some])

    @property
    def accuracy(self) -> float:
        """What the best arm is worth on the seed left out, the mean over seeds."""
        return statistics.fmean(held_out(list(self.arms.values()), self.seeds))


def tried(pair: Pair) -> Tried | None:
    """Return the arms of the exhaustive search; None where it has fewer than two seeds."""
    rows = [r for r in trained_alike(pair.students) if r.source == "checkpoint"]
    found = Tried([row for row in rows if row.variant == "raw"])
    return found if len(found.seeds) > 1 else None


def raw_of(pair: Pair) -> list[TrajectoryRecord]:
    """Return the checkpoints of a pair."""
    return [record for record in pair.teachers if record.variant == "raw"]


def _shortlisted(pair: Pair, size: int = TODAY.shortlist) -> list[str]:
    return [str(record.source) for record in shortlist(raw_of(pair), size)]


def of_shortlist(pair: Pair) -> dict[str, Outcome]:
    """Replay the number of teachers that students try."""
    arms = tried(pair)
    if arms is None:
        return {}
    today = len(arms.of(_shortlisted(pair)).arms)
    found = {str(size): arms.of(_shortlisted(pair, size)) for size in SIZES}
    found["all"] = arms
    return {name: Outcome(each.accuracy, len(each.arms) / today) for name, each in found.items()}


def of_score(pair: Pair) -> dict[str, Outcome]:
    """Replay the score that makes the shortlist; probe students cost their epochs."""
    arms, probes = tried(pair), probe_accuracies(pair.probes)
    if arms is None or not probes:
        return {}
    today = arms.of(_shortlisted(pair))
    epochs = today.rows[0].student_epochs * len(today.arms)
    probing = sum(row.student_epochs for row in pair.probes) / len(arms.seeds)
    found = {}
    for name, score in SCORES.items():
        best = ranked(raw_of(pair), name, probes)[: TODAY.shortlist]
        more = probing if score.needs_probes else 0.0
        accuracy = arms.of(str(record.source) for record in best).accuracy
        found[name] = Outcome(accuracy, (epochs + more) / epochs)
    return found


def of_temperatures(pair: Pair) -> dict[str, Outcome]:
    """Replay the temperatures that are tried first, of the teachers of today's shortlist."""
    arms = tried(pair)
    if arms is None or not set(TODAY.temperatures) <= {row.temperature for row in arms.rows}:
        return {}
    listed = arms.of(_shortlisted(pair))
    today = len(listed.at(TODAY.temperatures).arms)
    found = {_listed(grid): listed.at(grid) for grid in GRIDS}
    return {name: Outcome(each.accuracy, len(each.arms) / today) for name, each in found.items()}


def _listed(values: Iterable[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def of_first_round(pair: Pair) -> dict[str, Outcome]:
    """Replay how many arms the first round keeps, each seed left out of both rounds in turn."""
    arms = tried(pair)
    rows = [row for row in pair.default_students if row.stage == "search" and row.rung == 0]
    if arms is None or not rows:
        return {}
    known = arms.arms
    first = {arm: each for arm, each in Tried(rows).arms.items() if arm in known}
    brief, whole = rows[0].student_epochs, arms.rows[0].student_epochs
    if not first or brief >= whole or any(set(each) < set(arms.seeds) for each in first.values()):
        return {}
    costs = {name: brief + share * whole for name, share in KEPT.items() if share < 1}
    costs["all"] = float(whole)
    return {
        name: Outcome(_two_rounds(first, known, arms.seeds, share), costs[name] / costs["one in 3"])
        for name, share in KEPT.items()
    }


def _two_rounds(
    first: Mapping[str, Seeds], last: Mapping[str, Seeds], seeds: Sequence[int], share: float
) -> float:
    """Return what the best arm is worth on the seed left out, of those that the first round keeps.

    Args:
        first: Accuracies after the first round.
        last: Accuracies in the end.
        seeds: Two or more.
        share: What the first round keeps.
    """
    count, found = max(1, round(share * len(first))), []
    for left_out in seeds:
        others = [seed for seed in seeds if seed != left_out]

        def mean(arms: Mapping[str, Seeds], arm: str, some: Sequence[int] = others) -> float:
            return statistics.fmean(arms[arm][seed] for seed in some)

        kept = sorted(first, key=lambda arm: -mean(first, arm))[:count]
        found.append(last[max(kept, key=lambda arm: mean(last, arm))][left_out])
    return statistics.fmean(found)


def of_stopping(pair: Pair) -> dict[str, Outcome]:
    """Replay the rules that stop teachers, each with today's shortlist of what it taught."""
    arms, probes = tried(pair), probe_accuracies(pair.watching_probes)
    if arms is None or not probes:
        return {}
    config = parse(StudyConfig, **{**pair.pair.settings, "data": pair.pair.data})
    raw, naive = raw_of(pair), lines_of(NAIVE)
    accuracies, times = {}, {}
    for rule in RULES:
        last = last_taught(raw, rule, probes, config)
        kept = [record for record in raw if record.epoch <= last[record.run]]
        best = [str(record.source) for record in shortlist(kept, TODAY.shortlist)]
        taught = {pair.sizes[run]: epoch for run, epoch in last.items()}
        whole = dict.fromkeys(taught, config.epochs)
        accuracies[str(rule)] = arms.of(best).accuracy
        times[str(rule)] = teaching_share(pair, taught, whole, naive)
    shares = {name: time for name, time in times.items() if time is not None}
    if len(shares) < len(times):
        return {}
    today = shares[str(DEFAULT)]
    return {name: Outcome(accuracies[name], shares[name] / today) for name in accuracies}


def of_variants(pair: Pair) -> dict[str, Outcome]:
    """Replay whether a blend competes, judged on the test split by fresh seeds."""
    if pair.search is None or not mixtures_of(pair):
        return {}
    pick = pair.search.student
    single = confirmed(pair.default_students, pick.arm, "test_accuracy", pick.training)
    same_as = pair.mixtures[BLEND].same_as
    ours = [r for r in pair.mixture_students if r.arm.partition(" | ")[0] == same_as]
    arms = [row.arm for row in ours if row.stage == "confirm"]
    blend = confirmed(ours, arms[0], "test_accuracy") if arms else {}
    seeds = sorted(single.keys() & blend.keys())
    chosen_by = [
        [
            r.selection_accuracy
            for r in pair.default_students
            if _is_last(r, pick.arm, pick.training)
        ],
        [r.selection_accuracy for r in ours if r.stage == "distill" and r.arm == arms[0]],
    ]
    if not seeds or not all(chosen_by):
        return {}
    of_single, of_blend = (
        math.fsum(each[s] for s in seeds) / len(seeds) for each in (single, blend)
    )
    better = statistics.fmean(chosen_by[1]) > statistics.fmean(chosen_by[0])
    size = TODAY.shortlist
    return {
        "raw": Outcome(of_single, 1.0),
        "raw,blend": Outcome(of_blend if better else of_single, (size + 1) / size),
        "blend": Outcome(of_blend, 1 / size),
    }


def _is_last(row: StudentRow, arm: str, training: object) -> bool:
    """Say whether a row is one of those by which a search chose an arm."""
    return (row.stage, row.arm, row.training) == ("search", arm, training)


_SEED = "a search seed that was left out"
_NO_SETTING = (
    " No setting says this alone: `halving` is also how much longer the next round trains."
)
DEFAULTS = (
    Default(
        "variants",
        ",".join(TODAY.variants),
        of_variants,
        "the test split, fresh seeds",
        proposed="raw,blend",
    ),
    Default(
        "kept by the first round",
        f"one in {TODAY.halving}",
        of_first_round,
        _SEED,
        note=_NO_SETTING,
    ),
    Default("patience, lead_after", str(DEFAULT), of_stopping, _SEED),
    Default("shortlist", str(TODAY.shortlist), of_shortlist, _SEED),
    Default("shortlist_by", TODAY.shortlist_by, of_score, _SEED),
    Default("temperatures", _listed(TODAY.temperatures), of_temperatures, _SEED),
)
"""The defaults that are decided."""
