"""A finished study taken up again, to ask more of its stored responses."""

from __future__ import annotations

from pathlib import Path

from goodteacher.data import Dataset
from goodteacher.engines import engine_of
from goodteacher.public.study import Study
from goodteacher.studies.progress import Silent
from goodteacher.studies.setting_up import resume_context
from goodteacher.sweet_spot.search import Search


def resumed(folder: Path, data: Dataset | None = None) -> Search:
    """Return the search of a study.

    Args:
        folder: The study's.
        data: Its data; None: they are found by name.
    """
    study = Study(folder)
    context = resume_context(study.folder, study.config, Silent(), data=data)
    return Search(study.config, context, engine_of(study.config, context))
