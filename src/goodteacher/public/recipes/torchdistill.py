"""torchdistill: the criterion of a YAML configuration."""

from __future__ import annotations

import math

from goodteacher.errors import ConfigError
from goodteacher.public.recipes.given import Given
from goodteacher.public.recipes.objective import Objective, needed, of_reduction, over_classes
from goodteacher.public.recipes.training import Schooling, stairs


def torchdistill(
    given: Given, objective: Objective, schooling: Schooling, num_classes: int | None
) -> None:
    """Translate the section ``train`` of a torchdistill configuration.

    Args:
        given: The configuration.
        objective: Receives the loss.
        schooling: Receives how the student is trained.
        num_classes: Number of classes, where the configuration does not say it.

    Raises:
        ConfigError: It has several stages, or its loss cannot be translated.
    """
    if "train.criterion" not in given:
        stages = [name for name in given.below("train") if "stage" in name]
        if stages:
            raise ConfigError(
                f"{given.name} trains in stages ({', '.join(stages)}), but goodteacher trains a "
                "student in one stage. Give a file in which 'train' is only the stage with the "
                "teacher's logits."
            )
        raise ConfigError(
            f"{given.name} has no train.criterion, in which torchdistill defines its loss. Is "
            "this the file that is given to --config?"
        )
    batch = _schooling(given, schooling)
    classes = _classes(given) or num_classes
    key = _either(given, "train.criterion", "key", "type")
    if key not in ("WeightedSumLoss", "GeneralizedCustomLoss"):
        _term(given, objective, "train.criterion", 1.0, classes, batch)
        return
    arguments = _arguments(given, "train.criterion")
    for name in given.below(f"{arguments}.sub_terms"):
        place = f"{arguments}.sub_terms.{name}"
        weight = given.number(f"{place}.weight")
        weight = given.number(f"{place}.factor") if weight is None else weight
        if weight is None:
            raise ConfigError(f"{place} in {given.name} has no weight, but torchdistill needs one.")
        _term(given, objective, f"{place}.criterion", weight, classes, batch)
    _of_the_network(given, objective, arguments)


def _classes(given: Given) -> int | None:
    student = "models.student_model"
    images = given.whole(f"{student}.kwargs.num_classes")
    return images or given.whole(f"{student}.config_kwargs.num_labels")


def _of_the_network(given: Given, objective: Objective, arguments: str) -> None:
    """Tell that the loss which the network itself returns is left out."""
    for term in ("model_term", "org_term"):
        weight = given.number(f"{arguments}.{term}.weight")
        if weight:
            objective.exact = False
            objective.notes.append(
                f"The loss that the network itself returns has weight {weight:g} ({term}). The "
                "file does not say what it is, so it is left out. If it is the cross-entropy "
                "with the labels, add it as a term with CrossEntropyLoss."
            )


def _term(
    given: Given,
    objective: Objective,
    place: str,
    weight: float,
    classes: int | None,
    batch: int | None,
) -> None:
    """Add one term of the sum, or tell that we do not have it."""
    key = _either(given, place, "key", "type")
    if key in ("KDLoss", "LogitStdKDLoss"):
        _kd(given, objective, place, weight, classes, batch)
    elif key == "DISTLoss":
        _dist(given, objective, place, weight)
    elif key == "CrossEntropyLoss" and _takes_labels(given, place):
        _labels(given, objective, _arguments(given, place), weight, batch)
    elif key == "MSELoss" and _compares_logits(given, place):
        reduction = given.text(f"{_arguments(given, place)}.reduction", "mean")
        by = 1.0
        if reduction != "mean":
            by = over_classes(reduction, None, batch)
            by *= needed(classes, "MSELoss sums over the classes")
        objective.add_teacher(weight * by, loss="mse", temperature=1.0)
    elif weight:
        objective.exact = False
        objective.notes.append(
            f"{key or 'A term without key'} has weight {weight:g} and is left out, because "
            "goodteacher uses only the teacher's response, with the losses kl, mse, dkd, dist "
            "and ttm."
        )


