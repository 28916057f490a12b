"""``record_checkpoints``: the responses of checkpoints that exist already, as recorded runs.

``ask_model`` records a model that is asked as it is, named by its folder or file.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from goodteacher.config import RespondConfig, parse
from goodteacher.data import UNLABELLED, Dataset, Finding, StudyData, load_for, shorten
from goodteacher.errors import ConfigError
from goodteacher.networks import (
    NetworkLike,
    Preparations,
    canonical_spec,
    logits_of,
    specification_of,
    split_spec,
)
from goodteacher.public.dividing import divided
from goodteacher.public.predicting import respond
from goodteacher.public.recording import Recorder
from goodteacher.responses import (
    Response,
    class_columns,
    concatenated,
    default_numbers,
    examine_agreement,
    look_alike,
)
from goodteacher.studies import DataLike, Progress, Silent, name_of_data, say
from goodteacher.teachers import (
    HUGGING_FACE,
    Contents,
    ForeignCheckpoint,
    Prepare,
    RecordedRun,
    attributes_of,
    check_pattern,
    checked_prepare,
    classes_of,
    epochs_of,
    find_checkpoints,
    read_checkpoint,
    weights_for,
)
from goodteacher.training import choose_machine

_ONNX = ".onnx"


def record_checkpoints(
    data: DataLike,
    *,
    model: NetworkLike,
    checkpoints: str | Path | Sequence[str | Path],
    out: str | Path,
    prepare: Prepare | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> list[RecordedRun]:
    """Record what checkpoints of another trainer say, as runs that a search understands.

    Checkpoints of one folder are a run, named after it. Epochs that were recorded before are left
    alone, so the same call goes on where it stopped.

    Args:
        data: A data set, or what :func:`~goodteacher.data.load_dataset` understands.
        model: The network whose weights they are: a specification, a network, or a function that
            makes one.
        checkpoints: Files, folders, or patterns of them.
        out: The folder below which each run has its own.
        prepare: Turns a batch of examples as they are stored into what the network wants; by
            default its specification says how it wants them.
        progress: Told how far the work is.
        **settings: Any other field of :class:`~goodteacher.config.RespondConfig`.

    Returns:
        The runs, in the order of their names.

    Raises:
        InputError: Something given cannot work; raised before anything is written.

    Example:
        >>> from safetensors.torch import save_model
        >>> folder = getfixture("tmp_path") / "bs64"
        >>> folder.mkdir()
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        >>> save_model(network, folder / "epoch-3.safetensors")
        >>> (run,) = record_checkpoints("digits", model=network, checkpoints=folder / "*",
        ...                             out=folder.parent / "recorded")
        >>> run.notes.attributes, [record.epoch for record in run.records()]
        ({'batch_size': 64}, [3])
    """
    spec = canonical_spec(specification_of(model))
    given = {"data": name_of_data(data), "model": spec, "checkpoints": checkpoints}
    config = parse(RespondConfig, **given, **settings)
    check_pattern(config.epoch_from)
    watcher = progress or Silent()
    loaded, parts = divided(config, data)
    network = _network(config, parts, prepared=checked_prepare(prepare) is not None)
    runs = _checked_runs(config, network)
    for note in dict.fromkeys(n for _, each in runs for _, _, notes in each for n in notes):
        say(watcher, note)
    recorders = [
        (_recorder(config, loaded, Path(out), name, each, prepare, watcher), each)
        for name, each in runs
    ]
    for recorder, each in recorders:
        _record(config, recorder, network, each, watcher)
        for finding in _findings(recorder, parts):
            say(watcher, f"run {recorder.name}: {finding.message}")
    return [RecordedRun.open(recorder.folder) for recorder, _ in recorders]


def ask_model(
    data: DataLike,
    *,
    model: str,
    out: str | Path,
    progress: Progress | None = None,
    **settings: Any,
) -> RecordedRun:
    """Record what a model says that is asked as it is, with its own head and classes.

    Args:
        data: A data set, or what :func:`~goodteacher.data.load_dataset` understands.
        model: ``hf:FOLDER``, or the path of an ONNX file.
        out: The folder below which the run has its own, named after the model.
        progress: Told how far the work is.
        **settings: Any other field of :class:`~goodteacher.config.RespondConfig`.

    Raises:
        InputError: The model cannot be asked, or its classes are not those of the data.
    """
    config = parse(RespondConfig, data=name_of_data(data), model=model, **settings)
    if not model.startswith(HUGGING_FACE) and not model.endswith(_ONNX):
        raise ConfigError(
            f"checkpoints is missing, and the network {model!r} has no trained weights without "
            "them. Give the files with --checkpoints, or give a model that can predict already: "
            "hf:FOLDER or an ONNX file."
        )
    loaded = load_for(config, data)
    if not bool((loaded.train.labels != UNLABELLED).any()):
        raise ConfigError(
            "No training example has a label, so the model's predictions would be used as "
            "labels, but a search of the same data would not have them. Use Python instead: "
            "goodteacher.respond(...) returns the data with these labels."
        )
    said = respond(
        model,
        loaded,
        out=Path(out).expanduser() / _name_of(model),
        classes=config.classes,
        probabilities=config.probabilities or None,
        record_test=config.record_test,
        selection_fraction=config.selection_fraction,
        transfer_fraction=config.transfer_fraction,
        split_seed=config.split_seed,
        progress=progress,
    )
    return RecordedRun.open(said.folder)


def _name_of(model: str) -> str:
    path = split_spec(model)[0].removeprefix(HUGGING_FACE) if ":" in model else model
    return Path(path).name.removesuffix(_ONNX)


_Run = Sequence[tuple[int, ForeignCheckpoint, tuple[str, ...]]]
"""Checkpoints of a run: the epoch of each, and what is to be told of it."""


@dataclass(frozen=True)
class _Network:
    """A network that checkpoints are of.

    Attributes:
        model: Takes examples as stored, or as ``prepare`` makes them.
        weights: The part of it that the weights are of.
        class_names: The classes of the data.
    """

    model: nn.Module
    weights: nn.Module
    class_names: tuple[str, ...]


class _Reordered(nn.Module):
    """A network whose logits are put into another order.

    Args:
        network: The network.
        columns: For each class of the data the column of its logits.
    """

    def __init__(self, network: nn.Module, columns: Sequence[int]) -> None:
        super().__init__()
        self.network, self.columns = network, list(columns)

    def forward(self, *given: Any, **named: Any) -> torch.Tensor:
        """Return logits in the order of the data's classes."""
        logits: torch.Tensor = logits_of(self.network(*given, **named))[:, self.columns]
        return logits


