"""When trackers are told: as each stage begins, what the one before has left, and at the end."""

from __future__ import annotations

import logging
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Literal, Protocol, cast

from pydantic import Field

from goodteacher.config import Frozen, TrackerName
from goodteacher.errors import needed_package
from goodteacher.report.trackers.told import Sent, Told, told_of
from goodteacher.studies import CONFIG_FILE, Progress, Silent, Store, say

NOTES_FILE = "trackers.json"

TRACKERS: Mapping[TrackerName, str] = {
    "mlflow": "goodteacher.report.trackers.mlflow:MlflowTracker",
    "tensorboard": "goodteacher.report.trackers.tensorboard:TensorBoardTracker",
    "wandb": "goodteacher.report.trackers.wandb:WandbTracker",
}
"""Where each tracker's class is: a name, so that nothing of it is imported before it is asked."""


class Tracker(Protocol):
    """What is told about one study."""

    def begin(self, run: str | None) -> str:
        """Open the run that was told before, or a new one.

        Args:
            run: What :meth:`begin` returned the last time; None at the first.

        Returns:
            What this run is called; another name than was given says that it knows nothing yet.
        """

    def tell(self, news: Told) -> None:
        """Tell what is new."""

    def end(self) -> None:
        """Close the run; it can be begun again."""


class Notes(Frozen):
    """Content of ``trackers.json``: what each tracker has been told."""

    schema_version: Literal[1] = 1
    sent: dict[TrackerName, Sent] = Field(default={})


def package_of(name: str, package: str) -> ModuleType:
    """Import the package of a tracker.

    Args:
        name: Of the tracker, and of the extra that it comes with.
        package: What is imported.

    Raises:
        PackageError: It is not installed.
    """
    return needed_package(package, extra=name, what=f"The tracker {name}")


@dataclass
class Telling:
    """A progress that tells trackers, as each stage begins, what the last one has left.

    Attributes:
        store: The study; its folder need not exist yet.
        trackers: Who is told, by name.
        watcher: Who else watches.
        begun: Of each tracker that has begun, what it was told.
    """

    store: Store
    trackers: dict[TrackerName, Tracker]
    watcher: Progress
    begun: dict[TrackerName, Sent] = field(default_factory=dict)

    def begin(self, stage: str, total: float) -> None:
        """Tell trackers, and pass the stage on."""
        self.catch_up()
        self.watcher.begin(stage, total)

    def advance(self, units: float, stage: str | None = None) -> None:
        """Pass the units on."""
        self.watcher.advance(units, stage)

    def note(self, text: str) -> None:
        """Pass on what a person should read."""
        self.watcher.note(text)

    def catch_up(self) -> None:
        """Tell every tracker what it has not been told."""
        if not self.store.exists(CONFIG_FILE):
            return
        for name, tracker in list(self.trackers.items()):
            try:
                self._tell(name, tracker)
            except Exception as error:  # of many kinds; no tracker may end the work
                with suppress(Exception):  # a run that has begun is not left open
                    tracker.end()
                self._give_up(name, error)

    def end(self) -> None:
        """Close every run."""
        for name in list(self.begun):
            try:
                self.trackers[name].end()
            except Exception as error:
                self._give_up(name, error)

    def _tell(self, name: TrackerName, tracker: Tracker) -> None:
        notes = self._notes()
        if name not in self.begun:
            before = notes.sent.get(name)
            run = tracker.begin(None if before is None else before.run)
            known = before is not None and before.run == run
            self.begun[name] = before if before is not None and known else Sent(run=run)
        news = told_of(self.store).new_to(self.begun[name])
        tracker.tell(news)
        self.begun[name] = news.added_to(self.begun[name])
        self.store.write_json(NOTES_FILE, Notes(sent={**notes.sent, name: self.begun[name]}))

    def _notes(self) -> Notes:
        known = self.store.exists(NOTES_FILE)
        return self.store.read_json(NOTES_FILE, Notes) if known else Notes()

    def _give_up(self, name: TrackerName, error: Exception) -> None:
        """Go on without a tracker."""
        del self.trackers[name]
        self.begun.pop(name, None)
        first = (str(error).strip() or type(error).__name__).partition("\n")[0][:300]
        say(
            self.watcher,
            f"the tracker {name} failed, and the work continues without it: {first}. Once this is "
            f"fixed, goodteacher.track(folder, {name!r}) sends what it missed.",
            level=logging.WARNING,
        )


@contextmanager
def tracked(
    names: Sequence[TrackerName], folder: Path | str, progress: Progress
) -> Iterator[Progress]:
    """Give a progress that tells trackers about a study, while its work goes on and at its end.

    Args:
        names: Who is told; of none, the progress is the one given.
        folder: The study's, which need not exist yet.
        progress: Who else watches.

    Raises:
        PackageError: The package of a tracker is not installed; before anything is done.
    """
    if not names:
        yield progress
        return
    store = Store(folder)
    made = {name: cast("Tracker", pkgutil.resolve_name(TRACKERS[name])(store)) for name in names}
    telling = Telling(store, made, progress)
    try:
        yield telling
        telling.catch_up()
    finally:
        telling.end()


def tell_trackers(
    names: Sequence[TrackerName], folder: Path | str, progress: Progress | None = None
) -> None:
    """Tell trackers what is in a study's folder now.

    Args:
        names: Who is told.
        folder: The study's.
        progress: Told where a tracker fails.

    Raises:
        PackageError: The package of a tracker is not installed.
    """
    with tracked(names, folder, progress or Silent()):
        pass
