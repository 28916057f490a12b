"""Probe students of one epoch that rank teachers for the shortlist, if its score needs them.

Those of a run begin once it is trained and what branches off it is there; those of means of
responses, which need every run, begin last.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from goodteacher.config import Training
from goodteacher.records import TeacherRecord, TeacherSource
from goodteacher.students import StudentTask, is_planned
from goodteacher.studies import Flow, Needs, Until
from goodteacher.sweet_spot.choice import rivals
from goodteacher.sweet_spot.probing import probe_task
from goodteacher.sweet_spot.scores import SCORES
from goodteacher.sweet_spot.teachers import TeacherRuns
from goodteacher.teachers import TakenTask, TrajectoryTask

PROBES = "probe students"
"""What a watcher calls them."""


@dataclass(frozen=True)
class ShortlistProbes:
    """The probe students that rank teachers.

    Attributes:
        teachers: The teachers of a search.
        training: Says how probe students train; asked for when the first is needed.
    """

    teachers: TeacherRuns
    training: Callable[[], Training]

    @property
    def needed(self) -> bool:
        """Whether the score of the shortlist asks for any."""
        config = self.teachers.config
        return SCORES[config.shortlist_by].needs_probes and not config.exhaustive

    def of_run(self, task: TrajectoryTask | TakenTask) -> Flow[None]:
        """Train those of the teachers of one run.

        Args:
            task: The run, recorded.
        """
        if not self.needed:
            return
        teachers = self.teachers
        yield Until(lambda: is_planned(teachers.context.store))
        records = [record for record in teachers.records(task) if record.status == "ok"]
        run = task.run.name
        branches = [record for record in teachers.branched() if record.run == run]
        probes = self.of(rivals(teachers.config, records, branches))
        if probes:
            yield Needs(PROBES, probes)

    def of(self, records: Iterable[TeacherRecord]) -> tuple[StudentTask, ...]:
        """Return the probe students of some teachers, a task for each run; none if not needed.

        Args:
            records: The teachers that compete for the shortlist.
        """
        if not self.needed:
            return ()
        by_run: dict[str | None, list[TeacherSource]] = defaultdict(list)
        for record in records:
            by_run[getattr(record.source, "run", None)].append(record.source)
        return tuple(map(self.of_sources, by_run.values()))

    def of_sources(self, sources: list[TeacherSource]) -> StudentTask:
        """Return the probe students of some teachers as one task.

        Args:
            sources: Whose.
        """
        teachers = self.teachers
        return probe_task(
            teachers.config,
            teachers.data,
            sources,
            number=len(teachers.config.recorded_epochs),
            training=self.training(),
            teachers=teachers.keys,
        )
