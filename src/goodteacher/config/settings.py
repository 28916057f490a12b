"""Settings of a search: one class for each thing that can be set, one field for each setting.

Descriptions are the texts of ``--help``.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from goodteacher.config.augmentation import Augmentation
from goodteacher.config.common import DataConfig, KeptConfig, RuntimeConfig
from goodteacher.config.runs import PlannedRun, planned_runs, runs_of_other_batches
from goodteacher.config.values import (
    FewThousand,
    Frozen,
    LossName,
    Optimization,
    OptimizerName,
    PositiveFloat,
    PositiveFloats,
    PositiveInt,
    PositiveInts,
    Recipe,
    ScheduleName,
    ScoreName,
    Seeds,
    Temperatures,
    Training,
    UnitFloats,
    VariantName,
    check_augment,
    check_list,
    check_smoothings,
    default_batch_size,
    default_epochs,
    paths,
    split_commas,
)


class StudentConfig(Frozen):
    """The student and how it is trained."""

    student: str = Field(
        description="student architecture, e.g. mlp:64 or cnn:16,32,64; add @ to say how its "
        "inputs are prepared, e.g. @resize:14 or @tfidf:512"
    )
    student_epochs: PositiveInt | None = Field(
        None,
        description="epochs that a student is trained for (default: tuned for each kind of "
        "target; setting it, or student_learning_rate, switches this tuning off)",
    )
    student_batch_size: PositiveInt | None = Field(
        None,
        description="batch size of students (default: about the square root of the number of "
        "examples, between 16 and 512)",
    )
    student_optimizer: OptimizerName = Field("adam", description="sgd (Nesterov), adam or adamw")
    student_learning_rate: PositiveFloat | None = Field(
        None, description="peak learning rate of students (default: tuned on hard labels)"
    )
    student_weight_decay: Annotated[float, Field(ge=0)] = Field(
        0.0, description="weight decay of students"
    )
    student_schedule: ScheduleName = Field(
        "cosine",
        description="learning-rate schedule of students; multistep divides the rate by 10 after "
        "5/8, 3/4 and 7/8 of the training",
    )

    until_converged: bool = Field(
        False,
        description="keep training tuned students, up to nine times longer than usual, as "
        "long as they improve",
    )

    @property
    def tunes_student(self) -> bool:
        """Whether learning rate and epochs of students are looked for."""
        return self.student_epochs is None and self.student_learning_rate is None

    def first_training(self, num_examples: int) -> Training:
        """Return how a student trains as far as it is named, and by default where it is not.

        Args:
            num_examples: Examples that students learn from.

        Example:
            >>> StudentConfig(student="mlp:8").first_training(1293).epochs
            29
        """
        size = self.student_batch_size or default_batch_size(num_examples)
        return Training(
            epochs=self.student_epochs or default_epochs(num_examples, size),
            batch_size=size,
            learning_rate=self.student_learning_rate or _LEARNING_RATES[self.student_optimizer],
        )

    def student_optimization(self, training: Training) -> Optimization:
        """Return a student's training as the trainer wants it."""
        return Optimization(
            optimizer=self.student_optimizer,
            learning_rate=training.learning_rate,
            weight_decay=self.student_weight_decay,
            schedule=self.student_schedule,
            batch_size=training.batch_size,
        )


_LEARNING_RATES = {"adam": 4e-3, "adamw": 4e-3, "sgd": 0.1}
"""Where the search for a student's learning rate starts, and what stands where it is not tuned."""


