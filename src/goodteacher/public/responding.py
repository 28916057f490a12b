"""``record_checkpoints``: the responses of checkpoints that exist already, as recorded runs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from goodteacher.config import RespondConfig, parse
from goodteacher.data import Dataset, Finding, StudyData
from goodteacher.errors import ConfigError
from goodteacher.networks import NetworkLike, Preparations, canonical_spec, specification_of
from goodteacher.public.dividing import divided
from goodteacher.public.recording import Recorder
from goodteacher.responses import Response, examine_agreement, look_alike
from goodteacher.studies import DataLike, Progress, Silent, name_of_data, say
from goodteacher.teachers import (
    Contents,
    ForeignCheckpoint,
    Prepare,
    RecordedRun,
    attributes_of,
    check_pattern,
    epochs_of,
    find_checkpoints,
    read_checkpoint,
    weights_for,
)
from goodteacher.training.machine import choose_machine


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
    network = _network(config, parts, prepared=prepare is not None)
    runs = _checked_runs(config, network)
    for note in dict.fromkeys(note for _, each in runs for _, _, note in each if note):
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


_Run = Sequence[tuple[int, ForeignCheckpoint, str | None]]
"""Checkpoints of a run: the epoch of each, and what is to be told of it."""


@dataclass(frozen=True)
class _Network:
    """A network that checkpoints are of.

    Attributes:
        model: Takes examples as stored, or as ``prepare`` makes them.
        weights: The part of it that the weights are of.
    """

    model: nn.Module
    weights: nn.Module


def _network(config: RespondConfig, parts: StudyData, *, prepared: bool) -> _Network:
    every = Preparations(
        parts, normalization=config.normalization, tfidf_features=config.tfidf_features
    )
    network = every.network(config.model, seed=0)
    network = network.to(choose_machine(config).device)
    return _Network(network.module if prepared else network, network.module)


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
            notes.append(_note(config, network, contents, checkpoint.path))
            noted.append(Contents({}, contents.epoch, contents.from_zero))  # not all in memory
        epochs = epochs_of(checkpoints, noted, config.epoch_from)
        name = run.name if counts[run.name] == 1 else f"{run.parent.name}-{run.name}"
        ordered = sorted(zip(epochs, checkpoints, notes, strict=True), key=lambda each: each[0])
        found.append((name, ordered))
    _check_names([name for name, _ in found])
    return sorted(found, key=lambda each: each[0])


def _note(config: RespondConfig, network: _Network, contents: Contents, path: Path) -> str | None:
    """Check that weights fit, and say which were taken where there are several."""
    found = weights_for(network.weights, contents, path, section=config.section)
    if not found.others:
        return None
    return (
        f"checkpoints hold weights of this network in several places; those of {found.place} are "
        f"taken. Others: {', '.join(found.others)}, to be had with --section."
    )


def _check_names(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            f"Checkpoints of several folders would make one run, {twice[0]!r}. Record them one "
            "after the other, each with an --out of its own."
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
            say(watcher, f"{recorder.name}, epoch {epoch}: recorded before, left as it is.")
            continue
        contents = read_checkpoint(checkpoint.path)
        found = weights_for(network.weights, contents, checkpoint.path, section=config.section)
        network.weights.load_state_dict(found.weights)
        recorder.record(network.model, epoch)


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
    response = Response(torch.cat(list(said.values())), ids)
    alike = look_alike(response, parts.transfer, parts.selection)
    if alike and not agreement:
        yield alike
