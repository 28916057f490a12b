"""What predict functions return for a batch of examples, as numbers for each class.

array or tensor [n, K]                        logits or probabilities
data frame [n, K]                             the same, its columns are the classes
n dictionaries {class: score}                 all classes, or the best few
n lists of {"label": class, "score": score}   the same, as pipelines of transformers return it
Scored [n, K]                                 what has been read already
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from goodteacher.errors import ResponseError

_Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """What a predict function said about some examples.

    Attributes:
        values: [n, K]; 0 for a class that was not among the best few of an example.
        names: The class of each column; nothing where the function does not say.
    """

    values: _Values
    names: tuple[str, ...] = ()


def scored(output: Any, count: int) -> Scored:
    """Read what a predict function returned.

    Args:
        output: See the module.
        count: How many examples it was given.

    Raises:
        ResponseError: It is something else; the message says what to return.

    Example:
        >>> said = [{"cat": 0.75, "dog": 0.25}, {"dog": 1.0}]
        >>> scored(said, 2).names, scored(said, 2).values.tolist()
        (('cat', 'dog'), [[0.75, 0.25], [0.0, 1.0]])
    """
    if isinstance(output, Scored):
        return Scored(_numbers(output.values, count), output.names)
    if isinstance(output, Mapping):
        raise ResponseError(
            f"For {count} examples the function returned one dictionary "
            f"({', '.join(map(str, list(output)[:5]))}). Return a row for each example, for "
            "example as an array [examples, classes]."
        )
    if isinstance(output, Sequence) and not isinstance(output, str) and output:
        if isinstance(output[0], Mapping) or _are_listed(output[0]):
            return _of_names(output, count)
        if isinstance(output[0], str):
            raise _only_labels(f"{output[0]!r}, ...")
    names = tuple(map(str, output.columns)) if hasattr(output, "columns") else ()
    return Scored(_numbers(output, count), names)


def joined(parts: Sequence[Scored]) -> Scored:
    """Join what was said about one batch after another; classes are matched by name.

    Args:
        parts: At least one.

    Raises:
        ResponseError: Some batches name their classes and others do not, or their numbers differ.

    Example:
        >>> a, b = Scored(np.ones((1, 1)), ("x",)), Scored(np.ones((1, 1)), ("y",))
        >>> joined([a, b]).values.tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    names = tuple(dict.fromkeys(name for part in parts for name in part.names))
    widths = {part.values.shape[1] for part in parts if not part.names}
    if len(widths) > 1 or (names and widths):
        raise ResponseError(
            "The function returned batches of different kinds: "
            f"{', '.join(sorted(f'{width} columns' for width in widths))}"
            f"{' and classes by name' if names else ''}. Return the same classes for each batch."
        )
    if not names:
        return Scored(np.concatenate([part.values for part in parts]))
    return Scored(np.concatenate([_placed(part, names) for part in parts]), names)


def _placed(part: Scored, names: tuple[str, ...]) -> _Values:
    place = {name: column for column, name in enumerate(names)}
    whole = np.zeros((len(part.values), len(names)))
    whole[:, [place[name] for name in part.names]] = part.values
    return whole


def _are_listed(entry: Any) -> bool:
    """Say whether an example's answer is a list of labels with scores."""
    return isinstance(entry, Sequence) and bool(entry) and isinstance(entry[0], Mapping)


def _of_names(output: Sequence[Any], count: int) -> Scored:
    if len(output) != count:
        raise _other_count(len(output), count)
    rows = [_by_name(entry) for entry in output]
    names = tuple(dict.fromkeys(name for row in rows for name in row))
    return Scored(
        np.concatenate([_placed(Scored(_row(row), tuple(row)), names) for row in rows]), names
    )


def _row(scores: Mapping[str, float]) -> _Values:
    return np.array([list(scores.values())], np.float64)


def _by_name(entry: Any) -> dict[str, float]:
    """Return the score of each class that an example's answer names."""
    if isinstance(entry, Mapping) and entry.keys() >= {"label", "score"}:
        raise ResponseError(
            "The function returned one label with its score for an example. That contains no "
            "information about the other classes. Return all of them, for example with "
            "pipeline(..., top_k=None)."
        )
    pairs = [*entry.items()] if isinstance(entry, Mapping) else [_pair(each) for each in entry]
    try:
        found = [(str(name), float(score)) for name, score in pairs]
    except (TypeError, ValueError) as error:
        raise ResponseError(
            f"The score of a class must be a number, but the function returned {entry!r:.200}."
        ) from error
    if len(dict(found)) < len(found):
        raise ResponseError(f"The function returned the same class twice: {entry!r:.200}.")
    return dict(found)


def _pair(each: Any) -> tuple[Any, Any]:
    if isinstance(each, Mapping) and each.keys() >= {"label", "score"}:
        return each["label"], each["score"]
    raise ResponseError(
        f"The answer for an example must have label and score of each class, but has {each!r:.200}."
    )


def _numbers(output: Any, count: int) -> _Values:
    if hasattr(output, "detach"):
        output = output.detach().cpu()
    try:
        values = np.asarray(output)
        numeric = values.dtype.kind in "biuf"
        values = values.astype(np.float64) if numeric else values
    except (TypeError, ValueError) as error:
        raise ResponseError(
            f"The function returned a {type(output).__name__} that cannot be converted to an "
            f"array ({error}). Return an array [examples, classes] of logits or probabilities."
        ) from error
    if not numeric:
        raise _only_labels(f"an array of {values.dtype}")
    if values.ndim == 2 and values.shape[0] == count and values.shape[1] > 1:
        return values
    raise _other_shape(values, count)


def _other_shape(values: npt.NDArray[Any], count: int) -> ResponseError:
    shape = list(values.shape)
    told = f"For {count} examples the function returned an array of shape {shape}"
    if shape in ([count], [count, 1]):
        return ResponseError(
            f"{told}, which is one number for each example. A predicted label contains no "
            "information about the other classes. If it is the probability p of the second of "
            "two classes, return both: np.stack([1 - p, p], axis=1)."
        )
    if len(shape) == 2 and shape[1] == count:
        return ResponseError(
            f"{told}. If that is a row for each class, return the transpose, with a row for each "
            "example."
        )
    if len(shape) == 2:
        return _other_count(shape[0], count)
    return ResponseError(f"{told}, but [{count}, classes] is needed.")


def _other_count(found: int, count: int) -> ResponseError:
    return ResponseError(
        f"For {count} examples the function returned {found} rows. Does it drop the last batch, "
        "pad a batch, or join several? Return a row for each example, in their order."
    )


def _only_labels(shown: str) -> ResponseError:
    return ResponseError(
        f"The function returns labels ({shown}). A label contains no information about the other "
        "classes, which students learn from. Return probabilities or logits of all classes, as "
        "predict_proba does."
    )
