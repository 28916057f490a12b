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
(:func:`~goodteacher.statistics.plan_looks`).

Where some transfer examples have no label, the rungs give them the teacher's most probable class,
and cross-entropy and label smoothing learn from the labelled ones alone. Then the labels completed
by those classes are one more regularizer: what they give is no class similarity either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from goodteacher.config import Recipe
from goodteacher.results import (
    CROSS_ENTROPY,
    Arm,
    Checkpoint,
    Control,
    Effect,
    FileSource,
    Rung,
    SmoothingSource,
    TargetSource,
    Verdict,
    VerdictName,
    points,
    smoothing_arm,
)
from goodteacher.statistics import Interval, SeedPlan, paired_interval, seeds_needed
from goodteacher.targets import FALSIFICATION, LADDER

Correct = npt.NDArray[np.bool_]

RUNGS = tuple(LADDER)
TUNED = "tuned_label_smoothing"
REGULARIZERS = (*RUNGS[:3], TUNED)
"""What a gain must beat to be knowledge."""
PSEUDO_LABELS = "pseudo_labels"
"""Labels completed by the teacher's most probable class: a regularizer where some are missing."""


def plan_arms(
    base: Checkpoint | FileSource,
    recipe: Recipe,
    smoothings: Sequence[float],
    *,
    own: Mapping[str, Recipe] | None = None,
    unlabelled: bool = False,
) -> dict[str, Arm]:
    """Return every arm of a verification by name.

    Args:
        base: Whose response is judged.
        recipe: How students learn from it.
        smoothings: Strengths of label smoothing to tune over.
        own: Rungs with a recipe of their own, by name. Falsification arms learn as rung 4 does.
        unlabelled: Whether some examples have no label.
    """
    recipes = dict.fromkeys(RUNGS[1:], recipe) | dict(own or {})
    full = recipes[RUNGS[4]]
    arms = {
        RUNGS[0]: CROSS_ENTROPY,
        **{name: target_arm(base, name, used) for name, used in recipes.items()},
        **{name: target_arm(base, name, full) for name in FALSIFICATION},
        **{f"label_smoothing_{value:g}": smoothing_arm(value) for value in smoothings},
    }
    if unlabelled:
        arms[PSEUDO_LABELS] = target_arm(base, "one_hot", Recipe())
    return arms


def target_arm(base: Checkpoint | FileSource, target: str, recipe: Recipe) -> Arm:
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
    """Apply the rule at one look.

    Args:
        correct: For each arm, who is right on the test split, bool [num_seeds, num_examples]; the
            same seeds and examples for all. Falsification arms may be missing.
        selection: Mean accuracy of each arm on the selection split, for choices.
        arms: What :func:`plan_arms` planned.
        teacher: What the report calls the teacher.
        level: Level of the intervals.
        margin: Margin of practical equivalence, a difference of accuracies in [0, 1].
    """
    smoothings = {n: a.source for n, a in arms.items() if isinstance(a.source, SmoothingSource)}
    tuned = max(smoothings, key=lambda name: selection[name])
    known = _Arms(
        {**correct, TUNED: correct[tuned]},
        {**selection, TUNED: selection[tuned]},
        {**arms, TUNED: arms[tuned]},
        level,
    )
    regularizers = [name for name in (*REGULARIZERS, PSEUDO_LABELS) if name in known.correct]
    best = max(regularizers, key=lambda name: known.selection[name])
    plain, confident, full = RUNGS[0], RUNGS[2], RUNGS[4]
    over = {name: known.minus(full, name) for name in regularizers}
    knowledge = known.minus(full, confident)
    verdict = decide(knowledge=knowledge, over=over, best=best, margin=margin)
    plan = _plan(knowledge, over, best, margin)
    evidence = _Evidence(over[plain], knowledge, over[best], best, PSEUDO_LABELS in over, plan)
    controls = [name for name in (*FALSIFICATION, *over) if name in correct and name not in RUNGS]
    return Verdict(
        verdict=verdict,
        explanation=_EXPLANATIONS[verdict](evidence),
        teacher=teacher,
        recipe=arms[full].recipe,
        gain=_effect(over[plain]),
        knowledge=_effect(knowledge),
        regularization=_effect(known.minus(confident, plain)),
        best_regularizer=best,
        over_best_regularizer=_effect(over[best]),
        ladder=tuple(known.rung(number) for number in range(len(RUNGS))),
        controls=tuple(known.control(name) for name in (*controls, TUNED)),
        num_seeds=knowledge.n_seeds,
        level=level,
        margin=margin,
        smoothing=smoothings[tuned].smoothing,
        resolvable_margin=plan.smallest_margin,
        more_seeds=plan.further_seeds if verdict == "inconclusive" else None,
    )


