"""Find the teacher worth distilling.

The names below are the public interface. They are loaded when first used, so that
``goodteacher --help`` does not wait for PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from goodteacher.data import Dataset, Split, load_dataset
    from goodteacher.distillation import Distillation, distill
    from goodteacher.errors import (
        ConfigError,
        DataError,
        GoodteacherError,
        InputError,
        ModelError,
        ResponseError,
        RunError,
        StudyError,
    )
    from goodteacher.export import Classifier, load_student
    from goodteacher.given import doctor
    from goodteacher.losses import distillation_loss
    from goodteacher.responses import Response, read_response
    from goodteacher.results import Verdict
    from goodteacher.scoring import Score, score
    from goodteacher.similarity import SimilarityInformation, similarity_information
    from goodteacher.study import Study, search
    from goodteacher.targets import ladder_targets
    from goodteacher.verification import verify

__version__ = "0.1.0"

_HOMES = {
    "goodteacher.data": ("Dataset", "Split", "load_dataset"),
    "goodteacher.distillation": ("Distillation", "distill"),
    "goodteacher.errors": (
        "ConfigError",
        "DataError",
        "GoodteacherError",
        "InputError",
        "ModelError",
        "ResponseError",
        "RunError",
        "StudyError",
    ),
    "goodteacher.export": ("Classifier", "load_student"),
    "goodteacher.given": ("doctor",),
    "goodteacher.losses": ("distillation_loss",),
    "goodteacher.responses": ("Response", "read_response"),
    "goodteacher.results": ("Verdict",),
    "goodteacher.scoring": ("Score", "score"),
    "goodteacher.similarity": ("SimilarityInformation", "similarity_information"),
    "goodteacher.study": ("Study", "search"),
    "goodteacher.targets": ("ladder_targets",),
    "goodteacher.verification": ("verify",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Classifier",
    "ConfigError",
    "DataError",
    "Dataset",
    "Distillation",
    "GoodteacherError",
    "InputError",
    "ModelError",
    "Response",
    "ResponseError",
    "RunError",
    "Score",
    "SimilarityInformation",
    "Split",
    "Study",
    "StudyError",
    "Verdict",
    "__version__",
    "distill",
    "distillation_loss",
    "doctor",
    "ladder_targets",
    "load_dataset",
    "load_student",
    "read_response",
    "score",
    "search",
    "similarity_information",
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
