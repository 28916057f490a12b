"""Command-line options made from the settings: one place for each name, default and help text."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic.fields import FieldInfo

from goodteacher.config import (
    DataConfig,
    EvidenceConfig,
    Frozen,
    KeptConfig,
    RespondConfig,
    RuntimeConfig,
    SearchConfig,
    StudentConfig,
    StudyConfig,
    parse,
    read_toml,
)
from goodteacher.config import TeacherConfig as _TeacherConfig
from goodteacher.errors import ConfigError

PANELS: Mapping[type[Frozen], str] = {
    _TeacherConfig: "Teacher",
    StudentConfig: "Student",
    SearchConfig: "Search",
    KeptConfig: "Report",
    EvidenceConfig: "Evidence",
    DataConfig: "Data",
    RuntimeConfig: "Machine",
    RespondConfig: "Checkpoints",
}
"""Heading in ``--help`` of each group of settings; what no group claims stands under Recipe."""
_SWITCHES = "Yes or no"

AsJson = Annotated[bool, typer.Option("--json", help="print the result as JSON on stdout")]

Quiet = Annotated[
    bool, typer.Option("--quiet", help="show no progress and no notes: only the result and errors")
]
Probabilities = Annotated[
    bool, typer.Option("--probabilities", help="the file holds probabilities, not logits")
]

ExportFormat = Annotated[
    str, typer.Option("--format", help="onnx, torch, hf, safetensors; several with commas")
]
ExportInt8 = Annotated[bool, typer.Option("--int8", help="also write the ONNX file in 8 bits")]
ExportMaxLoss = Annotated[
    float,
    typer.Option(
        help=("largest loss of accuracy on the selection split that 8 bits may cost, from 0 to 1")
    ),
]
ExportTeacherInt8 = Annotated[
    bool, typer.Option(help="also measure the teacher in 8 bits, the student's competitor")
]


TrustCode = Annotated[
    bool,
    typer.Option(
        "--trust-code",
        help="import the networks python:module:factory that the study names: code of its maker",
    ),
]


def with_settings(
    kind: type[Frozen], *, leave_out: frozenset[str]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command one option for each setting of ``kind``.

    The command receives them in its keyword ``settings``, a mapping of those that were given.

    Args:
        kind: The settings class.
        leave_out: Settings that the command takes in its own way.
    """
    names = [name for name in kind.model_fields if name not in leave_out]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def run(**given: Any) -> None:
            settings = {name: given.pop(name) for name in names}
            command(**given, settings={k: v for k, v in settings.items() if v is not None})

        own = list(inspect.signature(command, eval_str=True).parameters.values())
        kept = [p for p in own if p.name != "settings"]
        made = [_parameter(name, kind.model_fields[name], _panel(kind, name)) for name in names]
        run.__signature__ = inspect.Signature([*kept, *made])  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in (*kept, *made)}
        run.__doc__, run.__name__ = command.__doc__, command.__name__
        return run

    return decorate


def _panel(kind: type[Frozen], name: str) -> str:
    return next((title for group, title in PANELS.items() if name in group.model_fields), "Recipe")


def _parameter(name: str, field: FieldInfo, panel: str) -> inspect.Parameter:
    flag = "--" + name.replace("_", "-")
    is_switch = field.annotation is bool
    option = typer.Option(
        f"{flag}/--no-{flag[2:]}" if is_switch else flag,
        help=_help(field),
        # Beside names of switches and of their opposites, names of settings would be cut short.
        rich_help_panel=_SWITCHES if is_switch else panel,
        show_default=False,
        metavar=None if is_switch else "VALUE",
    )
    annotation: Any = Annotated[bool | None, option] if is_switch else Annotated[str | None, option]
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )


def _help(field: FieldInfo) -> str:
    text = (field.description or "").strip()
    if field.is_required() or field.default is None or "default" in text:
        return text
    return f"{text} (default: {_shown(field.default)})"


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(_shown(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


_NO_SETTINGS = ("out", "config", "json", "responses", "probabilities", "independent_responses")
"""Options of commands that a file of settings may not hold: they are of one run, not of a study."""


def merge_settings(
    kind: type[Frozen], config: Path | None, settings: dict[str, Any], **own: Any
) -> dict[str, Any]:
    """Join settings of a file with those of the command line, which win.

    Raises:
        ConfigError: A name is missing, or the file holds what is no setting; all else that is wrong
            with the settings is told with it.
    """
    from_file = read_toml(config) if config else {}
    given = {**settings, **{k: v for k, v in own.items() if v is not None}}
    complaints = [
        f"{name} in {config} is not a setting, but an option of the command: give it as "
        f"--{name.replace('_', '-')}."
        for name in _NO_SETTINGS
        if name in from_file and name not in kind.model_fields
    ]
    merged = {**{k: v for k, v in from_file.items() if k not in _NO_SETTINGS}, **given}
    needed = {name for name in own if kind.model_fields[name].is_required()}
    if complaints or not needed <= merged.keys():
        one = merged.get("student")
        if isinstance(one, list) and one and kind is StudyConfig:
            merged["student"] = one[0]  # each is checked later
        try:
            parse(kind, **merged)
        except ConfigError as error:
            complaints.append(str(error))
        raise ConfigError("\n".join(complaints))
    return merged
