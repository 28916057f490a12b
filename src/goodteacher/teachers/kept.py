"""The most accurate teacher that a study has recorded, to be run again without the study's search.

Recorded epochs count, on the selection split; moving averages, cooldowns and blends, which are made
of them, do not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from goodteacher.data import Split, StudyData
from goodteacher.networks import Network, build_network, preparation_from
from goodteacher.records import TrajectoryRecord
from goodteacher.responses import in_memory, read_recorded
from goodteacher.studies import Store, load_weights, read_tensors, reading
from goodteacher.teachers.recording import (
    TRAJECTORY_FILE,
    checkpoint_file,
    preparation_file,
    recorded,
    response_file,
)


@dataclass(frozen=True)
class KeptTeacher:
    """A recorded epoch of a study.

    Attributes:
        store: The study.
        key: Its folder below ``teachers/``.
        record: What was measured of it.
    """

    store: Store
    key: str
    record: TrajectoryRecord

    @property
    def weights(self) -> Path:
        """The file of its weights; a teacher that was recorded elsewhere has none here."""
        return self.store.path(checkpoint_file(self.key, self.record.epoch))

    @property
    def temperature(self) -> float:
        """That of the lowest negative log-likelihood on the selection split; 1 where none is."""
        best = self.record.optimal_temperature
        return best if best and self.record.optimal_temperature_limit is None else 1.0

    def recorded_logits(self, test: Split) -> Tensor | None:
        """Return what it said about the test split, where that was recorded.

        Args:
            test: The test split, open.
        """
        path = self.store.path(response_file(self.key, self.record.epoch, "test"))
        return in_memory(read_recorded(path).aligned_to(test.ids)) if path.exists() else None

    def network(self, spec: str, data: StudyData) -> Network:
        """Build it again, on the CPU.

        Args:
            spec: Its specification.
            data: The study's data.

        Raises:
            InputError: It cannot be built here, or a file is missing or damaged.
        """
        path = self.store.path(preparation_file(self.key))
        with reading(path, "how a teacher wants its inputs"):
            preparation = preparation_from(json.loads(path.read_bytes()))
        made = build_network(
            spec, preparation, num_classes=data.num_classes, inputs=data.spec, seed=0
        )
        load_weights(made.module, read_tensors(self.weights), self.weights)
        return made.eval()


def most_accurate_teacher(store: Store) -> KeptTeacher | None:
    """Return the recorded epoch that is most accurate on the selection split.

    Args:
        store: A study, or a distillation, which has none.
    """
    found = [
        KeptTeacher(store, path.parent.name, record)
        for path in sorted(store.root.glob(f"teachers/*/{TRAJECTORY_FILE}"))
        for record in recorded(store, path.parent.name)
        if record.status == "ok"
    ]
    return max(found, key=lambda teacher: teacher.record.by_accuracy, default=None)
