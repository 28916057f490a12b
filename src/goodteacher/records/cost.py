"""What a search took."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from goodteacher.records.results import BlendRecord, TrajectoryRecord


def known_seconds(runs: Iterable[Sequence[TrajectoryRecord]]) -> float | None:
    """Return the training time of those runs that were timed, seconds; None where none was.

    Args:
        runs: The records of each run, in order.
    """
    known = [run[-1].seconds for run in runs]
    timed = [seconds for seconds in known if seconds is not None]
    return sum(timed) if timed or not known else None


def variant_seconds(
    runs: Iterable[Sequence[TrajectoryRecord]],
    branches: Iterable[TrajectoryRecord],
    means: Iterable[BlendRecord],
) -> dict[str, float]:
    """Return the seconds that each kind of teacher took, responses and measurement included.

    What was not timed, as of runs recorded elsewhere, counts nothing.

    Args:
        runs: The records of each trajectory, in order.
        branches: The records of moving averages and cooldowns.
        means: Measured means of responses.
    """
    seconds: dict[str, float] = defaultdict(float)
    for run in runs:
        seconds["raw"] += (run[-1].seconds or 0.0) + sum(record.recording_seconds for record in run)
    for record in branches:
        seconds[record.variant] += (record.seconds or 0.0) + record.recording_seconds
    for mean in means:
        seconds[mean.source.variant] += mean.recording_seconds
    return dict(seconds)
