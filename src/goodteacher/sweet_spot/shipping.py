"""What should be shipped, and how sure that is.

The test split says whether to distill; the selection split says whose student is delivered. Both
may be doubted: students may not have trained enough, some may have diverged, and a choice may lie
on the edge of what was tried. Each doubt is a sentence that says what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from goodteacher.config import StudyConfig, in_words, shown_attribute
from goodteacher.records import FAMILY, Arm, Checkpoint, Edge, TrajectoryRecord, listed, percent
from goodteacher.students import (
    Family,
    StudentTask,
    check_diverged,
    rows_by_arm,
    told_doubts,
    unfinished,
    without_learning,
)
from goodteacher.sweet_spot.search import Found, Search

SIMPLEST_FIRST: tuple[Family, ...] = (
    "cross_entropy",
    "label_smoothing",
    "sweet_spot",
    "converged_teacher",
    "most_accurate_teacher",
)


_TRAINED_TO_COMPARE: tuple[Family, ...] = ("cross_entropy", "label_smoothing")
"""References that cost no teacher: without them, nothing says whether to distill."""

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
    failed = without_learning(by_family, search.context.data.selection.labels)
    sentences = [
        *told_doubts(
            by_family,
            improving,
            diverged,
            failed,
            tuned=tuned,
            until_converged=config.until_converged,
        ),
        *_on_limits(found.explored.edges),
        *_teacher_edges(config, found.winners["sweet_spot"]),
        *_recorded_edge(search, found.winners["sweet_spot"]),
        *_teacher_not_done(search, found.winners["converged_teacher"]),
    ]
    untrained = bool(improving) or not failed.keys().isdisjoint(_TRAINED_TO_COMPARE)
    return Doubts(improving, sum(diverged.values()), untrained, tuple(sentences))


def _on_limits(edges: Sequence[Edge]) -> list[str]:
    if not edges:
        return []
    each = [f"{e.axis.replace('_', ' ')} {e.value:g} of {FAMILY[e.family]}" for e in edges]
    return [
        f"Some best values are at the end of the allowed range: {listed(each)}. Better ones may "
        "lie beyond it."
    ]


def _teacher_edges(config: StudyConfig, winner: Arm) -> list[str]:
    """Say where the teacher lies on the edge of what was trained, and how to go on."""
    if not isinstance(winner.source, Checkpoint):
        return []
    trained = winner.source.run in {run.name for run in config.runs}
    found = [*_run_edges(config, winner.source.run), *_epoch_edge(config, winner.source.epoch)]
    if not trained or not found:
        return []
    edges, options = zip(*found, strict=True)
    return [
        f"The sweet spot is {listed(edges)} that teachers were trained with, so a better value "
        f"may lie beyond it. To try more values, give the same command with {' '.join(options)}, "
        "--teachers-of with this study's folder, and a new --out; teachers that exist already are "
        "reused."
    ]


def _recorded_edge(search: Search, winner: Arm) -> list[str]:
    """Say so where the teacher is the last or first epoch that was recorded of a run elsewhere.

    A teacher that predicts and was asked once has no epochs: there is none before or after it.
    """
    source = winner.source
    for task in search.teachers.taken:
        if not isinstance(source, Checkpoint) or task.run.name != source.run:
            continue
        if search.teachers.predictor(source.run) is not None:
            return []
        epochs = [record.epoch for record in search.teachers.records(task)]
        if epochs == [1]:
            return []  # one response, as respond records it: no training that could go on
        if source.epoch == epochs[-1]:
            return [
                f"The sweet spot is the last recorded epoch ({source.epoch}) of run {source.run}, "
                "so a better one may come later. Train that teacher longer, record it, and "
                "search again with a new --out."
            ]
        if source.epoch == epochs[0] > 1:
            return [
                f"The sweet spot is the first recorded epoch ({source.epoch}) of run "
                f"{source.run}, so a better one may come earlier. Record earlier epochs too."
            ]
    return []


def _run_edges(config: StudyConfig, name: str) -> Iterator[tuple[str, str]]:
    """Yield on which edges of batch sizes and learning rates a run lies, with what goes on."""
    for run in config.runs:
        if run.name != name:
            continue
        sizes, size = sorted(config.batch_sizes), run.batch_size
        smaller = [max(1, size // 4)] if size > 1 else []
        yield from _edge("batch size", sizes, size, below=smaller, above=4 * size)
        rates, rate = sorted(config.learning_rates), run.learning_rate
        lower, higher = float(f"{rate / 3:.3g}"), float(f"{rate * 3:.3g}")
        yield from _edge("learning rate", rates, rate, below=[lower], above=higher)


def _edge(
    what: str, tried: Sequence[float], own: float, *, below: Sequence[float], above: float
) -> Iterator[tuple[str, str]]:
    """Yield the edge that a value lies on, if several were tried, and the option that goes on.

    Args:
        what: Which setting, in words.
        tried: Its values, ascending.
        own: The value in question.
        below: What to try below the smallest; empty where there is nothing.
        above: What to try above the largest.
    """
    option = f"--{what.replace(' ', '-')}s "
    if len(tried) > 1 and own == tried[-1]:
        wider = ",".join(map(shown_attribute, [*tried, above]))
        yield f"the {_LARGEST[what]} {what} ({shown_attribute(own)})", option + wider
    elif len(tried) > 1 and own == tried[0] and below:
        wider = ",".join(map(shown_attribute, [*below, *tried]))
        yield f"the {_SMALLEST[what]} {what} ({shown_attribute(own)})", option + wider


_LARGEST = {"batch size": "largest", "learning rate": "highest"}
_SMALLEST = {"batch size": "smallest", "learning rate": "lowest"}


def _epoch_edge(config: StudyConfig, epoch: int) -> Iterator[tuple[str, str]]:
    if epoch == config.epochs:
        yield f"the last epoch ({epoch})", f"--epochs {2 * config.epochs}"


def _teacher_not_done(search: Search, reference: Arm) -> list[str]:
    """Say so if the converged teacher has not converged."""
    name = getattr(reference.source, "run", None)
    taken = {task.run.name for task in search.teachers.taken}
    runs = map(search.teachers.records, search.teachers.runs)
    return [
        told
        for run in runs
        if run[-1].run == name
        for told in told_of_teacher(run, recorded_elsewhere=name in taken)
    ]


def told_of_teacher(
    records: Sequence[TrajectoryRecord], *, recorded_elsewhere: bool = False
) -> list[str]:
    """Say so if a teacher was still getting much better between its last two recorded epochs.

    Args:
        records: Of one run, in order; a run that was stopped says so elsewhere.
        recorded_elsewhere: Whether somebody else's trainer made it.
    """
    if len(records) < 2 or records[-1].stopped or records[-1].status != "ok":
        return []
    before, last = records[-2:]
    gain = last.selection_accuracy - before.selection_accuracy
    if gain <= RISING:
        return []
    longer = "and record it" if recorded_elsewhere else f"with --epochs {2 * last.epoch}"
    return [
        f"The converged teacher ({in_words(last.run)}) was still getting better: "
        f"{percent(before.selection_accuracy)} % after epoch {before.epoch}, "
        f"{percent(last.selection_accuracy)} % after {last.epoch}. Train it longer, "
        f"{longer}."
    ]
