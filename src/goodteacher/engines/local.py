"""The local engine: tasks one after another in this process."""

from __future__ import annotations

import time
from collections.abc import Sequence

from goodteacher.tasks import Context, Task


class LocalEngine:
    """Run tasks in this process, in order.

    Args:
        context: The study's data, folder, machine and watcher.
    """

    def __init__(self, context: Context) -> None:
        self.context = context

    def run(self, stage: str, tasks: Sequence[Task]) -> None:
        """Run what is missing among ``tasks`` and log how long each took.

        Args:
            stage: What a watcher calls these tasks.
            tasks: Tasks that do not depend on one another.
        """
        progress, store = self.context.progress, self.context.store
        progress.begin(stage, sum(task.work for task in tasks))
        for task in tasks:
            if task.done(store):
                progress.advance(task.work)
                continue
            started = time.perf_counter()
            store.log("task_started", stage=stage, task=task.key)
            task.run(self.context)
            seconds = round(time.perf_counter() - started, 3)
            store.log("task_done", stage=stage, task=task.key, seconds=seconds)
