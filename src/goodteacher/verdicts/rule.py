"""Knowledge or regularization? The ladder, its controls, and the rule of the verdict.

Rungs (DESIGN, section 4; *ours*): 0 labels; 1 smoothing with the teacher's mean off-class mass; 2
with its own confidence for each example; 3 that mass spread by class similarity; 4 the full
response. Steps sum to the gain. Rungs 1 and 2 regularize; rungs 3 and 4 teach similarity.

The rule, with two-sided intervals at ``level`` over seeds and test examples, margin ``margin``:

1. **knowledge**: the full response beats rung 2 by more than the margin (similarity is used), *and*
   beats every regularizer - cross-entropy, rungs 1 and 2, tuned label smoothing (it pays);
2. else **no_gain**: the full response beats cross-entropy by less than the margin;
3. else **regularization**: it beats cross-entropy, and the best regularizer by less than the
   margin;
4. else **inconclusive**, with the number of further seeds that the observed spread asks for.

"Beats by more than x" means that the interval lies above x, "by less than x" that it lies below x.
The conditions of 1 must all hold, so each is tested at the full level without correction (an
intersection-union test). The best regularizer is chosen on the selection split. Where seeds are
added while inconclusive, each look has its share of the level
(:func:`~goodteacher.maths.statistics.plan_looks`).

Where some transfer examples have no label, the rungs give them the teacher's most probable class,
and cross-entropy and label smoothing learn from the labelled ones alone. Then the labels completed
by those classes are one more regularizer: what they give is no class similarity either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from goodteacher.config import Recipe
from goodteacher.maths.statistics import Interval, SeedPlan, paired_interval, seeds_needed
from goodteacher.maths.targets import FALSIFICATION, LADDER
from goodteacher.records import (
    CROSS_ENTROPY,
    Arm,
    Control,
    Effect,
    FileSource,
    Judged,
    Rung,
    SmoothingSource,
    TargetSource,
    TeacherSource,
    Verdict,
    points,
    smoothing_arm,
    target_name,
)
from goodteacher.students import Correct

RUNGS = tuple(LADDER)
TUNED = "tuned_label_smoothing"
REGULARIZERS = (*RUNGS[:3], TUNED)
"""What a gain must beat to be knowledge."""
PSEUDO_LABELS = "pseudo_labels"
"""Labels completed by the teacher's most probable class: a regularizer where some are missing."""


def plan_arms(
    base: TeacherSource | FileSource,
    recipe: Recipe,
    smoothings: Sequence[float],
    *,
    unlabelled: bool = False,
) -> dict[str, Arm]:
    """Return every arm of a verification by name.

    Args:
        base: Whose response is judged.
        recipe: How students learn from it.
        smoothings: Strengths of label smoothing to tune over.
        unlabelled: Whether some examples have no label.
    """
    arms = {
        RUNGS[0]: CROSS_ENTROPY,
        **{name: target_arm(base, name, recipe) for name in (*RUNGS[1:], *FALSIFICATION)},
        **{smoothing_name(arm): arm for arm in map(smoothing_arm, smoothings)},
    }
    if unlabelled:
        arms[PSEUDO_LABELS] = target_arm(base, "one_hot", Recipe())
    return arms


def smoothing_name(arm: Arm) -> str:
    """Return the name of an arm of label smoothing."""
    assert isinstance(arm.source, SmoothingSource)
    return f"label_smoothing_{arm.source.smoothing:g}"


def target_arm(base: TeacherSource | FileSource, target: str, recipe: Recipe) -> Arm:
    """Return the arm that learns from a target made of a response.

    Args:
        base: Whose response it is.
        target: A name in ``targets.LADDER`` or ``targets.FALSIFICATION``.
        recipe: How students learn; its temperature softens the response before the target is made.
    """
    if target == RUNGS[4]:
        return Arm(source=base, recipe=recipe)
    source = TargetSource(base=base, target=target, temperature=recipe.temperature)
    return Arm(source=source, recipe=recipe)


def judge(
    correct: Mapping[str, Correct],
    selection: Mapping[str, float],
    *,
    arms: Mapping[str, Arm],
    teacher: str,
    level: float,
    margin: float,
) -> Verdict:
    """Apply the rule at one look, the strength of label smoothing chosen on the selection split.

    Args:
        correct: For each arm, who is right on the test split, bool [num_seeds, num_examples]; the
            same seeds and examples for all. Falsification arms may be missing.
        selection: Mean accuracy of each arm on the selection split, for choices.
        arms: What :func:`plan_arms` planned.
        teacher: What the report calls the teacher.
        level: Level of the intervals.
        margin: Margin of practical equivalence, a difference of accuracies in [0, 1].
    """
    smoothings = [name for name, arm in arms.items() if isinstance(arm.source, SmoothingSource)]
    tuned = max(smoothings, key=lambda name: selection[name])
    return judge_tuned(
        {**correct, TUNED: correct[tuned]},
        {**selection, TUNED: selection[tuned]},
        arms={**arms, TUNED: arms[tuned]},
        teacher=teacher,
        level=level,
        margin=margin,
    )


