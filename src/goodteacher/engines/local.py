"""The local engine: tasks one after another in this process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from goodteacher.engines.failures import Failure, raise_failure
from goodteacher.engines.going import Going
from goodteacher.errors import GoodteacherError
from goodteacher.studies import Context, Flow, Task, done_among, runner_of


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
        finished = done_among(tasks, store)
        for task in tasks:
            if task.key in finished:
                progress.advance(task.work)
            else:
                self.do(stage, task)

    def do(self, stage: str, task: Task) -> None:
        """Run one task; see :meth:`run`."""
        try:
            run_logged(stage, task, self.context)
        except (GoodteacherError, Warning):  # a warning is raised where somebody asked for that
            raise
        except Exception as error:
            store = self.context.store
            raise_failure(Failure.of(error), store=store, stage=stage, task=task.key, cause=error)

    def together(self, *flows: Flow[Any]) -> list[Any]:
        """Run flows; stages of one name that are ready run as one.

        Args:
            flows: Those that come first go first.
        """
        with Going(flows) as going:
            while begun := going.begun:
                stages = [each for each in begun if each.needs.stage == begun[0].needs.stage]
                tasks = {task.key: task for each in stages for task in each.needs.tasks}
                self.run(stages[0].needs.stage, list(tasks.values()))
                for each in stages:
                    going.end(each)
            return going.results


def run_logged(stage: str, task: Task, context: Context) -> None:
    """Do a task's work in this process, and log when it began and how long it took."""
    started, store = time.perf_counter(), context.store
    store.log("task_started", stage=stage, task=task.key)
    runner_of(task).run(task, context)
    seconds = round(time.perf_counter() - started, 3)
    environment = context.environment
    store.log("task_done", stage=stage, task=task.key, seconds=seconds, environment=environment)
