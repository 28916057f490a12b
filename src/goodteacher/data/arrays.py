"""Read arrays - an ``.npz`` file's or the caller's own - as a data set.

The arrays are ``x_train, y_train, x_test, y_test``, and optionally ``ids_train``, ``ids_test`` and
``class_names``. Inputs with three or four axes are ``uint8`` images:

    [N, H, W]        grey
    [N, H, W, C]     channels last,  if the last axis has 1 or 3 entries and the second has not
    [N, C, H, W]     channels first, if the second axis has 1 or 3 entries and the last has not

and where both or neither could be the channels, the images are refused: there is no safe guess.
Inputs with two axes are features of any numeric type, ``[N, D]``; strings with one axis are texts.
Labels are integers or names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from goodteacher.data.dataset import Dataset, Split, shorten
from goodteacher.data.images import ImageOptions, resize_images
from goodteacher.data.labels import infer_class_names, number_labels
from goodteacher.errors import DataError

REQUIRED = ("x_train", "y_train", "x_test", "y_test")
OPTIONAL = ("ids_train", "ids_test", "class_names")

_Array = npt.NDArray[Any]
_CHANNEL_COUNTS = (1, 3)


def dataset_from_arrays(name: str, arrays: Mapping[str, Any], options: ImageOptions) -> Dataset:
    """Build a data set from named arrays.

    Args:
        name: of the data set.
        arrays: anything NumPy reads, under the names that the module's docstring lists.
        options: ``resize`` is applied to images; there is nothing that could be corrupt.

    Raises:
        DataError: A name is missing or unknown, an array has the wrong type or shape, or see
            `Dataset`.

    Example:
        >>> images, labels = np.zeros((2, 8, 8), np.uint8), [0, 1]
        >>> arrays = dict(x_train=images, y_train=labels, x_test=images, y_test=labels)
        >>> dataset_from_arrays("black", arrays, ImageOptions()).input_shape
        (1, 8, 8)
    """
    _check_names(name, arrays)
    labels = {split: _labels(arrays[f"y_{split}"], split, name) for split in ("train", "test")}
    class_names = (
        tuple(map(str, np.asarray(arrays["class_names"]).tolist()))
        if "class_names" in arrays
        else infer_class_names(labels["train"], labels["test"], name)
    )
    splits = []
    for split, values in labels.items():
        where = f"{split} split of {name!r}"
        numbers = number_labels(values, class_names, where)
        given, ids = np.asarray(arrays[f"x_{split}"]), arrays.get(f"ids_{split}")
        if given.ndim == 1 and given.dtype.kind == "U":
            splits.append(Split.from_texts(given.tolist(), numbers, ids))
            continue
        inputs = resize_inputs(to_inputs(given, where), options)
        splits.append(Split.from_arrays(inputs, numbers, ids))
    return Dataset(name, splits[0], splits[1], class_names)


def read_npz(path: Path) -> dict[str, _Array]:
    """Read every array of an ``.npz`` file, without unpickling anything.

    Raises:
        DataError: The file is no ``.npz``, is damaged, or holds Python objects.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (OSError, ValueError, BadZipFile, EOFError, TypeError) as error:
        raise DataError(
            f"{path} cannot be read as an .npz file of plain arrays ({error}). Is it cut short, a"
            " lone .npy, or does it hold Python objects, which are never unpickled? Write it with"
            " numpy.savez(path, x_train=..., y_train=..., x_test=..., y_test=...), each one"
            " numeric or text."
        ) from error


def to_inputs(array: _Array, where: str) -> _Array:
    """Return images as ``uint8 [N, C, H, W]`` and features as ``float32 [N, D]``.

    Raises:
        DataError: The array is neither, or its channel axis cannot be told.

    Example:
        >>> to_inputs(np.zeros((5, 32, 24, 3), np.uint8), "train split").shape
        (5, 3, 32, 24)
    """
    if array.ndim == 2 and array.dtype.kind in "biuf":
        return array.astype(np.float32)
    if array.ndim not in (3, 4) or array.dtype != np.uint8:
        raise DataError(
            f"Inputs must be uint8 images [N, H, W], [N, H, W, C] or [N, C, H, W], or numeric"
            f" features [N, D], or strings [N], but those of the {where} are {array.dtype}"
            f" {list(array.shape)}. Images scaled to 0..1 are given as"
            " (255 * images).round().astype('uint8')."
        )
    return array[:, None] if array.ndim == 3 else _channels_first(array, where)


def resize_inputs(inputs: _Array, options: ImageOptions) -> _Array:
    """Resize images where ``options`` ask for it; features have no size and are refused."""
    if options.resize is None:
        return inputs
    if inputs.ndim != 4:
        raise DataError(
            f"resize={options.resize} is for images, but the inputs are features"
            f" {list(inputs.shape)}. Leave resize out."
        )
    return resize_images(torch.from_numpy(np.ascontiguousarray(inputs)), options.resize).numpy()


def _channels_first(images: _Array, where: str) -> _Array:
    first, last = images.shape[1] in _CHANNEL_COUNTS, images.shape[3] in _CHANNEL_COUNTS
    if first == last:
        raise DataError(
            f"The channel axis must be told from the shape, but in the {where}, of shape"
            f" {list(images.shape)}, {'both' if first else 'neither'} of the second and the last"
            " axis could be 1 or 3 channels. Images with 2 or 4 channels are not supported: drop"
            " the alpha channel; for grey images give [N, H, W]."
        )
    return images if first else np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def _labels(values: Any, split: str, name: str) -> pa.ChunkedArray:
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:  # Keras gives CIFAR's labels as a column
        array = array[:, 0]
    if array.ndim != 1:
        raise DataError(
            f"Labels must have shape [N], one class for each example, but y_{split} of {name!r} has"
            f" {list(array.shape)}. Are they one-hot? Give y.argmax(axis=1)."
        )
    return pa.chunked_array([pa.array(array)])


def _check_names(name: str, arrays: Iterable[str]) -> None:
    given = set(arrays)
    missing = [key for key in REQUIRED if key not in given]
    unknown = sorted(given.difference(REQUIRED, OPTIONAL))
    if missing or unknown:
        problem = f"lacks {shorten(missing)}" if missing else f"also has {shorten(unknown)}"
        raise DataError(
            f"Arrays must be named {', '.join(REQUIRED)} (and optionally {', '.join(OPTIONAL)}),"
            f" but {name!r} {problem}; it has {shorten(sorted(given)) or 'none'}. Rename them when"
            " saving."
        )
