"""``python -m goodteacher``, and the command ``goodteacher``."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Run the command line; an interrupt before it is loaded ends it without a traceback."""
    try:
        from goodteacher.cli import main as run
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted before anything began.\n")
        sys.exit(128 + signal.SIGINT)
    run()


if __name__ == "__main__":
    main()
