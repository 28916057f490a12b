"""Which score of a teacher foretells its students? On every pair of the study.

    python experiments/score_table.py

For each score: Spearman's correlation with the selection accuracy of each teacher's students (best
recipe, mean over search seeds); the same with the teacher's own accuracy held fixed; the regret of
trying only its top 1, 3, 5 or 8, in points of selection accuracy; what it costs beyond recording.
Once over all teachers and once from epoch 4 on, since any score tells a trained teacher from one
that has hardly begun. Then the scores that are chosen on other pairs: see `combined_score.py`.
Writes `results/scores.json`, of which `rendered` makes the tables.
"""

from __future__ import annotations

import argparse
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cases import Case, case_of, partial_correlation
from combined_score import GROUPS, METHODS, Fold, fit, folds_of
from goodteacher.sweet_spot.scores import SCORES, TOP, ScoreRow, score_row
from pairs import RESULTS, Pair, all_pairs
from summaries import json_text, table
from summaries import shown as shown_with_range

FILE = "scores.json"

SINCE = {"all recorded epochs": 1, "from epoch 4 on": 4}
"""The tables: from which epoch on teachers count."""

Result = Mapping[str, Any]


def result_of(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Return every number of the tables, as JSON holds it."""
    return {name: _part(pairs, since) for name, since in SINCE.items()}


def _part(pairs: Sequence[Pair], since: int) -> dict[str, Any]:
    cases = [case for pair in pairs if (case := case_of(pair, since))]
    known = {case.name for case in cases}
    return {
        "left_out": [pair.name for pair in pairs if pair.name not in known],
        "pairs": {case.name: rows_of(case) for case in cases},
        "chosen": {
            name: [_plain_fold(fold) for fold in folds_of(cases, group)]
            for name, group in GROUPS.items()
        },
        "combined_on_all": list(fit(cases)) if cases else [],
    }


def rows_of(case: Case) -> dict[str, dict[str, Any]]:
    """Return every score of a pair, by name."""
    return {
        name: {
            **_plain(score_row(name, values, case.accuracies)),
            "partial": partial_correlation(values, case.accuracies, case.scores["accuracy"]),
            "seconds": case.cost(name),
        }
        for name, values in case.scores.items()
    }


def _plain(row: ScoreRow) -> dict[str, Any]:
    regret = {str(k): value for k, value in row.regret.items()}
    return {"teachers": row.num_teachers, "rho": row.rho, "regret": regret}


def _plain_fold(fold: Fold) -> dict[str, Any]:
    methods = {
        name: {"scores": list(fold.choices[name]), **_plain(row)} for name, row in fold.rows.items()
    }
    return {"pair": fold.pair, "methods": methods}


shown = partial(shown_with_range, ranged=False)
"""Ranges stand in `scores.json`: the table has many cells."""


def rendered(result: Result) -> str:
    """Return the tables of a result, as Markdown."""
    return "\n\n".join(_rendered_part(name, part) for name, part in result.items())


def _rendered_part(name: str, part: Result) -> str:
    pairs = part["pairs"]
    if not pairs:
        return f"**Teachers: {name}.** *Not measured.*"
    missing = f" Without an exhaustive search: {', '.join(part['left_out'])}." * bool(
        part["left_out"]
    )
    head = (
        f"**Teachers: {name}.** n = {len(pairs)} pairs. Mean [95 % interval over pairs].{missing}"
    )
    fitted = [_rendered_chosen(what, folds) for what, folds in part["chosen"].items() if folds]
    formula = f"Chosen on all pairs: mean rank of {_listed(part['combined_on_all'])}."
    return "\n\n".join([head, _score_table(pairs), *fitted, formula])


def _score_table(pairs: Mapping[str, Result]) -> str:
    by_score = {
        name: found
        for name in SCORES
        if (found := [rows[name] for rows in pairs.values() if name in rows])
    }
    order = sorted(by_score, key=lambda name: statistics.fmean(_regrets(by_score[name], 3)))
    head = ["score", "n", "Spearman", "with the teacher's accuracy held fixed", *_REGRETS, _COST]
    return table(head, [_score_line(name, by_score[name]) for name in order])


_REGRETS = [f"regret of top {k}, points" for k in TOP]
_COST = "seconds beyond recording"


def _score_line(name: str, rows: Sequence[Result]) -> list[str]:
    rho, held = ([row[key] for row in rows if row[key] is not None] for key in ("rho", "partial"))
    seconds = shown([row["seconds"] for row in rows], 1) if SCORES[name].needs_probes else "0"
    losses = [shown(_regrets(rows, k)) for k in TOP]
    return [f"`{name}`", str(len(rows)), shown(rho), shown(held), *losses, seconds]


def _regrets(rows: Sequence[Result], k: int) -> list[float]:
    return [100 * row["regret"][str(k)] for row in rows]


def _rendered_chosen(what: str, folds: Sequence[Result]) -> str:
    by_method = {name: [fold["methods"][name] for fold in folds] for name in METHODS}
    lines = [_method_line(name, rows) for name, rows in by_method.items()]
    lines += [
        [f"combined minus {name}", "", "", *(_difference(by_method, name, k) for k in TOP)]
        for name in METHODS
        if name != "combined"
    ]
    head = ["shortlist by", "chosen", "Spearman", *_REGRETS]
    lead = f"Chosen without the {what} that it ranks, n = {len(folds)} pairs:"
    return f"{lead}\n\n{table(head, lines)}"


def _method_line(name: str, rows: Sequence[Result]) -> list[str]:
    chosen = Counter(" + ".join(row["scores"]) for row in rows)
    listed = "; ".join(f"{choice} ({count} x)" for choice, count in chosen.most_common(3))
    others = "; others" * (len(chosen) > 3)
    rho = [row["rho"] for row in rows if row["rho"] is not None]
    return [name, listed + others, shown(rho), *(shown(_regrets(rows, k)) for k in TOP)]


def _difference(by_method: Mapping[str, Sequence[Result]], name: str, k: int) -> str:
    pairs = zip(_regrets(by_method["combined"], k), _regrets(by_method[name], k), strict=True)
    return shown([ours - theirs for ours, theirs in pairs])


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the pairs")
    given = parser.parse_args()
    result = result_of(all_pairs(given.results))
    (given.results / FILE).write_text(json_text(result))
    print(rendered(result))


if __name__ == "__main__":
    main()
