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

from goodteacher.data.dataset import Dataset
from goodteacher.data.folders import choose_test_split
from goodteacher.data.images import ImageOptions
from goodteacher.data.tables import dataset_from_tables, layout
from goodteacher.errors import DataError

PREFIX = "hf:"
"""Marks a hub name explicitly: ``hf:owner/name`` or ``hf:owner/name:config``."""

FILE_SUFFIXES = (".npz", ".npy", ".csv", ".parquet", ".zip", ".json")
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


def load_from_hub(spec: str, options: ImageOptions) -> Dataset:
    """Fetch a data set by its hub name, or read a folder as the `datasets` library does.

    Args:
        spec: ``[hf:]owner/name[:config]``, or ``hf:`` and the path of a folder.
        options: how images are treated.

    Raises:
        DataError: The library is missing, the data set cannot be fetched, or it lacks a split.
    """
    name, config = _parse(spec)
    splits = _fetch(name, config)
    test_split = choose_test_split(list(splits), name)
    train, test = (_to_table(splits[split], name) for split in ("train", test_split))
    return dataset_from_tables(name, train, test, options=options)


def _parse(spec: str) -> tuple[str, str | None]:
    name = spec.removeprefix(PREFIX)
    if not name:
        raise DataError(
            f"A data set name must follow {PREFIX!r}, but there is none in {spec!r}. Give, for"
            " example, hf:owner/name or hf:owner/name:config."
        )
    if Path(name).expanduser().exists():  # a folder's path may contain a colon
        return str(Path(name).expanduser()), None
    name, _, config = name.partition(":")
    return name, config or None


def _import_datasets() -> ModuleType:
    try:
        import datasets
    except ImportError as error:
        raise DataError(
            "A Hugging Face data set name needs the `datasets` library, which is not installed."
            " Run: pip install goodteacher[hub]"
        ) from error
    module: ModuleType = datasets
    return module


def _fetch(name: str, config: str | None) -> dict[str, Any]:
    datasets = _import_datasets()
    try:
        return dict(datasets.load_dataset(name, config))
    except Exception as error:  # the library and its transports raise dozens of types
        raise DataError(
            f"The data set {name!r}{f' (config {config!r})' if config else ''} could not be loaded"
            f" from the Hugging Face hub ({type(error).__name__}: {error}). Is the name spelt as on"
            " the hub, is a config needed (hf:owner/name:config), or is this machine offline? A"
            " folder of its Parquet files works without a network."
        ) from error


def _to_table(split: Any, name: str) -> pa.Table:
    """Return the needed columns as an Arrow table that carries the hub's metadata."""
    schema = split.features.arrow_schema
    columns = layout(schema, f"{name!r}").columns
    table = split.select_columns(columns).with_format("arrow")[:]
    return table.replace_schema_metadata(schema.metadata)
