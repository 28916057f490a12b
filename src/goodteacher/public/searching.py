"""``search``: find the sweet spot of a teacher-student pair."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from goodteacher.config import StudyConfig
from goodteacher.engines import engine_of
from goodteacher.networks import NetworkLike
from goodteacher.public.study import Study
from goodteacher.report import write_report
from goodteacher.studies import (
    DataLike,
    Progress,
    Silent,
    checked_settings,
    name_of_data,
    prepare_context,
)
from goodteacher.sweet_spot.run import run_search
from goodteacher.sweet_spot.search import Search
from goodteacher.teachers import check_recorded_runs
from goodteacher.training.machine import borrowed


def search(
    data: DataLike,
    *,
    teacher: NetworkLike | None = None,
    student: NetworkLike,
    out: str | Path,
    progress: Progress | None = None,
    **settings: Any,
) -> Study:
    """Find the sweet spot of a teacher-student pair, or go on with a search that was stopped.

    Args:
        data: A data set, or what :func:`~goodteacher.data.load_dataset` understands.
        teacher: Teacher architecture, such as ``"mlp:800,800"``; or a network, or a function that
            makes one from ``num_classes`` (and ``input_shape``). Without it no teacher is trained,
            and ``trajectories`` names recorded runs.
        student: Student architecture, such as ``"mlp:64"``; or a function that makes a network; or
            a network, with whose weights every seed then starts.
        out: The study's folder. An existing study with the same settings is resumed.
        progress: Told how far the search is.
        **settings: Any field of :class:`~goodteacher.config.StudyConfig`.

    Returns:
        The finished study.

    Raises:
        InputError: Something given cannot work; raised before any training.
        RunError: The work itself failed.

    Example:
        >>> study = search("digits", teacher="mlp:32", student="mlp:4", out=getfixture("tmp_path"),
        ...                batch_sizes=[64], epochs=2, student_epochs=2, seeds=2)
        >>> study.sweet_spot.teacher.run
        'batch 64'
    """
    given = {"teacher": teacher, "student": student}
    networks = {name: network for name, network in given.items() if network is not None}
    config = checked_settings(StudyConfig, networks=networks, data=name_of_data(data), **settings)
    with borrowed(config):
        check = partial(check_recorded_runs, config, folder=Path(out))
        context = prepare_context(
            config, out, data=data, progress=progress or Silent(), check=check
        )
        config = context.store.config(StudyConfig)
        plan = Search(config, context, engine_of(config, context))
        with context.store.lock():
            run_search(plan)
            write_report(context.store)
            context.store.log("search_finished")
    return Study(context.store.root)
