"""Read arrays - an ``.npz`` file's or the caller's own - as a data set.

The arrays are ``x_train, y_train, x_test, y_test``, and optionally ``x_validation, y_validation``
(or ``x_valid``, ``x_val``, ``x_dev``), ``ids_train`` and so on, and ``class_names``. Without
``y_train``, no training example has a label. Inputs with three or four axes are ``uint8`` images:

    [N, H, W]        grey
    [N, H, W, C]     channels last,  if the last axis has 1 or 3 entries and the second has not
    [N, C, H, W]     channels first, if the second axis has 1 or 3 entries and the last has not

and where both or neither could be the channels, the images are refused: there is no safe guess.
Numbers of any other type are taken as they are, ``[N, ...]``: features, series ``[N, channels,
length]``, token ids; a memory-mapped array stays in its file. A dictionary of arrays, or the names
``x_train.input_ids`` and so on, gives each example several inputs. Strings with one axis are texts;
with two, as of a list of tuples, or in a dictionary, each example has several texts.
Labels are integers or names, or one-hot rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from goodteacher.data.dataset import Dataset, Split
from goodteacher.data.images import ImageOptions, resize_images
from goodteacher.data.inputs import Inputs, are_inputs, as_inputs
from goodteacher.data.labels import (
    alike,
    has_labels,
    infer_classes,
    named_classes,
    number_labels,
    plain_labels,
)
from goodteacher.data.listing import shorten
from goodteacher.data.named_splits import VALIDATION_SPLITS, choose_splits
from goodteacher.data.numbers import decoded
from goodteacher.data.numpy_files import UNREADABLE, load_npz
from goodteacher.data.odd_columns import numbers_rows
from goodteacher.data.reading import Reading
from goodteacher.data.spec import InputSpec
from goodteacher.data.tables import note_unlabelled, separate_ids
from goodteacher.data.texts import TextColumns, Texts, are_texts, as_text_inputs
from goodteacher.errors import DataError

_Array = npt.NDArray[Any]
_CHANNEL_COUNTS = (1, 3)
_SMALLEST_SIDE = 8  # of images that are recognised where they are no bytes
_LOOKED_AT = 1000  # rows that tell what an array holds
_DARK = 16  # integers below are rather codes than pixels


def dataset_from_arrays(name: str, arrays: Mapping[str, Any], reading: Reading) -> Dataset:
    """Build a data set from named arrays.

    Args:
        name: of the data set.
        arrays: anything NumPy reads, under the names that the module's docstring lists.
        reading: ``resize`` is applied to images; there is nothing that could be corrupt.

    Raises:
        DataError: A name is missing or unknown, an array has the wrong type or shape, or see
            `Dataset`.

    Example:
        >>> images, labels = np.zeros((2, 8, 8), np.uint8), [0, 1]
        >>> arrays = dict(x_train=images, y_train=labels, x_test=images, y_test=labels)
        >>> dataset_from_arrays("black", arrays, Reading()).input_shape
        (1, 8, 8)
    """
    reading.check_unused("arrays", "target", "text_column")
    arrays = _with_fields(arrays)
    names = _split_names(name, arrays, reading)
    given = {role: _array_or_inputs(arrays[f"x_{split}"]) for role, split in names.items()}
    given = _in_one_order(_of_one_type(given))
    raw = [_labels(arrays, s, _length(given[r]), name, reading) for r, s in names.items()]
    labels = alike(raw)
    classes = (
        named_classes(_names_of_classes(arrays), labels, name, reading)
        if "class_names" in arrays
        else infer_classes(labels, name, reading)
    )
    if not has_labels(labels[0]):
        note_unlabelled(name, reading)
    _check_no_row_numbers(given, name)
    ids = _ids(arrays, names, given, name, reading)
    splits = {}
    for (role, split), values in zip(names.items(), labels, strict=True):
        where = f"{split} split of {name!r}"
        numbers = number_labels(values, classes, where)
        splits[role] = _split(given[role], numbers, ids[role], where, reading)
    return Dataset(
        name,
        splits["train"],
        splits["test"],
        classes.names,
        splits.get("validation"),
        notes=tuple(reading.notes),
    )


def _split(
    inputs: _Array | Inputs, labels: _Array, ids: Any, where: str, reading: Reading
) -> Split:
    if not isinstance(inputs, np.ndarray):
        if reading.images.resize is not None:
            raise _not_images(reading.images, inputs.spec)
        return Split.from_arrays(inputs, labels, ids)
    return Split.from_arrays(resize_inputs(to_inputs(inputs, where), reading.images), labels, ids)


def _array_or_inputs(values: Any) -> _Array | Inputs:
    if isinstance(values, Mapping):
        parts = {str(field): _array_or_inputs(part) for field, part in values.items()}
        texts = {field: part.texts for field, part in parts.items() if isinstance(part, Texts)}
        if texts and len(texts) == len(parts):
            return as_text_inputs(texts)
        if texts:
            raise DataError(
                "The fields of an example must be all texts or all numbers, but "
                f"{shorten(map(repr, texts))} contain texts and "
                f"{shorten(repr(name) for name in parts if name not in texts)} do not. Leave out "
                "one of the two kinds, or convert it into the other."
            )
        return as_inputs({field: _field(part, field) for field, part in parts.items()})
    if are_inputs(values):
        found: Inputs = values
        return found
    if isinstance(values, list | tuple) and are_texts(values):
        return as_text_inputs(values)  # NumPy would make strings of numbers among them
    try:
        array = values if isinstance(values, np.ndarray) else np.asarray(values)
    except ValueError as error:
        raise DataError(
            f"A {type(values).__name__} among the arrays cannot be converted to an array "
            f"({error}). Do its rows differ in length, or are some of them numbers and others "
            "lists?"
        ) from error
    if array.dtype.kind in "UO" and array.ndim in (1, 2) and are_texts(array[:1]):
        return as_text_inputs(array)
    return array


def _of_one_type(given: dict[str, _Array | Inputs]) -> dict[str, _Array | Inputs]:
    """Make whole numbers fractions where another split has fractions."""
    arrays = [array for array in given.values() if isinstance(array, np.ndarray)]
    if {"f"} < {array.dtype.kind for array in arrays} <= {*"biuf"}:
        with np.errstate(over="ignore"):  # too large for float32: refused as infinite
            return {
                role: array.astype(np.float32) if isinstance(array, np.ndarray) else array
                for role, array in given.items()
            }
    return given


def _in_one_order(given: dict[str, _Array | Inputs]) -> dict[str, _Array | Inputs]:
    """Bring columns of texts, which are given by name, into the order that train has."""
    train = given["train"]
    if not isinstance(train, TextColumns):
        return given
    order = list(train.columns)
    return {
        role: TextColumns({name: each.columns[name] for name in order})
        if isinstance(each, TextColumns) and set(each.columns) == set(order)
        else each
        for role, each in given.items()
    }


def _field(found: _Array | Inputs, name: str) -> _Array | Inputs:
    return to_inputs(found, f"field {name!r}") if isinstance(found, np.ndarray) else found


def _length(inputs: _Array | Inputs) -> int:
    return 0 if isinstance(inputs, np.ndarray) and not inputs.ndim else len(inputs)


def _with_fields(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Gather ``x_train.a`` and ``x_train.b`` into the fields of ``x_train``."""
    gathered: dict[str, Any] = {}
    for key, value in arrays.items():
        whole, dot, field = key.partition(".")
        if not dot:
            gathered[key] = value
        else:
            gathered.setdefault(whole, {})[field] = value
    return gathered


