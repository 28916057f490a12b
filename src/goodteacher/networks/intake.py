"""What a delivered student is given, checked against what it was trained on.

A network takes any numbers of the right shape, and answers as confidently to wrong ones: images
scaled to 0..1, or normalised twice, cost tens of points and nobody is told. So what can be meant in
one way only is taken, and all else is refused with what to type.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from goodteacher.data import (
    InputSpec,
    check_rows_of_texts,
    has_columns,
    rows_of_columns,
    rows_of_table,
    table_of,
)
from goodteacher.errors import DataError
from goodteacher.networks.batches import Batch

_DARK = 2
"""Training images whose mean is below this, of 255, may themselves be of zeros and ones."""


def as_texts(inputs: Any, columns: Sequence[str] = ()) -> Any:
    """Return texts as a list where an array or a column holds them; anything else as it is.

    Args:
        inputs: Texts [N]; of an example's several texts, a list of N tuples, or a dictionary or
            data frame with a column for each.
        columns: The names of an example's texts, where it has several.

    Raises:
        DataError: They are a tensor, or have other columns.

    >>> as_texts(np.array(["where is my card"]))
    ['where is my card']
    >>> as_texts({"answer": ["here"], "question": ["where?"]}, ["question", "answer"])
    [('where?', 'here')]
    """
    if columns and not isinstance(inputs, Tensor) and hasattr(inputs, "keys"):
        return rows_of_columns(inputs, columns)
    if isinstance(inputs, Tensor):
        raise DataError(
            f"This student takes a list of strings, but got a tensor {list(inputs.shape)}. Give "
            "the texts themselves: the student computes their features with its own vocabulary."
        )
    listed = inputs.tolist() if hasattr(inputs, "tolist") else inputs
    if columns:
        check_rows_of_texts(listed, columns)
    return listed


def as_stored(inputs: Any, spec: InputSpec) -> Batch:
    """Return examples as a student's data were stored: images, numbers, or fields of these.

    Args:
        inputs: A tensor or array of N examples, or of one without the axis N; of several fields, a
            dictionary of such; of rows, and of numbers whose columns have names, what `table_of`
            takes, by these names; or a tensor of them as stored.
        spec: What one example is.

    Returns:
        ``uint8 [N, channels, height, width]``, ``float32 [N, ...]`` or ``int64 [N, ...]``.

    Raises:
        DataError: Type, shape or range are others; the message says what to type.

    >>> as_stored(np.zeros((2, 8, 8), np.uint8), InputSpec(kind="images", shape=(1, 8, 8))).shape
    torch.Size([2, 1, 8, 8])
    """
    if spec.kind == "fields":
        return _fields(inputs, spec)
    if spec.kind == "rows" and not isinstance(inputs, Tensor):
        return rows_of_table(table_of(inputs, spec.columns), spec, "rows given")
    if spec.kind == "numbers" and spec.columns and has_columns(inputs):
        return _finite(rows_of_table(table_of(inputs, spec.columns), spec, "rows given"))
    shaped = _shaped(_numbers(inputs, spec), spec)
    taken = {"images": _pixels, "numbers": _finite, "integers": _whole, "rows": Tensor.float}
    return taken[spec.kind](shaped)


def _fields(inputs: Any, spec: InputSpec) -> dict[str, Tensor]:
    names = ", ".join(spec.fields)
    if not isinstance(inputs, Mapping):
        raise DataError(
            f"This student takes a dictionary of {names}, but got {_described(inputs)}. Give the "
            "fields by these names."
        )
    missing = [name for name in spec.fields if name not in inputs]
    if missing:
        raise DataError(
            f"This student takes a dictionary of {names}, but {', '.join(missing)} is missing: "
            f"there are {', '.join(map(str, inputs)) or 'none'}."
        )
    found: dict[str, Tensor] = {}
    for name, field in spec.fields.items():
        try:
            found[name] = cast("Tensor", as_stored(inputs[name], field))
        except DataError as error:
            raise DataError(f"In the field {name!r}: {error}") from error
    lengths = {name: len(part) for name, part in found.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in lengths.items())
        raise DataError(f"All fields must have the same number of examples, but have: {told}.")
    return found


def _numbers(inputs: Any, spec: InputSpec) -> Tensor:
    try:
        numbers = inputs if isinstance(inputs, Tensor) else _from_array(np.asarray(inputs))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{_takes(spec)}, but got {_described(inputs)}. Is it text, or do its rows differ in "
            "length? Was the student trained on other data?"
        ) from error
    if numbers.is_complex() or numbers.dtype == torch.bool or numbers.is_sparse:
        raise DataError(
            f"{_takes(spec)}, but got values of type {numbers.dtype}"
            f"{' in a sparse tensor' if numbers.is_sparse else ''}. Convert them to plain numbers."
        )
    return numbers


def _from_array(array: npt.NDArray[Any]) -> Tensor:
    # torch shares an array's memory, so read-only, reversed and byte-swapped arrays are copied.
    native = array.dtype.newbyteorder("=")
    return torch.from_numpy(np.require(array, native, requirements=["C", "W"]))


def _shaped(inputs: Tensor, spec: InputSpec) -> Tensor:
    """Bring examples into the shape [N, *shape] where it can be meant in one way only."""
    shape, wanted = tuple(inputs.shape), spec.shape
    if shape[1:] == wanted and inputs.ndim == len(wanted) + 1:
        return inputs
    if spec.kind == "images" and wanted[0] == 1:
        if inputs.ndim == 3 and shape[1:] == wanted[1:]:
            return inputs[:, None]  # gray images; one of them with its channel looks the same
        if shape == wanted[1:]:
            return inputs[None, None]
    if shape == wanted:
        return inputs[None]
    raise DataError(f"{_takes(spec)}, but got shape {list(shape)}. {_way_out(shape, spec)}")


def _way_out(shape: tuple[int, ...], spec: InputSpec) -> str:
    """Say what to type for examples of another shape."""
    wanted = spec.shape
    if len(wanted) == 1:
        if len(shape) > 2 and int(np.prod(shape[1:])) == wanted[0]:
            return "Flatten them: inputs.reshape(len(inputs), -1)."
        if len(shape) == 2:
            return (
                f"Each example has {shape[1]} features instead of {wanted[0]}: give the columns "
                "that the student was trained on, in the same order, without labels and ids."
            )
        return "Give one row for each example."
    if spec.kind != "images":
        return "Give them as in training, with the axes in the same order."
    channels, height, width = wanted
    if shape[-3:] == (height, width, channels):
        axes = "0, 3, 1, 2" if len(shape) == 4 else "2, 0, 1"
        return (
            f"Their channels are last: give inputs.permute({axes}), or for an array "
            f"inputs.transpose({axes})."
        )
    if len(shape) == 2 and shape[1] == channels * height * width:
        return f"They are flat: give inputs.reshape(-1, {channels}, {height}, {width})."
    if len(shape) == 4 and shape[2:] == (height, width):
        if (shape[1], channels) == (3, 1):
            return (
                "The student was trained on grey images: convert them, as image.convert('L') does."
            )
        if (shape[1], channels) == (1, 3):
            return (
                "The student was trained on colour images: repeat the grey channel, "
                "inputs.repeat(1, 3, 1, 1)."
            )
        return f"They have {shape[1]} channels instead of {channels}."
    if channels > 1 and len(shape) == 3 and shape[1:] == (height, width):
        return (
            f"Images [N, {height}, {width}] have no channels, but the student was trained on "
            f"{channels}: for grey images, give inputs[:, None].repeat(1, 3, 1, 1)."
        )
    return f"Resize them first to height {height} and width {width}, as in training."


def _pixels(images: Tensor) -> Tensor:
    """Return images as bytes, if their values are 0 to 255 beyond doubt."""
    if images.dtype == torch.uint8 or not images.numel():
        return images.to(torch.uint8)
    low, high = float(images.min()), float(images.max())
    whole = not images.is_floating_point() or bool((images == images.round()).all())
    if images.is_floating_point() and not (low < 0 or high > 1):
        raise DataError(
            f"This student takes images as stored, with values 0 to 255, but got {images.dtype} "
            f"between {low:g} and {high:g}. They were probably divided by 255, as ToTensor does. "
            "Give the bytes themselves, or multiply: (255 * inputs).round().to(torch.uint8)."
        )
    if not (low >= 0 and high <= 255):  # NaN too
        raise DataError(
            f"This student takes images as stored, with values 0 to 255, but got {images.dtype} "
            f"between {low:g} and {high:g}. Were they normalised? Give the bytes themselves: the "
            "student normalises them as in training."
        )
    if not whole:
        raise DataError(
            f"This student takes images as stored, whole values 0 to 255, but got {images.dtype} "
            f"with fractions between {low:g} and {high:g}. If they are pixels that were resized, "
            "round them: inputs.round().to(torch.uint8)."
        )
    return images.to(torch.uint8)


def warn_of_dark_images(images: Tensor, mean: Tensor) -> None:
    """Warn of bytes that are all 0 or 1, where training images were brighter.

    Args:
        images: uint8 [N, ...].
        mean: Of the training images, 0 to 255, by channel or of all.
    """
    if not images.numel() or int(images.max()) != 1 or float(mean.max()) < _DARK:
        return
    warnings.warn(
        "All values of these images are 0 or 1 of 255, so the student sees black images. Were "
        "they in 0..1 before they were converted to bytes? Multiply first: (255 * "
        "inputs).round().to(torch.uint8).",
        stacklevel=3,
    )


def _whole(inputs: Tensor) -> Tensor:
    if inputs.is_floating_point() and not bool((inputs == inputs.round()).all()):
        raise DataError(
            f"This student takes whole numbers, but got {inputs.dtype} with fractions. Give them "
            "as in training, for example the ids that a tokenizer returns."
        )
    return inputs.to(torch.int64)


def _finite(inputs: Tensor) -> Tensor:
    numbers = inputs.to(torch.float32)
    bad = ~numbers.isfinite().flatten(1).all(dim=1)
    if bool(bad.any()):
        rows = bad.nonzero()[:, 0].tolist()
        shown = ", ".join(map(str, rows[:5])) + (f" and {len(rows) - 5} more" if rows[5:] else "")
        raise DataError(
            f"{len(rows)} of {len(numbers)} examples hold NaN, infinity or numbers too large for "
            f"float32 (rows {shown}). Fill in these values or drop these rows, as was done for "
            "training."
        )
    return numbers


def _takes(spec: InputSpec) -> str:
    sizes = ", ".join(map(str, spec.shape))
    if spec.kind == "images":
        return (
            f"This student takes a tensor or array of images [N, {sizes}] (channels, height, "
            "width) with values 0 to 255"
        )
    if spec.kind == "integers":
        return f"This student takes a tensor or array of whole numbers [N, {sizes}]"
    return f"This student takes a tensor or array of numbers [N, {sizes}]"


def _described(inputs: Any) -> str:
    shape = getattr(inputs, "shape", None)
    kind = f"{type(inputs).__name__}{f' {list(shape)}' if shape is not None else ''}"
    if isinstance(inputs, list | tuple):
        kinds = sorted({type(item).__name__ for item in inputs})
        return f"a {kind} of {', '.join(kinds) or 'nothing'}"
    return f"a {kind}"
