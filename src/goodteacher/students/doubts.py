"""What may be wrong with students' training, in words that say what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from torch import Tensor

from goodteacher.errors import RunError
from goodteacher.records import FAMILY, StudentRow, listed, percent

_ROUNDING = 1e-6
"""Of a mean of accuracies that are equal."""

_HARD_LABELS = ("cross_entropy", "hard_labels")
"""What a search, and a distillation, call the students of labels alone."""


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
            f"were trained with a learning rate of {row.student_learning_rate:.2g}. Lower "
            "--student-learning-rate, or leave it out so that it is tuned; and if inputs have "
            "large values, leave --normalization at auto."
        )
    return {name: count for name, count in counts.items() if count}


def told_diverged(counts: Mapping[str, int]) -> str:
    """Say which students diverged."""
    total = sum(counts.values())
    who = "1 student" if total == 1 else f"{total} students"
    counts_as = "counts" if total == 1 else "count"
    return (
        f"{who} of {_called(counts)} diverged and {counts_as} as wrong on every example. A lower "
        "--student-learning-rate helps."
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
        return (
            f"{what}, the largest number that was tried. Train them longer with --until-converged."
        )
    if tuned:
        return f"{what}, the limit. Train longer in a new folder: --student-epochs {3 * longest}."
    return (
        f"{what}: they are not trained enough to be compared. Leave out --student-epochs (and "
        "--student-learning-rate), so that both are tuned, or set at least --student-epochs "
        f"{3 * longest}."
    )


def without_learning(rows: Mapping[str, Sequence[StudentRow]], labels: Tensor) -> dict[str, float]:
    """Return what students did not learn from, with their mean accuracy on the selection split.

    They did not learn where they do no better than naming the commonest class each time, or reach
    not half of what students of hard labels do: what a learning rate that is too high makes of
    them, as of label smoothing with few examples in many dimensions. Students that diverged are
    told of elsewhere.

    Args:
        rows: The students by what they learned from; hard labels are among these.
        labels: Of the selection split, int64 [N].
    """
    healthy = {name: [r for r in each if r.status == "ok"] for name, each in rows.items()}
    reached = {n: fmean(r.selection_accuracy for r in each) for n, each in healthy.items() if each}
    hard = max((reached[name] for name in _HARD_LABELS if name in reached), default=0.0)
    commonest = float(labels.bincount().max()) / len(labels)
    return {n: x for n, x in reached.items() if x <= commonest + _ROUNDING or x < hard / 2}


def told_without_learning(failed: Mapping[str, float], *, tuned: bool) -> str:
    """Say which students did not learn, and what to type.

    Args:
        failed: What they learned from, with their accuracy on the selection split.
        tuned: Whether learning rates were looked for, rather than named by the user.
    """
    shares = listed([f"{percent(value)} %" for value in failed.values()])
    advice = (
        "Tuning did not help: look at their learning curves in the report, and check the data "
        "with goodteacher doctor."
        if tuned
        else "Lower --student-learning-rate, or leave it out (and --student-epochs), so that both "
        "are tuned."
    )
    return (
        f"Students of {_called(failed)} did not learn: they are right on {shares} of the "
        f"selection split, so comparisons with them are meaningless. {advice}"
    )


def told_doubts(
    rows: Mapping[str, Sequence[StudentRow]],
    improving: Sequence[str],
    diverged: Mapping[str, int],
    failed: Mapping[str, float],
    *,
    tuned: bool,
    until_converged: bool = False,
) -> tuple[str, ...]:
    """Say what may be wrong with students' training, and what to type.

    Args:
        rows: The students by what they learned from.
        improving: Of what those learned that were still getting better.
        diverged: How many of each diverged.
        failed: What students did not learn from: see :func:`without_learning`.
        tuned: Whether the number of epochs was looked for, rather than named by the user.
        until_converged: Whether the largest limit was set already.
    """
    told = []
    if improving:
        epochs = [rows[name][0].student_epochs for name in improving]
        told.append(
            told_unfinished(improving, epochs, tuned=tuned, until_converged=until_converged)
        )
    if failed:  # after what may be the reason
        told.append(told_without_learning(failed, tuned=tuned))
    return (*told, *([told_diverged(diverged)] if diverged else []))


def _called(names: Iterable[str]) -> str:
    return listed([FAMILY.get(name, name.replace("_", " ")) for name in names])
