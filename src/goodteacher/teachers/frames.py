"""Rows of a table as a data frame of pandas, as functions and pipelines of others want them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from goodteacher.data import UNSEEN, InputSpec
from goodteacher.errors import ModelError

_UNSEEN = "(never seen in training)"


def frame_of(rows: Tensor, names: Sequence[str], words: Mapping[str, Sequence[str]]) -> Any:
    """Return rows as a data frame of pandas; None where that is not installed.

    Args:
        rows: As they are stored, float32 [N, F]; see `TableRows`.
        names: Of the columns, F.
        words: Those of each column that holds some, by its name.

    Example:
        >>> import torch
        >>> stored = torch.tensor([[1.5, 1.0], [float("nan"), -1.0]])
        >>> frame_of(stored, ["size", "colour"], {"colour": ("blue", "red")}).values.tolist()
        [[1.5, 'red'], [nan, '(never seen in training)']]
    """
    try:
        import pandas as pd
    except ImportError:
        return None
    frame = pd.DataFrame(rows.numpy(), columns=list(names))
    for name, values in words.items():
        known = {float(place): word for place, word in enumerate(values)} | {float(UNSEEN): _UNSEEN}
        found = [known.get(place) for place in frame[name].tolist()]
        frame[name] = pd.Series(found, dtype=object)
    return frame


def framed(spec: InputSpec, prepare: Callable[[Any], Any] | None) -> Callable[[Tensor], Any]:
    """Return what makes of stored rows what a function takes: a data frame, or what becomes of it.

    Args:
        spec: What one row is.
        prepare: Turns a data frame into what the function takes; None gives it as it is.
    """

    def form(rows: Tensor) -> Any:
        frame = frame_of(rows, spec.columns, spec.words)
        if frame is None:
            raise ModelError(
                "A function gets rows of a table as a data frame of pandas, which is not "
                "installed: pip install pandas. Or pass the inputs that it needs with "
                "teacher_inputs=."
            )
        return frame if prepare is None else prepare(frame)

    return form
