"""Columns that are no inputs: row numbers, names of files, copies of the label.

Each would spoil a study in silence: a row number tells the class of a table that is sorted by
class, and a name of a file is no text. Thresholds are ours.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from goodteacher.data.labels import is_text

INDEX_NAMES = re.compile(r"(unnamed: \d+(\.\d+)?|__index_level_\d+__|index|idx|row|rowid|id|ids|)$")
"""Names, in lower case, of columns that number rows: pandas' own, those of the hub, and none."""

_FEWEST_ROWS = 20  # with fewer, integers that are all different may well be a measurement
_DENSE = 0.5  # share of the integers between the smallest and the largest that are there
_MOST = 0.9  # share of the values of a column that must be of a kind
_SAMPLE = 1000  # texts that are looked at
_URL = re.compile(r"(https?|ftp|s3|gs|hf)://", re.IGNORECASE)
_STUBS = frozenset({"BUFR", "GRIB", "HDF5", "MPEG", "WMF"})  # recognised by Pillow, not decoded
_IDENTIFIER = re.compile(r"(?=.*\d)[A-Za-z0-9_./\\-]+")
_FEW_WORDS = 10  # different words that may stand for a missing number in one column
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")

Kind = Literal["images", "image addresses", "audio", "video", "documents"]


@dataclass(frozen=True)
class Files:
    """Say that a column of strings names files.

    Attributes:
        kind: of the files, by their endings.
        example: one of the values.
    """

    kind: Kind
    example: str


@cache
def image_suffixes() -> frozenset[str]:
    """Return the endings of the files that Pillow can decode, in lower case, with their dot."""
    Image.init()
    known = Image.registered_extensions().items()
    return frozenset(end for end, kind in known if kind in Image.OPEN and kind not in _STUBS)


def numbers_rows(train: npt.NDArray[np.float64], others: Sequence[npt.NDArray[np.float64]]) -> bool:
    """Say whether a column of numbers numbers the rows.

    It does where its values are different integers that leave out few between the smallest and the
    largest, in the training split alone or in all splits together, in any order; or different
    integers in the order of the rows.

    Args:
        train: values of the training split, [N].
        others: values of the other splits.

    Example:
        >>> numbers_rows(np.arange(30.0)[::-1], []), numbers_rows(np.arange(30.0) ** 2 % 7, [])
        (True, False)
    """
    if len(train) < _FEWEST_ROWS or not _are_different_integers(train):
        return False
    steps = np.diff(train)
    if bool((steps > 0).all() or (steps < 0).all()):
        return True
    everything = np.concatenate([train, *others])
    return _is_dense(train) or (_are_different_integers(everything) and _is_dense(everything))


def copies_label(column: pa.ChunkedArray, labels: npt.NDArray[np.int64]) -> bool:
    """Say whether each value of a column goes with one class, and each class with one value.

    Args:
        column: of any type, [N].
        labels: class numbers [N], -1 where there is none.
    """
    known = labels >= 0
    num_classes = len(np.unique(labels[known]))
    if known.sum() < max(_FEWEST_ROWS, 5 * num_classes) or num_classes < 2:
        return False
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    if len(encoded.dictionary) != num_classes or encoded.null_count:
        return False
    codes = np.asarray(encoded.indices)[known]
    pairs = len({*zip(codes.tolist(), labels[known].tolist(), strict=True)})
    return pairs == num_classes == len(np.unique(codes))


def named_files(column: pa.ChunkedArray) -> Files | None:
    """Say what files a column of strings names, if nearly all of its values name one kind."""
    values = [value for value in column.slice(0, _SAMPLE).to_pylist() if value]
    kinds = [kind_of_file(value) for value in values]
    for kind in dict.fromkeys(k for k in kinds if k is not None):
        if kinds.count(kind) >= _MOST * len(values):
            return Files(kind, values[kinds.index(kind)])
    return None


def kind_of_file(value: str) -> Kind | None:
    """Say what a string names by its ending; None for a text.

    Example:
        >>> kind_of_file("images/cat 1.JFIF"), kind_of_file("a/b.wav"), kind_of_file("I am here.")
        ('images', 'audio', None)
    """
    value = value.strip()
    if value.startswith("data:image/"):
        return "image addresses"
    is_address = _URL.match(value) is not None
    path = re.split(r"[?#]", value)[0] if is_address else value
    suffix = Path(path.replace("\\", "/")).suffix.lower()
    if suffix in image_suffixes():
        return "image addresses" if is_address else "images"
    if not suffix or any(character.isspace() for character in path):
        return None
    guessed = (mimetypes.guess_type("x" + suffix)[0] or "").split("/")[0]
    kinds: dict[str, Kind] = {"audio": "audio", "video": "video", "text": "documents"}
    return kinds.get(guessed)


def are_addresses(column: pa.ChunkedArray) -> bool:
    """Say whether nearly every text is an address on the web."""
    values = [value for value in column.slice(0, _SAMPLE).to_pylist() if value]
    return bool(values) and sum(map(bool, map(_URL.match, values))) >= _MOST * len(values)


def are_identifiers(column: pa.ChunkedArray) -> bool:
    """Say whether nearly every text is one word with digits in it, and none comes twice.

    Example:
        >>> are_identifiers(pa.chunked_array([["img_001", "img_002"]]))
        True
    """
    values = [value for value in column.slice(0, _SAMPLE).to_pylist() if value]
    found = [value for value in values if _IDENTIFIER.fullmatch(value)]
    return bool(found) and len(set(values)) == len(values) <= len(found) / _MOST


def not_numbers(column: pa.ChunkedArray) -> list[str] | None:
    """Return the values that are no numbers, if most of a column of strings are; else None.

    Example:
        >>> not_numbers(pa.chunked_array([["1", "2.5", "?", "4"]]))
        ['?']
    """
    values = [value.strip() for value in column.to_pylist() if value is not None]
    strange = [value for value in values if not _NUMBER.fullmatch(value)]
    few = len(strange) < len(values) / 2 and len(set(strange)) <= _FEW_WORDS
    return strange if values and few else None


def are_dates(column: pa.ChunkedArray) -> bool:
    """Say whether a column holds points in time, as such or as text."""
    kind = column.type
    if not is_text(kind):
        return bool(pa.types.is_temporal(kind))
    pattern = r"^\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d{1,2}:\d{2}(:\d{2})?\S*)?\s*$"
    matches = pc.match_substring_regex(column, pattern)
    return len(column) > 0 and bool(pc.all(pc.fill_null(matches, True)).as_py())


def _are_different_integers(values: npt.NDArray[np.float64]) -> bool:
    if len(np.unique(values[:_SAMPLE])) < min(len(values), _SAMPLE):
        return False  # told at once for most columns of a large table
    whole = bool(np.isfinite(values).all()) and bool((values == np.round(values)).all())
    return whole and len(np.unique(values)) == len(values)


def _is_dense(values: npt.NDArray[np.float64]) -> bool:
    return bool(len(values) >= _DENSE * (values.max() - values.min() + 1))
