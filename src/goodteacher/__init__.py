"""Find the teacher worth distilling.

The names below are the public interface. They are loaded when first used, so that
``goodteacher --help`` does not wait for PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from goodteacher.data import Dataset, Split, load_dataset
    from goodteacher.delivery import Classifier, load_student
    from goodteacher.errors import (
        ConfigError,
        DataError,
        GoodteacherError,
        InputError,
        ModelError,
        PackageError,
        ResponseError,
        RunError,
        StorageError,
        StudyError,
    )
    from goodteacher.integrations.sklearn import DistilledClassifier
    from goodteacher.maths.losses import distillation_loss
    from goodteacher.maths.similarity import SimilarityInformation, similarity_information
    from goodteacher.maths.targets import ladder_targets
    from goodteacher.public.checking import doctor
    from goodteacher.public.distillation import Distillation, distill
    from goodteacher.public.dividing import split
    from goodteacher.public.exporting import export
    from goodteacher.public.planning import plan
    from goodteacher.public.predicting import Responded, respond
    from goodteacher.public.recipes import ImportedRecipe, import_recipe
    from goodteacher.public.recording import Recorder
    from goodteacher.public.responding import record_checkpoints
    from goodteacher.public.scoring import Score, score
    from goodteacher.public.searching import search
    from goodteacher.public.several import SeveralStudies
    from goodteacher.public.study import Study
    from goodteacher.public.tracking import track
    from goodteacher.public.verification import verify
    from goodteacher.records import Export, SearchPlan, Verdict
    from goodteacher.report import Comparison, Plot, compare
    from goodteacher.responses import Response, read_response
    from goodteacher.training.machine import tuned_cpu

__version__ = "0.1.0"

_HOMES = {
    "goodteacher.data": ("Dataset", "Split", "load_dataset"),
    "goodteacher.public.distillation": ("Distillation", "distill"),
    "goodteacher.errors": (
        "ConfigError",
        "DataError",
        "GoodteacherError",
        "InputError",
        "ModelError",
        "PackageError",
        "ResponseError",
        "RunError",
        "StorageError",
        "StudyError",
    ),
    "goodteacher.delivery": ("Classifier", "load_student"),
    "goodteacher.integrations.sklearn": ("DistilledClassifier",),
    "goodteacher.public.checking": ("doctor",),
    "goodteacher.public.recipes": ("ImportedRecipe", "import_recipe"),
    "goodteacher.maths.losses": ("distillation_loss",),
    "goodteacher.responses": ("Response", "read_response"),
    "goodteacher.records.results": ("Verdict",),
    "goodteacher.public.planning": ("plan",),
    "goodteacher.public.predicting": ("Responded", "respond"),
    "goodteacher.public.dividing": ("split",),
    "goodteacher.records": ("Export", "SearchPlan"),
    "goodteacher.public.exporting": ("export",),
    "goodteacher.report": ("Comparison", "Plot", "compare"),
    "goodteacher.public.recording": ("Recorder",),
    "goodteacher.public.responding": ("record_checkpoints",),
    "goodteacher.public.scoring": ("Score", "score"),
    "goodteacher.maths.similarity": ("SimilarityInformation", "similarity_information"),
    "goodteacher.public.searching": ("search",),
    "goodteacher.public.several": ("SeveralStudies",),
    "goodteacher.public.study": ("Study",),
    "goodteacher.public.tracking": ("track",),
    "goodteacher.maths.targets": ("ladder_targets",),
    "goodteacher.training.machine": ("tuned_cpu",),
    "goodteacher.public.verification": ("verify",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Classifier",
    "Comparison",
    "ConfigError",
    "DataError",
    "Dataset",
    "Distillation",
    "DistilledClassifier",
    "Export",
    "GoodteacherError",
    "ImportedRecipe",
    "InputError",
    "ModelError",
    "PackageError",
    "Plot",
    "Recorder",
    "Responded",
    "Response",
    "ResponseError",
    "RunError",
    "Score",
    "SearchPlan",
    "SeveralStudies",
    "SimilarityInformation",
    "Split",
    "StorageError",
    "Study",
    "StudyError",
    "Verdict",
    "__version__",
    "compare",
    "distill",
    "distillation_loss",
    "doctor",
    "export",
    "import_recipe",
    "ladder_targets",
    "load_dataset",
    "load_student",
    "plan",
    "read_response",
    "record_checkpoints",
    "respond",
    "score",
    "search",
    "similarity_information",
    "split",
    "track",
    "tuned_cpu",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'goodteacher' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
