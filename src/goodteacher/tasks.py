"""Tasks: the units of work that an engine runs.

A task is a frozen description of work, a pure function of its fields and of the study's data, named
by the hash of those fields. It knows whether its output exists, so running a list of tasks again
does only what is missing. An engine decides where and in which order tasks run; it never changes
what they do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import SerializerFunctionWrapHandler, model_serializer

from goodteacher.augmentation import Augmentation
from goodteacher.config import DataConfig, Frozen
from goodteacher.data import Examples, Split, StudyData
from goodteacher.progress import Progress
from goodteacher.store import Store
from goodteacher.training.machine import Machine


@dataclass(frozen=True)
class Context:
    """What every task works with."""

    data: StudyData
    store: Store
    machine: Machine
    progress: Progress

    def examples(
        self, split: Split, augmentation: Augmentation | None = None, *, stream: int = 0
    ) -> Examples:
        """Return a split as networks see it, on this machine's device."""
        return Examples(
            split,
            self.data.normalization,
            device=self.machine.device,
            augmentation=augmentation,
            stream=stream,
        )


class Task(Protocol):
    """A unit of work."""

    @property
    def key(self) -> str:
        """Name of the task and of its output: readable, and unique for its fields."""

    @property
    def work(self) -> float:
        """Size of the task, in units comparable among tasks of its kind."""

    def done(self, store: Store) -> bool:
        """Say whether the output exists."""

    def run(self, context: Context) -> None:
        """Do what is missing; report ``work`` units of progress in all."""


class Engine(Protocol):
    """Where tasks run."""

    def run(self, stage: str, tasks: Sequence[Task]) -> None:
        """Run tasks that do not depend on one another; return when all are done."""


class DataKey(Frozen):
    """What a task's result depends on besides its own settings: the data and how they are seen."""

    fingerprint: str
    selection_fraction: float
    transfer_fraction: float
    split_seed: int
    normalization: str
    precision: str
    augment: tuple[str, ...] = ()
    views: int = 1
    tfidf_features: int | None = None

    @model_serializer(mode="wrap")
    def _dump(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = dump(self)
        if self.tfidf_features is None:  # tasks on other data than texts keep their names
            del fields["tfidf_features"]
        return fields

    @property
    def augmentation(self) -> Augmentation:
        """What happens to images in views other than the plain one."""
        return Augmentation.parse(self.augment)

    @classmethod
    def of(
        cls,
        config: DataConfig,
        data: StudyData,
        machine: Machine,
        *,
        augment: tuple[str, ...] = (),
        views: int = 1,
    ) -> DataKey:
        """Return the key for a data set split, and augmented, under these settings."""
        return cls(
            fingerprint=data.fingerprint,
            selection_fraction=config.selection_fraction,
            transfer_fraction=config.transfer_fraction,
            split_seed=config.split_seed,
            normalization=config.normalization,
            precision=str(machine),
            augment=augment,
            views=views,
            tfidf_features=len(data.tfidf.terms) if data.tfidf else None,
        )
