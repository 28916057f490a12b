"""Code that runs in a process of its own, where some packages are not."""

import json
import os
import subprocess
import sys

_BARRED = """
import sys

class Barred:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ImportError(name + " is not here")

sys.meta_path.insert(0, Barred())
"""


def alone(code, folder, *, without):
    """Run code in a process that cannot import some packages, in a folder; return its JSON."""
    barred = _BARRED.format(names=without)
    done = subprocess.run(
        [sys.executable, "-c", barred + code],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
