"""Teachers in ONNX files, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from goodteacher.errors import ModelError, needed_package

_TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
}


def onnx_teacher(path: str | Path) -> Callable[[Any], Any]:
    """Return a predict function that runs an ONNX file.

    Examples are given in the type that its input wants; fields go to the inputs of their names.
    What it returns is its output of the shape [examples, classes], the first where several are.

    Args:
        path: The file.

    Raises:
        PackageError: ONNX Runtime is missing.
        ModelError: There is no such file, it cannot be run, or has no such output.
    """
    session = _session(path)
    wanted = {each.name: each for each in session.get_inputs()}

    def predict(batch: Any) -> Any:
        given = batch if isinstance(batch, Mapping) else {next(iter(wanted)): batch}
        if given.keys() != wanted.keys():
            own = ", ".join(given) if isinstance(batch, Mapping) else "one, without a name"
            raise ModelError(
                f"{path} needs the inputs {', '.join(wanted)}, but examples have {own}. Pass "
                "prepare=, a function that returns a dictionary of these inputs."
            )
        arrays = {name: _as_wanted(given[name], wanted[name].type) for name in wanted}
        outputs = session.run(None, arrays)
        count = len(next(iter(arrays.values())))
        fitting = [o for o in outputs if isinstance(o, list) or np.shape(o)[:1] == (count,)]
        matrices = [o for o in fitting if isinstance(o, list) or np.ndim(o) == 2]
        if not matrices:
            shapes = [list(np.shape(output)) for output in outputs]
            raise ModelError(
                f"{path} returned outputs of shape {shapes} for {count} examples, and none of "
                "them is [examples, classes]."
            )
        return matrices[0]

    return predict


def _session(path: str | Path) -> Any:
    """Return what runs a file, where it and ONNX Runtime are there."""
    onnxruntime = needed_package("onnxruntime", extra="onnx", what=f"The teacher {path}")
    if not Path(path).is_file():
        raise ModelError(
            f"There is no ONNX file at {Path(path).absolute()}. Give an existing ONNX file, a "
            "function of a batch, for example model.predict_proba, or a model of transformers as "
            "'hf:FOLDER'."
        )
    try:
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:
        told = str(error).strip().partition("\n")[0][:300]
        raise ModelError(
            f"{path} cannot be run ({type(error).__name__}: {told}). Is it a complete ONNX file?"
        ) from error


def _as_wanted(values: Any, kind: str) -> Any:
    array = np.asarray(values)
    return array.astype(_TYPES[kind]) if kind in _TYPES else array
