"""The peers' environment, made on demand: a base, then each tool's own requirement.

A tool that cannot be installed costs only itself: its reason goes into the result.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from peers.tools import OWN, PEERS_BASE, Tool


class NotInstalledError(Exception):
    """A tool's environment cannot be made; the message is what the installer said last."""


def python_of(tool: Tool, folder: Path) -> Path:
    """Return the interpreter that runs a tool, installing what it needs first.

    Args:
        tool: The tool.
        folder: Where environments are kept.

    Raises:
        NotInstalledError: The environment or the tool cannot be installed.
    """
    if tool.environment == OWN:
        return Path(sys.executable)
    environment = folder / tool.environment
    python = environment / "bin" / "python"
    if not python.exists():
        _call([sys.executable, "-m", "venv", str(environment)])
    _install(python, PEERS_BASE, environment / ".base")
    if tool.requirement is not None:
        # The base is named again, so that no tool can replace the PyTorch of the others.
        _install(python, (*PEERS_BASE, tool.requirement), environment / f".{tool.name}")
    return python


def _install(python: Path, requirements: tuple[str, ...], marker: Path) -> None:
    """Install requirements, once: the marker holds what was installed."""
    wanted = "\n".join(requirements)
    if marker.exists() and marker.read_text() == wanted:
        return
    print(f"installing {', '.join(requirements)} ...", file=sys.stderr, flush=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _call([*pip, *requirements])
    marker.write_text(wanted)


def _call(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise NotInstalledError(str(error)) from error
    if done.returncode != 0:
        raise NotInstalledError(last_line(done.stderr) or f"exit status {done.returncode}")


def last_line(text: str) -> str:
    """Return the last line that says something, which in a traceback is the error."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
