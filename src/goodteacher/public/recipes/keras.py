"""Keras: ``keras.distillation.Distiller``, and the ``Distiller`` of the examples at keras.io."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from goodteacher.errors import ConfigError
from goodteacher.public.recipes.given import Given
from goodteacher.public.recipes.objective import Objective
from goodteacher.public.recipes.training import Schooling


def keras(
    given: Given, objective: Objective, schooling: Schooling, num_classes: int | None
) -> None:
    """Translate `alpha * CE + (1 - alpha) * T^2 * KL`: in Keras the weight is that of the labels.

    Args:
        given: ``alpha`` and ``temperature`` of the example's ``Distiller.compile``, or
            ``student_loss_weight``, ``distillation_losses`` and ``distillation_loss_weights``;
            ``temperature_squared=false`` for the example as it was before it had T^2, and
            ``labels_at_temperature`` where the labels see the student's softened logits.
        objective: Receives the loss.
        schooling: Receives how the student is trained.
        num_classes: Not needed: its KL is summed over classes.

    Raises:
        ConfigError: It is a loss of features, or weights are missing or contradict each other.
    """
    if "alpha" in given and "student_loss_weight" in given:
        raise ConfigError(
            f"alpha and student_loss_weight are both in {given.name}: the first belongs to the "
            "example's Distiller, the second to keras.distillation. Leave out one of them."
        )
    smoothing = _hard_term(given)
    if "alpha" in given or "student_loss_weight" not in given:
        _example(given, objective, smoothing)
    else:
        _built_in(given, objective, smoothing)
    _schooling(given, schooling)


def _example(given: Given, objective: Objective, smoothing: float) -> None:
    alpha = given.number("alpha", low=0, high=1)
    temperature = given.number("temperature", low=0, above=True)
    if alpha is None or temperature is None:
        objective.notes.append("Its alpha is 0.1 and its temperature 3 unless given.")
    alpha = 0.1 if alpha is None else alpha
    temperature = 3.0 if temperature is None else temperature
    loss = _name_of(given, "distillation_loss_fn", "kl_divergence")
    if loss not in ("kldivergence", "kld", "categoricalcrossentropy"):
        raise ConfigError(
            f"distillation_loss_fn = {loss} in {given.name} cannot be translated. KLDivergence "
            "and CategoricalCrossentropy, which differ by a constant, can."
        )
    squared = given.value("temperature_squared") is None or given.yes("temperature_squared")
    objective.add_labels(alpha, smoothing=smoothing)
    objective.add_teacher(
        (1 - alpha) * (1 if squared else temperature**-2), loss="kl", temperature=temperature
    )
    if given.yes("labels_at_temperature"):
        objective.soften_labels(temperature)
    objective.notes.append(_turned("alpha", alpha, temperature))
    if not squared:
        objective.notes.append(
            "Without T^2, as in older versions of the example, its teacher term has the weight "
            f"1/{temperature:g}^2 of ours."
        )
    elif given.value("temperature_squared") is None:
        objective.notes.append(
            "It is assumed that the loss has T^2, as in the current example at keras.io. Older "
            "versions do not have it: for one of them, add temperature_squared=false."
        )
    if loss == "categoricalcrossentropy":
        objective.notes.append(
            "CategoricalCrossentropy of softened probabilities is KL plus the teacher's entropy, a "
            "constant: the value differs by it, the gradient does not."
        )


def _built_in(given: Given, objective: Objective, smoothing: float) -> None:
    if given.value("temperature_squared") is not None and not given.yes("temperature_squared"):
        raise ConfigError(
            "temperature_squared applies to the example's Distiller, whose older versions have "
            "no T^2. This is keras.distillation, which always has T^2. Leave temperature_squared "
            "out."
        )
    weight = given.number("student_loss_weight", low=0, high=1)
    weight = 0.5 if weight is None else weight
    losses = _losses(given)
    logits = [n for n, loss in enumerate(losses) if _is_logits(loss)]
    if len(logits) != 1:
        raise ConfigError(
            f"{given.name} has {len(logits)} LogitsDistillation among its {len(losses)} losses, "
            "but a recipe has only one term for the teacher's response. Give only one."
        )
    for loss in losses:
        if not _is_logits(loss):
            objective.exact = False
            objective.notes.append(
                f"{_shown(loss)} is left out, because goodteacher uses only the teacher's response."
            )
    temperature = _logits(losses[logits[0]], given, objective)
    factor = _factors(given, len(losses))[logits[0]]
    objective.add_labels(weight, smoothing=smoothing)
    objective.add_teacher((1 - weight) * factor, loss="kl", temperature=temperature)
    objective.notes.append(_turned("student_loss_weight", weight, temperature))
    if factor != 1:
        objective.notes.append(f"distillation_loss_weights multiplies the teacher by {factor:g}.")


def _losses(given: Given) -> list[Any]:
    """Return the distillation losses; a temperature alone is meant of LogitsDistillation."""
    if given.below("distillation_losses"):
        return [_part(given)]
    losses = given.value("distillation_losses")
    if losses is None:
        temperature = given.number("temperature", low=0, above=True)
        return [{"name": "LogitsDistillation", "temperature": temperature}]
    return losses if isinstance(losses, list) else [losses]


def _factors(given: Given, count: int) -> list[float]:
    """Return the weight of each distillation loss, 1 unless given."""
    weights = given.value("distillation_loss_weights")
    if weights is None:
        return [1.0] * count
    each = weights if isinstance(weights, list) else [weights]
    numbers = [Given({"w": weight}, given.name).number("w", low=0) for weight in each]
    if len(numbers) != count or None in numbers:
        raise ConfigError(
            f"distillation_loss_weights = {weights} in {given.name} must be one number for each "
            f"of the {count} distillation losses, as Keras also requires."
        )
    return [number for number in numbers if number is not None]


def _turned(name: str, weight: float, temperature: float) -> str:
    return (
        f"In Keras {name} weights the labels ({weight:g}), in goodteacher alpha weights the "
        f"teacher; temperature is {temperature:g} in both. Keras' KLDivergence sums over classes "
        "and has the mean over the batch, as ours, and keeps probabilities above 1e-7."
    )


def _part(given: Given) -> dict[str, Any]:
    """Return the only distillation loss, whose own loss may be a name or a call."""
    at = "distillation_losses"
    part = {key: given.value(f"{at}.{key}") for key in given.below(at)}
    if f"{at}.loss.name" in given:
        part["loss"] = {"name": given.text(f"{at}.loss.name")}
    return part


def _is_logits(loss: Any) -> bool:
    return isinstance(loss, Mapping) and loss.get("name") == "LogitsDistillation"


def _logits(loss: Mapping[str, Any], given: Given, objective: Objective) -> float:
    """Return the temperature of a ``LogitsDistillation``."""
    part = Given(loss, given.name)
    if part.text("name") != "LogitsDistillation":
        raise ConfigError(
            f"{part.text('name')} in {given.name} cannot be translated, because goodteacher uses "
            "only the teacher's response. LogitsDistillation can be translated."
        )
    kind = _name_of(part, "loss", "kl_divergence")
    if kind not in ("kldivergence", "kld"):
        raise ConfigError(
            f"loss = {kind} of LogitsDistillation in {given.name} cannot be translated: with any "
            "loss except KL, Keras uses the logits divided by T, without softmax and T^2. "
            "KLDivergence() can be translated."
        )
    if "loss.name" not in part:
        objective.exact = False
        objective.notes.append(_BY_NAME)
    return part.number("temperature", low=0, above=True) or 3.0


_BY_NAME = (
    "This is LogitsDistillation as Keras documents it. Keras 3.15 computes that only with "
    "loss=keras.losses.KLDivergence(); with the name 'kl_divergence', its default, it takes KL of "
    "the logits themselves, clipped to 1e-7..1, without softmax and T^2."
)


def _shown(loss: Any) -> str:
    return str(loss.get("name")) if isinstance(loss, Mapping) else str(loss)


def _name_of(given: Given, path: str, default: str) -> str:
    """Return a loss or an optimizer by its name without case and underscores."""
    name = given.text(f"{path}.name") or given.text(path) or default
    return re.sub(r"\W.*", "", name.rpartition(".")[2]).lower().replace("_", "")


def _hard_term(given: Given) -> float:
    """Return the label smoothing of the student's own loss."""
    loss = _name_of(given, "student_loss_fn", "") or _name_of(given, "loss", "")
    if loss not in ("", "sparsecategoricalcrossentropy", "categoricalcrossentropy"):
        raise ConfigError(
            f"the student's loss {loss} in {given.name} cannot be translated, because our term "
            "for the labels is a cross-entropy over classes."
        )
    given.value("student_loss_fn.from_logits"), given.value("loss.from_logits")
    smoothings = (given.number(f"{x}.label_smoothing", low=0) for x in ("student_loss_fn", "loss"))
    return next((smoothing for smoothing in smoothings if smoothing), 0.0)


def _schooling(given: Given, schooling: Schooling) -> None:
    schooling.epochs = given.whole("epochs")
    schooling.batch_size = given.whole("batch_size")
    name = _name_of(given, "optimizer", "")
    if not name:
        return
    rate = given.number("optimizer.learning_rate", low=0, above=True)
    rate = given.number("learning_rate", low=0, above=True) if rate is None else rate
    decay = given.number("optimizer.weight_decay", low=0)
    default = {"sgd": 0.01}.get(name, 0.001)
    schooling.learning_rate = default if rate is None else rate
    schooling.optimizer = name
    schooling.schedule = "constant"
    if decay is None and name == "adamw":
        decay = 0.004
    if decay and name == "adam":
        schooling.optimizer = "adamw"  # Keras takes weight decay apart from the gradient
    schooling.weight_decay = decay
    if name == "sgd":
        schooling.momentum = given.number("optimizer.momentum", low=0) or 0.0
        schooling.nesterov = given.yes("optimizer.nesterov")
