"""A small data set that a small network can learn, and a study of it that takes a second."""

import subprocess
import sys

import numpy as np
import torch

from goodteacher.data import Dataset, Split
from goodteacher.studies import health_of

SETTINGS = {
    "teacher": "mlp:12",
    "student": "mlp:3",
    "batch_sizes": (16, 64),
    "epochs": 4,
    "student_epochs": 9,
    "student_batch_size": 32,
    "temperatures": (1.0, 4.0),
    "smoothings": (0.1, 0.3),
    "shortlist": 3,
    "search_seeds": 2,
    "seeds": 3,
    "patience": 0,
    "rungs": 3,
    "extend": False,
    "precision": "float32",
    "device": "cpu",
    "selection_fraction": 0.2,
}


def arrays(num_train=240, num_test=120, num_classes=4, seed=0):
    """Classes are overlapping bumps around points of a circle: neighbours are alike."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, size in (("train", num_train), ("test", num_test)):
        labels = np.arange(size) % num_classes
        angle = 2 * np.pi * labels / num_classes
        centres = np.stack([np.cos(angle), np.sin(angle)], axis=1) * 1.5
        noise = rng.normal(size=(size, 2))
        extra = rng.normal(size=(size, 4))
        found[f"x_{name}"] = np.concatenate([centres + noise, extra], axis=1).astype(np.float32)
        found[f"y_{name}"] = labels.astype(np.int64)
    return found


def dataset(**settings):
    made = arrays(**settings)
    train = Split.from_arrays(torch.from_numpy(made["x_train"]), torch.from_numpy(made["y_train"]))
    test = Split.from_arrays(torch.from_numpy(made["x_test"]), torch.from_numpy(made["y_test"]))
    names = tuple("abcdefgh"[: int(made["y_train"].max()) + 1])
    return Dataset("circle", train, test, names)


def as_options(settings):
    """Settings as they are typed at the command line."""
    return [_as_option("--" + name.replace("_", "-"), value) for name, value in settings.items()]


def _as_option(flag, value):
    if isinstance(value, bool):
        return flag if value else flag.replace("--", "--no-", 1)
    return f"{flag}={','.join(map(str, value)) if isinstance(value, tuple) else value}"


_SIGNALLED = """
import os, runpy, signal, sys
from goodteacher.students.running import StudentRunner

# Whoever runs the tests in the background has them ignore interrupts, and so would this.
signal.signal(signal.SIGINT, signal.default_int_handler)
run, done = StudentRunner.run, []

def counted(runner, task, context):
    run(runner, task, context)
    done.append(task)
    if len(done) == 2:
        os.kill(os.getpid(), number)

StudentRunner.run, number = counted, int(sys.argv.pop())
runpy.run_module("goodteacher", run_name="__main__")
"""


def signalled(arguments, signal_number):
    """Run the command line in a process that a signal meets after its second task of students."""
    command = [sys.executable, "-c", _SIGNALLED, *map(str, arguments), str(int(signal_number))]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def accepted(folder):
    """Let a folder be as it is now, as if goodteacher had written its files so."""
    for notes in folder.rglob(".checksums.jsonl"):
        notes.unlink()
    if (folder / "study.toml").exists():
        health_of(folder, accept=True)
