"""A search for a student of one response that is in memory, recorded on the way."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from goodteacher.config import StudyConfig
from goodteacher.data import Dataset
from goodteacher.public.recording import Recorder
from goodteacher.public.searching import search
from goodteacher.public.study import Study
from goodteacher.public.verification import verify
from goodteacher.records import Verdict
from goodteacher.studies import checked_settings


@dataclass(frozen=True)
class Studied:
    """A finished search, with what is needed to ask it further.

    Attributes:
        study: What it found.
        data: Its data.
    """

    study: Study
    data: Dataset

    def judge(self, **settings: Any) -> Verdict:
        """Return the verdict on the student, and the ladder.

        Args:
            **settings: As `goodteacher.verify` takes them for a study, such as ``seeds``.
        """
        return verify(self.study, data=self.data, **settings)


def check_search(student: str, settings: Mapping[str, Any]) -> None:
    """Refuse a student or settings that cannot work.

    Args:
        student: Specification.
        settings: Of the search.

    Raises:
        InputError: With a line for each thing that cannot work.
    """
    networks = {"student": student}
    checked_settings(StudyConfig, networks=networks, data="table", trajectories=["."], **settings)


def search_response(
    data: Dataset, logits: Tensor, *, student: str, out: str | Path | None, **settings: Any
) -> Studied:
    """Search for a student of one response.

    Args:
        data: A data set whose training ids are row numbers.
        logits: The response on the training data, [N, C], in their order.
        student: Specification.
        out: Folder for the response and the study; None for a temporary one, which ends with the
            object that is returned.
        **settings: Any field of :class:`~goodteacher.config.StudyConfig`.

    Raises:
        InputError: Something given cannot work.
    """
    root = Path(tempfile.mkdtemp(prefix="goodteacher-") if out is None else out)
    try:
        studied = Studied(_searched(data, logits, student, root, settings), data)
    except BaseException:
        if out is None:
            shutil.rmtree(root, ignore_errors=True)
        raise
    if out is None:
        weakref.finalize(studied, shutil.rmtree, root, ignore_errors=True)
    return studied


def _searched(
    data: Dataset, logits: Tensor, student: str, root: Path, settings: Mapping[str, Any]
) -> Study:
    """Record the response, and search."""
    names = ("selection_fraction", "transfer_fraction", "split_seed")
    divided = {name: settings[name] for name in names if name in settings}
    recorder = Recorder(root / "teacher", data, **divided)
    parts = {"transfer": recorder.transfer.ids, "selection": recorder.selection.ids}
    recorder.record(logits={name: logits[ids] for name, ids in parts.items()}, epoch=1)
    trajectories = [str(recorder.folder)]
    study: Study = search(
        data, trajectories=trajectories, student=student, out=root / "study", **settings
    )
    return study
