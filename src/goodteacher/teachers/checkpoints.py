"""Checkpoints that other trainers have left: which epoch each is of, and the weights in it.

Read are ``.safetensors``, what ``torch.save`` writes (weights only: nothing is ever unpickled),
PyTorch Lightning's ``.ckpt``, and folders as Hugging Face's Trainer leaves them. A file may hold
weights under a name (``state_dict``, ``model``, ``ema``), and their names may begin with what a
wrapper put in front (``module.``, ``_orig_mod.``, ``model.``): the weights that the network has are
found in it by their names' ends.
"""

from __future__ import annotations

import glob
import json
import math
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from goodteacher.config import Attribute
from goodteacher.data import check_fits, inside, shorten
from goodteacher.errors import ConfigError, StudyError
from goodteacher.studies import read_tensors, weights_difference

_IN_FOLDERS = ("model.safetensors", "pytorch_model.bin", "model.pt", "model.pth")
_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_NAMED_AVERAGE = re.compile(r"(^|[._])(ema|swa|average|averaged|shadow)([._]|$)|(_|^)ema", re.I)
_ALIASES = {
    "lr": "learning_rate",
    "learning_rate": "learning_rate",
    "bs": "batch_size",
    "batch": "batch_size",
    "batch_size": "batch_size",
    "seed": "seed",
    "wd": "weight_decay",
    "weight_decay": "weight_decay",
}
_NOTED = re.compile(
    rf"(?<![a-z])({'|'.join(sorted(_ALIASES, key=len, reverse=True))})[=_-]?"
    r"(\d+(?:\.\d+)?(?:e-?\d+)?)(?![a-z\d])",
    re.I,
)


@dataclass(frozen=True)
class ForeignCheckpoint:
    """A checkpoint of somebody else's trainer.

    Attributes:
        path: The file or folder.
        run: The folder that it belongs to, which names its run.
    """

    path: Path
    run: Path


@dataclass(frozen=True)
class Contents:
    """What a checkpoint holds.

    Attributes:
        sections: Weights by name, by the section that they stand in; at the top level ``""``.
        epoch: The epoch that it notes, as it counts.
        from_zero: Whether its trainer counts epochs from 0.
    """

    sections: Mapping[str, Mapping[str, Tensor]]
    epoch: int | None = None
    from_zero: bool = False


@dataclass(frozen=True)
class Found:
    """Weights for a network.

    Attributes:
        weights: By the network's own names.
        place: Where they were found: a section and what their names began with.
        others: Other places that hold weights of all of these names.
    """

    weights: Mapping[str, Tensor]
    place: str
    others: tuple[str, ...] = field(default=())


def find_checkpoints(patterns: Sequence[str]) -> list[ForeignCheckpoint]:
    """Return the checkpoints that patterns name, each once, in the order of their names.

    Args:
        patterns: Files, folders, or patterns of them.

    Raises:
        StudyError: A pattern matches nothing that holds weights.
    """
    found: dict[Path, ForeignCheckpoint] = {}
    for pattern in patterns:
        path = Path(pattern).expanduser()
        matches = [path] if path.exists() else map(Path, glob.glob(str(path)))  # noqa: PTH207
        usable = [match for match in sorted(matches) if _files_of(match)]
        if not usable:
            raise StudyError(
                f"No checkpoint matches {pattern!r}. Checkpoints are .safetensors, .pt, .pth, "
                f".bin and .ckpt files, and folders with {', '.join(_IN_FOLDERS[:2])}."
            )
        for match in usable:
            parent = match.resolve().parent
            run = parent.parent if parent.name in ("checkpoints", "weights") else parent
            found.setdefault(match.resolve(), ForeignCheckpoint(match, run))
    return list(found.values())


def _files_of(path: Path) -> list[Path]:
    """Return the files of a checkpoint; none where it is no checkpoint."""
    if path.is_file():
        known = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
        return [path] if path.suffix in known else []
    for name in _INDEXES:
        if (path / name).is_file():
            try:
                shards = {*json.loads((path / name).read_text())["weight_map"].values()}
            except (ValueError, KeyError, AttributeError, TypeError) as error:
                raise StudyError(f"{path / name} is damaged ({error}). Copy it again.") from None
            return [inside(path, shard, error=StudyError) for shard in sorted(map(str, shards))]
    return [path / name for name in _IN_FOLDERS if (path / name).is_file()][:1]


def read_checkpoint(path: Path) -> Contents:
    """Read the weights in a checkpoint.

    Raises:
        StudyError: A file is missing, cut short, or holds more than weights and plain values.
    """
    contents = [_read(file) for file in _files_of(path)]
    if len(contents) == 1:
        return contents[0]
    joined = {name: value for each in contents for name, value in each.sections[""].items()}
    return Contents({"": joined})