def _names_of_classes(arrays: Mapping[str, Any]) -> list[str]:
    return list(map(str, np.asarray(arrays["class_names"]).tolist()))


def _ids(
    arrays: Mapping[str, Any],
    names: Mapping[str, str],
    given: Mapping[str, _Array | Inputs],
    name: str,
    reading: Reading,
) -> dict[str, Any]:
    """Return the ids of every split; those of validation go on from train where none are given."""
    ids = {role: arrays.get(f"ids_{split}") for role, split in names.items()}
    if "validation" not in names:
        return ids
    first = _length(given["train"])
    train = np.arange(first) if ids["train"] is None else np.asarray(ids["train"])
    own = ids["validation"]
    if own is None:
        own = np.arange(_length(given["validation"])) + (first if ids["train"] is None else 0)
    return ids | {"validation": separate_ids(train, np.asarray(own), name, reading)}


def read_npz(path: Path) -> dict[str, _Array]:
    """Read every array of an ``.npz`` file, without unpickling anything.

    Raises:
        DataError: The file is no ``.npz``, is damaged, or holds Python objects.
    """
    try:
        return load_npz(path, DataError)
    except DataError:
        raise
    except UNREADABLE as error:
        raise DataError(
            f"{path} cannot be read as an .npz file of plain arrays ({error}). The file may be "
            "incomplete, a single .npy under another name, or contain Python objects, which are "
            "never unpickled. Write it again with numpy.savez(path, x_train=..., y_train=..., "
            "x_test=..., y_test=...), where each array holds numbers or texts."
        ) from error


