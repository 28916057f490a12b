"""Teachers that predict and were asked once, and what a student saves beside one of them."""

from __future__ import annotations

from collections.abc import Iterator

from goodteacher.config import Frozen
from goodteacher.records.latencies import Latency, latency_title

_ALIKE = 1.25
"""Sizes and times that differ by less than this factor are told as about the same."""


class Predictor(Frozen):
    """A teacher that predicts, as it was when it was asked once. It has no epochs."""

    latency: Latency | None = None
    """For one of the batches that it was asked about, its inputs' preparation included."""
    num_bytes: int | None = None
    """Size of its file, or of its weights in memory; None where nobody said."""
    labels: bool = False
    """Whether nobody labelled the training examples, so that their labels are its answers."""


class Savings(Frozen):
    """The delivered student beside a teacher that predicts; None where the teacher's is unknown."""

    teacher: str
    """Name of its run."""
    student_parameters: int
    student_bytes: int
    """All files that the delivered student needs."""
    teacher_bytes: int | None
    student_latency: Latency | None
    """On the CPU, one thread, for a batch as large as the teacher's."""
    teacher_latency: Latency | None

    @property
    def summary(self) -> str:
        """What is known, in sentences."""
        return " ".join(self._sentences())

    def _sentences(self) -> Iterator[str]:
        own = f"The delivered student has {self.student_parameters:,} parameters and"
        if self.teacher_bytes is not None:
            times = factor(self.teacher_bytes, self.student_bytes, "smaller", "larger")
            yield (
                f"{own} {shown_bytes(self.student_bytes)} of files: {times} its teacher "
                f"({self.teacher}, {shown_bytes(self.teacher_bytes)})."
            )
        if self.teacher_latency is not None and self.student_latency is not None:
            ours, theirs = self.student_latency, self.teacher_latency
            times = factor(theirs.median, ours.median, "faster", "slower")
            yield (
                f"For {latency_title(ours.batch_size)} the student takes {_shown_time(ours)} on "
                f"one CPU thread. {self.teacher} took {_shown_time(theirs)} when it was asked, on "
                f"its own hardware: the student is {times} its teacher."
            )


def factor(theirs: float, ours: float, better: str, worse: str) -> str:
    """Say how a student's size or time compares with a teacher's.

    Args:
        theirs: The teacher's.
        ours: The student's.
        better: What less of it is called.
        worse: What more of it is called.

    Example:
        >>> factor(300, 2, "smaller", "larger"), factor(2, 5, "faster", "slower")
        ('150 times smaller than', '2.5 times slower than')
        >>> factor(10, 11, "smaller", "larger")
        'about the same as'
    """
    ratio = theirs / max(ours, 1e-12)
    if 1 / _ALIKE < ratio < _ALIKE:
        return "about the same as"
    times, word = (ratio, better) if ratio > 1 else (1 / ratio, worse)
    return f"{_two_digits(times)} times {word} than"


def shown_bytes(count: int) -> str:
    """Write a size.

    Example:
        >>> shown_bytes(3_163_737), shown_bytes(5_300), shown_bytes(80)
        ('3.2 MB', '5.3 kB', '80 bytes')
    """
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            return f"{_two_digits(count / unit)} {name}"
    return f"{count} bytes"


def _shown_time(latency: Latency) -> str:
    middle, low, high = (1000 * value for value in (latency.median, *latency.quartiles))
    spread = f"{_two_digits(low)} to {_two_digits(high)}"
    return f"{_two_digits(middle)} ms (median of {latency.repetitions}, quartiles {spread})"


def _two_digits(value: float) -> str:
    """Write a positive number with two digits, or all before the point."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
