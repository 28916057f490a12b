"""What should be shipped, and how sure that is.

The test split says whether to distill; the selection split says whose student is delivered. Both
may be doubted: students may not have trained enough, some may have diverged, and a choice may lie
on the edge of what was tried. Each doubt is a sentence that says what to do about it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from goodteacher.config import StudyConfig
from goodteacher.records import FAMILY, Arm, Checkpoint, Edge, TrajectoryRecord, listed, percent
from goodteacher.students import (
    Family,
    StudentTask,
    check_diverged,
    doubts,
    rows_by_arm,
    unfinished,
)
from goodteacher.sweet_spot.search import Found, Search

SIMPLEST_FIRST: tuple[Family, ...] = (
    "cross_entropy",
    "label_smoothing",
    "sweet_spot",
    "converged_teacher",
    "most_accurate_teacher",
)


RISING = 0.03
"""Selection accuracy that a teacher gained between its last two recorded epochs if it surely had
not converged: measured in docs/practice.md. Smaller gains are as large as the noise of a teacher at
a constant learning rate."""


@dataclass(frozen=True)
class Doubts:
    """What stands between an answer and a sure one.

    Attributes:
        improving: Families whose students still got better when their training ended.
        num_diverged: Confirmed students that diverged.
        training: Whether students were not trained well enough to answer at all.
        sentences: All of it in words, what matters most first.
    """

    improving: tuple[Family, ...]
    num_diverged: int
    training: bool
    sentences: tuple[str, ...]


def most_worth_shipping(winners: Mapping[Family, Arm], selection: Mapping[Arm, float]) -> Family:
    """Return the family whose student is delivered: the best on the selection split.

    Args:
        winners: The confirmed arm of each family.
        selection: Mean accuracy of each on the selection split; the simplest of equals is taken.
    """
    return max(SIMPLEST_FIRST, key=lambda name: round(selection[winners[name]], 9))


def doubts_of(search: Search, found: Found, confirmed: Sequence[StudentTask]) -> Doubts:
    """Say what stands between the search's answer and a sure one.

    Args:
        search: The search.
        found: What it chose.
        confirmed: The confirmation, finished.

    Raises:
        RunError: All students of a family diverged.
    """
    store, config = search.context.store, search.config
    rows = rows_by_arm(store, confirmed)
    by_family = {name: rows[arm] for name, arm in found.winners.items()}
    diverged = check_diverged(by_family)
    tuned = search.plan.tuned
    improving = found.explored.improving
    if not tuned:
        improving = unfinished(search.students, found.winners, confirmed)
    sentences = [
        *doubts(
            by_family, improving, diverged, tuned=tuned, until_converged=config.until_converged
        ),
        *_on_limits(found.explored.edges),
        *_teacher_edges(config, found.winners["sweet_spot"]),
        *_teacher_not_done(search, found.winners["converged_teacher"]),
    ]
    return Doubts(improving, sum(diverged.values()), bool(improving), tuple(sentences))


def _on_limits(edges: Sequence[Edge]) -> list[str]:
    if not edges:
        return []
    each = [f"{e.axis.replace('_', ' ')} {e.value:g} of {FAMILY[e.family]}" for e in edges]
    return [f"On a limit of what is tried: {listed(each)}. The best may lie beyond."]


def _teacher_edges(config: StudyConfig, winner: Arm) -> list[str]:
    """Say where the teacher lies on the edge of what was trained, and how to go on."""
    if not isinstance(winner.source, Checkpoint):
        return []
    size, epoch = winner.source.batch_size, winner.source.epoch
    sizes = sorted(config.batch_sizes)
    edges, options = [], []
    if len(sizes) > 1 and size == sizes[-1]:
        edges.append(f"the largest batch size ({size})")
        options.append(f"--batch-sizes {','.join(map(str, [*sizes, 4 * size]))}")
    elif len(sizes) > 1 and size == sizes[0] and size > 1:
        edges.append(f"the smallest batch size ({size})")
        options.append(f"--batch-sizes {','.join(map(str, [max(1, size // 4), *sizes]))}")
    if epoch == config.epochs:
        edges.append(f"the last epoch ({epoch})")
        options.append(f"--epochs {2 * config.epochs}")
    if not edges:
        return []
    return [
        f"The sweet spot is {listed(edges)} that teachers were trained for, so the best may lie "
        f"beyond. To go on, give the same command with {' '.join(options)} "
        "--teachers-of this study's folder and a new --out; teachers that are there are kept."
    ]


def _teacher_not_done(search: Search, reference: Arm) -> list[str]:
    """Say so if the converged teacher has not converged."""
    size = getattr(reference.source, "batch_size", None)
    runs = map(search.teachers.records, search.teachers.trajectories)
    return [told for run in runs if run[-1].batch_size == size for told in told_of_teacher(run)]


def told_of_teacher(records: Sequence[TrajectoryRecord]) -> list[str]:
    """Say so if a teacher was still getting much better between its last two recorded epochs.

    Args:
        records: Of one run, in order; a run that was stopped says so elsewhere.
    """
    if len(records) < 2 or records[-1].stopped or records[-1].status != "ok":
        return []
    before, last = records[-2:]
    gain = last.selection_accuracy - before.selection_accuracy
    if gain <= RISING:
        return []
    return [
        f"The converged teacher (batch size {last.batch_size}) was still getting better: "
        f"{percent(before.selection_accuracy)} % after epoch {before.epoch}, "
        f"{percent(last.selection_accuracy)} % after {last.epoch}. Train it longer, with "
        f"--epochs {2 * last.epoch}."
    ]
