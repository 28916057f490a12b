"""What a search will take, known before it begins: tasks, time on workers, bytes and money."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from goodteacher.config import Frozen


class Amount(Frozen):
    """How much there is to do, under one assumption about what nobody knows yet."""

    tasks: int
    teacher_epochs: float = Field(description="passes of teachers over the training part")
    student_epochs: float = Field(description="passes of students, each student's counted")
    bytes: float = Field(description="what teachers and students leave on the disk")
    seconds: float = Field(description="of all tasks, one after another")
    least_seconds: float = Field(description="of the longest chain: with any number of workers")


class Amounts(Frozen):
    """How much there is to do: at least, most likely, and at most."""

    at_least: Amount
    likely: Amount
    at_most: Amount


class OnWorkers(Frozen):
    """A search on some number of workers."""

    workers: int
    seconds: float = Field(description="from the beginning to the end of the last task")
    utilisation: float = Field(description="share of the workers' time in which they work")
    money: float | None = Field(default=None, description="at the price of a worker's hour")


class Link(Frozen):
    """Tasks of the longest chain that follow one another in one stage."""

    stage: str
    tasks: int
    seconds: float
    longest: str = Field(description="name of the longest of these tasks")
    longest_seconds: float


class SearchPlan(Frozen):
    """What a search will take; the result of ``goodteacher plan``."""

    schema_version: Literal[1] = 1
    data: str
    teacher: str | None
    student: str
    machine: str = Field(description="where times were measured")
    threads: int = Field(description="CPU threads that each worker computes with")
    times: Literal["measured", "noted"] = Field(
        description="measured: short copies of tasks were run here; noted: the study's own"
    )
    done: int = Field(description="tasks of the study that are done already")
    amounts: Amounts
    on_workers: tuple[OnWorkers, ...] = Field(description="for the likely amount")
    chain: tuple[Link, ...] = Field(description="longest chain of tasks, each waiting for another")
    enough_workers: int = Field(
        description="of those tried, the fewest within 2 % of the best time"
    )
    at_once: int = Field(description="most tasks that can be at work at the same time")
    price_per_hour: float | None = None
    planning_seconds: float = Field(description="that this plan took, its measurements included")
