"""Weights & Biases: an offline run, which ``wandb sync`` sends, unless ``WANDB_MODE`` says else.

Runs lie in the study's folder ``wandb``, or where ``WANDB_DIR`` says; the project is that of
``WANDB_PROJECT``, or ``goodteacher``.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

from goodteacher.report.trackers.telling import package_of
from goodteacher.report.trackers.told import Told
from goodteacher.studies import Store


class WandbTracker:
    """A run of Weights & Biases.

    Args:
        store: The study; its folder's name is the run's.
    """

    def __init__(self, store: Store) -> None:
        self._package: Any = package_of("wandb", "wandb")
        self._store = store
        self._run: Any = None

    def begin(self, run: str | None) -> str:
        """Open the run; a stopped one goes on in a folder of its own, under the same id."""
        self._folder = self._store.files.draft("")
        folder = os.environ.get("WANDB_DIR", str(self._folder))
        mode = os.environ.get("WANDB_MODE", "offline")
        gone = mode == "offline" and not list(Path(folder).glob(f"wandb/*-{run}"))
        package, number = self._package, run if run and not gone else uuid.uuid4().hex[:12]
        self._run = package.init(
            project=os.environ.get("WANDB_PROJECT", "goodteacher"),
            id=number,
            resume="allow",
            name=self._store.name,
            dir=folder,
            mode=mode,
            settings=package.Settings(console="off", silent=True, disable_git=True),
        )
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")
        return number

    def tell(self, news: Told) -> None:
        """Log settings as the configuration, numbers as metrics, words and results as summary."""
        if news.settings:
            self._run.config.update(dict(news.settings), allow_val_change=True)
        for name, curve in news.curves.items():
            for step, value in curve:
                self._run.log({name: value, "step": step})
        self._run.summary.update({**news.results, **news.words})
        for name in news.files:
            path = self._store.local(name)
            self._run.save(str(path), base_path=str(path.parent), policy="now")

    def end(self) -> None:
        """Close the run."""
        self._run.finish()
        self._store.files.publish("", self._folder)
