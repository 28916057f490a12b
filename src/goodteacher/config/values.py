"""What settings are made of: frozen values, the types of fields, an optimizer, a recipe."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Collection
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
)
from pydantic.fields import FieldInfo

from goodteacher.config.augmentation import Augmentation

OptimizerName = Literal["sgd", "adam", "adamw"]
MULTISTEP = (5 / 8, 3 / 4, 7 / 8)
"""Shares of a training after which the schedule `multistep` divides the learning rate by 10: epochs
150, 180 and 210 of 240, as the literature on distillation trains on CIFAR-100."""
ScheduleName = Literal["constant", "linear", "cosine", "multistep"]
ScoreName = Literal[
    "best_nll",
    "nll",
    "best_brier",
    "brier",
    "best_ace",
    "ace",
    "similarity",
    "best_similarity",
    "class_part",
    "instance_part",
    "selection_similarity",
    "selection_class_part",
    "selection_instance_part",
    "accuracy",
    "entropy",
    "saturation_gap",
    "wrong_class_variance",
    "cmi",
    "half_way",
    "probe",
]
VariantName = Literal["raw", "ema", "cooldown", "average", "blend"]
TrackerName = Literal["mlflow", "tensorboard", "wandb"]
LossName = Literal["kl", "mse", "dkd", "dist", "ttm"]


def split_commas(value: object) -> object:
    """Read ``"32,128"`` as a list, and a lone number as a list of one."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [value] if isinstance(value, int | float) else value


def paths(value: object) -> object:
    """Read one path, several with commas between them, or a list of them."""
    if isinstance(value, os.PathLike):
        value = [value]
    several = split_commas(value)
    if isinstance(several, list | tuple):
        return [os.fspath(each) if isinstance(each, os.PathLike) else each for each in several]
    return several


def as_text(value: object) -> object:
    """Take a number where text is meant, as of a class."""
    return str(value) if isinstance(value, int) else value


def check_list(name: str, values: tuple[Any, ...]) -> None:
    """Refuse a list that is empty or names a value twice."""
    if not values:
        raise ValueError(f"{name} must contain at least one value")
    if len(set(values)) != len(values):
        raise ValueError(f"{name} may contain each value only once, but got {list(values)}")


def check_smoothings(values: tuple[float, ...]) -> None:
    """Refuse strengths of label smoothing that are none, twice the same, or not inside (0, 1)."""
    check_list("smoothings", values)
    if any(not 0 < smoothing < 1 for smoothing in values):
        raise ValueError(f"smoothings must be above 0 and below 1, but got {list(values)}")


def check_verdict_seeds(seeds: int) -> int:
    """Refuse fewer seeds than a verdict can be given on."""
    if seeds < 3:
        raise ValueError(
            "a verdict needs at least 3 paired seeds: fewer do not show how much seeds differ. "
            "Leave it out, or use goodteacher distill for a single student"
        )
    return seeds


FIRST_STEPS, FIRST_EPOCHS = 600, 6
"""Steps and epochs of the shortest training that a student is tried with. Measured in
experiments/LOG.md: at its best learning rate, that is near the best accuracy on hard labels."""


def default_batch_size(num_examples: int) -> int:
    """Return the power of two at or above the square root of a number of examples, 16 to 512.

    Steps per epoch and examples per step then grow alike. *Ours*.

    Example:
        >>> [default_batch_size(n) for n in (128, 1293, 5400, 54_000)]
        [16, 64, 128, 256]
    """
    return min(512, max(16, 1 << math.ceil(math.log2(math.sqrt(num_examples)))))


def default_epochs(num_examples: int, batch_size: int) -> int:
    """Return the epochs of the shortest training that a student is tried with.

    Args:
        num_examples: Examples that students learn from.
        batch_size: Examples per step.
    """
    steps = math.ceil(num_examples / batch_size)
    return max(FIRST_EPOCHS, math.ceil(FIRST_STEPS / steps))


def check_augment(specs: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what an augmentation cannot be read from."""
    Augmentation.parse(specs)
    return specs


class Frozen(BaseModel):
    """A value that cannot change, refuses unknown keys, and has a stable hash."""

    may_differ: ClassVar[frozenset[str]] = frozenset()
    """Settings of this kind that may differ when a folder is used again: no result depends on what
    they were before."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def identity(self, *, but: Collection[str] = ()) -> dict[str, Any]:
        """Return what makes this value what it is: all that differs from the defaults.

        A field that is added later, with a default, changes no identity. Fields that say of which
        kind a value is are always in it.

        Args:
            but: Names of fields that are no part of it.
        """
        fields = type(self).model_fields.items()
        return {
            name: _identity(value)
            for name, field in fields
            if name not in but
            and ((value := getattr(self, name)) != field.default or _says_kind(field))
        }

    def digest(self, *, but: Collection[str] = ()) -> str:
        """Return 8 hexadecimal digits that name this value.

        Args:
            but: Names of fields that have no part in the name.
        """
        return digest_of(self.identity(but=but))[:8]


def _says_kind(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1


def _identity(value: Any) -> Any:
    if isinstance(value, Frozen):
        return value.identity()
    if isinstance(value, tuple | list):
        return [_identity(each) for each in value]
    return value


def digest_of(value: object) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of a JSON-like value.

    Example:
        >>> digest_of({"b": 1, "a": 2}) == digest_of({"a": 2, "b": 1})
        True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


ConfigT = TypeVar("ConfigT", bound=Frozen)

PositiveInt = Annotated[int, Field(gt=0, le=10**9)]
FewThousand = Annotated[int, Field(gt=0, le=10_000)]
"""A number of processes, threads, seeds and such, of which nobody has more."""
Seed = Annotated[int, Field(ge=0, lt=2**32)]
PositiveFloat = Annotated[float, Field(gt=0)]
Temperature = Annotated[float, Field(ge=1e-3, le=1e4)]
"""In this range every loss, target and measure is right to what is stated in `maths/losses.py`."""
UnitFloat = Annotated[float, Field(ge=0, le=1)]
Seeds = Annotated[tuple[Seed, ...], BeforeValidator(split_commas)]
PositiveInts = Annotated[tuple[PositiveInt, ...], BeforeValidator(split_commas)]
PositiveFloats = Annotated[tuple[PositiveFloat, ...], BeforeValidator(split_commas)]
Temperatures = Annotated[tuple[Temperature, ...], BeforeValidator(split_commas)]
UnitFloats = Annotated[tuple[UnitFloat, ...], BeforeValidator(split_commas)]


class Optimization(Frozen):
    """How one network, or one stack of networks, is optimised."""

    optimizer: OptimizerName
    learning_rate: PositiveFloat
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    schedule: ScheduleName = "constant"
    batch_size: PositiveInt
    micro_batch_size: PositiveInt | None = None


class Training(Frozen):
    """How long, in which batches and how fast a student trains."""

    epochs: PositiveInt
    batch_size: PositiveInt
    learning_rate: PositiveFloat

    def __str__(self) -> str:
        return f"{self.epochs} epochs of batch {self.batch_size} at {self.learning_rate:.2g}"


class Recipe(Frozen):
    """Loss name, temperature and alpha; ``alpha`` weights the teacher term."""

    loss: LossName = "kl"
    temperature: Temperature = 1.0
    alpha: UnitFloat = 1.0
    standardize: bool = False

    def __str__(self) -> str:
        name = f"{self.loss}+std" if self.standardize else self.loss
        return f"{name} T={self.temperature:g} alpha={self.alpha:g}"
