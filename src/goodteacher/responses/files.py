"""Reading and writing responses and labels."""

from __future__ import annotations

import dataclasses
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from goodteacher.data import decoded
from goodteacher.errors import DataError, InputError, ResponseError
from goodteacher.maths.rows import LazyRows, Logits
from goodteacher.responses._arrays import (
    Array,
    Contents,
    Wanted,
    as_array,
    from_arrays,
    from_table,
    read_contents,
)
from goodteacher.responses._tables import ID_NAMES, LABEL_NAMES, UNNAMED, MalformedError
from goodteacher.responses.containers import Labels, Response, check_ids
from goodteacher.responses.stored import is_large, rows_of, save_arrays
from goodteacher.responses.top_k import NUM_CLASSES, TopK, is_top_k, read_top_k, told_of
from goodteacher.responses.top_k import top_k as keep_top
from goodteacher.responses.values import logits_of, look_like_probabilities

_SHOWN = 5


class Frame(Protocol):
    """A data frame, such as one of pandas."""

    columns: Any
    index: Any


ResponseLike = (
    str | os.PathLike[str] | Response | Tensor | npt.NDArray[Any] | Mapping[str, Any] | Frame
)
"""What holds a response: a file, numbers in memory, arrays by name, a data frame."""


def write_response(
    path: str | os.PathLike[str],
    response: Response,
    *,
    metadata: Mapping[str, str] | None = None,
    top_k: int | None = None,
    temperature: float = 1.0,
) -> TopK | None:
    """Write a response as safetensors, whole or not at all.

    It is written to a temporary name in the same folder and renamed. Ids are written where the
    response has ids of its own.

    Args:
        path: The file, ending in ``.safetensors``; its folder must exist.
        response: What to write.
        metadata: Text to keep in the header, such as the teacher's batch size and epoch.
        top_k: Keep so many of the most probable classes of each example, and what the others share
            (:mod:`~goodteacher.responses.top_k`); by default all are kept.
        temperature: At which the others' share is kept: where students are to learn.

    Returns:
        With ``top_k``, what is stored and how much was lost, in nats; otherwise None.

    Raises:
        ResponseError: The name ends otherwise, ``top_k`` is out of range, or the file cannot be
            written.

    Example:
        >>> import tempfile
        >>> response = Response(torch.eye(3), torch.tensor([4, 2, 0]))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_response(Path(folder) / "epoch-4.safetensors", response)
        ...     read_response(Path(folder) / "epoch-4.safetensors", probabilities=True).ids
        tensor([4, 2, 0])
    """
    target = Path(path)
    if target.suffix != ".safetensors":
        raise ResponseError(
            f"Responses are written as .safetensors, but the file name is {target.name!r}."
        )
    kept = None if top_k is None else keep_top(response.logits, top_k, temperature=temperature)
    arrays: dict[str, Logits] = response.arrays()
    if kept is not None:
        arrays = {**arrays, **kept.arrays}
        del arrays["logits"]
    notes = {**(metadata or {}), **(kept.notes if kept else {})}
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        save_arrays(temporary, arrays, notes)
        temporary.replace(target)
        return kept
    except OSError as error:
        raise ResponseError(
            f"Cannot write the response to {target}: {error}. Does its folder exist, and is there "
            "space?"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def read_response(
    path: str | os.PathLike[str],
    *,
    probabilities: bool = False,
    class_names: Sequence[str] = (),
) -> Response:
    """Read a response from any of the supported files.

    Args:
        path: ``.safetensors``, ``.npz``, ``.npy``, ``.parquet``, ``.csv``, ``.csv.gz`` or ``.tsv``.
        probabilities: The file holds probabilities: rows at least 0 that sum to 1, up to rounding.
        class_names: The data's classes where they are known. Columns of a table that have their
            names are the classes, in this order, whatever stands beside them.

    Returns:
        The response, float32, with the names of its classes and notes on how it was read.

    Raises:
        ResponseError: The file is missing, unreadable or of an unknown kind; holds no such array,
            values that are not finite, ids that are doubled, or what does not look like what it is
            said to be.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "teacher.npy"
        ...     np.save(path, np.array([[0.9, 0.1], [0.5, 0.5]]))
        ...     read_response(path, probabilities=True).logits.exp().round(decimals=3)
        tensor([[0.9000, 0.1000],
                [0.5000, 0.5000]])
    """
    path = Path(path)
    wanted = Wanted(probabilities=probabilities, class_names=class_names)
    contents = read_contents(path, ResponseError, wanted)
    return _response_of(contents, str(path), probabilities=probabilities)


def as_response(
    given: ResponseLike, *, probabilities: bool = False, class_names: Sequence[str] = ()
) -> Response:
    """Return a response, from whatever holds one; all are examined alike.

    Args:
        given: A file; a :class:`Response`, whose numbers are logits unless they look like
            probabilities; a tensor or array [N, C], whose rows are in the data's order; a mapping
            of arrays as an ``.npz`` file holds; or a pandas data frame, read as a table.
        probabilities: The numbers are probabilities.
        class_names: As :func:`read_response` takes them.

    Raises:
        ResponseError: It holds no response, or see :func:`read_response`.

    Example:
        >>> as_response(torch.tensor([[0.9, 0.1]]), probabilities=True).logits.exp()
        tensor([[0.9000, 0.1000]])
    """
    if isinstance(given, str | os.PathLike):
        return read_response(given, probabilities=probabilities, class_names=class_names)
    if isinstance(given, Response):
        return _examined(given, probabilities)
    wanted = Wanted(probabilities=probabilities, class_names=class_names)
    try:
        contents = _contents_of(given, wanted)
    except MalformedError as problem:
        raise ResponseError(f"The response: {problem}") from None
    return _response_of(contents, "the response", probabilities=probabilities)


def read_recorded(path: str | os.PathLike[str]) -> Response:
    """Read what :func:`write_response` has written, without judging it.

    Args:
        path: ``.safetensors``.

    Raises:
        ResponseError: The file is missing or damaged.
    """
    contents = read_contents(Path(path), ResponseError, Wanted())
    arrays, ids = contents.arrays, contents.arrays.get("ids")
    if is_top_k(arrays):
        logits = _of_top_k(contents, str(path))
    elif "logits" not in arrays:
        raise ResponseError(f"{path} holds {_listed(arrays)}, but no 'logits'. Is it a response?")
    else:
        logits = rows_of(arrays["logits"])
    rows = torch.arange(len(logits)) if ids is None else torch.from_numpy(ids)
    return Response(logits, rows, ids is not None)


def read_labels(path: str | os.PathLike[str]) -> Labels:
    """Read labels, and ids where given, from any of the supported files.

    Args:
        path: ``.safetensors``, ``.npz``, ``.npy``, ``.parquet`` or ``.csv``.

    Returns:
        The labels, int64; names of classes are numbered in the order of the alphabet, and kept.

    Raises:
        DataError: The file is missing, unreadable or of an unknown kind; holds no labels, or
            labels that are neither whole numbers from 0 (or -1, unlabelled) nor names, or ids that
            are doubled.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "labels.npz"
        ...     np.savez(path, labels=[1, 0], ids=[10, 11])
        ...     labels = read_labels(path)
        >>> labels.labels.tolist(), labels.ids.tolist()
        ([1, 0], [10, 11])
    """
    path = Path(path)
    arrays = read_contents(path, DataError, Wanted(classes=False)).arrays
    name = _pick(arrays, (*LABEL_NAMES, UNNAMED))
    if name is None:
        raise DataError(
            f"{path} holds {_listed(arrays)}, but no labels. Name them 'labels', 'label' or 'y'."
        )
    values = arrays[name]
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    class_names: tuple[str, ...] = ()
    if values.dtype.kind == "S":
        values = decoded(values, f"The column of labels in {path}", name="labels")
    if values.dtype.kind in "UO" and not _are_numerals(values):
        names, values = np.unique(values.astype(str), return_inverse=True)
        class_names = tuple(names.tolist())
        if not all(map(str.strip, class_names)):
            raise DataError(
                f"Labels in {path} are missing for some examples. Fill them in, or leave these "
                "examples out and give ids for the others."
            )
    labels = _whole_numbers(values, f"Labels in {path}", DataError)
    if labels.ndim != 1:
        raise DataError(
            f"Labels in {path} must be one class number for each example, but have shape "
            f"{list(labels.shape)}. If they are one-hot, give their argmax."
        )
    ids = _ids(arrays, len(labels), str(path), DataError)
    rows = torch.arange(len(labels)) if ids is None else ids
    return Labels(labels, rows, ids is not None, class_names)


# --- from arrays to a response -----------------------------------------------------------------


def _response_of(contents: Contents, what: str, *, probabilities: bool) -> Response:
    arrays = contents.arrays
    logits, notes = _logits_of(contents, what, probabilities=probabilities)
    ids = _ids(arrays, len(logits), what, ResponseError)
    return Response(
        logits,
        torch.arange(len(logits)) if ids is None else ids,
        ids is not None,
        class_names=contents.class_names,
        labels=_labels_beside(arrays, len(logits)),
        notes=(*(f"{what}: {note}" for note in contents.notes), *notes),
    )


def _logits_of(
    contents: Contents, what: str, *, probabilities: bool
) -> tuple[Logits, tuple[str, ...]]:
    if is_top_k(contents.arrays):
        return _of_top_k(contents, what), (told_of(contents.header, what),)
    values, name = _class_values(contents.arrays, what, probabilities=probabilities)
    shown = what if name == UNNAMED else f"{name!r} in {what}"
    try:
        return logits_of(values, shown, probabilities=probabilities)
    except ResponseError as error:
        left_out = "".join(f" Note: {note}" for note in contents.notes)
        raise ResponseError(f"{error}{left_out}") from None


def _of_top_k(contents: Contents, what: str) -> Logits:
    rows = read_top_k(contents.arrays, contents.header.get(NUM_CLASSES), what)
    return rows if is_large(*rows.shape) else rows.whole()


def _examined(response: Response, probabilities: bool) -> Response:
    """Examine a response made in memory: its numbers are logits, unless they cannot be."""
    if isinstance(response.logits, LazyRows):
        return response
    values = response.logits.detach().cpu().numpy()
    flag = probabilities and look_like_probabilities(values)
    logits, notes = logits_of(values, "the response", probabilities=flag)
    return dataclasses.replace(response, logits=logits, notes=(*response.notes, *notes))


def _contents_of(given: Any, wanted: Wanted) -> Contents:
    if isinstance(given, Mapping):
        return from_arrays({str(name): _array(value) for name, value in given.items()})
    if hasattr(given, "columns") and hasattr(given, "index"):
        return from_table(_table_of(given), wanted)
    return Contents({UNNAMED: _array(given)})


def _array(value: Any) -> Array:
    if isinstance(value, Tensor):
        return as_array(value)
    try:
        return np.asarray(value)
    except ValueError as error:
        raise MalformedError(
            f"it is not an array of numbers ({error}). Give an array [N, C]."
        ) from None


def _table_of(frame: Any) -> Any:
    """Return a data frame as a table; its index must number the rows, or be named as ids."""
    index = np.asarray(frame.index)
    named = [name for name in frame.index.names if name is not None]
    if named and named[0] in ID_NAMES and named[0] not in frame.columns:
        frame = frame.reset_index()
    elif not np.array_equal(index, np.arange(len(frame))):
        raise MalformedError(
            f"the data frame's index is not 0..{len(frame) - 1}, but begins "
            f"{index[:_SHOWN].tolist()}. If it says which example a row is, call it 'id': "
            "frame.rename_axis('id'). Otherwise drop it: frame.reset_index(drop=True)."
        )
    frame = frame.rename(columns=str)
    return pa.Table.from_pandas(frame, preserve_index=False)


def _labels_beside(arrays: Mapping[str, Array], length: int) -> Tensor | None:
    """Return labels that stand beside a response, if they are class numbers."""
    name = _pick(arrays, LABEL_NAMES)
    if name is None or arrays[name].dtype.kind not in "iuf" or arrays[name].size != length:
        return None
    values = arrays[name].reshape(-1)
    near = np.isfinite(values) & (np.abs(values.astype(np.float64)) <= 2**53)
    whole = bool((near & (values == np.floor(values))).all())
    return torch.from_numpy(values.astype(np.int64)) if whole else None


def _class_values(
    arrays: Mapping[str, Array], what: str, *, probabilities: bool
) -> tuple[Array, str]:
    """Find the ``[num_examples, num_classes]`` array, whatever the kind of file, and its name."""
    names = ("probabilities", "logits", UNNAMED) if probabilities else ("logits", UNNAMED)
    name = _pick(arrays, names)
    if name is None and "probabilities" in arrays:
        raise ResponseError(
            f"{what} holds 'probabilities', not 'logits'. Pass probabilities=True "
            "(--probabilities) to use them, or save the teacher's raw logits as 'logits'."
        )
    if name is None:
        raise ResponseError(
            f"{what} holds {_listed(arrays)}, but no 'logits' (or 'probabilities') and no numeric "
            "column for each class. Call the array 'logits'."
        )
    return arrays[name], name


def _ids(
    arrays: Mapping[str, Array], length: int, what: str, error: type[InputError]
) -> Tensor | None:
    name = _pick(arrays, ID_NAMES)
    if name is None:
        return None
    values = arrays[name]
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    ids = _whole_numbers(values, f"Ids in {what}", error)
    check_ids(ids, length, what, error)
    return ids


def _whole_numbers(values: Array, what: str, error: type[InputError]) -> Tensor:
    if values.dtype.kind in "USO" and _are_numerals(values):
        values = np.array([int(value) for value in values.ravel()]).reshape(values.shape)
    # Floats are whole only below 2^53; integers may be unsigned beyond int64.
    is_float = values.dtype.kind == "f"
    wide = values.astype(np.float64) if is_float else values
    limit = 2**53 if is_float else 2**63 - 1
    near = wide.dtype.kind in "iuf" and bool((np.isfinite(wide) & (wide <= limit)).all())
    whole = near and bool(((wide == np.floor(wide)) & (wide >= -limit)).all())
    if not whole:
        raise error(
            f"{what} must be whole numbers, one for each row, but are {values.dtype} such as "
            f"{values.ravel()[:_SHOWN].tolist()}. {_numbering(what)}"
        )
    return torch.from_numpy(wide.astype(np.int64))


def _numbering(what: str) -> str:
    if what.startswith("Ids"):
        return (
            "The ids of the data are row numbers, unless the data have a column of ids. Give the "
            "same ids, or put the rows in the data's order and leave the ids out."
        )
    return "Number the classes from 0."


def _are_numerals(values: Array) -> bool:
    """Tell whether texts are all whole numbers, such as "00012"."""
    return bool(values.size) and all(
        isinstance(value, str) and re.fullmatch(r"\s*-?\d{1,18}\s*", value)
        for value in values.ravel().tolist()
    )


def _pick(arrays: Mapping[str, Array], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in arrays), None)


def _listed(arrays: Mapping[str, Array]) -> str:
    return ", ".join(repr(name) for name in arrays) if arrays else "nothing usable"