@dataclass(frozen=True)
class _Arms:
    """What all arms reached, by name."""

    correct: Mapping[str, Correct]
    selection: Mapping[str, float]
    arms: Mapping[str, Arm]
    level: float

    def minus(self, first: str, second: str) -> Interval:
        return paired_interval(self.correct[first], self.correct[second], level=self.level)

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


def decide(
    *, knowledge: Interval, over: Mapping[str, Interval], best: str, margin: float
) -> VerdictName:
    """Return the verdict for the intervals that the rule looks at.

    Args:
        knowledge: Full response minus rung 2.
        over: Full response minus each regularizer.
        best: The regularizer that is best on the selection split.
        margin: Margin of practical equivalence.
    """
    gain = over[RUNGS[0]]
    if knowledge.low > margin and all(interval.low > 0 for interval in over.values()):
        return "knowledge"
    if gain.high < margin:
        return "no_gain"
    if gain.low > 0 and over[best].high < margin:
        return "regularization"
    return "inconclusive"


@dataclass(frozen=True)
class _Evidence:
    """What an explanation speaks of."""

    gain: Interval
    knowledge: Interval
    over: Interval
    best: str
    pseudo_labelled: bool
    plan: SeedPlan


def _plan(knowledge: Interval, over: Mapping[str, Interval], best: str, margin: float) -> SeedPlan:
    """Plan the seeds for the comparison that stands between the means and a verdict."""
    gain, weakest = over[RUNGS[0]], min(over.values(), key=lambda interval: interval.low)
    if knowledge.high > margin and all(interval.high > 0 for interval in over.values()):
        undecided = (knowledge, margin) if knowledge.low <= margin else (weakest, 0.0)
    elif gain.mean < margin:
        undecided = (gain, margin)
    else:
        undecided = (gain, 0.0) if gain.low <= 0 else (over[best], margin)
    return seeds_needed(*undecided)


def _effect(interval: Interval) -> Effect:
    return Effect(mean=interval.mean, interval=(interval.low, interval.high))


def _shown(interval: Interval) -> str:
    return f"{points(interval.mean)} points [{points(interval.low)}, {points(interval.high)}]"


def _knowledge(found: _Evidence) -> str:
    return (
        "The students learned class similarity from the teacher. Distillation adds "
        f"{_shown(found.gain)} to training on the labels; {_shown(found.knowledge)} of it cannot "
        "come from smoothing with the teacher's own confidence, and the best regularizer "
        f"({found.best}) is beaten by {_shown(found.over)}."
    )


def _regularization(found: _Evidence) -> str:
    cheaper = (
        "The teacher's most probable class for the unlabelled examples is enough."
        if found.pseudo_labelled
        else "Label smoothing is the cheaper way to this gain."
    )
    return (
        f"Distillation adds {_shown(found.gain)} to training on the labels, but a regularizer that "
        f"knows nothing of class similarity ({found.best}) does as well: {_shown(found.over)} "
        f"between them. {cheaper}"
    )


def _no_gain(found: _Evidence) -> str:
    return (
        f"Distillation does not help here: it adds {_shown(found.gain)} to training on the labels, "
        "less than the margin."
    )


def _inconclusive(found: _Evidence) -> str:
    further = found.plan.further_seeds
    advice = (
        f"The observed spread asks for {further} further seeds"
        if further is not None
        else "No number of seeds would decide: this test split of "
        f"{found.knowledge.n_examples} examples resolves differences of about "
        f"{100 * found.plan.smallest_margin:.2f} points at best. Use a larger one"
    )
    return (
        f"These seeds do not decide. Gain over the labels: {_shown(found.gain)}; what similarity "
        f"adds: {_shown(found.knowledge)}; over the best regularizer ({found.best}): "
        f"{_shown(found.over)}. {advice}."
    )


_EXPLANATIONS: Mapping[VerdictName, Callable[[_Evidence], str]] = {
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
    "decide",
    "judge",
    "plan_arms",
    "target_arm",
]
