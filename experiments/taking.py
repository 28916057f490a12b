"""Take finished pairs of a study that is being run into the committed results.

    python experiments/taking.py FOLDER

`FOLDER` is what `run.py` was given as `--results`. A pair that is finished replaces the one of
the same name, with all of its files: a pair of the study needs its exhaustive search, its default
search and its verdict; a replicate its exhaustive search, and its pair with tuned students; a
variation its exhaustive search. What is not finished stays out, and is named. What was published
of a pair before students were tuned stays in `before_tuning.json`. Then run `assemble.py`.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from goodteacher.studies.files import VERDICT_FILE
from outcomes import before
from pairs import EXHAUSTIVE_FILE, RESULTS, SEARCH_FILE, Pair, all_pairs

WANTED = (EXHAUSTIVE_FILE, SEARCH_FILE, VERDICT_FILE)


def missing(pair: Pair, results: Path) -> list[str]:
    """Return what a pair lacks to be taken: files, or the pair that it is a replicate of.

    Args:
        pair: A pair of the running study.
        results: Where it would go.
    """
    whole = pair.pair.variation is None and not pair.pair.is_replicate
    files = [
        name for name in (WANTED if whole else WANTED[:1]) if not (pair.folder / name).exists()
    ]
    first = Pair(results / pair.pair.first.folder)
    if pair.pair.is_replicate and not (first.folder.exists() and first.tuned == pair.tuned):
        return [*files, f"its pair {first.folder.name} with the same kind of student"]
    return files


def take(running: Path, results: Path) -> tuple[list[str], dict[str, list[str]]]:
    """Copy every finished pair, pairs before their replicates.

    Args:
        running: Results of a study that is being run.
        results: The results that they go to.

    Returns:
        The names of those taken, and of the others with what they lack.
    """
    taken, waiting = [], {}
    for pair in _firsts_first(all_pairs(running, variations=True)):
        lacks = missing(pair, results)
        if pair.tuned and _would_be_lost(pair, results):
            lacks.append("what was published of it: run outcomes.py first")
        if lacks:
            waiting[pair.name] = lacks
            continue
        _replace(pair.folder, results / pair.pair.folder)
        taken.append(pair.name)
    return taken, waiting


def _firsts_first(pairs: Sequence[Pair]) -> list[Pair]:
    return sorted(pairs, key=lambda pair: pair.pair.teacher_seed)


def _would_be_lost(pair: Pair, results: Path) -> bool:
    """Say whether a pair with untuned students stands there that `before_tuning.json` lacks."""
    old = Pair(results / pair.pair.folder)
    if not old.folder.exists() or old.tuned or old.pair.variation is not None:
        return False
    return old.name not in before(results).pairs


def _replace(folder: Path, target: Path) -> None:
    """Put a folder in the place of another, whose files are gone then."""
    fresh = target.with_name(f"{target.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(folder, fresh)
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("running", type=Path, help="results of the study that is being run")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="folder that they are copied to"
    )
    given = parser.parse_args()
    taken, waiting = take(given.running, given.results)
    for name in taken:
        print(f"{name}: taken")
    for name, lacks in waiting.items():
        print(f"{name}: not taken, because these are missing: {', '.join(lacks)}")


if __name__ == "__main__":
    main()
