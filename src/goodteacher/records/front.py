"""Several students beside one another: how accurate, how large and how fast, and who is beaten.

A student is *on the front* if no other one is as accurate at less cost, or more accurate at the
same. That is a statement about means; which differences the intervals resolve is said with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Literal

from pydantic import Field

from goodteacher.config import Frozen
from goodteacher.records.latencies import Latency, latency_title
from goodteacher.records.results import Answer, Pair
from goodteacher.records.words import listed, percent


class FrontRow(Frozen):
    """One student of several, as its own study found it."""

    student: str
    folder: str = Field(description="of its study, below that of all students")
    parameters: int
    weight_bytes: int = Field(description="size of parameters and buffers")
    answer: Answer = Field(description="whether to distill")
    delivered: str = Field(description="family whose student is delivered")
    test_accuracy: float = Field(description="mean over the confirmed students of that family")
    interval: Pair
    hard_labels_accuracy: float
    hard_labels_interval: Pair
    gain: float = Field(description="sweet spot minus hard labels, paired")
    gain_interval: Pair | None
    num_seeds: int
    num_test: int = Field(description="test examples")
    latencies: tuple[Latency, ...] = ()
    on_front: bool = Field(
        default=False, description="no other student is as accurate with fewer parameters"
    )


class Front(Frozen):
    """Content of ``front.json``."""

    schema_version: Literal[1] = 1
    rows: tuple[FrontRow, ...]
    level: float
    machine: str = Field(description="where latencies were measured, on one thread")
    teacher_seconds: float = Field(
        description="training time of the teachers trained here, each run once, as long as any "
        "student asked for"
    )
    teacher_seconds_apart: float = Field(
        description="what it would have been in a search of its own for each student"
    )
    summary: str

    @property
    def latencies(self) -> tuple[Latency, ...]:
        """Every latency of every student."""
        return tuple(latency for row in self.rows for latency in row.latencies)

    @property
    def teacher_time(self) -> str:
        """What sharing the teachers saved, in a sentence."""
        if not self.teacher_seconds_apart:
            return "No teacher was trained here: all were recorded elsewhere."
        spared = self.teacher_seconds_apart - self.teacher_seconds
        return (
            f"The teachers trained for {self.teacher_seconds:,.1f} s. With a separate search for "
            f"each student, they would have trained for {self.teacher_seconds_apart:,.1f} s "
            f"({spared:,.1f} s more)."
        )


def repetitions_of(latencies: Iterable[Latency]) -> str:
    """Say how often each of some latencies was measured.

    Example:
        >>> from goodteacher.records.latencies import latency_of
        >>> repetitions_of([latency_of([(1, 0.1)] * 7), latency_of([(1, 0.02)] * 50)])
        '7 to 50'
    """
    found = {latency.repetitions for latency in latencies}
    return f"{min(found)} to {max(found)}" if len(found) > 1 else str(*found)


def undominated(points: Sequence[tuple[float, float]]) -> tuple[bool, ...]:
    """Say which points are beaten by no other one: none is as good in both, and better in one.

    Args:
        points: Accuracy (more is better) and cost (less is better) of each.

    Example:
        >>> undominated([(0.9, 10), (0.8, 5), (0.8, 7)])
        (True, True, False)
    """
    return tuple(not any(_beats(other, point) for other in points) for point in points)


def _beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one != other and one[0] >= other[0] and one[1] <= other[1]


def with_fronts(rows: Sequence[FrontRow]) -> tuple[FrontRow, ...]:
    """Return rows that say whether they are on the front, over parameters and each latency.

    Args:
        rows: All students, each with the same batch sizes of latencies.
    """
    by_size = undominated([(row.test_accuracy, row.parameters) for row in rows])
    by_time = [
        undominated(
            [(row.test_accuracy, time.median) for row, time in zip(rows, times, strict=True)]
        )
        for times in zip(*(row.latencies for row in rows), strict=True)
    ]
    return tuple(
        row.model_copy(
            update={
                "on_front": by_size[number],
                "latencies": tuple(
                    latency.model_copy(update={"on_front": flags[number]})
                    for latency, flags in zip(row.latencies, by_time, strict=True)
                ),
            }
        )
        for number, row in enumerate(rows)
    )


def summarize_front(rows: Sequence[FrontRow], *, level: float) -> str:
    """Say in plain sentences who is on the front, and which differences are resolved.

    Args:
        rows: All students, with their fronts.
        level: Of the intervals.
    """
    return " ".join(_sentences(rows, f"{100 * (1 - level):g} %"))


def _sentences(rows: Sequence[FrontRow], share: str) -> Iterator[str]:
    front = sorted((row for row in rows if row.on_front), key=lambda row: row.parameters)
    names = listed([row.student for row in front])
    yield f"Best accuracy for their number of parameters (the front): {names}."
    for small, large in pairwise(front):
        if _apart(small, large):
            yield (
                f"{large.student} ({percent(large.test_accuracy)} %) is more accurate than "
                f"{small.student} ({percent(small.test_accuracy)} %): their {share} intervals do "
                "not overlap."
            )
        else:
            yield (
                f"The {share} intervals of {small.student} and {large.student} overlap, so it is "
                "not shown that the larger one is more accurate."
            )
    for row in rows:
        if not row.on_front and not any(_apart(row, other) for other in _beating(row, rows)):
            yield (
                f"It is not shown that {row.student} is really below the front: its interval "
                "overlaps the intervals of all students that beat it."
            )
    for place in range(min(len(row.latencies) for row in rows)):
        yield from _on_latency(rows, place)
    if any(row.num_seeds == 1 for row in rows):
        yield "With one seed, intervals cover the test examples only."


def _on_latency(rows: Sequence[FrontRow], place: int) -> Iterator[str]:
    """Say who is on the front over a latency, and whose times do not clearly differ."""

    def latency(row: FrontRow) -> Latency:
        return row.latencies[place]

    front = sorted((r for r in rows if latency(r).on_front), key=lambda r: latency(r).median)
    what = latency_title(latency(rows[0]).batch_size)
    names = listed([row.student for row in front])
    yield f"Best accuracy for their latency with {what}: {names}."
    for quick, slow in pairwise(front):
        if latency(slow).quartiles[0] <= latency(quick).quartiles[1]:
            yield (
                f"The quartiles of the latencies of {quick.student} and {slow.student} overlap, "
                "so neither is shown to be faster."
            )


def _beating(row: FrontRow, rows: Sequence[FrontRow]) -> list[FrontRow]:
    own = row.test_accuracy, row.parameters
    return [other for other in rows if _beats((other.test_accuracy, other.parameters), own)]


def _apart(one: FrontRow, other: FrontRow) -> bool:
    """Say whether two students' intervals have nothing in common."""
    return one.interval[1] < other.interval[0] or other.interval[1] < one.interval[0]
