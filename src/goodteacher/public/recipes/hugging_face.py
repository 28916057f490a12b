"""Hugging Face: trainers written around ``transformers.Trainer``, and TRL's GKD."""

from __future__ import annotations

from goodteacher.errors import ConfigError
from goodteacher.public.recipes.given import Given
from goodteacher.public.recipes.objective import Objective, of_reduction, over_classes
from goodteacher.public.recipes.training import Schooling


def huggingface(
    given: Given, objective: Objective, schooling: Schooling, num_classes: int | None
) -> None:
    """Translate the usual trainers: a weight between labels and `T^2 * KL`.

    ``lambda_param`` (the page on distilling images) weights the teacher. ``alpha`` weights the
    labels in the ``DistillationTrainer`` of *Natural Language Processing with Transformers*, and
    the teacher in others, so ``alpha_weights`` must say which: ``labels`` or ``teacher``.

    Args:
        given: These, ``temperature``, ``temperature_squared``, ``reduction`` of ``KLDivLoss``,
            ``labels_at_temperature`` and ``TrainingArguments``.
        objective: Receives the loss.
        schooling: Receives how the student is trained.
        num_classes: Number of classes, which reduction = mean divides by.

    Raises:
        ConfigError: The weight is missing, or it is not known what it weights.
    """
    schooling.batch_size = _batch_size(given)
    batch = given.whole("per_device_train_batch_size")
    name, weight, of_labels = _weight(given)
    temperature = given.number("temperature", low=0, above=True)
    if temperature is None:
        raise ConfigError(
            f"temperature is missing in {given.name}, and transformers has no default for it. Add "
            "the value that your trainer uses, for example temperature=2."
        )
    by = _divergence(given, objective, temperature, over=(num_classes, batch))
    labels = weight if of_labels else 1 - weight
    objective.add_labels(labels)
    objective.add_teacher((1 - labels) * by, loss="kl", temperature=temperature)
    if given.yes("labels_at_temperature"):
        objective.soften_labels(temperature)
    objective.notes.append(
        f"{name} = {weight:g} weights the {'labels' if of_labels else 'teacher'} in this trainer; "
        "in goodteacher alpha weights the teacher."
    )
    if given.number("label_smoothing_factor", low=0, high=1):
        objective.notes.append(
            "label_smoothing_factor is left out: a trainer whose compute_loss uses outputs.loss, "
            "as in the documented examples, does not smooth labels."
        )
    _arguments(given, schooling)


def _divergence(
    given: Given, objective: Objective, temperature: float, *, over: tuple[int | None, int | None]
) -> float:
    """Return what its term of the teacher is of ours; `over` is (classes, batch size)."""
    reduction = given.text("reduction", "batchmean")
    reduced = over_classes(reduction, *over)
    said = given.value("temperature_squared")
    squared = said is None or given.yes("temperature_squared")
    if reduction != "batchmean":
        objective.notes.append(of_reduction(reduction, reduced))
    if not squared:
        objective.notes.append(
            f"Without T^2, its teacher term has the weight 1/{temperature:g}^2 of ours."
        )
    if said is None and temperature != 1:
        objective.notes.append(
            "It is assumed that the loss has T^2 and reduction='batchmean', as in the documented "
            "trainers. compute_loss is your own code: if it has no T^2, add "
            "temperature_squared=false; if it calls KLDivLoss() without batchmean, add "
            "reduction=mean."
        )
    return reduced * (1 if squared else temperature**-2)


