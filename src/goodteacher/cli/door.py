"""How what goes wrong leaves the command line: as one message and an exit code."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from goodteacher.cli.display import print_error, print_json, stderr
from goodteacher.errors import GoodteacherError, InputError


@contextmanager
def door(as_json: bool) -> Iterator[None]:
    """Turn what goes wrong into one message and an exit code."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _shown_once()
            yield
    except GoodteacherError as error:
        raise _told(error, str(error), as_json, 2 if isinstance(error, InputError) else 1) from None
    except BrokenPipeError:
        raise  # whoever reads the output has enough: click ends quietly
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        text = f"{where}{error.strerror or error}. Mend that, and give the same command again."
        raise _told(error, text, as_json, 1) from None
    except KeyboardInterrupt:
        print_error("interrupted. Give the same command again to go on where it stopped.")
        raise typer.Exit(130) from None


def _told(error: Exception, text: str, as_json: bool, code: int) -> typer.Exit:
    """Print why the command ends; return what ends it."""
    if as_json:
        print_json({"error": {"type": type(error).__name__, "message": text}})
    print_error(text)
    return typer.Exit(code)


def _shown_once() -> Callable[..., None]:
    """Return what prints a warning, and the same one never again.

    The filter ``once`` would keep its list for the life of the process, this one is of a command.
    """
    shown: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        if str(message) not in shown:
            shown.add(str(message))
            stderr.print(f"warning: {message}", markup=False)

    return show