def _network(config: RespondConfig, parts: StudyData, *, prepared: bool) -> _Network:
    every = Preparations(
        parts, normalization=config.normalization, tfidf_features=config.tfidf_features
    )
    network = every.network(config.model, seed=0)
    network = network.to(choose_machine(config).device)
    return _Network(network.module if prepared else network, network.module, parts.class_names)


def _checked_runs(config: RespondConfig, network: _Network) -> list[tuple[str, _Run]]:
    """Return every run with its checkpoints by epoch; all of them fit the network."""
    by_run: dict[Path, list[ForeignCheckpoint]] = defaultdict(list)
    for checkpoint in find_checkpoints(config.checkpoints):
        by_run[checkpoint.run].append(checkpoint)
    counts = Counter(run.name for run in by_run)
    found = []
    for run, checkpoints in by_run.items():
        noted, notes = [], []
        for checkpoint in checkpoints:
            contents = read_checkpoint(checkpoint.path)
            notes.append((*_notes(config, network, contents, checkpoint.path),))
            noted.append(Contents({}, contents.epoch, contents.from_zero))  # not all in memory
        epochs = epochs_of(checkpoints, noted, config.epoch_from)
        name = run.name if counts[run.name] == 1 else f"{run.parent.name}-{run.name}"
        ordered = sorted(zip(epochs, checkpoints, notes, strict=True), key=lambda each: each[0])
        found.append((name, ordered))
    _check_names([name for name, _ in found])
    return sorted(found, key=lambda each: each[0])


def _notes(
    config: RespondConfig, network: _Network, contents: Contents, path: Path
) -> Iterator[str]:
    """Check that weights and classes fit; yield which were taken where that is in doubt."""
    found = weights_for(network.weights, contents, path, section=config.section)
    if found.others:
        yield (
            f"checkpoints hold weights of this network in several places; those of {found.place} "
            f"are taken. To use others, give --section with {' or '.join(found.others)}."
        )
    names = config.classes or classes_of(path)
    columns = _columns(config, network, path)
    if not config.classes and default_numbers(names) and columns == [*range(len(names))]:
        yield (
            "The config.json of checkpoints calls classes LABEL_0 and so on, which are not real "
            "names. They are taken in the order of the data's classes "
            f"({shorten(network.class_names)}). For another order, give the names with --classes."
        )


def _columns(config: RespondConfig, network: _Network, path: Path) -> list[int]:
    """Return for each class of the data the column of a checkpoint's logits."""
    names = config.classes or classes_of(path) or network.class_names
    return class_columns(names, network.class_names, str(path))


def _check_names(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            f"Checkpoints of several folders would make one run, {twice[0]!r}. Record them one "
            "after the other, each with a different --out."
        )


def _recorder(
    config: RespondConfig,
    data: Dataset,
    out: Path,
    name: str,
    run: _Run,
    prepare: Prepare | None,
    watcher: Progress,
) -> Recorder:
    last = run[-1][1]
    attributes: dict[str, Any] = {**attributes_of(last.run, last.path)}
    return Recorder(
        out.expanduser() / name,
        data,
        run=name,
        selection_fraction=config.selection_fraction,
        transfer_fraction=config.transfer_fraction,
        split_seed=config.split_seed,
        prepare=prepare,
        probabilities=config.probabilities,
        record_test=config.record_test,
        progress=watcher,
        **attributes,
    )


def _record(
    config: RespondConfig, recorder: Recorder, network: _Network, run: _Run, watcher: Progress
) -> None:
    known = {record.epoch for record in recorder.records}
    for epoch, checkpoint, _ in run:
        if epoch in known:
            say(watcher, f"{recorder.name}, epoch {epoch}: already recorded, not changed.")
            continue
        contents = read_checkpoint(checkpoint.path)
        found = weights_for(network.weights, contents, checkpoint.path, section=config.section)
        network.weights.load_state_dict(found.weights)
        columns = _columns(config, network, checkpoint.path)
        alike = columns == [*range(len(columns))]
        recorder.record(network.model if alike else _Reordered(network.model, columns), epoch)


def _findings(recorder: Recorder, parts: StudyData) -> Iterator[Finding]:
    """Yield what may be wrong with a run, by its last response."""
    healthy = [record for record in recorder.records if record.status == "ok"]
    if not healthy:
        return
    run = RecordedRun.open(recorder.folder)
    splits: Mapping[str, Any] = {"transfer": parts.transfer, "selection": parts.selection}
    said = {name: run.response(healthy[-1].epoch, name, split) for name, split in splits.items()}
    agreement = examine_agreement(said["selection"], parts.selection.labels, parts.class_names)
    yield from agreement
    ids = torch.cat([split.ids for split in splits.values()])
    response = Response(concatenated(list(said.values())), ids)
    alike = look_alike(response, parts.transfer, parts.selection)
    if alike and not agreement:
        yield alike