def _weight(given: Given) -> tuple[str, float, bool]:
    """Return the name of the weight, its value, and whether it is that of the labels."""
    if "alpha" in given and "lambda_param" in given:
        raise ConfigError(
            f"alpha and lambda_param are both in {given.name}, but both are the weight between "
            "labels and teacher. Leave out one of them."
        )
    part = given.number("lambda_param", low=0, high=1)
    if part is not None:
        return "lambda_param", part, False
    alpha = given.number("alpha", low=0, high=1)
    if alpha is None:
        raise ConfigError(
            f"alpha is missing in {given.name}. It is the weight between labels and teacher, and "
            "transformers has no default for it. Add alpha (or lambda_param)."
        )
    what = given.text("alpha_weights")
    if what not in ("labels", "teacher") and alpha != 0.5:
        raise ConfigError(
            f"alpha = {alpha:g} in {given.name} can mean two things: in the DistillationTrainer "
            "of 'Natural Language Processing with Transformers' it weights the labels, in other "
            "trainers the teacher. Check your compute_loss, and add alpha_weights=labels or "
            "alpha_weights=teacher."
        )
    return "alpha", alpha, what != "teacher"


def trl(given: Given, objective: Objective, schooling: Schooling, num_classes: int | None) -> None:
    """Translate TRL's GKD where it is a KL divergence: `KL(teacher_T || student_T)`, no labels.

    Args:
        given: Arguments of ``GKDConfig``.
        objective: Receives the loss.
        schooling: Receives how the student is trained.
        num_classes: Not needed: its KL is summed over the vocabulary.

    Raises:
        ConfigError: beta is not 0: a Jensen-Shannon or a reverse divergence.
    """
    beta, lmbda = (given.number(name, low=0, high=1) for name in ("beta", "lmbda"))
    beta = 0.5 if beta is None else beta
    if beta != 0:
        raise ConfigError(
            f"beta = {beta:g} of GKD (0.5 unless given) in {given.name} is a Jensen-Shannon "
            "divergence, or at 1 the reverse KL, but goodteacher has only KL(teacher || "
            "student). Only beta = 0 can be translated."
        )
    temperature = given.number("temperature", low=0, above=True)
    temperature = 0.9 if temperature is None else temperature
    objective.add_teacher(temperature**-2, loss="kl", temperature=temperature)
    objective.notes.append(
        f"GKD has neither labels nor T^2: alpha is 1, and its loss is 1/{temperature:g}^2 of "
        "ours. It is a mean over tokens, ours over examples."
    )
    if lmbda != 0:
        objective.exact = False
        objective.notes.append(
            f"lmbda = {0.5 if lmbda is None else lmbda:g} (0.5 unless given) is the share of "
            "texts that the student generates itself, but goodteacher only trains classifiers."
        )
    schooling.batch_size = _batch_size(given)
    _arguments(given, schooling)


_NAMED = ("num_train_epochs", "learning_rate", "weight_decay", "lr_scheduler_type", "optim")


def _batch_size(given: Given) -> int | None:
    size = given.whole("per_device_train_batch_size")
    steps = given.whole("gradient_accumulation_steps", 1) or 1
    if size is None and not any(name in given for name in _NAMED):
        return None
    return (size or 8) * steps


def _arguments(given: Given, schooling: Schooling) -> None:
    """Read ``TrainingArguments``, with its defaults, where any of them is given."""
    if schooling.batch_size is None:
        return
    schooling.epochs = given.whole("num_train_epochs", 3)
    rate, decay = (
        given.number("learning_rate", low=0, above=True),
        given.number("weight_decay", low=0),
    )
    schooling.learning_rate = 5e-5 if rate is None else rate
    schooling.weight_decay = 0.0 if decay is None else decay
    schooling.spares_biases = True
    name = given.text("optim", "adamw_torch").lower()
    schooling.optimizer = "adamw" if name.startswith("adamw") else name
    if name == "sgd":
        schooling.momentum = 0.0
    kind = given.text("lr_scheduler_type", "linear")
    steps, share = given.number("warmup_steps", low=0), given.number("warmup_ratio", low=0)
    schooling.schedule = {"constant_with_warmup": "constant"}.get(kind, kind)
    if steps:
        schooling.warmup = f"{steps:g} steps"
    elif share:
        schooling.warmup = f"{share:g} of all steps"