def _read(path: Path) -> Contents:
    if path.suffix == ".safetensors":
        return Contents({"": read_tensors(path)})
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                unpacked = sum(member.file_size for member in archive.infolist())
            check_fits(unpacked, str(path), error=StudyError)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except StudyError:
        raise
    except pickle.UnpicklingError as error:
        raise StudyError(f"{path} cannot be read: {_why_not(path, error)}") from None
    except Exception as error:  # the unpickler takes any byte at its word, and fails in any way
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(". ")
        raise StudyError(
            f"{path} is not a complete file of torch.save ({reason}). Copy it again."
        ) from None
    if not isinstance(loaded, Mapping):
        raise StudyError(
            f"{path} holds a {type(loaded).__name__}, not a dictionary of weights. Save that: "
            "torch.save(model.state_dict(), path)."
        )
    return _contents_of(loaded)


def _why_not(path: Path, error: Exception) -> str:
    if path.stat().st_size == 0:
        return "it is empty. Copy it again."
    named = re.search(r"GLOBAL ([\w.]+)", str(error))
    what = f"Python objects ({named.group(1)})" if named else "Python objects, or is incomplete"
    return (
        f"apart from weights it contains {what}. Loading them could run any code, so they are "
        "never loaded. Save only the weights: torch.save(model.state_dict(), path), or "
        "safetensors."
    )


def _contents_of(loaded: Mapping[Any, Any]) -> Contents:
    epoch = loaded.get("epoch")
    return Contents(
        dict(_sections(loaded, "")),
        epoch if isinstance(epoch, int) and not isinstance(epoch, bool) else None,
        from_zero="pytorch-lightning_version" in loaded,
    )


def _sections(value: Mapping[Any, Any], name: str) -> Iterator[tuple[str, dict[str, Tensor]]]:
    tensors = {str(key): each for key, each in value.items() if isinstance(each, Tensor)}
    if tensors:
        yield name, tensors
    for key, each in value.items():
        if isinstance(each, Mapping) and "optim" not in str(key):
            yield from _sections(each, f"{name}.{key}".lstrip("."))


# --- weights -------------------------------------------------------------------------------------


def weights_for(
    network: nn.Module, contents: Contents, path: Path, *, section: str | None = None
) -> Found:
    """Return the weights of a network that a checkpoint holds, by the network's names.

    Args:
        network: Says which names and shapes are wanted.
        contents: What the checkpoint holds.
        path: The checkpoint, for messages.
        section: Take those of this place; by default the ones that are no moving average.

    Raises:
        StudyError: No place holds all of them; the message names the weights that differ.
        ConfigError: There is no such section.
    """
    wanted = network.state_dict()
    places = {place: found for place, found in _places(contents, wanted) if found}
    if section is not None:
        named = {p: found for p, found in places.items() if section in re.split(r"[. ]", p)}
        if not named:
            raise ConfigError(
                f"section = {section!r} is not in {path}. Weights of this network are stored "
                f"under {shorten(map(_shown, places)) or 'none of its keys'}."
            )
        places = named
    whole = {place: found for place, found in places.items() if found.keys() >= wanted.keys()}
    ordered = sorted(whole or places, key=lambda p: (bool(_NAMED_AVERAGE.search(p)), len(p)))
    best = ordered[0] if whole else max(places, key=lambda p: len(places[p]), default=None)
    taken = places[best] if best is not None else next(iter(contents.sections.values()), {})
    own = {name: value for name, value in taken.items() if name in wanted} if whole else taken
    difference = weights_difference(network, own)
    if difference:
        raise StudyError(
            f"{path} holds the weights of another network: {difference}. Give the architecture "
            "that was trained with --model."
        )
    others = tuple(_shown(place) for place in ordered[1:]) if whole else ()
    return Found(own, _shown(best or ""), others)


