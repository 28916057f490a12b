"""Teachers: trained and recorded, taken over from another study, and made of recorded responses."""

from goodteacher.teachers.asking import (
    ASKED,
    AskedOf,
    Asking,
    Predict,
    as_numpy,
    forget_answers,
    places_of,
    rows_of,
)
from goodteacher.teachers.checkpoints import (
    Contents,
    ForeignCheckpoint,
    attributes_of,
    check_pattern,
    epochs_of,
    find_checkpoints,
    read_checkpoint,
    weights_for,
)
from goodteacher.teachers.foreign import Asked, Model, Prepare, stored
from goodteacher.teachers.mixing import MEANS, BlendTask, blends_of
from goodteacher.teachers.onnx_files import onnx_teacher
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
from goodteacher.teachers.recording import (
    recorded,
    recorded_teachers,
    response_file,
    response_name,
)
from goodteacher.teachers.reuse import reusing
from goodteacher.teachers.running import load_teacher, stop_run
from goodteacher.teachers.taking import (
    TakenTask,
    check_recorded_runs,
    plan_keys,
    plan_taken,
)

__all__ = [
    "ASKED",
    "MEANS",
    "Asked",
    "AskedOf",
    "Asking",
    "AverageTask",
    "BlendTask",
    "Branch",
    "Contents",
    "CooldownTask",
    "ForeignCheckpoint",
    "GivenTeacher",
    "Model",
    "Predict",
    "Prepare",
    "RecordedRun",
    "RecordedTeachers",
    "RunNotes",
    "SplitIds",
    "TakenTask",
    "Teacher",
    "Teachers",
    "TrajectoryTask",
    "as_numpy",
    "attributes_of",
    "blends_of",
    "check_pattern",
    "check_recorded_runs",
    "combined",
    "epochs_of",
    "find_checkpoints",
    "forget_answers",
    "load_teacher",
    "measured_run",
    "onnx_teacher",
    "places_of",
    "plan_branch",
    "plan_keys",
    "plan_taken",
    "plan_teachers",
    "read_checkpoint",
    "recorded",
    "recorded_teachers",
    "response_file",
    "response_name",
    "reusing",
    "rows_of",
    "same_responses",
    "stop_run",
    "stored",
    "weights_for",
    "why_other_data",
    "why_other_notes",
    "why_other_split",
    "write_epoch",
]
