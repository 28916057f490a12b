"""A classifier of scikit-learn's kind as the teacher of a search: trained here, and recorded.

It has no epochs, so what it says is a recorded run of one epoch, in the folder ``recorded`` of the
study, and the search goes on as with any recorded run.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from goodteacher.config import StudyConfig, TeacherConfig, parse, paths
from goodteacher.data import UNLABELLED, Dataset, shorten
from goodteacher.errors import ConfigError, StudyError
from goodteacher.networks import estimator_of, possible_folds
from goodteacher.public.recording import Recorder
from goodteacher.studies import RECORDED_FOLDER, Place, Progress, Store, say
from goodteacher.teachers import FOLDS, RUN_FILE, Classifying, TakenRun, taken_runs

_OF_CLASSIFIERS = {"teacher", "teacher_seeds", "teachers_of", "trajectories", "variants", "views"}
_OF_NETWORKS = TeacherConfig.model_fields.keys() - _OF_CLASSIFIERS


def with_recorded_runs(teacher: Any, out: Place, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a search whose teacher is a classifier: they name recorded runs.

    Args:
        teacher: The classifier's name, such as ``"forest"``, or an object of scikit-learn's kind.
        out: The search's folder.
        settings: Of the search.

    Raises:
        InputError: The name or a setting cannot work.
    """
    surplus = [name for name in settings if name in _OF_NETWORKS]
    if surplus:
        raise ConfigError(
            f"{', '.join(surplus)} {'is' if len(surplus) == 1 else 'are'} for teachers that train "
            "in epochs, which a scikit-learn classifier does not. Leave these settings out. In "
            "Python you can give a configured object instead, for example "
            "teacher=RandomForestClassifier(max_depth=8)."
        )
    given = {k: v for k, v in settings.items() if k == "teacher_seeds"}
    seeds = parse(TeacherConfig, **given).teacher_seeds
    runs = [str(folder) for folder in _folders(estimator_of(teacher)[0], out, seeds).values()]
    others: Any = paths(settings.get("trajectories", ()))
    return {**settings, "trajectories": [*runs, *others]}


def record_runs(
    teacher: Any, out: Place, config: StudyConfig, data: Dataset, progress: Progress
) -> None:
    """Train a classifier out of fold, once for each seed, and record what it says.

    A run that is recorded already is left as it is, and so is a study that has taken its own.

    Args:
        teacher: Its name or an object.
        out: The search's folder.
        config: Settings of a study of the search.
        data: Its data.
        progress: Told how far it is.

    Raises:
        InputError: It cannot be trained on these data, or is another one than was recorded.
    """
    name, estimator, categories = estimator_of(teacher)
    if not isinstance(teacher, str) and hasattr(estimator, "classes_"):
        say(
            progress,
            f"The teacher {name} is already fitted. It is trained again, out of fold and only on "
            "the training part. To use it as it is, record its responses with "
            "goodteacher.respond(teacher.predict_proba, ...) and search that run.",
        )
    taken = taken_runs(Store(out))
    for seed, folder in _folders(name, out, config.teacher_seeds).items():
        classifying = Classifying(
            estimator, data.num_classes, seed, categories=categories, names=data.feature_names
        )
        if taken and not Store(folder).exists(RUN_FILE):
            _check_taken(classifying, taken, out)
            continue  # the study has what it took
        _record(classifying, name, folder, config, data, progress)


def _folders(name: str, out: Place, seeds: tuple[int, ...]) -> dict[int, Place]:
    """Return the folder of the run of each seed."""
    safe = name.replace(":", "-")
    return {
        seed: out / RECORDED_FOLDER / (safe if len(seeds) == 1 else f"{safe}-seed-{seed}")
        for seed in seeds
    }


def _check_taken(classifying: Classifying, taken: Sequence[TakenRun], out: Place) -> None:
    """Refuse another classifier than a study was started with."""
    known = [taken_run.run.attributes.get("classifier") for taken_run in taken]
    if classifying.description not in known:
        shown = shorten(filter(None, known)) or "recorded runs"
        raise StudyError(
            f"{out} was started with other teachers: {shown}, not {classifying.description}. Give "
            "the same teachers again, or choose a new folder with --out."
        )


def _record(
    classifying: Classifying,
    name: str,
    folder: Place,
    config: StudyConfig,
    data: Dataset,
    progress: Progress,
) -> None:
    several = len(config.teacher_seeds) > 1
    attributes: dict[str, Any] = {"classifier": classifying.description}
    if several:
        attributes["seed"] = classifying.seed
    recorder = Recorder(
        folder,
        data,
        run=f"{name}, seed {classifying.seed}" if several else name,
        selection_fraction=config.selection_fraction,
        transfer_fraction=config.transfer_fraction,
        split_seed=config.split_seed,
        record_test=True,
        progress=progress,
        **attributes,
    )
    if recorder.records:
        return
    folds = _folds(recorder, name, progress)
    begun = time.perf_counter()
    progress.begin(f"training {recorder.name} out of fold", float(folds + 1))
    said = classifying.said(
        recorder.training.split,
        recorder.transfer.split,
        {"selection": recorder.selection.split, "test": data.test},
        progress.advance,
    )
    recorder.predictor = said.predictor
    recorder.record(logits=said.logits, epoch=1, seconds=time.perf_counter() - begun)


def _folds(recorder: Recorder, name: str, progress: Progress) -> int:
    """Return how many folds there are; say so where a class has too few examples for all."""
    labels = recorder.training.labels
    known = labels[labels != UNLABELLED]
    folds = possible_folds(known.numpy(), FOLDS)
    counts = known.bincount(minlength=recorder.num_classes).tolist()
    few = {n: c for n, c in zip(recorder.data.class_names, counts, strict=True) if c < FOLDS}
    if few:
        told = shorten(f"{each}: {count}" for each, count in few.items())
        say(
            progress,
            f"Classes with fewer training examples than the {FOLDS} folds in which {name} is "
            f"trained ({told}), so only {folds} folds are used, and its responses come from "
            "classifiers that were trained on fewer examples.",
        )
    return folds
