"""The temperature curve: what every rung gains over cross-entropy, each made at the same T.

*Our reading* of the distillation hypothesis (the source's wording is not known to us): as T rises,
a response that carries similarity information keeps a gain that a regularizer of the same
confidence does not. So the curve shows, at each T, the gain of the full response and of rungs 1 to
3 made of the response *at that T*, and the full response minus rung 2, which has its confidence
example by example. All temperatures of a seed are one stack: their initial weights and order agree.
"""

from __future__ import annotations

from collections.abc import Sequence

from goodteacher.maths.statistics import paired_interval
from goodteacher.records import Arm, CurveArm, CurvePoint, JointEffect, TemperatureCurve
from goodteacher.students import Correct, Shelf, correct_by_arm
from goodteacher.verdicts.evidence.case import CONFIDENT, FULL, PLAIN, Case, joint_effects
from goodteacher.verdicts.rule import RUNGS, target_arm


def temperature_curve(case: Case) -> TemperatureCurve | None:
    """Train the rungs at every temperature asked for and compare them; None where none was.

    Args:
        case: The verification; ``curve_temperatures`` and ``evidence_seeds`` are its settings.
    """
    temperatures = sorted(case.config.curve_temperatures)
    if not temperatures:
        return None
    arms = plan_curve(case, temperatures)
    plain = case.arms[PLAIN]
    tasks = case.train([plain, *arms.values()], "temperature curve")
    correct = correct_by_arm(case.context, tasks)
    for task in tasks:
        Shelf(case.context.store, task.key).drop_state()
    by_name = {key: correct[arm] for key, arm in arms.items()}
    return measure_curve(by_name, correct[plain], level=case.config.level)


def plan_curve(case: Case, temperatures: Sequence[float]) -> dict[tuple[float, str], Arm]:
    """Return the arms of the curve by temperature and rung."""
    recipes = {t: case.recipe.model_copy(update={"temperature": t}) for t in temperatures}
    return {
        (t, name): target_arm(case.source, name, recipe).trained(case.arms[FULL].training)
        for t, recipe in recipes.items()
        for name in RUNGS[1:]
    }


def measure_curve(
    correct: dict[tuple[float, str], Correct], plain: Correct, *, level: float
) -> TemperatureCurve:
    """Compare the arms of the curve.

    Args:
        correct: Who is right, bool [S, N], by temperature and rung.
        plain: Who of cross-entropy's students is right, bool [S, N].
        level: Level of the intervals, and of the joint ones together. The gains are one family,
            the differences between full response and rung 2 another.
    """
    temperatures = sorted({temperature for temperature, _ in correct})
    each = [paired_interval(hits, plain, level=level) for hits in correct.values()]
    gains = dict(zip(correct, joint_effects(each, level=level), strict=True))
    beyond = [paired_interval(correct[t, FULL], correct[t, CONFIDENT]) for t in temperatures]
    knowledge = joint_effects([i.with_level(level) for i in beyond], level=level)
    points = tuple(
        CurvePoint(
            temperature=t,
            knowledge=effect,
            arms=tuple(
                CurveArm(name=name, test_accuracy=float(hits.mean()), gain=gains[t, name])
                for (at, name), hits in correct.items()
                if at == t
            ),
        )
        for t, effect in zip(temperatures, knowledge, strict=True)
    )
    kept = [t for t, effect in zip(temperatures, knowledge, strict=True) if _kept(gains, t, effect)]
    return TemperatureCurve(
        points=points,
        cross_entropy_test_accuracy=float(plain.mean()),
        num_seeds=len(plain),
        kept_at=tuple(kept),
        reading=_read(temperatures, kept),
    )


def _kept(
    gains: dict[tuple[float, str], JointEffect], temperature: float, knowledge: JointEffect
) -> bool:
    gain = gains[temperature, FULL]
    return gain.adjusted_interval[0] > 0 and knowledge.adjusted_interval[0] > 0


def _read(temperatures: Sequence[float], kept: Sequence[float]) -> str:
    if not kept:
        return (
            "At no temperature is the full response shown to be better than both the labels and "
            "a regularizer of the same confidence (joint intervals)."
        )
    where = _at(kept)
    if temperatures[-1] in kept:
        return (
            f"At {where} the full response is better than both the labels and a regularizer of "
            "the same confidence (joint intervals). The gain lasts up to the highest temperature "
            "tried, which our reading of the hypothesis expects of a response with similarity "
            "information."
        )
    return (
        f"At {where} the full response is better than both the labels and a regularizer of the "
        "same confidence (joint intervals); at the highest temperature tried, T = "
        f"{temperatures[-1]:g}, this is not shown."
    )


def _at(temperatures: Sequence[float]) -> str:
    return "T = " + ", ".join(f"{t:g}" for t in temperatures)
