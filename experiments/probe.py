"""Students of one epoch for every teacher of a finished exhaustive study: the score `probe`.

    python experiments/probe.py STUDY RESULTS_OF_THE_PAIR

An exhaustive search has no shortlist, so it trains no probes; here they are trained afterwards from
its stored responses, just as a search with `shortlist_by = "probe"` trains them, and kept as
`probes.csv` beside the pair's other files.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from collect import as_students_csv
from goodteacher.store import Store
from pairs import PROBES_FILE
from resuming import resumed


def probe(exhaustive: Path, into: Path) -> None:
    """Train probe students, unless that has been done, and keep their rows.

    Args:
        exhaustive: Folder of a finished exhaustive search; its data must be found by name.
        into: The pair's folder below the results.
    """
    search = resumed(exhaustive)
    store = search.context.store
    with store.lock():
        healthy = [*search.teach(), *search.branch()]
        task = search.probe_all([record.source for record in healthy])
    Store(into).write_text(PROBES_FILE, as_students_csv(task.rows(store)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path, help="folder of a finished exhaustive search")
    parser.add_argument("into", type=Path, help="the pair's folder below the results")
    given = parser.parse_args()
    probe(given.study, given.into)


if __name__ == "__main__":
    main()
