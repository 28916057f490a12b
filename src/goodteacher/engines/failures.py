"""What is said when a task fails in a way that nobody foresaw, in whichever process it ran."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import NoReturn

from goodteacher.errors import RunError
from goodteacher.studies import Store


@dataclass(frozen=True)
class Failure:
    """An error of a task, in words that go from one process to another.

    Attributes:
        reason: Its type and the first line of its message.
        trace: Where it happened.
    """

    reason: str
    trace: str

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Describe an error while it is being handled."""
        first = str(error).strip().partition("\n")[0].rstrip(". ")
        return cls(f"{type(error).__name__}: {first}", traceback.format_exc())


def raise_failure(
    failure: Failure, *, store: Store, stage: str, task: str, cause: Exception | None = None
) -> NoReturn:
    """Log a failure and raise it.

    Args:
        failure: What happened.
        store: The study's.
        stage: What a watcher calls the tasks.
        task: Key of the task that failed.
        cause: The error itself, where it happened in this process.

    Raises:
        RunError: Always.
    """
    store.log("task_failed", stage=stage, task=task, error=failure.trace)
    raise RunError(
        f"{stage} failed in the task {task}: {failure.reason}. The end of {store.log_place} shows "
        "where it happened. What was finished before is kept: once the cause is fixed, the same "
        "command continues from there."
    ) from cause
