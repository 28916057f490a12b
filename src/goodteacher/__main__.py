"""``python -m goodteacher``, and the command ``goodteacher``."""

from __future__ import annotations

import os
import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what schedulers send to a process that has to end."""


def main() -> None:
    """Run the command line; a signal before or after a command's work ends it with one line."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as shells start what is in background
            signal.signal(number, leave)
    from goodteacher.cli import main as run

    run()


def leave(number: int, _: object) -> None:
    """End the process at once: nothing is open that has to be closed.

    While a command works, its own handlers stand in the place of this one.
    """
    os.write(2, b"\nInterrupted. To start again, give the same command.\n")
    os._exit(128 + number)


if __name__ == "__main__":
    main()
