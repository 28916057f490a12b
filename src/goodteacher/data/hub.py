"""Fetch a data set from the Hugging Face hub, by its name, through the `datasets` library.

The library is optional (``pip install goodteacher[hub]``) and imported only when a hub name is
given. It downloads to its own cache and hands over Arrow tables in the schema that
`goodteacher.data.tables` reads; images stay encoded until they are decoded there.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa

from goodteacher.data.columns import needed_columns
from goodteacher.data.dataset import Dataset
from goodteacher.data.named_folder import Inside
from goodteacher.data.named_splits import choose_splits
from goodteacher.data.reading import Reading
from goodteacher.data.table_files import by_role
from goodteacher.data.tables import dataset_from_tables
from goodteacher.errors import DataError, needed_package

PREFIX = "hf:"
"""Marks a hub name explicitly: ``hf:owner/name`` or ``hf:owner/name:config``."""

FILE_SUFFIXES = (".npz", ".npy", ".csv", ".tsv", ".parquet", ".zip", ".json", ".jsonl", ".gz")
"""Endings of files, which no hub name is taken to have."""

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+(:[\w.-]+)?")


def is_hub_name(spec: str) -> bool:
    """Say whether ``spec`` is ``hf:...``, or looks like ``owner/name`` and not like a path.

    It looks like a path if it has a file's ending or ``owner`` is a folder here: better a message
    about a misspelt path than a question to the hub.

    Example:
        >>> is_hub_name("hf:mnist"), is_hub_name("zalando/fashion_mnist"), is_hub_name("mnist")
        (True, True, False)
    """
    if spec.startswith(PREFIX):
        return True
    path = Path(spec)
    is_path = path.suffix in FILE_SUFFIXES or path.parent.exists()
    return _HUB_NAME.fullmatch(spec) is not None and not is_path


def load_from_hub(spec: str, reading: Reading) -> Dataset:
    """Fetch a data set by its hub name, or read a folder as the `datasets` library does.

    Args:
        spec: ``[hf:]owner/name[:config]``, or ``hf:`` and the path of a folder.
        reading: what the user asks, and where notes go.

    Raises:
        DataError: The library is missing, the data set cannot be fetched, or it lacks a split.
    """
    name, config = _parse(spec)
    splits = _fetch(name, config)
    chosen = by_role(choose_splits(list(splits), name, reading), splits)
    tables = {role: _to_table(split, name, reading) for role, split in chosen.items()}
    return dataset_from_tables(name, tables, reading=reading, base=_files_of(name))


def _files_of(name: str) -> Inside:
    """Return where the files of images may lie: in a folder that was named, or where they came."""
    config = _import_datasets().config
    caches = [Path(config.HF_DATASETS_CACHE), Path(config.HF_CACHE_HOME) / "hub"]
    return Inside(Path(name), *caches) if Path(name).is_dir() else Inside(*caches)


def _parse(spec: str) -> tuple[str, str | None]:
    name = spec.removeprefix(PREFIX)
    if not name:
        raise DataError(
            f"{spec!r} must name a data set after {PREFIX!r}, for example hf:owner/name or "
            "hf:owner/name:config."
        )
    if Path(name).expanduser().exists():  # a folder's path may contain a colon
        return str(Path(name).expanduser()), None
    name, _, config = name.partition(":")
    return name, config or None


def _import_datasets() -> ModuleType:
    return needed_package("datasets", extra="hub", what="The name of a Hugging Face data set")


def _fetch(name: str, config: str | None) -> dict[str, Any]:
    datasets = _import_datasets()
    try:
        return dict(datasets.load_dataset(name, config))
    except Exception as error:  # the library and its transports raise dozens of types
        raise DataError(
            f"The data set {name!r}{f' (config {config!r})' if config else ''} could not be "
            f"loaded from the Hugging Face hub ({type(error).__name__}: {error}). Is the name "
            "spelt as on the hub, does the data set need a config (hf:owner/name:config), or is "
            "this machine offline? A folder of its Parquet files can be read without a network."
        ) from error


def _to_table(split: Any, name: str, reading: Reading) -> pa.Table:
    """Return the needed columns as an Arrow table that carries the hub's metadata."""
    schema = split.features.arrow_schema
    columns = needed_columns(schema, reading, f"{name!r}") or schema.names
    table = split.select_columns(columns).with_format("arrow")[:]
    return table.replace_schema_metadata(schema.metadata)
