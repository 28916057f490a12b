"""Arms: what a student learns from, and how.

A source is a description - labels, smoothed labels, a recorded teacher, a file - that
:mod:`~goodteacher.students.targets` turns into numbers; with a recipe it is an arm. Arms are
compared and hashed, and their names are the same in every file of a study.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from goodteacher.config import Frozen, Recipe, Training


class OneHotSource(Frozen):
    """The labels themselves: the target of plain cross-entropy."""

    kind: Literal["one_hot"] = "one_hot"

    def __str__(self) -> str:
        return "labels"


class SmoothingSource(Frozen):
    """Label smoothing: ``smoothing`` spread over all classes, the label's own included."""

    kind: Literal["smoothing"] = "smoothing"
    smoothing: Annotated[float, Field(gt=0, lt=1)]

    def __str__(self) -> str:
        return f"smoothing={self.smoothing:g}"


TeacherVariant = Literal["raw", "ema", "cooldown"]
"""A checkpoint of a run, the moving average of its weights, or the end of a short decay
branch from it."""


class Checkpoint(Frozen):
    """A teacher: one recorded epoch of one run."""

    kind: Literal["checkpoint"] = "checkpoint"
    run: str
    epoch: int
    variant: TeacherVariant = "raw"

    def __str__(self) -> str:
        after = "" if self.variant == "raw" else f" {self.variant}"
        return f"{self.run} epoch {self.epoch}{after}"

    @property
    def runs(self) -> frozenset[str]:
        """Every run that has a part in it."""
        return frozenset({self.run})

    @property
    def checkpoint(self) -> Checkpoint:
        """The run's own checkpoint; of a blend it is the heaviest member."""
        return Checkpoint(run=self.run, epoch=self.epoch)


class BlendMember(Frozen):
    """A checkpoint's part in a mean of responses."""

    run: str
    epoch: int
    weight: Annotated[float, Field(gt=0, le=1)]

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint."""
        return Checkpoint(run=self.run, epoch=self.epoch)


class Blend(Frozen):
    """A teacher made of recorded responses: their weighted mean (see ``blends``)."""

    kind: Literal["blend"] = "blend"
    variant: Literal["average", "blend"]
    members: Annotated[tuple[BlendMember, ...], Field(min_length=1)]

    def __str__(self) -> str:
        if self.variant == "average":
            return f"{self.run} average to epoch {self.epoch}"
        parts = " + ".join(f"{m.weight:g} x {m.checkpoint}" for m in self.members)
        return f"blend of {parts}"

    @property
    def runs(self) -> frozenset[str]:
        """Every run that has a part in it."""
        return frozenset(member.run for member in self.members)

    @property
    def checkpoint(self) -> Checkpoint:
        """The heaviest member; of an average, whose members weigh the same, the last one."""
        return max(reversed(self.members), key=lambda member: member.weight).checkpoint

    @property
    def run(self) -> str:
        """Run of the heaviest member."""
        return self.checkpoint.run

    @property
    def epoch(self) -> int:
        """Epoch of the heaviest member."""
        return self.checkpoint.epoch


TeacherSource = Checkpoint | Blend
"""A teacher of a study."""


class FileSource(Frozen):
    """A response that the user brought, named by a digest of its content."""

    kind: Literal["file"] = "file"
    content: str

    def __str__(self) -> str:
        return f"file {self.content}"


class TargetSource(Frozen):
    """A target made of a response: a rung of the ladder, or a falsification arm."""

    kind: Literal["target"] = "target"
    base: Annotated[Checkpoint | Blend | FileSource, Field(discriminator="kind")]
    target: str = Field(description="a name in targets.LADDER or targets.FALSIFICATION")
    temperature: Annotated[float, Field(gt=0)] = Field(description="the recipe's")

    def __str__(self) -> str:
        return f"{self.target} of {self.base} at T={self.temperature:g}"


Source = Annotated[
    OneHotSource | SmoothingSource | Checkpoint | Blend | FileSource | TargetSource,
    Field(discriminator="kind"),
]
"""Where the target of a student comes from."""


class Arm(Frozen):
    """What a student learns from, and how: a candidate or a control."""

    source: Source
    recipe: Recipe
    training: Training | None = Field(
        default=None, description="how long and how fast, where tuned; null: as its task says"
    )

    @property
    def key(self) -> str:
        """A readable name that no other arm has."""
        tuned = f" | {self.training}" if self.training else ""
        return f"{self.source} | {self.recipe}{tuned}"

    def trained(self, training: Training | None) -> Arm:
        """Return the arm with another training."""
        return self.model_copy(update={"training": training})


CROSS_ENTROPY = Arm(source=OneHotSource(), recipe=Recipe(alpha=0.0))
"""The arm that learns from the labels alone."""


def smoothing_arm(smoothing: float) -> Arm:
    """Return the arm that learns from smoothed labels."""
    return Arm(source=SmoothingSource(smoothing=smoothing), recipe=Recipe())
