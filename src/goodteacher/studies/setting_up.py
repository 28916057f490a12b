"""Setting a study up: data, networks and folder are checked, and nothing is trained."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goodteacher.config import DistillConfig, Frozen, StudyConfig
from goodteacher.data import (
    UNLABELLED,
    DataNote,
    Dataset,
    Frame,
    Split,
    StudyData,
    is_table,
    load_for,
    prepare,
)
from goodteacher.errors import DataError, StudyError
from goodteacher.networks import NetworkIdentity, Preparations
from goodteacher.records import DataSummary
from goodteacher.studies.door import BATCH_SETTINGS, Rehearsals, Settings, fitted_to_data, rehearse
from goodteacher.studies.environment import enter
from goodteacher.studies.files import (
    CONFIG_FILE,
    DATA_FILE,
    ENVIRONMENT_FILE,
    NETWORKS_FILE,
    REPORT_FILE,
    RESULT_FILE,
    STUDENTS_FILE,
)
from goodteacher.studies.places import Place, place_of
from goodteacher.studies.progress import Progress, say
from goodteacher.studies.rehearsal import Role
from goodteacher.studies.restoring import restore
from goodteacher.studies.several import StudentsRecord, holds_several, read_students
from goodteacher.studies.store import Store, holds_other_things
from goodteacher.studies.tasks import Context
from goodteacher.studies.verified import is_of_verify
from goodteacher.training import Machine, choose_machine


class Networks(Frozen):
    """Content of ``networks.json``: what the networks of the user's own are."""

    teacher: NetworkIdentity | None = None
    student: NetworkIdentity | None = None


DataLike = str | Path | Dataset | Mapping[str, Any] | Frame
"""What names data, or is them."""


def begin_several(out: str | Path, configs: Sequence[StudyConfig]) -> StudentsRecord:
    """Say what ``students.toml`` is to hold for a search for several students; nothing is written.

    Args:
        out: The folder of all.
        configs: Settings of their studies, which differ by the student alone.

    Raises:
        StudyError: The folder cannot be used, or holds something else.
    """
    path, begun = place_of(out), StudentsRecord.of(configs)
    store = Store(path)
    store.files.check()
    if not store.intact(STUDENTS_FILE) and store.was_noted(STUDENTS_FILE, begun.to_toml()):
        return begun  # and it is written again
    if holds_several(path):
        return read_students(path).with_students(path, begun)
    if store.exists(CONFIG_FILE):
        raise StudyError(
            f"{path} holds a study of one student. Several go into a folder of their own: name a "
            f"new one with --out. --teachers-of {path} takes its teachers over."
        )
    if holds_other_things(path):
        raise StudyError(f"{path} is not empty and holds no study. Name a new folder with --out.")
    return begun


@dataclass(frozen=True)
class Checked:
    """A study that can be set up: nothing of it has been written.

    Attributes:
        config: Its settings, with batch sizes that go with the data.
        parts: Its data, divided.
        networks: How its networks want them.
        machine: Where it runs.
        rehearsed: What its networks are.
        lowered: What of the settings was changed, in sentences.
    """

    config: Settings
    parts: StudyData
    networks: Preparations
    machine: Machine
    rehearsed: Rehearsals
    lowered: tuple[str, ...]


def prepare_context(
    config: Settings,
    out: str | Path,
    *,
    data: DataLike,
    progress: Progress,
    check: Callable[[StudyData], None] = lambda _: None,
    loaded: Dataset | None = None,
    makes: Callable[[str], bool] = lambda _: True,
) -> Context:
    """Check data, networks and folder, then set the folder up; nothing is trained.

    Files of the folder that are damaged or missing make way, to be made again.

    The folder's settings are those to work with: batch sizes that the user has not named are
    lowered there where the data are few.

    Args:
        config: Settings of a study or of a single distillation.
        out: The folder.
        data: The data, or where they are.
        progress: Told how far the work is.
        check: Raises where something else does not fit the data, divided.
        loaded: The data, where they have been loaded before.
        makes: Says which files of the folder the command makes again where they are damaged.

    Raises:
        InputError: Something cannot work; nothing of the folder was changed that is whole.
    """
    check_place(config, out)
    restore(out, progress, makes=makes)
    loaded = load_for(config, data) if loaded is None else loaded
    found = check_study(config, out, loaded, check)
    store = Store.create(out, found.config)
    store.write_json(NETWORKS_FILE, Networks.model_validate(found.rehearsed.identities))
    store.write_json(DATA_FILE, summary_of(found.parts, given=not isinstance(data, str | Path)))
    place, elsewhere = enter(store, str(found.machine))
    notes = (_selection_note(config, loaded), *found.rehearsed.notes, *found.lowered, elsewhere)
    for note in filter(None, notes):
        say(progress, note)
    return Context(found.parts, found.networks, store, found.machine, progress, place)


