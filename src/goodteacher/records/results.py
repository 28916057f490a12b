"""What a study found: frozen values, and the JSON and Parquet files that hold them.

Result files are a public interface: they carry ``schema_version`` and are read back through the
same classes. Accuracies and differences are fractions in [0, 1]; only the display turns them into
points. An interval is ``[low, high]``.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from goodteacher.config import Attribute, Frozen, Recipe, Run, Training, in_words
from goodteacher.records.arms import Blend, BlendMember, Checkpoint, TeacherSource, TeacherVariant
from goodteacher.records.predictors import Savings

Pair = tuple[float, float]
"""An interval, low and high."""


class Measurement(Frozen):
    """One response measured on one split at one temperature."""

    split: Literal["transfer", "selection", "given"]
    temperature: float
    accuracy: float
    nll: float = Field(description="nats")
    brier: float
    ace: float = Field(description="adaptive calibration error")
    similarity: float = Field(description="S, nats")
    class_part: float = Field(description="nats")
    instance_part: float = Field(description="nats")
    effective_classes: float
    share_one_hot: float = Field(description="share of examples with effective classes < 1.05")
    off_class_mass: float
    entropy: float | None = Field(default=None, description="mean entropy, nats")
    wrong_class_variance: float | None = None
    cmi: float | None = Field(default=None, description="conditional mutual information, nats")


class Measured(Frozen):
    """A response that was measured on the transfer set and on the selection split."""

    optimal_temperature: float | None = Field(description="minimises NLL on the selection split")
    optimal_temperature_limit: Literal["zero", "infinity"] | None = Field(
        default=None, description="where the best temperature lies if no finite one is best"
    )
    measurements: tuple[Measurement, ...] = ()
    recording_seconds: float = Field(
        default=0.0, description="time that the responses and their measurement took"
    )

    def at(self, split: str, temperature: float = 1.0) -> Measurement:
        """Return the measurement on a split at a temperature.

        Raises:
            KeyError: It was not measured.
        """
        for measurement in self.measurements:
            if measurement.split == split and measurement.temperature == temperature:
                return measurement
        raise KeyError(f"no measurement on {split} at temperature {temperature}")

    @property
    def best_nll(self) -> float:
        """Held-out negative log-likelihood at the temperature that minimises it, nats."""
        if self.optimal_temperature is None:
            return float("inf")
        return self.at("selection", self.optimal_temperature).nll

    @property
    def selection_accuracy(self) -> float:
        """The teacher's own accuracy on the selection split."""
        return self.at("selection").accuracy if self.measurements else 0.0

    @property
    def by_accuracy(self) -> tuple[float, float]:
        """What the most accurate teacher has most of: accuracy on the selection split, then fit."""
        return self.selection_accuracy, -self.best_nll


class OfRun(Frozen):
    """What belongs to one run of a teacher."""

    run: str = Field(description="name of the run")
    attributes: dict[str, Attribute] = Field(
        default={},
        description="of the run: batch_size, learning_rate (as the settings name it), seed, or "
        "whatever its owner noted",
    )

    @property
    def batch_size(self) -> int | None:
        """The run's batch size, where it is known."""
        size = self.attributes.get("batch_size")
        return size if isinstance(size, int) else None

    @property
    def made_by(self) -> Run:
        """The run."""
        return Run(name=self.run, attributes=self.attributes)