class TeacherConfig(Frozen):
    """The teacher and its runs: one for each batch size, learning rate and seed."""

    teacher: str | None = Field(
        None,
        description="teacher architecture, e.g. mlp:800,800 or resnet:20; @ works as for the "
        "student (default: no teacher is trained, only those of trajectories are used)",
    )
    batch_sizes: PositiveInts = Field(
        (32, 128, 512),
        description="batch sizes of teachers; one run for each combination with learning "
        "rates and seeds",
    )
    epochs: PositiveInt = Field(32, description="epochs that each teacher is trained for")
    record_epochs: PositiveInts | None = Field(
        None,
        description="epochs after which a teacher's response is recorded (default: 1, 2, 4, "
        "8, ... and the last)",
    )
    teacher_seeds: Seeds = Field(
        (0,),
        description="seeds of the teacher's initial weights and order of examples; one run "
        "for each",
    )
    optimizer: OptimizerName = Field("adam", description="sgd (Nesterov), adam or adamw")
    learning_rates: PositiveFloats = Field(
        (1e-3,), description="teacher's learning rates at reference_batch_size; one run for each"
    )
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(0.9, description="momentum of sgd")
    weight_decay: Annotated[float, Field(ge=0)] = Field(0.0, description="teacher's weight decay")
    schedule: ScheduleName = Field(
        "constant",
        description="teacher's learning-rate schedule; with constant, a checkpoint does not "
        "depend on how long the run continues",
    )
    lr_rule: Literal["constant", "sqrt", "linear"] = Field(
        "constant", description="how the learning rate grows with the batch size"
    )
    budget: Literal["epochs", "steps"] = Field(
        "epochs",
        description="what runs with different batch sizes have in common: the number of epochs, "
        "or the number of steps that reference_batch_size takes in those epochs",
    )
    reference_batch_size: PositiveInt = Field(
        128,
        description="batch size for which lr_rule and budget leave learning rate and steps "
        "as they are",
    )
    micro_batch_size: PositiveInt | None = Field(
        None,
        description="gradient accumulation: split each batch of the teacher, over all its "
        "processes, into pieces of this size (the gradient is the same)",
    )
    augment: Annotated[
        tuple[str, ...], BeforeValidator(split_commas), AfterValidator(check_augment)
    ] = Field(
        (),
        description="augmentation of the teacher's training images and of views: flip, "
        "crop:4, cutout:8, mixup:0.2 (default: none)",
    )
    views: FewThousand = Field(
        1,
        description="number of views of each image that students see in turn: the image "
        "itself and random augmentations of it; the teacher responds once to each",
    )
    variants: Annotated[tuple[VariantName, ...], BeforeValidator(split_commas)] = Field(
        ("raw",),
        description="kinds of teacher to consider: raw (a checkpoint), ema (moving average "
        "of its weights), cooldown (a short training from it with decaying learning rate), "
        "average (mean response of a run up to an epoch), blend (weighted mean response over "
        "epochs and runs)",
    )
    ema_epochs: PositiveFloat = Field(
        1.0,
        description="time constant of the moving average in epochs: after this many epochs, "
        "weights count 1/e",
    )
    cooldown_epochs: PositiveInt = Field(
        1, description="epochs of a cooldown, during which the learning rate falls to zero"
    )

    teachers_of: str | None = Field(
        None,
        description="folder of another study whose teachers are reused where they were "
        "trained in the same way, for another student or transfer set (default: train them)",
    )
    trajectories: Annotated[tuple[str, ...], BeforeValidator(paths)] = Field(
        (),
        description="runs recorded by your own trainer: folders or patterns such as "
        "'recorded/*', separated by commas; they are used alone or together with "
        "runs trained here (default: none)",
    )

    @property
    def recorded_epochs(self) -> tuple[int, ...]:
        """Epochs whose response is kept, in order; the last epoch is always among them.

        None where no teacher is trained.
        """
        if self.teacher is None:
            return ()
        if self.record_epochs is not None:
            return tuple(sorted({*self.record_epochs, self.epochs}))
        powers = {2**k for k in range(self.epochs.bit_length()) if 2**k <= self.epochs}
        return tuple(sorted({*powers, self.epochs}))

    @property
    def runs(self) -> tuple[PlannedRun, ...]:
        """The runs that are trained: batch sizes x learning rates x seeds."""
        if self.teacher is None:
            return ()
        return planned_runs(self.batch_sizes, self.learning_rates, self.teacher_seeds)

    def learning_rate_for(self, batch_size: int, learning_rate: float) -> float:
        """Return what ``lr_rule`` makes of a learning rate at a batch size.

        Args:
            batch_size: The run's.
            learning_rate: At ``reference_batch_size``.
        """
        exponent = {"constant": 0.0, "sqrt": 0.5, "linear": 1.0}[self.lr_rule]
        return learning_rate * float((batch_size / self.reference_batch_size) ** exponent)

    def cheaper_than(self, run: str) -> tuple[str, ...]:
        """Return the runs that reach a recorded epoch at less cost, larger batches first.

        Under ``budget = epochs`` all see as many examples, and a larger batch takes fewer steps;
        under ``steps`` a smaller one sees fewer examples. Only runs of the same learning rate and
        seed are compared, which differ by their batch size alone.

        Args:
            run: Name of one of ``runs``.
        """
        return runs_of_other_batches(self.runs, run, larger=self.budget == "epochs")

    def teacher_optimization(self, batch_size: int, learning_rate: float) -> Optimization:
        """Return how a teacher trains.

        Args:
            batch_size: The run's.
            learning_rate: At ``reference_batch_size``.
        """
        return Optimization(
            optimizer=self.optimizer,
            learning_rate=self.learning_rate_for(batch_size, learning_rate),
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            schedule=self.schedule,
            batch_size=batch_size,
            micro_batch_size=self.micro_batch_size,
        )

    @model_validator(mode="after")
    def _check_teacher(self) -> Self:
        for name in ("batch_sizes", "learning_rates", "teacher_seeds", "variants"):
            check_list(name, getattr(self, name))
        if self.record_epochs and max(self.record_epochs) > self.epochs:
            raise ValueError(
                f"record_epochs must be at most epochs = {self.epochs}, but got "
                f"{list(self.record_epochs)}. Increase epochs or remove the later ones"
            )
        if self.views > 1 and not self.augmentation:
            raise ValueError(
                f"views = {self.views} needs augment, such as flip,crop:4: without augmentation, "
                "every view is the image itself"
            )
        return self

    @property
    def augmentation(self) -> Augmentation:
        """What ``augment`` says."""
        return Augmentation.parse(self.augment)