def check_place(config: Settings, out: str | Path) -> None:
    """Say whether a study may go into a folder and run here, before its data are loaded.

    Args:
        config: Its settings.
        out: The folder.

    Raises:
        InputError: It may not; or the study that ``teachers_of`` names is none.
    """
    store = Store(out)
    Store.check(out, config, but=BATCH_SETTINGS - config.model_fields_set)
    named = config.teachers_of if isinstance(config, StudyConfig) else None
    if named is not None and not store.exists(CONFIG_FILE):
        Store.open(named)
    choose_machine(config)


def check_study(
    config: Settings,
    out: str | Path,
    loaded: Dataset,
    check: Callable[[StudyData], None] = lambda _: None,
) -> Checked:
    """Check all that :func:`prepare_context` does, and touch nothing.

    Args:
        config: Settings of a study or of a single distillation.
        out: The folder.
        loaded: The data.
        check: Raises where something else does not fit the data, divided.

    Raises:
        InputError: Something cannot work.
    """
    store, machine = Store(out), choose_machine(config)
    parts = _divided(config, loaded, store)
    _check_labelled(config, parts)
    check(parts)
    networks = Preparations(
        parts, normalization=config.normalization, tfidf_features=config.tfidf_features
    )
    rehearsed = rehearse(config, networks, machine)
    _warn_of_unknown_terms(config, networks, loaded.test)
    config, lowered = fitted_to_data(config, parts, rehearsed.needs_two)
    _check_same_data(store, parts)
    _check_same_networks(store, rehearsed.identities)
    return Checked(config, parts, networks, machine, rehearsed, lowered)


def resume_context(
    folder: Place | str, config: StudyConfig, progress: Progress, *, data: DataLike | None = None
) -> Context:
    """Load a study's data again, to go on working in its folder.

    Args:
        folder: The study's folder.
        config: Its settings; how it runs (threads, memory) may differ from before.
        progress: Told how far the work is.
        data: The data, where they were given in Python; else they are found by their name.

    Raises:
        InputError: The data are not found, are others, or something else cannot work.
    """
    with _told_to_give_again(folder, config, data, "verify"):
        return prepare_context(
            config,
            folder,
            data=config.data if data is None else data,
            progress=progress,
            makes=_made_by_verify,
        )


def _made_by_verify(name: str) -> bool:
    """Say whether a verification of a study makes one of its files again."""
    return is_of_verify(name) or name in (DATA_FILE, NETWORKS_FILE, ENVIRONMENT_FILE, REPORT_FILE)


def settings_of(store: Store) -> Settings:
    """Return the settings of a folder: of a study, or of a single distillation."""
    if store.exists(RESULT_FILE):
        return store.config(DistillConfig)
    return store.config(StudyConfig)


def study_data(store: Store, config: Settings, *, data: DataLike | None, call: str) -> StudyData:
    """Load a study's data again and divide them; nothing is written, no network is made.

    Args:
        store: The study.
        config: Its settings.
        data: The data, where they were given in Python; else they are found by their name.
        call: Of which function they can be given again.

    Raises:
        InputError: The data are not found, or are others.
    """
    with _told_to_give_again(store.root, config, data, call):
        loaded = load_for(config, config.data if data is None else data)
        parts = _divided(config, loaded, store)
        _check_same_data(store, parts)
    return parts


