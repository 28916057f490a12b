"""Whether two folders of results hold the same numbers, times and places aside."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file

OF_THE_MACHINE = re.compile(
    r"seconds|milliseconds|latenc|bytes|minutes|environment|machine|created|threads|version|"
    r"^time$|^out$|^path$|^folder$|^speed|^savings$|^summary$|^variants$|runs_per|measured_on"
)
"""Fields whose values differ from run to run: how long something took, where, and on what."""

ANSWERS = (
    "sweet_spot.json",
    "verdict.json",
    "evidence.json",
    "distillation.json",
    "export.json",
    "examples.json",
    "students.parquet",
    "student/model.safetensors",
    "baseline/model.safetensors",
    "teachers/*/trajectory.jsonl",
    "teachers/*/responses/*.safetensors",
    "recorded/*/run.json",
    "recorded/*/trajectory.jsonl",
    "recorded/*/responses/*.safetensors",
    "*/trajectory.jsonl",
    "*/responses/*.safetensors",
    "model.safetensors",
)
"""Files that hold what was found, as patterns."""


def numbers_of(folder: Path) -> dict[str, str]:
    """Return a hash of what each file of a folder found, by its name.

    Example:
        >>> numbers_of(Path("no such folder"))
        {}
    """
    files = sorted({path for pattern in ANSWERS for path in folder.glob(pattern)})
    return {path.relative_to(folder).as_posix(): _hash_of(path) for path in files}


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Return the names of files that differ, or that only one of two folders has.

    Example:
        >>> differences({"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"})
        ['b', 'c']
    """
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _hash_of(path: Path) -> str:
    digest = hashlib.sha256()
    for part in _parts(path):
        digest.update(part)
    return digest.hexdigest()


def _parts(path: Path) -> Iterator[bytes]:
    if path.suffix == ".safetensors":
        for name, tensor in sorted(load_file(path).items()):
            yield f"{name} {tensor.dtype} {list(tensor.shape)}".encode()
            yield tensor.contiguous().view(torch.uint8).numpy().tobytes()
    elif path.suffix == ".parquet":
        rows = pq.read_table(path).to_pylist()
        yield from sorted(_plain(row) for row in rows)
    elif path.suffix == ".jsonl":
        yield from (_plain(json.loads(line)) for line in path.read_text().splitlines())
    else:
        yield _plain(json.loads(path.read_text()))


def _plain(value: Any) -> bytes:
    return json.dumps(_scrubbed(value), sort_keys=True).encode()


def _scrubbed(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if not OF_THE_MACHINE.search(k)}
        return {key: _scrubbed(item) for key, item in kept.items()}
    return [_scrubbed(item) for item in value] if isinstance(value, list) else value
