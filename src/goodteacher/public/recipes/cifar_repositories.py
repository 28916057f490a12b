"""RepDistiller (a command) and mdistiller (a YAML configuration, or the command that names it)."""

from __future__ import annotations

from goodteacher.errors import ConfigError
from goodteacher.public.recipes.given import Given
from goodteacher.public.recipes.objective import Objective
from goodteacher.public.recipes.training import Schooling, stairs

_SLOWER = ("mobile_half", "mobile_full", "ShuffleV1", "ShuffleV2")


def repdistiller(
    given: Given, objective: Objective, schooling: Schooling, num_classes: int | None
) -> None:
    """Translate `gamma * CE + alpha * T^2 * KL + beta * (what --distill names)`.

    Args:
        given: Options of ``train_student.py``, with short ones by their long names.
        objective: Receives the loss.
        schooling: Receives how the student is trained.
        num_classes: Not needed: its KL is summed over classes.

    Raises:
        ConfigError: The options hold no term of logits.
    """
    alpha, gamma = given.number("alpha", low=0), given.number("gamma", low=0)
    beta, method = given.number("beta", low=0), given.text("distill", "kd")
    if alpha is None:
        raise ConfigError(
            f"alpha is missing in {given.name}: it weights the KL divergence, and RepDistiller "
            "has no default. Add -a, as in -r 0.1 -a 0.9."
        )
    gamma = 1.0 if gamma is None else gamma
    temperature = given.number("kd_T", low=0, above=True)
    objective.add_labels(gamma)
    objective.add_teacher(alpha, loss="kl", temperature=temperature or 4.0)
    objective.notes.append(
        "RepDistiller weights the labels by gamma (-r, 1 unless given) and T^2 * KL by alpha "
        f"(-a), independently: {gamma:g} and {alpha:g} here."
    )
    if temperature is None:
        objective.notes.append("Its temperature is 4 unless --kd_T says otherwise.")
    if method != "kd" and beta:
        objective.exact = False
        objective.notes.append(
            f"--distill {method} has weight {beta:g} (-b) and is left out: it compares inner "
            "layers, but goodteacher uses only the teacher's response."
        )
    _solver(given, objective, schooling)


def _solver(given: Given, objective: Objective, schooling: Schooling) -> None:
    """Read RepDistiller's optimizer and its defaults."""
    schooling.epochs = given.whole("epochs", 240)
    schooling.batch_size = given.whole("batch_size", 64)
    rate = given.number("learning_rate", low=0, above=True) or 0.05
    schooling.learning_rate = rate
    if given.glance("model_s") in _SLOWER and rate != 0.01:
        schooling.learning_rate = 0.01
        objective.notes.append(
            f"For {given.glance('model_s')} its script sets the learning rate to 0.01, whatever "
            "--learning_rate says."
        )
    decay = given.number("weight_decay", low=0)
    schooling.weight_decay = 5e-4 if decay is None else decay
    momentum = given.number("momentum", low=0)
    schooling.momentum = 0.9 if momentum is None else momentum
    schooling.optimizer, schooling.nesterov = "sgd", False
    stages = given.shown("lr_decay_epochs", "150,180,210")
    by = given.number("lr_decay_rate", low=0) or 0.1
    schooling.schedule = stairs(by, stages, schooling.epochs)


def mdistiller(
    given: Given, objective: Objective, schooling: Schooling, num_classes: int | None
) -> None:
    """Translate mdistiller's KD and DKD.

    Args:
        given: Its configuration; options behind ``--cfg FILE`` are merged into it.
        objective: Receives the loss.
        schooling: Receives how the student is trained.
        num_classes: Not needed: its KL is summed over classes.

    Raises:
        ConfigError: It is another method.
    """
    method = given.text("DISTILLER.TYPE", "NONE")
    if method == "KD":
        _kd(given, objective)
    elif method == "DKD":
        _dkd(given, objective)
    else:
        raise ConfigError(
            f"DISTILLER.TYPE = {method} in {given.name} cannot be translated, because goodteacher "
            "uses only the teacher's response. KD and DKD can be translated."
        )
    _mdistiller_solver(given, schooling)


def _kd(given: Given, objective: Objective) -> None:
    labels, teacher, temperature = (
        _or(given.number("KD.LOSS.CE_WEIGHT", low=0), 0.1),
        _or(given.number("KD.LOSS.KD_WEIGHT", low=0), 0.9),
        _or(given.number("KD.TEMPERATURE", low=0, above=True), 4.0),
    )
    objective.add_labels(labels)
    objective.add_teacher(teacher, loss="kl", temperature=temperature)
    objective.notes.append(
        f"mdistiller weights the labels by CE_WEIGHT and T^2 * KL by KD_WEIGHT, independently: "
        f"{labels:g} and {teacher:g} at temperature {temperature:g} here (0.1, 0.9 and 4 unless "
        "given)."
    )


def _dkd(given: Given, objective: Objective) -> None:
    """Translate `CE_WEIGHT * CE + T^2 * (ALPHA * TCKD + BETA * NCKD)`; ours has 1 and 8."""
    labels = _or(given.number("DKD.CE_WEIGHT", low=0), 1.0)
    target, other = (
        _or(given.number("DKD.ALPHA", low=0), 1.0),
        _or(given.number("DKD.BETA", low=0), 8.0),
    )
    temperature = _or(given.number("DKD.T", low=0, above=True), 4.0)
    warmup = _or(given.number("DKD.WARMUP", low=0, above=True), 20.0)
    objective.add_labels(labels)
    objective.add_teacher(other / 8, loss="dkd", temperature=temperature)
    objective.notes.append(
        f"mdistiller weights the labels by CE_WEIGHT ({labels:g}), TCKD by ALPHA ({target:g}) and "
        f"NCKD by BETA ({other:g}), at temperature {temperature:g}; our dkd is TCKD + 8 * NCKD."
    )
    if abs(other - 8 * target) > 1e-9:
        objective.exact = False
        objective.notes.append(
            "BETA is not 8 times ALPHA, and our dkd has no setting for that: NCKD, the larger "
            f"part, keeps its weight, and TCKD is weighted by {other / 8:g} instead of {target:g}."
        )
    if warmup > 1:
        objective.exact = False
        objective.notes.append(
            f"Its DKD grows over the first {warmup:g} epochs (WARMUP). Ours has its full weight "
            "from the first step, and there is no setting for that."
        )


def _mdistiller_solver(given: Given, schooling: Schooling) -> None:
    schooling.epochs = given.whole("SOLVER.EPOCHS", 240)
    schooling.batch_size = given.whole("SOLVER.BATCH_SIZE", 64)
    schooling.optimizer = given.text("SOLVER.TYPE", "SGD").lower()
    schooling.learning_rate = _or(given.number("SOLVER.LR", low=0, above=True), 0.05)
    schooling.weight_decay = _or(given.number("SOLVER.WEIGHT_DECAY", low=0), 1e-4)
    schooling.momentum = _or(given.number("SOLVER.MOMENTUM", low=0), 0.9)
    schooling.nesterov = False
    by = _or(given.number("SOLVER.LR_DECAY_RATE", low=0), 0.1)
    stages = given.shown("SOLVER.LR_DECAY_STAGES", "150, 180, 210")
    schooling.schedule = stairs(by, stages, schooling.epochs)


def _or(number: float | None, default: float) -> float:
    return default if number is None else number