def _places(
    contents: Contents, wanted: Mapping[str, Tensor]
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield each section, and each beginning of names in it, with what its names end in."""
    for section, tensors in contents.sections.items():
        # torch.compile puts its name before that of each part that it compiles.
        plain = {name.replace("_orig_mod.", ""): value for name, value in tensors.items()}
        beginnings = {
            name[: len(name) - len(end)]
            for name in plain
            for end in wanted
            if name == end or name.endswith(f".{end}")
        }
        for begin in beginnings:
            found = {n.removeprefix(begin): v for n, v in plain.items() if n.startswith(begin)}
            yield f"{section} {begin}".strip().rstrip("."), found


def _shown(place: str) -> str:
    return repr(place) if place else "no name"


def classes_of(path: Path) -> tuple[str, ...]:
    """Return what the ``config.json`` beside a checkpoint's weights calls its classes.

    Args:
        path: A checkpoint, as transformers writes them or not.

    Returns:
        The names in the order of the logits; nothing where there are none.

    Raises:
        StudyError: The file is damaged.
    """
    file = (path if path.is_dir() else path.parent) / "config.json"
    named = _state_of(file).get("id2label") if file.is_file() else None
    try:
        by_number = {int(number): str(label) for number, label in (named or {}).items()}
    except (AttributeError, ValueError) as error:
        raise StudyError(f"{file} has a damaged id2label ({error}). Copy it again.") from None
    return tuple(by_number[number] for number in sorted(by_number))


# --- epochs and attributes -----------------------------------------------------------------------


def epochs_of(
    checkpoints: Sequence[ForeignCheckpoint], contents: Sequence[Contents], pattern: str | None
) -> list[int]:
    """Return how many epochs lie behind each checkpoint of one run.

    Taken are, in this order: what ``pattern`` finds in the path; the ``epoch`` of a folder's
    ``trainer_state.json``; a number behind the word epoch in the name; the epoch that the file
    notes; the only number in the name. Where the first is epoch 0, all are counted from 1.

    Args:
        checkpoints: Of one run.
        contents: What they hold.
        pattern: A regular expression whose group is the epoch.

    Raises:
        ConfigError: An epoch is not to be found, or two have the same.
    """
    pairs = list(zip(checkpoints, contents, strict=True))
    found = [_epoch_of(checkpoint, held, pattern) for checkpoint, held in pairs]
    missing = [c.path for c, epoch in zip(checkpoints, found, strict=True) if epoch is None]
    if missing:
        raise ConfigError(
            f"The epoch of {missing[0]} is unknown. Give a pattern that finds it in the path: "
            "--epoch-from 'checkpoint-(\\d+)'."
        )
    epochs = [epoch for epoch in found if epoch is not None]
    if min(epochs) == 0 or (pattern is None and all(held.from_zero for held in contents)):
        epochs = [epoch + 1 for epoch in epochs]
    twice = sorted({epoch for epoch in epochs if epochs.count(epoch) > 1})
    if twice:
        same = [c.path.name for c, e in zip(checkpoints, epochs, strict=True) if e == twice[0]]
        raise ConfigError(
            f"{shorten(same)} are both from epoch {twice[0]}. Give only one of them, or a pattern "
            "that finds the epoch in the path: --epoch-from 'checkpoint-(\\d+)'."
        )
    return epochs


def _epoch_of(checkpoint: ForeignCheckpoint, contents: Contents, pattern: str | None) -> int | None:
    path = checkpoint.path
    if pattern is not None:
        return _last_match(pattern, str(path))
    state = path / "trainer_state.json"
    if state.is_file():
        noted = _state_of(state).get("epoch")
        return round(noted) if isinstance(noted, int | float) and math.isfinite(noted) else None
    named = re.search(r"epoch[=_-]?(\d+)", path.name, re.I)
    if named:
        return int(named.group(1))
    numbers = re.findall(r"\d+", path.stem)
    alone = int(numbers[0]) if len(numbers) == 1 else None
    return contents.epoch if contents.epoch is not None else alone


def _last_match(pattern: str, path: str) -> int | None:
    """Return the number that a pattern finds last in a path: its end says more than its folders."""
    found = [match.group(1) or "" for match in re.finditer(pattern, path)]
    if found and not found[-1].isdigit():
        raise ConfigError(
            f"epoch_from = {pattern!r} finds {found[-1]!r} in {path}, which is not a whole number."
        )
    return int(found[-1]) if found else None


def check_pattern(pattern: str | None) -> None:
    """Refuse what is no regular expression with one group.

    Raises:
        ConfigError: It is none.
    """
    if pattern is None:
        return
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ConfigError(
            f"epoch_from = {pattern!r} is not a regular expression: {error}."
        ) from None
    if groups != 1:
        raise ConfigError(
            f"epoch_from = {pattern!r} must have one group, the epoch, but has {groups}, as in "
            r"'checkpoint-(\d+)'."
        )


def attributes_of(run: Path, checkpoint: Path) -> dict[str, Attribute]:
    """Return what a run's name and its trainer's state say: learning rate, batch size, seed.

    Example:
        >>> attributes_of(Path("runs/lr-0.1_bs128-seed2"), Path("none"))
        {'learning_rate': 0.1, 'batch_size': 128, 'seed': 2}
    """
    found: dict[str, Attribute] = {
        _ALIASES[name.lower()]: _number(value) for name, value in _NOTED.findall(run.name)
    }
    state = checkpoint / "trainer_state.json"
    size = _state_of(state).get("train_batch_size") if state.is_file() else None
    return {"batch_size": size, **found} if isinstance(size, int) else found


def _number(text: str) -> int | float:
    return int(text) if text.isdigit() else float(text)


def _state_of(path: Path) -> dict[str, Any]:
    try:
        state = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise StudyError(f"{path} cannot be read ({error}). Copy the checkpoint again.") from None
    return state if isinstance(state, dict) else {}
