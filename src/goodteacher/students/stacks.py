"""Stacks of a task's students: how many train at once, and the trained ones again."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from goodteacher.data import Split
from goodteacher.errors import RunError
from goodteacher.networks import Batch, Network, map_batch
from goodteacher.records import Arm
from goodteacher.students.kept import Shelf
from goodteacher.students.plan import StudentTask, WidthTask
from goodteacher.studies import Context
from goodteacher.training import (
    Stack,
    StackingWarning,
    WidthChoice,
    compute_logits,
    compute_predictions,
    even_groups,
    fastest_width,
    stack_memory,
    stack_networks,
    steps_per_epoch,
    widest_stack,
)


@dataclass(frozen=True)
class Stacks:
    """How a task's students stand in stacks.

    Attributes:
        task: The task.
        context: The study, with the transfer set that the students see.
    """

    task: StudentTask
    context: Context

    @property
    def steps_per_epoch(self) -> int:
        """Steps that see every example once."""
        return steps_per_epoch(len(self.context.data.transfer), self.task.optimization.batch_size)

    def network(self) -> Network:
        """Return the students' initial network; they share its preparation."""
        return self.context.network(self.task.student, seed=self.task.seed)

    def new(self, num_students: int) -> Stack:
        """Return a stack of initial students on this machine's device."""
        networks, sample = [self.network().module] * num_students, self._sample()
        with warnings.catch_warnings():
            if self.task.student in self.context.warned_of:
                warnings.simplefilter("ignore", StackingWarning)
            self.context.warned_of.add(self.task.student)
            stack = stack_networks(networks, example_input=sample)
        return stack.to(self.context.machine.device)

    def trained(self) -> Iterator[Stack]:
        """Yield the trained students, a stack after another, as they were trained."""
        shelf, width = self._shelf, self.width()
        for group in even_groups(len(self.task.arms), width):
            stack = self.new(len(group))
            stack.load_state_dict(network_part(shelf.state(list(group))))
            yield stack

    def width(self) -> int:
        """Return how many students stand in a stack: as was recorded here, or as memory allows.

        Stacks of other widths agree but for rounding, so a study that goes on keeps its widths.
        """
        store, file = self.context.store, self._width_file
        if store.exists(file):
            return store.read_json(file, WidthChoice).width
        count = len(self.task.arms)
        limit = min(count, self.task.stack_width or self._memory_limit())
        if limit < count:
            self._narrow(WidthChoice(width=limit))
        return limit

    def measure_width(self, seconds: Callable[[int], float | None]) -> None:
        """Choose the width that is fastest for a student, and keep it.

        Args:
            seconds: Measures a step of a stack of some width; None where it does not fit.
        """
        limit = min(len(self.task.arms), self._memory_limit())
        choice = WidthChoice(width=1) if limit == 1 else fastest_width(seconds, limit=limit)
        self._keep_width(choice)

    def narrower(self, width: int) -> int:
        """Return half of a width that memory did not hold, and keep to it.

        Raises:
            RunError: The width was one student.
        """
        if width == 1:
            raise RunError(
                f"One student {self.task.student} at a batch size of "
                f"{self.task.optimization.batch_size} does not fit in memory on "
                f"{self.context.machine.device}. Lower student_batch_size, use a smaller student, "
                "or free memory."
            )
        self.context.note(
            f"out of memory with {width} students at the same time: trying half as many"
        )
        choice = WidthChoice(width=-(-width // 2))
        self._narrow(choice)
        return choice.width

    @property
    def _shelf(self) -> Shelf:
        return Shelf(self.context.store, self.task.key)

    @property
    def _width_file(self) -> str:
        return WidthTask(students=self.task, machine=str(self.context.machine)).file

    def _narrow(self, choice: WidthChoice) -> None:
        """Keep a width that memory forces, and say so; one that was measured is only logged."""
        self.context.note(f"{self.task.student} students train in {choice}")
        self._keep_width(choice)

    def _keep_width(self, choice: WidthChoice) -> None:
        student, store = self.task.student, self.context.store
        store.log("stack_width", student=student, **choice.model_dump(mode="json"))
        store.write_json(self._width_file, choice)

    def _memory_limit(self) -> int:
        machine = self.context.machine
        return widest_stack(
            self.network().module,
            self._sample(),
            batch_size=self.task.optimization.batch_size,
            memory_bytes=stack_memory(
                machine.device, self.task.memory_gib, sharing=machine.sharing
            ),
        )

    def _sample(self) -> Batch:
        """Return a few examples as a network takes them."""
        few = torch.arange(2)
        # Of a split of their own, lest a GPU be given the whole transfer set for them.
        context = self.context
        transfer = context.data.transfer.subset(few)
        return map_batch(context.examples(self.task.student, transfer).inputs(few), Tensor.cpu)


def predict(context: Context, task: StudentTask, split: Split, name: str) -> None:
    """Run a task's trained students on another split and keep what they predict."""
    examples, size = context.examples(task.student, split), task.optimization.batch_size
    stacks = Stacks(task, context).trained()
    parts = [compute_predictions(stack, examples, batch_size=size) for stack in stacks]
    Shelf(context.store, task.key).write_predictions(name, torch.cat(parts))


def logits_of_students(context: Context, task: StudentTask, split: Split) -> Tensor:
    """Run a task's trained students on a split and return their logits, float32 [S, N, C]."""
    examples, size = context.examples(task.student, split), task.optimization.batch_size
    stacks = Stacks(task, context).trained()
    return torch.cat([compute_logits(stack, examples, batch_size=size) for stack in stacks])


def trained_student(context: Context, task: StudentTask, arm: Arm) -> Network:
    """Return the trained student of an arm, with its preparation, in evaluation mode."""
    stacks = Stacks(task, context)
    stack = stacks.new(1)
    place = [task.arms.index(arm)]
    stack.load_state_dict(network_part(Shelf(context.store, task.key).state(place)))
    network = stacks.network()
    network.module.load_state_dict(stack.state_dict_of(0))
    network.eval()
    return network


def network_part(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the network's tensors of a trainer's state, by their plain names."""
    return {k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")}
