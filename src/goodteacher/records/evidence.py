"""What the evidence is: frozen values, and the file ``evidence.json`` that holds them.

Accuracies, agreements and differences are fractions; an interval is ``[low, high]`` at the level of
the whole, and ``adjusted_interval`` one of several that cover together at that level (Sidak).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from goodteacher.config import Frozen, Recipe
from goodteacher.records.examples import Shown
from goodteacher.records.results import Effect, Pair


class Estimate(Frozen):
    """A share of examples, with its interval over seeds and examples."""

    mean: float
    interval: Pair


class JointEffect(Effect):
    """A paired difference that is read beside others of its kind."""

    adjusted_interval: Pair = Field(description="simultaneous over the comparisons of its table")


class CurveArm(Frozen):
    """One rung at one temperature."""

    name: str
    test_accuracy: float
    gain: JointEffect = Field(description="over hard labels; joint over every rung and T")


class CurvePoint(Frozen):
    """The rungs 1 to 4, each made at one temperature."""

    temperature: float
    arms: tuple[CurveArm, ...]
    knowledge: JointEffect = Field(description="full response minus rung 2; joint over every T")


class TemperatureCurve(Frozen):
    """The gain over temperature; loss and alpha are the recipe's."""

    points: tuple[CurvePoint, ...]
    cross_entropy_test_accuracy: float
    num_seeds: int
    kept_at: tuple[float, ...] = Field(
        description="temperatures at which the full response gains over hard labels *and* over "
        "rung 2, both by their joint intervals"
    )
    reading: str = Field(description="the same in plain words")


class OmittedArm(Frozen):
    """Students of one rung that never saw the omitted class."""

    name: str
    class_accuracy: Estimate = Field(description="on test examples of the omitted class")
    overall_accuracy: Estimate
    mean_offset: float = Field(description="added to the class's logit; mean over seeds")
    corrected_class_accuracy: Estimate
    corrected_overall_accuracy: Estimate
    over_cross_entropy: JointEffect | None = Field(
        description="accuracy on the class after correction, minus that of hard labels"
    )


class RecognisedExample(Frozen):
    """A test example of the omitted class, and what the full response's students make of it."""

    id: int
    right: int = Field(description="seeds whose student recognises it, as trained")
    says: int = Field(description="most frequent prediction over the seeds")
    shown: Shown


class ResemblingExample(Frozen):
    """A transfer example of another class, of which the teacher says much of the omitted one."""

    id: int
    label: int
    classes: tuple[int, ...] = Field(
        description="whose probabilities are kept: the omitted one, its own, the most probable ones"
    )
    plain: tuple[float, ...] = Field(description="the teacher's probabilities at T = 1")
    softened: tuple[float, ...] = Field(description="the same at the recipe's temperature")
    shown: Shown


class OmittedExamples(Frozen):
    """Examples that show what an omitted class was learned from, and how well."""

    num_recognised: int = Field(
        description="test examples of the class that more than half of the seeds recognise"
    )
    recognised: tuple[RecognisedExample, ...] = Field(
        description="some of them, those that most seeds recognise first"
    )
    missed: tuple[RecognisedExample, ...] = Field(
        description="some of the others, those that fewest seeds recognise first"
    )
    resembling: tuple[ResemblingExample, ...] = Field(
        description="transfer examples that the teacher gives the class most at T = 1"
    )


class OmittedCell(Frozen):
    """Students of one recorded teacher that never saw the omitted class."""

    run: str
    epoch: int
    temperature: float
    class_accuracy: Estimate = Field(description="on test examples of the omitted class")
    corrected_class_accuracy: Estimate


class OmittedMap(Frozen):
    """Every recorded teacher of a study, by what its students know of a class they never saw."""

    num_seeds: int
    temperatures: tuple[float, ...] = Field(description="1, and the recipe's")
    cells: tuple[OmittedCell, ...]


class OmittedClass(Frozen):
    """A class that students never saw, and what they know of it."""

    class_number: int
    class_name: str
    num_seeds: int
    num_transfer: int = Field(description="examples that the students did see")
    num_class_examples: int = Field(description="test examples of the class")
    seen_accuracy: Estimate = Field(
        description="on the class, of students of hard labels that saw every class"
    )
    arms: tuple[OmittedArm, ...]
    knowledge: JointEffect = Field(
        description="accuracy on the class as trained, full response minus rung 2"
    )
    corrected_knowledge: JointEffect = Field(description="the same after correction")
    examples: OmittedExamples | None = Field(
        default=None, description="null where keep_examples is 0"
    )
    map: OmittedMap | None = Field(default=None, description="null where it was not asked for")


class FidelityArm(Frozen):
    """How far the students of one rung predict what teachers predict."""

    name: str
    accuracy: float
    own: Estimate = Field(description="agreement with their own teacher")
    independent: Estimate | None = Field(description="agreement with the independent teacher")
    excess: Effect | None = Field(description="own minus independent")
    over_cross_entropy: JointEffect | None = Field(
        description="agreement with the own teacher, minus that of students of hard labels"
    )
    excess_over_cross_entropy: JointEffect | None = Field(
        description="excess, minus that of students of hard labels"
    )


