"""The comparison itself: `run.py` starts it and says what it is."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from goodteacher.config import RuntimeConfig
from goodteacher.studies.environment import environment_here
from goodteacher.training.machine import choose_machine
from peers.environments import NotInstalledError, last_line, python_of
from peers.job import Job
from peers.prepare import load_arrays, train_teacher
from peers.summary import BASELINE, other_networks, summarise, times_cheaper
from peers.table import render
from peers.tools import TOOLS, Tool

BENCHMARKS = Path(__file__).resolve().parent.parent
ROOT = BENCHMARKS.parent
TEACHERS = ["resnet:56", "cnn:32,64,128"]
STUDENTS = ["resnet:20", "cnn:16,32,64"]


@dataclass
class Pair:
    """A teacher and a student, and what each tool's runs gave, by tool and repeat."""

    job: Job
    teacher_accuracy: float
    runs: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's options, checked."""
    parser = argparse.ArgumentParser(description="Distil with several tools, side by side.")
    parser.add_argument(
        "--teacher", nargs="+", default=TEACHERS, help="teachers, one for each pair"
    )
    parser.add_argument("--student", nargs="+", default=STUDENTS, help="students, in that order")
    parser.add_argument("--tools", nargs="+", choices=list(TOOLS), default=list(TOOLS))
    parser.add_argument("--data", default=None, help="default: $GOODTEACHER_DATA/cifar10")
    parser.add_argument("--examples", type=int, default=1024)
    parser.add_argument("--test-examples", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--teacher-epochs", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--loader-workers", type=int, default=None, help="default: 0, 4 with a GPU")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for one process")
    parser.add_argument("--environments", type=Path, default=ROOT / ".bench")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args(arguments)
    if len(options.teacher) != len(options.student):
        parser.error("--teacher and --student must name as many networks, one pair after another")
    if options.examples % options.batch_size:
        parser.error("--examples must be a multiple of --batch-size: timm drops what is left over")
    if options.data is None and "GOODTEACHER_DATA" not in os.environ:
        parser.error("name the data with --data, or GOODTEACHER_DATA for its folder cifar10")
    options.data = options.data or str(Path(os.environ["GOODTEACHER_DATA"]) / "cifar10")
    return options


def main() -> None:
    options = options_of()
    torch.set_num_threads(options.threads)
    machine = choose_machine(RuntimeConfig(device=options.device))
    pythons, missing = _install([TOOLS[name] for name in options.tools], options.environments)
    with tempfile.TemporaryDirectory() as folder:
        pairs = list(_pairs(options, machine.device.type, machine.autocast is not None, folder))
        for pair in pairs:
            pair.failures.update(missing)
        for repeat in range(options.repeats):
            for pair in pairs:
                _take_turns(pair, repeat, pythons, options.timeout)
            result = _result(pairs, options, environment_here(str(machine)).model_dump(mode="json"))
            if options.out is not None:
                options.out.parent.mkdir(parents=True, exist_ok=True)
                options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(render(result))


