"""Is the verdict on a student of scikit-learn's kind right where the truth is known?

    python benchmarks/fold_verdicts.py --runs 60       # goes on where it was stopped
    python benchmarks/fold_verdicts.py --page          # writes the table of the page

Tables of 6 Gaussian classes in 3 groups of alike ones are drawn again and again, and teachers of
which it is known what they know: the posterior (knowledge), or its confidence without its
similarity in four ways (none of them can teach similarity, so "knowledge" is an error). Students
learn on 5 folds, twice; the ladder, its recipes and the rule are those of `clf.verify`.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from goodteacher.integrations.sklearn.comparing import DISTILLED, Comparing, families_of
from goodteacher.integrations.sklearn.judging import Judging
from goodteacher.integrations.sklearn.teaching import Table, Teaching
from goodteacher.maths.targets import LADDER, permuted_targets
from goodteacher.records import Verdict
from goodteacher.responses import Response

ROOT = Path(__file__).parent
RESULTS = ROOT / "results/fold_verdicts.jsonl"
PAGE = ROOT.parent / "docs/tables-evidence.md"
CLASSES, FEATURES, FOLDS, REPEATS = 6, 20, 5, 2
STUDENTS: dict[str, Any] = {
    "tree": DecisionTreeClassifier(max_depth=5, min_samples_leaf=2),
    "logistic": LogisticRegression(C=10.0, max_iter=30, tol=1e-2),
}
VERDICTS = ("knowledge", "regularization", "no_gain", "inconclusive")

Teacher = Callable[[torch.Tensor, torch.Tensor, np.random.Generator], torch.Tensor]


def _noise(logits: torch.Tensor, codes: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Return the posterior's confidence, the rest spread by chance: it says nothing."""
    spread = torch.from_numpy(rng.dirichlet(np.full(CLASSES, 3.0), len(codes)))
    spread[torch.arange(len(codes)), codes] = 0
    own = logits.softmax(1)[torch.arange(len(codes)), codes, None]
    return (1 - own) * spread / spread.sum(1, keepdim=True) + own * _hot(codes)


def _hot(codes: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.one_hot(codes, CLASSES).double()


TEACHERS: dict[str, Teacher] = {
    "posterior": lambda logits, codes, rng: logits.softmax(1),
    "confidence only": lambda logits, codes, rng: LADDER["confidence_smoothing"](logits, codes),
    "labels": lambda logits, codes, rng: 0.999 * _hot(codes) + 0.001 / CLASSES,
    "noise": _noise,
    "permuted": lambda logits, codes, rng: permuted_targets(
        logits, codes, seed=int(rng.integers(2**31))
    ),
}
"""What each says of examples, by logits of the posterior and labels; the first knows something."""


def drawn(rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, torch.Tensor]:
    """Draw a table: rows, classes, and the logits of the posterior."""
    groups = 0.7 * rng.normal(size=(CLASSES // 2, FEATURES))
    means = np.repeat(groups, 2, axis=0) + 0.3 * rng.normal(size=(CLASSES, FEATURES))
    codes = rng.permutation(np.arange(rows) % CLASSES)
    x = means[codes] + rng.normal(size=(rows, FEATURES))
    apart = ((x[:, None] - means) ** 2).sum(axis=2)
    return x, codes, torch.from_numpy(-apart / 2)


def judged(student: Any, teacher: Teacher, rows: int, seed: int) -> Verdict:
    """Return the verdict on one table."""
    rng = np.random.default_rng(seed)
    x, codes, logits = drawn(rows, rng)
    said = teacher(logits, torch.from_numpy(codes), rng).double()
    response = Response(said.clamp_min(1e-30).log().float(), torch.arange(rows))
    teaching = Teaching(said.numpy(), folds=FOLDS, prefit="auto", seed=seed)
    families = families_of((1.0, 2.0), (1.0, 0.5), (0.1, 0.2))
    plan = Comparing(student, teaching, families, 0.001, FOLDS, 1, seed)
    table = Table(x, codes, np.arange(CLASSES))
    best = families[DISTILLED][0]
    return Judging(plan, table, None, response, best, None, 0.05).judge(repeats=REPEATS)


def table_of(lines: list[dict[str, Any]]) -> str:
    """Return the table of the page: how often each verdict was given."""
    told = [
        "| student | teacher | rows | n | knowledge | regularization | no gain | inconclusive | "
        "similarity adds, points (sd) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    cells = dict.fromkeys((each["student"], each["teacher"], each["rows"]) for each in lines)
    for cell in cells:
        own = [e for e in lines if (e["student"], e["teacher"], e["rows"]) == cell]
        counts = Counter(each["verdict"] for each in own)
        shares = [f"{100 * counts[name] / len(own):.1f} %" for name in VERDICTS]
        adds = 100 * np.array([each["similarity"] for each in own])
        spread = f"{adds.mean():+.2f} ({adds.std(ddof=1):.2f})"
        named = [cell[0], cell[1], str(cell[2]), str(len(own))]
        told.append(f"| {' | '.join([*named, *shares, spread])} |")
    nulls = [each for each in lines if each["teacher"] != "posterior"]
    false = [each for each in nulls if each["verdict"] == "knowledge"]
    tables, hit = {e["seed"] for e in nulls}, {e["seed"] for e in false}
    told += [
        "",
        f"Without similarity: knowledge in {len(false)} of {len(nulls)} verdicts on {len(tables)} "
        f"tables. At most {_most(len(false), len(nulls)):.2f} % if verdicts on one table were "
        f"independent; at most {_most(len(hit), len(tables)):.2f} % of tables have any (95 %, "
        "one-sided).",
    ]
    return "\n".join(told)


def _most(errors: int, number: int) -> float:
    """Return the upper end of the exact one-sided 95 % interval of a share, in per cent."""
    return 100 * float(stats.beta.ppf(0.95, errors + 1, number - errors))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--rows", type=int, nargs="+", default=[400])
    parser.add_argument("--students", nargs="+", default=list(STUDENTS))
    parser.add_argument("--page", action="store_true", help="write the page's table again")
    given = parser.parse_args()
    lines = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    if given.page:
        begin, end = "<!-- fold_verdicts -->\n", "\n<!-- end -->"
        before, _, rest = PAGE.read_text().partition(begin)
        text = f"{before}{begin}{table_of(lines)}{end}{rest.partition(end)[2]}"
        PAGE.write_text(text)
        return
    warnings.simplefilter("ignore", ConvergenceWarning)  # few steps are part of the student
    done = {(e["student"], e["teacher"], e["rows"], e["seed"]) for e in lines}
    for seed in range(given.runs):
        for name in given.students:
            for rows in given.rows:
                for said, teacher in TEACHERS.items():
                    if (name, said, rows, seed) in done:
                        continue
                    found = judged(STUDENTS[name], teacher, rows, seed)
                    line = {
                        "student": name,
                        "teacher": said,
                        "rows": rows,
                        "seed": seed,
                        "verdict": found.verdict,
                        "similarity": round(found.knowledge.mean, 5),
                        "gain": round(found.gain.mean, 5),
                    }
                    with RESULTS.open("a") as file:
                        file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
