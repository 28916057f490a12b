"""A default search and the naive grid, whole, in turns: seconds, and how many times cheaper.

`naive_grid.py` prices both by epochs of which it times some steps. Here nothing is priced:

- the **search** is `goodteacher search` in a process of its own, from its start to its end, data
  read and report written, with the confirmation's students taken off, which both sides need;
- **teachers** of the naive grid train in a loop of one's own to the last recorded epoch at every
  batch size. A teacher from scratch does what the first epochs of a longer one do, so its time is
  read off on the way and each is counted in full;
- **students** of the naive grid train to the end in a loop with the teacher in it. They cost the
  same whatever teacher and recipe they have: some are timed and stand for all.

Searches and students take turns, `repeats` times; teachers of the naive grid, which take by far the
longest, run with the first `--teachers` of them. The naive side reads its data once, evaluates
nothing and writes nothing. It runs as PyTorch comes: float32, subnormal numbers kept.

    python benchmarks/whole_search.py DATA experiments/results/DATA/PAIR/pair.json \
      [--students 3] [--repeats 3] [--teachers 1] [--out benchmarks/results/whole_searches.json]

The settings are those of a pair of the study. With `--out`, its line is put beside those of other
pairs; `experiments/regret.py` reads it.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w
import torch
from torch.utils.data import TensorDataset

from goodteacher import Study
from goodteacher.config import RuntimeConfig, StudyConfig, parse
from goodteacher.data import Split, load_dataset, prepare
from goodteacher.networks import Preparations
from goodteacher.records.results import Cost
from goodteacher.studies.environment import environment_here
from goodteacher.training.machine import choose_machine
from naive_grid import beside_others, network_of, teacher_loop_epoch
from student_epoch import adam, hand_over, loop_epoch, spread


def run_search(data: str, settings: Mapping[str, Any]) -> tuple[dict[str, float], Cost]:
    """Run the default search in a process of its own.

    Returns:
        The seconds of the whole of it and of its parts, and what it says of its cost.
    """
    with tempfile.TemporaryDirectory() as folder:
        config, out = Path(folder) / "search.toml", Path(folder) / "study"
        config.write_text(tomli_w.dumps(settings))
        command = [sys.executable, "-m", "goodteacher", "search", data]
        started = time.perf_counter()
        subprocess.run(
            [*command, f"--config={config}", f"--out={out}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        wall = time.perf_counter() - started
        study = Study(out)
        stages = {"search": 0.0, "probe": 0.0, "confirm": 0.0}
        for row in study.students():
            stages[row.stage] += row.student_seconds
        cost = study.sweet_spot.cost
        seconds = {
            "whole": wall - stages["confirm"],
            "confirmation": stages["confirm"],
            "teachers": cost.teacher_seconds,
            "students": stages["search"] + stages["probe"],
        }
        return seconds, cost


class NaiveGrid:
    """The naive grid of a pair, in loops of one's own.

    Args:
        config: Its settings, and where its data are.
    """

    def __init__(self, config: StudyConfig) -> None:
        started = time.perf_counter()
        self.config = config
        self.data = prepare(
            load_dataset(config.data),
            selection_fraction=config.selection_fraction,
            transfer_fraction=config.transfer_fraction,
            seed=config.split_seed,
        )
        self.networks = Preparations(self.data, normalization=config.normalization)
        self.training = self._loaded(config.teacher, self.data.training)
        self.transfer = self._loaded(config.student, self.data.transfer)
        self.reading = time.perf_counter() - started

    def teachers(self) -> float:
        """Return the seconds of a teacher from scratch for each batch size and recorded epoch."""
        seconds = 0.0
        recorded = set(self.config.recorded_epochs)
        for size in self.config.batch_sizes:
            network = network_of(self.networks, self.config.teacher)
            optimizer, so_far = adam(network), 0.0
            for epoch in range(1, max(recorded) + 1):
                so_far += teacher_loop_epoch(self.training, network, optimizer, size)
                seconds += so_far if epoch in recorded else 0.0
        return seconds

    def student(self) -> float:
        """Return the seconds of a student, trained to the end."""
        teacher, student = (
            network_of(self.networks, x) for x in (self.config.teacher, self.config.student)
        )
        training = self.config.first_training(len(self.data.transfer))
        optimizer, size = adam(student), training.batch_size
        return math.fsum(
            loop_epoch(self.transfer, teacher, student, batch_size=size, optimizer=optimizer)
            for _ in range(training.epochs)
        )

    def _loaded(self, spec: str, split: Split) -> TensorDataset:
        examples = self.networks.examples(spec, split, device=torch.device("cpu"))
        return TensorDataset(examples.inputs(torch.arange(len(split))), split.labels)


def measured(given: argparse.Namespace) -> dict[str, Any]:
    """Run every part, taking turns."""
    info = json.loads(given.pair.read_text())
    kept = {name: value for name, value in info["settings"].items() if value is not None}
    settings = {**kept, "exhaustive": False}
    config = parse(StudyConfig, data=given.data, **settings)
    naive = NaiveGrid(config)
    searches, costs, teachers, student = [], [], [], []
    for number in range(given.repeats):
        seconds, cost = run_search(given.data, settings)
        searches.append(seconds)
        costs.append(cost)
        if number < given.teachers:
            teachers.append(naive.teachers())
        student.append([naive.student() for _ in range(given.students)])
    training = config.first_training(len(naive.transfer))
    students = costs[0].student_epochs_exhaustive // training.epochs
    taught = naive.reading + statistics.median(teachers)
    naively = [taught + students * math.fsum(each) / len(each) for each in student]
    return {
        "data": Path(given.data).name,
        "teacher": config.teacher,
        "student": config.student,
        "student_batch_size": training.batch_size,
        "examples": len(naive.transfer),
        "n": given.repeats,
        "search": {
            **{part: spread([each[part] for each in searches]) for part in searches[0]},
            "teacher_epochs": [cost.teacher_epochs_run for cost in costs],
        },
        "naive": {
            "whole": spread(naively),
            "reading": naive.reading,
            "teachers": {"n": len(teachers), **spread(teachers)},
            "student": spread([seconds for each in student for seconds in each]),
            "students": students,
        },
        "times_cheaper": spread(
            [theirs / ours["whole"] for theirs, ours in zip(naively, searches, strict=True)]
        ),
        # Last, since it sets how subnormal numbers are treated.
        "environment": environment_here(str(choose_machine(RuntimeConfig()))).model_dump(
            mode="json"
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("pair", type=Path, help="pair.json of a pair of the study")
    parser.add_argument("--students", type=int, default=3, help="students of the naive grid timed")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--teachers", type=int, default=1, help="runs of the naive teachers")
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    line = measured(given)
    hand_over(beside_others(line, given.out) if given.out else line, given.out)


if __name__ == "__main__":
    main()
