"""Probe students for every teacher of a finished exhaustive study.

    python experiments/probe.py STUDY RESULTS_OF_THE_PAIR

An exhaustive search neither makes a shortlist nor stops teachers, so it trains no probes; here they
are trained afterwards from its stored responses and kept beside the pair's other files: as a search
with `shortlist_by = "probe"` trains them (`probes.csv`), and as one with `patience` does that never
stops (`probes_watching.csv`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from collect import as_students_csv
from goodteacher.students.kept import all_rows
from goodteacher.studies.store import Store
from pairs import PROBES_FILE, WATCHING_PROBES_FILE
from resuming import resumed


def probe(exhaustive: Path, into: Path) -> None:
    """Train both kinds of probe students, unless that has been done, and keep their rows.

    Args:
        exhaustive: Folder of a finished exhaustive search; its data must be found by name.
        into: The pair's folder below the results.
    """
    search = resumed(exhaustive)
    store = search.context.store
    with store.lock():
        healthy = [*search.train_teachers(), *search.teachers.branched()]
        ranking = search.shortlist_probes.of_sources([record.source for record in healthy])
        search.engine.run("probe students", [ranking])
        watching = search.patience.probes()
        search.engine.run("probe students of each epoch", watching)
    for name, tasks in ((PROBES_FILE, [ranking]), (WATCHING_PROBES_FILE, watching)):
        Store(into).write_text(name, as_students_csv(all_rows(store, tasks)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path, help="folder of a finished exhaustive search")
    parser.add_argument("into", type=Path, help="the pair's folder below the results")
    given = parser.parse_args()
    probe(given.study, given.into)


if __name__ == "__main__":
    main()
