"""Recorded runs of anybody's trainer, taken into a study.

Their responses are linked or copied into the study's own folder, which then needs the runs no
longer, and are measured there on the study's own parts of the data. A task is named by what the run
says, not by where it lay or what it is called.
"""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from goodteacher.config import Frozen, Run, StudyConfig
from goodteacher.data import StudyData, shorten
from goodteacher.errors import StudyError
from goodteacher.records import Predictor, TrajectoryRecord
from goodteacher.studies import Context, DataKey, Place, Store, Url, place_of
from goodteacher.teachers.plan import TrajectoryTask, plan_teachers
from goodteacher.teachers.recorded_runs import (
    RUN_FILE,
    SPLITS_FILE,
    RecordedRun,
    RunNotes,
    SplitIds,
    measured_run,
    why_lacking,
    why_other_data,
)
from goodteacher.teachers.recording import (
    RESPONSE_SPLITS,
    recorded,
    split_of,
    write_recorded,
)

TAKEN_FILE = "trajectories.json"


class TakenRun(Frozen):
    """A recorded run that a study has."""

    run: Run
    content: str
    folder: str


class TakenRuns(Frozen):
    """Content of ``trajectories.json``: the recorded runs of a study."""

    schema_version: Literal[1] = 1
    runs: tuple[TakenRun, ...]


class TakenTask(Frozen):
    """A recorded run, to be taken into a study's folder and measured."""

    runner: ClassVar[str] = "goodteacher.teachers.taking:TakingRunner"

    run: Run
    """What the study calls it."""
    data: DataKey
    content: str
    temperatures: tuple[float, ...]
    folder: str

    @property
    def key(self) -> str:
        """Name of the task and of its folder below ``teachers/``."""
        return f"recorded-{self.digest(but=('run', 'folder'))}"

    @property
    def work(self) -> float:
        """Size of the task, in runs."""
        return 1.0


class TakingRunner:
    """Takes a recorded run."""

    def done(self, task: TakenTask, store: Store) -> bool:
        """Say whether the run's records are there."""
        return bool(recorded(store, task.key))

    def run(self, task: TakenTask, context: Context) -> None:
        """Link or copy the responses, measure them, and last write the records.

        Raises:
            StudyError: The run is no longer there, or has changed.
        """
        run = RecordedRun.open(task.folder)
        if run.content() != task.content:
            raise StudyError(
                f"{task.folder} has changed while it was being read. Give the same command again."
            )
        # With what says whose it is, the folder is a recorded run for other studies too.
        for name in (RUN_FILE, SPLITS_FILE, *run.files()):
            context.store.take_over(f"teachers/{task.key}/{name}", run.store, name)
        records = [_measured(task, context, run, record) for record in run.records()]
        write_recorded(context.store, task.key, records)
        context.progress.advance(task.work)


def _measured(
    task: TakenTask, context: Context, run: RecordedRun, record: TrajectoryRecord
) -> TrajectoryRecord:
    """Return a record as the study has it: its name of the run, measured on its own parts."""
    splits = {name: split_of(context, name) for name in RESPONSE_SPLITS}
    healthy = record.status == "ok"
    said = {n: run.response(record.epoch, n, s) for n, s in splits.items()} if healthy else {}
    labels = {name: split.labels for name, split in splits.items()}
    fields = measured_run(said, labels, healthy=healthy, temperatures=task.temperatures)
    names = {"run": task.run.name, "attributes": task.run.attributes}
    return TrajectoryRecord.model_validate({**dict(record), **names, **fields})


# --- which runs ----------------------------------------------------------------------------------


def check_recorded_runs(config: StudyConfig, data: StudyData, folder: Path | str) -> None:
    """Say whether the recorded runs that are named can be used, before anything is written.

    Args:
        config: The study's settings.
        data: Its data, divided.
        folder: Its folder, which may not exist yet.

    Raises:
        StudyError: There is none, one does not fit the data, or a study that goes on had others.
    """
    store = Store(folder)
    kept = taken_runs(store)
    try:
        found = _found(config, SplitIds.of(config, data))
    except StudyError:
        if not kept or not config.trajectories:
            raise
        return  # the study has what it took, wherever the runs are now
    if store.exists(TAKEN_FILE) and {r.content for r in found} != {r.content for r in kept}:
        raise StudyError(
            f"{folder} was started with other recorded runs: {_what_changed(kept, found)}. Choose "
            "a new folder with --out; all students are trained again there."
        )


def plan_taken(config: StudyConfig, context: Context, key: DataKey) -> tuple[TakenTask, ...]:
    """Return a task for each recorded run of a study.

    Args:
        config: The study's settings.
        context: Its data and folder, in which it is noted which runs these are.
        key: What its results depend on besides the settings.

    Raises:
        StudyError: See :func:`check_recorded_runs`.
    """
    runs = taken_runs(context.store)
    if not runs and config.trajectories:
        runs = _found(config, SplitIds.of(config, context.data))
        context.store.write_json(TAKEN_FILE, TakenRuns(runs=runs))
    return tuple(
        TakenTask(**dict(taken), data=key, temperatures=config.temperatures) for taken in runs
    )


def predictor_of(store: Store, task: TakenTask) -> Predictor | None:
    """Return what is known of a teacher that was asked once; None of a run that has epochs.

    Args:
        store: The study.
        task: A recorded run that was taken.
    """
    return store.read_json(f"teachers/{task.key}/{RUN_FILE}", RunNotes).predictor


