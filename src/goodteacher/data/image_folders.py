"""Read folders of images: ``train/<class>/*``, ``test/<class>/*`` and, if there, ``val/<class>/*``.

Images of the training split that lie in no class folder, or in one called ``unlabelled``, and those
in a folder ``unlabelled`` beside ``train``, have no label. The `datasets` library gives no example
a label where one lies in no class folder, and orders the classes 0..10 as text: 0, 1, 10, 2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from goodteacher.data.dataset import Dataset, Split
from goodteacher.data.encoded import Files
from goodteacher.data.images import decode_images
from goodteacher.data.labels import folded, in_order
from goodteacher.data.listing import shorten
from goodteacher.data.named_folder import Inside
from goodteacher.data.named_splits import TRAIN_SPLIT, choose_splits
from goodteacher.data.odd_columns import image_suffixes
from goodteacher.data.reading import Reading
from goodteacher.data.tables import note_unlabelled
from goodteacher.errors import DataError
from goodteacher.maths._checks import UNLABELLED

UNLABELLED_FOLDERS = ("unlabelled", "unlabeled")
"""Names of folders of images whose class is not known."""

_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini"})


def is_image_folder(path: Path) -> bool:
    """Say whether ``path`` is a folder with a subfolder ``train``."""
    return (path / TRAIN_SPLIT).is_dir()


def load_image_folder(folder: Path, reading: Reading) -> Dataset:
    """Read images in class folders.

    Classes are numbered in the order of their folders' names: as numbers where all of them are, as
    text otherwise, as torchvision numbers them. An id is a file's place in the listing of its
    split, sorted as text; those of validation go on from those of train.

    Raises:
        DataError: A class is in another split and not in train, or see `decode_images` and
            `Dataset`.
    """
    reading.check_unused("a folder of images", "target", "text_column")
    name = folder.resolve().name
    subfolders = sorted(path.name for path in _folders(folder) if not _is_unlabelled(path.name))
    roles = choose_splits(subfolders, name, reading)
    named = {"train": roles.train, "validation": roles.validation, "test": roles.test}
    paths = {role: folder / split for role, split in named.items() if split is not None}
    extra = [path for path in _folders(folder) if _is_unlabelled(path.name)]
    listings = {
        role: _Listing(path, extra if role == "train" else (), Inside(folder))
        for role, path in paths.items()
    }
    class_names = _class_names(listings, name, reading)
    splits: dict[str, Split] = {}
    for role, listing in listings.items():
        listing.note_left_out(reading)
        first = len(listings["train"].files) if role == "validation" else 0
        splits[role] = listing.read(class_names, first, reading)
    if not listings["train"].class_names:
        note_unlabelled(name, reading)
    return Dataset(
        name,
        splits["train"],
        splits["test"],
        class_names,
        splits.get("validation"),
        notes=tuple(reading.notes),
    )


class _Listing:
    """The images of one split and the classes they are in."""

    def __init__(self, folder: Path, unlabelled: Sequence[Path], whole: Inside) -> None:
        self.folder, self._whole = folder, whole
        self.is_train = folder.name == TRAIN_SPLIT
        self.left_out: Counter[str] = Counter()
        self.files: list[Path] = []
        self.classes: list[str | None] = []
        self.class_names = in_order(
            path.name for path in _folders(folder) if not self._lacks_label(path.name)
        )
        for class_name in sorted(self.class_names):  # rows as torchvision lists them
            self._add(folder / class_name, class_name)
        for path in _folders(folder):
            if self._lacks_label(path.name):
                self._add(path, None)
        for path in unlabelled:
            self._add(path, None)
        self._add_loose()

    def read(self, class_names: Sequence[str], first_id: int, reading: Reading) -> Split:
        """Decode the images.

        Args:
            class_names: of the data set.
            first_id: the id of the first image.
            reading: how images are treated.

        Raises:
            DataError: There is none, or see `decode_images`.
        """
        if not self.files:
            seen = f" It contains {_counted(self.left_out)}." if self.left_out else ""
            raise DataError(
                f"{self.folder} has no images in class folders.{seen} Are the images one level "
                "deeper, or of another file type? Put them into one folder for each class, as "
                "files that Pillow can decode, for example .png or .jpg."
            )
        number = {name: c for c, name in enumerate(class_names)}
        labels = np.array([UNLABELLED if c is None else number[c] for c in self.classes])
        files = Files(self.files)
        images, kept = decode_images(
            files, describe=lambda row: str(files[row]), options=reading.images
        )
        return Split.from_arrays(images, labels[kept], kept + first_id)

    def note_left_out(self, reading: Reading) -> None:
        """Tell which files are no examples, by their endings, and how many have no label."""
        unlabelled = self.classes.count(None)
        if unlabelled and self.class_names:
            reading.note(
                "unlabelled_images",
                f"{unlabelled} images in {self.folder}, or in a folder called 'unlabelled', are "
                "in no class folder, so they have no label.",
            )
        if self.left_out:
            reading.note(
                "files_left_out",
                f"Not every file below {self.folder} is an example. These are left out: "
                f"{_counted(self.left_out)}. If some of them are images, convert them to .png.",
            )

    def _lacks_label(self, name: str) -> bool:
        return self.is_train and _is_unlabelled(name)

    def _add(self, folder: Path, class_name: str | None) -> None:
        found = self._images(sorted(folder.rglob("*")), folder)
        self.files += found
        self.classes += [class_name] * len(found)

    def _images(self, paths: Sequence[Path], root: Path) -> list[Path]:
        """Return the images among paths, and count the other files."""
        found = []
        for path in paths:
            if not path.is_file():
                continue
            if _is_hidden(path.relative_to(root)):
                self.left_out["hidden or system files"] += 1
            elif path.suffix.lower() in image_suffixes():
                found.append(self._whole.path(path.relative_to(self._whole.folder)))
            else:
                self.left_out[path.suffix.lower() or "without a file extension"] += 1
        return found

    def _add_loose(self) -> None:
        """Take images beside the class folders: unlabelled ones in train, none elsewhere."""
        found = self._images(sorted(self.folder.iterdir()), self.folder)
        if self.is_train:
            self.files += found
            self.classes += [None] * len(found)
        elif found and not self.files:
            raise DataError(
                f"{self.folder} holds {len(found)} images and no class folders, so their labels "
                "are not known; only training examples may be without labels. Put the images "
                "into one folder for each class, or choose another split with --test-split."
            )
        elif found:
            self.left_out["images outside class folders"] += len(found)


def _class_names(listings: dict[str, _Listing], name: str, reading: Reading) -> tuple[str, ...]:
    """Return the classes: those of train, or of the other splits where train has none."""
    train, *others = listings.values()
    if not train.class_names:
        return in_order(c for listing in others for c in listing.class_names)
    known = {*train.class_names}
    for listing in others:
        unknown = [c for c in listing.class_names if c not in known]
        if unknown:
            twins = {folded(c): c for c in train.class_names}
            alike = [f"{c!r} and {twins[folded(c)]!r}" for c in unknown if folded(c) in twins]
            hint = f" These names differ only in case or spaces: {shorten(alike)}." if alike else ""
            raise DataError(
                f"Every class must be in train, but the classes {shorten(map(repr, unknown))} of "
                f"{listing.folder.name!r} of {name!r} {'is' if len(unknown) == 1 else 'are'} not "
                f"(train has {shorten(map(repr, train.class_names))}).{hint} Rename, add or "
                "remove the class folders."
            )
    return train.class_names


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not _is_hidden(path))


def _is_hidden(path: Path) -> bool:
    names = path.parts if not path.is_absolute() else (path.name,)
    return any(n.startswith((".", "__")) or n.lower() in _SYSTEM_FILES for n in names)


def _is_unlabelled(name: str) -> bool:
    return name.casefold() in UNLABELLED_FOLDERS


def _counted(counts: Counter[str]) -> str:
    return shorten(f"{count} {what}" for what, count in counts.most_common())