class GridConfig(Frozen):
    """The temperatures and alphas among which a recipe is chosen."""

    temperatures: Temperatures = Field((1.0, 2.0, 4.0, 8.0), description="temperatures to try")
    alphas: UnitFloats = Field(
        (0.5, 1.0), description="alphas to try; alpha is the weight of the teacher term"
    )

    def grid(self, loss: LossName, *, standardize: bool) -> tuple[Recipe, ...]:
        """Return every recipe of a loss, without the ones that say the same thing twice."""
        temperatures = (1.0,) if loss == "mse" else self.temperatures
        return tuple(
            Recipe(loss=loss, temperature=t, alpha=a, standardize=standardize)
            for t in temperatures
            for a in self.alphas
            if a > 0
        )

    @model_validator(mode="after")
    def _check_grid(self) -> Self:
        for name in ("temperatures", "alphas"):
            check_list(name, getattr(self, name))
        if not any(self.alphas):
            raise ValueError(
                "alphas must contain a value above 0: alpha is the weight of the teacher term, "
                "and alpha = 0 is plain cross-entropy, which is always trained as a reference"
            )
        return self


class SearchConfig(GridConfig):
    """How the sweet spot is looked for."""

    losses: Annotated[tuple[LossName, ...], BeforeValidator(split_commas)] = Field(
        ("kl",), description="losses to try for the teacher term: kl, mse, dkd, dist, ttm"
    )
    standardize: bool = Field(False, description="standardise logits in the teacher term")
    smoothings: UnitFloats = Field(
        (0.02, 0.05, 0.1, 0.2, 0.3), description="strengths of label smoothing to try"
    )
    shortlist: FewThousand = Field(
        8,
        description="number of recorded teachers that students are trained from; they are chosen "
        "by shortlist_by",
    )
    shortlist_by: ScoreName = Field(
        "best_nll",
        description="score that chooses this shortlist: best_nll is held-out NLL at the best "
        "temperature, probe trains students for one epoch; docs/method.md describes the "
        "others",
    )
    halving: Annotated[int, Field(ge=2)] = Field(
        3,
        description="each round keeps one in this many students and trains those this many "
        "times longer",
    )
    rungs: FewThousand = Field(
        2,
        description="number of successive-halving rounds; with 1, the whole shortlist is "
        "trained to the end",
    )
    extend: bool = Field(
        True,
        description="if the best temperature, alpha or smoothing is the largest or smallest "
        "tried, also try values beyond it, for every kind of target",
    )
    search_seeds: FewThousand = Field(
        2, description="number of paired student seeds during the search"
    )
    seeds: FewThousand = Field(
        5, description="number of new paired student seeds for the confirmation"
    )
    patience: Annotated[int, Field(ge=0)] = Field(
        2,
        description="stop a teacher when its probe students have become worse for this many "
        "recorded epochs; 0 trains every teacher to the end",
    )
    lead_after: Annotated[int, Field(ge=0)] = Field(
        3,
        description="small batch sizes are expensive to train: after this many recorded "
        "epochs, stop a run unless its probe students are better than those of every cheaper "
        "run with the same learning rate and seed; 0 switches this off, and so does patience "
        "0",
    )
    exhaustive: bool = Field(
        False, description="train every candidate, teacher or student, to the end"
    )
    level: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        0.05, description="level of the intervals: 0.05 means 95 %"
    )

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """Every recipe of the grid, without the ones that say the same thing twice."""
        grids = (self.grid(loss, standardize=self.standardize) for loss in self.losses)
        return tuple(recipe for grid in grids for recipe in grid)

    @property
    def stops_teachers(self) -> bool:
        """Whether a teacher may stop before its last epoch; never in an exhaustive search."""
        return self.patience > 0 and not self.exhaustive

    @model_validator(mode="after")
    def _check_search(self) -> Self:
        check_list("losses", self.losses)
        check_smoothings(self.smoothings)
        return self