def plan_keys(config: StudyConfig, context: Context) -> tuple[DataKey, tuple[tuple[str, str], ...]]:
    """Return what a study's results depend on besides its settings, and (run, key) of each run.

    Args:
        config: The study's settings.
        context: Its data and folder.
    """
    key, trained = plan_teachers(config, context)
    tasks: tuple[TrajectoryTask | TakenTask, ...] = (*trained, *plan_taken(config, context, key))
    return key, tuple((task.run.name, task.key) for task in tasks)


def taken_runs(store: Store) -> tuple[TakenRun, ...]:
    """Return the recorded runs that a study has taken; none where it has not begun."""
    return store.read_json(TAKEN_FILE, TakenRuns).runs if store.exists(TAKEN_FILE) else ()


def _found(config: StudyConfig, needed: SplitIds) -> tuple[TakenRun, ...]:
    """Return the runs that the settings name, each with a name of its own."""
    runs = [RecordedRun.open(folder) for folder in _folders(config.trajectories)]
    for run in runs:
        _check_fits(run, needed)
    names = _own_names(runs, {planned.name for planned in config.runs})
    found = tuple(
        TakenRun(
            run=Run(name=name, attributes=run.notes.attributes),
            content=run.content(),
            folder=str(run.store.root.absolute()),
        )
        for name, run in zip(names, runs, strict=True)
    )
    _check_no_copies(found)
    return found


def _check_fits(run: RecordedRun, needed: SplitIds) -> None:
    why = why_other_data(run.splits, needed) or why_lacking(run.splits, needed)
    if why:
        raise StudyError(
            f"The run in {run.store.root} cannot be used here: {why}. Use the data and the split "
            f"that it was recorded on ({RUN_FILE} and splits.json say which), or record it again."
        )
    if not run.records():
        raise StudyError(
            f"Nothing was recorded in {run.store.root} yet. Leave it out, or record an epoch: "
            "recorder.record(model, epoch)."
        )


def _folders(patterns: Sequence[str]) -> list[Place]:
    """Return the folders of recorded runs that patterns name, each once."""
    found: dict[Place, Place] = {}
    for pattern in patterns:
        for path in _matching(pattern):
            found.setdefault(path.resolve(), path)
    return list(found.values())


def _matching(pattern: str) -> list[Place]:
    path = place_of(pattern)
    if isinstance(path, Url):
        return _below(path)
    path = path.expanduser()
    if path.is_dir() or not glob.has_magic(pattern):
        if not (path / RUN_FILE).exists() and list(path.glob(f"*/{RUN_FILE}")):
            raise StudyError(
                f"{pattern} is not a recorded run, but contains some. Give them as '{pattern}/*'."
            )
        return [path]
    matches = sorted(map(Path, glob.glob(str(path))))  # noqa: PTH207 - a path, not below one
    runs: list[Place] = [match for match in matches if (match / RUN_FILE).is_file()]
    if not runs:
        raise StudyError(
            f"No recorded run matches {pattern!r}: no folder with a {RUN_FILE} is among its "
            f"{len(matches)} matches. goodteacher.Recorder writes such folders."
        )
    return runs


def _below(pattern: Url) -> list[Place]:
    """Return the recorded runs at a URL, whose last parts may be a pattern."""
    head, star, _ = pattern.partition("*")
    if not star:
        return [pattern]
    base = head.rpartition("/")[0]
    found = Store(base).matching(f"{pattern.removeprefix(base).lstrip('/')}/{RUN_FILE}")
    if not found:
        raise StudyError(
            f"No recorded run matches {pattern!r}. goodteacher.Recorder writes recorded runs."
        )
    return [Url(base) / name.removesuffix(f"/{RUN_FILE}") for name in found]


def _own_names(runs: Sequence[RecordedRun], taken: set[str]) -> list[str]:
    """Return a name for each run; what several are called is followed by the folder of each."""
    counts = Counter(run.notes.name for run in runs)
    return [
        f"{run.notes.name} ({run.store.root})"
        if counts[run.notes.name] > 1 or run.notes.name in taken
        else run.notes.name
        for run in runs
    ]


def _check_no_copies(found: Sequence[TakenRun]) -> None:
    folders: dict[str, list[str]] = {}
    for taken in found:
        folders.setdefault(taken.content, []).append(taken.folder)
    for same in folders.values():
        if len(same) > 1:
            raise StudyError(
                f"{shorten(same)} hold the same responses. If one is a copy of another, give only "
                "one of them."
            )


def _what_changed(kept: Sequence[TakenRun], found: Sequence[TakenRun]) -> str:
    return "; ".join(_changes(_by_name(kept), _by_name(found)))


def _changes(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    if new := sorted(now.keys() - before.keys()):
        yield f"new is {shorten(new)}"
    if gone := sorted(before.keys() - now.keys()):
        yield f"missing is {shorten(gone)}"
    both = sorted(before.keys() & now.keys())
    if changed := [name for name in both if before[name] != now[name]]:
        yield f"{shorten(changed)} now has other epochs or responses"


def _by_name(runs: Sequence[TakenRun]) -> dict[str, str]:
    return {taken.run.name: taken.content for taken in runs}