def _install(tools: Sequence[Tool], folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Return the interpreter of each tool, and of those that have none the reason."""
    pythons, missing = {}, {}
    for tool in tools:
        try:
            pythons[tool.name] = python_of(tool, folder)
        except NotInstalledError as error:
            missing[tool.name] = f"not installed: {error}"
    return pythons, missing


def _pairs(options: argparse.Namespace, device: str, bfloat16: bool, folder: str) -> Iterator[Pair]:
    """Prepare the data and train each pair's teacher."""
    arrays, num_classes = load_arrays(
        options.data, examples=options.examples, test_examples=options.test_examples
    )
    arrays.write(Path(folder) / "arrays.npz")
    workers = options.loader_workers
    for number, (teacher, student) in enumerate(zip(options.teacher, options.student, strict=True)):
        job = Job(
            teacher=teacher,
            student=student,
            arrays=str(Path(folder) / "arrays.npz"),
            weights=str(Path(folder) / f"teacher{number}.npz"),
            epochs=options.epochs,
            batch_size=options.batch_size,
            device=device,
            threads=options.threads,
            bfloat16=bfloat16,
            loader_workers=workers if workers is not None else (4 if device == "cuda" else 0),
            num_classes=num_classes,
        )
        _say(f"training the teacher {teacher}")
        yield Pair(job, train_teacher(job, arrays, epochs=options.teacher_epochs))


def _take_turns(pair: Pair, repeat: int, pythons: Mapping[str, Path], timeout: float) -> None:
    """Run each tool once; one that failed before is not tried again."""
    for name, python in pythons.items():
        if name in pair.failures:
            continue
        job = dataclasses.replace(pair.job, seed=repeat, students=TOOLS[name].students)
        result, failure = _measured(name, job, python, timeout)
        if result is None:
            pair.failures[name] = failure
        else:
            pair.runs.setdefault(name, {})[repeat] = result
        seconds = failure if result is None else f"{result['train_seconds']:.1f} s"
        _say(f"repeat {repeat + 1}: {job.teacher} -> {job.student}, {name}: {seconds}")


def _measured(
    name: str, job: Job, python: Path, timeout: float
) -> tuple[dict[str, Any] | None, str]:
    """Run the worker; return what it measured, or None and why not."""
    paths = os.pathsep.join([str(BENCHMARKS), str(ROOT / "src")])
    threads = str(job.threads)
    variables = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": threads}
    with tempfile.TemporaryDirectory() as folder:
        job_file, result_file = Path(folder) / "job.json", Path(folder) / "result.json"
        job.write(job_file)
        command = [str(python), "-m", "peers.worker", name, str(job_file), str(result_file)]
        try:
            done = subprocess.run(
                command, env=variables, capture_output=True, text=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            return None, f"not done after {timeout:g} s"
        if done.returncode != 0 or not result_file.exists():
            return None, last_line(done.stderr) or f"exit status {done.returncode}"
        return json.loads(result_file.read_text()), ""


def _result(
    pairs: Sequence[Pair], options: argparse.Namespace, machine: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the whole result, as it is written."""
    settings = {k: v for k, v in vars(options).items() if k not in ("out", "data", "environments")}
    job = pairs[0].job
    names = ("device", "loader_workers", "learning_rate", "momentum", "weight_decay")
    shared = {name: getattr(job, name) for name in (*names, "temperature", "alpha")}
    return {
        "settings": {**settings, **shared, "schedule": "cosine", "augmentation": "none"},
        "environment": dict(machine),
        "pairs": [_pair_result(pair, options) for pair in pairs],
    }


def _pair_result(pair: Pair, options: argparse.Namespace) -> dict[str, Any]:
    firsts = {name: next(iter(runs.values())) for name, runs in pair.runs.items()}
    failures = {**pair.failures, **other_networks(firsts)}
    return {
        "teacher": pair.job.teacher,
        "student": pair.job.student,
        "teacher_test_accuracy": pair.teacher_accuracy,
        "tools": [_tool_result(name, pair, failures, options) for name in options.tools],
    }


def _tool_result(
    name: str, pair: Pair, failures: Mapping[str, str], options: argparse.Namespace
) -> dict[str, Any]:
    tool, runs = TOOLS[name], pair.runs.get(name, {})
    figures = summarise(
        list(runs.values()),
        examples=options.examples,
        epochs=options.epochs,
        students=tool.students,
    )
    return {
        "name": name,
        "title": tool.title,
        "students": tool.students,
        "failure": failures.get(name),
        "figures": figures,
        "times_cheaper_than_plain": times_cheaper(
            pair.runs.get(BASELINE, {}), runs, students=tool.students
        ),
        "runs": [{"repeat": repeat, **run} for repeat, run in runs.items()],
    }


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