class StudyConfig(
    RuntimeConfig, DataConfig, KeptConfig, SearchConfig, StudentConfig, TeacherConfig
):
    """All settings of a study, flat: the content of ``study.toml``.

    Example:
        >>> from goodteacher.config import parse
        >>> config = parse(StudyConfig, data="digits", teacher="mlp:64", student="mlp:8", epochs=6)
        >>> config.recorded_epochs
        (1, 2, 4, 6)
    """

    may_differ: ClassVar[frozenset[str]] = frozenset({"until_converged", "keep_examples"})

    @model_validator(mode="after")
    def _check_trajectories(self) -> Self:
        if self.teacher is None and not self.trajectories:
            raise ValueError(
                "teacher is missing. Give it as --teacher, or as teacher in the file of "
                "--config; or name runs that your own trainer recorded, as --trajectories"
            )
        branches = [name for name in self.variants if name in ("ema", "cooldown")]
        if self.teacher is None and branches:
            raise ValueError(
                f"variants = {','.join(branches)} needs a teacher's weights, but recorded runs "
                "contain only responses. Use raw, average and blend; or record averaged weights "
                "as a separate run"
            )
        if self.trajectories and self.views > 1:
            raise ValueError(
                f"views = {self.views} needs teachers' responses to augmented images, which "
                "recorded runs do not contain. Leave out views or trajectories"
            )
        return self

    @model_validator(mode="after")
    def _check_mixup(self) -> Self:
        if self.augmentation.mixup and "dkd" in self.losses:
            raise ValueError(
                "dkd needs one label for each image, but mixup mixes two. Leave out dkd or mixup"
            )
        return self
