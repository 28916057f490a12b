"""What should be shipped, and how sure that is.

The test split says whether to distill; the selection split says whose student is delivered. Both
may be doubted: students may not have trained enough, some may have diverged, and a choice may lie
on the edge of what was tried. Each doubt is a sentence that says what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from goodteacher.arms import Arm, Checkpoint
from goodteacher.config import StudyConfig
from goodteacher.errors import RunError
from goodteacher.export import deliver, make_card
from goodteacher.families import MUCH, Family
from goodteacher.finished import unfinished
from goodteacher.results import Answer, Edge, References, StudentRow, TrajectoryRecord
from goodteacher.students import StudentTask, by_arm, rows_by_arm
from goodteacher.sweet_spot import Found, Search
from goodteacher.tasks import Context
from goodteacher.words import FAMILY, listed, percent

SIMPLEST_FIRST: tuple[Family, ...] = (
    "cross_entropy",
    "label_smoothing",
    "sweet_spot",
    "converged_teacher",
    "most_accurate_teacher",
)
WITHOUT_TEACHER = ("cross_entropy", "label_smoothing")
MARGIN = 0.002
"""A gain that is surely smaller than this is none: 0.2 points."""


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


def answer_of(references: References) -> Answer:
    """Return whether to distill, by the joint intervals over all references.

    ``yes`` where the sweet spot's students beat those of hard labels and of label smoothing; ``no``
    where they do not beat one of them by `MARGIN`; ``undecided`` otherwise.
    """
    joint = [getattr(references, name).adjusted_interval or (0.0, 0.0) for name in WITHOUT_TEACHER]
    if all(low > 0 for low, _ in joint):
        return "yes"
    return "no" if any(high < MARGIN for _, high in joint) else "undecided"


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


def check_diverged(rows: Mapping[str, Sequence[StudentRow]]) -> dict[str, int]:
    """Return how many students of each name diverged, where any did.

    Raises:
        RunError: At least half of one name's students diverged, so nothing can be said of it.
    """
    counts = {name: sum(row.status == "diverged" for row in each) for name, each in rows.items()}
    lost = [name for name, count in counts.items() if 2 * count >= len(rows[name])]
    if lost:
        row = rows[lost[0]][0]
        raise RunError(
            f"{counts[lost[0]]} of {len(rows[lost[0]])} students of {_called(lost)} diverged: "
            "their weights are no longer finite, so there is nothing to compare or deliver. They "
            f"trained at a learning rate of {row.student_learning_rate:.2g}. Lower "
            "--student-learning-rate, or leave it out so that it is tuned; and leave "
            "--normalization at auto where inputs have large values."
        )
    return {name: count for name, count in counts.items() if count}


def told_diverged(counts: Mapping[str, int]) -> str:
    """Say which students diverged."""
    total = sum(counts.values())
    return (
        f"{total} student{'s' * (total > 1)} of {_called(counts)} diverged and count as wrong on "
        "every example. A lower --student-learning-rate helps."
    )


def told_unfinished(
    names: Iterable[str], epochs: Iterable[int], *, tuned: bool, until_converged: bool = False
) -> str:
    """Say which students were not trained enough, and what to type.

    Args:
        names: Of what they learned from.
        epochs: How long they trained.
        tuned: Whether the number of epochs was looked for, rather than named by the user.
        until_converged: Whether the largest limit was set already.
    """
    longest = max(epochs)
    what = f"Students of {_called(names)} were still getting better after {longest} epochs"
    if tuned and not until_converged:
        return f"{what}, the most that were tried. Go on with --until-converged."
    if tuned:
        return f"{what}, the limit. Name more in a new folder: --student-epochs {3 * longest}."
    return (
        f"{what}: they are not trained enough to be compared. Leave out --student-epochs (and "
        "--student-learning-rate), so that both are tuned, or name at least "
        f"--student-epochs {3 * longest}."
    )


def deliver_best(
    context: Context,
    arm: Arm,
    tasks: Sequence[StudentTask],
    correct: Mapping[Arm, npt.NDArray[np.bool_]],
    folder: str,
) -> None:
    """Deliver an arm's student that does best on the selection split.

    Args:
        context: The study.
        arm: What it learned from.
        tasks: Finished tasks that kept their students.
        correct: Who of them is right on the test split, bool [seeds, N] by arm.
        folder: Where in the study's folder it goes.
    """
    rows = rows_by_arm(context.store, tasks)[arm]
    number = max(range(len(rows)), key=lambda i: rows[i].selection_accuracy)
    task, _ = by_arm(tasks)[arm][number]
    card = make_card(
        context,
        architecture=task.student,
        arm=arm.key,
        seed=task.seed,
        accuracies=(rows[number].selection_accuracy, float(correct[arm][number].mean())),
    )
    deliver(context, task.load_student(context, arm), card, folder=folder)


def doubts(
    rows: Mapping[str, Sequence[StudentRow]],
    improving: Sequence[str],
    diverged: Mapping[str, int],
    *,
    tuned: bool,
    until_converged: bool = False,
) -> tuple[str, ...]:
    """Say what may be wrong with students' training, and what to type.

    Args:
        rows: The students by what they learned from.
        improving: Of what those learned that were still getting better.
        diverged: How many of each diverged.
        tuned: Whether the number of epochs was looked for, rather than named by the user.
        until_converged: Whether the largest limit was set already.
    """
    told = []
    if improving:
        epochs = [rows[name][0].student_epochs for name in improving]
        told.append(
            told_unfinished(improving, epochs, tuned=tuned, until_converged=until_converged)
        )
    return (*told, *([told_diverged(diverged)] if diverged else []))


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
    runs = (task.records(search.context.store) for task in search.trajectories)
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
    if gain <= MUCH:
        return []
    return [
        f"The converged teacher (batch size {last.batch_size}) was still getting better: "
        f"{percent(before.selection_accuracy)} % after epoch {before.epoch}, "
        f"{percent(last.selection_accuracy)} % after {last.epoch}. Train it longer, with "
        f"--epochs {2 * last.epoch}."
    ]


def _called(names: Iterable[str]) -> str:
    return listed([FAMILY.get(name, name.replace("_", " ")) for name in names])
