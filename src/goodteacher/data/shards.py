"""Which files of a folder are the table of which split, and whether all shards of it are there.

A split is a file (``train.csv``), shards beside one another (``train-00000-of-00002.parquet``, with
or without a hash) or a folder of shards (``train/0000.parquet``, as the hub converts data sets).
They may lie in the folder itself or in ``data/``. The `datasets` library does not notice that the
shard ``00001-of-00002`` is missing.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from goodteacher.data.listing import shorten
from goodteacher.data.reading import Reading
from goodteacher.errors import DataError

TABLE_SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl", ".csv.gz", ".tsv.gz", ".jsonl.gz")
"""Endings of the files that are tables, in order of preference."""

_PLACES = ("", "data")
_NUMBER = r"(?P<number>\d+)(?:[-_. ]?of[-_. ]?(?P<total>\d+))?"
_HASH = r"(?:[-_.][0-9a-fA-F-]{6,}(?:[-_.]c\d+)?)?(?:\.(?:snappy|gz|zstd))?"
_SHARD = re.compile(
    rf"(?P<split>.*?)[-_. ]?(?:(?:part|shard|chunk)[-_. ]?)?{_NUMBER}{_HASH}", re.IGNORECASE
)
_SHARD_ALONE = re.compile(rf"\D*?{_NUMBER}{_HASH}", re.IGNORECASE)
_PADDED = 4  # digits of numbers that programs write, which count from 0


@dataclass(frozen=True)
class _Shard:
    """Hold what the name of a shard says: its number, with how many digits, and of how many."""

    number: int
    digits: int
    total: int | None


def split_files(folder: Path, reading: Reading) -> dict[str, list[Path]]:
    """Find the tables of every split in a folder.

    Args:
        folder: where to look.
        reading: where notes go.

    Returns:
        The files of each split, in the order of its shards, by its name.
    """
    found: dict[str, list[list[Path]]] = defaultdict(list)
    for place in (folder / name for name in _PLACES):
        for split, files in (*_beside(place).items(), *_in_folders(place).items()):
            found[split].append(files)
    for split, groups in found.items():
        if len(groups) > 1:
            used, *others = (_listed(folder, group) for group in groups)
            reading.note(
                "split_twice",
                f"{folder} has more than one table of the {split} split: {used} is used, and "
                f"{'; '.join(others)} are not. Remove the files that are not meant.",
            )
    return {split: groups[0] for split, groups in found.items()}


def check_shards(files: Sequence[Path]) -> None:
    """Refuse a table of which shards are missing, whatever they are called.

    Raises:
        DataError: A number below the total, or between two others, has no file, or has two.
    """
    shards = [shard for path in files if (shard := _parsed(path)) is not None]
    totals = {shard.total for shard in shards if shard.total is not None}
    if not shards or (len(files) == 1 and not totals):
        return
    counts = Counter(shard.number for shard in shards)
    wanted = _wanted(shards, max(totals, default=None))
    missing = [number for number in wanted if number not in counts]
    doubled = [number for number, count in counts.items() if count > 1]
    if missing:
        problem = f"number {shorten(missing)} {'is' if len(missing) == 1 else 'are'} missing"
    elif doubled:
        problem = f"number {shorten(doubled)} appears more than once"
    elif len(totals) > 1 or len(shards) < len(files) or len(counts) > len(wanted):
        problem = "their names do not form one series"
    else:
        return
    expected = f"{max(totals)} shards" if totals else "every shard"
    raise DataError(
        f"{files[0].parent} should hold {expected}, as the name {files[0].name} says, but has "
        f"{len(files)}: {problem}. Is the download incomplete, or are two versions mixed? "
        "Download the data again into an empty folder."
    )


def _wanted(shards: Sequence[_Shard], total: int | None) -> range:
    """Return the numbers that there should be, counted from 0 or from 1."""
    numbers = {shard.number for shard in shards}
    if total is not None:
        first = 1 if 0 not in numbers and total in numbers else 0
        return range(first, first + total)
    padded = max(shard.digits for shard in shards) >= _PADDED and min(numbers) <= 1
    return range(0 if padded else min(numbers), max(numbers) + 1)


def table_suffix(path: Path) -> str | None:
    """Return the ending by which a file is a table, or None."""
    name = path.name.lower()
    if name.startswith((".", "_")):
        return None
    return next((end for end in reversed(TABLE_SUFFIXES) if name.endswith(end)), None)


def _beside(folder: Path) -> dict[str, list[Path]]:
    """Group the tables in a folder by the split that their names begin with."""
    groups: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for path in _tables(folder):
        suffix = table_suffix(path) or ""
        stem = path.name[: -len(suffix)]
        shard = _SHARD.fullmatch(stem)
        split = shard["split"] if shard and shard["split"] else stem
        groups[split, suffix].append(path)
    found: dict[str, list[Path]] = {}
    for (split, _), files in sorted(groups.items(), key=_preference):
        found.setdefault(split, _in_order(files))
    return found


def _in_folders(place: Path) -> dict[str, list[Path]]:
    if not place.is_dir():
        return {}
    folders = sorted(p for p in place.iterdir() if p.is_dir() and not p.name.startswith("."))
    found = {}
    for folder in folders:
        groups: dict[str, list[Path]] = defaultdict(list)
        for path in _tables(folder):
            groups[table_suffix(path) or ""].append(path)
        if groups and folder.name != "data":
            suffix = min(groups, key=TABLE_SUFFIXES.index)
            found[folder.name] = _in_order(groups[suffix])
    return found


def _preference(group: tuple[tuple[str, str], list[Path]]) -> tuple[str, int]:
    (split, suffix), _ = group
    return split, TABLE_SUFFIXES.index(suffix)


def _tables(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_file() and table_suffix(p) is not None)


def _in_order(files: Sequence[Path]) -> list[Path]:
    def place(path: Path) -> tuple[int, str]:
        shard = _parsed(path)
        return shard.number if shard else 0, path.name

    return sorted(files, key=place)


def _parsed(path: Path) -> _Shard | None:
    """Return what the name of a file says of its place among others."""
    stem = path.name[: -len(table_suffix(path) or "")]
    found = _SHARD_ALONE.fullmatch(stem)
    if found is None:
        return None
    digits, total = found["number"], found["total"]
    return _Shard(int(digits), len(digits), None if total is None else int(total))


def _listed(folder: Path, files: Sequence[Path]) -> str:
    return shorten(str(path.relative_to(folder)) for path in files)
