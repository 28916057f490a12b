"""Keep of a pair's studies what the tables and figures need: small files without a path in them.

    collect(PairKey(data="mnist", teacher_role="large", ...), exhaustive=..., search=..., into=...)

writes what `pairs.py` reads. A study that has not finished leaves its files out; they are written
when `collect` runs again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from goodteacher import Study
from goodteacher.config import RUNTIME_SETTINGS, Frozen
from goodteacher.records.evidence import Evidence
from goodteacher.records.results import StudentRow, TrajectoryRecord
from goodteacher.studies.environment import environments
from goodteacher.studies.files import EVIDENCE_FILE, SWEET_SPOT_FILE, VERDICT_FILE
from goodteacher.studies.store import Store
from pairs import (
    DEFAULT_STUDENTS_FILE,
    EXHAUSTIVE_FILE,
    MEASUREMENTS_FILE,
    NOT_KEPT,
    PAIR_FILE,
    SEARCH_FILE,
    STUDENTS_FILE,
    MeasurementRow,
    PairInfo,
    PairKey,
)


def collect(
    pair: PairKey,
    *,
    exhaustive: Path,
    search: Path | None,
    into: Path,
    minutes: Mapping[str, float] | None = None,
) -> None:
    """Write the files of one pair.

    Args:
        pair: Which pair of the study.
        exhaustive: Folder of its exhaustive search; its teachers are the pair's.
        search: Folder of its default search, verified or not; None where there is none, and the
            verdict is on the exhaustive one.
        into: The pair's folder below the results.
        minutes: How long each part took, by name.
    """
    target, study = Store(into), Study(exhaustive)
    default = None if search is None else Study(search)
    taught = last_epochs(default) if default else {}
    target.write_json(PAIR_FILE, _info(pair, study, minutes or {}, taught))
    rows = [row for record in _records(study) for row in measurement_rows(record)]
    target.write_text(MEASUREMENTS_FILE, as_csv(rows, list(MeasurementRow.model_fields)))
    _keep_search(study, target, STUDENTS_FILE, EXHAUSTIVE_FILE)
    if default is not None:
        _keep_search(default, target, DEFAULT_STUDENTS_FILE, SEARCH_FILE)
    judged = default or study
    if judged.store.exists(VERDICT_FILE):
        target.write_json(VERDICT_FILE, judged.verdict)
    if judged.store.exists(EVIDENCE_FILE):
        target.write_json(EVIDENCE_FILE, without_pictures(judged.evidence))


def measurement_rows(record: TrajectoryRecord) -> Iterable[MeasurementRow]:
    """Yield a row for each split and temperature that a checkpoint was measured at."""
    own = record.model_dump(include=set(MeasurementRow.model_fields))
    for measurement in record.measurements:
        yield MeasurementRow(**own, batch_size=record.batch_size, **measurement.model_dump())


def last_epochs(study: Study) -> dict[int, int]:
    """Return how many epochs each batch size was taught for."""
    raw = [record for record in _records(study) if record.variant == "raw"]
    return {r.batch_size: r.epoch for r in sorted(raw, key=lambda r: (r.batch_size, r.epoch))}


def without_pictures(evidence: Evidence) -> Evidence:
    """Return the evidence without pictures of examples: those that flip, those of a class."""
    flips = evidence.flips
    bare = {
        name: tuple(flip.model_copy(update={"picture": None}) for flip in getattr(flips, name))
        for name in ("most_gained", "most_lost")
    }
    omitted = evidence.omitted
    if omitted is not None:
        omitted = omitted.model_copy(update={"examples": None})
    changed = {"flips": flips.model_copy(update=bare), "omitted": omitted}
    return evidence.model_copy(update=changed)


def as_csv(rows: Iterable[Frozen], columns: Sequence[str]) -> str:
    """Return rows as CSV; numbers keep seven digits, as many as float32 has."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(getattr(row, name)) for name in columns] for row in rows)
    return text.getvalue()


def as_students_csv(rows: Iterable[StudentRow]) -> str:
    """Return students as CSV, as `pairs.read_students` reads them."""
    return as_csv(rows, [name for name in StudentRow.model_fields if name not in NOT_KEPT])


def _cell(value: object) -> object:
    return f"{value:.7g}" if isinstance(value, float) else value


def _info(
    pair: PairKey, study: Study, minutes: Mapping[str, float], taught: dict[int, int]
) -> PairInfo:
    data = study.data
    return PairInfo(
        **pair.model_dump(),
        teacher=study.config.teacher,
        student=study.config.student,
        num_classes=len(data.class_names),
        transfer_examples=data.transfer,
        settings=study.config.model_dump(mode="json", exclude={"data", *RUNTIME_SETTINGS}),
        environment=_environment(study),
        minutes=dict(minutes),
        taught=taught,
    )


def _environment(study: Study) -> dict[str, Any]:
    """Return the environment that the study began in."""
    return environments(study.store)[0].model_dump(mode="json")


def _records(study: Study) -> list[TrajectoryRecord]:
    """Return every checkpoint of a study, cooldowns included."""
    files = sorted(study.folder.glob("teachers/**/trajectory.jsonl"))
    names = [str(path.relative_to(study.folder)) for path in files]
    return [r for name in names for r in study.store.read_records(name, TrajectoryRecord)]


def _keep_search(study: Study, target: Store, students: str, answer: str) -> None:
    """Keep the students of a search and what it found, if it has finished."""
    if study.store.exists(SWEET_SPOT_FILE):
        target.write_text(students, as_students_csv(study.students()))
        target.write_json(answer, study.sweet_spot)
