"""The local engine: tasks one after another in this process."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence

from goodteacher.errors import GoodteacherError, RunError
from goodteacher.studies import Context, Task, is_done, runner_of


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

        Raises:
            RunError: A task failed in a way that goodteacher did not foresee, such as a network of
                the user's that fails on some example.
        """
        progress, store = self.context.progress, self.context.store
        progress.begin(stage, sum(task.work for task in tasks))
        for task in tasks:
            if is_done(task, store):
                progress.advance(task.work)
                continue
            started = time.perf_counter()
            store.log("task_started", stage=stage, task=task.key)
            self._run(task, stage)
            seconds = round(time.perf_counter() - started, 3)
            store.log(
                "task_done",
                stage=stage,
                task=task.key,
                seconds=seconds,
                environment=self.context.environment,
            )

    def _run(self, task: Task, stage: str) -> None:
        store = self.context.store
        try:
            runner_of(task).run(task, self.context)
        except (GoodteacherError, Warning):  # a warning is raised where somebody asked for that
            raise
        except Exception as error:
            store.log("task_failed", stage=stage, task=task.key, error=traceback.format_exc())
            raise RunError(
                f"{stage} failed in the task {task.key}: {type(error).__name__}: "
                f"{str(error).strip().partition(chr(10))[0].rstrip('. ')}. Where it happened is at "
                f"the end of {store.path('events.jsonl')}. What was finished before is kept: once "
                "the cause is mended, the same command goes on from there."
            ) from error