def _divided(config: Settings, loaded: Dataset, store: Store) -> StudyData:
    return prepare(
        loaded,
        selection_fraction=config.selection_fraction,
        transfer_fraction=config.transfer_fraction,
        seed=config.split_seed,
        on_open=lambda opening: store.log("test_split_opened", reason=opening.reason),
    )


@contextmanager
def _told_to_give_again(
    folder: Place | str, config: Settings, data: DataLike | None, call: str
) -> Iterator[None]:
    """Say that data which were given in Python are to be given again, where no name finds them."""
    if data is not None:
        yield
        return
    given = Store.open(folder).read_json(DATA_FILE, DataSummary).given_in_python
    try:
        yield
    except (DataError, StudyError) as error:
        if not given:
            raise
        raise StudyError(
            f"The data of {folder} were given in Python, as {config.data!r}, and cannot be loaded "
            f"by that name. Give them again, in Python: goodteacher.{call}({str(folder)!r}, "
            "data=...), with the data set or the arrays."
        ) from error


def name_of_data(data: DataLike) -> str:
    """Return what a study calls its data: their name or path, ``table`` or ``arrays``."""
    if isinstance(data, Dataset):
        return data.name
    if is_table(data):
        return "table"
    return "arrays" if isinstance(data, Mapping) else str(data)


def summary_of(data: StudyData, *, given: bool) -> DataSummary:
    """Return what ``data.json`` says.

    Args:
        data: The data.
        given: Whether they were given in Python, rather than named.
    """
    return DataSummary(
        fingerprint=data.fingerprint,
        class_names=data.class_names,
        input_shape=data.spec.shapes,
        training=len(data.training),
        transfer=len(data.transfer),
        selection=len(data.selection),
        test=len(data.test),
        is_text=data.is_text,
        text_columns=data.spec.columns if data.is_text else (),
        given_in_python=given,
    )


def _warn_of_unknown_terms(config: Settings, networks: Preparations, test: Split) -> None:
    teacher = config.teacher if isinstance(config, StudyConfig) else None
    specs = [spec for spec in (teacher, config.student) if spec is not None]
    splits = {"selection": networks.data.selection, "test": test}
    for note in dict.fromkeys(note for spec in specs for note in networks.notes(spec, splits)):
        warnings.warn(note, DataNote, stacklevel=3)


def _check_labelled(config: Settings, data: StudyData) -> None:
    if isinstance(config, StudyConfig) and bool((data.training.labels == UNLABELLED).all()):
        raise DataError(
            "A search trains teachers on labels, but no training example has one. Label some of "
            "them; or give the response of a teacher that you have to goodteacher distill."
        )


def _selection_note(config: Settings, dataset: Dataset) -> str | None:
    """Say so if a share to carve is set and nothing is carved."""
    default = type(config).model_fields["selection_fraction"].default
    if dataset.validation is None or config.selection_fraction == default:
        return None
    return (
        f"selection_fraction = {config.selection_fraction:g} is not used: these data have a "
        f"validation split of {len(dataset.validation):,} examples, on which choices are made."
    )


def _check_same_networks(store: Store, given: Mapping[Role, NetworkIdentity]) -> None:
    """Refuse networks of the user's that are not those the study was started with."""
    if not store.intact(NETWORKS_FILE):  # it is written again
        return
    before = store.read_json(NETWORKS_FILE, Networks)
    for role, network in given.items():
        known = getattr(before, role)
        difference = None if known is None else network.difference(known)
        if difference:
            raise StudyError(
                f"The {role} is not the one that {store.root} was started with: {difference}. Give "
                "that one again, or name a new folder with --out."
            )


def _check_same_data(store: Store, data: StudyData) -> None:
    if not store.intact(DATA_FILE):  # it is written again
        return
    before = store.read_json(DATA_FILE, DataSummary).fingerprint
    if before != data.fingerprint:
        raise StudyError(
            f"{store.root} holds a study of other data (fingerprint {before[:12]}, now "
            f"{data.fingerprint[:12]}). Were the files changed? Name a new folder with --out."
        )
