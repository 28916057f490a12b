"""TensorBoard: event files in the folder ``tensorboard`` of the study.

``tensorboard --logdir STUDY/tensorboard`` shows them; of several studies, the folder of all.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from goodteacher.report.trackers.telling import package_of
from goodteacher.report.trackers.told import Told
from goodteacher.studies import Store

FOLDER = "tensorboard"
_PAGES = (".md",)
"""Files that TensorBoard can show: as text."""


class TensorBoardTracker:
    """Event files of TensorBoard.

    Args:
        store: The study.
    """

    def __init__(self, store: Store) -> None:
        package_of("tensorboard", "tensorboard")
        self._writer_of: Any = package_of("tensorboard", "torch.utils.tensorboard").SummaryWriter
        self._store = store
        self._writer: Any = None

    def begin(self, run: str | None) -> str:
        """Go on in the folder where its events are, or make it."""
        there = bool(self._store.matching(f"{FOLDER}/events.*"))
        self._folder = self._store.files.draft(FOLDER)
        self._writer = self._writer_of(str(self._folder))
        # a folder whose events were removed knows nothing any more
        return run if run is not None and there else f"{FOLDER} {uuid.uuid4().hex[:8]}"

    def tell(self, news: Told) -> None:
        """Write numbers as scalars; settings, words and the model card as texts."""
        for name, curve in news.curves.items():
            for step, value in curve:
                self._writer.add_scalar(name, value, step)
        for name, value in news.results.items():
            self._writer.add_scalar(name, value, 0)
        if news.settings:
            self._writer.add_text("settings", _table(news.settings))
        for name, text in news.words.items():
            self._writer.add_text(name, text)
        for name in news.files:
            if name.endswith(_PAGES):
                self._writer.add_text(name, self._store.read_text(name))
        self._writer.flush()
        self._store.files.publish(FOLDER, self._folder)

    def end(self) -> None:
        """Close the event file."""
        self._writer.close()
        self._store.files.publish(FOLDER, self._folder)


def _table(settings: Mapping[str, str]) -> str:
    rows = [f"| {name} | {value} |" for name, value in settings.items()]
    return "\n".join(["| setting | value |", "|---|---|", *rows])
