"""Options for the fuzzer: commands with settings that are right, wrong, odd and extreme."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import typer.main

from goodteacher.cli import app
from goodteacher.config import (
    DistillConfig,
    ReadingConfig,
    RespondConfig,
    StudyConfig,
    VerifyConfig,
    parse,
)
from goodteacher.data import load_for
from goodteacher.errors import DataError

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

_FILES = {"d.csv": ("csv", "d.csv"), "r.npy": ("response r.npy", "r.npy")}
_FILES |= {"l.npz": ("labels l.npz", "l.npz"), "s.toml": ("toml search", "s.toml")}
_FILES |= {"r.sh": ("recipe r.sh", "r.sh")}
"""Files that lie beside a command, by name: the kind of input that they are valid ones of."""
_RIGHT = {
    "data": ("d.csv", "d.csv", "digits", "study"),
    "teacher": ("mlp:8", "forest"),
    "student": ("mlp:4",),
    "model": ("mlp:4",),
    "responses": ("r.npy",),
    "labels": ("l.npz",),
    "config": ("s.toml",),
    "source": ("r.sh",),
    "folder": ("study", "study/student"),
    "studies": ("study",),
    "out": ("out", "out.html"),
}
"""What parameters mean, so that a command gets as far as its other options."""


def settings(rng: random.Random) -> None:
    """Parse random settings of a random command."""
    kind = rng.choice([StudyConfig, DistillConfig, VerifyConfig, RespondConfig])
    names = rng.sample(sorted(kind.model_fields), rng.randrange(1, 6))
    given = {name: rng.choice([*VALUES, *OTHERS]) for name in names}
    right = {"data": "digits", "teacher": "mlp:8", "student": "mlp:4", "model": "mlp:4"}
    own = {name: value for name, value in right.items() if name in kind.model_fields}
    odd = {"no_such_setting": 1} if rng.random() < 0.05 else {}
    parse(kind, **{**own, **given, **odd})


@functools.cache
def commands() -> Any:
    """Return the commands as a group, made once: that takes longer than most of them."""
    return typer.main.get_command(app)


def arguments(rng: random.Random) -> list[str]:
    """Return a random command: most of what it needs is right, a few other options are anything."""
    known = commands().commands
    name = rng.choice([*known])
    given, values = [name], [*VALUES, *_FILES, "study", "."]
    parameters = known[name].params
    chosen = rng.sample(parameters, min(len(parameters), rng.randrange(4)))
    for parameter in parameters:
        named, needed = parameter.name in _RIGHT, parameter.required or parameter.name in _USUAL
        if parameter not in chosen and not (needed and rng.random() < 0.95):
            continue
        right = named and rng.random() < 0.8
        value = rng.choice(_RIGHT[parameter.name] if right else values)
        if parameter.param_type_name == "argument":
            given += [value] * (2 if parameter.nargs == -1 else 1)
        else:
            flag = rng.choice([*parameter.opts, *parameter.secondary_opts])
            given += [flag] if getattr(parameter, "is_flag", False) else [flag, value]
    return given


_USUAL = ("data", "teacher", "student", "model")


def command(folder: Path, rng: random.Random, kinds: Mapping[str, Any]) -> None:
    """Give a random command random options, in a new folder with a few valid files.

    Commands that train or wait get as far as their settings and their data, and no further.

    Raises:
        Exception: Whatever left the command that is no exit code.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, (kind, file) in _FILES.items():
        (folder / name).write_bytes(kinds[kind].files[file])
    given = arguments(rng)
    if any(each.startswith("study") for each in given):
        for name, content in kinds["study"].files.items():
            (folder / "study" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "study" / name).write_bytes(content)
    before = Path.cwd()
    os.chdir(folder)
    try:
        with _nothing_trained(), contextlib.redirect_stdout(io.StringIO()):
            commands().main(args=given, prog_name="goodteacher")
    except SystemExit:
        pass
    finally:
        os.chdir(before)


@contextlib.contextmanager
def _nothing_trained() -> Iterator[None]:
    """Let commands end where they would begin to train, or to wait."""
    public = "goodteacher.public"
    ends = {
        f"{public}.searching.search": _read_only(StudyConfig),
        f"{public}.planning.plan": _read_only(StudyConfig),
        f"{public}.distillation.distill": _read_only(DistillConfig),
        f"{public}.verification.verify": _read_only(VerifyConfig),
        f"{public}.responding.ask_model": _read_only(RespondConfig),
        f"{public}.responding.record_checkpoints": _read_only(RespondConfig),
        "goodteacher.report.ReportServer": _read_only(ReadingConfig),
    }
    with contextlib.ExitStack() as replaced:
        for name, end in ends.items():
            replaced.enter_context(mock.patch(name, end))
        yield


def _read_only(kind: type[ReadingConfig]) -> Callable[..., None]:
    """Return what stands in a command's place: it reads the settings and the data, and ends."""

    def read(data: Any = None, *_: Any, **given: Any) -> None:
        own = {name: value for name, value in given.items() if name in kind.model_fields}
        config = parse(kind, data=data, **own)
        load_for(config, data)
        raise DataError("Nothing is trained here.")

    return read