def _labels(given: Given, objective: Objective, at: str, weight: float, batch: int | None) -> None:
    reduction = given.text(f"{at}.reduction", "mean")
    by = 1.0 if reduction == "mean" else over_classes(reduction, None, batch)
    smoothing = given.number(f"{at}.label_smoothing", low=0, high=1)
    objective.add_labels(weight * by, smoothing=smoothing or 0.0)
    if given.value(f"{at}.weight") is not None:
        objective.exact = False
        objective.notes.append(
            "CrossEntropyLoss has weights for the classes. Ours counts every example equally, "
            "and there is no setting for that."
        )


def _kd(
    given: Given,
    objective: Objective,
    place: str,
    weight: float,
    classes: int | None,
    batch: int | None,
) -> None:
    """Add `alpha * CE + beta * T^2 * KL`; without labels it is `KL` alone, without T^2 and beta."""
    at, key = _arguments(given, place), _either(given, place, "key", "type")
    _final_logits(given, at, key)
    temperature, alpha, beta = _kd_numbers(given, at, key)
    reduction = given.text(f"{at}.reduction", "batchmean")
    by = over_classes(reduction, classes, batch)
    if reduction != "batchmean":
        objective.notes.append(of_reduction(reduction, by))
    standardize = key == "LogitStdKDLoss"
    here = _temperature_here(objective, temperature, classes) if standardize else temperature
    squared = here**-2  # what is without T^2, in units of ours at the temperature here
    if alpha:
        squared *= temperature**2 * beta
        hard = by if reduction == "sum" else 1.0
        smoothing = given.number(f"{at}.label_smoothing", low=0, high=1)
        objective.add_labels(weight * alpha * hard, smoothing=smoothing or 0.0)
        objective.notes.append(
            f"In {key}, alpha weights the labels and beta (1 - alpha, unless given) the teacher; "
            "in goodteacher alpha weights the teacher. Both have T^2."
        )
    else:
        objective.notes.append(
            f"With alpha = 0, {key} omits T^2 (and beta): its teacher term has "
            f"1/{temperature:g}^2 of the weight that it has with alpha slightly above 0."
        )
    objective.add_teacher(
        weight * by * squared, loss="kl", temperature=here, standardize=standardize
    )


def _kd_numbers(given: Given, at: str, key: str) -> tuple[float, float, float]:
    """Return temperature, alpha and beta."""
    temperature = given.number(f"{at}.temperature", low=0, above=True)
    alpha, beta = given.number(f"{at}.alpha", low=0), given.number(f"{at}.beta", low=0)
    if temperature is None or (alpha is None and beta is None):
        raise ConfigError(
            f"{key} in {given.name} needs temperature, and alpha or beta, as torchdistill itself "
            "does. Add them."
        )
    alpha = alpha or 0.0
    if beta is None and alpha > 1:
        raise ConfigError(
            f"{at}.alpha = {alpha:g} in {given.name} must be in 0..1, because without beta the "
            "teacher's weight is 1 - alpha. Correct alpha, or add beta."
        )
    return temperature, alpha, 1 - alpha if beta is None else beta


def _temperature_here(objective: Objective, temperature: float, classes: int | None) -> float:
    """Return the temperature at which our standardised logits are LogitStdKDLoss's."""
    count = needed(classes, "LogitStdKDLoss divides by a standard deviation over C - 1 classes")
    here = temperature * math.sqrt(count / (count - 1))
    objective.notes.append(
        "It standardises logits with the deviation over C - 1 classes, goodteacher over C: "
        f"temperature {temperature:g} there is {here:.6g} here."
    )
    return here


def _dist(given: Given, objective: Objective, place: str, weight: float) -> None:
    at = _arguments(given, place)
    _final_logits(given, at, "DISTLoss")
    between, within = (
        1.0 if number is None else number
        for number in (given.number(f"{at}.beta", low=0), given.number(f"{at}.gamma", low=0))
    )
    if between != within:
        raise ConfigError(
            f"DISTLoss in {given.name} weights its two relations by {between:g} and {within:g}, "
            "but our dist weights them equally, so no recipe is equal to it. Set beta = gamma."
        )
    temperature = given.number(f"{at}.tau", low=0, above=True) or 1.0
    objective.add_teacher(weight * between, loss="dist", temperature=temperature)
    objective.notes.append("DISTLoss is our dist: both relations, times T^2.")


