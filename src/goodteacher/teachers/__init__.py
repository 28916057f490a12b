"""Teachers: trained and recorded, taken over from another study, and made of recorded responses."""

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
from goodteacher.teachers.recording import recorded, recorded_teachers
from goodteacher.teachers.reuse import reusing, take_branches
from goodteacher.teachers.running import forget_states, load_teacher, stop_run

__all__ = [
    "MEANS",
    "AverageTask",
    "BlendTask",
    "Branch",
    "CooldownTask",
    "GivenTeacher",
    "RecordedTeachers",
    "Teacher",
    "Teachers",
    "TrajectoryTask",
    "blends_of",
    "combined",
    "forget_states",
    "load_teacher",
    "plan_branch",
    "plan_teachers",
    "recorded",
    "recorded_teachers",
    "reusing",
    "stop_run",
    "take_branches",
]
