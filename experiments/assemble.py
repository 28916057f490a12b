"""From the results of the pairs to the answers, the figures and the page, in one command.

    python experiments/assemble.py

reads `experiments/results`, whatever part of the study it holds, and writes
`experiments/results/claims.json`, `docs/figures/*.svg` and the tables of `docs/study.md`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from claims import answers, as_json
from goodteacher.config import read_toml
from pairs import RESULTS, PairKey, all_pairs
from run import plans_of
from study_page import TABLES, Assembled

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "benchmarks"))

from pages import filled  # noqa: E402  (it fills the pages of the benchmarks, too)

PAGE = ROOT / "docs" / "study.md"
FIGURES = ROOT / "docs" / "figures"
PLANS = ROOT / "experiments" / "cpu"
CLAIMS_FILE = "claims.json"


def assemble(results: Path = RESULTS) -> Assembled:
    """Read every pair and answer every claim.

    Args:
        results: Where the pairs are; there may be none.
    """
    study = all_pairs(results, variations=True)
    return Assembled(study, answers(study), list(planned()))


def planned() -> Iterator[PairKey]:
    """Yield the pairs that the files of the study name, in their order."""
    for path in sorted(PLANS.glob("*.toml")):
        yield from (plan.pair for plan in plans_of(read_toml(path)))


def page_of(text: str, found: Assembled) -> str:
    """Return the page with every table made anew."""
    return filled(text, lambda name: TABLES[name](found))


def claims_of(found: Assembled) -> str:
    """Return the text of `claims.json`."""
    return json.dumps(as_json(found.answers), indent=1, allow_nan=False) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--without-figures", action="store_true", help="tables and answers alone")
    given = parser.parse_args()
    found = assemble()
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / CLAIMS_FILE).write_text(claims_of(found))
    PAGE.write_text(page_of(PAGE.read_text(), found))
    if not given.without_figures:
        from figures import write_figures

        write_figures(found.study, FIGURES)


if __name__ == "__main__":
    main()
