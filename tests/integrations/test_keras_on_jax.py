"""The callback of Keras under its other backend: the same tests, in a process of their own."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.skipif(find_spec("jax") is None, reason="jax is missing")
@pytest.mark.skipif(find_spec("keras") is None, reason="needs goodteacher[keras]")
def test_callback_of_keras_holds_on_jax():
    arguments = ["-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-k", "keras"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(HERE / "test_callbacks.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        cwd=HERE.parent.parent,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "skipped" not in done.stdout
