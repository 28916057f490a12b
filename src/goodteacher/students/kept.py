"""What tasks of students leave in a study's folder, and reading it.

students/<key>/rows.parquet             a row for each arm, written last
students/<key>/selection.safetensors    predicted classes; test.safetensors once that is opened
students/<key>/state.safetensors        the students' weights, where they are kept
students/<key>/halfway-*.safetensors    stacks that are still training (`halfway`)
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from goodteacher.records import Arm, StudentRow
from goodteacher.students.plan import StudentTask
from goodteacher.studies import Store


@dataclass(frozen=True)
class Shelf:
    """The place of one task in a study's folder.

    Attributes:
        store: The study.
        key: The task's key.
    """

    store: Store
    key: str

    @property
    def finished(self) -> bool:
        """Whether the task's rows are there."""
        return self.store.exists(self._file("rows.parquet"))

    def rows(self) -> list[StudentRow]:
        """Return one row for each arm, in the order of the task's arms."""
        return self.store.read_table(self._file("rows.parquet"), StudentRow)

    def write_rows(self, rows: Iterable[StudentRow]) -> None:
        """Keep the rows, once all else is kept: they say that the task is finished."""
        self.store.write_table(self._file("rows.parquet"), rows, StudentRow)

    def predictions(self, split: str) -> Tensor:
        """Return predicted classes on ``selection`` or ``test``, int32 [S, N]."""
        return self.store.read_tensors(self._file(f"{split}.safetensors"))["predictions"]

    def has_predictions(self, split: str) -> bool:
        """Say whether the students have been run on a split."""
        return self.store.exists(self._file(f"{split}.safetensors"))

    def write_predictions(self, split: str, predictions: Tensor) -> None:
        """Keep predicted classes on a split, int32 [S, N]."""
        self.store.write_tensors(self._file(f"{split}.safetensors"), {"predictions": predictions})

    def state(self, students: Sequence[int]) -> dict[str, Tensor]:
        """Return the tensors of some of the task's students."""
        return select_students(self.store.read_tensors(self._file("state.safetensors")), students)

    def write_state(self, parts: Sequence[Mapping[str, Tensor]]) -> None:
        """Keep the tensors of the task's students, of one stack after another."""
        self.store.write_tensors(self._file("state.safetensors"), _joined(parts))

    def has_part(self, name: str) -> bool:
        """Say whether a stack was kept under a name."""
        return self.store.exists(self._file(f"{name}.safetensors"))

    def part(self, name: str) -> dict[str, Tensor]:
        """Return what was kept of a stack."""
        return self.store.read_tensors(self._file(f"{name}.safetensors"))

    def write_part(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Keep what a stack that is still training goes on from."""
        self.store.write_tensors(self._file(f"{name}.safetensors"), tensors)

    def drop_parts(self) -> None:
        """Remove what stacks would go on from, once the task has its rows."""
        for name in self.store.matching(self._file("halfway-*.safetensors")):
            self.store.remove(name)

    def drop_state(self) -> None:
        """Remove the students' weights, once they have been asked all that they will be."""
        self.store.remove(self._file("state.safetensors"))

    def _file(self, name: str) -> str:
        return f"students/{self.key}/{name}"


def rows_of(store: Store, task: StudentTask) -> list[StudentRow]:
    """Return one row for each arm of a finished task, in the order of its arms."""
    return Shelf(store, task.key).rows()


def all_rows(store: Store, tasks: Iterable[StudentTask]) -> list[StudentRow]:
    """Return the rows of all tasks, in order."""
    return [row for task in tasks for row in rows_of(store, task)]


def rows_by_arm(store: Store, tasks: Iterable[StudentTask]) -> dict[Arm, list[StudentRow]]:
    """Return the rows of each arm, one for each seed."""
    found: dict[Arm, list[StudentRow]] = defaultdict(list)
    for task in sorted(tasks, key=lambda task: task.seed):
        for arm, row in zip(task.arms, rows_of(store, task), strict=True):
            found[arm].append(row)
    return dict(found)


def mean_accuracies(store: Store, tasks: Iterable[StudentTask]) -> dict[Arm, float]:
    """Return each arm's selection accuracy, the mean over the tasks' seeds.

    A student that diverged counts as 0: a recipe that fails on one seed is not one to deliver.
    """
    found: dict[Arm, list[float]] = defaultdict(list)
    for task in tasks:
        for arm, row in zip(task.arms, rows_of(store, task), strict=True):
            found[arm].append(row.selection_accuracy)
    return {arm: math.fsum(values) / len(values) for arm, values in found.items()}


def select_students(state: Mapping[str, Tensor], students: Sequence[int]) -> dict[str, Tensor]:
    """Return the part of a stack's state that belongs to some students.

    Args:
        state: Named tensors; all but scalars (an optimizer's step count) lead with axis [S].
        students: Numbers of the students wanted, in the order wanted.
    """
    index = torch.tensor(students)
    return {k: v if v.dim() == 0 else v.index_select(0, index) for k, v in state.items()}


def _joined(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    first = states[0]
    if len(states) == 1:
        return dict(first)
    return {
        k: v if v.dim() == 0 else torch.cat([s[k].cpu() for s in states]) for k, v in first.items()
    }