class Fidelity(Frozen):
    """Agreement of students with teachers on the selection split."""

    num_examples: int
    num_seeds: int
    teacher_held_out: bool = Field(
        description="whether the own teacher is known not to have learned from the split"
    )
    teacher: str
    teacher_accuracy: float
    independent: str | None
    independent_accuracy: float | None
    teachers_agree: float | None = Field(description="share on which the two teachers agree")
    arms: tuple[FidelityArm, ...]


class ErrorArm(Frozen):
    """How often the students of one rung make a teacher's errors."""

    name: str
    repeated: Estimate = Field(
        description="share of the own teacher's errors on which a student predicts the same class"
    )
    right: float = Field(description="share of them on which a student predicts the label")
    independent: Estimate | None = Field(
        description="share of the independent teacher's errors that these students repeat"
    )
    over_cross_entropy: JointEffect | None = Field(
        description="repeated, minus the share that students of hard labels repeat"
    )
    excess_over_cross_entropy: JointEffect | None = Field(
        description=(
            "repeated minus independent, minus the same difference for students of hard labels"
        )
    )

    @property
    def transfer(self) -> JointEffect | None:
        """Error transfer: beyond an independent teacher's where there is one, else the labels'."""
        return self.excess_over_cross_entropy or self.over_cross_entropy


class ErrorTransfer(Frozen):
    """Whether students make the errors of their own teacher."""

    split: Literal["test", "selection"]
    num_examples: int
    num_seeds: int
    teacher_held_out: bool = Field(
        description="whether the own teacher is known not to have learned from the split"
    )
    teacher: str
    num_errors: int = Field(description="examples on which the own teacher is wrong")
    independent: str | None
    independent_errors: int | None
    same_errors: int | None = Field(
        description="examples on which both teachers predict the same wrong class"
    )
    arms: tuple[ErrorArm, ...]


class ClassGain(Frozen):
    """What class and instance similarity do for one class."""

    number: int
    name: str
    num_examples: int
    confidence_smoothing: float = Field(description="test accuracy of rung 2 on the class")
    full_response: float
    gain: JointEffect | None = Field(
        description="full response minus rung 2, joint over the classes; null below 2 examples"
    )


class PairChange(Frozen):
    """How often one class is taken for another."""

    true: int
    predicted: int
    similarity: float = Field(description="qbar: share of the true class's off-class mass")
    confidence_smoothing: float = Field(description="share of the true class's examples, rung 2")
    full_response: float

    @property
    def change(self) -> float:
        """Full response minus rung 2."""
        return self.full_response - self.confidence_smoothing


class Association(Frozen):
    """Rank correlation of two class-by-class matrices off the diagonal."""

    rho: float
    p_value: float = Field(description="by renumbering classes (Mantel)")
    num_classes: int
    num_pairs: int


class Confusion(Frozen):
    """Mean confusion of rung 2 and of the full response, beside the similarity matrix."""

    pairs: tuple[PairChange, ...] = Field(
        description="whose confusion changes most, either way; none above 4,000 classes"
    )
    similarity: tuple[tuple[float, ...], ...] = Field(
        description="qbar at the recipe's temperature, on the transfer set; empty above 100 classes"
    )
    change: tuple[tuple[float, ...], ...] = Field(
        description="of the confusion matrix (rows sum to 1), full response minus rung 2"
    )
    confused_with_similarity: Association | None = Field(description="rung 2's confusion and qbar")
    change_with_similarity: Association | None = Field(description="the change and qbar")


class Flip(Frozen):
    """A test example on which rung 2 and the full response part."""

    id: int
    label: int
    confidence_smoothing_right: int = Field(description="seeds whose student of rung 2 is right")
    full_response_right: int
    confidence_smoothing_says: int = Field(description="most frequent prediction over the seeds")
    full_response_says: int
    picture: str | None = Field(description="PNG in base64; null where the data are no images")
    text: str | None = Field(
        default=None, description="how the text begins; null where the data are no texts"
    )


class Flips(Frozen):
    """Which test examples flip."""

    num_examples: int
    num_seeds: int
    gained: int = Field(description="examples that more seeds get right with the full response")
    lost: int
    resolved_gained: int = Field(
        description="of these, beyond chance: sign test over the seeds, Holm over the examples"
    )
    resolved_lost: int
    most_gained: tuple[Flip, ...]
    most_lost: tuple[Flip, ...]


class Evidence(Frozen):
    """Content of ``evidence.json``."""

    schema_version: Literal[1] = 1
    teacher: str
    recipe: Recipe
    num_seeds: int
    level: float
    class_names: tuple[str, ...]
    curve: TemperatureCurve | None
    omitted: OmittedClass | None
    fidelity: Fidelity | None
    fidelity_missing: str | None = Field(description="why there is no fidelity, or only a part")
    error_transfer: ErrorTransfer | None = Field(
        default=None, description="null where nothing can be said, and before it was measured"
    )
    error_transfer_missing: str | None = Field(
        default=None, description="why there is no error transfer, or only a part"
    )
    classes: tuple[ClassGain, ...]
    confusion: Confusion
    flips: Flips
