"""Teachers: trained and recorded, taken over from another study, and made of recorded responses."""

from goodteacher.teachers.foreign import Asked, Model, Prepare, stored
from goodteacher.teachers.mixing import MEANS, BlendTask, blends_of
from goodteacher.teachers.plan import (
    AverageTask,
    Branch,
    CooldownTask,
    TrajectoryTask,
    plan_branch,
    plan_teachers,
)
from goodteacher.teachers.port import (
    GivenTeacher,
    RecordedTeachers,
    Teacher,
    Teachers,
    combined,
)
from goodteacher.teachers.recorded_runs import (
    RecordedRun,
    RunNotes,
    SplitIds,
    measured_run,
    same_responses,
    why_other_data,
    why_other_notes,
    why_other_split,
    write_epoch,
)
from goodteacher.teachers.recording import recorded, recorded_teachers
from goodteacher.teachers.reuse import reusing
from goodteacher.teachers.running import load_teacher, stop_run

__all__ = [
    "MEANS",
    "Asked",
    "AverageTask",
    "BlendTask",
    "Branch",
    "CooldownTask",
    "GivenTeacher",
    "Model",
    "Prepare",
    "RecordedRun",
    "RecordedTeachers",
    "RunNotes",
    "SplitIds",
    "Teacher",
    "Teachers",
    "TrajectoryTask",
    "blends_of",
    "combined",
    "load_teacher",
    "measured_run",
    "plan_branch",
    "plan_teachers",
    "recorded",
    "recorded_teachers",
    "reusing",
    "same_responses",
    "stop_run",
    "stored",
    "why_other_data",
    "why_other_notes",
    "why_other_split",
    "write_epoch",
]
