"""Fidelity: do students predict what *their* teacher predicts, or only what any teacher would?

Stanton et al. measure how often a student's most probable class is its teacher's. Most of that says
nothing about the teacher: two networks that are right agree. So we report (*ours*) the **excess**:
agreement with one's own teacher minus agreement with an independent one, and that excess minus the
excess of cross-entropy's students, who never saw either teacher. The second difference takes out
what the teachers' own accuracies do.

It is measured on the selection split, which no student learned from, and enters no choice. A
study's teachers did not learn from it either. A response that the user brings was usually made by a
teacher that did: there it predicts the labels, and agreement is hardly more than accuracy.

The independent teacher of a study is another of its runs, of another seed where there is one, at
the recorded epoch whose selection accuracy is nearest. It had the same training examples and, where
only batch size or learning rate differ, the same initial weights, so a wholly independent one,
given as a response, would likely show more.

Source: Stanton et al., *Does Knowledge Distillation Really Work?*, 2021 (arXiv 2106.05945).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
from torch import Tensor

from goodteacher.data import Split
from goodteacher.maths.statistics import Interval, crossed_interval, paired_interval
from goodteacher.records import (
    Checkpoint,
    Effect,
    Fidelity,
    FidelityArm,
    JointEffect,
    TeacherSource,
    TrajectoryRecord,
)
from goodteacher.responses import Response, most_probable
from goodteacher.students import predicted_by_arm
from goodteacher.studies import Context
from goodteacher.teachers import (
    RecordedTeachers,
    combined,
    logits_on_test,
    recorded_teachers,
)
from goodteacher.verdicts.evidence.case import (
    PLAIN,
    Case,
    Teachers,
    estimate,
    joint_effects,
)
from goodteacher.verdicts.rule import RUNGS

Hits = npt.NDArray[np.bool_]


def fidelity(case: Case) -> Fidelity | None:
    """Compare the rungs' students with the teachers; None where the own teacher is not known.

    Args:
        case: The verification, with what its teachers predict on the selection split.
    """
    own, independent = case.teachers.own, case.teachers.independent
    if own is None:
        return None
    selection, level = case.context.data.selection, case.config.level
    found = predicted_by_arm(case.context, case.tasks, selection, "selection")
    predicted = {name: found[case.arms[name]] for name in RUNGS}
    own_hits = {name: classes == own.numpy() for name, classes in predicted.items()}
    other_hits = (
        {name: classes == independent.numpy() for name, classes in predicted.items()}
        if independent is not None
        else None
    )
    labels = selection.labels
    right = {name: classes == labels.numpy() for name, classes in predicted.items()}
    return Fidelity(
        num_examples=len(selection),
        num_seeds=case.num_seeds,
        teacher_held_out=isinstance(case.source, TeacherSource),
        teacher=str(case.source),
        teacher_accuracy=_share(own == labels),
        independent=case.teachers.independent_name if independent is not None else None,
        independent_accuracy=None if independent is None else _share(independent == labels),
        teachers_agree=None if independent is None else _share(own == independent),
        arms=compare_agreements(right, own_hits, other_hits, level=level),
    )


def compare_agreements(
    right: Mapping[str, Hits],
    own: Mapping[str, Hits],
    independent: Mapping[str, Hits] | None,
    *,
    level: float,
) -> tuple[FidelityArm, ...]:
    """Compare agreements, arm by arm.

    Args:
        right: Whose prediction is the label, bool [S, N] by arm.
        own: Whose prediction is that of the own teacher; ``one_hot`` must be among them.
        independent: Whose is that of the independent teacher, if there is one.
        level: Level of the intervals; differences to ``one_hot`` are joint over the other arms.
    """
    others = [name for name in own if name != PLAIN]
    over = _family([paired_interval(own[n], own[PLAIN], level=level) for n in others], others)
    excess: dict[str, Effect] = {}
    net: dict[str, JointEffect] = {}
    if independent is not None:
        excess = {n: _effect(paired_interval(own[n], independent[n], level=level)) for n in own}
        moved = {n: own[n].astype(np.float64) - independent[n] for n in own}
        net = _family(
            [crossed_interval(moved[n] - moved[PLAIN], level=level) for n in others], others
        )
    return tuple(
        FidelityArm(
            name=name,
            accuracy=float(right[name].mean()),
            own=estimate(own[name], level=level),
            independent=estimate(independent[name], level=level) if independent else None,
            excess=excess.get(name),
            over_cross_entropy=over.get(name),
            excess_over_cross_entropy=net.get(name),
        )
        for name in own
    )


def study_teachers(
    context: Context, keys: Mapping[str, str], spec: str | None, source: TeacherSource
) -> Teachers:
    """Return what a study's teacher and an independent one predict on the selection split.

    Args:
        context: The study.
        keys: Name of the folder of each run.
        spec: The specification of the teachers that were trained here, if any were.
        source: The judged teacher.
    """
    asked, selection = RecordedTeachers(context.store, keys), context.data.selection
    own = most_probable(asked.response(source, selection, name="selection"))
    other = independent_checkpoint(recorded_teachers(context.store), source)

    def on_test(test: Split) -> Teachers:
        predicted = partial(_predicted_on_test, context, keys, spec, test)
        if other is None:
            return Teachers(predicted(source), missing=missing)
        return Teachers(predicted(source), predicted(other), str(other))

    missing = _NO_OTHER[len(source.runs) > 1]
    if other is None:
        return Teachers(own, missing=missing, on_test=on_test)
    independent = most_probable(asked.response(other, selection, name="selection"))
    return Teachers(own, independent, str(other), on_test=on_test)


def _predicted_on_test(
    context: Context, keys: Mapping[str, str], spec: str | None, test: Split, source: TeacherSource
) -> Tensor | None:
    """Return the classes that a teacher predicts; None where one of its members is not known."""
    checkpoints = (
        [source] if isinstance(source, Checkpoint) else [m.checkpoint for m in source.members]
    )
    said = {each: logits_on_test(context, keys, spec, each, test) for each in checkpoints}
    known = {each: logits for each, logits in said.items() if logits is not None}
    return most_probable(combined(source, known.__getitem__)) if len(known) == len(said) else None


def independent_checkpoint(
    records: Sequence[TrajectoryRecord], source: TeacherSource
) -> Checkpoint | None:
    """Return the checkpoint of another run whose selection accuracy is nearest.

    Runs of another seed come first: they had other initial weights and another order of examples.

    Args:
        records: Every recorded epoch of every run.
        source: The judged teacher, one of them or a blend; a blend counts as accurate as its
            heaviest member, and shares no run with the independent teacher.
    """
    healthy = {r.checkpoint: r for r in records if r.status == "ok"}
    seeds = {r.attributes.get("seed") for r in records if r.run in source.runs}
    others = [r for point, r in healthy.items() if point.run not in source.runs]
    apart = [r for r in others if r.attributes.get("seed") not in {None, *seeds}]
    own = healthy[source.checkpoint].selection_accuracy
    nearest = min(apart or others, key=lambda r: abs(r.selection_accuracy - own), default=None)
    return None if nearest is None else nearest.checkpoint


_NO_OTHER = {
    False: "The study has only one run of a teacher, so there is no independent teacher.",
    True: "Every run is part of the blend, so there is no independent teacher.",
}


def given_teachers(response: Response, independent: Response | None, selection: Split) -> Teachers:
    """Return what responses that the user brings predict on the selection split.

    Args:
        response: The judged teacher's.
        independent: Another teacher's, if there is one.
        selection: The selection split; a response that does not cover it predicts nothing.
    """
    own = _covered(response, selection)
    missing = None if own is not None else "The response does not cover the selection split."
    return with_independent(Teachers(own, missing=missing), independent, selection)


def with_independent(
    teachers: Teachers, independent: Response | None, selection: Split
) -> Teachers:
    """Put the response of an independent teacher beside the own one's.

    Args:
        teachers: What is known so far.
        independent: The other teacher's response; None where none was given.
        selection: The selection split.
    """
    if independent is None:
        ask = "No independent response was given (--independent-responses)."
        return dataclasses.replace(teachers, missing=teachers.missing or ask)
    other = _covered(independent, selection)
    if other is None:
        gap = "The independent response does not cover the selection split."
        return dataclasses.replace(teachers, missing=teachers.missing or gap)
    given, missing = "the response of --independent-responses", _still_missing(teachers)
    return Teachers(teachers.own, other, given, missing, teachers.on_test)


def _still_missing(teachers: Teachers) -> str | None:
    return teachers.missing if teachers.own is None else None


def _covered(response: Response, selection: Split) -> Tensor | None:
    if not set(selection.ids.tolist()) <= set(response.ids.tolist()):
        return None
    return most_probable(response.aligned_to(selection.ids))


def _family(intervals: Sequence[Interval], names: Sequence[str]) -> dict[str, JointEffect]:
    level = intervals[0].level if intervals else 0.05
    return dict(zip(names, joint_effects(intervals, level=level), strict=True))


def _effect(interval: Interval) -> Effect:
    return Effect(mean=interval.mean, interval=(interval.low, interval.high))


def _share(hits: Tensor) -> float:
    return float(hits.double().mean())