def to_inputs(array: _Array, where: str) -> _Array:
    """Return images as ``uint8 [N, C, H, W]``, and other numbers as they are.

    Args:
        array: Of any numeric type; memory-mapped it stays so.
        where: What messages call it.

    Raises:
        DataError: It holds no numbers, the channel axis of images cannot be told, or numbers are
            most likely images that were scaled or widened.

    Example:
        >>> to_inputs(np.zeros((5, 32, 24, 3), np.uint8), "train split").shape
        (5, 3, 32, 24)
    """
    if array.dtype.kind not in "biuf" or array.ndim < 2:
        raise DataError(
            "Inputs must be numbers [N, ...], for example uint8 images [N, H, W] or features [N, "
            f"D], or strings [N], but those of the {where} are {array.dtype} {list(array.shape)}."
        )
    if array.dtype == np.uint8 and array.ndim == 3:
        return array[:, None]
    if array.dtype == np.uint8 and array.ndim == 4:
        return _channels_first(array, where)
    if remedies := _looks_like_images(array):
        as_images, as_others = remedies
        raise DataError(
            f"The inputs of the {where} look like images, but are {array.dtype} "
            f"{list(array.shape)}. Images must be given as bytes, which need at most a quarter of "
            f"the memory: {as_images}. If they are not images, {as_others}."
        )
    return array


def _looks_like_images(array: _Array) -> tuple[str, str] | None:
    """Say what to do with what are most likely images, and if they are none; None of others."""
    sides = array.shape[1:]
    gray = array.ndim == 3 and sides[0] == sides[1]
    colour = array.ndim == 4 and (sides[0] in _CHANNEL_COUNTS or sides[2] in _CHANNEL_COUNTS)
    if not (gray or colour) or max(sides) < _SMALLEST_SIDE or not array.size:
        return None
    few = np.asarray(array[:_LOOKED_AT])
    low, high = few.min(), few.max()
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        other = "give them in another unit, for example 100 * x: numbers are normalised anyway"
        return "(255 * images).round().astype('uint8')", other
    if array.dtype in (np.int32, np.int64) and low >= 0 and _DARK < high <= 255:
        return "images.astype('uint8')", "give them as int16"
    return None


def resize_inputs(inputs: _Array, options: ImageOptions) -> _Array:
    """Resize images where ``options`` ask for it; other inputs have no size and are refused."""
    if options.resize is None:
        return inputs
    if inputs.ndim != 4 or inputs.dtype != np.uint8:
        raise _not_images(options, as_inputs(inputs).spec)
    return resize_images(torch.from_numpy(np.ascontiguousarray(inputs)), options.resize).numpy()


def _not_images(options: ImageOptions, spec: InputSpec) -> DataError:
    return DataError(
        f"resize={options.resize} applies to images only, but the inputs are {spec}. Leave resize "
        "out."
    )


