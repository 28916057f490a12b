"""Setting a study up: data, networks and folder are checked, and nothing is trained."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from goodteacher.config import Frozen, StudyConfig
from goodteacher.data import (
    UNLABELLED,
    DataNote,
    Dataset,
    Split,
    StudyData,
    load_for,
    prepare,
)
from goodteacher.errors import DataError, StudyError
from goodteacher.networks import NetworkIdentity, Preparations
from goodteacher.records import DataSummary
from goodteacher.studies.door import BATCH_SETTINGS, Settings, fitted_to_data, rehearse
from goodteacher.studies.environment import enter
from goodteacher.studies.files import NETWORKS_FILE
from goodteacher.studies.progress import Progress, say
from goodteacher.studies.rehearsal import Role
from goodteacher.studies.store import Store
from goodteacher.studies.tasks import Context
from goodteacher.training.machine import choose_machine


class Networks(Frozen):
    """Content of ``networks.json``: what the networks of the user's own are."""

    teacher: NetworkIdentity | None = None
    student: NetworkIdentity | None = None


DataLike = str | Path | Dataset | Mapping[str, Any]
"""What names data, or is them."""


def prepare_context(
    config: Settings,
    out: str | Path,
    *,
    data: DataLike,
    progress: Progress,
    check: Callable[[StudyData], None] = lambda _: None,
) -> Context:
    """Check data, networks and folder, then set the folder up; nothing is trained.

    The folder's settings are those to work with: batch sizes that the user has not named are
    lowered there where the data are few.

    Args:
        config: Settings of a study or of a single distillation.
        out: The folder.
        data: The data, or where they are.
        progress: Told how far the work is.
        check: Raises where something else does not fit the data, divided.

    Raises:
        InputError: Something cannot work; the folder has not been touched.
    """
    folder = Path(out)
    Store.check(folder, config, but=BATCH_SETTINGS - config.model_fields_set)
    if isinstance(config, StudyConfig) and config.teachers_of is not None and not folder.exists():
        Store.open(config.teachers_of)
    machine = choose_machine(config)
    loaded = load_for(config, data)
    store = Store(folder)
    parts = prepare(
        loaded,
        selection_fraction=config.selection_fraction,
        transfer_fraction=config.transfer_fraction,
        seed=config.split_seed,
        on_open=lambda opening: store.log("test_split_opened", reason=opening.reason),
    )
    _check_labelled(config, parts)
    check(parts)
    _note_selection(config, loaded, progress)
    networks = Preparations(
        parts, normalization=config.normalization, tfidf_features=config.tfidf_features
    )
    rehearsed = rehearse(config, networks, machine)
    _warn_of_unknown_terms(config, networks, loaded.test)
    config, lowered = fitted_to_data(config, parts, rehearsed.needs_two)
    _check_same_data(store, parts)
    _check_same_networks(store, rehearsed.identities)
    store = Store.create(folder, config)
    store.write_json(NETWORKS_FILE, Networks.model_validate(rehearsed.identities))
    store.write_json("data.json", summary_of(parts, given=not isinstance(data, str | Path)))
    place, elsewhere = enter(store, str(machine))
    for note in (*rehearsed.notes, *lowered, *filter(None, [elsewhere])):
        say(progress, note)
    return Context(parts, networks, store, machine, progress, place)


def resume_context(
    folder: Path, config: StudyConfig, progress: Progress, *, data: DataLike | None = None
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
    if data is not None:
        return prepare_context(config, folder, data=data, progress=progress)
    given = Store.open(folder).read_json("data.json", DataSummary).given_in_python
    try:
        return prepare_context(config, folder, data=config.data, progress=progress)
    except (DataError, StudyError) as error:
        if not given:
            raise
        raise StudyError(
            f"The data of {folder} were given in Python, as {config.data!r}, and cannot be loaded "
            f"by that name. Give them again, in Python: goodteacher.verify({str(folder)!r}, "
            "data=...), with the data set or the arrays."
        ) from error


def name_of_data(data: DataLike) -> str:
    """Return what a study calls its data: their name or path, or ``arrays``."""
    if isinstance(data, Dataset):
        return data.name
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


def _note_selection(config: Settings, dataset: Dataset, progress: Progress) -> None:
    """Say so if a share to carve is set and nothing is carved."""
    default = type(config).model_fields["selection_fraction"].default
    if dataset.validation is not None and config.selection_fraction != default:
        say(
            progress,
            f"selection_fraction = {config.selection_fraction:g} is not used: these data have a "
            f"validation split of {len(dataset.validation):,} examples, on which choices are made.",
        )


def _check_same_networks(store: Store, given: Mapping[Role, NetworkIdentity]) -> None:
    """Refuse networks of the user's that are not those the study was begun with."""
    if not store.exists(NETWORKS_FILE):
        return
    before = store.read_json(NETWORKS_FILE, Networks)
    for role, network in given.items():
        known = getattr(before, role)
        difference = None if known is None else network.difference(known)
        if difference:
            raise StudyError(
                f"The {role} is not the one that {store.root} was begun with: {difference}. Give "
                "that one again, or name a new folder with --out."
            )


def _check_same_data(store: Store, data: StudyData) -> None:
    if not store.exists("data.json"):
        return
    before = store.read_json("data.json", DataSummary).fingerprint
    if before != data.fingerprint:
        raise StudyError(
            f"{store.root} holds a study of other data (fingerprint {before[:12]}, now "
            f"{data.fingerprint[:12]}). Were the files changed? Name a new folder with --out."
        )
