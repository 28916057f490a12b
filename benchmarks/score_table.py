"""Which score of a teacher foretells its students? For finished exhaustive studies.

For each score that needs no student: Spearman's correlation with the selection accuracy of each
teacher's students, and the regret (points of selection accuracy) of trying only its top 1, 3 or 5,
as means over the studies with the range between them.

    goodteacher search DATA ... --exhaustive --out STUDY
    python benchmarks/score_table.py STUDY [STUDY ...] [--out FILE.json]
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from goodteacher import Study
from goodteacher.scores import SCORES, TOP, ScoreRow, score_table


def rows_of(folder: Path) -> tuple[ScoreRow, ...]:
    """Return the table of one study."""
    study = Study(folder)
    records = [record for record in study.trajectories() if record.status == "ok"]
    return score_table(records, study.students())


def spread(values: Sequence[float]) -> str:
    """Format a mean and, of several values, their range."""
    mean = f"{statistics.fmean(values):.2f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.2f} to {max(values):.2f})"


def line_of(name: str, rows: Sequence[ScoreRow]) -> str:
    """Return one score's line of the table."""
    known = [row.rho for row in rows if row.rho is not None]
    losses = [spread([100 * row.regret[k] for row in rows]) for k in TOP]
    return f"| `{name}` | {spread(known) if known else '-'} | {' | '.join(losses)} |"


def table_of(tables: Sequence[Sequence[ScoreRow]]) -> str:
    """Return the table over studies, the score of least mean regret at 3 first."""
    by_score = {name: [t[number] for t in tables] for number, name in enumerate(SCORES)}
    order = sorted(by_score, key=lambda name: statistics.fmean(r.regret[3] for r in by_score[name]))
    head = "| score | Spearman | " + " | ".join(f"regret of top {k}, points" for k in TOP) + " |"
    rule = "|---" * (2 + len(TOP)) + "|"
    return "\n".join([head, rule, *(line_of(name, by_score[name]) for name in order)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="+", type=Path, help="folders of exhaustive searches")
    parser.add_argument("--out", type=Path, help="write every study's numbers as JSON")
    given = parser.parse_args()
    tables = {str(folder): rows_of(folder) for folder in given.studies}
    print(f"n = {len(tables)} studies; mean (range over studies)\n")
    print(table_of(list(tables.values())))
    if given.out:
        plain = {
            name: [{**vars(row), "regret": dict(row.regret)} for row in rows]
            for name, rows in tables.items()
        }
        given.out.write_text(json.dumps(plain, indent=2) + "\n")


if __name__ == "__main__":
    main()
