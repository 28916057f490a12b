"""How what goes wrong leaves the command line: as one message and an exit code."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from goodteacher.cli.display import print_error, print_json, stderr
from goodteacher.errors import GoodteacherError, InputError, RunError

GOES_ON = frozenset({"search", "distill", "verify", "respond"})
"""Commands that keep what they have finished, and go on from there when they are given again."""


class Terminated(KeyboardInterrupt):
    """The process was asked to end by SIGTERM, as schedulers do."""


@contextmanager
def _ending_on_request() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM raise an exception here: a message follows, and files are closed.

    Outside, such as while modules are loaded, the handlers of the program hold.
    """
    if threading.current_thread() is not threading.main_thread():  # which alone hears of signals
        yield
        return

    def terminate(*_: object) -> None:
        raise Terminated

    ours: dict[signal.Signals, Any] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: terminate,
    }
    before = {number: signal.getsignal(number) for number in ours}
    heard = {number: old for number, old in before.items() if old is not signal.SIG_IGN}
    try:
        for number in heard:
            signal.signal(number, ours[number])
        yield
    finally:
        for number, old in heard.items():
            signal.signal(number, old)


@contextmanager
def door(as_json: bool) -> Iterator[None]:
    """Turn what goes wrong into one message and an exit code."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _shown_once()
            with _ending_on_request():
                yield
    except GoodteacherError as error:
        is_input = isinstance(error, InputError) and not isinstance(error, RunError)
        raise _told(error, str(error), as_json, 2 if is_input else 1) from None
    except BrokenPipeError:
        raise  # whoever reads the output has enough: click ends quietly
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        text = f"{where}{error.strerror or error}. Fix this, then give the same command again."
        raise _told(error, text, as_json, 1) from None
    except KeyboardInterrupt as error:
        stderr.print(what_goes_on(), markup=False, soft_wrap=True)
        number = signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT
        raise typer.Exit(128 + number) from None


def what_goes_on() -> str:
    """Return what to tell whoever interrupted this command: the command that goes on from here."""
    started, *arguments = sys.argv
    program = "goodteacher" if Path(started).stem == "goodteacher" else "python -m goodteacher"
    same = f"{program} {shlex.join(arguments)}"
    if arguments and arguments[0] in GOES_ON:
        return f"Interrupted. Finished work is kept. To continue:\n{same}"
    return f"Interrupted. To start again:\n{same}"


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
