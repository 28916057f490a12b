"""A study: its folder, what it is set up with, the tasks that are run in it, who watches."""

from goodteacher.studies.door import checked_settings, checked_students, raise_all
from goodteacher.studies.environment import Environment, described_machine, environments
from goodteacher.studies.files import (
    BLENDS_FILE,
    DECISIONS_FILE,
    EVIDENCE_FILE,
    FRONT_FILE,
    RESPONSE_FILE,
    RESULT_FILE,
    STUDENTS_FILE,
    SWEET_SPOT_FILE,
    VERDICT_FILE,
)
from goodteacher.studies.progress import OneOfSeveral, Progress, Silent, logger, say
from goodteacher.studies.setting_up import (
    DataLike,
    begin_several,
    check_place,
    check_study,
    name_of_data,
    prepare_context,
    resume_context,
)
from goodteacher.studies.several import (
    StudentsRecord,
    holds_several,
    read_students,
    study_folders,
    which_study,
)
from goodteacher.studies.store import (
    CONFIG_FILE,
    Store,
    load_weights,
    read_tensors,
    reading,
    weights_difference,
)
from goodteacher.studies.tasks import Context, DataKey, Engine, Task, is_done, runner_of

__all__ = [
    "BLENDS_FILE",
    "CONFIG_FILE",
    "DECISIONS_FILE",
    "EVIDENCE_FILE",
    "FRONT_FILE",
    "RESPONSE_FILE",
    "RESULT_FILE",
    "STUDENTS_FILE",
    "SWEET_SPOT_FILE",
    "VERDICT_FILE",
    "Context",
    "DataKey",
    "DataLike",
    "Engine",
    "Environment",
    "OneOfSeveral",
    "Progress",
    "Silent",
    "Store",
    "StudentsRecord",
    "Task",
    "begin_several",
    "check_place",
    "check_study",
    "checked_settings",
    "checked_students",
    "described_machine",
    "environments",
    "holds_several",
    "is_done",
    "load_weights",
    "logger",
    "name_of_data",
    "prepare_context",
    "raise_all",
    "read_students",
    "read_tensors",
    "reading",
    "resume_context",
    "runner_of",
    "say",
    "study_folders",
    "weights_difference",
    "which_study",
]
