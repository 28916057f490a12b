"""The command ``watch``."""

import json
import signal
import subprocess
import sys
import urllib.request

import pytest
from typer.testing import CliRunner

from goodteacher.cli import app


@pytest.fixture
def watching(tmp_path):
    """A process that watches a folder, and the address that it printed."""
    (tmp_path / "report.html").write_text("<body>planted</body>")
    process = subprocess.Popen(
        [sys.executable, "-m", "goodteacher", "watch", str(tmp_path), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        printed = iter(process.stdout.readline, "}\n")
        yield process, json.loads("".join([*printed, "}"]))["address"]
    finally:
        process.kill()
        process.communicate()


def test_it_says_the_address_serves_the_report_there_and_ends_with_ctrl_c(watching):
    process, address = watching
    assert address.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(address, timeout=10) as response:
        assert response.read().startswith(b"<body>planted")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=10)
    assert process.returncode == 0
    assert said == "The server has stopped.\n"


def test_a_file_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "report.html").write_text("")
    result = CliRunner().invoke(app, ["watch", str(tmp_path / "report.html")])
    assert result.exit_code == 2
    assert "is a file. Name the folder of a study." in result.stderr


@pytest.mark.parametrize("port", ["-1", "65536", "many"])
def test_a_port_that_cannot_be_is_refused(tmp_path, port):
    assert CliRunner().invoke(app, ["watch", str(tmp_path), "--port", port]).exit_code == 2