PairedInterval = Callable[..., Interval]
"""From who is right of two arms, [num_repetitions, num_examples], to an interval of a minus b."""


@dataclass(frozen=True)
class Design:
    """How the arms were compared.

    Attributes:
        interval: Of the difference of two arms; it takes them and ``level``.
        repetitions: What was repeated, in words.
        examples: On how many examples of what arms were compared, in words.
        best: Who is right of the best regularizer, where it was not chosen once for all.
    """

    interval: PairedInterval = paired_interval
    repetitions: str = "seeds"
    examples: str = "this test split of {} examples"
    best: Correct | None = None


def judge_tuned(
    correct: Mapping[str, Correct],
    selection: Mapping[str, float],
    *,
    arms: Mapping[str, Arm],
    teacher: str,
    level: float,
    margin: float,
    design: Design | None = None,
) -> Verdict:
    """Apply the rule at one look.

    Args:
        correct: For each arm, who is right on examples that take no part in choices, bool
            [num_repetitions, num_examples]; tuned label smoothing under the name ``TUNED``.
            Falsification arms may be missing.
        selection: Mean accuracy of each arm where choices are made.
        arms: The arm of each name.
        teacher: What the report calls the teacher.
        level: Level of the intervals.
        margin: Margin of practical equivalence, a difference of accuracies in [0, 1].
        design: How the arms were compared; None for seeds and a test split.
    """
    design = Design() if design is None else design
    known = _Arms(correct, selection, arms, level, design)
    weighed = weigh(correct, selection, level=level, design=design)
    verdict, plan = weighed.decide(margin), weighed.plan(margin)
    controls = [name for name in (*FALSIFICATION, PSEUDO_LABELS, TUNED) if name in correct]
    smoothing = arms[TUNED].source
    assert isinstance(smoothing, SmoothingSource)
    return Verdict(
        verdict=verdict,
        explanation=_EXPLANATIONS[verdict](weighed, plan, design),
        teacher=teacher,
        recipe=arms[RUNGS[4]].recipe,
        gain=_effect(weighed.gain),
        knowledge=_effect(weighed.knowledge),
        regularization=_effect(known.minus(RUNGS[2], RUNGS[0])),
        best_regularizer=weighed.best,
        over_best_regularizer=_effect(weighed.over_best),
        ladder=tuple(known.rung(number) for number in range(len(RUNGS))),
        controls=tuple(map(known.control, controls)),
        num_seeds=weighed.gain.n_seeds,
        level=level,
        margin=margin,
        smoothing=smoothing.smoothing,
        resolvable_margin=plan.smallest_margin,
        more_seeds=(plan.further_seeds or None) if verdict == "inconclusive" else None,
    )


@dataclass(frozen=True)
class _Arms:
    """What all arms reached, by name."""

    correct: Mapping[str, Correct]
    selection: Mapping[str, float]
    arms: Mapping[str, Arm]
    level: float
    design: Design

    def minus(self, first: str, second: str) -> Interval:
        return self.design.interval(self.correct[first], self.correct[second], level=self.level)

    def rung(self, number: int) -> Rung:
        name = RUNGS[number]
        return Rung(
            rung=number,
            name=name,
            test_accuracy=float(self.correct[name].mean()),
            selection_accuracy=self.selection[name],
            step=_effect(self.minus(name, RUNGS[number - 1])) if number else None,
            recipe=self.arms[name].recipe,
        )

    def control(self, name: str) -> Control:
        return Control(
            name=name,
            test_accuracy=float(self.correct[name].mean()),
            selection_accuracy=self.selection[name],
            full_response_minus_it=_effect(self.minus(RUNGS[4], name)),
        )


