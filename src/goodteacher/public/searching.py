"""``search``: find the sweet spot of a teacher-student pair, or of a teacher's several students."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, overload

from sklearn.base import BaseEstimator
from torch import nn

from goodteacher.config import StudyConfig
from goodteacher.data import Dataset, load_for
from goodteacher.engines import engine_of
from goodteacher.errors import InputError, RunError
from goodteacher.networks import NetworkLike, is_estimator
from goodteacher.public.estimating import record_runs, with_recorded_runs
from goodteacher.public.several import SeveralStudies, make_front
from goodteacher.public.study import Study
from goodteacher.report import drawn, tracked, write_front_report, write_report
from goodteacher.studies import (
    CONFIG_FILE,
    FRONT_FILE,
    STUDENTS_FILE,
    Context,
    DataLike,
    OneOfSeveral,
    Place,
    Progress,
    Silent,
    Store,
    begin_several,
    check_place,
    check_study,
    checked_settings,
    checked_students,
    name_of_data,
    place_of,
    prepare_context,
    raise_all,
    restore,
)
from goodteacher.sweet_spot.run import run_search
from goodteacher.sweet_spot.search import Search
from goodteacher.teachers import check_recorded_runs, forget_states
from goodteacher.training import borrowed


@overload
def search(
    data: DataLike,
    *,
    teacher: NetworkLike | BaseEstimator | None = None,
    student: NetworkLike,
    out: str | Path,
    progress: Progress | None = None,
    **settings: Any,
) -> Study: ...


@overload
def search(
    data: DataLike,
    *,
    teacher: NetworkLike | BaseEstimator | None = None,
    student: Sequence[NetworkLike],
    out: str | Path,
    progress: Progress | None = None,
    **settings: Any,
) -> SeveralStudies: ...


def search(
    data: DataLike,
    *,
    teacher: NetworkLike | BaseEstimator | None = None,
    student: NetworkLike | Sequence[NetworkLike],
    out: str | Path,
    progress: Progress | None = None,
    **settings: Any,
) -> Study | SeveralStudies:
    """Find the sweet spot of a teacher-student pair, or go on with a search that was stopped.

    With a list of students it is found for each of them, over shared teachers: each student has a
    study of its own in a folder below ``out``, which is what a search for it alone would have
    given. A list may grow later; the teachers that are there are taken over.

    Args:
        data: A data set, or what :func:`~goodteacher.data.load_dataset` understands.
        teacher: Teacher architecture, such as ``"mlp:800,800"``; or a network, or a function that
            makes one from ``num_classes`` (and ``input_shape``); or a classifier, by a name such as
            ``"forest"``, ``"boosting"`` or ``"logistic"`` or as an object of scikit-learn's kind,
            which is trained out of fold and recorded. Without it no teacher is trained, and
            ``trajectories`` names recorded runs.
        student: Student architecture, such as ``"mlp:64"``; or a function that makes a network; or
            a network, with whose weights every seed then starts. A list of such for several.
        out: The study's folder, or a URL such as ``s3://bucket/study``. An existing study with the
            same settings is resumed.
        progress: Told how far the search is.
        **settings: Any field of :class:`~goodteacher.config.StudyConfig`.

    Returns:
        The finished study; of a list of students, their studies and the front that they make.

    Raises:
        InputError: Something given cannot work; raised before any training.
        RunError: The work itself failed.

    Example:
        >>> study = search("digits", teacher="mlp:32", student="mlp:4", out=getfixture("tmp_path"),
        ...                batch_sizes=[64], epochs=2, student_epochs=2, seeds=2)
        >>> study.sweet_spot.teacher.run
        'batch 64'
    """
    watcher, classifier = progress or Silent(), None
    if is_estimator(teacher):
        settings, classifier = with_recorded_runs(teacher, place_of(out), settings), teacher
        teacher = None
    if isinstance(student, Sequence) and not isinstance(student, str | nn.Module):
        name = name_of_data(data)
        configs = checked_students(student, teacher=teacher, data=name, **settings)
        with borrowed(configs[0]):
            return _search_several(configs, data, place_of(out), watcher, classifier)
    given = {"teacher": teacher, "student": student}
    networks = {name: network for name, network in given.items() if network is not None}
    config = checked_settings(StudyConfig, networks=networks, data=name_of_data(data), **settings)
    with borrowed(config), tracked(config.tracker, out, watcher) as told:
        loaded = None
        if classifier is not None:
            loaded = _checked({place_of(out): config}, data, recorded=False)
            record_runs(classifier, place_of(out), config, loaded, told)
        check = partial(check_recorded_runs, config, folder=place_of(out))
        return _run(
            prepare_context(config, out, data=data, progress=told, check=check, loaded=loaded)
        )


def _run(context: Context, siblings: Sequence[Place] | None = None) -> Study:
    """Search in a folder that has been set up, until the answer is written."""
    config = context.store.config(StudyConfig)
    store = context.store
    with store.lock(context.progress):
        draw = partial(write_report, tables={})
        with drawn(store, "search", context.progress, draw) as watcher:
            context = context.watched_by(watcher)
            plan = Search(config, context, engine_of(config, context), siblings=siblings)
            run_search(plan)
        write_report(store)
        store.log("search_finished")
    return Study(store.root)


def _search_several(
    configs: Sequence[StudyConfig],
    data: DataLike,
    out: Place,
    watcher: Progress,
    classifier: Any,
) -> SeveralStudies:
    """Search for one student after another; those that come later find teachers there."""
    record = begin_several(out, configs)
    by_student = {config.student: config for config in configs}
    studies = {out / folder: by_student[spec] for spec, folder in record.students.items()}
    for folder in (out, *studies):
        restore(folder, watcher)
    loaded = _checked(studies, data, recorded=classifier is None)
    if classifier is not None:
        record_runs(classifier, out, configs[0], loaded, watcher)
    store = Store(out)
    store.write_text(STUDENTS_FILE, record.to_toml())
    with store.lock(watcher), drawn(store, "search", watcher, write_front_report) as drawing:
        for number, (folder, config) in enumerate(studies.items(), start=1):
            one = OneOfSeveral(drawing, config.student, number, len(studies))
            check = partial(check_recorded_runs, config, folder=folder)
            siblings = [f for f in studies if f != folder and Store(f).exists(CONFIG_FILE)]
            try:
                with tracked(config.tracker, folder, one) as told:
                    context = prepare_context(
                        config, folder, data=data, progress=told, check=check, loaded=loaded
                    )
                    _run(context, siblings)
            except RunError as error:
                raise RunError(
                    f"The search for student {config.student!r} ended: {error}"
                ) from error
        for folder in studies:
            forget_states(Store(folder))
        several = SeveralStudies(out)
        store.write_json(FRONT_FILE, make_front(several, loaded))
        write_front_report(store)
    return several


def _checked(studies: Mapping[Place, StudyConfig], data: DataLike, *, recorded: bool) -> Dataset:
    """Return the data, once every student could be set up; nothing is written.

    Args:
        studies: Settings by the folder of the study.
        data: What the search gets.
        recorded: Whether the runs that the settings name are to be there.

    Raises:
        InputError: Something cannot work; the message has a line for each thing.
    """
    problems: list[InputError] = []
    for folder, config in studies.items():
        try:
            check_place(config, folder)
        except InputError as error:
            problems.append(error)
    raise_all(problems)
    loaded = load_for(next(iter(studies.values())), data)
    for folder, config in studies.items():
        try:
            if recorded:
                check = partial(check_recorded_runs, config, folder=folder)
                check_study(config, folder, loaded, check)
            else:
                check_study(config, folder, loaded)
        except InputError as error:
            problems.append(error)
    raise_all(problems)
    return loaded
