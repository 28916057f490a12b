"""Named arrays out of any supported kind of file, unchecked but never unpickled."""

from __future__ import annotations

import gzip
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import torch
from safetensors import SafetensorError, safe_open

from goodteacher.config import check_regular
from goodteacher.data import (
    UNREADABLE,
    check_fits,
    check_parquet,
    check_text_table,
    load_npy,
    load_npz,
)
from goodteacher.errors import InputError, ResponseError
from goodteacher.responses._tables import (
    UNNAMED,
    VALUE_NAMES,
    MalformedError,
    check_row_index,
    classes_of,
    special_columns,
)

Array = npt.NDArray[Any]
_T = TypeVar("_T")


@dataclass
class Contents:
    """What a file or a table holds, unchecked.

    Attributes:
        arrays: By name; one without a name is called ``UNNAMED``.
        class_names: Names of the classes in the order of the columns; empty where there are none.
        notes: What was left out.
        header: Text in the file's header.
    """

    arrays: dict[str, Array]
    class_names: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    header: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """What a table is read for.

    Attributes:
        classes: A response, rather than labels.
        probabilities: Whether it is one of probabilities.
        class_names: The data's classes, where they are known.
    """

    classes: bool = True
    probabilities: bool = False
    class_names: Sequence[str] = ()


def read_contents(path: Path, error: type[InputError], wanted: Wanted) -> Contents:
    """Read a file into named arrays.

    Args:
        path: The file.
        error: What to raise where it cannot be read.
        wanted: What it is read for.
    """
    name = path.name.lower()
    reader = next((read for ending, read in _READERS.items() if name.endswith(ending)), None)
    if reader is None:
        raise error(
            f"{path} cannot be read, because its file type {path.suffix or '(none)'!r} is not "
            f"supported. Supported are {', '.join(_READERS)}."
            + _NEVER_PICKLED.get(path.suffix.lower(), "")
        )
    if not path.exists():
        raise error(f"There is no file {path}. Is the path right, and relative to this folder?")
    check_regular(path, error)
    try:
        content = reader(path)
        return content if isinstance(content, Contents) else from_table(content, wanted)
    except MalformedError as problem:
        raise error(f"{path}: {problem}") from None
    except InputError as problem:  # it does not fit into memory
        raise error(str(problem)) from None
    except UnicodeDecodeError as cause:
        raise error(
            f"{path} is not UTF-8 ({cause.reason} at byte {cause.start}). Save it as CSV UTF-8."
        ) from None
    except _READ_ERRORS as cause:
        raise error(
            f"{path} cannot be read as {path.suffix}: {cause}. Is it damaged, or of a different "
            "type than its name says?"
        ) from cause


def from_table(table: Any, wanted: Wanted) -> Contents:
    """Name a table's arrays: special columns as they are, the rest as classes.

    Args:
        table: A pyarrow table.
        wanted: What it is read for.

    Raises:
        MalformedError: It has no rows, or a column may be a class or not.
    """
    if not table.num_rows:
        raise MalformedError("it has no rows below its header.")
    contents = Contents(special_columns(table, wanted.class_names))
    if not wanted.classes:
        check_row_index(table)
        return contents
    if contents.arrays.keys() & set(VALUE_NAMES):
        contents.class_names = _names_in(table.schema.metadata or {})
        return contents
    values, contents.class_names, contents.notes = classes_of(
        table, probabilities=wanted.probabilities, class_names=wanted.class_names
    )
    if values is not None:
        contents.arrays[UNNAMED] = values
    return contents


def from_arrays(arrays: Mapping[str, Array]) -> Contents:
    """Take the names of the classes out of named arrays."""
    names = next((arrays[name] for name in NAMES_OF_CLASSES if name in arrays), None)
    rest = {name: array for name, array in arrays.items() if name not in NAMES_OF_CLASSES}
    if list(rest) == ["arr_0"]:  # what np.savez calls an array without a name
        rest = {UNNAMED: rest["arr_0"]}
    return Contents(rest, () if names is None else tuple(map(_as_text, names.ravel().tolist())))


NAMES_OF_CLASSES = ("class_names", "classes", "classes_")
"""Arrays and metadata that name the classes in the order of the columns."""

_NEVER_PICKLED = dict.fromkeys(
    (".pt", ".pth", ".pkl", ".pickle", ".joblib"),
    " Such a file is a pickle, which can run code, so goodteacher never reads it. Save the "
    "logits with np.savez or safetensors.",
)


