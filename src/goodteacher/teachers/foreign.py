"""Asking somebody else's model what it says about examples, and leaving it as it was.

The model is an ``nn.Module`` of any training loop, or a function. It gets batches of examples as
they are stored - images ``uint8 [B, channels, height, width]``, features ``float32 [B, D]``, texts
as a list of strings - unless ``prepare`` turns a batch into what it wants. Modules are run in
evaluation mode without gradients; afterwards every part has the mode that it had, and generators of
random numbers go on as if nothing had been asked.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from goodteacher.data import Split, are_texts
from goodteacher.errors import ConfigError, InputError, ModelError
from goodteacher.networks import inside, logits_of
from goodteacher.training import borrowed, is_out_of_memory, unless_memory_runs_out

Model = Callable[..., Any]
"""A module or a function: a batch in, logits out."""

Prepare = Callable[[Any], Any]
"""Turns a batch of stored examples into what a model wants: a tensor; a mapping, which becomes its
keywords; or a tuple, its arguments."""


def checked_prepare(prepare: Prepare | None) -> Prepare | None:
    """Return what turns examples into what a model wants.

    Raises:
        ConfigError: It is no function.
    """
    if prepare is None or callable(cast("object", prepare)):
        return prepare
    raise ConfigError(
        f"prepare must be a function that takes a batch of examples as they are stored, but is "
        f"{prepare!r}. Without it, the model gets examples as they are."
    )


def stored(split: Split, positions: Tensor) -> Any:
    """Return some examples of a split as they are stored: a tensor, a list of texts, or fields.

    Examples that have several texts are tuples of them.

    Args:
        split: The examples.
        positions: Row positions, int64 [B].
    """
    return _given(split.stored.rows(positions))


def _given(rows: Any) -> Any:
    return list(rows) if isinstance(rows, tuple) else rows


@dataclass(frozen=True)
class Asked:
    """Somebody's model, and how it is asked.

    Attributes:
        model: The model; wrappers of parallel or compiled modules are looked through.
        num_classes: Classes C of the data.
        prepare: Turns a batch of stored examples into what the model wants.
        at_once: Examples in a batch, at most; fewer where memory runs out.
    """

    model: Model
    num_classes: int
    prepare: Prepare | None = None
    at_once: int = 256

    def __call__(self, split: Split, advance: Callable[[int], None] = lambda _: None) -> Tensor:
        """Return what the model says about a split.

        Args:
            split: The examples.
            advance: Told of each batch how many examples it had.

        Returns:
            What the model returned, float32 [len(split), C] on the CPU; it need not be finite.

        Raises:
            ModelError: The model or ``prepare`` failed, or what it returned is no row of C numbers
                for each example.
        """
        model = inside(self.model) if isinstance(self.model, nn.Module) else self.model
        device, size = device_of(model), self.at_once
        with borrowed(), evaluating(model), torch.no_grad(), full_precision():
            found, begun = [], 0
            while begun < len(split):
                parts = torch.arange(begun, len(split)).split(size)
                for rows in split.stored.reads(parts):
                    batch = _given(rows)
                    logits = unless_memory_runs_out(partial(self._say, model, batch, device))
                    if logits is None:
                        size = _halved(size)
                        break
                    found.append(logits)
                    begun += len(logits)
                    advance(len(logits))
        return torch.cat(found)

    def _say(self, model: Model, batch: Tensor | list[str], device: torch.device | None) -> Tensor:
        given: Any = batch
        if self.prepare is not None:
            with _naming(f"prepare failed on a batch of {_described(batch)}", ""):
                given = self.prepare(batch)
        if device is not None:
            given = moved(given, device)
        with _naming(f"The model failed on a batch of {_described(given)}", self._way_out(batch)):
            output = _called(model, given)
        return checked_output(output, len(batch), self.num_classes)

    def _way_out(self, batch: Tensor | list[str]) -> str:
        if self.prepare is not None:
            return (
                " Does prepare return the inputs that the model needs? They may be on any device."
            )
        return (
            f" It got examples as they are stored, {_described(batch)}. If it needs them in "
            "another form, pass prepare=, a function that converts such a batch."
        )


def device_of(model: Model) -> torch.device | None:
    """Return where a module's first weight is; None where that is not known."""
    if not isinstance(model, nn.Module):
        return None
    weights = (*model.parameters(), *model.buffers())
    return weights[0].device if weights else None


