"""One loop that trains one network, or many stacked students; evaluation, memory, the machine."""

from __future__ import annotations

from goodteacher.training.averaging import refresh_batch_norm
from goodteacher.training.distributed import joined, meeting_at, meeting_here, meeting_in
from goodteacher.training.evaluate import compute_logits, compute_predictions, most_probable
from goodteacher.training.group import ALONE, Group
from goodteacher.training.loop import Segment, Trainer, example_order, steps_per_epoch
from goodteacher.training.machine import (
    Machine,
    Share,
    borrowed,
    choose_machine,
    may_start_processes,
    take_share,
    threads_are_named,
    threads_of,
)
from goodteacher.training.memory import (
    free_memory,
    is_out_of_memory,
    stack_memory,
    target_memory,
    unless_memory_runs_out,
)
from goodteacher.training.objective import StackObjective
from goodteacher.training.stacking import Stack, StackingWarning, stack_networks
from goodteacher.training.width import WidthChoice, even_groups, fastest_width, widest_stack

__all__ = [
    "ALONE",
    "Group",
    "Machine",
    "Segment",
    "Share",
    "Stack",
    "StackObjective",
    "StackingWarning",
    "Trainer",
    "WidthChoice",
    "borrowed",
    "choose_machine",
    "compute_logits",
    "compute_predictions",
    "even_groups",
    "example_order",
    "fastest_width",
    "free_memory",
    "is_out_of_memory",
    "joined",
    "may_start_processes",
    "meeting_at",
    "meeting_here",
    "meeting_in",
    "most_probable",
    "refresh_batch_norm",
    "stack_memory",
    "stack_networks",
    "steps_per_epoch",
    "take_share",
    "target_memory",
    "threads_are_named",
    "threads_of",
    "unless_memory_runs_out",
    "widest_stack",
]
