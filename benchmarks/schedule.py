"""A finished study on 1 to 1,000 workers: simulated from the times that it has noted of its tasks.

The rules of the engines with workers decide which task begins when; nothing is trained. Each worker
has a core of its own.

    python benchmarks/schedule.py STUDY --out benchmarks/results/schedule.json

The result has the times, where more workers gain nothing, the chain of tasks that sets that time,
and how long tasks are.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from goodteacher import SearchPlan, plan
from goodteacher.studies import Store, environments

MOST = 1000
"""Workers."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("study", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--note", default="", help="what a reader should know of the noted times")
    options = parser.parse_args()
    found = summary(options.study, options.note)
    text = json.dumps(found, indent=1) + "\n"
    if options.out:
        options.out.write_text(text)
    print(text, end="")


def summary(study: Path, note: str = "") -> dict[str, Any]:
    """Return the schedules of a finished study, and what sets their time."""
    store = Store.open(study)
    noted = [e["seconds"] for e in store.events() if e["event"] == "task_done"]
    found = plan(study, workers_up_to=MOST)
    if found.times != "noted":
        raise SystemExit(f"{study} is not finished: its tasks have not all been timed.")
    return {
        "data": found.data,
        "teacher": found.teacher,
        "student": found.student,
        "machine": str(environments(store)[-1]),
        "note": note,
        "tasks": found.amounts.likely.tasks,
        "seconds": round(found.amounts.likely.seconds, 1),
        "longest_chain_seconds": round(found.amounts.likely.least_seconds, 1),
        "workers_that_scaling_ends_at": round(parallelism(found), 2),
        "at_once": found.at_once,
        "enough_workers": found.enough_workers,
        "longest_task_that_n_workers_need": {
            str(n): round(found.amounts.likely.seconds / n, 2) for n in (2, 4, 8, 16, 64)
        },
        "tasks_longer_than": {
            f"{limit} s": sum(seconds > limit for seconds in noted) for limit in (1, 10, 30, 60)
        },
        "on_workers": [
            {
                "workers": row.workers,
                "seconds": round(row.seconds, 1),
                "times_as_fast": round(found.on_workers[0].seconds / row.seconds, 2),
                "at_work": round(row.utilisation, 3),
            }
            for row in found.on_workers
        ],
        "chain": [{"stage": link.stage, "seconds": round(link.seconds, 1)} for link in found.chain],
    }


def parallelism(found: SearchPlan) -> float:
    """Return the work divided by its longest chain: so many workers are kept busy, at most."""
    return found.amounts.likely.seconds / found.amounts.likely.least_seconds


if __name__ == "__main__":
    main()
