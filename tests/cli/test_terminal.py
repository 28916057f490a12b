"""Real processes on a real terminal: control codes where they belong, and how a command ends."""

import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs pseudo-terminals")

_WORK = """
import signal, sys, time
from goodteacher.cli import progress
from goodteacher.cli.door import door

signal.signal(signal.SIGINT, signal.default_int_handler)
progress._SOON = 0.0
sys.argv = ["goodteacher", "search", "my data", "--out", "s"]
with door(False), progress.shown_progress() as shown:
    shown.begin("teachers", 4.0)
    for _ in range(2):
        time.sleep(0.15)
        shown.advance(1.0)
    print("ready", flush=True)
    time.sleep(float(sys.stdin.readline()))
    shown.advance(2.0)
"""
_HELP = """
import sys
sys.argv = ["goodteacher", "score", "--help"]
import goodteacher.cli
goodteacher.cli.main()
"""


class Terminal:
    """A process whose three streams are a terminal of 80 columns."""

    def __init__(self, code, **environment):
        self.own, theirs = pty.openpty()
        variables = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
        variables |= {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", **environment}
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=theirs, stdout=theirs, stderr=theirs, env=variables
        )
        os.close(theirs)
        self.shown = ""

    def read(self, until=None, seconds=60.0):
        """Read what is shown until a text is, or until the process closes the terminal."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and (until is None or until not in self.shown):
            if not select.select([self.own], [], [], 0.1)[0]:
                continue
            try:
                part = os.read(self.own, 65536)
            except OSError:  # Linux's way to say that nobody has it open any more
                break
            if not part:
                break
            self.shown += part.decode()
        assert until is None or until in self.shown, self.shown
        return self.shown

    def type(self, text):
        os.write(self.own, text.encode())

    def end(self):
        self.read()
        code = self.process.wait(20)
        os.close(self.own)
        return code


def test_terminal_has_bars_that_are_gone_at_the_end():
    terminal = Terminal(_WORK)
    terminal.read("ready")
    terminal.type("0.5\n")
    assert terminal.end() == 0
    assert "\x1b[" in terminal.shown
    assert "teachers" in terminal.shown
    assert "50 %" in terminal.shown
    assert terminal.shown.rstrip().endswith("\x1b[2K"), "the last line was erased"


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_there_are_no_control_codes_where_none_are_wanted(variables):
    terminal = Terminal(_WORK, **variables)
    terminal.read("ready")
    terminal.type("0.1\n")
    assert terminal.end() == 0
    assert "\x1b" not in terminal.shown


def test_help_has_no_control_codes_where_none_are_wanted():
    plain, coloured = Terminal(_HELP, NO_COLOR="1"), Terminal(_HELP)
    assert (plain.end(), coloured.end()) == (0, 0)
    assert "\x1b[" in coloured.shown
    assert "\x1b" not in plain.shown
    assert "--temperatures" in plain.shown


def test_ctrl_c_on_a_terminal_names_the_command_that_goes_on():
    terminal = Terminal(_WORK)
    terminal.read("ready")
    terminal.type("60\n")
    time.sleep(0.3)
    began = time.monotonic()
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() != 0
    assert time.monotonic() - began < 5
    assert "Interrupted. Finished work is kept. To continue:" in terminal.shown
    assert "goodteacher search 'my data' --out s" in terminal.shown
    assert "\x1b[?25h" in terminal.shown, "the cursor is shown again"
    assert "KeyboardInterrupt" not in terminal.shown


# --- how commands end ----------------------------------------------------------------------------

_MOMENTS = """
import atexit, os, runpy, signal, sys

def signalled():
    os.kill(os.getpid(), {number})

class Signalling:
    def find_spec(self, name, *_):
        if name == {moment!r}:
            signalled()

signal.signal(signal.SIGINT, {before})
sys.meta_path.insert(0, Signalling())
if {moment!r} == "end":
    atexit.register(signalled)
runpy.run_module("goodteacher", run_name="__main__")
"""


def ended_at(moment, number, before="signal.default_int_handler"):
    """Run a command that a signal meets while a module is looked for, or when it has ended."""
    code = _MOMENTS.format(moment=moment, number=int(number), before=before)
    command = [sys.executable, "-c", code, "doctor", "digits"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.parametrize("moment", ["goodteacher.cli", "typer", "pydantic", "end"])
def test_signal_outside_a_commands_work_ends_it_with_one_line(moment, number):
    ended = ended_at(moment, number)
    assert ended.returncode == 128 + number
    assert ended.stderr.strip() == "Interrupted. To start again, give the same command."
    assert ("training" in ended.stdout) == (moment == "end")


@pytest.mark.parametrize("moment", ["torch", "goodteacher.public.checking"])
def test_signal_while_a_command_loads_what_it_needs_names_the_command(moment):
    ended = ended_at(moment, signal.SIGTERM)
    assert ended.returncode == 143
    assert "Interrupted. To start again:\n" in ended.stderr
    assert "doctor digits" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_ctrl_c_is_not_heard_where_the_shell_said_so():
    """As of a command that was started in the background, which Ctrl-C does not concern."""
    assert ended_at("typer", signal.SIGINT, before="signal.SIG_IGN").returncode == 0


def test_command_that_keeps_nothing_is_started_again(monkeypatch):
    from goodteacher.cli.door import what_goes_on

    monkeypatch.setattr(sys, "argv", ["/usr/bin/goodteacher", "export", "my study", "--out", "m"])
    assert what_goes_on() == ("Interrupted. To start again:\ngoodteacher export 'my study' --out m")
