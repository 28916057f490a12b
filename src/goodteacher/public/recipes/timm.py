"""timm: the options of ``train.py`` that distil, or the YAML file of its ``--config``."""

from __future__ import annotations

from goodteacher.errors import ConfigError
from goodteacher.public.recipes.given import Given
from goodteacher.public.recipes.objective import Objective
from goodteacher.public.recipes.training import Schooling


def timm(given: Given, objective: Objective, schooling: Schooling, num_classes: int | None) -> None:
    """Translate `task_loss_weight * CE + distill_loss_weight * T^2 * KL`.

    Args:
        given: Options of ``train.py`` with underscores.
        objective: Receives the loss.
        schooling: Receives how the student is trained.
        num_classes: Not needed: its KL is summed over classes.

    Raises:
        ConfigError: It distils features or tokens, or another loss than KL.
    """
    kind, loss = given.text("kd_distill_type", "logit"), given.text("kd_loss_type", "kl")
    if kind != "logit" or loss != "kl":
        raise ConfigError(
            f"kd_distill_type = {kind} and kd_loss_type = {loss} in {given.name} cannot be "
            "translated, because goodteacher uses only the teacher's response, and a student has "
            "one head. logit and kl can be translated."
        )
    labels, teacher = _weights(given)
    temperature = given.number("kd_temperature", low=0, above=True)
    objective.add_teacher(
        teacher, loss="kl", temperature=4.0 if temperature is None else temperature
    )
    objective.notes.append(
        f"timm weights the labels by task_loss_weight ({labels:g}) and T^2 * KL by "
        f"distill_loss_weight ({teacher:g}). Both are 1 unless given; if only task_loss_weight is "
        "given, the teacher's weight is 1 - task_loss_weight."
    )
    if temperature is None:
        objective.notes.append("Its temperature is 4 unless --kd-temperature says otherwise.")
    _hard_term(given, objective, labels)
    _mixtures(given, objective, labels)
    _schooling(given, schooling)


def _weights(given: Given) -> tuple[float, float]:
    """Return the weights of labels and teacher: three modes."""
    labels = given.number("task_loss_weight", low=0)
    teacher = given.number("distill_loss_weight", low=0)
    if teacher is not None:
        return (1.0 if labels is None else labels), teacher
    if labels is None:
        return 1.0, 1.0
    if labels > 1:
        raise ConfigError(
            f"task_loss_weight = {labels:g} in {given.name} must be in 0..1 if "
            "distill_loss_weight is not given, because timm then weights the teacher by 1 - "
            "task_loss_weight. Give both."
        )
    return labels, 1 - labels


def _hard_term(given: Given, objective: Objective, weight: float) -> None:
    if not weight:
        return
    for other in ("bce_loss", "jsd_loss"):
        if given.yes(other):
            raise ConfigError(
                f"{other} in {given.name} replaces the cross-entropy with the labels by another "
                "loss, which goodteacher does not have. Leave it out, or set the weight of the "
                "labels to 0 (--task-loss-weight 0)."
            )
    smoothing = given.number("smoothing", low=0, high=1)
    if smoothing is None:
        objective.notes.append(
            "timm smooths labels by 0.1 unless --smoothing says otherwise (0 for none)."
        )
    objective.add_labels(weight, smoothing=0.1 if smoothing is None else smoothing)


def _mixtures(given: Given, objective: Objective, labels: float) -> None:
    """Tell of images that are mixed, which changes their labels, too."""
    instead = {
        "mixup": "goodteacher search has it for images, for example --augment mixup:0.2 --views "
        "4: students then see that many fixed views of each image",
        "cutmix": "goodteacher does not have it",
    }
    for name, what in instead.items():
        if strength := given.number(name, low=0):
            objective.exact = objective.exact and not labels
            objective.notes.append(f"{name} ({strength:g}) is left out: {what}.")


def _schooling(given: Given, schooling: Schooling) -> None:
    schooling.epochs = given.whole("epochs", 300)
    size = given.whole("batch_size", 128) or 128
    schooling.batch_size = size * (given.whole("grad_accum_steps", 1) or 1)
    name = given.text("opt", "sgd").lower()
    schooling.nesterov = name != "momentum"
    schooling.optimizer = "sgd" if name in ("sgd", "nesterov", "momentum") else name
    schooling.momentum = given.number("momentum", low=0)
    decay = given.number("weight_decay", low=0)
    schooling.weight_decay = 2e-5 if decay is None else decay
    schooling.spares_biases = True
    rate = given.number("lr", low=0, above=True)
    schooling.learning_rate = rate or _scaled(given, schooling.batch_size, name)
    schedule = given.text("sched", "cosine")
    warmup = given.number("warmup_epochs", low=0)
    schooling.schedule = {"none": "constant"}.get(schedule, schedule)
    if warmup is None:
        schooling.warmup = "some epochs (unless --warmup-epochs is 0)"
    elif warmup:
        schooling.warmup = f"{warmup:g} epochs"


def _scaled(given: Given, batch_size: int, name: str) -> float:
    """Return the learning rate that timm makes of ``lr_base``, on one process."""
    base = given.number("lr_base", low=0, above=True) or 0.1
    ratio = batch_size / (given.number("lr_base_size", low=0, above=True) or 256)
    adaptive = "ada" in name or "lamb" in name
    scale = given.text("lr_base_scale") or ("sqrt" if adaptive else "linear")
    return base * (ratio**0.5 if scale == "sqrt" else ratio)
