"""Who competes: the shortlist, the two reference teachers, and the arms of each family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from goodteacher.config import ScoreName, StudyConfig
from goodteacher.errors import RunError
from goodteacher.records import (
    CROSS_ENTROPY,
    Arm,
    Decision,
    TeacherRecord,
    TeacherSource,
    TrajectoryRecord,
    smoothing_arm,
)
from goodteacher.students import Family
from goodteacher.sweet_spot.scores import NO_PROBES, Probes, ranked

FAMILIES: tuple[Family, ...] = (
    "sweet_spot",
    "cross_entropy",
    "label_smoothing",
    "converged_teacher",
    "most_accurate_teacher",
)
"""The sweet spot and its references; each family has a winner."""


@dataclass(frozen=True)
class Competitors:
    """The teachers of a search, by what they compete as.

    Attributes:
        candidates: For the sweet spot.
        converged: The reference that common practice would take.
        most_accurate: The reference of highest accuracy.
    """

    candidates: tuple[TeacherRecord, ...]
    converged: TrajectoryRecord
    most_accurate: TrajectoryRecord

    def families(self, config: StudyConfig) -> dict[Family, tuple[Arm, ...]]:
        """Return the arms of each family.

        Args:
            config: The study's settings.
        """
        return {
            "sweet_spot": _arms(config, [record.source for record in self.candidates]),
            "cross_entropy": (CROSS_ENTROPY,),
            "label_smoothing": tuple(smoothing_arm(value) for value in config.smoothings),
            "converged_teacher": _arms(config, [self.converged.checkpoint]),
            "most_accurate_teacher": _arms(config, [self.most_accurate.checkpoint]),
        }

    def decisions(self, config: StudyConfig) -> list[Decision]:
        """Return who was chosen, and why.

        Args:
            config: The study's settings.
        """
        listed = [record.source for record in self.candidates]
        every = "every teacher: the search is exhaustive"
        best = f"the best {config.shortlist} by {config.shortlist_by}; a blend is always added"
        ended = "the last one trained" if self.converged.stopped else "the end of its run"
        return [
            Decision(
                what="shortlist",
                teachers=tuple(listed),
                reason=every if config.exhaustive else best,
            ),
            Decision(
                what="converged_teacher",
                teachers=(self.converged.checkpoint,),
                reason=f"the most accurate of the last ones; {ended}",
            ),
            Decision(
                what="most_accurate_teacher",
                teachers=(self.most_accurate.checkpoint,),
                reason=f"{self.most_accurate.selection_accuracy:.4f} on the selection split",
            ),
        ]


def compete(
    config: StudyConfig,
    records: Sequence[TrajectoryRecord],
    others: Sequence[TeacherRecord] = (),
    probes: Probes = NO_PROBES,
) -> Competitors:
    """Choose who competes.

    Args:
        config: The study's settings.
        records: Recorded epochs of all trajectories, none diverged.
        others: Their moving averages and cooldowns, and means of their responses.
        probes: Accuracies of probe students, for a shortlist by a score that needs them.

    Raises:
        RunError: No teacher of the variants wanted is there.
    """
    competing = candidates(config, records, others, probes)
    if not competing:
        raise RunError(
            f"no teacher of variants = {','.join(config.variants)} is left: either all diverged, "
            "or averages found fewer than two recorded epochs. Add raw to variants, or record "
            "more epochs."
        )
    return Competitors(tuple(competing), converged(records), most_accurate(records))


def candidates(
    config: StudyConfig,
    records: Sequence[TrajectoryRecord],
    others: Sequence[TeacherRecord] = (),
    probes: Probes = NO_PROBES,
) -> list[TeacherRecord]:
    """Return the teachers that compete for the sweet spot.

    All compete for the shortlist but a blend, which always joins it: its NLL was minimised on the
    examples that rank, so its own rank would say little.

    Args:
        config: The study's settings.
        records: Recorded epochs of all trajectories, none diverged.
        others: Their moving averages and cooldowns, and means of their responses.
        probes: Accuracies of probe students, for a shortlist by a score that needs them.
    """
    listed = rivals(config, records, others)
    chosen = [r for r in others if r.source.variant == "blend"]
    if not config.exhaustive:
        listed = shortlist(listed, config.shortlist, by=config.shortlist_by, probes=probes)
    return [*listed, *chosen]


def rivals(
    config: StudyConfig,
    records: Sequence[TrajectoryRecord],
    others: Sequence[TeacherRecord],
) -> list[TeacherRecord]:
    """Return the teachers that compete for the shortlist."""
    raw = records if "raw" in config.variants else ()
    return [*raw, *(record for record in others if record.source.variant != "blend")]


def shortlist(
    records: Sequence[TeacherRecord],
    size: int,
    *,
    by: ScoreName = "best_nll",
    probes: Probes = NO_PROBES,
) -> list[TeacherRecord]:
    """Return the teachers of best score, best first."""
    return ranked(records, by, probes)[:size]


def converged(records: Sequence[TrajectoryRecord]) -> TrajectoryRecord:
    """Return the teacher that common practice would take: the most accurate of the final ones.

    Teachers that probe students stopped are final only where none was taught to the end.
    """
    last: dict[str, TrajectoryRecord] = {}
    for record in records:
        before = last.get(record.run, record)
        last[record.run] = max(before, record, key=lambda one: one.epoch)
    taught = [record for record in last.values() if not record.stopped]
    return most_accurate(taught or list(last.values()))


def most_accurate(records: Sequence[TrajectoryRecord]) -> TrajectoryRecord:
    """Return the teacher with the highest accuracy on the selection split."""
    return max(records, key=lambda record: record.by_accuracy)


def _arms(config: StudyConfig, teachers: Sequence[TeacherSource]) -> tuple[Arm, ...]:
    return tuple(
        Arm(source=teacher, recipe=recipe) for teacher in teachers for recipe in config.recipes
    )