def _channels_first(images: _Array, where: str) -> _Array:
    first, last = images.shape[1] in _CHANNEL_COUNTS, images.shape[3] in _CHANNEL_COUNTS
    if first == last:
        raise DataError(
            f"The channel axis is recognised by its length, 1 or 3, but in the {where} of shape "
            f"{list(images.shape)}, {'both' if first else 'neither'} of the second and the last "
            "axis have that length. Images with 2 or 4 channels are not supported: drop the "
            "alpha channel, and give grey images as [N, H, W]."
        )
    return images if first else np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def _labels(
    arrays: Mapping[str, Any], split: str, num_examples: int, name: str, reading: Reading
) -> pa.ChunkedArray:
    where = f"{split} split of {name!r}"
    if f"y_{split}" not in arrays:  # only those of train may be missing
        return pa.chunked_array([pa.nulls(num_examples, pa.int64())])
    array = np.asarray(arrays[f"y_{split}"])
    if array.dtype.kind == "S":
        array = decoded(array, f"y_{split} of {name!r}", name="y")
    if array.ndim == 2 and array.shape[1] == 1:  # Keras gives CIFAR's labels as a column
        array = array[:, 0]
    if array.ndim == 2 and _is_one_hot(array):
        reading.note(
            "one_hot",
            f"The labels of {name!r} are one-hot rows: the place of the 1 is the class.",
        )
        array = array.argmax(axis=1)
    if array.ndim != 1:
        raise DataError(
            f"Labels must have shape [N], one class for each example, but y_{split} of {name!r} "
            f"has {list(array.shape)}, and its rows are not one-hot. Give the class of each "
            "example. If these are probabilities, give y.argmax(axis=1). Examples with several "
            "classes are not supported."
        )
    try:
        values = pa.array(array)
    except pa.ArrowException as error:
        raise DataError(
            f"Labels must be integers or text, but y_{split} of {name!r} is of type {array.dtype}"
            f" ({error}). Convert it, for example with y.astype('int64') or y.astype(str)."
        ) from error
    return plain_labels(pa.chunked_array([values]), where)


def _is_one_hot(array: _Array) -> bool:
    if array.dtype.kind not in "biuf" or not array.size:
        return False
    return bool(np.isin(array, (0, 1)).all() and (array.sum(axis=1) == 1).all())


def _check_no_row_numbers(given: Mapping[str, _Array | Inputs], name: str) -> None:
    """Refuse a feature that numbers the rows: it tells the class of data sorted by class."""
    train, *others = given.values()
    if not isinstance(train, np.ndarray) or train.ndim != 2 or train.dtype.kind not in "iuf":
        return
    same = [o for o in others if isinstance(o, np.ndarray) and o.shape[1:] == train.shape[1:]]
    few = np.asarray(train[:_LOOKED_AT])  # a whole column of a file takes long to read
    for column in range(train.shape[1]):
        if len(np.unique(few[:, column])) < len(few):
            continue
        values = train[:, column].astype(np.float64)
        if numbers_rows(values, [other[:, column].astype(np.float64) for other in same]):
            raise DataError(
                f"Column {column} of x_train of {name!r} contains row numbers ({values[0]:g}, "
                f"{values[1]:g}, {values[2]:g}, ...), which reveal the class if the data are "
                f"sorted by class. Remove it: np.delete(x, {column}, axis=1). If these are ids of "
                "the examples, give them as ids_train."
            )


def _split_names(name: str, arrays: Iterable[str], reading: Reading) -> dict[str, str]:
    """Return the name of the split that plays each role."""
    given = set(arrays)
    inputs = {key.removeprefix("x_") for key in given if key.startswith("x_")}
    known = {"train", "test", *VALIDATION_SPLITS, reading.test_split or "test"} & inputs
    needed = ["x_train"] if known - {"train", "test"} else ["x_train", "x_test", "y_test"]
    missing = [key for key in needed if key not in given]
    allowed = {f"{kind}_{split}" for kind in ("x", "y", "ids") for split in known}
    unknown = sorted(given - allowed - {"class_names"})
    unlabelled = [f"y_{split}" for split in sorted(known - {"train"}) if f"y_{split}" not in given]
    if missing or unknown or unlabelled:
        lacking = dict.fromkeys([*missing, *unlabelled])
        problem = f"lacks {shorten(lacking)}" if lacking else f"also has {shorten(unknown)}"
        raise DataError(
            f"Arrays must be named x_train, y_train, x_test, y_test (and optionally x_validation,"
            f" y_validation, ids_train, ids_validation, ids_test, class_names), but {name!r}"
            f" {problem}; it has {shorten(sorted(given)) or 'none'}. Rename them when saving."
        )
    roles = choose_splits(sorted(known), name, reading)
    named = {"train": roles.train, "validation": roles.validation, "test": roles.test}
    return {role: split for role, split in named.items() if split is not None}