_LAST = ("", "fc", "classifier", "linear", "head")
"""Last parts of paths of layers whose outputs are logits; the path of a whole network is a dot."""


def _final_logits(given: Given, at: str, key: str) -> None:
    """Refuse a loss between layers that are not the last one, and mark the paths as understood."""
    for name in ("student_module_path", "teacher_module_path"):
        path = given.text(f"{at}.{name}", ".")
        if (
            path.rpartition(".")[2] not in _LAST
            or given.text(f"{at}.{name[:-4]}io", "output") != "output"
        ):
            raise ConfigError(
                f"{key} in {given.name} compares {name} = {path!r}, but goodteacher compares "
                "logits, which are the output of '.'. A loss between inner layers cannot be "
                "translated."
            )


def _takes_labels(given: Given, place: str) -> bool:
    """Tell whether a loss compares the student's logits with the labels."""
    at = f"{place.rpartition('.')[0]}.criterion_wrapper"
    if at not in given:
        return True
    given.value(f"{at}.key")
    student = not given.yes(f"{at}.kwargs.input.is_from_teacher") and _is_output(given, at, "input")
    return student and given.yes(f"{at}.kwargs.target.uses_label")


def _compares_logits(given: Given, place: str) -> bool:
    """Tell whether a loss compares the student's logits with the teacher's."""
    at = f"{place.rpartition('.')[0]}.criterion_wrapper"
    given.value(f"{at}.key")
    sides = {given.yes(f"{at}.kwargs.{side}.is_from_teacher") for side in ("input", "target")}
    both = _is_output(given, at, "input") and _is_output(given, at, "target")
    return sides == {True, False} and both and not given.yes(f"{at}.kwargs.target.uses_label")


def _is_output(given: Given, at: str, side: str) -> bool:
    path = given.text(f"{at}.kwargs.{side}.module_path", ".")
    return path == "." and given.text(f"{at}.kwargs.{side}.io", "output") == "output"


def _either(given: Given, place: str, name: str, older: str) -> str:
    return given.text(f"{place}.{name}") or given.text(f"{place}.{older}")


def _arguments(given: Given, place: str) -> str:
    """Return where the arguments are: older versions call them params."""
    return f"{place}.kwargs" if f"{place}.kwargs" in given else f"{place}.params"


def _schooling(given: Given, schooling: Schooling) -> int | None:
    """Read how the student is trained; return the batch size of one loss."""
    schooling.epochs = given.whole("train.num_epochs")
    loader = "train.train_data_loader"
    batch = given.whole(f"{loader}.kwargs.batch_size") or given.whole(f"{loader}.batch_size")
    steps = given.whole("train.optimizer.grad_accum_step", 1) or 1
    schooling.batch_size = None if batch is None else batch * steps
    optimizer = _either(given, "train.optimizer", "key", "type")
    at = _arguments(given, "train.optimizer")
    if optimizer == "optimizer_no_decay":
        optimizer, schooling.spares_biases = given.text(f"{at}.optimizer_key"), True
    if optimizer:
        schooling.optimizer = optimizer.lower()
        schooling.learning_rate = given.number(f"{at}.lr", low=0, above=True)
        schooling.weight_decay = given.number(f"{at}.weight_decay", low=0)
        schooling.momentum = given.number(f"{at}.momentum", low=0) or 0.0
        schooling.nesterov = given.yes(f"{at}.nesterov")
        schooling.schedule = "constant"
    _schedule(given, schooling)
    return batch


def _schedule(given: Given, schooling: Schooling) -> None:
    key = _either(given, "train.scheduler", "key", "type")
    at = _arguments(given, "train.scheduler")
    if key == "CosineAnnealingLR":
        schooling.schedule = "cosine"
        given.value(f"{at}.T_max")
    elif key == "MultiStepLR":
        stages, by = given.shown(f"{at}.milestones", "none"), given.number(f"{at}.gamma", low=0)
        schooling.schedule = stairs(0.1 if by is None else by, stages, schooling.epochs)
    elif key == "get_linear_schedule_with_warmup":
        schooling.schedule = "linear"
        steps = given.number(f"{at}.num_warmup_steps", low=0)
        schooling.warmup = f"{steps:g} steps" if steps else None
    elif key:
        schooling.schedule = key
