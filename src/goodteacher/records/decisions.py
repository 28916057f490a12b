"""What a search decided: the lines of ``decisions.jsonl``, which the report reads."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from goodteacher.config import Frozen
from goodteacher.records.arms import Blend, Checkpoint

_Teacher = Annotated[Checkpoint | Blend, Field(discriminator="kind")]


class Decision(Frozen):
    """Something chosen on the selection split, and why."""

    what: Literal["shortlist", "converged_teacher", "most_accurate_teacher", "round", "winner"]
    family: str | None = Field(
        default=None, description="of a winner: what its students learn from"
    )
    teachers: tuple[_Teacher, ...] = Field(default=(), description="those chosen, best first")
    arms: tuple[str, ...] = Field(
        default=(), description="of a round: those trained; of a winner: the arm, with its training"
    )
    reason: str
