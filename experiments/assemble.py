"""From the results of the pairs to the answers, the figures and the page, in one command.

    python experiments/assemble.py

reads `experiments/results`, whatever part of the study it holds, and writes beside them
`claims.json`, `scores.json`, `regret.json` and `defaults.json`, and `docs/figures/*.svg`, and
what `docs/study.md`, `docs/study-tables.md`, `docs/study-defaults.md`, `docs/practice.md` and the
README say of the study.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import defaults
import regret
import score_table
from assembled import Assembled, answering, replicates_of
from claims import answers
from claims_json import as_json
from docs_pages import DOCS, FIGURES, ROOT, filled
from goodteacher.config import read_toml
from left_of_lead import left_of_lead
from outcomes import before
from pairs import RESULTS, PairKey, all_pairs, parts_of
from run import plans_of, struck_of
from study_page import TABLES
from summaries import json_text

STORY, BEHIND = DOCS / "study.md", DOCS / "study-tables.md"
PAGES = (STORY, BEHIND, ROOT / "README.md", DOCS / "practice.md")
PLANS = ROOT / "experiments" / "cpu"
CLAIMS_FILE = "claims.json"


def assemble(results: Path = RESULTS) -> Assembled:
    """Read every pair and answer every claim.

    Args:
        results: Where the pairs are; there may be none.
    """
    parts = parts_of(all_pairs(results, variations=True))
    ours = answering(parts.study)
    again = replicates_of(ours, parts.replicates)
    known, study = before(results), parts.study
    return Assembled(
        study,
        parts.replicates,
        parts.variations,
        answers([*ours, *again]),
        list(planned()),
        struck(),
        scores=score_table.result_of(study),
        regret=regret.result_of(
            study, regret.lines_of(regret.NAIVE), regret.lines_of(regret.WHOLE)
        ),
        before=known,
        lead=left_of_lead(known, study, parts.replicates),
    )


def planned() -> Iterator[PairKey]:
    """Yield the pairs that the files of the study name, in their order."""
    for path in sorted(PLANS.glob("*.toml")):
        yield from (plan.pair for plan in plans_of(read_toml(path)))


def struck() -> dict[str, list[PairKey]]:
    """Return what the files of the study have struck, by the reason."""
    found: dict[str, list[PairKey]] = {}
    for path in sorted(PLANS.glob("*.toml")):
        for reason, pairs in struck_of(read_toml(path)).items():
            found.setdefault(reason, []).extend(pairs)
    return found


def page_of(text: str, found: Assembled) -> str:
    """Return the page with every table made anew."""
    return filled(text, lambda name: TABLES[name](found) if name in TABLES else None)


def results_of(found: Assembled) -> dict[str, str]:
    """Return the text of each result, by the name of its file."""
    results = {
        CLAIMS_FILE: as_json(found.answers),
        score_table.FILE: found.scores,
        regret.FILE: found.regret,
    }
    return {name: json_text(result) for name, result in results.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--without-figures", action="store_true", help="tables and answers alone")
    given = parser.parse_args()
    found = assemble()
    RESULTS.mkdir(exist_ok=True)
    for name, text in results_of(found).items():
        (RESULTS / name).write_text(text)
    for page in PAGES:
        page.write_text(page_of(page.read_text(), found))
    defaults.write()
    if not given.without_figures:
        from figures import write_figures

        write_figures(found.study, found.lead, FIGURES)


if __name__ == "__main__":
    main()
