"""What a study brings to a comparison, read from its folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from goodteacher.config import RUNTIME_SETTINGS, StudyConfig, in_words, read_toml
from goodteacher.errors import StudyError
from goodteacher.records import (
    ComparedStudy,
    DataSummary,
    Gain,
    References,
    SweetSpot,
    TeacherChoice,
    Verdict,
)
from goodteacher.studies import CONFIG_FILE, SWEET_SPOT_FILE, VERDICT_FILE, Store, environments

COMPARED = ("cross_entropy", "label_smoothing", "converged_teacher")
"""The references that studies are compared by."""


def read_compared(store: Store, name: str) -> ComparedStudy:
    """Read what a study found, finished or not.

    Args:
        store: The study.
        name: What it is called beside the others.

    Raises:
        StudyError: It is no study, but a verification or a distillation, or a file is damaged.
    """
    settings_of(store)
    config, data = store.config(StudyConfig), store.read_json("data.json", DataSummary)
    versions = [each.versions.get("goodteacher", "unknown") for each in environments(store)]
    known: dict[str, Any] = {
        "name": name,
        "place": str(store.root),
        "finished": store.exists(SWEET_SPOT_FILE),
        "data": config.data,
        "fingerprint": data.fingerprint,
        "num_classes": len(data.class_names),
        "transfer": data.transfer,
        "selection": data.selection,
        "test": data.test,
        "teacher": config.teacher or "recorded runs",
        "student": config.student,
        "versions": tuple(dict.fromkeys(versions)),
        "level": config.level,
    }
    if known["finished"]:
        known |= _found(store.read_json(SWEET_SPOT_FILE, SweetSpot))
    if store.exists(VERDICT_FILE):
        verdict = store.read_json(VERDICT_FILE, Verdict)
        known |= {"verdict": verdict.verdict, "knowledge": verdict.knowledge}
    return ComparedStudy(**known, lacking=_lacking(known))


def settings_of(store: Store) -> Mapping[str, Any]:
    """Return the settings of a study that results depend on, as its file holds them.

    Raises:
        StudyError: The folder holds something else than a study.
    """
    settings = read_toml(store.local(CONFIG_FILE))
    if "batch_sizes" not in settings:
        what = "a verification of a given response" if "margin" in settings else "a distillation"
        raise StudyError(
            f"{store.root} holds {what}, not a study of a teacher and a student, so it cannot be "
            "compared. Name folders that goodteacher search made."
        )
    return {name: value for name, value in settings.items() if name not in RUNTIME_SETTINGS}


def _found(found: SweetSpot) -> dict[str, Any]:
    return {
        "answer": found.answer,
        "run": found.teacher.run,
        "epoch": None if found.teacher.asked_once else found.teacher.epoch,
        "sweet_spot": teacher_in_words(found.teacher),
        "recipe": found.recipe,
        "teacher_accuracy": found.teacher.test_accuracy,
        "accuracy": found.student.test_accuracy,
        "interval": found.student.interval,
        "num_seeds": found.student.num_seeds,
        "delivered": found.delivered,
        "gains": tuple(_gains(found.references)),
        "teacher_seconds": found.cost.teacher_seconds,
        "student_seconds": found.cost.student_seconds,
        "num_students": found.cost.num_students,
    }


def _gains(references: References) -> list[Gain]:
    return [
        Gain(
            over=name,
            difference=reference.difference,
            interval=reference.interval,
            joint_interval=reference.adjusted_interval,
        )
        for name, reference in references
    ]


def teacher_in_words(teacher: TeacherChoice) -> str:
    """Return what a sweet spot's teacher is, in few words."""
    if teacher.members:
        return f"mean of {len(teacher.members)} responses"
    if teacher.asked_once:
        return teacher.run
    how = "" if teacher.variant == "raw" else f" ({teacher.variant})"
    return f"{in_words(teacher.run)}, epoch {teacher.epoch}{how}"


def _lacking(known: Mapping[str, Any]) -> tuple[str, ...]:
    if not known["finished"]:
        return ("not finished: run the same goodteacher search again to continue",)
    if "verdict" not in known:
        return ("no verdict yet: run goodteacher verify with the study's folder",)
    return ()