class TrajectoryRecord(OfRun, Measured):
    """A teacher at one recorded epoch, as ``trajectory.jsonl`` holds it.

    What only a trainer knows may be missing: runs may have been recorded elsewhere.
    """

    epoch: int = Field(description="the recorded epoch that the settings name")
    variant: TeacherVariant = "raw"
    steps: int | None = None
    passes: float | None = Field(
        default=None, description="times that each training example was seen"
    )
    seconds: float | None = Field(
        default=None,
        description="training time since the start of the trajectory or branch; of an ema, the "
        "time that its batch-norm statistics took",
    )
    learning_rate: float | None = Field(default=None, description="of the last step")
    training_loss: float | None = Field(
        default=None, description="mean since the record before, nats"
    )
    status: Literal["ok", "diverged"] = "ok"
    stopped: bool = Field(
        default=False,
        description="training stopped here: its probe students had become worse, or those of "
        "another run were as good",
    )
    outdone_by: str | None = Field(
        default=None,
        description="the cheaper run whose probe students were as good",
    )

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint that this record describes."""
        return Checkpoint(run=self.run, epoch=self.epoch, variant=self.variant)

    @property
    def source(self) -> Checkpoint:
        """What a student of this teacher learns from."""
        return self.checkpoint


class BlendRecord(Measured):
    """A mean of recorded responses, as ``blends.jsonl`` holds it."""

    source: Blend

    @property
    def run(self) -> str:
        """Run of the heaviest member."""
        return self.source.run

    @property
    def epoch(self) -> int:
        """Epoch of the heaviest member."""
        return self.source.epoch


TeacherRecord = TrajectoryRecord | BlendRecord
"""A teacher that was measured."""


Stage = Literal["tune", "check", "search", "probe", "confirm", "distill", "verify"]
"""What students are trained for."""


class LearningPoint(Frozen):
    """A student on its way: what it reached on the selection split after some epochs."""

    epoch: int
    accuracy: float
    nll: float | None = Field(
        description="at its best temperature, nats; null where it is not finite"
    )
    training_loss: float | None = Field(description="mean over the epoch")


class Edge(Frozen):
    """A choice that lies on a limit of what was tried: the best may lie beyond."""

    family: str
    axis: str
    value: float


class Trial(Frozen):
    """Students of hard labels at one learning rate."""

    learning_rate: float
    selection_accuracy: float = Field(description="mean over seeds; a diverged student counts 0")
    num_seeds: int


class StudentPlan(Frozen):
    """Content of ``student_training.json``: how students train before each family is tuned."""

    schema_version: Literal[1] = 1
    training: Training
    tuned: bool = Field(description="whether learning rate and epochs are looked for")
    trials: tuple[Trial, ...] = ()
    tasks: tuple[str, ...] = Field(default=(), description="names of the tasks that tried them")


class StudentRow(Frozen):
    """One trained student at the end of one task: a row of ``students.parquet``."""

    task: str
    stage: Stage
    rung: int
    seed: int
    arm: str
    source: str
    teacher: str | None = Field(default=None, description="its name, if it learned from one")
    run: str | None = Field(default=None, description="of its teacher; of a mean, its heaviest's")
    epoch: int | None = None
    variant: str | None = None
    smoothing: float | None = None
    loss: str
    temperature: float
    alpha: float
    standardize: bool
    student_epochs: int
    student_batch_size: int
    student_learning_rate: float
    status: Literal["ok", "diverged"]
    training_loss: float | None
    selection_accuracy: float
    test_accuracy: float | None = None
    student_seconds: float = Field(description="this student's share of its stack's time")
    curve: tuple[LearningPoint, ...] = Field(description="along its training, the last at its end")

    @property
    def training(self) -> Training:
        """How it trained."""
        return Training(
            epochs=self.student_epochs,
            batch_size=self.student_batch_size,
            learning_rate=self.student_learning_rate,
        )


class DataSummary(Frozen):
    """Content of ``data.json``: which data, and how many examples each part holds."""

    fingerprint: str
    class_names: tuple[str, ...]
    input_shape: tuple[int, ...] | dict[str, tuple[int, ...]] = Field(
        description="of one example, or of each of its fields; nothing for texts"
    )
    training: int
    transfer: int
    selection: int
    test: int
    is_text: bool = Field(default=False, description="whether the inputs are texts")
    text_columns: tuple[str, ...] = Field(
        default=(), description="names of an example's texts, where it has several"
    )
    given_in_python: bool = Field(
        default=False, description="whether they were given in Python, so no name loads them again"
    )


class TeacherChoice(OfRun):
    """The sweet-spot teacher; of a mean of responses, run and epoch are its heaviest's."""

    epoch: int
    asked_once: bool = Field(
        default=False, description="it predicts and was asked once: it has no epochs"
    )
    variant: Literal["raw", "ema", "cooldown", "average", "blend"]
    members: tuple[BlendMember, ...] = Field(default=(), description="of an average or a blend")
    selection_accuracy: float
    test_accuracy: float | None = Field(
        default=None, description="null where it has no response to the test split"
    )

    @property
    def source(self) -> TeacherSource:
        """What its students learn from."""
        if self.variant == "average" or self.variant == "blend":
            return Blend(variant=self.variant, members=self.members)
        return Checkpoint(run=self.run, epoch=self.epoch, variant=self.variant)

    @property
    def described(self) -> str:
        """What it is, in words."""
        if self.asked_once and not self.members:
            return f"the teacher {self.run}"
        if not self.members:
            how = _HOW_MADE.get(self.variant, "")
            return f"the teacher of {in_words(self.run)} after epoch {self.epoch}{how}"
        count = len(self.members)
        return f"the mean of {count} recorded response{'s' * (count > 1)} ({self.source})"


_HOW_MADE = {"ema": ", its weights averaged", "cooldown": ", cooled down"}


class StudentResult(Frozen):
    """The students of one arm, confirmed with fresh seeds."""

    arm: str
    training: Training
    selection_accuracy: float
    test_accuracy: float
    interval: Pair
    num_seeds: int


class Reference(Frozen):
    """A reference beside the sweet spot; ``difference`` is the sweet spot minus it, paired.

    Where both are the same arm their students are the same: the difference is 0, not estimated.
    """

    arm: str
    training: Training
    selection_accuracy: float
    test_accuracy: float
    accuracy_interval: Pair | None = Field(default=None, description="of test_accuracy")
    difference: float
    interval: Pair | None = Field(description="null for the sweet spot's own arm")
    adjusted_interval: Pair | None = Field(
        description="simultaneous over all references; null for the sweet spot's own arm"
    )
    teacher_test_accuracy: float | None = None
    stopped: bool = Field(
        default=False,
        description="its teacher was stopped before the last planned epoch: it may not have "
        "converged",
    )


