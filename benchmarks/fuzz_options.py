"""Options for the fuzzer: commands with settings that are right, wrong, odd and extreme."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import typer.main
from typer.testing import CliRunner

from goodteacher.cli import app
from goodteacher.config import DistillConfig, RespondConfig, StudyConfig, VerifyConfig, parse

VALUES = ["0", "1", "-1", "3", "1e400", "nan", "inf", "", " ", ",", "1,2", "1,,2", "digits", "auto"]
VALUES += [
    "1000000000",
    "99999999999999999999",
    "0.5",
    "1e-9",
    "100000,100000",
    "8,8",
    "none",
    "kl",
]
VALUES += [
    "mlp:8",
    "mlp:",
    "mlp:0",
    "mlp:99999999999",
    "cnn:1,1",
    "\0",
    "ä\u202e",
    "../..",
    "/dev/zero",
]
VALUES += ["--help", "[1]", "{}", "true", "x" * 5000, "forest:9", "hf:", "python:os:_exit"]
OTHERS: list[Any] = [None, True, [], [1, 1], {}, float("nan"), 10**30, -(10**30), [[1]], b"x"]

QUICK = ("score", "doctor", "plan", "import-recipe", "split", "compare", "export", "report")
"""Commands that end at once where nothing is there to work on; others are asked for no result."""


def commands() -> dict[str, Any]:
    """Return each command with its parameters."""
    group: Any = typer.main.get_command(app)
    return dict(group.commands)


def settings(rng: random.Random) -> None:
    """Parse random settings of a random command."""
    kind = rng.choice([StudyConfig, DistillConfig, VerifyConfig, RespondConfig])
    names = rng.sample(sorted(kind.model_fields), rng.randrange(1, 6))
    given = {name: rng.choice([*VALUES, *OTHERS]) for name in names}
    right = {"data": "digits", "teacher": "mlp:8", "student": "mlp:4", "model": "mlp:4"}
    own = {name: value for name, value in right.items() if name in kind.model_fields}
    odd = {"no_such_setting": 1} if rng.random() < 0.05 else {}
    parse(kind, **{**own, **given, **odd})


def command(folder: Path, rng: random.Random) -> None:
    """Give a random command random options, in an empty folder.

    Raises:
        Exception: Whatever left the command that is no exit code.
    """
    known = commands()
    name = rng.choice([each for each in known if each in QUICK])
    arguments = [name]
    for parameter in known[name].params:
        required = parameter.required
        if not required and rng.random() < 0.8:
            continue
        value = rng.choice([*VALUES, str(folder), str(folder / "d.csv"), str(folder / "r.npy")])
        if parameter.param_type_name == "argument":
            arguments.append(value)
        else:
            flag = rng.choice(parameter.opts)
            arguments += [flag] if getattr(parameter, "is_flag", False) else [flag, value]
    if "--serve" in arguments or "--open" in arguments:
        return
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
