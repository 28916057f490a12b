"""The door of layer 1: what a response and its labels must be, and what an unlabelled example is.

This module sits below the other maths; it imports ``errors`` and ``rows`` alone.
The checks that look at *values* make the host wait for the device, so they stand at the public
functions that measure a response once, never in a training step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from goodteacher.errors import ConfigError, ResponseError
from goodteacher.maths.rows import LazyRows, Logits, count_unusable

UNLABELLED = -1
"""The label of an example that has none: only the teacher speaks for it."""


def fill_unlabelled(labels: Tensor, logits: Tensor) -> Tensor:
    """Give each unlabelled example the teacher's most probable class.

    Args:
        labels: int64 `[N]`; `UNLABELLED` (-1) marks an example without a label.
        logits: The teacher's response, `[..., N, C]`.

    Returns:
        int64 `[..., N]`: the labels, with every -1 replaced by `argmax(logits)`.

    Example:
        >>> fill_unlabelled(torch.tensor([0, -1]), torch.tensor([[1.0, 2.0], [1.0, 2.0]]))
        tensor([0, 1])
    """
    return torch.where(labels == UNLABELLED, logits.argmax(-1), labels)


def check_response(logits: Logits, labels: Tensor, *, allow_unlabelled: bool = True) -> None:
    """Refuse a response that cannot be measured.

    Args:
        logits: Must be floating point, `[N, C]` with N >= 1 and C >= 2, and finite; `-inf` stands
            for probability 0 where another class of the row is finite.
        labels: Must be integers, `[N]`, in `0..C-1`, or -1 where that is allowed.
        allow_unlabelled: Whether -1 may stand for "no label".

    Raises:
        ResponseError: With the value, the rule, the likely cause and the next step.

    Example:
        >>> check_response(torch.zeros(3, 4), torch.tensor([0, 3, -1]))
    """
    _check_logits(logits)
    num_examples, num_classes = logits.shape
    check_labels(labels, num_examples, num_classes, allow_unlabelled=allow_unlabelled)


def check_labels(
    labels: Tensor, num_examples: int, num_classes: int, *, allow_unlabelled: bool = True
) -> None:
    """Refuse labels that do not name one class for each example.

    Args:
        labels: Must be integers, `[num_examples]`, in `0..num_classes-1`, or -1 where allowed.
        num_examples: Examples in the response, at least 1.
        num_classes: Classes in the response, at least 2.
        allow_unlabelled: Whether -1 may stand for "no label".

    Raises:
        ResponseError: With the value, the rule, the likely cause and the next step.
    """
    if not isinstance(labels, Tensor) or not is_integer(labels):
        raise ResponseError(
            f"labels must be a tensor of integers, but got {_kind(labels)}. "
            "Are these probabilities or one-hot rows? Pass the class index of each example."
        )
    if labels.shape != (num_examples,):
        raise ResponseError(
            f"labels must have shape [{num_examples}], one for each row of the logits, but got "
            f"{list(labels.shape)}. Do both come from the same split, aligned by id?"
        )
    lowest, highest = int(labels.min()), int(labels.max())
    if highest >= num_classes or lowest < (UNLABELLED if allow_unlabelled else 0):
        wrong = highest if highest >= num_classes else lowest
        raise ResponseError(
            f"{_label_rule(num_classes, allow_unlabelled)}, but got {wrong}. {_WHY}"
        )


def check_temperature(temperature: float) -> None:
    """Refuse a temperature that is not a positive, finite number.

    Raises:
        ConfigError: With the value and the rule.

    Example:
        >>> check_temperature(4.0)
    """
    if not (temperature > 0 and math.isfinite(temperature)):
        raise ConfigError(
            f"temperature must be positive and finite, but got {temperature}. "
            "Common values are 1 to 20; 1 leaves the response as it is."
        )


def check_alpha(alpha: float) -> None:
    """Refuse a weight of the teacher term outside `[0, 1]`.

    Raises:
        ConfigError: With the value and the rule.

    Example:
        >>> check_alpha(0.5)
    """
    if not 0 <= alpha <= 1:
        raise ConfigError(
            f"alpha must be in 0..1, but got {alpha}. It weights the teacher term, and 1 - alpha "
            "the labels. Other tools weight the labels, or use two weights: rescale these to a "
            "sum of 1."
        )


def check_batch(student_logits: Tensor, teacher_logits: Tensor, labels: Tensor) -> None:
    """Refuse a batch whose shapes or types do not fit a loss; no value is looked at.

    Args:
        student_logits: Must be floating point, `[..., N, C]` with N >= 1 and C >= 2.
        teacher_logits: Must be floating point and broadcast to the students over leading axes.
        labels: Must be int64 `[N]`.

    Raises:
        ResponseError: With the value, the rule, the likely cause and the next step.
    """
    student, teacher = list(student_logits.shape), list(teacher_logits.shape)
    if not (student_logits.is_floating_point() and teacher_logits.is_floating_point()):
        raise ResponseError(
            "student_logits and teacher_logits must be floating point, but got "
            f"{student_logits.dtype} and {teacher_logits.dtype}. Are these class indices? "
            "Pass the raw outputs of the last layer."
        )
    if len(student) < 2 or student[-2] < 1 or student[-1] < 2:
        raise ResponseError(
            f"student_logits must have shape [..., N, C] with N >= 1 and C >= 2, but got {student}."
            " Is the batch empty, or does the student end in one unit?"
        )
    if teacher[-2:] != student[-2:] or not _broadcasts(teacher[:-2], student[:-2]):
        raise ResponseError(
            f"student_logits and teacher_logits must have equal shape, but got {student} and "
            f"{teacher}. {_likely_cause(student, teacher)}"
        )
    if labels.dtype != torch.int64 or list(labels.shape) != student[-2:-1]:
        raise ResponseError(
            f"labels must be int64 of shape {student[-2:-1]}, but got {labels.dtype} of shape "
            f"{list(labels.shape)}. Pass class indices, one for each example of the batch."
        )


def check_recipe(
    student_logits: Tensor, temperature: float | Tensor, alpha: float | Tensor
) -> None:
    """Refuse a recipe out of range (numbers) or for other students (tensors, by shape only).

    Raises:
        ConfigError: With the value, the rule and the likely cause.
    """
    number_checks = {"temperature": check_temperature, "alpha": check_alpha}
    for name, value in {"temperature": temperature, "alpha": alpha}.items():
        if isinstance(value, Tensor):
            _check_one_per_student(name, value.shape, student_logits.shape[:-2])
        else:
            number_checks[name](value)


def is_integer(tensor: Tensor) -> bool:
    """Tell whether a tensor holds integers (bool is not an integer here)."""
    return not (tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool)


_WHY = (
    "Was the teacher trained on another label set, or do the labels start at 1? "
    "Map them to the teacher's class order first."
)


def _label_rule(num_classes: int, allow_unlabelled: bool) -> str:
    rule = f"labels must be in 0..{num_classes - 1} for a response with {num_classes} classes"
    return rule + (" (or be -1, unlabelled)" if allow_unlabelled else "; -1 is not allowed here")


def _check_logits(logits: Logits) -> None:
    floating = isinstance(logits, Tensor) and logits.is_floating_point()
    if not floating and not isinstance(logits, LazyRows):
        raise ResponseError(
            f"logits must be a floating-point tensor, but got {_kind(logits)}. Are these class "
            "indices, or an array? Pass the raw outputs of the teacher's last layer as a tensor."
        )
    if len(logits.shape) != 2:
        raise ResponseError(
            f"logits must have shape [num_examples, num_classes], but got {list(logits.shape)}. "
            "Is this a single example or a stack of views? Pass one view at a time."
        )
    num_examples, num_classes = logits.shape
    if num_examples == 0:
        raise ResponseError(
            f"logits contain no examples: their shape is {list(logits.shape)}, and at least one "
            "is needed. Is the split empty?"
        )
    if num_classes < 2:
        raise ResponseError(
            f"logits must have at least 2 classes, but their shape is {list(logits.shape)}. If "
            "the network ends in one sigmoid unit, use [0, logit] as two classes."
        )
    bad_rows = count_unusable(logits)
    if bad_rows:
        raise ResponseError(
            f"logits must be finite, but {bad_rows} of {num_examples} rows contain NaN or "
            "infinity (only -inf is allowed, as probability 0, if another class of the row is "
            "finite). Did the teacher diverge, or did it run in float16? Lower its learning "
            "rate, or store float32."
        )


def _kind(value: object) -> str:
    return str(value.dtype) if isinstance(value, Tensor) else type(value).__name__


def _broadcasts(shape: Sequence[int], leading: Sequence[int]) -> bool:
    """Tell whether a shape broadcasts to the leading axes of the students, without growing them."""
    pairs = zip(reversed(shape), reversed(leading), strict=False)
    return len(shape) <= len(leading) and all(size in (1, wanted) for size, wanted in pairs)


def _likely_cause(student: list[int], teacher: list[int]) -> str:
    if teacher[-1:] != student[-1:]:
        return "Was the teacher trained on another label set?"
    return "Do both come from the same batch? Only leading axes (stacked students) may differ."


def _check_one_per_student(name: str, shape: Sequence[int], leading: Sequence[int]) -> None:
    if not _broadcasts(shape, leading):
        raise ConfigError(
            f"{name} must be a number or a tensor of shape {list(leading)}, one for each student, "
            f"but got shape {list(shape)}. Are the students on another axis?"
        )