def _as_text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _names_in(metadata: Mapping[Any, Any]) -> tuple[str, ...]:
    """Return the class names in a file's metadata: a JSON list, or names with commas."""
    known = {_as_text(key): _as_text(value) for key, value in metadata.items()}
    text = next((known[name] for name in NAMES_OF_CLASSES if name in known), None)
    if text is None:
        return ()
    try:
        names = json.loads(text)
    except json.JSONDecodeError:
        names = text.split(",")
    return tuple(str(name).strip() for name in names) if isinstance(names, list) else ()


_READ_ERRORS = (*UNREADABLE, MemoryError, SafetensorError, pa.ArrowException)


def _read_npy(path: Path) -> Contents:
    large = path.stat().st_size > _MAPPED_FROM
    load = partial(load_npy, path, ResponseError, mode="c" if large else None)
    return Contents({UNNAMED: _never_pickled(load)})


def _read_npz(path: Path) -> Contents:
    with path.open("rb") as file:
        if file.read(6) == np.lib.format.MAGIC_PREFIX:
            raise MalformedError(
                "it is a .npy file with another extension. Rename it so that it ends in .npy."
            )
    return from_arrays(_never_pickled(partial(load_npz, path, ResponseError)))


def _never_pickled(load: Callable[[], _T]) -> _T:
    try:
        return load()
    except ValueError as error:
        if "pickle" not in str(error):
            raise
        raise MalformedError(
            "it contains Python objects, which goodteacher never unpickles, or is not a NumPy "
            "file. Save plain numbers, in rows of equal length."
        ) from None


def _read_safetensors(path: Path) -> Contents:
    with safe_open(path, framework="pt") as file:
        # Through torch, since NumPy has no bfloat16; the tensors lie in the file, which is mapped.
        names = file.keys()
        check_fits(sum(_bytes_of(file.get_slice(name)) for name in names), str(path))
        contents = from_arrays({name: as_array(file.get_tensor(name)) for name in names})
        contents.header = file.metadata() or {}
        contents.class_names = contents.class_names or _names_in(contents.header)
    return contents


def _bytes_of(part: Any) -> int:
    """Return the bytes that a tensor of a file takes beside the file, which is mapped."""
    plain = part.get_dtype() in ("F64", "F32", "F16", "I64", "I32", "I16", "I8", "U8", "BOOL")
    return 0 if plain else math.prod(part.get_shape()) * torch.float32.itemsize


def as_array(tensor: torch.Tensor) -> Array:
    """Return a tensor as an array; bfloat16 and float8, which NumPy lacks, as float32."""
    plain = tensor.detach().cpu()
    known = plain.dtype in (torch.float16, torch.float32, torch.float64)
    return np.asarray((plain.float() if plain.is_floating_point() and not known else plain).numpy())


def _read_parquet(path: Path) -> Any:
    check_parquet(path)
    # A single file, not a dataset: folder names must not become columns.
    with pa.parquet.ParquetFile(path) as file:
        table = file.read()
    table.validate(full=True)  # texts are UTF-8
    return table


def _read_csv(path: Path) -> Any:
    """Read a table of text; the header tells the separator, and with ``;`` the decimals."""
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        begin = file.read(_PEEKED)
    if begin.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise MalformedError("it is UTF-16. Save it as CSV UTF-8.")
    text = begin.decode("utf-8-sig", errors="ignore")
    header, _, below = text.partition("\n")
    separator = max(",;\t|", key=header.count) if header else ","
    comma = separator != "," and re.search(r"\d,\d", below) is not None
    if comma and re.search(r"\d\.\d", below):
        raise MalformedError(
            "it has numbers with decimal points and others with decimal commas. Use points."
        )
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        check_text_table(file, separator.encode(), str(path))
    return pa.csv.read_csv(
        path,
        parse_options=pa.csv.ParseOptions(delimiter=separator),
        convert_options=pa.csv.ConvertOptions(decimal_point="," if comma else "."),
    )


_MAPPED_FROM = 2**26  # bytes of a .npy file that is mapped rather than read
_PEEKED = 1 << 16  # bytes that tell how a text file separates

_READERS: Mapping[str, Callable[[Path], Any]] = {
    ".safetensors": _read_safetensors,
    ".npz": _read_npz,
    ".npy": _read_npy,
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".csv.gz": _read_csv,
    ".tsv": _read_csv,
}
