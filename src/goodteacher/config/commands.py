"""Settings of ``goodteacher distill``, ``respond`` and ``verify``."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from goodteacher.config.common import DataConfig, KeptConfig, RuntimeConfig
from goodteacher.config.settings import GridConfig, StudentConfig
from goodteacher.config.values import (
    FewThousand,
    LossName,
    Recipe,
    Temperature,
    Temperatures,
    UnitFloat,
    UnitFloats,
    as_text,
    check_list,
    check_smoothings,
    check_verdict_seeds,
    paths,
    split_commas,
)


class DistillConfig(RuntimeConfig, DataConfig, StudentConfig):
    """Settings of ``goodteacher distill``: one recipe, no search."""

    loss: LossName = Field("kl", description="teacher term: kl, mse, dkd, dist or ttm")
    temperature: Temperature = Field(1.0, description="temperature of the teacher term")
    alpha: UnitFloat = Field(1.0, description="weight of the teacher term")
    standardize: bool = Field(False, description="standardise logits in the teacher term")
    seeds: FewThousand = Field(1, description="paired student seeds")
    level: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        0.05, description="level of the intervals: 0.05 means 95 %"
    )

    @property
    def recipe(self) -> Recipe:
        """The recipe these settings name."""
        return Recipe(
            loss=self.loss,
            temperature=self.temperature,
            alpha=self.alpha,
            standardize=self.standardize,
        )


class RespondConfig(RuntimeConfig, DataConfig):
    """Settings of ``goodteacher respond``: what checkpoints of another trainer say."""

    model: str = Field(
        description="the checkpoints' network, e.g. python:package.module:factory; add @ to "
        "say how its inputs are prepared: @raw passes examples as they are stored. Without "
        "checkpoints: a model that can predict already, hf:FOLDER or an ONNX file"
    )
    checkpoints: Annotated[tuple[str, ...], BeforeValidator(paths)] = Field(
        (),
        description="checkpoint files, folders or patterns such as 'runs/*/checkpoint-*', "
        "separated by commas; the files of one folder form one run (default: none, and the "
        "model itself is asked)",
    )
    classes: Annotated[tuple[str, ...], BeforeValidator(split_commas)] = Field(
        (),
        description="which class each output of the model stands for, in their order "
        "(default: as its config.json says, otherwise the order of the classes in the data)",
    )
    epoch_from: str | None = Field(
        None,
        description="regular expression with a group that matches the epoch, such as "
        "'epoch-(\\d+)' (default: read from the trainer's state, the file's name or its "
        "contents)",
    )
    section: str | None = Field(
        None,
        description="key in the checkpoint under which the weights are stored, such as ema "
        "(default: the weights that are not a moving average)",
    )
    probabilities: bool = Field(
        False, description="the network returns probabilities instead of logits"
    )
    record_test: bool = Field(
        False,
        description="also write the responses to the test split, which is not opened before "
        "a search ends",
    )


class EvidenceConfig(KeptConfig):
    """What ``goodteacher verify`` reports beside the verdict, where asked for.

    None of it moves the verdict, so any of it may be asked for later in the same folder.
    """

    curve_temperatures: Temperatures = Field(
        (),
        description="measure the gain of each rung of the ladder at these temperatures, such "
        "as 1,2,4,8,16,32 (default: none)",
    )
    omit_class: Annotated[str | None, BeforeValidator(as_text)] = Field(
        None,
        description="name or number of a class that additional students never see during "
        "training (default: none)",
    )
    omit_map: Annotated[int, Field(ge=3, le=10_000)] | None = Field(
        None,
        description="with omit_class, also train students of every recorded teacher of the study "
        "without the class, at T = 1 and at the recipe's T, with this many paired seeds each "
        "(default: no such map)",
    )
    evidence_seeds: Annotated[int, Field(ge=3, le=10_000)] | None = Field(
        None,
        description="number of paired student seeds for the temperature curve and the "
        "omitted class (default: the same as seeds)",
    )

    @model_validator(mode="after")
    def _check_evidence(self) -> Self:
        if self.curve_temperatures:
            check_list("curve_temperatures", self.curve_temperatures)
        if self.omit_map is not None and self.omit_class is None:
            raise ValueError(
                f"omit_map = {self.omit_map} needs omit_class, the class that the students never "
                "see. Give omit_class, or leave omit_map out"
            )
        return self


class VerifyConfig(DistillConfig, GridConfig, EvidenceConfig):
    """Settings of ``goodteacher verify`` for a response that the user brings."""

    may_differ: ClassVar[frozenset[str]] = frozenset(
        {"seeds", "until_decided", "until_converged", *EvidenceConfig.model_fields}
    )

    seeds: Annotated[FewThousand, AfterValidator(check_verdict_seeds)] = Field(
        20,
        description="number of paired student seeds, at least 3; with until_decided, the "
        "number to start with",
    )
    until_decided: FewThousand | None = Field(
        None,
        description="keep adding seeds, up to this many, until the verdict is clear; looking "
        "several times is corrected for (default: look once)",
    )
    margin: UnitFloat = Field(
        0.002,
        description="differences smaller than this count as no difference: 0.002 is 0.2 "
        "points of accuracy",
    )
    smoothings: UnitFloats = Field(
        (0.02, 0.05, 0.1, 0.2, 0.3),
        description="strengths of label smoothing to try; the best one is the control",
    )
    tune_arms: bool = Field(
        False,
        description="tune temperature and alpha for each rung and control separately, on the "
        "selection split",
    )
    search_seeds: FewThousand = Field(
        2,
        description="number of paired student seeds for this tuning; the verdict uses other seeds",
    )

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """Every recipe that an arm may choose: the one given, and the grid."""
        grid = self.grid(self.loss, standardize=self.standardize)
        return tuple(dict.fromkeys((self.recipe, *grid)))

    @model_validator(mode="after")
    def _check_verify(self) -> Self:
        check_smoothings(self.smoothings)
        if self.alpha == 0:
            raise ValueError(
                "alpha must be above 0: it is the weight of the teacher term, so with alpha = 0 "
                "there is no teacher to judge"
            )
        if self.loss == "mse" and self.curve_temperatures:
            raise ValueError(
                "curve_temperatures measures how the gain depends on the temperature, but the "
                "loss mse compares raw logits and has no temperature. Leave curve_temperatures "
                "out, or use another loss"
            )
        if self.until_decided is not None and self.until_decided < self.seeds:
            raise ValueError(
                "until_decided is the largest number of seeds, so it must be at least seeds = "
                f"{self.seeds}, but it is {self.until_decided}. Three times seeds is a good start"
            )
        return self