@contextlib.contextmanager
def evaluating(model: Model) -> Iterator[None]:
    """Put a module into evaluation mode for the block; each part then has its own mode again."""
    if not isinstance(model, nn.Module):
        yield
        return
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """Leave a loop's autocast for the block.

    What a sure teacher says of the other classes lies in digits that bfloat16 would round away.
    """
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    with contextlib.ExitStack() as stack:
        for device in devices:
            stack.enter_context(torch.autocast(device, enabled=False))
        yield


def moved(value: Any, device: torch.device) -> Any:
    """Bring the tensors of a batch to a device."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, Mapping):
        return {name: moved(each, device) for name, each in value.items()}
    if isinstance(value, tuple):
        return tuple(moved(each, device) for each in value)
    return [moved(each, device) for each in value] if isinstance(value, list) else value


def checked_output(output: Any, count: int, num_classes: int) -> Tensor:
    """Return a model's logits for a batch, or say what is wrong with them.

    Args:
        output: What the model returned: logits, or what holds them.
        count: Examples B of the batch.
        num_classes: C.

    Returns:
        float32 [B, C] on the CPU.

    Raises:
        ModelError: It is something else.

    Example:
        >>> checked_output({"logits": torch.eye(2)}, 2, 2)
        tensor([[1., 0.],
                [0., 1.]])
    """
    logits = _tensor(logits_of(output), output)
    shape = list(logits.shape)
    if shape == [count, num_classes] and not logits.is_complex():
        return logits.detach().float().cpu()
    needed = f"it must return logits of shape [{count}, {num_classes}], one for each class"
    raise ModelError(
        f"For {count} examples the model returned {_plainly(logits.dtype)} of shape {shape}, but "
        f"{needed}. {_why(logits, count, num_classes)}"
    )


def _why(logits: Tensor, count: int, num_classes: int) -> str:
    shape = list(logits.shape)
    if shape == [num_classes, count]:
        return "It has a row for each class. Return the transpose, with a row for each example."
    if logits.ndim == 1 and not logits.is_floating_point():
        return "These look like class numbers. Return the logits before any argmax."
    if shape in ([count], [count, 1]):
        return (
            "One number for each example is not a response. With two classes, return two "
            "columns: 0 and z for a logit z of the second class."
        )
    if logits.ndim == 2 and shape[1] == num_classes:
        return (
            "The number of rows differs from that of the examples. Does it drop or pad a batch, or "
            "join the batches of several processes?"
        )
    if logits.ndim == 2 and shape[0] == count:
        return (
            f"It has {shape[1]} classes and the data have {num_classes}. Was it trained on "
            "another label set, or with a background class?"
        )
    return "Return logits as a tensor, as the first value of a tuple, or under the name 'logits'."


def _tensor(found: Any, output: Any) -> Tensor:
    if isinstance(found, Tensor):
        return found
    try:
        return torch.as_tensor(np.asarray(found))
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"The model returned a {type(output).__name__}without logits. Return a tensor "
            "[examples, classes], or a dict, a tuple or an object that holds it as 'logits'."
        ) from error


def _called(model: Model, given: Any) -> Any:
    if isinstance(given, Mapping):
        return model(**given)
    return model(*given) if isinstance(given, tuple) else model(given)


def _halved(size: int) -> int:
    if size == 1:
        raise ModelError(
            "There is not enough memory for the model and a single example. Free some memory."
        )
    return size // 2


@contextlib.contextmanager
def _naming(what: str, way_out: str) -> Iterator[None]:
    """Say of an error in somebody's code where it came up."""
    try:
        yield
    except Exception as error:
        if isinstance(error, InputError) or is_out_of_memory(error):
            raise
        told = f"{type(error).__name__}: {str(error).strip()[:500]}".rstrip(".: ")
        raise ModelError(f"{what} ({told}).{way_out}") from error


def _described(batch: Any) -> str:
    if isinstance(batch, Tensor):
        return f"{_plainly(batch.dtype)} {list(batch.shape)}"
    if isinstance(batch, Mapping):
        return f"{type(batch).__name__} of {', '.join(map(str, batch))}"
    if isinstance(batch, list) and batch and isinstance(batch[0], str):
        return f"{len(batch)} texts"
    if isinstance(batch, list) and are_texts(batch):
        return f"{len(batch)} tuples of {len(batch[0])} texts"
    return f"type {type(batch).__name__}"


def _plainly(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
