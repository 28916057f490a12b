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
intersection-union test). The best regularizer is chosen on the selection split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    TargetSource,
    Verdict,
    VerdictName,
    points,
    smoothing_arm,
)
from goodteacher.statistics import Interval, paired_interval, seeds_needed
from goodteacher.targets import FALSIFICATION, LADDER

Correct = npt.NDArray[np.bool_]

RUNGS = tuple(LADDER)
TUNED = "tuned_label_smoothing"
REGULARIZERS = (*RUNGS[:3], TUNED)
"""What a gain must beat to be knowledge."""


def plan_arms(
    base: Checkpoint | FileSource, recipe: Recipe, smoothings: Sequence[float]
) -> dict[str, Arm]:
    """Return every arm of a verification by name.

    Args:
        base: Whose response is judged.
        recipe: How students learn from it.
        smoothings: Strengths of label smoothing to tune over.
    """
    return {
        RUNGS[0]: CROSS_ENTROPY,
        **{name: target_arm(base, name, recipe) for name in (*RUNGS[1:], *FALSIFICATION)},
        **{f"label_smoothing_{value:g}": smoothing_arm(value) for value in smoothings},
    }


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
    teacher: str,
    recipe: Recipe,
    level: float,
    margin: float,
) -> Verdict:
    """Apply the rule.

    Args:
        correct: For each arm of :func:`plan_arms`, who is right on the test split, bool
            [num_seeds, num_examples]; the same seeds and examples for all.
        selection: Mean accuracy of each arm on the selection split, for choices.
        teacher: What the report calls the teacher.
        recipe: How students learned.
        level: Level of the intervals.
        margin: Margin of practical equivalence, a difference of accuracies in [0, 1].
    """
    smoothings = [name for name in correct if name.startswith("label_smoothing_")]
    tuned = max(smoothings, key=lambda name: selection[name])
    arms = _Arms({**correct, TUNED: correct[tuned]}, {**selection, TUNED: selection[tuned]}, level)
    best = max(REGULARIZERS, key=lambda name: selection.get(name, selection[tuned]))
    plain, confident, full = RUNGS[0], RUNGS[2], RUNGS[4]
    over = {name: arms.minus(full, name) for name in REGULARIZERS}
    knowledge = arms.minus(full, confident)
    verdict = decide(knowledge=knowledge, over=over, best=best, margin=margin)
    return Verdict(
        verdict=verdict,
        explanation=_EXPLANATIONS[verdict](over[plain], knowledge, over[best], best),
        teacher=teacher,
        recipe=recipe,
        gain=_effect(over[plain]),
        knowledge=_effect(knowledge),
        regularization=_effect(arms.minus(confident, plain)),
        best_regularizer=best,
        over_best_regularizer=_effect(over[best]),
        ladder=tuple(arms.rung(number) for number in range(len(RUNGS))),
        controls=tuple(arms.control(name) for name in (*FALSIFICATION, TUNED)),
        num_seeds=knowledge.n_seeds,
        level=level,
        margin=margin,
        resolvable_margin=seeds_needed(knowledge, margin).smallest_margin,
        more_seeds=_more_seeds(knowledge, over, margin) if verdict == "inconclusive" else None,
    )


@dataclass(frozen=True)
class _Arms:
    """What all arms reached, by name."""

    correct: Mapping[str, Correct]
    selection: Mapping[str, float]
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


def _more_seeds(knowledge: Interval, over: Mapping[str, Interval], margin: float) -> int | None:
    """Return the further seeds for the comparison that stands between the means and a verdict."""
    if knowledge.low <= margin:
        return seeds_needed(knowledge, margin).further_seeds
    weakest = min(over.values(), key=lambda interval: interval.low)
    return seeds_needed(weakest, 0.0).further_seeds


def _effect(interval: Interval) -> Effect:
    return Effect(mean=interval.mean, interval=(interval.low, interval.high))


def _shown(interval: Interval) -> str:
    return f"{points(interval.mean)} points [{points(interval.low)}, {points(interval.high)}]"


def _knowledge(gain: Interval, knowledge: Interval, over: Interval, best: str) -> str:
    return (
        f"The students learned class similarity from the teacher. Distillation adds {_shown(gain)} "
        f"to training on the labels; {_shown(knowledge)} of it cannot come from smoothing with the "
        f"teacher's own confidence, and the best regularizer ({best}) is beaten by {_shown(over)}."
    )


def _regularization(gain: Interval, knowledge: Interval, over: Interval, best: str) -> str:
    return (
        f"Distillation adds {_shown(gain)} to training on the labels, but a regularizer that knows "
        f"nothing of class similarity ({best}) does as well: {_shown(over)} between them. Label "
        "smoothing is the cheaper way to this gain."
    )


def _no_gain(gain: Interval, knowledge: Interval, over: Interval, best: str) -> str:
    return (
        f"Distillation does not help here: it adds {_shown(gain)} to training on the labels, less "
        "than the margin."
    )


def _inconclusive(gain: Interval, knowledge: Interval, over: Interval, best: str) -> str:
    return (
        f"These seeds do not decide. Gain over the labels: {_shown(gain)}; what similarity adds: "
        f"{_shown(knowledge)}; over the best regularizer ({best}): {_shown(over)}."
    )


_EXPLANATIONS = {
    "knowledge": _knowledge,
    "regularization": _regularization,
    "no_gain": _no_gain,
    "inconclusive": _inconclusive,
}

__all__ = ["REGULARIZERS", "RUNGS", "TUNED", "decide", "judge", "plan_arms", "target_arm"]
