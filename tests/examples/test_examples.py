"""Each example is a short script that a person would write, and runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent.parent / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))


def run(name, *arguments):
    command = [sys.executable, str(FOLDER / name), *map(str, arguments)]
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=alone)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_has_under_sixty_lines_and_says_how_it_is_run(path):
    text = path.read_text()
    assert text.count("\n") <= 60
    assert f"python examples/{path.name}" in text


def test_checkpoints_are_recorded(tmp_path):
    run("record_checkpoints.py", "digits", tmp_path / "runs", tmp_path / "recorded")
    files = tmp_path.glob("recorded/*/responses/epoch-00008.selection.view-0.safetensors")
    assert {path.parent.parent.name for path in files} == {"lr-0.01", "lr-0.1"}


def test_a_plain_loop_is_recorded(tmp_path):
    done = run("record_your_teacher.py", "digits", tmp_path, "--epochs=2", "--width=8")
    assert "lr-0.003, epoch 2: " in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"lr-0.0003", "lr-0.003"}