@dataclass(frozen=True)
class Weighed:
    """The comparisons that the rule looks at.

    Attributes:
        knowledge: Full response minus rung 2.
        over: Full response minus each regularizer.
        best: The regularizer that is best on the selection split.
        over_chosen: Full response minus the best regularizer, where it was not chosen once for all.
    """

    knowledge: Interval
    over: Mapping[str, Interval]
    best: str
    over_chosen: Interval | None = None

    @property
    def gain(self) -> Interval:
        """Full response minus cross-entropy."""
        return self.over[RUNGS[0]]

    @property
    def over_best(self) -> Interval:
        """Full response minus the best regularizer."""
        return self.over[self.best] if self.over_chosen is None else self.over_chosen

    def decide(self, margin: float) -> Judged:
        """Return the verdict.

        Args:
            margin: Margin of practical equivalence.
        """
        pays = all(interval.low > 0 for interval in self.over.values())
        if self.knowledge.low > margin and pays:
            return "knowledge"
        if self.gain.high < margin:
            return "no_gain"
        if self.gain.low > 0 and self.over_best.high < margin:
            return "regularization"
        return "inconclusive"

    def plan(self, margin: float) -> SeedPlan:
        """Plan the seeds for the comparison that stands between the means and a verdict."""
        weakest = min(self.over.values(), key=lambda interval: interval.low)
        if self.knowledge.high > margin and all(i.high > 0 for i in self.over.values()):
            open_one = self.knowledge.low <= margin
            undecided = (self.knowledge, margin) if open_one else (weakest, 0.0)
        elif self.gain.mean < margin:
            undecided = (self.gain, margin)
        else:
            undecided = (self.gain, 0.0) if self.gain.low <= 0 else (self.over_best, margin)
        return seeds_needed(*undecided)


def weigh(
    correct: Mapping[str, Correct],
    selection: Mapping[str, float],
    *,
    level: float,
    design: Design | None = None,
) -> Weighed:
    """Compare the full response with what it has to beat.

    Args:
        correct: Who is right on the test split, bool [num_seeds, num_examples]: the full response
            and every regularizer, tuned label smoothing under the name ``TUNED``.
        selection: Mean accuracy of each on the selection split.
        level: Level of the intervals.
        design: How they were compared; None for seeds and a test split.
    """
    design = Design() if design is None else design

    def full_minus(other: Correct) -> Interval:
        return design.interval(correct[RUNGS[4]], other, level=level)

    names = [name for name in (*REGULARIZERS, PSEUDO_LABELS) if name in correct]
    over = {name: full_minus(correct[name]) for name in names}
    best = max(over, key=lambda name: selection[name])
    chosen = None if design.best is None else full_minus(design.best)
    return Weighed(knowledge=over[RUNGS[2]], over=over, best=best, over_chosen=chosen)


def _effect(interval: Interval) -> Effect:
    return Effect(mean=interval.mean, interval=(interval.low, interval.high))


def _shown(interval: Interval) -> str:
    return f"{points(interval.mean)} points [{points(interval.low)}, {points(interval.high)}]"


def _knowledge(found: Weighed, plan: SeedPlan, design: Design) -> str:
    return (
        "The students learned class similarity from the teacher. Distillation adds "
        f"{_shown(found.gain)} to training on hard labels. Of this, {_shown(found.knowledge)} "
        "cannot come from smoothing with the teacher's own confidence. The gain over the best "
        f"regularizer ({target_name(found.best)}) is {_shown(found.over_best)}."
    )


def _regularization(found: Weighed, plan: SeedPlan, design: Design) -> str:
    cheaper = (
        "The teacher's most probable class for the unlabelled examples is enough."
        if PSEUDO_LABELS in found.over
        else "Label smoothing gives the same gain at lower cost."
    )
    return (
        f"Distillation adds {_shown(found.gain)} to training on hard labels, but a regularizer "
        f"without any class similarity ({target_name(found.best)}) does as well: the difference is "
        f"{_shown(found.over_best)}. {cheaper}"
    )


def _no_gain(found: Weighed, plan: SeedPlan, design: Design) -> str:
    return (
        f"Distillation does not help here: it adds {_shown(found.gain)} to training on hard "
        "labels, less than the margin."
    )


def _inconclusive(found: Weighed, plan: SeedPlan, design: Design) -> str:
    further = plan.further_seeds
    if further:
        advice = (
            f"The observed spread suggests that {further} more {design.repetitions} would decide"
        )
    elif further == 0:  # where the best regularizer is not chosen once for all
        advice = "It is not clear which regularizer is best: this changes from fold to fold"
    else:
        advice = (
            f"More {design.repetitions} would not help: with "
            f"{design.examples.format(found.knowledge.n_examples)}, differences below about "
            f"{100 * plan.smallest_margin:.2f} points cannot be shown. Use more examples"
        )
    return (
        f"These {design.repetitions} do not decide. Gain over hard labels: {_shown(found.gain)}; "
        f"what similarity adds: {_shown(found.knowledge)}; gain over the best regularizer "
        f"({target_name(found.best)}): {_shown(found.over_best)}. {advice}."
    )


_EXPLANATIONS: Mapping[Judged, Callable[[Weighed, SeedPlan, Design], str]] = {
    "knowledge": _knowledge,
    "regularization": _regularization,
    "no_gain": _no_gain,
    "inconclusive": _inconclusive,
}

__all__ = [
    "PSEUDO_LABELS",
    "REGULARIZERS",
    "RUNGS",
    "TUNED",
    "Design",
    "Weighed",
    "judge",
    "judge_tuned",
    "plan_arms",
    "target_arm",
    "weigh",
]
