"""What there is to tell a tracker about a study, from its files, and what of it is new."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from goodteacher.config import Frozen, read_toml
from goodteacher.records import (
    Export,
    Pair,
    StudentRow,
    SweetSpot,
    TrajectoryRecord,
    Verdict,
)
from goodteacher.report.parts import REPORT_FILE
from goodteacher.studies import (
    CONFIG_FILE,
    EVIDENCE_FILE,
    EXPORT_FILE,
    MODEL_CARD_FILE,
    RESULT_FILE,
    SWEET_SPOT_FILE,
    VERDICT_FILE,
    Store,
)

FILES = (
    REPORT_FILE,
    SWEET_SPOT_FILE,
    RESULT_FILE,
    VERDICT_FILE,
    EVIDENCE_FILE,
    EXPORT_FILE,
    MODEL_CARD_FILE,
)
"""Files of a study that a tracker gets, where they are there."""

Curve = tuple[tuple[int, float], ...]
"""Steps and values, steps ascending."""


class Sent(Frozen):
    """What a tracker has been told about a study: an entry of ``trackers.json``."""

    run: str
    """What the tracker calls the run."""
    steps: dict[str, int] = Field(default={})
    """The last step of each curve."""
    results: dict[str, float] = Field(default={})
    words: dict[str, str] = Field(default={})
    files: dict[str, str] = Field(default={})
    """A digest of each file."""


@dataclass(frozen=True)
class Told:
    """What is told.

    Attributes:
        settings: Of the study, as text.
        curves: By name, such as ``teachers/batch 64/accuracy`` over epochs.
        results: Single numbers; accuracies and differences are shares, not points.
        words: Answers in words.
        files: Names of files of the study's folder, with a digest of each.
    """

    settings: Mapping[str, str]
    curves: Mapping[str, Curve]
    results: Mapping[str, float]
    words: Mapping[str, str]
    files: Mapping[str, str]

    def new_to(self, sent: Sent) -> Told:
        """Return what is not among what was sent; settings are told with the first of it."""
        curves = {
            name: tuple(point for point in curve if point[0] > sent.steps.get(name, -1))
            for name, curve in self.curves.items()
        }
        return Told(
            settings={} if sent != Sent(run=sent.run) else self.settings,
            curves={name: curve for name, curve in curves.items() if curve},
            results=_new(self.results, sent.results),
            words=_new(self.words, sent.words),
            files=_new(self.files, sent.files),
        )

    def added_to(self, sent: Sent) -> Sent:
        """Return what has been sent once this has been."""
        return Sent(
            run=sent.run,
            steps=sent.steps | {name: curve[-1][0] for name, curve in self.curves.items()},
            results=sent.results | dict(self.results),
            words=sent.words | dict(self.words),
            files=sent.files | dict(self.files),
        )


def told_of(store: Store) -> Told:
    """Return all that there is to tell about a study, finished or not.

    Args:
        store: The folder of a study, a distillation or a verification.
    """
    results, words = _results_of(store)
    settings = read_toml(store.local(CONFIG_FILE))
    present = [name for name in FILES if store.exists(name)]
    if not words:  # the report of a study that is running changes all the time
        present = [name for name in present if name != REPORT_FILE]
    return Told(
        settings={name: _shown(value) for name, value in settings.items()},
        curves={**_teachers(store), **_students(store)},
        results=results,
        words=words,
        files={name: hashlib.sha256(store.files.read(name)).hexdigest() for name in present},
    )


def _new(values: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if sent.get(name) != value}


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _teachers(store: Store) -> dict[str, Curve]:
    """Return what was measured of each run's teachers over epochs."""
    found: dict[str, Curve] = {}
    for name in store.matching("teachers/*/trajectory.jsonl"):
        records = [r for r in store.read_records(name, TrajectoryRecord) if r.status == "ok"]
        if not records:
            continue
        measured = {
            "accuracy": [record.selection_accuracy for record in records],
            "nll": [record.best_nll for record in records],
            "similarity": [record.at("transfer").similarity for record in records],
        }
        epochs = [record.epoch for record in records]
        for what, values in measured.items():
            curve = tuple(zip(epochs, values, strict=True))
            found[f"teachers/{records[0].run}/{what}"] = curve
    return found


def _students(store: Store) -> dict[str, Curve]:
    """Return what the best arm of each rung of the search reached; once the search is done."""
    if not store.exists("students.parquet"):
        return {}
    arms: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in store.read_table("students.parquet", StudentRow):
        if row.stage == "search":
            arms[row.rung][row.arm].append(row.selection_accuracy)
    curve = tuple(
        (rung, max(sum(values) / len(values) for values in each.values()))
        for rung, each in sorted(arms.items())
    )
    return {"students/best selection accuracy": curve} if curve else {}


def _results_of(store: Store) -> tuple[dict[str, float], dict[str, str]]:
    results: dict[str, float] = {}
    words: dict[str, str] = {}
    if store.exists(SWEET_SPOT_FILE):
        found = store.read_json(SWEET_SPOT_FILE, SweetSpot)
        results |= dict(_of_sweet_spot(found))
        words |= {"answer": found.answer, "summary": found.summary, "recipe": str(found.recipe)}
    if store.exists(RESULT_FILE):
        single = json.loads(store.read_text(RESULT_FILE))
        results |= {"test accuracy": single["test_accuracy"]}
        results |= dict(_between("gain over hard labels", single["gain"], single["gain_interval"]))
        words |= {"answer": single["answer"]}
    if store.exists(VERDICT_FILE):
        verdict = store.read_json(VERDICT_FILE, Verdict)
        for name in ("gain", "knowledge", "regularization"):
            effect = getattr(verdict, name)
            results |= dict(_between(f"verdict/{name}", effect.mean, effect.interval))
        words |= {"verdict": verdict.verdict, "explanation": verdict.explanation}
    if store.exists(EXPORT_FILE):
        results |= dict(_of_export(store.read_json(EXPORT_FILE, Export)))
    return results, words


def _of_sweet_spot(found: SweetSpot) -> Iterator[tuple[str, float]]:
    yield "test accuracy", found.student.test_accuracy
    yield "selection accuracy", found.student.selection_accuracy
    if found.teacher.test_accuracy is not None:
        yield "teacher test accuracy", found.teacher.test_accuracy
    for name, reference in found.references:
        told = f"gain over {name.replace('_', ' ')}"
        yield from _between(told, reference.difference, reference.interval)


def _of_export(found: Export) -> Iterator[tuple[str, float]]:
    models = (("student", found.student), ("teacher", found.teacher.quality))
    for who, quality in models:
        if quality is not None:
            for name in ("accuracy", "nll", "brier", "calibration_error"):
                yield f"export/{who} {name.replace('_', ' ')}", getattr(quality, name).value
    yield "export/student parameters", float(found.size.parameters)
    yield "export/student multiply adds", float(found.size.multiply_adds)


def _between(name: str, mean: float, interval: Pair | None) -> Iterator[tuple[str, float]]:
    yield name, mean
    if interval is not None:
        yield f"{name} low", interval[0]
        yield f"{name} high", interval[1]
