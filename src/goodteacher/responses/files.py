"""Reading and writing responses and labels."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from goodteacher.errors import DataError, InputError, ResponseError
from goodteacher.responses._arrays import ID_NAMES, LABEL_NAMES, UNNAMED, Array, read_arrays
from goodteacher.responses.containers import Labels, Response, check_ids

PROBABILITY_FLOOR = float(torch.finfo(torch.float32).tiny)
"""What an exact zero among probabilities becomes before its logarithm is taken."""

SUM_TOLERANCE = 1e-3
"""How far the sum of a row of probabilities may lie from one."""

_SHOWN = 5


def write_response(
    path: str | os.PathLike[str], response: Response, *, metadata: Mapping[str, str] | None = None
) -> None:
    """Write a response as safetensors, whole or not at all.

    It is written to a temporary name in the same folder and renamed. Ids are written where the
    response has ids of its own.

    Args:
        path: The file, ending in ``.safetensors``; its folder must exist.
        response: What to write.
        metadata: Text to keep in the header, such as the teacher's batch size and epoch.

    Raises:
        ResponseError: The name ends otherwise, or the file cannot be written.

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
            f"Responses are written as .safetensors, but the name is {target.name!r}."
        )
    arrays = {"logits": response.logits.detach().cpu().contiguous()}
    if response.has_ids:
        arrays["ids"] = response.ids.cpu().contiguous()
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        save_file(arrays, temporary, metadata=dict(metadata or {}))
        temporary.replace(target)
    except (OSError, SafetensorError) as error:
        raise ResponseError(
            f"Cannot write the response to {target}: {error}. Does its folder exist, and is there "
            "room?"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def read_response(
    path: str | os.PathLike[str], *, probabilities: bool = False, num_examples: int | None = None
) -> Response:
    """Read a response from any of the supported files.

    Args:
        path: ``.safetensors``, ``.npz``, ``.npy``, ``.parquet`` or ``.csv``.
        probabilities: The file holds probabilities: rows at least 0 that sum to 1 within 1e-3.
        num_examples: Expected rows of a file **without ids**, whose order must be the data's; a
            file with ids is matched by :meth:`Response.aligned_to` instead and may hold more.

    Returns:
        The response, float32.

    Raises:
        ResponseError: The file is missing, unreadable or of an unknown kind; holds no such array,
            another number of rows, values that are not finite, ids that are doubled, or what does
            not look like what it is said to be.

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
    arrays = read_arrays(path, ResponseError)
    values = _class_values(arrays, path, probabilities=probabilities)
    if probabilities:
        _check_probabilities(values, path)
        values = np.log(np.maximum(values.astype(np.float64), PROBABILITY_FLOOR))
    elif _look_like_probabilities(values):
        raise ResponseError(
            f"Logits are expected in {path}, but every row is non-negative and sums to one: they "
            "look like probabilities. Pass probabilities=True (--probabilities), or save the "
            "teacher's raw logits."
        )
    ids = _ids(arrays, len(values), path, ResponseError)
    if num_examples is not None and ids is None and len(values) != num_examples:
        raise ResponseError(
            f"{path} has {len(values)} rows and no ids, but there are {num_examples} examples. "
            "Without ids, rows must be the examples in order, one each. Add an array or column "
            "'ids', or compute the response on the same split."
        )
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which Response refuses
        logits = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    return Response(logits, torch.arange(len(values)) if ids is None else ids, ids is not None)


def read_labels(path: str | os.PathLike[str]) -> Labels:
    """Read labels, and ids where given, from any of the supported files.

    Args:
        path: ``.safetensors``, ``.npz``, ``.npy``, ``.parquet`` or ``.csv``.

    Returns:
        The labels, int64.

    Raises:
        DataError: The file is missing, unreadable or of an unknown kind; holds no labels, or
            labels that are not whole numbers from 0, or ids that are doubled.

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
    arrays = read_arrays(path, DataError, class_columns=False)
    name = _pick(arrays, (*LABEL_NAMES, UNNAMED))
    if name is None:
        raise DataError(
            f"{path} holds {_listed(arrays)}, but no labels. Name them 'labels', 'label' or 'y'."
        )
    labels = _whole_numbers(arrays[name], f"Labels in {path}", DataError)
    if labels.ndim != 1:
        raise DataError(
            f"Labels in {path} must be a vector of class numbers, but have shape "
            f"{list(labels.shape)}. Are they one-hot? Take their argmax."
        )
    ids = _ids(arrays, len(labels), path, DataError)
    return Labels(labels, torch.arange(len(labels)) if ids is None else ids, ids is not None)


# --- from arrays to a response -----------------------------------------------------------------


def _class_values(arrays: dict[str, Array], path: Path, *, probabilities: bool) -> Array:
    """Find the ``[num_examples, num_classes]`` array, whatever the kind of file."""
    names = ("probabilities", "logits", UNNAMED) if probabilities else ("logits", UNNAMED)
    name = _pick(arrays, names)
    if name is None and "probabilities" in arrays:
        raise ResponseError(
            f"{path} holds 'probabilities', not 'logits'. Pass probabilities=True "
            "(--probabilities) to use them, or save the teacher's raw logits as 'logits'."
        )
    if name is None:
        raise ResponseError(
            f"{path} holds {_listed(arrays)}, but no 'logits' (or 'probabilities')"
            + (", and its columns are not one numeric column for each class" * _is_table(path))
            + ". Name the array 'logits'."
        )
    values = arrays[name]
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        raise ResponseError(
            f"{name!r} in {path} must be numbers of shape [num_examples, num_classes], but is "
            f"{values.dtype} of shape {list(values.shape)}. Is an axis missing or too many?"
        )
    return values


def _check_probabilities(values: Array, path: Path) -> None:
    sums = values.sum(axis=1, dtype=np.float64)
    negative = (values < 0).any(axis=1)
    wrong = np.flatnonzero(negative | ~(np.abs(sums - 1) <= SUM_TOLERANCE))
    if len(wrong):
        row = int(wrong[0])
        raise ResponseError(
            f"Probabilities in {path} must be at least 0 and sum to 1 (within {SUM_TOLERANCE:g}) "
            f"in each row, but {len(wrong)} of {len(values)} rows do not; the first is row {row}, "
            f"which sums to {sums[row]:g} with smallest value {values[row].min():g}. "
            "Are they logits? Then leave probabilities=True (--probabilities) out."
        )


def _look_like_probabilities(values: Array) -> bool:
    sums = values.sum(axis=1, dtype=np.float64)
    return bool(len(values) and (values >= 0).all() and (np.abs(sums - 1) <= SUM_TOLERANCE).all())


def _ids(
    arrays: dict[str, Array], length: int, path: Path, error: type[InputError]
) -> Tensor | None:
    name = _pick(arrays, ID_NAMES)
    if name is None:
        return None
    ids = _whole_numbers(arrays[name], f"Ids in {path}", error)
    check_ids(ids, length, str(path), error)
    return ids


def _whole_numbers(values: Array, what: str, error: type[InputError]) -> Tensor:
    # Floats are whole only below 2^53; integers may be unsigned beyond int64.
    limit = 2**53 if values.dtype.kind == "f" else 2**63 - 1
    whole = values.dtype.kind in "iuf" and bool((np.isfinite(values) & (values <= limit)).all())
    if not whole or not bool((values == np.floor(values)).all()):
        raise error(
            f"{what} must be whole numbers without gaps, but are {values.dtype} such as "
            f"{values.ravel()[:_SHOWN].tolist()}. Number them, from 0 for classes."
        )
    return torch.from_numpy(values.astype(np.int64))


def _pick(arrays: Mapping[str, Array], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in arrays), None)


def _listed(arrays: Mapping[str, Array]) -> str:
    return ", ".join(repr(name) for name in arrays) if arrays else "nothing of use"


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in {".parquet", ".csv"}
