"""Measure one tool in this process: `python -m peers.worker TOOL JOB.json RESULT.json`.

A step of a session of its own comes first and is not counted, so that what a library does at its
first call is not. Peak memory is read after training, before the test examples are touched.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import resource
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import torch

from peers.job import Arrays, Job
from peers.tools import TOOLS, Tool


class Session(Protocol):
    """One training with one tool, set up and ready.

    Attributes:
        precision: Arithmetic of matrix products and convolutions.
        teacher_seconds: Seconds that the teacher's pass over the transfer set took, where it is
            done once and ahead; 0 where the teacher answers batch by batch.
    """

    precision: str
    teacher_seconds: float

    def train(self) -> None:
        """Train all epochs."""

    def accuracy(self) -> float:
        """Return the trained student's accuracy on the test examples."""

    def parameters(self) -> tuple[int, int]:
        """Return the parameters of teacher and student."""


def measure(tool: Tool, job: Job) -> dict[str, Any]:
    """Train with one tool and return what it took."""
    data = Arrays.read(job.arrays)
    module, name = tool.session.split(":")
    make = getattr(importlib.import_module(module), name)
    make(dataclasses.replace(job, epochs=1), data.first(job.batch_size)).train()
    _wait(job)
    started = time.perf_counter()
    session: Session = make(job, data)
    _wait(job)
    ready = time.perf_counter()
    session.train()
    _wait(job)
    done = time.perf_counter()
    memory = _memory(job)
    teacher, student = session.parameters()
    return {
        "train_seconds": done - ready,
        "setup_seconds": ready - started - session.teacher_seconds,
        "teacher_pass_seconds": session.teacher_seconds,
        **memory,
        "test_accuracy": session.accuracy(),
        "precision": session.precision,
        "teacher_parameters": teacher,
        "student_parameters": student,
        "versions": {package: _version(package) for package in tool.packages},
    }


def _wait(job: Job) -> None:
    if job.device == "cuda":
        torch.cuda.synchronize()


def _memory(job: Job) -> dict[str, float | None]:
    """Return peaks in MiB: resident memory of this process, and the GPU's allocations."""
    gpu = torch.cuda.max_memory_allocated() / 2**20 if job.device == "cuda" else None
    return {"peak_rss_mib": peak_resident_mib(), "peak_gpu_mib": gpu}


def peak_resident_mib() -> float:
    """Return the most memory that this process has had resident, in MiB.

    Not `getrusage` where Linux says it better: a process inherits the peak of the one that forked
    it, so every tool would show at least the memory of the benchmark itself.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def _version(package: str) -> str:
    # The build (CPU or which CUDA) is in torch's own version only.
    return torch.__version__ if package == "torch" else metadata.version(package)


def main() -> None:
    name, job_file, result_file = sys.argv[1:]
    job = Job.read(Path(job_file))
    torch.set_num_threads(job.threads)
    os.environ["KERAS_TORCH_DEVICE"] = job.device  # before Keras is imported
    result = measure(TOOLS[name], job)
    Path(result_file).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
