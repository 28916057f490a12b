"""Settings of a study: frozen, checked on construction, saved beside the results.

A setting has one name everywhere: it is a field of one class in :mod:`goodteacher.config.settings`,
:mod:`goodteacher.config.common` or :mod:`goodteacher.config.commands`, the key in ``study.toml``,
the keyword of :func:`goodteacher.search` and, with dashes, the option of ``goodteacher search``.
Its description there is the text of ``--help``. Unknown names are refused.
"""

from goodteacher.config.augmentation import Augmentation
from goodteacher.config.commands import DistillConfig, EvidenceConfig, RespondConfig, VerifyConfig
from goodteacher.config.common import DataConfig, KeptConfig, ReadingConfig, RuntimeConfig
from goodteacher.config.files import check_name, check_regular
from goodteacher.config.reading import (
    RUNTIME_SETTINGS,
    differences,
    parse,
    read_toml,
    to_toml,
    unknown_settings,
)
from goodteacher.config.runs import (
    Attribute,
    PlannedRun,
    Run,
    group_of,
    in_words,
    run_order,
    shown_attribute,
)
from goodteacher.config.settings import (
    GridConfig,
    SearchConfig,
    StudentConfig,
    StudyConfig,
    TeacherConfig,
)
from goodteacher.config.values import (
    MULTISTEP,
    ConfigT,
    Frozen,
    LossName,
    Optimization,
    OptimizerName,
    PositiveFloat,
    PositiveFloats,
    Recipe,
    ScheduleName,
    ScoreName,
    Temperatures,
    TrackerName,
    Training,
    VariantName,
    digest_of,
    paths,
    split_commas,
)

__all__ = [
    "MULTISTEP",
    "RUNTIME_SETTINGS",
    "Attribute",
    "Augmentation",
    "ConfigT",
    "DataConfig",
    "DistillConfig",
    "EvidenceConfig",
    "Frozen",
    "GridConfig",
    "KeptConfig",
    "LossName",
    "Optimization",
    "OptimizerName",
    "PlannedRun",
    "PositiveFloat",
    "PositiveFloats",
    "ReadingConfig",
    "Recipe",
    "RespondConfig",
    "Run",
    "RuntimeConfig",
    "ScheduleName",
    "ScoreName",
    "SearchConfig",
    "StudentConfig",
    "StudyConfig",
    "TeacherConfig",
    "Temperatures",
    "TrackerName",
    "Training",
    "VariantName",
    "VerifyConfig",
    "check_name",
    "check_regular",
    "differences",
    "digest_of",
    "group_of",
    "in_words",
    "parse",
    "paths",
    "read_toml",
    "run_order",
    "shown_attribute",
    "split_commas",
    "to_toml",
    "unknown_settings",
]