class References(Frozen):
    """What the sweet spot has to beat, each with its own best recipe."""

    cross_entropy: Reference
    label_smoothing: Reference
    converged_teacher: Reference
    most_accurate_teacher: Reference


class Cost(Frozen):
    """What the search took, references and confirmation included."""

    teacher_seconds: float | None = Field(
        description="training time of all trajectories that were timed; null where none was"
    )
    untimed_runs: int = Field(
        default=0, description="runs recorded elsewhere whose training time is unknown"
    )
    student_seconds: float = Field(description="training time of all students")
    num_students: int
    student_epochs_run: int
    student_epochs_exhaustive: int = Field(
        description="what training every candidate of the grid to the end would have run"
    )
    teacher_epochs_run: int
    teacher_epochs_full: int = Field(description="what was planned")
    cooldown_seconds: float = Field(default=0.0, description="training time of all cooldowns")
    cooldown_epochs_run: int = Field(default=0, description="in addition to teacher_epochs_run")
    probe_epochs_run: int = Field(
        default=0, description="student epochs of probe students, among student_epochs_run"
    )
    variants: dict[str, float] = Field(
        default={},
        description="seconds that each kind of teacher took, responses and their measurement "
        "included; raw are the trajectories, from which all others start",
    )


Answer = Literal["yes", "no", "undecided"]
"""Whether to distill."""


class SweetSpot(Frozen):
    """Content of ``sweet_spot.json``."""

    schema_version: Literal[1] = 1
    answer: Answer = Field(
        description="whether distillation gives a better student than hard labels and label "
        "smoothing do"
    )
    delivered: str = Field(description="family whose student is in the folder student/")
    doubts: tuple[str, ...] = Field(
        default=(), description="what stands between this answer and a sure one, with what to do"
    )
    improving: tuple[str, ...] = Field(
        default=(), description="families whose students still got better when training ended"
    )
    edges: tuple[Edge, ...] = Field(default=(), description="choices on a limit of what was tried")
    num_diverged: int = Field(default=0, description="confirmed students that diverged")
    teacher: TeacherChoice
    recipe: Recipe
    student: StudentResult
    references: References
    cost: Cost
    savings: Savings | None = Field(
        default=None,
        description=(
            "the delivered student compared with its teacher, if the teacher predicts and was "
            "asked once"
        ),
    )
    level: float
    summary: str


class Effect(Frozen):
    """A paired difference of two arms' test accuracies."""

    mean: float
    interval: Pair


class Rung(Frozen):
    """A rung of the ladder; ``step`` is what its ingredient adds to the rung below."""

    rung: int
    name: str
    test_accuracy: float
    selection_accuracy: float
    step: Effect | None
    recipe: Recipe | None = Field(default=None, description="how its students learned")


class Control(Frozen):
    """An arm beside the ladder; ``full_response_minus_it`` is paired."""

    name: str
    test_accuracy: float
    selection_accuracy: float
    full_response_minus_it: Effect


Judged = Literal["knowledge", "regularization", "no_gain", "inconclusive"]
VerdictName = Literal[Judged, "undertrained"]


class Look(Frozen):
    """A look at the test split, after which more seeds were trained or not."""

    seeds: int
    level: float = Field(description="of its intervals; the levels of all planned looks sum up")
    verdict: VerdictName


class Verdict(Frozen):
    """Content of ``verdict.json``: did the student learn class similarity from the teacher?"""

    schema_version: Literal[1] = 1
    verdict: VerdictName
    explanation: str
    teacher: str
    recipe: Recipe
    gain: Effect = Field(description="full response minus hard labels")
    knowledge: Effect = Field(description="full response minus rung 2: what similarity adds")
    regularization: Effect = Field(description="rung 2 minus hard labels")
    best_regularizer: str = Field(description="chosen on the selection split")
    over_best_regularizer: Effect
    ladder: tuple[Rung, ...]
    controls: tuple[Control, ...]
    num_seeds: int
    level: float = Field(description="of the intervals here: that of the last look")
    margin: float
    error_level: float | None = Field(default=None, description="of all planned looks together")
    until_decided: int | None = Field(
        default=None, description="seeds at most; null: one look was planned"
    )
    looks: tuple[Look, ...] = ()
    tuned_arms: bool = Field(
        default=False, description="each arm has its own best temperature and alpha"
    )
    smoothing: float | None = Field(default=None, description="strength of tuned label smoothing")
    num_unlabelled: int = Field(default=0, description="transfer examples without a label")
    resolvable_margin: float = Field(
        description="smallest difference that this test split resolves with any number of seeds"
    )
    more_seeds: int | None = Field(
        description="further seeds that the observed spread asks for; null where decided, or where "
        "no number of seeds would do"
    )
