"""The most accurate teacher that a study has recorded, to be run again without the study's search.

Recorded epochs count, on the selection split; moving averages, cooldowns and blends, which are made
of them, do not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from torch import Tensor

from goodteacher.data import Split, StudyData
from goodteacher.networks import Network, build_network, preparation_from
from goodteacher.records import TrajectoryRecord
from goodteacher.responses import in_memory, read_recorded
from goodteacher.studies import Store, load_weights, reading
from goodteacher.teachers.recording import (
    checkpoint_file,
    preparation_file,
    recorded,
    recorded_keys,
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
    def weights(self) -> str | None:
        """The file of its weights, in the study; a teacher recorded elsewhere has none here."""
        file = checkpoint_file(self.key, self.record.epoch)
        return file if self.store.exists(file) else None

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
        file = response_file(self.key, self.record.epoch, "test")
        if not self.store.exists(file):
            return None
        return in_memory(read_recorded(self.store.local(file)).aligned_to(test.ids))

    def network(self, spec: str, data: StudyData) -> Network:
        """Build it again, on the CPU.

        Args:
            spec: Its specification.
            data: The study's data.

        Raises:
            InputError: It cannot be built here, or a file is missing or damaged.
        """
        file, weights = preparation_file(self.key), checkpoint_file(self.key, self.record.epoch)
        said = self.store.read_text(file)
        with reading(self.store.root / file, "how a teacher's inputs are prepared"):
            preparation = preparation_from(json.loads(said))
        made = build_network(
            spec, preparation, num_classes=data.num_classes, inputs=data.spec, seed=0
        )
        load_weights(made.module, self.store.read_tensors(weights), self.store.root / weights)
        return made.eval()


def most_accurate_teacher(store: Store) -> KeptTeacher | None:
    """Return the recorded epoch that is most accurate on the selection split.

    Args:
        store: A study, or a distillation, which has none.
    """
    found = [
        KeptTeacher(store, key, record)
        for key in recorded_keys(store)
        for record in recorded(store, key)
        if record.status == "ok"
    ]
    return max(found, key=lambda teacher: teacher.record.by_accuracy, default=None)
