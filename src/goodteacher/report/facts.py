"""Tables of facts: what the search cost, its settings, its data and the machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from goodteacher.records import Cost, StudentRow, TrajectoryRecord, known_seconds, variant_seconds
from goodteacher.report.findings import Findings, Verified
from goodteacher.report.parts import Table

_MOST_CLASS_NAMES = 100
_VARIANT_NOTES = {
    "raw": "all trajectories; all other variants start from them",
    "ema": "keeping the average is part of the trajectories' training",
}
_TRAINING = {
    Findings: "teacher's training data",
    Verified: "training data without the selection split",
}


def cost_of(findings: Findings) -> Cost:
    """Return what the search took; of an unfinished one, what it took so far."""
    if findings.sweet_spot is not None:
        return findings.sweet_spot.cost
    config = findings.config
    planned = {run.name for run in config.runs}
    last = [record for record in _last_records(findings.records) if record.run in planned]
    elsewhere = sum(record.run not in planned for record in findings.records)
    epochs_by_student = _epochs_by_student(findings.students)
    checkpoints = len(config.runs) * len(config.recorded_epochs) + elsewhere
    grid = checkpoints * len(config.recipes)
    runs = [list(run) for _, run in groupby(findings.records, lambda record: record.run)]
    return Cost(
        teacher_seconds=known_seconds(runs),
        untimed_runs=sum(run[-1].seconds is None for run in runs),
        student_seconds=sum(row.student_seconds for row in findings.students),
        num_students=len(epochs_by_student),
        student_epochs_run=sum(epochs_by_student.values()),
        student_epochs_exhaustive=grid
        * max((row.student_epochs for row in findings.students), default=0)
        * config.search_seeds,
        teacher_epochs_run=sum(record.epoch for record in last),
        teacher_epochs_full=config.epochs * len(config.runs),
        variants=variant_seconds(runs, findings.branches, findings.blends),
    )


def cost_table(findings: Findings) -> Table:
    """Return the cost as a table."""
    cost = cost_of(findings)
    teachers, students = cost.teacher_epochs_run, cost.student_epochs_run
    planned = f"trained here, of {cost.teacher_epochs_full:,} planned"
    if not findings.config.trajectories:
        planned = f"of {cost.teacher_epochs_full:,} planned"
    grid = (
        f"{_share(students, cost.student_epochs_exhaustive)} of the "
        f"{cost.student_epochs_exhaustive:,} epochs that training every candidate to the end "
        "takes, without references and confirmation"
    )
    probes = f"; {cost.probe_epochs_run:,} by probe students" if cost.probe_epochs_run else ""
    rows = (
        ("teachers, training time", _teacher_time(cost), _timed(cost)),
        ("teachers, epochs", f"{teachers:,}", planned),
        *_cooldown_rows(cost),
        *_variant_rows(cost),
        (
            "students, training time",
            f"{cost.student_seconds:,.1f} s",
            "references and confirmation included",
        ),
        ("students trained", f"{cost.num_students:,}", "each arm and seed counts once"),
        ("students, epochs", f"{students:,}", grid + probes),
    )
    state = "" if findings.sweet_spot else " so far"
    caption = f"What the search took{state}, on the machine below; one search (n = 1, no spread)."
    return Table(caption, ("what", "amount", "note"), rows)


def _teacher_time(cost: Cost) -> str:
    return "unknown" if cost.teacher_seconds is None else f"{cost.teacher_seconds:,.1f} s"


def _timed(cost: Cost) -> str:
    """Say which runs the seconds are of: those recorded elsewhere may not have been timed."""
    if cost.teacher_seconds is None:
        return f"the {cost.untimed_runs} recorded runs were not timed"
    if not cost.untimed_runs:
        return "all trajectories"
    were = "was" if cost.untimed_runs == 1 else "were"
    return f"all trajectories except {cost.untimed_runs} that {were} not timed"


def _cooldown_rows(cost: Cost) -> tuple[tuple[str, str, str], ...]:
    if not cost.cooldown_epochs_run:
        return ()
    amount = f"{cost.cooldown_seconds:,.1f} s"
    return (("cooldowns, training time", amount, f"{cost.cooldown_epochs_run:,} epochs"),)


def _variant_rows(cost: Cost) -> tuple[tuple[str, str, str], ...]:
    """Return a row for each kind of teacher; none for studies that did not measure it."""
    return tuple(
        (
            f"{variant} teachers, making and measuring them",
            f"{seconds:,.1f} s",
            _made(variant, cost),
        )
        for variant, seconds in cost.variants.items()
    )


def _made(variant: str, cost: Cost) -> str:
    if variant == "raw" and cost.untimed_runs:
        return f"without the training of {cost.untimed_runs} runs, which was not timed"
    return _VARIANT_NOTES.get(variant, "in addition to the trajectories")


def settings_table(findings: Findings | Verified) -> Table:
    """Return every setting of the folder with its meaning."""
    config = findings.config
    rows = tuple(
        (name, _plain(getattr(config, name)), field.description or "")
        for name, field in sorted(type(config).model_fields.items())
    )
    return Table("All settings, as in study.toml.", ("setting", "value", "what it is"), rows)


def _text(columns: tuple[str, ...]) -> str:
    return f"{len(columns)} texts: {', '.join(columns)}" if columns else "text"


def data_table(findings: Findings | Verified) -> Table:
    """Return sizes and classes of the data."""
    data = findings.data
    rows = (
        ("data", findings.config.data, ""),
        (_TRAINING[type(findings)], f"{data.training:,}", "examples"),
        ("transfer set", f"{data.transfer:,}", "examples; teachers respond, students learn"),
        ("selection split", f"{data.selection:,}", "examples; every choice is made here"),
        ("test split", f"{data.test:,}", "examples; sealed until every choice was made"),
        (
            "input",
            _text(data.text_columns) if data.is_text else _shape(data.input_shape),
            "each network sees its terms or tokens" if data.is_text else "shape of one example",
        ),
        ("classes", f"{len(data.class_names):,}", _listed(data.class_names)),
        ("fingerprint", data.fingerprint, "identifies the exact content"),
    )
    return Table("The data and their parts.", ("what", "value", "note"), rows)


def environment_table(findings: Findings | Verified) -> Table:
    """Return the machines and the versions, a column for each environment."""
    columns = [dict(_flat(each.model_dump())) for each in findings.environments]
    names = tuple(dict.fromkeys(name for column in columns for name in column))
    rows = tuple((name, *(_plain(column.get(name)) for column in columns)) for name in names)
    if len(columns) < 2:
        return Table("Machine and versions.", ("what", "value"), rows)
    heads = ("what", *(str(number) for number in range(1, len(columns) + 1)))
    return Table("Machines and versions, in the order in which tasks first ran there.", heads, rows)


def _last_records(records: Iterable[TrajectoryRecord]) -> list[TrajectoryRecord]:
    last: dict[str, TrajectoryRecord] = {record.run: record for record in records}
    return list(last.values())


def _epochs_by_student(rows: Iterable[StudentRow]) -> Mapping[tuple[str, int, str], int]:
    """Return how far each student trained; rungs of one student are one student."""
    found: dict[tuple[str, int, str], int] = {}
    for row in rows:
        student = (row.stage, row.seed, row.arm)
        found[student] = max(row.student_epochs, found.get(student, 0))
    return found


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _shape(shape: tuple[int, ...] | dict[str, tuple[int, ...]]) -> str:
    if isinstance(shape, dict):
        return ", ".join(f"{name} {_shape(sizes)}" for name, sizes in shape.items())
    return " x ".join(str(size) for size in shape)


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:_MOST_CLASS_NAMES])
    rest = len(names) - _MOST_CLASS_NAMES
    return f"{shown}, and {rest:,} more" if rest > 0 else shown


def _plain(value: object) -> str:
    """Write a setting's value as a person would."""
    if value is None:
        return "default"
    if isinstance(value, list | tuple):
        return ", ".join(_plain(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _flat(values: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value)
        else:
            yield name, value
