"""Is a plan right? Plans and whole searches, in turns: seconds of all tasks, planned and real.

Each data set is planned, searched in this process with one worker and thread, and planned again.
Two comparisons, as planned / real:

- `all`: the likely plan, made before anything was known (mean of before and after);
- `lengths`: short copies timed again, for exactly the tasks that the search then had, so that only
  their lengths are compared, not how many there were.

With `--cpu` all seconds are CPU seconds of this process, which a busy machine changes less.

A data set that is done is not done again: after a stop, the same command goes on.

    python benchmarks/plan_check.py digits fashion_mnist banking77 --out FOLDER

Data sets other than digits lie below `GOODTEACHER_DATA`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

from goodteacher import plan, search
from goodteacher.config import Frozen
from goodteacher.public.planning import lengths_of
from goodteacher.studies import Store

SMALL: dict[str, Any] = {"epochs": 8, "seeds": 3}
STUDIES: dict[str, dict[str, Any]] = {
    "digits": {"teacher": "mlp:64", "student": "mlp:8", **SMALL},
    "fashion_mnist": {
        "teacher": "mlp:64",
        "student": "mlp:16",
        "transfer_fraction": 0.02,
        **SMALL,
        "epochs": 4,
        "student_epochs": 20,
    },
    "banking77": {
        "teacher": "mlp:64",
        "student": "mlp:16",
        "transfer_fraction": 0.1,
        **SMALL,
        "student_epochs": 20,
    },
}
"""Settings by the name of the data. That of digits tunes its student, others name its epochs."""

COMMON: dict[str, Any] = {"threads": 1, "workers": 1, "engine": "local"}


class Compared(Frozen):
    """A plan beside the search."""

    data: str
    planned: float
    at_least: float
    at_most: float
    planned_again: float
    lengths: float
    real: float
    tasks_planned: int
    tasks_real: int
    student_epochs_planned: float
    seconds: str
    load: float

    @property
    def ratios(self) -> dict[str, float]:
        """Planned divided by real."""
        mean = (self.planned + self.planned_again) / 2
        found = {"all": mean / self.real, "lengths": self.lengths / self.real}
        return {name: round(value, 3) for name, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", nargs="+", choices=STUDIES)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cpu", action="store_true", help="count CPU seconds: on a busy machine")
    options = parser.parse_args()
    if options.cpu:
        time.perf_counter = time.process_time  # what all of goodteacher times by
    options.out.mkdir(parents=True, exist_ok=True)
    summary = {}
    for name in options.data:
        file = options.out / f"{name}.json"
        if not file.exists():
            found = compared(name, STUDIES[name], options.out / "study")
            file.write_text(found.model_dump_json(indent=1) + "\n")
        found = Compared.model_validate_json(file.read_text())
        summary[name] = {**found.model_dump(), "ratios": found.ratios}
        print(name, found.ratios, flush=True)
    (options.out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")


def compared(name: str, settings: dict[str, Any], folder: Path) -> Compared:
    """Plan, search and plan again."""
    data = name if name == "digits" else str(Path(os.environ["GOODTEACHER_DATA"]) / name)
    given = {**settings, **COMMON}
    before = plan(data, workers_up_to=1, **given)
    shutil.rmtree(folder, ignore_errors=True)
    search(data, out=folder, **given)
    after = plan(data, workers_up_to=1, **given)
    done = [e for e in Store.open(folder).events() if e["event"] == "task_done"]
    lengths = lengths_of(folder)
    shutil.rmtree(folder)
    return Compared(
        data=name,
        planned=before.amounts.likely.seconds,
        at_least=before.amounts.at_least.seconds,
        at_most=before.amounts.at_most.seconds,
        planned_again=after.amounts.likely.seconds,
        lengths=lengths,
        real=sum(event["seconds"] for event in done),
        tasks_planned=before.amounts.likely.tasks,
        tasks_real=len(done),
        student_epochs_planned=before.amounts.likely.student_epochs,
        seconds="CPU" if time.perf_counter is time.process_time else "wall",
        load=os.getloadavg()[1],
    )


if __name__ == "__main__":
    main()
