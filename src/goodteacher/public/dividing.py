"""``split``: data divided for a trainer of one's own, and the folder that says how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from goodteacher.config import DataConfig, parse
from goodteacher.data import Dataset, Split, StudyData, load_for
from goodteacher.data import prepare as divide
from goodteacher.errors import StudyError
from goodteacher.studies import DataLike, Place, Store, Url, name_of_data, place_of
from goodteacher.teachers import (
    ASKED,
    SplitIds,
    places_of,
    stored,
    why_other_data,
    why_other_split,
)


@dataclass(frozen=True, eq=False)
class Part:
    """A part of the data, for a trainer of one's own.

    Attributes:
        split: Its examples.
        rows: Where they are in the split of the data set that they come from, int64 [N].
    """

    split: Split
    rows: Tensor

    @property
    def ids(self) -> Tensor:
        """The examples' ids, int64 [N]."""
        return self.split.ids

    @property
    def labels(self) -> Tensor:
        """The examples' classes, int64 [N]; -1 where unknown."""
        return self.split.labels

    def examples(self, positions: Tensor | None = None) -> Any:
        """Return examples as they are stored: uint8 images, float32 features, or texts.

        Args:
            positions: Which, in 0..N-1; by default all.
        """
        return stored(self.split, torch.arange(len(self)) if positions is None else positions)

    def __len__(self) -> int:
        return len(self.split)


def split(data: DataLike, *, out: str | Path, **settings: object) -> SplitIds:
    """Write the ids of every part of the data: which examples to train one's own teacher on.

    Args:
        data: A data set, or what :func:`~goodteacher.data.load_dataset` understands.
        out: The folder, in which ``splits.json`` is written. It may become a recorded run's.
        **settings: Any field of :class:`~goodteacher.config.DataConfig`.

    Returns:
        The ids, which are also in the file. A `Recorder` and a search with the same settings divide
        the data alike.

    Raises:
        InputError: The data cannot be read, or the folder holds another division.

    Example:
        >>> ids = split("digits", out=getfixture("tmp_path") / "ids")
        >>> len(ids.training), len(ids.transfer), len(ids.selection), len(ids.test)
        (1293, 1293, 144, 360)
    """
    config = parse(DataConfig, data=name_of_data(data), **settings)
    _, parts = divided(config, data)
    ids, path = SplitIds.of(config, parts), as_folder(out)
    store = usable(path)
    check_split(store, ids)
    make_folder(path)
    ids.write(store)
    return ids


def divided(config: DataConfig, data: DataLike) -> tuple[Dataset, StudyData]:
    """Return data as they are loaded under some settings, and their parts."""
    loaded = load_for(config, data)
    parts = divide(
        loaded,
        selection_fraction=config.selection_fraction,
        transfer_fraction=config.transfer_fraction,
        seed=config.split_seed,
    )
    return loaded, parts


def as_folder(given: str | Path) -> Place:
    """Return where a folder is that a person names: ``~`` is the home of who asks."""
    place = place_of(given)
    return place.expanduser() if isinstance(place, Path) else place


def usable(path: Place) -> Store:
    """Return the store of a folder that is, or may become, a recorded run's.

    Raises:
        StudyError: It is a file, or holds other things.
    """
    if isinstance(path, Path) and path.exists() and not path.is_dir():
        raise StudyError(f"{path} is a file, but a recorded run is a folder. Choose a folder.")
    store = Store(path)
    ours = store.exists("splits.json") or store.exists("run.json")
    others = not ours and any(name != ASKED for name in store.files.top())
    if others:
        raise StudyError(
            f"{path} is not empty and is not a recorded run (it has no run.json and no "
            "splits.json). Choose a new folder."
        )
    return store


def check_split(store: Store, ids: SplitIds) -> None:
    """Refuse a folder that was begun on other data, or on another division of them.

    Raises:
        StudyError: It was; the message says what differs.
    """
    if not store.exists("splits.json"):
        return
    known = store.read_json("splits.json", SplitIds)
    why = why_other_data(known, ids) or why_other_split(known, ids)
    if why:
        raise StudyError(
            f"{store.root} was started with other settings: {why}. Give the same data and split "
            "to continue, or choose another folder."
        )


def make_folder(path: Place) -> None:
    """Make a folder; at a URL there are none.

    Raises:
        StudyError: It cannot be made.
    """
    if isinstance(path, Url):
        return
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudyError(
            f"{path} cannot be created: {error.strerror}. Choose a folder that you may write to."
        ) from None


def part_of(split: Split, whole: Split) -> Part:
    """Return a split with its places in the one it is a part of."""
    return Part(split, torch.tensor(places_of(split, whole)))
