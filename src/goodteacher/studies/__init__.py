"""A study: its folder, what it is set up with, the tasks that are run in it, who watches."""

from goodteacher.studies.door import checked_settings
from goodteacher.studies.environment import Environment, environments
from goodteacher.studies.files import (
    BLENDS_FILE,
    DECISIONS_FILE,
    EVIDENCE_FILE,
    RESPONSE_FILE,
    RESULT_FILE,
    SWEET_SPOT_FILE,
    VERDICT_FILE,
)
from goodteacher.studies.progress import Progress, Silent, logger, say
from goodteacher.studies.setting_up import DataLike, name_of_data, prepare_context, resume_context
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
    "RESPONSE_FILE",
    "RESULT_FILE",
    "SWEET_SPOT_FILE",
    "VERDICT_FILE",
    "Context",
    "DataKey",
    "DataLike",
    "Engine",
    "Environment",
    "Progress",
    "Silent",
    "Store",
    "Task",
    "checked_settings",
    "environments",
    "is_done",
    "load_weights",
    "logger",
    "name_of_data",
    "prepare_context",
    "read_tensors",
    "reading",
    "resume_context",
    "runner_of",
    "say",
    "weights_difference",
]
