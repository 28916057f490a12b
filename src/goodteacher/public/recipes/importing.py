"""The translation as a whole: which tool it is, what its loss is here, and what differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import tomli_w

from goodteacher.config import Frozen, Recipe, SearchConfig
from goodteacher.errors import ConfigError
from goodteacher.public.recipes.cifar_repositories import mdistiller, repdistiller
from goodteacher.public.recipes.given import Given
from goodteacher.public.recipes.hugging_face import huggingface, trl
from goodteacher.public.recipes.keras import keras
from goodteacher.public.recipes.objective import Objective
from goodteacher.public.recipes.reading import (
    Source,
    given_twice,
    put,
    read_file,
    read_source,
)
from goodteacher.public.recipes.timm import timm
from goodteacher.public.recipes.torchdistill import torchdistill
from goodteacher.public.recipes.training import Schooling, tidy

Goal = Literal["distill", "search"]

_Translator = Callable[[Given, Objective, Schooling, int | None], None]
_TRANSLATORS: dict[str, _Translator] = {
    "torchdistill": torchdistill,
    "repdistiller": repdistiller,
    "mdistiller": mdistiller,
    "keras": keras,
    "timm": timm,
    "huggingface": huggingface,
    "trl": trl,
}
TOOLS = tuple(_TRANSLATORS)
"""Tools whose recipes are understood."""

_SHORT = {
    "repdistiller": {"r": "gamma", "a": "alpha", "b": "beta"},
    "timm": {"b": "batch_size", "dr": "decay_rate", "d": "dataset", "j": "workers"},
}


class ImportedRecipe(Frozen):
    """A recipe of another tool in goodteacher's terms, and what differs.

    ``their loss = loss_scale * our loss`` (up to a constant) where ``exact``.

    Attributes:
        tool: Where it comes from.
        recipe: Loss, temperature and alpha here.
        loss_scale: What our loss is multiplied by to get theirs.
        smoothing: Label smoothing of their term of labels; ours has none.
        exact: Whether the two losses have the same gradient, up to ``loss_scale``.
        training: Settings of students, by name, with learning rate and weight decay adapted to
            ``loss_scale``.
        notes: What differs, in sentences.
        not_translated: Settings that have no part in the recipe, or that were not understood.
    """

    tool: str
    recipe: Recipe
    loss_scale: float
    smoothing: float
    exact: bool
    training: dict[str, Any]
    notes: tuple[str, ...]
    not_translated: tuple[str, ...]

    def settings(self, goal: Goal = "distill") -> dict[str, Any]:
        """Return the settings for ``distill`` or ``search``, by name.

        Args:
            goal: What they are for. A search gets lists of one, to which others can be added.
        """
        recipe = self.recipe
        standardize = {"standardize": True} if recipe.standardize else {}
        if goal == "distill":
            one = {"loss": recipe.loss, "temperature": recipe.temperature, "alpha": recipe.alpha}
            return {**one, **standardize, **self.training}
        grid: dict[str, Any] = {"losses": [recipe.loss], "temperatures": [recipe.temperature]}
        grid |= {"alphas": [recipe.alpha], **standardize}
        usual: tuple[float, ...] = SearchConfig.model_fields["smoothings"].default
        if 0 < self.smoothing < 1 and self.smoothing not in usual:
            grid["smoothings"] = sorted([*usual, self.smoothing])
        return {**grid, **self.training}

    def toml(self, goal: Goal = "distill") -> str:
        """Return the settings as TOML, for ``--config``, with what differs as comments.

        Args:
            goal: What they are for, ``distill`` or ``search``.
        """
        head = [
            f"Translated from {self.tool}: settings for --config of goodteacher {goal}.",
            *self.notes,
        ]
        if self.not_translated:
            head.append("Not translated: " + "; ".join(self.not_translated) + ".")
        lines = (f"# {' '.join(line.split())}" for line in head)
        comments = ("".join(c if c.isprintable() else "?" for c in line) for line in lines)
        return "\n".join(comments) + "\n" + tomli_w.dumps(self.settings(goal))


def import_recipe(
    source: str | Path | Mapping[str, Any],
    *,
    tool: str | None = None,
    num_classes: int | None = None,
) -> ImportedRecipe:
    """Translate distillation settings of another tool into goodteacher's.

    Ours is ``(1 - alpha) * CE(labels, student) + alpha * T^2 * KL(teacher_T || student_T)``, mean
    over the batch. Where the weights of another loss do not add up to 1, or its teacher term lacks
    T^2 or is divided by the classes, the two are equal up to a factor, which ``loss_scale`` states
    and by which learning rate and weight decay are adapted. Nothing of the source is executed.

    Args:
        source: A file (YAML, JSON, TOML, a script of Python or of the shell), a command line, calls
            of Python, or names with values, as ``"alpha=0.1 temperature=3"`` or a mapping.
        tool: One of ``TOOLS``; None tells it by the settings.
        num_classes: Number of classes, where a reduction divides by it and the source does not
            say it.

    Returns:
        The recipe, settings of students, and what differs.

    Raises:
        ConfigError: The source cannot be read, is of no known tool, contradicts itself, or has no
            counterpart here; the message says which setting and why.

    Example:
        >>> imported = import_recipe("alpha=0.1 temperature=10", tool="keras")
        >>> print(imported.recipe, imported.loss_scale)
        kl T=10 alpha=0.9 1.0
    """
    read = _with_file(read_source(source))
    name = _checked(tool) if tool else _recognised(read)
    read = _whole(read, name)
    given = Given(read.values, read.name)
    objective, schooling = Objective(read.name), Schooling()
    _TRANSLATORS[name](given, objective, schooling, num_classes)
    recipe = objective.recipe()
    scale = tidy(objective.scale)
    recipe = recipe.model_copy(
        update={"alpha": tidy(recipe.alpha), "temperature": tidy(recipe.temperature)}
    )
    smoothed = objective.smoothing if objective.labels else 0.0
    exact = objective.exact and not smoothed
    notes = [*_in_short(exact, scale), *objective.notes, *_of_smoothing(smoothed)]
    return ImportedRecipe(
        tool=name,
        recipe=recipe,
        loss_scale=scale,
        smoothing=smoothed,
        exact=exact,
        training=schooling.settings(scale),
        notes=(*notes, *schooling.notes(scale)),
        not_translated=(*given.unused(), *read.rest),
    )


def _in_short(exact: bool, scale: float) -> list[str]:
    if not exact:
        return ["No recipe of goodteacher is equal to it. The differences are listed below."]
    by = "" if scale == 1 else f", times {scale:.6g}"
    return [f"Its loss has the same gradients as ours{by}."]


def _of_smoothing(smoothing: float) -> list[str]:
    if not smoothing:
        return []
    return [
        f"Its labels are smoothed by {smoothing:g} in addition to the teacher. Our term for the "
        "labels has no smoothing, and no alpha is equivalent. goodteacher search trains label "
        "smoothing as a separate arm."
    ]


def _checked(tool: str) -> str:
    if tool.lower() not in TOOLS:
        raise ConfigError(f"tool = {tool!r} is not supported. Choose one of {', '.join(TOOLS)}.")
    return tool.lower()


def _recognised(read: Source) -> str:
    """Tell which tool settings are of.

    Raises:
        ConfigError: None is, or more than one.
    """
    names, words = set(map(str, read.values)), " ".join(read.words)
    train = read.values.get("train")
    marks = {
        "torchdistill": isinstance(train, Mapping) and ({"criterion", "stage1"} & set(train)),
        "mdistiller": "DISTILLER" in names or "cfg" in names,
        "repdistiller": "train_student" in words or "kd_T" in names,
        "timm": any(name.startswith("kd_") and name != "kd_T" for name in names)
        or {"task_loss_weight", "distill_loss_weight"} & names,
        "keras": "Distiller" in words.split()
        or {"student_loss_weight", "distillation_loss_fn", "student_loss_fn"} & names,
        "trl": "GKD" in words or "lmbda" in names,
        "huggingface": "Trainer" in words
        or "TrainingArguments" in words
        or {"lambda_param", "alpha_weights", "num_train_epochs"} & names,
    }
    found = [name for name, mark in marks.items() if mark]
    found = ["trl"] if found == ["trl", "huggingface"] else found
    if len(found) != 1:
        say = f"could be of {' or '.join(found)}" if found else "do not belong to a supported tool"
        raise ConfigError(
            f"{read.name}: these settings {say}. Give the tool, for example --tool keras, or "
            f"tool='keras' in Python. It can be {', '.join(TOOLS)}."
        )
    return found[0]


def _whole(read: Source, tool: str) -> Source:
    """Resolve short options, and merge the file that a command names into what it changes."""
    if not read.options:
        return read
    short = _SHORT.get(tool, {})
    values = dict[str, Any]()
    for key, value in read.values.items():
        name = short.get(key, key)
        if values.setdefault(name, value) != value:
            raise given_twice(name, values[name], value, read.name)
    if tool == "mdistiller":
        return _with_changes(read, values)
    return replace(read, values=values)


def _with_file(read: Source) -> Source:
    """Join a command with the file behind its ``--config``: timm's options win over timm's file.

    torchdistill's options have no part in the recipe.
    """
    path = read.values.get("config", read.values.get("c")) if read.options else None
    if path is None:
        return read
    behind = read_file(Path(str(path)))
    options = {key: value for key, value in read.values.items() if key not in ("config", "c")}
    if "train" in behind.values:
        return replace(behind, rest=(*read.rest, *options))
    return replace(read, name=behind.name, values={**behind.values, **options})


def _with_changes(read: Source, values: dict[str, Any]) -> Source:
    """Merge ``KEY VALUE`` pairs behind mdistiller's ``--cfg FILE`` into that file."""
    named = values.pop("cfg", None)
    path, *changes = named if isinstance(named, list) else [named]
    if path is None or len(changes) % 2:
        raise ConfigError(
            f"{read.name} must have one file after --cfg, and after it pairs like KD.TEMPERATURE "
            "4, as in a command that starts mdistiller."
        )
    behind = read_file(Path(str(path)))
    merged = dict(behind.values)
    for key, value in zip(changes[::2], changes[1::2], strict=True):
        put(merged, str(key), value)
    return Source(behind.name, merged, rest=(*read.rest, *values))
