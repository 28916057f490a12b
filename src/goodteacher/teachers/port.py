"""The port behind which every teacher stands: what does it say about a split, in a view?

Teachers trained by a study, means of their responses, runs that were recorded elsewhere and a
response that the user brings are asked alike. ``tests/contracts/test_teachers.py`` holds what any
implementation owes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from goodteacher.data import Split
from goodteacher.errors import RunError
from goodteacher.maths.blends import mean_response
from goodteacher.records import Blend, Checkpoint, FileSource, TeacherSource
from goodteacher.responses import LazyRows, Logits, read_recorded
from goodteacher.studies import RESPONSE_FILE, Store
from goodteacher.teachers.recording import TRAJECTORY_FILE, load_response, recorded

Teacher = Checkpoint | Blend | FileSource
"""Whoever responds: an epoch of a run, a mean of several, or the one of a file."""


class Teachers(Protocol):
    """Teachers that can be asked for their responses."""

    def known(self) -> tuple[Checkpoint | FileSource, ...]:
        """Return every single teacher that there is: recorded epochs in order, or a file."""
        ...

    def response(
        self, teacher: Teacher, split: Split, *, name: str = "transfer", view: int = 0
    ) -> Logits:
        """Return what a teacher says about a split, aligned with it by id.

        Args:
            teacher: One of those known, or a mean of them.
            split: The examples wanted, in any order.
            name: Which of the responses covers them: ``transfer`` or ``selection``.
            view: The view of them that the teacher saw; 0 is the example itself.

        Returns:
            Raw logits, float32 [len(split), C]; large ones stay in their file.

        Raises:
            ResponseError: The response lacks some of the examples, or this epoch or view has none.
            RunError: There is no such run or file.
        """
        ...


def combined(source: TeacherSource, logits_of: Callable[[Checkpoint], Logits]) -> Logits:
    """Return a teacher's logits from those of the checkpoints it is made of.

    Args:
        source: A checkpoint, or a blend of several.
        logits_of: Gives a checkpoint's logits [N, C].
    """
    if isinstance(source, Checkpoint):
        return logits_of(source)
    responses = [logits_of(member.checkpoint) for member in source.members]
    weights = [member.weight for member in source.members]
    tensors = [each for each in responses if isinstance(each, Tensor)]
    if len(tensors) == len(responses):
        return mean_response(tensors, weights)
    shape = (len(responses[0]), responses[0].shape[1])
    return LazyRows(shape, lambda rows: mean_response([each[rows] for each in responses], weights))


@dataclass(frozen=True)
class RecordedTeachers:
    """Teachers whose responses lie in a study's folder, below ``teachers/``.

    Attributes:
        store: The study.
        keys: Name of the folder of each run.
    """

    store: Store
    keys: Mapping[str, str]

    def known(self) -> tuple[Checkpoint, ...]:
        """Return each run's recorded epochs that did not diverge, then what branches off them."""
        folders = [
            key
            for own in self.keys.values()
            for key in (own, *self._branches(own, "ema"), *self._branches(own, "cooldown"))
        ]
        return tuple(
            record.checkpoint
            for folder in folders
            for record in recorded(self.store, folder)
            if record.status == "ok"
        )

    def response(
        self, teacher: Teacher, split: Split, *, name: str = "transfer", view: int = 0
    ) -> Logits:
        """Read a response, or the mean of a blend's; see :class:`Teachers`."""

        def own(checkpoint: Checkpoint) -> Logits:
            key = self.keys.get(checkpoint.run)
            if key is None:
                raise RunError(
                    f"There is no run {checkpoint.run!r} in {self.store.root}. It has "
                    f"{', '.join(self.keys)}."
                )
            return load_response(self.store, key, checkpoint, split, name=name, view=view)

        if isinstance(teacher, FileSource):
            raise RunError(f"{teacher} is not a teacher of {self.store.root}.")
        return combined(teacher, own)

    def _branches(self, key: str, variant: str) -> list[str]:
        found = self.store.matching(f"teachers/{key}/{variant}-*/{TRAJECTORY_FILE}")
        return [f"{key}/{name.split('/')[2]}" for name in found]


@dataclass(frozen=True)
class GivenTeacher:
    """The teacher of the response that the user brought, kept in the folder.

    Attributes:
        store: The folder.
    """

    store: Store

    def known(self) -> tuple[FileSource, ...]:
        """Return the one teacher; none where no response was kept."""
        if not self.store.exists(RESPONSE_FILE):
            return ()
        return (FileSource(content=self.store.read_notes(RESPONSE_FILE)["content"]),)

    def response(
        self, teacher: Teacher, split: Split, *, name: str = "transfer", view: int = 0
    ) -> Logits:
        """Read the response; it says the same in every view. See :class:`Teachers`."""
        if (teacher,) != self.known():
            raise RunError(f"{RESPONSE_FILE} has changed since this task was planned.")
        return read_recorded(self.store.path(RESPONSE_FILE)).aligned_to(split.ids)
