"""What may be wrong with students' training, in words that say what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from goodteacher.errors import RunError
from goodteacher.records import FAMILY, StudentRow, listed


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
        return f"{what}, the most that were tried. Go on with --until-converged."
    if tuned:
        return f"{what}, the limit. Name more in a new folder: --student-epochs {3 * longest}."
    return (
        f"{what}: they are not trained enough to be compared. Leave out --student-epochs (and "
        "--student-learning-rate), so that both are tuned, or name at least "
        f"--student-epochs {3 * longest}."
    )


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


def _called(names: Iterable[str]) -> str:
    return listed([FAMILY.get(name, name.replace("_", " ")) for name in names])
