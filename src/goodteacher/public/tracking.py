"""``track``: tell trackers of experiments what a study has found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from goodteacher.config import RuntimeConfig, parse
from goodteacher.public.study import Study
from goodteacher.report import tell_trackers
from goodteacher.studies import Progress, Store


def track(
    study: str | Path | Study, tracker: str | Sequence[str], *, progress: Progress | None = None
) -> None:
    """Tell trackers what a study has found so far; what they have been told before is left out.

    Args:
        study: A study, a distillation or a verification, or its folder.
        tracker: ``mlflow``, ``tensorboard`` or ``wandb``, or several of them.
        progress: Told where a tracker fails.

    Raises:
        ConfigError: There is no such tracker.
        PackageError: Its package is not installed.
        StudyError: There is no study.
    """
    names = parse(RuntimeConfig, tracker=tracker).tracker
    store = study.store if isinstance(study, Study) else Store.open(study)
    tell_trackers(names, store.root, progress)
